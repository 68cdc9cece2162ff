//! A layer of a transformer: attention, then feed-forward, each added to what it read.

use tch::{Tensor, nn};

use super::fused::{Layer, residual};
use super::{
    Activation, AttentionConfig, FeedForward, KvCache, LoraConfig, Mask, MultiHeadAttention, Rotary,
    WeightInit, layer_norm,
};
use crate::error::Result;

/// Where the layer norm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormOrder {
    /// x + f(norm(x)): nothing stands in the way of the residual stream (GPT-2; Xiong et al. 2020).
    Pre,
    /// norm(x + f(x)), as in the first transformers (Vaswani et al. 2017; BERT).
    Post,
}

/// Sizes and choices of a [`Block`].
#[derive(Clone, Copy, Debug)]
pub struct BlockConfig {
    /// Numbers that stand for one position.
    pub d_model: i64,
    /// Attention heads.
    pub n_heads: i64,
    /// Numbers inside the feed-forward layer, usually 4·d_model.
    pub d_ff: i64,
    /// Probability with which a number is dropped in training: of attention's weights and of what is added to
    /// the residual stream.
    pub dropout: f64,
    /// Where the layer norm stands.
    pub order: NormOrder,
    /// What stands inside the feed-forward layer.
    pub activation: Activation,
    /// ε of the layer norm: 1e-5 in most models, 1e-12 in BERT.
    pub eps: f64,
    /// How the matrices start.
    pub init: WeightInit,
}

impl BlockConfig {
    fn attention(&self) -> AttentionConfig {
        let Self { d_model, n_heads, dropout, init, .. } = *self;
        AttentionConfig { d_model, n_heads, dropout, init }
    }
}

/// Attention from a sequence to itself, then feed-forward: a layer of an encoder or a decoder-only model.
#[derive(Debug)]
pub struct Block {
    attention: MultiHeadAttention,
    feed_forward: FeedForward,
    after_attention: Residual,
    after_feed_forward: Residual,
}

impl Block {
    /// Weights `attention.{qkv,out}`, `norm1`, `feed_forward.{up,down}`, `norm2` under `path`.
    ///
    /// # Panics
    /// If `n_heads` does not divide `d_model`.
    pub fn new(path: nn::Path, config: BlockConfig) -> Self {
        let BlockConfig { d_model, d_ff, activation, init, .. } = config;
        Self {
            attention: MultiHeadAttention::new(&path / "attention", config.attention()),
            feed_forward: FeedForward::new(&path / "feed_forward", d_model, d_ff, activation, init),
            after_attention: Residual::new(&path / "norm1", config),
            after_feed_forward: Residual::new(&path / "norm2", config),
        }
    }

    /// Turns queries and keys by their positions.
    pub fn with_rotary(self, rotary: &Rotary) -> Self {
        Self { attention: self.attention.with_rotary(rotary), ..self }
    }

    /// `x` `[batch, time, d_model]` → `[batch, time, d_model]`
    pub fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let Self { attention, feed_forward, after_attention, after_feed_forward } = self;
        let to_itself = |x: &Tensor| attention.forward(x, mask, train);
        let x = after_attention.add_fused(x, train, attention.fused(x, mask, train), to_itself);
        after_feed_forward.add_fused(&x, train, Some(feed_forward.fused()), |x| feed_forward.forward(x))
    }

    /// [`forward`](Self::forward) out of training, with the weights `[batch, head, query, key]` for a plot.
    pub fn forward_with_weights(&self, x: &Tensor, mask: &Mask) -> (Tensor, Tensor) {
        let mut weights = Tensor::new();
        let out = self.run(x, false, |x| {
            let (out, seen) = self.attention.forward_with_weights(x, mask);
            weights = seen;
            out
        });
        (out, weights)
    }

    /// New positions `x` `[batch, time, d_model]` after those in `cache`, to which they are added; causal, out
    /// of training.
    pub fn forward_cached(&self, x: &Tensor, cache: &mut KvCache) -> Tensor {
        self.run(x, false, |x| self.attention.forward_cached(x, cache))
    }

    /// Adds a low-rank update to attention's matrices and, if `config` asks, the feed-forward layer's, under `path`; see
    /// [`Linear::add_lora`](super::Linear::add_lora).
    ///
    /// # Errors
    /// If the rank or α does not fit, or there is an update already.
    pub fn add_lora(&mut self, path: &nn::Path, config: LoraConfig) -> Result<()> {
        let [qkv, out] = self.attention.linears_mut();
        qkv.add_lora(&(path / "qkv"), config)?;
        out.add_lora(&(path / "out"), config)?;
        if config.feed_forward {
            let [up, down] = self.feed_forward.linears_mut();
            up.add_lora(&(path / "up"), config)?;
            down.add_lora(&(path / "down"), config)?;
        }
        Ok(())
    }

    /// [`Linear::set_lora_merged`](super::Linear::set_lora_merged) of all its matrices.
    pub fn set_lora_merged(&mut self, merged: bool) {
        let linears = self.attention.linears_mut().into_iter().chain(self.feed_forward.linears_mut());
        linears.for_each(|linear| linear.set_lora_merged(merged));
    }

    fn run(&self, x: &Tensor, train: bool, attention: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let x = self.after_attention.add(x, train, attention);
        self.after_feed_forward.add(&x, train, |x| self.feed_forward.forward(x))
    }
}

