//! The encoder: every position sees every other one.

use tch::{Tensor, nn};

use super::TransformerConfig;
use crate::layers::{Block, Embedding, Mask, NormOrder, key_mask, layer_norm};

/// Embeddings, then blocks without a causal mask.
#[derive(Debug)]
pub struct Encoder {
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: Option<nn::LayerNorm>,
}

impl Encoder {
    /// Random weights `embedding`, `blocks.N` and, with pre-norm, `norm` under `path`, of the source's sizes in
    /// `config`.
    ///
    /// # Panics
    /// If `n_heads` does not divide `d_model`.
    pub fn new(path: &nn::Path, config: &TransformerConfig) -> Self {
        let rotary = config.rotary(path);
        let block = |layer| {
            let block = Block::new(path / "blocks" / layer, config.block());
            rotary.iter().fold(block, Block::with_rotary)
        };
        Self {
            embedding: config.embedding(path / "embedding", config.src_vocab_size),
            blocks: (0..config.n_layers).map(block).collect(),
            norm: (config.order == NormOrder::Pre).then(|| layer_norm(path / "norm", config.d_model, 1e-5)),
        }
    }

    /// `ids` `[batch, time]`, `mask` `[batch, time]` Bool, true at real ids → `[batch, time, d_model]`. What
    /// stands at a padded position means nothing.
    ///
    /// # Panics
    /// If there are more positions than `block_size`, the mask has another shape, or an id lies outside the vocabulary.
    pub fn forward(&self, ids: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let (size, masked) = (ids.size(), mask.size());
        assert!(
            size == masked,
            "the mask is {masked:?} and the ids {size:?}: make it of the ids, e.g. with ids.ne(0)"
        );
        let mask = Mask::Where(key_mask(mask));
        let x = self.embedding.forward(ids, 0, train);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, &mask, train));
        x.apply_opt(&self.norm)
    }

    /// The attention weights of each layer for a plot, `[batch, head, query, key]` each.
    ///
    /// # Panics
    /// If there are more positions than `block_size`.
    pub fn attention_weights(&self, ids: &Tensor, mask: &Tensor) -> Vec<Tensor> {
        let mask = Mask::Where(key_mask(mask));
        let mut x = self.embedding.forward(ids, 0, false);
        let layer = |block: &Block| {
            let (out, weights) = block.forward_with_weights(&x, &mask);
            x = out;
            weights
        };
        self.blocks.iter().map(layer).collect()
    }
}
