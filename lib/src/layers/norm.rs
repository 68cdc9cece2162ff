//! Layer normalisation (Ba, Kiros & Hinton 2016).

use tch::{Kind, Tensor, nn};

/// γ·(x − mean)/√(variance + ε) + β over the last dimension; the variance divides by n, and ε stands inside
/// the root.
///
/// `x` `[…, d_model]`, `weight` γ and `bias` β `[d_model]` → `[…, d_model]`.
pub fn layer_norm_by_hand(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Tensor {
    let centred = x - x.mean_dim(-1, true, None::<Kind>);
    let variance = centred.square().mean_dim(-1, true, None::<Kind>); // […, 1]
    centred / (variance + eps).sqrt() * weight + bias
}

/// libtorch's fused layer norm over the last `d_model` numbers, γ 1 and β 0 to start with.
pub fn layer_norm(path: nn::Path, d_model: i64, eps: f64) -> nn::LayerNorm {
    nn::layer_norm(path, vec![d_model], nn::LayerNormConfig { eps, ..Default::default() })
}
