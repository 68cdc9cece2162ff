//! ROUGE: a summary against a reference (Lin 2004), as the `rouge-score` package computes it without stemming.

use std::hash::Hash;

use super::{Scores, shared_ngrams};

/// ROUGE-n: runs of `n` tokens that `output` and `reference` share (Lin 2004, §2).
///
/// ```
/// use llm_course::metrics::rouge_n;
/// let scores = rouge_n(&["the", "cat", "sat"], &["the", "cat", "lay", "down"], 1);
/// assert_eq!((scores.precision, scores.recall), (2.0 / 3.0, 0.5));
/// ```
///
/// # Panics
/// If `n` is 0.
pub fn rouge_n<T: Eq + Hash>(output: &[T], reference: &[T], n: usize) -> Scores {
    assert!(n > 0, "ROUGE-0 compares nothing: use 1 or 2");
    let runs = |tokens: &[T]| (tokens.len() + 1).saturating_sub(n) as f64;
    Scores::new(shared_ngrams(output, reference, n) as f64, runs(output), runs(reference))
}

/// ROUGE-L: the longest sequence of tokens that occurs in both, gaps allowed (Lin 2004, §3.1, with β = 1).
///
/// ```
/// use llm_course::metrics::rouge_l;
/// assert_eq!(rouge_l(&["a", "b", "x", "c"], &["a", "b", "c"]).precision, 0.75);
/// ```
pub fn rouge_l<T: PartialEq>(output: &[T], reference: &[T]) -> Scores {
    let mut longest = vec![0; reference.len() + 1]; // [j]: for the output so far and j tokens of the reference
    for token in output {
        let mut diagonal = 0;
        for (j, other) in reference.iter().enumerate() {
            let above = longest[j + 1];
            longest[j + 1] = if token == other { diagonal + 1 } else { above.max(longest[j]) };
            diagonal = above;
        }
    }
    Scores::new(f64::from(longest[reference.len()]), output.len() as f64, reference.len() as f64)
}
