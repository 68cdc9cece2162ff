//! The transformer (Vaswani et al. 2017): an encoder reads the source, a decoder writes the target.

mod decoder;
mod encoder;

use tch::{Kind, Tensor, nn};

pub use decoder::{Decoder, TransformerState};
pub use encoder::Encoder;

use crate::decode::greedy;
use crate::error::{Error, Result};
use crate::layers::{
    Activation, BlockConfig, Embedding, EmbeddingConfig, NormOrder, Positions, Rotary, WeightInit,
    same_shape, smoothed_cross_entropy,
};
use crate::no_grad;

/// Sizes and choices of a [`Transformer`].
#[derive(Clone, Copy, Debug)]
pub struct TransformerConfig {
    /// Different ids of the source language.
    pub src_vocab_size: i64,
    /// Different ids of the target language.
    pub tgt_vocab_size: i64,
    /// Numbers that stand for one position.
    pub d_model: i64,
    /// Attention heads.
    pub n_heads: i64,
    /// Layers of the encoder, and of the decoder.
    pub n_layers: i64,
    /// Numbers inside a feed-forward layer.
    pub d_ff: i64,
    /// The longest source or target.
    pub block_size: i64,
    /// Probability with which a number is dropped in training.
    pub dropout: f64,
    /// Where the layer norm stands; with [`NormOrder::Pre`] one more follows the last layer.
    pub order: NormOrder,
    /// How positions are told.
    pub positions: Positions,
    /// Whether the decoder's embedding is also the matrix before its softmax (Press & Wolf 2017).
    pub tied: bool,
}

impl TransformerConfig {
    /// 2 layers of 128 numbers and 4 heads, up to 64 positions, pre-norm, sinusoidal positions, dropout 0.1.
    pub fn new(src_vocab_size: i64, tgt_vocab_size: i64) -> Self {
        Self {
            src_vocab_size,
            tgt_vocab_size,
            d_model: 128,
            n_heads: 4,
            n_layers: 2,
            d_ff: 512,
            block_size: 64,
            dropout: 0.1,
            order: NormOrder::Pre,
            positions: Positions::Sinusoidal,
            tied: true,
        }
    }

    fn check(&self) -> Result<()> {
        let Self { d_model, n_heads, n_layers, d_ff, block_size, dropout, .. } = *self;
        let smallest = [self.src_vocab_size, self.tgt_vocab_size, n_heads, n_layers, d_ff, block_size];
        let wrong = |what: String| Err(Error::input(format!("TransformerConfig: {what}")));
        if smallest.iter().any(|&size| size < 1) {
            return wrong(format!("every size must be at least 1: {self:?}"));
        }
        if d_model < 1 || d_model % (2 * n_heads) != 0 {
            return wrong(format!(
                "d_model {d_model} must be a multiple of 2·n_heads = {}: each head gets an even share",
                2 * n_heads
            ));
        }
        if !(0.0..1.0).contains(&dropout) {
            return wrong(format!("dropout {dropout} must lie in [0, 1)"));
        }
        Ok(())
    }

    fn block(&self) -> BlockConfig {
        let Self { d_model, n_heads, d_ff, dropout, order, .. } = *self;
        let (activation, init) = (Activation::Relu, WeightInit::Xavier);
        BlockConfig { d_model, n_heads, d_ff, dropout, order, activation, eps: 1e-5, init }
    }

    fn embedding(&self, path: nn::Path, vocab_size: i64) -> Embedding {
        let Self { d_model, block_size, positions, dropout, .. } = *self;
        let scale = (d_model as f64).sqrt();
        let std = 1.0 / scale;
        let config = EmbeddingConfig { vocab_size, d_model, block_size, positions, std, scale, dropout };
        Embedding::new(path, config)
    }

    fn rotary(&self, path: &nn::Path) -> Option<Rotary> {
        let wanted = self.positions == Positions::Rotary;
        wanted.then(|| Rotary::new(self.d_model / self.n_heads, self.block_size, path.device()))
    }
}

