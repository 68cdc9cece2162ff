//! GPT (Radford et al. 2018, 2019): a decoder alone, which predicts the next id.

mod cache;
mod files;
mod generate;

use tch::{Tensor, nn};

pub use cache::GptCache;

use crate::error::{Error, Result};
use crate::layers::{
    Activation, Block, BlockConfig, Embedding, EmbeddingConfig, LoraConfig, Mask, NormOrder, Positions,
    Rotary, WeightInit, cross_entropy, layer_norm, same_shape,
};

/// Sizes and choices of a [`Gpt`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GptConfig {
    /// Different ids.
    pub vocab_size: i64,
    /// The longest context.
    pub block_size: i64,
    /// Numbers that stand for one position.
    pub d_model: i64,
    /// Layers.
    pub n_layers: i64,
    /// Attention heads.
    pub n_heads: i64,
    /// Numbers inside a feed-forward layer.
    pub d_ff: i64,
    /// Probability with which a number is dropped in training.
    pub dropout: f64,
    /// How positions are told; GPT-2's are learned.
    pub positions: Positions,
    /// What stands inside the feed-forward layer; GPT-2 has [`Activation::GeluTanh`].
    pub activation: Activation,
    /// ε of the layer norms.
    pub eps: f64,
}

impl GptConfig {
    /// A size for the CPU: 4 layers of 128 numbers and 4 heads, a context of 64, no dropout.
    pub fn small(vocab_size: i64) -> Self {
        Self {
            vocab_size,
            block_size: 64,
            d_model: 128,
            n_layers: 4,
            n_heads: 4,
            d_ff: 512,
            dropout: 0.0,
            positions: Positions::Learned,
            activation: Activation::GeluTanh,
            eps: 1e-5,
        }
    }

    /// The smallest GPT-2, 124 million parameters (Radford et al. 2019, table 2).
    pub fn gpt2() -> Self {
        let (d_model, d_ff) = (768, 3072);
        Self {
            block_size: 1024,
            d_model,
            n_layers: 12,
            n_heads: 12,
            d_ff,
            dropout: 0.1,
            ..Self::small(50_257)
        }
    }

    fn check(&self) -> Result<()> {
        let Self { vocab_size, block_size, d_model, n_layers, n_heads, d_ff, dropout, positions, .. } = *self;
        let wrong = |what: String| Err(Error::input(format!("GptConfig: {what}")));
        if [vocab_size, block_size, d_model, n_layers, n_heads, d_ff].iter().any(|&size| size < 1) {
            return wrong(format!("every size must be at least 1: {self:?}"));
        }
        if d_model % n_heads != 0 {
            return wrong(format!(
                "d_model {d_model} does not divide into {n_heads} heads: make it a multiple of n_heads"
            ));
        }
        let paired = match positions {
            Positions::Learned => 2,
            Positions::Sinusoidal => d_model,
            Positions::Rotary => d_model / n_heads,
        };
        if paired % 2 != 0 {
            return wrong(format!(
                "{positions:?} positions need pairs, but d_model or d_model/n_heads is odd"
            ));
        }
        if !(0.0..1.0).contains(&dropout) {
            return wrong(format!("dropout {dropout} must lie in [0, 1)"));
        }
        Ok(())
    }

    fn block(&self) -> BlockConfig {
        let Self { d_model, n_heads, d_ff, dropout, activation, eps, .. } = *self;
        let (order, init) = (NormOrder::Pre, WeightInit::gpt2(self.n_layers));
        BlockConfig { d_model, n_heads, d_ff, dropout, order, activation, eps, init }
    }

    fn embedding(&self) -> EmbeddingConfig {
        let Self { vocab_size, d_model, block_size, positions, dropout, .. } = *self;
        EmbeddingConfig { vocab_size, d_model, block_size, positions, std: 0.02, scale: 1.0, dropout }
    }
}

