//! What a decoder carries from word to word, and what it gives back.

use tch::Tensor;

use super::RecurrentState;
use crate::layers::{Memory, cross_entropy};

/// What a decoder needs to go on: one row for each text of the batch, or for each beam.
#[derive(Debug)]
pub struct DecoderState {
    /// The decoder's own state.
    pub recurrent: RecurrentState,
    /// Attention weights of the last step, `[batch, src_time]`; none before the first and without attention.
    pub weights: Option<Tensor>,
    pub(super) memory: Option<Memory>,
}

impl DecoderState {
    /// The states of `rows` `[n]` of the batch, in that order; a row may come several times, as a beam does.
    pub fn select(&self, rows: &Tensor) -> Self {
        Self {
            recurrent: self.recurrent.select(rows),
            weights: self.weights.as_ref().map(|weights| weights.index_select(0, rows)),
            memory: self.memory.as_ref().map(|memory| memory.select(rows)),
        }
    }

    /// The same tensors behind a second handle, without a copy.
    pub fn shallow_clone(&self) -> Self {
        Self {
            recurrent: self.recurrent.shallow_clone(),
            weights: self.weights.as_ref().map(Tensor::shallow_clone),
            memory: self.memory.as_ref().map(Memory::shallow_clone),
        }
    }
}

/// What a decoder says about a whole target.
#[derive(Debug)]
pub struct Decoded {
    /// `[batch, tgt_time, vocab]`: after each input.
    pub logits: Tensor,
    /// Attention weights `[batch, tgt_time, src_time]`, if there is attention.
    pub weights: Option<Tensor>,
}

impl Decoded {
    /// Mean cross-entropy in nats over the targets `[batch, tgt_time]` that are not [`IGNORE`](crate::data::IGNORE).
    ///
    /// # Panics
    /// If `targets` are of another shape.
    pub fn loss(&self, targets: &Tensor) -> Tensor {
        let (said, wanted) = (self.logits.size(), targets.size());
        assert!(
            said[..2] == wanted,
            "targets {wanted:?} for logits {said:?}: give tgt_out of the same batch as tgt_in"
        );
        cross_entropy(&self.logits, targets)
    }
}

/// Greedy translations of a batch.
#[derive(Debug)]
pub struct Translation {
    /// The words of each text, without start and end.
    pub ids: Vec<Vec<i64>>,
    /// Attention weights `[batch, tgt_time, src_time]`, the step that wrote the end included.
    pub weights: Option<Tensor>,
}

/// Steps `[batch, 1, …]` in a row; `None` if there are none.
pub(super) fn joined(steps: &[Tensor]) -> Option<Tensor> {
    (!steps.is_empty()).then(|| Tensor::cat(steps, 1))
}
