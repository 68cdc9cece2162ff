//! The position-wise feed-forward layer (Vaswani et al. 2017, § 3.3).

use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use super::fused::{Layer, Middle};
use super::{Linear, WeightInit, init::linear};

/// What stands between the two matrices of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// max(0, x)
    #[serde(rename = "relu")]
    Relu,
    /// x·Φ(x), with Φ the normal distribution function (Hendrycks & Gimpel 2016); BERT's.
    #[serde(rename = "gelu")]
    Gelu,
    /// Its approximation by tanh, `gelu_new` in Hugging Face's configurations; GPT-2's.
    #[serde(rename = "gelu_new")]
    GeluTanh,
}

impl Activation {
    /// Of every number of `x`, any shape.
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu("none"),
            Self::GeluTanh => x.gelu("tanh"),
        }
    }
}

/// `[…, d_model]` → `d_ff` numbers → activation → `[…, d_model]`, each position by itself.
#[derive(Debug)]
pub struct FeedForward {
    up: Linear,   // [d_ff, d_model]
    down: Linear, // [d_model, d_ff]
    activation: Activation,
}

impl FeedForward {
    /// Weights `up` and `down` under `path`.
    pub fn new(path: nn::Path, d_model: i64, d_ff: i64, activation: Activation, init: WeightInit) -> Self {
        let up = linear(&path / "up", d_model, d_ff, init.inner(d_model, d_ff));
        let down = linear(&path / "down", d_ff, d_model, init.residual(d_ff, d_model));
        Self { up: up.into(), down: down.into(), activation }
    }

    /// `[…, d_model]` → `[…, d_model]`
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.activation.apply(&x.apply(&self.up)).apply(&self.down)
    }

    /// The fused form of [`forward`](Self::forward).
    pub(super) fn fused(&self) -> Layer<'_> {
        Layer { inner: &self.up, middle: Middle::Activation(self.activation), outer: &self.down }
    }

    /// The first and the second matrix.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 2] {
        [&mut self.up, &mut self.down]
    }
}
