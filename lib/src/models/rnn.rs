//! The simple recurrent cell (Elman 1990), by hand.

use tch::{Device, Kind, Tensor};

/// The weights of one recurrent layer.
#[derive(Debug)]
pub struct RnnWeights {
    /// Input to hidden, `[input, hidden]`.
    pub xh: Tensor,
    /// Hidden to hidden, `[hidden, hidden]`.
    pub hh: Tensor,
    /// `[hidden]`
    pub bias: Tensor,
}

impl RnnWeights {
    /// Random weights, uniform in ±1/√hidden, that collect gradients.
    pub fn random(input: i64, hidden: i64) -> Self {
        Self {
            xh: uniform(&[input, hidden], hidden),
            hh: uniform(&[hidden, hidden], hidden),
            bias: uniform(&[hidden], hidden),
        }
    }
}

/// Numbers uniform in ±1/√hidden that collect gradients.
pub(super) fn uniform(shape: &[i64], hidden: i64) -> Tensor {
    let bound = 1.0 / (hidden as f64).sqrt();
    let numbers = Tensor::empty(shape, (Kind::Float, Device::Cpu)).uniform_(-bound, bound);
    numbers.set_requires_grad(true)
}

/// One step, h_t = tanh(x_t·W_xh + h_{t−1}·W_hh + b) (Elman 1990).
///
/// `x` `[batch, input]`, `hidden` `[batch, hidden]` → `[batch, hidden]`.
pub fn rnn_step(x: &Tensor, hidden: &Tensor, w: &RnnWeights) -> Tensor {
    (x.matmul(&w.xh) + hidden.matmul(&w.hh) + &w.bias).tanh()
}
