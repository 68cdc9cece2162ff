//! GPT-NeoX (Black et al. 2022): rotary positions. Its attention and feed-forward layer stand side by side; in the form that
//! is written and read here they stand one after the other, as in GPT-2, which its configuration allows.

use serde::{Deserialize, Serialize};

use super::super::GptConfig;
use crate::error::{Error, Result};
use crate::layers::{Activation, Positions};
use crate::pretrained::Layout;

/// The base of the angles, θ in Su et al. 2021.
const THETA: f64 = 10_000.0;
/// More positions than any model has. Their angles are computed, so that no file's size bounds them.
const LONGEST: i64 = 1 << 20;

/// `config.json` of a GPT-NeoX.
#[derive(Serialize, Deserialize)]
pub(super) struct Config {
    model_type: String,
    #[serde(default)]
    architectures: Vec<String>,
    vocab_size: i64,
    max_position_embeddings: i64,
    hidden_size: i64,
    num_hidden_layers: i64,
    num_attention_heads: i64,
    intermediate_size: i64,
    hidden_act: Activation,
    layer_norm_eps: f64,
    hidden_dropout: f64,
    attention_dropout: f64,
    rope_parameters: Rope,
    use_parallel_residual: bool,
    attention_bias: bool,
    tie_word_embeddings: bool,
    #[serde(default)]
    bos_token_id: Option<i64>,
    #[serde(default)]
    eos_token_id: Option<i64>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Rope {
    rope_type: String,
    rope_theta: f64,
    partial_rotary_factor: f64,
}

impl Rope {
    fn ours() -> Self {
        Self { rope_type: "default".into(), rope_theta: THETA, partial_rotary_factor: 1.0 }
    }
}

impl Config {
    pub fn new(config: &GptConfig) -> Self {
        Self {
            model_type: "gpt_neox".into(),
            architectures: vec!["GPTNeoXForCausalLM".into()],
            vocab_size: config.vocab_size,
            max_position_embeddings: config.block_size,
            hidden_size: config.d_model,
            num_hidden_layers: config.n_layers,
            num_attention_heads: config.n_heads,
            intermediate_size: config.d_ff,
            hidden_act: config.activation,
            layer_norm_eps: config.eps,
            hidden_dropout: config.dropout,
            attention_dropout: config.dropout,
            rope_parameters: Rope::ours(),
            use_parallel_residual: false,
            attention_bias: true,
            tie_word_embeddings: true,
            bos_token_id: None,
            eos_token_id: None,
        }
    }

    pub fn sizes(&self) -> Result<GptConfig> {
        let usual = !self.use_parallel_residual && self.attention_bias && self.tie_word_embeddings;
        if !usual || self.rope_parameters != Rope::ours() {
            return Err(Error::input(
                "config.json describes a GPT-NeoX that Gpt cannot be: choose one with use_parallel_residual false, \
                 attention_bias and tie_word_embeddings true, and all of a head turned (partial_rotary_factor 1, \
                 rope_theta 10000)",
            ));
        }
        if self.max_position_embeddings > LONGEST {
            return Err(Error::input(format!(
                "config.json asks for {} positions: models of up to {LONGEST} are read",
                self.max_position_embeddings
            )));
        }
        Ok(GptConfig {
            vocab_size: self.vocab_size,
            block_size: self.max_position_embeddings,
            d_model: self.hidden_size,
            n_layers: self.num_hidden_layers,
            n_heads: self.num_attention_heads,
            d_ff: self.intermediate_size,
            dropout: self.hidden_dropout,
            positions: Positions::Rotary,
            activation: self.hidden_act,
            eps: self.layer_norm_eps,
        })
    }
}

pub(super) fn layout(config: &GptConfig) -> Layout {
    let mut layout = Layout::new().same("embedding.ids.weight", "gpt_neox.embed_in.weight");
    for layer in 0..config.n_layers {
        let (ours, theirs) = (format!("blocks.{layer}"), format!("gpt_neox.layers.{layer}"));
        for kind in ["weight", "bias"] {
            let qkv = format!("{theirs}.attention.query_key_value.{kind}");
            layout = layout.by_head(format!("{ours}.attention.qkv.{kind}"), qkv, config.n_heads);
            for (part, name) in [
                ("norm1", "input_layernorm"),
                ("attention.out", "attention.dense"),
                ("norm2", "post_attention_layernorm"),
                ("feed_forward.up", "mlp.dense_h_to_4h"),
                ("feed_forward.down", "mlp.dense_4h_to_h"),
            ] {
                layout = layout.same(format!("{ours}.{part}.{kind}"), format!("{theirs}.{name}.{kind}"));
            }
        }
    }
    layout
        .same("norm.weight", "gpt_neox.final_layer_norm.weight")
        .same("norm.bias", "gpt_neox.final_layer_norm.bias")
}

/// Files may repeat the embedding as the head; old ones hold the causal mask and the angles.
pub(super) fn rename(name: &str) -> Option<String> {
    let extra = name == "embed_out.weight"
        || [".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"]
            .iter()
            .any(|end| name.ends_with(end));
    (!extra).then(|| name.into())
}
