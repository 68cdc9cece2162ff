//! WordPiece, BERT's tokenizer (Wu et al. 2016, §4.1; Devlin et al. 2019).

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::LazyLock;

use ::tokenizers::NormalizedString;
use fancy_regex::Regex;
use serde_json::json;

use super::{OUTSIDE, Tokenizer, bpe::train, join_words, json};
use crate::error::{Error, Result};

/// BERT's special tokens; [`WordPiece::train`] gives them the ids 0 to 4.
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Longer words become `[UNK]`, as in BERT.
const LONGEST_WORD: usize = 100;

/// WordPiece over lower-case words: a word becomes its longest beginning in the vocabulary, then again the
/// longest piece of the rest, marked with `##`; a word that cannot be covered becomes `[UNK]`.
///
/// ```
/// use llm_course::tokenizers::{Tokenizer, WordPiece};
/// let vocabulary = ["[UNK]", "un", "##aff", "##able", "##ably", "!"].map(String::from);
/// let tokenizer = WordPiece::from_vocab(vocabulary.to_vec())?;
/// assert_eq!(tokenizer.tokens("Unaffable!"), ["un", "##aff", "##able", "!"]);
/// assert_eq!(tokenizer.decode(&[1, 2, 4, 5]), "unaffably!");
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WordPiece {
    tokens: Vec<String>,
    ids: HashMap<String, i64>,
    unknown: i64,
}

impl WordPiece {
    /// A tokenizer of a given vocabulary, in the order of the ids, e.g. the lines of a `vocab.txt`.
    ///
    /// # Errors
    /// If `[UNK]` is missing or a token comes twice.
    pub fn from_vocab(tokens: Vec<String>) -> Result<Self> {
        let ids: HashMap<String, i64> = tokens.iter().cloned().zip(0..).collect();
        let Some(&unknown) = ids.get("[UNK]") else {
            return Err(Error::input(
                "a WordPiece vocabulary needs the token [UNK] for words it cannot cover",
            ));
        };
        if ids.len() < tokens.len() {
            return Err(Error::input(format!(
                "{} of the {} tokens of the vocabulary come twice: give each once",
                tokens.len() - ids.len(),
                tokens.len()
            )));
        }
        Ok(Self { tokens, ids, unknown })
    }

    /// Learns a vocabulary of up to `vocab_size` pieces: `[PAD] [UNK] [CLS] [SEP] [MASK]`, every character of
    /// `text` at the beginning and (with `##`) inside of words, then the most frequent pairs of pieces as in
    /// [`super::Bpe`]. (Google's own trainer is unpublished; this is what the `tokenizers` crate does.)
    ///
    /// # Errors
    /// If `vocab_size` leaves no room for the characters.
    pub fn train(text: &str, vocab_size: i64) -> Result<Self> {
        let mut counts: HashMap<Vec<String>, i64> = HashMap::new();
        for word in bert_words(text) {
            *counts.entry(characters(&word)).or_default() += 1;
        }
        let alphabet: BTreeSet<&String> = counts.keys().flatten().collect();
        let mut tokens: Vec<String> = SPECIAL.iter().map(|&token| token.into()).collect();
        tokens.extend(alphabet.into_iter().cloned());
        let room = usize::try_from(vocab_size).ok().and_then(|size| size.checked_sub(tokens.len()));
        let Some(room) = room else {
            return Err(Error::input(format!(
                "vocab_size {vocab_size}: the text's characters alone take {}; use e.g. 1000 more",
                tokens.len()
            )));
        };
        let ids: HashMap<&String, i64> = tokens.iter().zip(0..).collect();
        let words = counts.iter().map(|(word, &n)| (word.iter().map(|c| ids[c]).collect(), n)).collect();
        let merges = train::learn(words, tokens.len() as i64, room);
        for (left, right) in merges {
            let rest = tokens[right as usize].strip_prefix("##").expect("never the first piece of a word");
            tokens.push(format!("{}{rest}", tokens[left as usize]));
        }
        Self::from_vocab(tokens)
    }

