//! The fused layers' weights in the layout of the cells by hand, and the gates over a text.

use tch::Tensor;

use super::{CellKind, GruGates, GruWeights, LstmGates, LstmWeights, Recurrent, RecurrentState, RnnWeights};

impl Recurrent {
    /// The weights of an RNN's cell number `index` (layers in order, each forward, then backward), as views;
    /// the two biases that libtorch keeps are added up.
    ///
    /// # Panics
    /// If this is another kind of layer, or has fewer cells.
    pub fn rnn_weights(&self, index: usize) -> RnnWeights {
        let [ih, hh, bias_ih, bias_hh] = self.cell_params(CellKind::Rnn, index);
        RnnWeights { xh: ih.tr(), hh: hh.tr(), bias: bias_ih + bias_hh }
    }

    /// [`rnn_weights`](Self::rnn_weights) of an LSTM.
    ///
    /// # Panics
    /// If this is another kind of layer, or has fewer cells.
    pub fn lstm_weights(&self, index: usize) -> LstmWeights {
        let [ih, hh, bias_ih, bias_hh] = self.cell_params(CellKind::Lstm, index);
        LstmWeights { xh: ih.tr(), hh: hh.tr(), bias: bias_ih + bias_hh }
    }

    /// [`rnn_weights`](Self::rnn_weights) of a GRU, with both biases.
    ///
    /// # Panics
    /// If this is another kind of layer, or has fewer cells.
    pub fn gru_weights(&self, index: usize) -> GruWeights {
        let [ih, hh, bias_ih, bias_hh] = self.cell_params(CellKind::Gru, index);
        let (bias, hidden_bias) = (bias_ih.shallow_clone(), bias_hh.shallow_clone());
        GruWeights { xh: ih.tr(), hh: hh.tr(), bias, hidden_bias }
    }

    /// An LSTM's gates while it reads `x` `[batch, time, input]`, one for each layer; for looking, not for
    /// training (step by step).
    ///
    /// # Panics
    /// If this is no LSTM, or bidirectional.
    pub fn lstm_gates(&self, x: &Tensor, state: &RecurrentState) -> Vec<LstmGates> {
        self.check_kind(CellKind::Lstm);
        let cells = state.cell.as_ref().expect("this is no LSTM's state: begin with zero_state of the layer");
        let mut x = x.shallow_clone();
        self.layers()
            .map(|layer| {
                let (hidden, cell) = (state.hidden.get(layer), cells.get(layer));
                let gates = LstmGates::over_time(&x, &hidden, &cell, &self.lstm_weights(layer as usize));
                x = gates.hidden();
                gates
            })
            .collect()
    }

    /// A GRU's gates while it reads `x` `[batch, time, input]`, one for each layer; for looking, not for
    /// training (step by step).
    ///
    /// # Panics
    /// If this is no GRU, or bidirectional.
    pub fn gru_gates(&self, x: &Tensor, state: &RecurrentState) -> Vec<GruGates> {
        self.check_kind(CellKind::Gru);
        let mut x = x.shallow_clone();
        self.layers()
            .map(|layer| {
                let gates =
                    GruGates::over_time(&x, &state.hidden.get(layer), &self.gru_weights(layer as usize));
                x = gates.hidden.shallow_clone();
                gates
            })
            .collect()
    }

    fn layers(&self) -> std::ops::Range<i64> {
        assert!(!self.config.bidirectional, "gates over time are of one direction: build a layer with one");
        0..self.config.n_layers
    }

    fn cell_params(&self, kind: CellKind, index: usize) -> &[Tensor; 4] {
        self.check_kind(kind);
        let (cells, _) = self.params.as_chunks();
        let count = cells.len();
        cells
            .get(index)
            .unwrap_or_else(|| panic!("there is no cell {index}: this layer has cells 0 to {}", count - 1))
    }

    fn check_kind(&self, kind: CellKind) {
        let own = self.config.kind;
        assert!(
            own == kind,
            "this layer is of kind {own:?}, not {kind:?}: ask for what {own:?} has, or build the other"
        );
    }
}
