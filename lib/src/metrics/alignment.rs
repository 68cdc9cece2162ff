//! Word alignment: which source word a target word goes with.

use std::collections::HashSet;
use std::hash::Hash;

use tch::Tensor;

/// Alignment error rate, 1 − (|A∩S| + |A∩P|) / (|A| + |S|), over all sentences together (Och & Ney 2003,
/// eq. 24): 0 if all sure links were found and no link that is not at least possible; 1 if none is right.
///
/// For each sentence the links `found` (A), those an annotator is `sure` of (S) and those that are `possible`
/// (P; sure links are possible too and need not be repeated). A link is any pair, e.g. (target, source).
///
/// ```
/// use llm_course::metrics::alignment_error_rate;
/// let (sure, possible) = (vec![(0, 0), (1, 2)], vec![(2, 1)]);
/// let found = vec![(0, 0), (2, 1), (1, 1)];
/// let rate = alignment_error_rate(&[found], &[sure], &[possible]); // 1 − (1 + 2) / (3 + 2)
/// assert!((rate - 0.4f64).abs() < 1e-12);
/// ```
///
/// # Panics
/// If the numbers of sentences differ, or there are no links at all.
pub fn alignment_error_rate<L: Eq + Hash>(found: &[Vec<L>], sure: &[Vec<L>], possible: &[Vec<L>]) -> f64 {
    let sentences = [found.len(), sure.len(), possible.len()];
    assert!(
        sentences.iter().all(|&n| n == found.len()),
        "found, sure and possible links are needed for the same sentences: got {sentences:?} sentences"
    );
    let (mut hits, mut links) = (0, 0);
    for ((found, sure), possible) in found.iter().zip(sure).zip(possible) {
        let found: HashSet<&L> = found.iter().collect();
        let sure: HashSet<&L> = sure.iter().collect();
        let possible: HashSet<&L> = possible.iter().chain(sure.iter().copied()).collect();
        hits += found.intersection(&sure).count() + found.intersection(&possible).count();
        links += found.len() + sure.len();
    }
    assert!(
        links > 0,
        "no links found and none sure: the alignment error rate is undefined, so give a sentence with links"
    );
    1.0 - hits as f64 / links as f64
}

/// The links (target, source) of attention `weights` `[target, source]`: for each target word the source word
/// with the largest weight.
pub fn strongest_links(weights: &Tensor) -> Vec<(i64, i64)> {
    let strongest = weights.argmax(-1, false);
    (0..weights.size()[0]).map(|target| (target, strongest.int64_value(&[target]))).collect()
}
