//! What neighbours do to each other: a apple → an apple, le homme → l' homme, de le → du.

use super::model::{Sandhi, Tags};

/// A word with its tags, on the way to its sentence.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub text: String,
    pub tags: Tags,
}

impl Sandhi {
    /// Elides and contracts from the last word to the first, then drops the marks `*` and `/` and the pauses.
    pub fn apply(&self, tokens: Vec<Token>) -> Vec<Token> {
        let mut done: Vec<Token> = Vec::with_capacity(tokens.len()); // from the last to the first
        for mut token in tokens.into_iter().rev() {
            if let Some(next) = done.last_mut() {
                let pair = (token.text.clone(), next.text.clone());
                if let Some(one) = self.contract.get(&pair) {
                    next.text.clone_from(one);
                    next.tags.append(&mut token.tags);
                    continue;
                }
                let elided = self.elide.get(token.text.trim_start_matches('*'));
                if let Some(elided) = elided.filter(|_| self.begins_with_vowel(&next.text)) {
                    token.text.clone_from(elided);
                }
            }
            done.push(token);
        }
        for token in &mut done {
            token.text = token.text.trim_start_matches('*').trim_end_matches('/').to_string();
        }
        done.retain(|token| !token.text.is_empty());
        done.reverse();
        done
    }

    fn begins_with_vowel(&self, word: &str) -> bool {
        let first = word.chars().flat_map(char::to_lowercase).next();
        first.is_some_and(|c| self.vowels.contains(c))
    }
}
