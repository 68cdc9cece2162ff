//! The decoder: each position sees the ones before it, and the encoder's output.

use tch::{Tensor, nn};

use super::TransformerConfig;
use crate::layers::{
    DecoderBlock, Embedding, KvCache, Mask, NormOrder, WeightInit, key_mask, layer_norm, linear,
};

/// Embeddings, blocks that also read the encoder's output, then logits.
#[derive(Debug)]
pub struct Decoder {
    embedding: Embedding,
    blocks: Vec<DecoderBlock>,
    norm: Option<nn::LayerNorm>,
    head: Option<nn::Linear>, // none: the embedding's table
    config: TransformerConfig,
}

/// What a decoder needs to go on: one row for each text of the batch, or for each beam.
#[derive(Debug)]
pub struct TransformerState {
    caches: Vec<KvCache>,          // of each layer's attention to itself
    memory: Vec<(Tensor, Tensor)>, // each layer's keys and values of the source
    mask: Mask,
}

impl TransformerState {
    /// The states of `rows` (Int64 `[n]`) of the batch, in that order; a row may come several times, as a beam
    /// does.
    pub fn select(&self, rows: &Tensor) -> Self {
        let pick = |tensor: &Tensor| tensor.index_select(0, rows);
        Self {
            caches: self.caches.iter().map(|cache| cache.select(rows)).collect(),
            memory: self.memory.iter().map(|(keys, values)| (pick(keys), pick(values))).collect(),
            mask: match &self.mask {
                Mask::Where(allowed) => Mask::Where(pick(allowed)),
                other => other.shallow_clone(),
            },
        }
    }

    /// Target ids read so far.
    pub fn len(&self) -> i64 {
        self.caches[0].len()
    }

    /// Whether no target id has been read yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Decoder {
    /// Random weights `embedding`, `blocks.N`, with pre-norm `norm`, and untied `head` under `path`, of the
    /// target's sizes in `config`.
    ///
    /// # Panics
    /// If `n_heads` does not divide `d_model`.
    pub fn new(path: &nn::Path, config: &TransformerConfig) -> Self {
        let TransformerConfig { d_model, tgt_vocab_size, .. } = *config;
        let rotary = config.rotary(path);
        let block = |layer| {
            let block = DecoderBlock::new(path / "blocks" / layer, config.block());
            rotary.iter().fold(block, DecoderBlock::with_rotary)
        };
        let head = || {
            let init = WeightInit::Xavier.inner(d_model, tgt_vocab_size);
            linear(path / "head", d_model, tgt_vocab_size, init)
        };
        Self {
            embedding: config.embedding(path / "embedding", tgt_vocab_size),
            blocks: (0..config.n_layers).map(block).collect(),
            norm: (config.order == NormOrder::Pre).then(|| layer_norm(path / "norm", d_model, 1e-5)),
            head: (!config.tied).then(head),
            config: *config,
        }
    }

    /// `ids` `[batch, time]`, the encoder's output `memory` `[batch, src_time, d_model]` and `src_mask`
    /// `[batch, src_time]` Bool → logits `[batch, time, vocab]`.
    ///
    /// # Panics
    /// If there are more positions than `block_size`, an id lies outside the vocabulary, or the batches differ.
    pub fn forward(&self, ids: &Tensor, memory: &Tensor, src_mask: &Tensor, train: bool) -> Tensor {
        let [target, source, mask] = [ids, memory, src_mask].map(|of| of.size().first().copied());
        assert!(
            target == source && source == mask,
            "targets, memory and source mask are of {target:?}, {source:?} and {mask:?} rows: give the same batch to all"
        );
        let mask = Mask::Where(key_mask(src_mask));
        let mut x = self.embedding.forward(ids, 0, train);
        for block in &self.blocks {
            x = block.forward(&x, &Mask::Causal, &block.keys_values(memory), &mask, train);
        }
        self.logits(&x)
    }

    /// The weights of each layer's attention to the source for a plot, `[batch, head, query, key]` each.
    ///
    /// # Panics
    /// If there are more positions than `block_size`.
    pub fn attention_weights(&self, ids: &Tensor, memory: &Tensor, src_mask: &Tensor) -> Vec<Tensor> {
        let mask = Mask::Where(key_mask(src_mask));
        let mut x = self.embedding.forward(ids, 0, false);
        let layer = |block: &DecoderBlock| {
            let (out, weights) = block.forward_with_weights(&x, &block.keys_values(memory), &mask);
            x = out;
            weights
        };
        self.blocks.iter().map(layer).collect()
    }

    /// The state before the first id; `memory` and `src_mask` as in [`forward`](Self::forward).
    pub fn start(&self, memory: &Tensor, src_mask: &Tensor) -> TransformerState {
        let TransformerConfig { d_model, n_heads, block_size, .. } = self.config;
        let shape = [memory.size()[0], n_heads, block_size, d_model / n_heads];
        let cache = |_: &DecoderBlock| KvCache::new(shape, memory.kind(), memory.device());
        TransformerState {
            caches: self.blocks.iter().map(cache).collect(),
            memory: self.blocks.iter().map(|block| block.keys_values(memory)).collect(),
            mask: Mask::Where(key_mask(src_mask)),
        }
    }

    /// One id further: the previous `ids` `[batch]` → logits `[batch, vocab]`.
    ///
    /// # Panics
    /// If there are more positions than `block_size`.
    pub fn step(&self, ids: &Tensor, state: &mut TransformerState) -> Tensor {
        let mut x = self.embedding.forward(&ids.unsqueeze(1), state.len(), false); // [batch, 1, d_model]
        for ((block, cache), memory) in self.blocks.iter().zip(&mut state.caches).zip(&state.memory) {
            x = block.forward_cached(&x, cache, memory, &state.mask);
        }
        self.logits(&x).squeeze_dim(1)
    }

    fn logits(&self, x: &Tensor) -> Tensor {
        let x = x.apply_opt(&self.norm);
        match &self.head {
            Some(head) => x.apply(head),
            None => x.linear(&self.embedding.table, None::<Tensor>),
        }
    }
}
