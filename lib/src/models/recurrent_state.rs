//! What a recurrent layer carries from step to step.

use tch::Tensor;

/// The state of a [`Recurrent`](super::Recurrent) layer: of each cell, stacked over layers and directions.
#[derive(Debug)]
pub struct RecurrentState {
    /// `[layers · directions, batch, hidden]`
    pub hidden: Tensor,
    /// The LSTM's cells, `[layers · directions, batch, hidden]`; the other kinds have none.
    pub cell: Option<Tensor>,
}

impl RecurrentState {
    /// The same numbers without their graph: what truncated backpropagation carries on.
    pub fn detach(&self) -> Self {
        self.map(Tensor::detach)
    }

    /// The same tensors behind a second handle, without a copy.
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    /// The same numbers in memory of their own.
    pub fn copy(&self) -> Self {
        self.map(Tensor::copy)
    }

    /// Takes over the numbers of `next`, without their graph, into the tensors that are there; so whoever
    /// holds a handle to them, such as a trainer's checkpoint, sees the new ones.
    pub fn replace(&mut self, next: &Self) {
        self.hidden.copy_(&next.hidden.detach());
        if let (Some(cell), Some(next)) = (&mut self.cell, &next.cell) {
            cell.copy_(&next.detach());
        }
    }

    /// The state of a text before its first step.
    pub fn zero(&mut self) {
        let _ = self.hidden.zero_();
        let _ = self.cell.as_mut().map(Tensor::zero_);
    }

    /// The states of `rows` `[n]` of the batch, in that order; a row may come several times.
    pub fn select(&self, rows: &Tensor) -> Self {
        self.map(|state| state.index_select(1, rows))
    }

    /// For states of both directions: the two of a layer side by side, `[layers, batch, 2 · hidden]`.
    pub fn join_directions(&self) -> Self {
        self.map(|state| {
            let [both, batch, hidden] = state.size()[..] else { unreachable!("three dimensions") };
            let pairs = state.view([both / 2, 2, batch, hidden]).transpose(1, 2); // [layer, batch, 2, hidden]
            pairs.reshape([both / 2, batch, 2 * hidden])
        })
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { hidden: f(&self.hidden), cell: self.cell.as_ref().map(&f) }
    }
}
