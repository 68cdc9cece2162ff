//! Scaled dot-product attention, softmax(Q·Kᵀ/√d)·V (Vaswani et al. 2017, equation 1).

use tch::{Device, Kind, Tensor};

use super::Mask;
use crate::native::as_it_is;

/// Attention step by step: the output `[batch, head, query, d_head]` and the weights
/// `[batch, head, query, key]`, which sum to 1 over the keys.
///
/// `q` `[batch, head, query, d_head]`, `k` and `v` `[batch, head, key, d_head]`; `mask` Bool, broadcasts to
/// the weights, true = may attend. A query that may attend to nothing gets zeros.
pub fn attention_by_hand(q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> (Tensor, Tensor) {
    let scale = 1.0 / (q.size()[q.dim() - 1] as f64).sqrt();
    let scores = q.matmul(&k.transpose(-2, -1)) * scale; // [batch, head, query, key]
    let weights = match mask {
        None => scores.softmax(-1, None::<Kind>),
        Some(mask) => {
            let closed = mask.logical_not();
            let weights = scores.masked_fill(&closed, f64::NEG_INFINITY).softmax(-1, None::<Kind>);
            weights.masked_fill(&closed, 0.0) // a row of −∞ alone would be NaN
        }
    };
    (weights.matmul(v), weights)
}

/// The same output from libtorch's fused kernel, which never stores the weights (FlashAttention, Dao et al.
/// 2022). Each weight is dropped with probability `dropout`: pass 0 when the model is not in training.
///
/// On a CPU bf16 is computed in f32, for the kernel for bf16 takes five times as long backward.
pub fn scaled_dot_product_attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask, dropout: f64) -> Tensor {
    let (allowed, causal) = match mask {
        Mask::Full => (None, false),
        Mask::Causal => (None, true),
        Mask::Where(allowed) => (Some(allowed), false),
    };
    let fused = |q: &Tensor, k: &Tensor, v: &Tensor| {
        Tensor::scaled_dot_product_attention(q, k, v, allowed, dropout, causal, None, false)
    };
    if q.device() == Device::Cpu && q.kind() == Kind::BFloat16 {
        let [q, k, v] = [q, k, v].map(|part| part.to_kind(Kind::Float));
        return as_it_is(|| fused(&q, &k, &v)).to_kind(Kind::BFloat16);
    }
    fused(q, k, v)
}
