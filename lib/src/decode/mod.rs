//! From logits to text.

mod beam;
mod sampling;

use tch::Tensor;

use crate::no_grad;

pub use self::beam::{BeamSearch, Hypothesis, beam_search};
pub use self::sampling::Sampling;

/// Continues `prompt` by `count` ids.
///
/// `logits` receives the ids it has not seen yet, `[1, time]` (first the prompt, then one id at a time),
/// and returns logits `[1, time, vocab]`; a recurrent model keeps its hidden state between the calls.
/// Runs without gradients.
///
/// # Panics
/// If the prompt is empty: a model needs at least one id to start from.
pub fn generate(
    prompt: &[i64],
    count: usize,
    sampling: Sampling,
    mut logits: impl FnMut(&Tensor) -> Tensor,
) -> Vec<i64> {
    assert!(!prompt.is_empty(), "the prompt is empty: give at least one character to start from");
    no_grad(|| {
        let mut unseen = Tensor::from_slice(prompt).unsqueeze(0);
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let last = logits(&unseen).select(1, -1); // [1, vocab]
            unseen = sampling.choose(&last).unsqueeze(0); // [1, 1]
            ids.push(unseen.int64_value(&[0, 0]));
        }
        ids
    })
}

/// The most probable id at each step for each row of a batch, from the ids `start` `[batch]` until every row has
/// said `end_id` or has `max_length` ids; without start and end.
///
/// `logits` receives the ids said last, `[batch]`, and returns logits `[batch, vocab]` of the next ones; the model
/// keeps its state between the calls. Runs without gradients.
///
/// ```
/// use llm_course::decode::greedy;
/// use tch::{Kind, Tensor};
/// let next = Tensor::eye(4, (Kind::Float, tch::Device::Cpu)).roll([1], [1]); // after id i comes i + 1
/// let said = greedy(&Tensor::from_slice(&[0i64, 1]), 3, 10, |last| next.index_select(0, last));
/// assert_eq!(said, [vec![1, 2], vec![2]]);
/// ```
pub fn greedy(
    start: &Tensor,
    end_id: i64,
    max_length: usize,
    mut logits: impl FnMut(&Tensor) -> Tensor,
) -> Vec<Vec<i64>> {
    let batch = start.size()[0] as usize;
    let (mut ids, mut open) = (vec![Vec::new(); batch], vec![true; batch]);
    no_grad(|| {
        let mut last = start.shallow_clone();
        for _ in 0..max_length {
            last = logits(&last).argmax(-1, false);
            let said = Vec::<i64>::try_from(&last).expect("[batch] of ids");
            for (row, id) in said.into_iter().enumerate() {
                open[row] &= id != end_id;
                if open[row] {
                    ids[row].push(id);
                }
            }
            if !open.contains(&true) {
                break;
            }
        }
    });
    ids
}
