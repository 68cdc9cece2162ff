//! The LSTM cell (Hochreiter & Schmidhuber 1997) with forget gates (Gers, Schmidhuber & Cummins 2000), by
//! hand.

use tch::Tensor;

use super::rnn::uniform;

/// The weights of one LSTM layer: four blocks side by side, for input gate, forget gate, candidate and output
/// gate, in libtorch's order.
#[derive(Debug)]
pub struct LstmWeights {
    /// Input to gates, `[input, 4 · hidden]`.
    pub xh: Tensor,
    /// Hidden to gates, `[hidden, 4 · hidden]`.
    pub hh: Tensor,
    /// `[4 · hidden]`
    pub bias: Tensor,
}

impl LstmWeights {
    /// Random weights, uniform in ±1/√hidden, that collect gradients.
    pub fn random(input: i64, hidden: i64) -> Self {
        Self {
            xh: uniform(&[input, 4 * hidden], hidden),
            hh: uniform(&[hidden, 4 * hidden], hidden),
            bias: uniform(&[4 * hidden], hidden),
        }
    }
}

/// What happened inside an LSTM layer: `[batch, hidden]` for a step, `[batch, time, hidden]` for a text.
#[derive(Debug)]
pub struct LstmGates {
    /// i, how much of the candidate is written, 0 … 1.
    pub input: Tensor,
    /// f, how much of the old cell is kept, 0 … 1.
    pub forget: Tensor,
    /// g, what may be written, −1 … 1.
    pub candidate: Tensor,
    /// o, how much of the cell is shown, 0 … 1.
    pub output: Tensor,
    /// c, the cell after the step: any number.
    pub cell: Tensor,
}

impl LstmGates {
    /// The hidden state after the step, h = o ⊙ tanh(c).
    pub fn hidden(&self) -> Tensor {
        &self.output * self.cell.tanh()
    }

    /// The gates over a text, `x` `[batch, time, input]`, begun in `hidden` and `cell` `[batch, hidden]`.
    pub fn over_time(x: &Tensor, hidden: &Tensor, cell: &Tensor, w: &LstmWeights) -> Self {
        let (mut hidden, mut cell) = (hidden.shallow_clone(), cell.shallow_clone());
        let steps: Vec<Self> = (0..x.size()[1])
            .map(|t| {
                let gates = lstm_gates(&x.select(1, t), &hidden, &cell, w);
                (hidden, cell) = (gates.hidden(), gates.cell.shallow_clone());
                gates
            })
            .collect();
        let stack = |of: fn(&Self) -> &Tensor| Tensor::stack(&steps.iter().map(of).collect::<Vec<_>>(), 1);
        Self {
            input: stack(|gates| &gates.input),
            forget: stack(|gates| &gates.forget),
            candidate: stack(|gates| &gates.candidate),
            output: stack(|gates| &gates.output),
            cell: stack(|gates| &gates.cell),
        }
    }
}

/// One step's gates and new cell (Gers, Schmidhuber & Cummins 2000, without peepholes):
///
/// i, f, o = σ(x_t·W + h_{t−1}·U + b), g = tanh(x_t·W + h_{t−1}·U + b), each with its own W, U and b;
/// c_t = f ⊙ c_{t−1} + i ⊙ g.
///
/// `x` `[batch, input]`, `hidden` and `cell` `[batch, hidden]`.
pub fn lstm_gates(x: &Tensor, hidden: &Tensor, cell: &Tensor, w: &LstmWeights) -> LstmGates {
    let sums = x.matmul(&w.xh) + hidden.matmul(&w.hh) + &w.bias; // [batch, 4 · hidden]
    let parts = sums.chunk(4, -1);
    let (input, forget, output) = (parts[0].sigmoid(), parts[1].sigmoid(), parts[3].sigmoid());
    let candidate = parts[2].tanh();
    let cell = &forget * cell + &input * &candidate;
    LstmGates { input, forget, candidate, output, cell }
}

/// One step, c_t = f ⊙ c_{t−1} + i ⊙ g and h_t = o ⊙ tanh(c_t) with the gates of [`lstm_gates`].
///
/// `x` `[batch, input]`, `hidden` and `cell` `[batch, hidden]` → the next `hidden` and `cell`.
pub fn lstm_step(x: &Tensor, hidden: &Tensor, cell: &Tensor, w: &LstmWeights) -> (Tensor, Tensor) {
    let gates = lstm_gates(x, hidden, cell, w);
    (gates.hidden(), gates.cell)
}
