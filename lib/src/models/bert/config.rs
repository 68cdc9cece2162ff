//! Sizes of a BERT, in `config.json` under Hugging Face's names.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layers::{Activation, BlockConfig, NormOrder, WeightInit};

/// Standard deviation of all matrices at the start, as in the paper's code.
pub(super) const STD: f64 = 0.02;
const INIT: WeightInit = WeightInit::Normal { std: STD, residual: STD };

/// Sizes and choices of a [`Bert`](super::Bert). Reads the `config.json` of BERT and of DistilBERT.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BertConfig {
    /// Different ids.
    pub vocab_size: i64,
    /// Numbers that stand for one position.
    #[serde(rename = "hidden_size", alias = "dim")]
    pub d_model: i64,
    /// Layers of the encoder.
    #[serde(rename = "num_hidden_layers", alias = "n_layers")]
    pub n_layers: i64,
    /// Attention heads of each layer.
    #[serde(rename = "num_attention_heads", alias = "n_heads")]
    pub n_heads: i64,
    /// Numbers inside the feed-forward layers.
    #[serde(rename = "intermediate_size", alias = "hidden_dim")]
    pub d_ff: i64,
    /// Positions that have an embedding: the longest row.
    #[serde(rename = "max_position_embeddings")]
    pub block_size: i64,
    /// Segments that have an embedding: 2, or 0 for DistilBERT (Sanh et al. 2019), which has none.
    #[serde(rename = "type_vocab_size", default)]
    pub segments: i64,
    /// Probability with which a number is dropped in training, attention's weights included.
    #[serde(rename = "hidden_dropout_prob", alias = "dropout")]
    pub dropout: f64,
    /// What stands inside the feed-forward layers and the word head.
    #[serde(rename = "hidden_act", alias = "activation")]
    pub activation: Activation,
    /// ε of the layer norms.
    #[serde(rename = "layer_norm_eps", default = "eps")]
    pub eps: f64,
    /// What stands on top of the encoder; of a file, what it holds weights for.
    #[serde(skip)]
    pub heads: BertHeads,
}

fn eps() -> f64 {
    1e-12
}

/// What stands on top of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BertHeads {
    /// A summary of the row, from its first position.
    pub pooler: bool,
    /// Which word is hidden?
    pub words: bool,
    /// Does the second segment follow the first? Needs the pooler.
    pub next: bool,
}

impl BertHeads {
    /// All three, as the paper trains it.
    pub const ALL: Self = Self { pooler: true, words: true, next: true };
    /// Words only: DistilBERT, and BERT without pairs.
    pub const WORDS: Self = Self { pooler: false, words: true, next: false };
}

impl Default for BertHeads {
    fn default() -> Self {
        Self::ALL
    }
}

impl BertConfig {
    /// Two layers of 128 numbers and two heads ("BERT-tiny", Turc et al. 2019) for rows of 128 ids at most.
    ///
    /// ```
    /// use llm_course::models::BertConfig;
    /// let config = BertConfig { n_layers: 4, dropout: 0.0, ..BertConfig::tiny(2000) };
    /// assert_eq!((config.vocab_size, config.d_model, config.d_ff), (2000, 128, 512));
    /// ```
    pub fn tiny(vocab_size: i64) -> Self {
        Self {
            vocab_size,
            d_model: 128,
            n_layers: 2,
            n_heads: 2,
            d_ff: 512,
            block_size: 128,
            segments: 2,
            dropout: 0.1,
            activation: Activation::Gelu,
            eps: eps(),
            heads: BertHeads::ALL,
        }
    }

    /// Whether it is a DistilBERT: no segments, and files under other names.
    pub fn is_distilled(&self) -> bool {
        self.segments == 0
    }

    pub(super) fn block(&self) -> BlockConfig {
        let Self { d_model, n_heads, d_ff, dropout, activation, eps, .. } = *self;
        BlockConfig { d_model, n_heads, d_ff, dropout, order: NormOrder::Post, activation, eps, init: INIT }
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::input(format!("BertConfig: {what}")));
        let Self { vocab_size, d_model, n_layers, n_heads, d_ff, block_size, .. } = *self;
        if [vocab_size, d_model, n_layers, n_heads, d_ff, block_size].iter().any(|&size| size < 1) {
            return wrong(format!("all sizes must be at least 1: {self:?}"));
        }
        if d_model % n_heads != 0 {
            return wrong(format!("d_model {d_model} must be a multiple of n_heads {n_heads}"));
        }
        if self.heads.next && !self.heads.pooler {
            return wrong("the head `next` reads the pooler: switch `pooler` on, or `next` off".into());
        }
        Ok(())
    }
}
