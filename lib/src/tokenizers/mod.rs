//! From text to numbers and back.
//!
//! | tokenizer | a token is | unknown text |
//! | --- | --- | --- |
//! | [`CharTokenizer`] | a character | becomes "unknown" |
//! | [`WordTokenizer`] | a word or a punctuation mark | becomes `<unk>` |
//! | [`Bpe`] | a frequent run of bytes | falls apart into bytes: nothing is unknown |
//! | [`WordPiece`] | a word, its beginning, or `##` and a continuation | the whole word becomes `[UNK]` |
//! | [`Pretrained`] | whatever a `tokenizer.json` says | as that file says |
//!
//! ```
//! use llm_course::tokenizers::{CharTokenizer, Tokenizer};
//! let tokenizer = CharTokenizer::new("to be");
//! assert_eq!(tokenizer.decode(&tokenizer.encode("bot")), "bot");
//! ```

mod bpe;
mod char;
mod json;
mod pretrained;
mod word;
mod wordpiece;

pub use self::bpe::{Bpe, gpt2_split};
pub use self::char::CharTokenizer;
pub use self::pretrained::Pretrained;
pub use self::word::{WordTokenizer, join_words, split_words};
pub use self::wordpiece::{WordPiece, bert_words};

/// Turns text into ids `0..vocab_size` and ids into text.
pub trait Tokenizer {
    /// The ids of `text`. Total: any UTF-8 goes in.
    fn encode(&self, text: &str) -> Vec<i64>;
    /// The text of `ids`; ids outside the vocabulary become `�`.
    fn decode(&self, ids: &[i64]) -> String;
    /// How many ids there are.
    fn vocab_size(&self) -> i64;

    /// One id as text, for tables and the axes of figures.
    fn token(&self, id: i64) -> String {
        self.decode(&[id])
    }

    /// The id of one token, e.g. of a special one such as `<eos>` or `[MASK]`; `None` if there is none.
    fn id(&self, token: &str) -> Option<i64> {
        (0..self.vocab_size()).find(|&id| self.token(id) == token)
    }

    /// `text` in pieces, one for each of its ids.
    fn tokens(&self, text: &str) -> Vec<String> {
        self.encode(text).iter().map(|&id| self.token(id)).collect()
    }
}

/// What stands for ids outside a vocabulary.
const OUTSIDE: &str = "\u{FFFD}";
