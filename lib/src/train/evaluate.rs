//! A loss measured on data, with its uncertainty.

use tch::Tensor;

use crate::data::Batch;
use crate::no_grad;
use crate::runtime::quick;

/// A loss measured on data.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation {
    /// Mean loss in nats per id.
    pub loss: f64,
    /// Standard error of `loss`, from the spread between batches.
    pub standard_error: f64,
    /// Ids predicted.
    pub ids: i64,
}

/// Mean loss over `batches` (the first eight in a [`quick`] run), without gradients; `loss` returns the mean loss of one
/// batch in nats.
///
/// # Panics
/// If there are no batches.
pub fn evaluate(batches: impl Iterator<Item = Batch>, mut loss: impl FnMut(&Batch) -> Tensor) -> Evaluation {
    let (mut losses, mut ids) = (Vec::new(), 0);
    no_grad(|| {
        for batch in batches.take(if quick() { 8 } else { usize::MAX }) {
            ids += batch.targets.numel() as i64;
            losses.push(loss(&batch).double_value(&[]));
        }
    });
    assert!(
        !losses.is_empty(),
        "nothing to evaluate, the iterator gave no batch: make a new one, or take more text"
    );
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    Evaluation { loss: mean, standard_error: (variance / count).sqrt(), ids }
}
