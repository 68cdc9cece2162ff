//! Beam search: the most probable whole sequence, approximately.

use tch::{Kind, Tensor};

use crate::no_grad;

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeamSearch {
    /// Sequences kept at each step; 1 is greedy decoding.
    pub width: usize,
    /// Longest sequence, in ids, `eos` counted.
    pub max_ids: usize,
    /// Strength of the length normalisation, see [`Hypothesis::score`]; 0 switches it off.
    pub alpha: f64,
    /// The id that ends a sequence; `None` if there is none.
    pub eos: Option<i64>,
}

/// A sequence that the search has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// The ids after the prompt, without `eos`.
    pub ids: Vec<i64>,
    /// Whether it ended in `eos` (else it ran into `max_ids`).
    pub finished: bool,
    /// ln p of the ids and of `eos`, given the prompt.
    pub log_prob: f64,
    /// `log_prob` / ((5 + length) / 6)^α, where `length` counts `eos` (Wu et al. 2016, eq. 14): without the
    /// division short sequences win, because every further id makes the probability smaller.
    pub score: f64,
}

/// The best continuations of `prompt`, the best score first, at most `width`.
///
/// `logits` receives all sequences that are still growing, `[sequences, time]`, prompt included, and returns
/// logits `[sequences, time, vocab]`. Sequences that have ended stay in the beam as long as their score is
/// among the best; the search ends when all have. Runs without gradients.
///
/// ```
/// use llm_course::decode::{BeamSearch, beam_search};
/// use tch::Tensor;
/// let search = BeamSearch { width: 2, max_ids: 5, alpha: 0.6, eos: Some(0) };
/// // after id 1 comes 2, after all others the end
/// let next = Tensor::from_slice2(&[[9f32, 0., 0.], [0., 0., 9.], [9., 0., 0.]]);
/// let found = beam_search(&[1], search, |ids| Tensor::embedding(&next, ids, -1, false, false));
/// assert_eq!(found[0].ids, [2]);
/// ```
///
/// # Panics
/// If the prompt is empty or the width is 0.
pub fn beam_search(
    prompt: &[i64],
    search: BeamSearch,
    mut logits: impl FnMut(&Tensor) -> Tensor,
) -> Vec<Hypothesis> {
    assert!(!prompt.is_empty(), "the prompt is empty: give at least one id to start from, e.g. <bos>");
    assert!(search.width > 0, "a beam of width 0 keeps nothing: use 1 for greedy decoding");
    let mut beam = vec![Hypothesis { ids: Vec::new(), finished: false, log_prob: 0.0, score: 0.0 }];
    for _ in 0..search.max_ids {
        let (mut candidates, growing): (Vec<_>, Vec<_>) = beam.into_iter().partition(|h| h.finished);
        if growing.is_empty() {
            return candidates;
        }
        let rows: Vec<Vec<i64>> = growing.iter().map(|h| [prompt, &h.ids].concat()).collect();
        let log_probs = no_grad(|| {
            let last = logits(&Tensor::from_slice2(&rows)).select(1, -1); // [sequences, vocab]
            last.log_softmax(-1, Kind::Double)
        });
        for (row, hypothesis) in growing.iter().enumerate() {
            // More than `width` continuations of one sequence cannot all stay.
            let keep = log_probs.size()[1].min(search.width as i64);
            let (values, ids) = log_probs.get(row as i64).topk(keep, -1, true, true);
            candidates.extend(
                (0..keep)
                    .map(|i| hypothesis.grown(ids.int64_value(&[i]), values.double_value(&[i]), &search)),
            );
        }
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        candidates.truncate(search.width);
        beam = candidates;
    }
    beam
}

impl Hypothesis {
    fn grown(&self, id: i64, log_prob: f64, search: &BeamSearch) -> Self {
        let finished = search.eos == Some(id);
        let ids = if finished { self.ids.clone() } else { [&self.ids[..], &[id]].concat() };
        let length = (self.ids.len() + 1) as f64;
        let log_prob = self.log_prob + log_prob;
        Self { ids, finished, log_prob, score: log_prob / ((5.0 + length) / 6.0).powf(search.alpha) }
    }
}
