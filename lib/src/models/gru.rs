//! The gated recurrent unit (Cho et al. 2014), by hand.

use tch::Tensor;

use super::rnn::uniform;

/// The weights of one GRU layer: three blocks side by side, for reset gate, update gate and candidate, in
/// libtorch's order.
#[derive(Debug)]
pub struct GruWeights {
    /// Input to gates, `[input, 3 · hidden]`.
    pub xh: Tensor,
    /// Hidden to gates, `[hidden, 3 · hidden]`.
    pub hh: Tensor,
    /// Beside the input, `[3 · hidden]`.
    pub bias: Tensor,
    /// Beside the hidden state, `[3 · hidden]`: not one sum with `bias`, because the reset gate multiplies
    /// only this one.
    pub hidden_bias: Tensor,
}

impl GruWeights {
    /// Random weights, uniform in ±1/√hidden, that collect gradients.
    pub fn random(input: i64, hidden: i64) -> Self {
        Self {
            xh: uniform(&[input, 3 * hidden], hidden),
            hh: uniform(&[hidden, 3 * hidden], hidden),
            bias: uniform(&[3 * hidden], hidden),
            hidden_bias: uniform(&[3 * hidden], hidden),
        }
    }
}

/// What happened inside a GRU layer: `[batch, hidden]` for a step, `[batch, time, hidden]` for a text.
#[derive(Debug)]
pub struct GruGates {
    /// r, how much of the old state the candidate sees, 0 … 1.
    pub reset: Tensor,
    /// z, how much of the old state is kept, 0 … 1.
    pub update: Tensor,
    /// h̃, what may replace it, −1 … 1.
    pub candidate: Tensor,
    /// h, the state after the step, −1 … 1 if it began there.
    pub hidden: Tensor,
}

impl GruGates {
    /// The gates over a text, `x` `[batch, time, input]`, begun in `hidden` `[batch, hidden]`.
    pub fn over_time(x: &Tensor, hidden: &Tensor, w: &GruWeights) -> Self {
        let mut hidden = hidden.shallow_clone();
        let steps: Vec<Self> = (0..x.size()[1])
            .map(|t| {
                let gates = gru_gates(&x.select(1, t), &hidden, w);
                hidden = gates.hidden.shallow_clone();
                gates
            })
            .collect();
        let stack = |of: fn(&Self) -> &Tensor| Tensor::stack(&steps.iter().map(of).collect::<Vec<_>>(), 1);
        Self {
            reset: stack(|gates| &gates.reset),
            update: stack(|gates| &gates.update),
            candidate: stack(|gates| &gates.candidate),
            hidden: stack(|gates| &gates.hidden),
        }
    }
}

/// One step's gates and new hidden state (Cho et al. 2014, equations 5 to 8):
///
/// r, z = σ(x_t·W + h_{t−1}·U + b), h̃ = tanh(x_t·W + b + r ⊙ (h_{t−1}·U + b')), each with its own W, U
/// and b; h_t = z ⊙ h_{t−1} + (1 − z) ⊙ h̃.
///
/// The reset gate comes after the matrix, as in the paper's first version and in libtorch; the paper's
/// final version has (r ⊙ h_{t−1})·U.
///
/// `x` `[batch, input]`, `hidden` `[batch, hidden]`.
pub fn gru_gates(x: &Tensor, hidden: &Tensor, w: &GruWeights) -> GruGates {
    let from_x = (x.matmul(&w.xh) + &w.bias).chunk(3, -1);
    let from_hidden = (hidden.matmul(&w.hh) + &w.hidden_bias).chunk(3, -1);
    let reset = (&from_x[0] + &from_hidden[0]).sigmoid();
    let update = (&from_x[1] + &from_hidden[1]).sigmoid();
    let candidate = (&from_x[2] + &reset * &from_hidden[2]).tanh();
    let hidden = &update * hidden + (1.0 - &update) * &candidate;
    GruGates { reset, update, candidate, hidden }
}

/// One step, h_t = z ⊙ h_{t−1} + (1 − z) ⊙ h̃ with the gates of [`gru_gates`].
///
/// `x` `[batch, input]`, `hidden` `[batch, hidden]` → `[batch, hidden]`.
pub fn gru_step(x: &Tensor, hidden: &Tensor, w: &GruWeights) -> Tensor {
    gru_gates(x, hidden, w).hidden
}
