//! GPT-2 (Radford et al. 2019).

use serde::{Deserialize, Serialize};

use super::super::GptConfig;
use crate::error::{Error, Result};
use crate::layers::{Activation, Positions};
use crate::pretrained::Layout;

/// `config.json` of a GPT-2.
#[derive(Serialize, Deserialize)]
pub(super) struct Config {
    model_type: String,
    #[serde(default)]
    architectures: Vec<String>,
    vocab_size: i64,
    n_positions: i64,
    n_embd: i64,
    n_layer: i64,
    n_head: i64,
    #[serde(default)]
    n_inner: Option<i64>,
    activation_function: Activation,
    layer_norm_epsilon: f64,
    resid_pdrop: f64,
    embd_pdrop: f64,
    attn_pdrop: f64,
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default)]
    bos_token_id: Option<i64>,
    #[serde(default)]
    eos_token_id: Option<i64>,
}

fn yes() -> bool {
    true
}

impl Config {
    pub fn new(config: &GptConfig) -> Self {
        Self {
            model_type: "gpt2".into(),
            architectures: vec!["GPT2LMHeadModel".into()],
            vocab_size: config.vocab_size,
            n_positions: config.block_size,
            n_embd: config.d_model,
            n_layer: config.n_layers,
            n_head: config.n_heads,
            n_inner: Some(config.d_ff),
            activation_function: config.activation,
            layer_norm_epsilon: config.eps,
            resid_pdrop: config.dropout,
            embd_pdrop: config.dropout,
            attn_pdrop: config.dropout,
            tie_word_embeddings: true,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            bos_token_id: None,
            eos_token_id: None,
        }
    }

    pub fn sizes(&self) -> Result<GptConfig> {
        let usual =
            self.tie_word_embeddings && self.scale_attn_weights && !self.scale_attn_by_inverse_layer_idx;
        if self.model_type != "gpt2" || !usual {
            return Err(Error::input(format!(
                "config.json describes a {:?} that is not a plain GPT-2: choose one with model_type \"gpt2\" or \"gpt_neox\", tied \
                 embeddings and attention scaled by √d_head alone",
                self.model_type
            )));
        }
        Ok(GptConfig {
            vocab_size: self.vocab_size,
            block_size: self.n_positions,
            d_model: self.n_embd,
            n_layers: self.n_layer,
            n_heads: self.n_head,
            d_ff: self.n_inner.unwrap_or(self.n_embd.saturating_mul(4)),
            dropout: self.resid_pdrop,
            positions: Positions::Learned,
            activation: self.activation_function,
            eps: self.layer_norm_epsilon,
        })
    }
}

/// GPT-2's names; its `Conv1D` keeps matrices as `[in, out]`.
pub(super) fn layout(config: &GptConfig) -> Layout {
    let mut layout = Layout::new()
        .same("embedding.ids.weight", "transformer.wte.weight")
        .same("embedding.positions.weight", "transformer.wpe.weight");
    for layer in 0..config.n_layers {
        let (ours, theirs) = (format!("blocks.{layer}"), format!("transformer.h.{layer}"));
        for (norm, ln) in [("norm1", "ln_1"), ("norm2", "ln_2")] {
            for part in ["weight", "bias"] {
                layout = layout.same(format!("{ours}.{norm}.{part}"), format!("{theirs}.{ln}.{part}"));
            }
        }
        for (linear, conv) in [
            ("attention.qkv", "attn.c_attn"),
            ("attention.out", "attn.c_proj"),
            ("feed_forward.up", "mlp.c_fc"),
            ("feed_forward.down", "mlp.c_proj"),
        ] {
            layout = layout
                .transposed(format!("{ours}.{linear}.weight"), format!("{theirs}.{conv}.weight"))
                .same(format!("{ours}.{linear}.bias"), format!("{theirs}.{conv}.bias"));
        }
    }
    layout.same("norm.weight", "transformer.ln_f.weight").same("norm.bias", "transformer.ln_f.bias")
}

/// Old files lack `transformer.`, hold the causal mask, or repeat the embedding as the head.
pub(super) fn rename(name: &str) -> Option<String> {
    let mask = name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
    match name {
        "lm_head.weight" => None,
        _ if mask => None,
        _ if name.starts_with("transformer.") => Some(name.into()),
        _ => Some(format!("transformer.{name}")),
    }
}
