//! Numbers that say how good a model is.

use std::f64::consts::LN_2;

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
