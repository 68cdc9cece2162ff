//! What a position starts as: the sum of its word, its place and its segment (Devlin et al. 2018, figure 2).

use tch::{Tensor, nn};

use super::config::{BertConfig, STD};
use crate::layers::{Embedding, EmbeddingConfig, Positions, layer_norm, look_up};

#[derive(Debug)]
pub(super) struct Embeddings {
    pub(super) words: Embedding,
    segments: Option<Tensor>, // [segments, d_model]
    norm: nn::LayerNorm,
    dropout: f64,
}

impl Embeddings {
    pub(super) fn new(path: nn::Path, config: &BertConfig) -> Self {
        let BertConfig { vocab_size, d_model, block_size, segments, eps, dropout, .. } = *config;
        let table = || (&path / "segments").randn("weight", &[segments, d_model], 0.0, STD);
        let segments = (segments > 0).then(table);
        let norm = layer_norm(&path / "norm", d_model, eps);
        let positions = Positions::Learned;
        let words = EmbeddingConfig {
            vocab_size,
            d_model,
            block_size,
            positions,
            std: STD,
            scale: 1.0,
            dropout: 0.0, // it comes after the sum and its norm
        };
        Self { words: Embedding::new(path, words), segments, norm, dropout }
    }

    /// `ids`, `segments` `[batch, time]` → `[batch, time, d_model]`
    pub(super) fn forward(&self, ids: &Tensor, segments: &Tensor, train: bool) -> Tensor {
        let mut sum = self.words.forward(ids, 0, train);
        if let Some(table) = &self.segments {
            sum += look_up(table, segments, "segments");
        }
        sum.apply(&self.norm).dropout(self.dropout, train)
    }
}
