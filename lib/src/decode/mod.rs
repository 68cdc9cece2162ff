//! From logits to text.

mod beam;
mod sampling;

use tch::{Tensor, no_grad};

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