    /// Writes a `tokenizer.json` that the `tokenizers` and `transformers` libraries open.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let special = SPECIAL.iter().filter_map(|&token| Some((self.id(token)?, token)));
        let processor = match (self.id("[CLS]"), self.id("[SEP]")) {
            (Some(cls), Some(sep)) => {
                json!({"type": "BertProcessing", "cls": ["[CLS]", cls], "sep": ["[SEP]", sep]})
            }
            _ => json!(null),
        };
        json::write(
            path.as_ref(),
            &json!({
                "version": "1.0",
                "added_tokens": json::added_tokens(special),
                "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                               "strip_accents": null, "lowercase": true},
                "pre_tokenizer": {"type": "BertPreTokenizer"},
                "post_processor": processor,
                "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
                "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                          "max_input_chars_per_word": LONGEST_WORD, "vocab": self.ids},
            }),
        )
    }

    /// Reads the vocabulary of a lower-case BERT's `tokenizer.json`.
    ///
    /// # Errors
    /// If the file cannot be read or holds another kind of tokenizer: [`super::Pretrained`] opens them all.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let value = json::read(path.as_ref())?;
        let bert = value["model"]["type"] == "WordPiece" && value["normalizer"]["lowercase"] == true;
        match json::vocabulary(&value["model"]["vocab"]).filter(|_| bert) {
            Some(tokens) => Self::from_vocab(tokens),
            None => Err(Error::input(format!(
                "{}: not a lower-case WordPiece; Pretrained::open opens other tokenizers",
                path.as_ref().display()
            ))),
        }
    }

    /// The tokens in the order of their ids.
    pub fn vocab(&self) -> &[String] {
        &self.tokens
    }

    /// The pieces of one word, the longest first; `None` if it cannot be covered.
    fn encode_word(&self, word: &str) -> Option<Vec<i64>> {
        if word.chars().count() > LONGEST_WORD {
            return None;
        }
        let (mut pieces, mut start) = (Vec::new(), 0);
        while start < word.len() {
            let mark = if start == 0 { "" } else { "##" };
            let ends = word[start..].char_indices().map(|(at, c)| start + at + c.len_utf8()).rev();
            let longest = |end| self.ids.get(&format!("{mark}{}", &word[start..end])).map(|&id| (id, end));
            let (id, end) = ends.into_iter().find_map(longest)?;
            pieces.push(id);
            start = end;
        }
        Some(pieces)
    }
}

impl Tokenizer for WordPiece {
    fn encode(&self, text: &str) -> Vec<i64> {
        let pieces = |word: String| self.encode_word(&word).unwrap_or_else(|| vec![self.unknown]);
        bert_words(text).into_iter().flat_map(pieces).collect()
    }

    fn decode(&self, ids: &[i64]) -> String {
        let mut words: Vec<String> = Vec::new();
        for token in ids.iter().map(|&id| self.token(id)) {
            match (token.strip_prefix("##"), words.last_mut()) {
                (Some(rest), Some(word)) if !rest.is_empty() => word.push_str(rest),
                _ => words.push(token),
            }
        }
        join_words(&words)
    }

    fn vocab_size(&self) -> i64 {
        self.tokens.len() as i64
    }

    /// The token as the vocabulary spells it, with `##`.
    fn token(&self, id: i64) -> String {
        let token = usize::try_from(id).ok().and_then(|id| self.tokens.get(id));
        token.map_or(OUTSIDE, String::as_str).into()
    }

    fn id(&self, token: &str) -> Option<i64> {
        self.ids.get(token).copied()
    }
}

/// The characters of a word as pieces: `c ##a ##t`.
fn characters(word: &str) -> Vec<String> {
    let piece = |(i, c)| if i == 0 { String::from(c) } else { format!("##{c}") };
    word.chars().enumerate().map(piece).collect()
}

/// The words of a text as BERT sees them: control characters dropped, accents stripped, lower case, each
/// punctuation mark and each Chinese character on its own (Devlin et al. 2019, published code).
///
/// ```
/// use llm_course::tokenizers::bert_words;
/// assert_eq!(bert_words("C'était l'été, 東京!"), ["c", "'", "etait", "l", "'", "ete", ",", "東", "京", "!"]);
/// ```
pub fn bert_words(text: &str) -> Vec<String> {
    static DROPPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\p{Cc}\p{Cf}\p{Co}\x{FFFD}&&[^\t\n\r]]"));
    static ACCENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"\p{Mn}+"));
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\p{P}[:punct:]]|[^\s\p{P}[:punct:]]+"));
    let mut spaced = String::with_capacity(text.len());
    for c in DROPPED.replace_all(text, "").chars() {
        if is_chinese(c) { spaced.extend([' ', c, ' ']) } else { spaced.push(c) }
    }
    let mut decomposed = NormalizedString::from(spaced);
    decomposed.nfd(); // é → e + ´
    let plain: String =
        ACCENT.replace_all(decomposed.get(), "").chars().flat_map(char::to_lowercase).collect();
    WORD.find_iter(&plain).filter_map(|word| Some(word.ok()?.as_str().into())).collect()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// In one of the blocks "CJK Unified Ideographs" and their extensions; Japanese and Korean syllables are not.
fn is_chinese(c: char) -> bool {
    matches!(u32::from(c), 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x2A6DF
        | 0x2A700..=0x2B81F | 0x2B920..=0x2CEAF | 0x2F800..=0x2FA1F)
}