/// A translator from one sequence of ids to another.
///
/// Sources are `src` ids `[batch, src_time]` with `src_mask` `[batch, src_time]` Bool, true at real ids.
/// Targets are padded at the end, by any id. Padding changes no result.
///
/// ```
/// use llm_course::models::{Transformer, TransformerConfig};
/// use tch::{Device, Tensor, nn::VarStore};
///
/// let vs = VarStore::new(Device::Cpu);
/// let model = Transformer::new(&vs.root(), TransformerConfig::new(20, 30))?;
/// let src = Tensor::from_slice(&[5i64, 6, 7, 0]).unsqueeze(0); // 0 is padding
/// let tgt_in = Tensor::from_slice(&[1i64, 8, 9]).unsqueeze(0); // 1 is the start
/// assert_eq!(model.forward(&src, &src.ne(0), &tgt_in, false).size(), [1, 3, 30]);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct Transformer {
    /// Reads the source.
    pub encoder: Encoder,
    /// Writes the target.
    pub decoder: Decoder,
    config: TransformerConfig,
}

impl Transformer {
    /// Random weights under `path`.
    ///
    /// # Errors
    /// If the sizes do not fit together.
    pub fn new(path: &nn::Path, config: TransformerConfig) -> Result<Self> {
        config.check()?;
        let encoder = Encoder::new(&(path / "encoder"), &config);
        let decoder = Decoder::new(&(path / "decoder"), &config);
        Ok(Self { encoder, decoder, config })
    }

    /// Its sizes.
    pub fn config(&self) -> TransformerConfig {
        self.config
    }

    /// Logits `[batch, tgt_time, tgt_vocab]` of the id after each of `tgt_in` `[batch, tgt_time]`, which holds
    /// the right previous ids, beginning with the start id.
    ///
    /// # Panics
    /// If a sequence is longer than `block_size`, an id lies outside its vocabulary, or shapes differ.
    pub fn forward(&self, src: &Tensor, src_mask: &Tensor, tgt_in: &Tensor, train: bool) -> Tensor {
        let memory = self.encoder.forward(src, src_mask, train);
        self.decoder.forward(tgt_in, &memory, src_mask, train)
    }

    /// Mean cross-entropy in nats over the targets `tgt_out` `[batch, tgt_time]` that are not
    /// [`IGNORE`](crate::data::IGNORE); each target shares out `smoothing` of its probability evenly
    /// (Vaswani et al. 2017, § 5.4: 0.1; else 0).
    ///
    /// # Panics
    /// As [`forward`](Self::forward), or if `tgt_out` has another shape than `tgt_in`.
    pub fn loss(
        &self,
        src: &Tensor,
        src_mask: &Tensor,
        tgt_in: &Tensor,
        tgt_out: &Tensor,
        smoothing: f64,
        train: bool,
    ) -> Tensor {
        same_shape(tgt_in, tgt_out);
        smoothed_cross_entropy(&self.forward(src, src_mask, tgt_in, train), tgt_out, smoothing)
    }

    /// Reads the sources: the state before the first target id. Runs without gradients.
    ///
    /// # Panics
    /// If a source is longer than `block_size`.
    pub fn encode(&self, src: &Tensor, src_mask: &Tensor) -> TransformerState {
        no_grad(|| self.decoder.start(&self.encoder.forward(src, src_mask, false), src_mask))
    }

    /// One id further: the previous `ids` `[batch]` → logits `[batch, tgt_vocab]` of the next ones. Beam search
    /// reorders states with [`TransformerState::select`]. Runs without gradients.
    ///
    /// # Panics
    /// If the target gets longer than `block_size`.
    pub fn decode_step(&self, ids: &Tensor, state: &mut TransformerState) -> Tensor {
        no_grad(|| self.decoder.step(ids, state))
    }

    /// The most probable id at each step, from `start_id` until every row has said `end_id` or has `max_length`
    /// ids (at most `block_size`); without start and end. Runs without gradients.
    pub fn translate(
        &self,
        src: &Tensor,
        src_mask: &Tensor,
        start_id: i64,
        end_id: i64,
        max_length: usize,
    ) -> Vec<Vec<i64>> {
        let mut state = self.encode(src, src_mask);
        let start = Tensor::full([src.size()[0]], start_id, (Kind::Int64, src.device()));
        let max_length = max_length.min(self.config.block_size as usize);
        greedy(&start, end_id, max_length, |last| self.decode_step(last, &mut state))
    }
}
