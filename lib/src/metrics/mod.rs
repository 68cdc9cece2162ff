//! Numbers that say how good a model is.

mod alignment;
mod bleu;
mod classes;
mod rouge;

use std::collections::HashMap;
use std::f64::consts::LN_2;
use std::hash::Hash;

pub use self::alignment::{alignment_error_rate, strongest_links};
pub use self::bleu::{Bleu, Smoothing, bleu, sentence_bleu};
pub use self::classes::{Confusion, Scores};
pub use self::rouge::{rouge_l, rouge_n};

/// Perplexity, exp(loss), of a mean cross-entropy in nats: among how many equally likely symbols the model
/// is choosing on average.
///
/// ```
/// # use llm_course::metrics::perplexity;
/// assert!((perplexity(8f64.ln()) - 8.0).abs() < 1e-12);
/// ```
pub fn perplexity(nats: f64) -> f64 {
    nats.exp()
}

/// Bits of a loss in nats, loss / ln 2; per character if the loss was per character (Shannon 1948).
///
/// ```
/// # use llm_course::metrics::bits;
/// assert!((bits(8f64.ln()) - 3.0).abs() < 1e-12);
/// ```
pub fn bits(nats: f64) -> f64 {
    nats / LN_2
}

/// Bits per byte of a text, from the mean loss in nats per id, the number of ids and the text's bytes: the
/// measure that compares models with different vocabularies.
///
/// ```
/// # use llm_course::metrics::bits_per_byte;
/// // 3 bits an id, and an id stands for 4 bytes
/// assert!((bits_per_byte(8f64.ln(), 250, 1000) - 0.75).abs() < 1e-12);
/// ```
///
/// # Panics
/// If the text has no bytes.
pub fn bits_per_byte(nats_per_id: f64, ids: i64, bytes: i64) -> f64 {
    assert!(bytes > 0, "bits per byte of a text of {bytes} bytes: measure on a text that is not empty");
    bits(nats_per_id) * ids as f64 / bytes as f64
}

/// The share of `predicted` ids that equal `targets`.
///
/// # Panics
/// If the lengths differ or are 0.
pub fn accuracy(predicted: &[i64], targets: &[i64]) -> f64 {
    assert!(
        predicted.len() == targets.len() && !targets.is_empty(),
        "accuracy needs as many predictions as targets, and at least one: got {} and {}",
        predicted.len(),
        targets.len()
    );
    let hits = predicted.iter().zip(targets).filter(|(a, b)| a == b).count();
    hits as f64 / targets.len() as f64
}

/// How often each run of `n` tokens occurs.
fn ngrams<T: Eq + Hash>(tokens: &[T], n: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for run in tokens.windows(n) {
        *counts.entry(run).or_default() += 1;
    }
    counts
}

/// How many runs of `n` tokens two texts share, each counted as often as it occurs in both.
fn shared_ngrams<T: Eq + Hash>(a: &[T], b: &[T], n: usize) -> usize {
    let in_b = ngrams(b, n);
    ngrams(a, n).iter().map(|(run, &count)| count.min(in_b.get(run).copied().unwrap_or(0))).sum()
}
