//! From text to numbers and back.
//!
//! ```
//! use llm_course::tokenizers::{CharTokenizer, Tokenizer};
//! let tokenizer = CharTokenizer::new("to be");
//! assert_eq!(tokenizer.decode(&tokenizer.encode("bot")), "bot");
//! ```

mod char;

pub use self::char::CharTokenizer;

/// Turns text into ids `0..vocab_size` and ids into text.
pub trait Tokenizer {
    /// The ids of `text`. Total: any UTF-8 goes in.
    fn encode(&self, text: &str) -> Vec<i64>;
    /// The text of `ids`; ids outside the vocabulary become `�`.
    fn decode(&self, ids: &[i64]) -> String;
    /// How many ids there are.
    fn vocab_size(&self) -> i64;
}
