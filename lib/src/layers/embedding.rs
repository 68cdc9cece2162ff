//! Ids as vectors that also know where they stand.

use tch::{Kind, Tensor, nn};

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
    /// If the sequence is longer than `block_size`, or an id lies outside the vocabulary.
    pub fn forward(&self, ids: &Tensor, offset: i64, train: bool) -> Tensor {
        let mut x = look_up(&self.table, ids, "ids");
        let (time, block_size) = (ids.size()[1], self.config.block_size);
        assert!(
            offset + time <= block_size,
            "{} positions are more than block_size {block_size}: cut the ids or build the model with a larger one",
            offset + time
        );
        if self.config.scale != 1.0 {
            x *= self.config.scale;
        }
        if let Some(positions) = &self.positions {
            x += positions.narrow(0, offset, time).to_kind(self.table.kind());
        }
        x.dropout(self.config.dropout, train)
    }
}

/// The rows of `table` for `ids` `[batch, time]`, which are called `what` where they are wrong: libtorch itself would answer
/// with a trace of many lines. A card, on which ids outside the table cannot be told in time, still does.
pub(crate) fn look_up(table: &Tensor, ids: &Tensor, what: &str) -> Tensor {
    let (size, kind) = (ids.size(), ids.kind());
    assert!(
        size.len() == 2 && ids.numel() > 0 && matches!(kind, Kind::Int64 | Kind::Int),
        "{what} must be Int64 [batch, time] and not empty, got {kind:?} {size:?}: encode some text, and add a batch \
         dimension with unsqueeze(0)"
    );
    Tensor::f_embedding(table, ids, -1, false, false).unwrap_or_else(|error| {
        let (here, there) = (ids.device(), table.device());
        assert!(here == there, "{what} lie on {here:?} and the model on {there:?}: move them with to_device");
        let (least, most, known) = (ids.min().int64_value(&[]), ids.max().int64_value(&[]), table.size()[0]);
        let error = error.to_string();
        assert!(least < 0 || most >= known, "libtorch: {}", error.lines().next().unwrap_or_default());
        panic!(
            "{what} from {least} to {most}, but the model knows 0 to {}: encode the text with the model's own \
             tokenizer, or build the model with its vocab_size",
            known - 1
        )
    })
}

/// Refuses targets that do not stand beside their ids.
pub(crate) fn same_shape(ids: &Tensor, targets: &Tensor) {
    let (ids, targets) = (ids.size(), targets.size());
    assert!(
        ids == targets,
        "ids {ids:?} and targets {targets:?} must have one shape [batch, time]: the target of each id is the one after it"
    );
}
