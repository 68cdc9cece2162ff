//! What a position starts as: the sum of its word, its place and its segment (Devlin et al. 2018, figure 2).

use tch::{Kind, Tensor, nn};

use super::config::{BertConfig, INIT};
use crate::layers::layer_norm;

#[derive(Debug)]
pub(super) struct Embeddings {
    pub(super) words: nn::Embedding,
    positions: nn::Embedding,
    segments: Option<nn::Embedding>,
    norm: nn::LayerNorm,
    dropout: f64,
}

impl Embeddings {
    pub(super) fn new(path: nn::Path, config: &BertConfig) -> Self {
        let BertConfig { vocab_size, d_model, block_size, segments, eps, dropout, .. } = *config;
        let table = |name: &str, rows: i64| {
            let start = nn::EmbeddingConfig { ws_init: INIT.inner(rows, d_model), ..Default::default() };
            nn::embedding(&path / name, rows, d_model, start)
        };
        Self {
            words: table("words", vocab_size),
            positions: table("positions", block_size),
            segments: (segments > 0).then(|| table("segments", segments)),
            norm: layer_norm(&path / "norm", d_model, eps),
            dropout,
        }
    }

    /// `ids`, `segments` `[batch, time]` → `[batch, time, d_model]`
    pub(super) fn forward(&self, ids: &Tensor, segments: &Tensor, train: bool) -> Tensor {
        let time = ids.size()[1];
        let block_size = self.positions.ws.size()[0];
        assert!(
            time <= block_size,
            "a row of {time} ids is longer than the {block_size} positions that this BERT knows: cut it"
        );
        let places = Tensor::arange(time, (Kind::Int64, ids.device()));
        let mut sum = ids.apply(&self.words) + places.apply(&self.positions);
        if let Some(table) = &self.segments {
            sum += segments.apply(table);
        }
        sum.apply(&self.norm).dropout(self.dropout, train)
    }
}
