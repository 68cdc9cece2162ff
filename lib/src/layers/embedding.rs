//! Ids as vectors that also know where they stand.

use tch::{Tensor, nn};

use super::{Positions, sinusoidal};

/// Sizes and choices of an [`Embedding`].
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingConfig {
    /// Different ids.
    pub vocab_size: i64,
    /// Numbers that stand for one id.
    pub d_model: i64,
    /// The longest sequence.
    pub block_size: i64,
    /// How positions are told; [`Positions::Rotary`] adds nothing here, because attention does it.
    pub positions: Positions,
    /// Standard deviation of the table at the start.
    pub std: f64,
    /// What an id's vector is multiplied by before its position is added: √d_model in Vaswani et al. 2017,
    /// § 3.4, else 1.
    pub scale: f64,
    /// Probability with which a number is dropped in training.
    pub dropout: f64,
}

/// A vector for each id, plus one for its position.
#[derive(Debug)]
pub struct Embedding {
    /// `[vocab_size, d_model]`; a head that shares it computes `x.linear(&table, None)`.
    pub table: Tensor,
    positions: Option<Tensor>, // [block_size, d_model]
    config: EmbeddingConfig,
}

impl Embedding {
    /// Weights `ids.weight` and, if they are learned, `positions.weight` under `path`.
    pub fn new(path: nn::Path, config: EmbeddingConfig) -> Self {
        let EmbeddingConfig { vocab_size, d_model, block_size, std, .. } = config;
        let table = (&path / "ids").randn("weight", &[vocab_size, d_model], 0.0, std);
        let positions = match config.positions {
            Positions::Learned => {
                Some((&path / "positions").randn("weight", &[block_size, d_model], 0.0, std))
            }
            Positions::Sinusoidal => Some(sinusoidal(block_size, d_model, path.device())),
            Positions::Rotary => None,
        };
        Self { table, positions, config }
    }

    /// `ids` `[batch, time]`, the first of which stands at position `offset` → `[batch, time, d_model]`.
    ///
    /// # Panics
    /// If the sequence is longer than `block_size`.
    pub fn forward(&self, ids: &Tensor, offset: i64, train: bool) -> Tensor {
        let (time, block_size) = (ids.size()[1], self.config.block_size);
        assert!(
            offset + time <= block_size,
            "{} positions are more than block_size {block_size}: cut the ids or build the model with a larger one",
            offset + time
        );
        let mut x = Tensor::embedding(&self.table, ids, -1, false, false);
        if self.config.scale != 1.0 {
            x *= self.config.scale;
        }
        if let Some(positions) = &self.positions {
            x += positions.narrow(0, offset, time).to_kind(self.table.kind());
        }
        x.dropout(self.config.dropout, train)
    }
}
