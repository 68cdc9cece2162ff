//! One id for each word and punctuation mark.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{OUTSIDE, Tokenizer};

const UNKNOWN: &str = "<unk>";

/// One id for each distinct word of a text, the most frequent first; id 0 is `<unk>`, "unknown".
///
/// ```
/// use llm_course::tokenizers::{Tokenizer, WordTokenizer};
/// let tokenizer = WordTokenizer::new("The cat saw the other cat.").with_special(&["<pad>", "<eos>"]);
/// assert_eq!(tokenizer.tokens("The cat sat."), ["The", "cat", "<unk>", "."]);
/// assert_eq!(tokenizer.decode(&tokenizer.encode("the cat.")), "the cat.");
/// assert_eq!(tokenizer.id("<eos>"), Some(tokenizer.vocab_size() - 1));
/// ```
#[derive(Clone, Debug)]
pub struct WordTokenizer {
    words: Vec<String>,
    ids: HashMap<String, i64>,
}

impl WordTokenizer {
    /// The vocabulary of `text`: all its words.
    pub fn new(text: &str) -> Self {
        Self::most_frequent(text, i64::MAX)
    }

    /// The most frequent words of `text`, `vocab_size` ids with `<unk>`; equally frequent words in the order
    /// of the alphabet. Fewer if the text has fewer.
    pub fn most_frequent(text: &str, vocab_size: i64) -> Self {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for word in split_words(text) {
            *counts.entry(word).or_default() += 1;
        }
        let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
        ranked.sort_unstable_by_key(|&(word, count)| (Reverse(count), word));
        ranked.truncate(usize::try_from(vocab_size - 1).unwrap_or(0));
        let mut tokenizer = Self { words: Vec::new(), ids: HashMap::new() };
        std::iter::once(UNKNOWN)
            .chain(ranked.into_iter().map(|(word, _)| word))
            .for_each(|w| tokenizer.add(w));
        tokenizer
    }

    /// Adds tokens that stand for no word, e.g. `<pad>`, `<bos>`, `<eos>`, behind all others. Text never
    /// encodes to them: `<` and `pad` are tokens of their own there.
    pub fn with_special(mut self, tokens: &[&str]) -> Self {
        tokens.iter().for_each(|token| self.add(token));
        self
    }

    /// The tokens in the order of their ids.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    fn add(&mut self, word: &str) {
        self.ids.insert(word.into(), self.words.len() as i64);
        self.words.push(word.into());
    }
}

impl Tokenizer for WordTokenizer {
    fn encode(&self, text: &str) -> Vec<i64> {
        split_words(text).into_iter().map(|word| self.ids.get(word).copied().unwrap_or(0)).collect()
    }

    fn decode(&self, ids: &[i64]) -> String {
        join_words(&ids.iter().map(|&id| self.token(id)).collect::<Vec<_>>())
    }

    fn vocab_size(&self) -> i64 {
        self.words.len() as i64
    }

    fn token(&self, id: i64) -> String {
        let word = usize::try_from(id).ok().and_then(|id| self.words.get(id));
        word.map_or(OUTSIDE, String::as_str).into()
    }

    fn id(&self, token: &str) -> Option<i64> {
        self.ids.get(token).copied()
    }
}

/// The words and punctuation marks of `text`: runs of letters, digits, apostrophes and hyphens, and every
/// other character that is not a space on its own.
///
/// ```
/// use llm_course::tokenizers::split_words;
/// assert_eq!(split_words("Anna's jus d' orange, 12 €?"), ["Anna's", "jus", "d'", "orange", ",", "12", "€", "?"]);
/// ```
pub fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(run.max(first.len_utf8()));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn in_word(c: char) -> bool {
    let accent = ('\u{300}'..='\u{36F}').contains(&c); // of a letter that was written in two characters
    c.is_alphanumeric() || accent || "'’-".contains(c)
}

/// Words as a sentence, with spaces where English typography has them: none before `.` or `'s`, none after
/// `(` or `d'`, none inside `7:13`, and quotation marks open and close in turn.
///
/// ```
/// use llm_course::tokenizers::join_words;
/// assert_eq!(join_words(&["\"", "Yes", ",", "\"", "said", "Ada", "."]), "\"Yes,\" said Ada.");
/// ```
pub fn join_words<W: AsRef<str>>(words: &[W]) -> String {
    let mut text = String::new();
    let (mut glued, mut quoted) = (true, false); // glued: nothing may stand between this word and the next
    for word in words.iter().map(AsRef::as_ref) {
        let quote = word == "\"";
        let closes = ".,;:!?)]}…%".contains(word) || word.starts_with(['\'', '’']) || (quote && quoted);
        let digit = |c: char| c.is_ascii_digit();
        let time = word.starts_with(digit) && text.strip_suffix(':').is_some_and(|t| t.ends_with(digit));
        if !glued && !closes && !time {
            text.push(' ');
        }
        text.push_str(word);
        quoted ^= quote;
        glued = "([{".contains(word) || word.ends_with(['\'', '’']) || (quote && quoted);
    }
    text
}
