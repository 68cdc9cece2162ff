//! Layers of RNN, LSTM or GRU cells on libtorch's fused kernels; their weights can be read in the layout of
//! the cells by hand.

use tch::{Kind, Tensor, nn};

use crate::layers::gru_step;
use crate::no_grad;

use super::RecurrentState;

/// Which recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// [`rnn_step`](super::rnn_step)
    Rnn,
    /// [`lstm_step`](super::lstm_step)
    Lstm,
    /// [`gru_step`](super::gru_step)
    Gru,
}

impl CellKind {
    /// Blocks of `hidden` columns in a weight matrix.
    fn blocks(self) -> i64 {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// Sizes and options of a [`Recurrent`] layer.
#[derive(Clone, Copy, Debug)]
pub struct RecurrentConfig {
    /// Which cell.
    pub kind: CellKind,
    /// Numbers in an input.
    pub input_dim: i64,
    /// Numbers in a hidden state, of each direction.
    pub hidden_dim: i64,
    /// Layers on top of each other.
    pub n_layers: i64,
    /// Share of numbers set to 0 between two layers in training (Zaremba, Sutskever & Vinyals 2014).
    pub dropout: f64,
    /// A second set of cells reads from the end to the beginning (Schuster & Paliwal 1997).
    pub bidirectional: bool,
    /// Added to the initial bias of the LSTM's forget gates: 1 lets a new network remember (Jozefowicz,
    /// Zaremba & Sutskever 2015); the other kinds have no such gate.
    pub forget_bias: f64,
}

impl RecurrentConfig {
    /// One layer, one direction, no dropout, no forget bias.
    pub fn new(kind: CellKind, input_dim: i64, hidden_dim: i64) -> Self {
        let (n_layers, dropout, bidirectional, forget_bias) = (1, 0.0, false, 0.0);
        Self { kind, input_dim, hidden_dim, n_layers, dropout, bidirectional, forget_bias }
    }

    fn directions(&self) -> i64 {
        if self.bidirectional { 2 } else { 1 }
    }
}

/// Layers of recurrent cells on libtorch's fused kernels. Parameters are named as in PyTorch's `nn.LSTM`.
///
/// ```
/// use llm_course::models::{CellKind, Recurrent, RecurrentConfig};
/// use llm_course::tch::{Device, Kind, Tensor, nn};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let lstm = Recurrent::new(&vs.root(), RecurrentConfig::new(CellKind::Lstm, 3, 5));
/// let x = Tensor::randn([2, 7, 3], (Kind::Float, Device::Cpu));
/// let (states, last) = lstm.forward(&x, &lstm.zero_state(2));
/// assert_eq!((states.size(), last.hidden.size()), (vec![2, 7, 5], vec![1, 2, 5]));
/// ```
#[derive(Debug)]
pub struct Recurrent {
    pub(super) config: RecurrentConfig,
    pub(super) params: Vec<Tensor>, // for each layer and direction: weight_ih, weight_hh, bias_ih, bias_hh
}

impl Recurrent {
    /// Random weights under `path`, uniform in ±1/√hidden_dim as in PyTorch's layers.
    pub fn new(path: &nn::Path, config: RecurrentConfig) -> Self {
        let RecurrentConfig { kind, input_dim, hidden_dim, n_layers, .. } = config;
        let bound = 1.0 / (hidden_dim as f64).sqrt();
        let init = nn::Init::Uniform { lo: -bound, up: bound };
        let rows = kind.blocks() * hidden_dim;
        let mut params = Vec::new();
        for layer in 0..n_layers {
            let columns = if layer == 0 { input_dim } else { hidden_dim * config.directions() };
            for suffix in ["", "_reverse"].into_iter().take(config.directions() as usize) {
                let var =
                    |name: &str, shape: &[i64]| path.var(&format!("{name}_l{layer}{suffix}"), shape, init);
                params.push(var("weight_ih", &[rows, columns]));
                params.push(var("weight_hh", &[rows, hidden_dim]));
                params.push(var("bias_ih", &[rows]));
                params.push(var("bias_hh", &[rows]));
            }
        }
        if kind == CellKind::Lstm {
            for bias in params.iter().skip(2).step_by(4) {
                let _ = no_grad(|| bias.narrow(0, hidden_dim, hidden_dim).g_add_scalar_(config.forget_bias));
            }
        }
        let layer = Self { config, params };
        layer.flatten_for_cudnn();
        layer
    }

    /// The state before the first step, zeros.
    pub fn zero_state(&self, batch: i64) -> RecurrentState {
        let cells = self.config.n_layers * self.config.directions();
        let options = (self.params[0].kind(), self.params[0].device());
        let zeros = || Tensor::zeros([cells, batch, self.config.hidden_dim], options);
        RecurrentState { hidden: zeros(), cell: (self.config.kind == CellKind::Lstm).then(zeros) }
    }

    /// `x` `[batch, time, input]` and the state before it → the hidden states of the last layer
    /// `[batch, time, hidden · directions]` and the state after it. Without dropout.
    pub fn forward(&self, x: &Tensor, state: &RecurrentState) -> (Tensor, RecurrentState) {
        self.forward_t(x, state, false)
    }

    /// [`forward`](Self::forward), with dropout between the layers if `train`.
    ///
    /// # Panics
    /// If `x` is of another shape, or the state that of another batch or kind of cell.
    pub fn forward_t(&self, x: &Tensor, state: &RecurrentState, train: bool) -> (Tensor, RecurrentState) {
        let RecurrentConfig { kind, n_layers: n, bidirectional: both, .. } = self.config;
        self.check(x);
        let (batch, states) = (x.size()[0], state.hidden.size());
        let want = [n * self.config.directions(), batch, self.config.hidden_dim];
        assert!(
            states == want,
            "the state is {states:?}, not {want:?}: begin with zero_state({batch}) of this layer"
        );
        let (params, (dropout, train)) = (&self.params, self.mode(train));
        match (kind, &state.hidden, &state.cell) {
            (CellKind::Lstm, hidden, Some(cell)) => {
                let state = [hidden.shallow_clone(), cell.shallow_clone()];
                with_cell(x.lstm(&state, params, true, n, dropout, train, both, true))
            }
            (CellKind::Rnn, hidden, None) => {
                without_cell(x.rnn_tanh(hidden, params, true, n, dropout, train, both, true))
            }
            (CellKind::Gru, hidden, None) => without_cell(
                self.one_gru_step(x, hidden)
                    .unwrap_or_else(|| x.gru(hidden, params, true, n, dropout, train, both, true)),
            ),
            _ => panic!("a {kind:?} layer got another kind's state: begin with its own zero_state"),
        }
    }

    /// Texts of different lengths from a zero state: steps at padding are never computed (libtorch's packed
    /// sequences), so that they change nothing, whatever they hold.
    ///
    /// `x` `[batch, time, input]`, `mask` `[batch, time]` Bool, true at real steps, padding at the end →
    /// the hidden states `[batch, time, hidden · directions]`, 0 at padding, and the state after each text's
    /// last real step.
    ///
    /// # Panics
    /// If a text is empty or begins with padding, or `x` or `mask` is of another shape.
    pub fn forward_masked(&self, x: &Tensor, mask: &Tensor, train: bool) -> (Tensor, RecurrentState) {
        let RecurrentConfig { kind, n_layers: n, bidirectional: both, .. } = self.config;
        let (params, (dropout, train)) = (&self.params, self.mode(train));
        self.check(x);
        let lengths = lengths(mask, &x.size()[..2]);
        if lengths.min().int64_value(&[]) == x.size()[1] {
            return self.forward_t(x, &self.zero_state(x.size()[0]), train);
        }
        let order = lengths.argsort_stable(true, 0, true); // longest first, as the kernels ask
        let back = order.argsort(0, false).to_device(x.device());
        let sorted = x.index_select(0, &order.to_device(x.device()));
        let (data, sizes) = sorted.internal_pack_padded_sequence(&lengths.index_select(0, &order), true);
        let RecurrentState { hidden, cell } = self.zero_state(x.size()[0]);
        let (data, last) = match (kind, cell) {
            (CellKind::Lstm, cell) => {
                let state: Vec<Tensor> = std::iter::once(hidden).chain(cell).collect();
                with_cell(Tensor::lstm_data(&data, &sizes, &state, params, true, n, dropout, train, both))
            }
            (CellKind::Rnn, _) => without_cell(Tensor::rnn_tanh_data(
                &data, &sizes, &hidden, params, true, n, dropout, train, both,
            )),
            (CellKind::Gru, _) => {
                without_cell(Tensor::gru_data(&data, &sizes, &hidden, params, true, n, dropout, train, both))
            }
        };
        let (states, _) = Tensor::internal_pad_packed_sequence(&data, &sizes, true, 0.0, mask.size()[1]);
        (states.index_select(0, &back), last.select(&back))
    }

    /// What `Tensor::gru` gives for one step of one layer, with one operation in place of a dozen: a decoder takes such
    /// steps. `None` where libtorch has to do it.
    fn one_gru_step(&self, x: &Tensor, hidden: &Tensor) -> Option<(Tensor, Tensor)> {
        let [w, u, b, c] = &self.params[..] else { return None };
        let step = || gru_step(&x.squeeze_dim(1), &hidden.squeeze_dim(0), [w, u, b, c]);
        let next = (x.size()[1] == 1).then(step).flatten()?;
        Some((next.unsqueeze(1), next.unsqueeze(0)))
    }

    fn check(&self, x: &Tensor) {
        let (size, input) = (x.size(), self.config.input_dim);
        assert!(
            size.len() == 3 && size[2] == input && x.numel() > 0,
            "a recurrent layer needs x [batch, time, {input}] that is not empty, got {size:?}: change the input or input_dim"
        );
    }

    /// Dropout, and whether the kernels run in training mode: cuDNN's give gradients in no other.
    fn mode(&self, train: bool) -> (f64, bool) {
        let dropout = if train { self.config.dropout } else { 0.0 };
        (dropout, train || self.params[0].device().is_cuda())
    }

    /// cuDNN wants its weights in one piece of memory, and says so on stderr at every call if they are not.
    fn flatten_for_cudnn(&self) {
        let RecurrentConfig { kind, input_dim, hidden_dim, n_layers, bidirectional, .. } = self.config;
        if !(self.params[0].device().is_cuda() && tch::Cuda::cudnn_is_available()) {
            return;
        }
        let mode = match kind {
            CellKind::Rnn => 1,
            CellKind::Lstm => 2,
            CellKind::Gru => 3,
        };
        let _ = no_grad(|| {
            Tensor::internal_cudnn_rnn_flatten_weight(
                &self.params,
                4,
                input_dim,
                mode,
                hidden_dim,
                0,
                n_layers,
                true,
                bidirectional,
            )
        });
    }
}

fn with_cell((states, hidden, cell): (Tensor, Tensor, Tensor)) -> (Tensor, RecurrentState) {
    (states, RecurrentState { hidden, cell: Some(cell) })
}

fn without_cell((states, hidden): (Tensor, Tensor)) -> (Tensor, RecurrentState) {
    (states, RecurrentState { hidden, cell: None })
}

/// Real steps of each text, `[batch]`, on the CPU where the kernels want them.
fn lengths(mask: &Tensor, size: &[i64]) -> Tensor {
    assert!(
        mask.size() == size && mask.kind() == Kind::Bool,
        "the mask must be Bool {size:?} as the texts, got {:?} {:?}: make it of the same ids, e.g. with ids.ne(0)",
        mask.kind(),
        mask.size()
    );
    let lengths = mask.sum_dim_intlist(1, false, Kind::Int64);
    let steps = Tensor::arange(mask.size()[1], (Kind::Int64, mask.device()));
    assert!(
        steps.less_tensor(&lengths.unsqueeze(1)) == *mask,
        "the mask has padding before a real step: move padding to the end of each text"
    );
    let lengths = lengths.to_device(tch::Device::Cpu);
    assert!(lengths.min().int64_value(&[]) > 0, "a text of the batch has no real step: leave it out");
    lengths
}
