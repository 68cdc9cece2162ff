//! The character RNN (Elman 1990): embedding → recurrent layer → logits.

use tch::{Device, Kind, Tensor, nn};

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
        let bound = 1.0 / (hidden as f64).sqrt();
        let uniform = |shape: &[i64]| {
            let numbers = Tensor::empty(shape, (Kind::Float, Device::Cpu)).uniform_(-bound, bound);
            numbers.set_requires_grad(true)
        };
        Self { xh: uniform(&[input, hidden]), hh: uniform(&[hidden, hidden]), bias: uniform(&[hidden]) }
    }
}

/// One step, h_t = tanh(x_t·W_xh + h_{t−1}·W_hh + b) (Elman 1990).
///
/// `x` `[batch, input]`, `hidden` `[batch, hidden]` → `[batch, hidden]`.
pub fn rnn_step(x: &Tensor, hidden: &Tensor, w: &RnnWeights) -> Tensor {
    (x.matmul(&w.xh) + hidden.matmul(&w.hh) + &w.bias).tanh()
}

/// Sizes of a [`CharRnn`].
#[derive(Clone, Copy, Debug)]
pub struct CharRnnConfig {
    /// Different ids.
    pub vocab_size: i64,
    /// Numbers that stand for one id.
    pub embed_dim: i64,
    /// Numbers in the hidden state.
    pub hidden_dim: i64,
}

/// A recurrent language model over characters, on libtorch's own recurrent kernel.
#[derive(Debug)]
pub struct CharRnn {
    embedding: nn::Embedding,
    params: [Tensor; 4], // weight_ih [hidden, input], weight_hh [hidden, hidden], bias_ih, bias_hh [hidden]
    head: nn::Linear,
    hidden_dim: i64,
}

impl CharRnn {
    /// Random weights under `path`, uniform in ±1/√hidden_dim as in libtorch's layers.
    pub fn new(path: &nn::Path, config: CharRnnConfig) -> Self {
        let CharRnnConfig { vocab_size, embed_dim, hidden_dim } = config;
        let bound = 1.0 / (hidden_dim as f64).sqrt();
        let init = nn::Init::Uniform { lo: -bound, up: bound };
        let rnn = path / "rnn";
        let params = [
            rnn.var("weight_ih_l0", &[hidden_dim, embed_dim], init),
            rnn.var("weight_hh_l0", &[hidden_dim, hidden_dim], init),
            rnn.var("bias_ih_l0", &[hidden_dim], init),
            rnn.var("bias_hh_l0", &[hidden_dim], init),
        ];
        let embedding = nn::embedding(path / "embedding", vocab_size, embed_dim, Default::default());
        let head = nn::linear(path / "head", hidden_dim, vocab_size, Default::default());
        Self { embedding, params, head, hidden_dim }
    }

    /// The state before the first character, zeros `[batch, hidden]`.
    pub fn zero_state(&self, batch: i64) -> Tensor {
        Tensor::zeros([batch, self.hidden_dim], (Kind::Float, self.params[0].device()))
    }

    /// `ids` `[batch, time]`, `hidden` `[batch, hidden]` → logits `[batch, time, vocab]` and the last
    /// hidden state `[batch, hidden]`.
    pub fn forward(&self, ids: &Tensor, hidden: &Tensor) -> (Tensor, Tensor) {
        let x = ids.apply(&self.embedding); // [batch, time, embed]
        let (states, last) = x.rnn_tanh(&hidden.unsqueeze(0), &self.params, true, 1, 0.0, false, false, true);
        (states.apply(&self.head), last.squeeze_dim(0))
    }

    /// The recurrent layer's weights in the layout of [`rnn_step`] (views, not copies; the two biases that
    /// libtorch keeps are added up).
    pub fn weights(&self) -> RnnWeights {
        let [ih, hh, bias_ih, bias_hh] = &self.params;
        RnnWeights { xh: ih.tr(), hh: hh.tr(), bias: bias_ih + bias_hh }
    }
}
