//! One id for each character.

use std::collections::{BTreeSet, HashMap};

use super::Tokenizer;

/// The character that stands for every character outside the vocabulary.
const UNKNOWN: char = '\u{FFFD}';

/// One id for each distinct character of a text, in the order of their code points; id 0 is "unknown".
///
/// ```
/// use llm_course::tokenizers::{CharTokenizer, Tokenizer};
/// let tokenizer = CharTokenizer::new("abba");
/// assert_eq!(tokenizer.encode("abc"), [1, 2, 0]);
/// assert_eq!(tokenizer.decode(&[2, 1, 0]), "ba�");
/// assert_eq!(tokenizer.vocab_size(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct CharTokenizer {
    chars: Vec<char>,
    ids: HashMap<char, i64>,
}

impl CharTokenizer {
    /// The vocabulary of `text`: its distinct characters, and one id for all others.
    pub fn new(text: &str) -> Self {
        let distinct: BTreeSet<char> = text.chars().filter(|&c| c != UNKNOWN).collect();
        let chars: Vec<char> = std::iter::once(UNKNOWN).chain(distinct).collect();
        let ids = chars.iter().zip(0..).map(|(&c, id)| (c, id)).collect();
        Self { chars, ids }
    }

    /// The characters in the order of their ids; the first stands for "unknown".
    pub fn chars(&self) -> &[char] {
        &self.chars
    }
}

impl Tokenizer for CharTokenizer {
    fn encode(&self, text: &str) -> Vec<i64> {
        text.chars().map(|c| self.ids.get(&c).copied().unwrap_or(0)).collect()
    }

    fn decode(&self, ids: &[i64]) -> String {
        let char_of = |&id: &i64| usize::try_from(id).ok().and_then(|id| self.chars.get(id)).copied();
        ids.iter().map(|id| char_of(id).unwrap_or(UNKNOWN)).collect()
    }

    fn vocab_size(&self) -> i64 {
        self.chars.len() as i64
    }
}