/// A language model: pre-norm blocks under a causal mask; the embedding is also the matrix before the softmax
/// (Press & Wolf 2017).
///
/// ```
/// use llm_course::decode::Sampling;
/// use llm_course::models::{Gpt, GptConfig};
/// use tch::{Device, Tensor, nn::VarStore};
///
/// let vs = VarStore::new(Device::Cpu);
/// let gpt = Gpt::new(&vs.root(), GptConfig::small(100))?;
/// let ids = Tensor::from_slice(&[5i64, 6, 7]).unsqueeze(0);
/// assert_eq!(gpt.forward(&ids, false).size(), [1, 3, 100]);
/// assert_eq!(gpt.generate(&[5, 6, 7], 10, Sampling::Greedy).len(), 10);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct Gpt {
    embedding: Embedding,
    blocks: Vec<Block>,
    norm: nn::LayerNorm,
    config: GptConfig,
}

impl Gpt {
    /// Random weights under `path` as in GPT-2: normal with standard deviation 0.02, over √(2·n_layers) where
    /// a block adds to the residual stream (Radford et al. 2019, § 2.3); biases 0.
    ///
    /// To load and save files, give `vs.root()` of a VarStore that holds nothing else.
    ///
    /// # Errors
    /// If the sizes do not fit together.
    pub fn new(path: &nn::Path, config: GptConfig) -> Result<Self> {
        config.check()?;
        let GptConfig { d_model, n_layers, n_heads, block_size, .. } = config;
        let rotary = (config.positions == Positions::Rotary)
            .then(|| Rotary::new(d_model / n_heads, block_size, path.device()));
        let block = |layer| {
            let block = Block::new(path / "blocks" / layer, config.block());
            rotary.iter().fold(block, Block::with_rotary)
        };
        Ok(Self {
            embedding: Embedding::new(path / "embedding", config.embedding()),
            blocks: (0..n_layers).map(block).collect(),
            norm: layer_norm(path / "norm", d_model, config.eps),
            config,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> GptConfig {
        self.config
    }

    /// Adds a low-rank update to the matrices of its layers, with variables under `path` of another VarStore than the
    /// model's; see [`Linear::add_lora`](crate::layers::Linear::add_lora). Freeze the model's VarStore and train the
    /// other one.
    ///
    /// # Errors
    /// If the rank or α does not fit, or there is an update already.
    pub fn add_lora(&mut self, path: &nn::Path, config: LoraConfig) -> Result<()> {
        let mut blocks = (0i64..).zip(&mut self.blocks);
        blocks.try_for_each(|(layer, block)| block.add_lora(&(path / layer), config))
    }

    /// Adds the updates to the weights (`true`), or takes them out again up to rounding (`false`). Save a model
    /// merged.
    pub fn set_lora_merged(&mut self, merged: bool) {
        self.blocks.iter_mut().for_each(|block| block.set_lora_merged(merged));
    }

    /// `ids` `[batch, time]` → logits `[batch, time, vocab]` of the id after each.
    ///
    /// # Panics
    /// If there are more positions than `block_size`, or an id lies outside the vocabulary.
    pub fn forward(&self, ids: &Tensor, train: bool) -> Tensor {
        let x = self.embedding.forward(ids, 0, train);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, &Mask::Causal, train));
        self.logits(&x)
    }

    /// Mean cross-entropy in nats over the `targets` `[batch, time]` that are not
    /// [`IGNORE`](crate::data::IGNORE); `targets[b, t]` is the id after `ids[b, t]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), or if `targets` have another shape than `ids`.
    pub fn loss(&self, ids: &Tensor, targets: &Tensor, train: bool) -> Tensor {
        same_shape(ids, targets);
        cross_entropy(&self.forward(ids, train), targets)
    }

    /// The attention weights of each layer for a plot, `[batch, head, query, key]` each.
    ///
    /// # Panics
    /// If there are more positions than `block_size`.
    pub fn attention_weights(&self, ids: &Tensor) -> Vec<Tensor> {
        let mut x = self.embedding.forward(ids, 0, false);
        let layer = |block: &Block| {
            let (out, weights) = block.forward_with_weights(&x, &Mask::Causal);
            x = out;
            weights
        };
        self.blocks.iter().map(layer).collect()
    }

    fn logits(&self, x: &Tensor) -> Tensor {
        x.apply(&self.norm).linear(&self.embedding.table, None::<Tensor>)
    }
}
