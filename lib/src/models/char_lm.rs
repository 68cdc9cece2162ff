//! The recurrent language model: embedding → RNN, LSTM or GRU → logits (Mikolov et al. 2010).

use tch::{Tensor, nn};

use super::{CellKind, LstmGates, Recurrent, RecurrentConfig, RecurrentState};
use crate::layers::look_up;

/// Sizes and options of a [`CharLm`].
#[derive(Clone, Copy, Debug)]
pub struct CharLmConfig {
    /// Which recurrent cell.
    pub kind: CellKind,
    /// Different ids.
    pub vocab_size: i64,
    /// Numbers that stand for one id.
    pub embed_dim: i64,
    /// Numbers in a hidden state.
    pub hidden_dim: i64,
    /// Recurrent layers on top of each other.
    pub n_layers: i64,
    /// Share of numbers set to 0 in training before, between and after the layers (Zaremba, Sutskever &
    /// Vinyals 2014).
    pub dropout: f64,
    /// See [`RecurrentConfig::forget_bias`].
    pub forget_bias: f64,
}

impl CharLmConfig {
    /// One layer, no dropout, no forget bias.
    pub fn new(kind: CellKind, vocab_size: i64, embed_dim: i64, hidden_dim: i64) -> Self {
        Self { kind, vocab_size, embed_dim, hidden_dim, n_layers: 1, dropout: 0.0, forget_bias: 0.0 }
    }
}

/// A recurrent language model over characters.
///
/// ```
/// use llm_course::models::{CellKind, CharLm, CharLmConfig};
/// use llm_course::tch::{Device, Tensor, nn};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let model = CharLm::new(&vs.root(), CharLmConfig::new(CellKind::Gru, 27, 16, 32));
/// let ids = Tensor::from_slice(&[3i64, 1, 4]).unsqueeze(0);
/// let (logits, state) = model.forward(&ids, &model.zero_state(1));
/// assert_eq!(logits.size(), [1, 3, 27]);
/// let (next, _) = model.forward(&ids, &state.detach()); // goes on where the first text ended
/// # let _ = next;
/// ```
#[derive(Debug)]
pub struct CharLm {
    embedding: nn::Embedding,
    /// The recurrent layers, whose weights can be read.
    pub recurrent: Recurrent,
    head: nn::Linear,
    dropout: f64,
}

impl CharLm {
    /// Random weights under `path`.
    pub fn new(path: &nn::Path, config: CharLmConfig) -> Self {
        let CharLmConfig { kind, vocab_size, embed_dim, hidden_dim, n_layers, dropout, forget_bias } = config;
        let sizes = RecurrentConfig::new(kind, embed_dim, hidden_dim);
        let options = RecurrentConfig { n_layers, dropout, forget_bias, ..sizes };
        Self {
            recurrent: Recurrent::new(&(path / "rnn"), options),
            embedding: nn::embedding(path / "embedding", vocab_size, embed_dim, Default::default()),
            head: nn::linear(path / "head", hidden_dim, vocab_size, Default::default()),
            dropout,
        }
    }

    /// The state before the first character, zeros.
    pub fn zero_state(&self, batch: i64) -> RecurrentState {
        self.recurrent.zero_state(batch)
    }

    /// `ids` `[batch, time]` and the state before them → logits `[batch, time, vocab]` and the state after
    /// them. Without dropout.
    pub fn forward(&self, ids: &Tensor, state: &RecurrentState) -> (Tensor, RecurrentState) {
        self.forward_t(ids, state, false)
    }

    /// [`forward`](Self::forward), with dropout if `train`.
    ///
    /// # Panics
    /// If `ids` are of another shape or outside the vocabulary, or the state is of another batch or kind of cell.
    pub fn forward_t(&self, ids: &Tensor, state: &RecurrentState, train: bool) -> (Tensor, RecurrentState) {
        let x = look_up(&self.embedding.ws, ids, "ids").dropout(self.dropout, train); // [batch, time, embed]
        let (states, last) = self.recurrent.forward_t(&x, state, train);
        (states.dropout(self.dropout, train).apply(&self.head), last)
    }

    /// An LSTM's gates while it reads `ids` `[batch, time]`, one for each layer.
    ///
    /// # Panics
    /// If the model is no LSTM.
    pub fn lstm_gates(&self, ids: &Tensor, state: &RecurrentState) -> Vec<LstmGates> {
        self.recurrent.lstm_gates(&look_up(&self.embedding.ws, ids, "ids"), state)
    }
}
