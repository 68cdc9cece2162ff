//! The course's own glossary, as texts to search in.

use std::path::Path;

use fancy_regex::Regex;

use super::read_text;
use crate::error::{Error, Result};

/// The lesson that holds the glossary.
const START: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../notebooks/source/00_start_here.md");

/// An entry of the glossary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is explained, as it is spelt there: `beam search`, `BERT`.
    pub name: String,
    /// The explanation in plain text, without links and without the lesson's number.
    pub text: String,
}

/// All terms of the course's glossary (lesson 00), in alphabetical order.
///
/// ```
/// use llm_course::data::glossary;
/// let terms = glossary()?;
/// let search = terms.iter().find(|term| term.name == "beam search").unwrap();
/// assert!(search.text.starts_with("Decoding that keeps"));
/// # Ok::<(), llm_course::Error>(())
/// ```
///
/// # Errors
/// If `notebooks/source/00_start_here.md` of the course is missing or holds no glossary.
pub fn glossary() -> Result<Vec<Term>> {
    let text = read_text(Path::new(START))?;
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").expect("a fixed pattern");
    let lesson = Regex::new(r"\s*\*Lesson \d+\*").expect("a fixed pattern");
    let entries = text.split_once("\n## Glossary\n").map_or("", |(_, entries)| entries);
    let terms: Vec<Term> = entries
        .split("\n##### ")
        .skip(1)
        .filter_map(|entry| entry.split_once('\n'))
        .map(|(name, text)| {
            let text = link.replace_all(text, "$1");
            let words: Vec<&str> = text.split_whitespace().collect();
            Term { name: name.trim().into(), text: lesson.replace_all(&words.join(" "), "").into_owned() }
        })
        .collect();
    if terms.is_empty() {
        return Err(Error::input(format!("{START}: no glossary in it; restore the file")));
    }
    Ok(terms)
}
