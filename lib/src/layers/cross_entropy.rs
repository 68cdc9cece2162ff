//! The loss of all models here.

use tch::Tensor;

use super::fused;
use crate::data::IGNORE;

/// Mean cross-entropy in nats, a scalar, of `logits` `[…, vocab]` over the `targets` `[…]`, ids that are not [`IGNORE`];
/// NaN if all are.
///
/// # Panics
/// If the shapes do not fit or a target is not below `vocab`.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    smoothed_cross_entropy(logits, targets, 0.0)
}

/// [`cross_entropy`] in which each target shares out `smoothing` of its probability evenly (Szegedy et al. 2016, § 7).
///
/// # Panics
/// As [`cross_entropy`].
pub fn smoothed_cross_entropy(logits: &Tensor, targets: &Tensor, smoothing: f64) -> Tensor {
    let size = logits.size();
    let (vocab, places) = size.split_last().expect("logits have a dimension");
    assert!(
        places == targets.size(),
        "targets {:?} for logits {size:?}: one for each row is needed",
        targets.size()
    );
    let (logits, targets) = (logits.reshape([-1, *vocab]), targets.flatten(0, -1));
    fused::cross_entropy(&logits, &targets, smoothing).unwrap_or_else(|| {
        let mean = tch::Reduction::Mean;
        logits.cross_entropy_loss::<Tensor>(&targets, None, mean, IGNORE, smoothing)
    })
}