/// A layer of the decoder that reads an encoder: attention to itself, to the encoder's output, feed-forward.
#[derive(Debug)]
pub struct DecoderBlock {
    block: Block,
    cross: MultiHeadAttention,
    after_cross: Residual,
}

impl DecoderBlock {
    /// Weights of a [`Block`], and `cross.{qkv,out}`, `norm_cross` under `path`.
    ///
    /// # Panics
    /// If `n_heads` does not divide `d_model`.
    pub fn new(path: nn::Path, config: BlockConfig) -> Self {
        Self {
            cross: MultiHeadAttention::new(&path / "cross", config.attention()),
            after_cross: Residual::new(&path / "norm_cross", config),
            block: Block::new(path, config),
        }
    }

    /// Turns queries and keys of the attention to itself by their positions.
    pub fn with_rotary(self, rotary: &Rotary) -> Self {
        Self { block: self.block.with_rotary(rotary), ..self }
    }

    /// Keys and values of the encoder's output `memory` `[batch, key, d_model]`, to be computed once.
    pub fn keys_values(&self, memory: &Tensor) -> (Tensor, Tensor) {
        self.cross.keys_values(memory)
    }

    /// `x` `[batch, time, d_model]` → `[batch, time, d_model]`; `mask` for the attention to itself,
    /// `memory_mask` for the one to the encoder's output.
    pub fn forward(
        &self,
        x: &Tensor,
        mask: &Mask,
        memory: &(Tensor, Tensor),
        memory_mask: &Mask,
        train: bool,
    ) -> Tensor {
        let Block { attention, feed_forward, after_attention, after_feed_forward } = &self.block;
        let to_itself = |x: &Tensor| attention.forward(x, mask, train);
        let cross = |x: &Tensor| self.cross.cross(x, memory, memory_mask, train);
        let x = after_attention.add_fused(x, train, attention.fused(x, mask, train), to_itself);
        let x = self.after_cross.add(&x, train, cross);
        after_feed_forward.add_fused(&x, train, Some(feed_forward.fused()), |x| feed_forward.forward(x))
    }

    /// [`forward`](Self::forward) out of training and causal, with the weights to the encoder's output
    /// `[batch, head, query, key]` for a plot.
    pub fn forward_with_weights(
        &self,
        x: &Tensor,
        memory: &(Tensor, Tensor),
        memory_mask: &Mask,
    ) -> (Tensor, Tensor) {
        let mut weights = Tensor::new();
        let attention = |x: &Tensor| self.block.attention.forward(x, &Mask::Causal, false);
        let out = self.run(x, false, attention, |x| {
            let (out, seen) = self.cross.cross_with_weights(x, memory, memory_mask);
            weights = seen;
            out
        });
        (out, weights)
    }

    /// New positions `x` after those in `cache`, to which they are added; causal, out of training.
    pub fn forward_cached(
        &self,
        x: &Tensor,
        cache: &mut KvCache,
        memory: &(Tensor, Tensor),
        memory_mask: &Mask,
    ) -> Tensor {
        let attention = |x: &Tensor| self.block.attention.forward_cached(x, cache);
        self.run(x, false, attention, |x| self.cross.cross(x, memory, memory_mask, false))
    }

    fn run(
        &self,
        x: &Tensor,
        train: bool,
        attention: impl FnOnce(&Tensor) -> Tensor,
        cross: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        let x = self.block.after_attention.add(x, train, attention);
        let x = self.after_cross.add(&x, train, cross);
        self.block.after_feed_forward.add(&x, train, |x| self.block.feed_forward.forward(x))
    }
}

/// The sum around a part of a block, with its layer norm and dropout.
#[derive(Debug)]
struct Residual {
    norm: nn::LayerNorm,
    order: NormOrder,
    dropout: f64,
    eps: f64,
}

impl Residual {
    fn new(path: nn::Path, config: BlockConfig) -> Self {
        let norm = layer_norm(path, config.d_model, config.eps);
        Self { norm, order: config.order, dropout: config.dropout, eps: config.eps }
    }

    fn add(&self, x: &Tensor, train: bool, part: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        match self.order {
            NormOrder::Pre => x + part(&x.apply(&self.norm)).dropout(self.dropout, train),
            NormOrder::Post => (x + part(x).dropout(self.dropout, train)).apply(&self.norm),
        }
    }

    /// [`add`](Self::add), with the fused form of `part` where there is one and it does.
    fn add_fused(
        &self,
        x: &Tensor,
        train: bool,
        fused: Option<Layer>,
        part: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        let fused = fused.filter(|_| !train || self.dropout == 0.0);
        let sum = fused.and_then(|layer| residual(x, &self.norm, self.eps, self.order, layer));
        sum.unwrap_or_else(|| self.add(x, train, part))
    }
}
