//! A GPT in the files of Hugging Face: as GPT-2 with learned positions, as GPT-NeoX with rotary ones.

mod gpt2;
mod neox;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::nn::VarStore;

use super::{Gpt, GptConfig};
use crate::error::{Error, Result};
use crate::layers::Positions;
use crate::pretrained::{Layout, check_room, read_config, write_config};

impl Gpt {
    /// A GPT-2, or a GPT-NeoX whose layers are those of a GPT-2 but for the positions, from `config.json` and
    /// `model.safetensors` in `folder`; `vs` is still empty.
    ///
    /// # Errors
    /// If a file cannot be read, is of another model, or a tensor is missing, extra or of another shape: the
    /// message names each.
    pub fn load(vs: &VarStore, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let json: Value = read_config(folder)?;
        if json["model_type"] == "gpt_neox" {
            return open(vs, folder, neox::Config::sizes, neox::layout, neox::rename);
        }
        open(vs, folder, gpt2::Config::sizes, gpt2::layout, gpt2::rename)
    }

    /// Writes `config.json` and `model.safetensors` to `folder`; `AutoModelForCausalLM.from_pretrained(folder)` of
    /// `transformers` reads them, as GPT-2 or, with rotary positions, as GPT-NeoX (Black et al. 2022). `vs` is the one
    /// that the model was made in.
    ///
    /// # Errors
    /// If positions are sinusoidal, which neither has, or a file cannot be written.
    pub fn save(&self, vs: &VarStore, folder: impl AsRef<Path>) -> Result<()> {
        match self.config.positions {
            Positions::Learned => {
                gpt2::layout(&self.config).save(vs, &folder)?;
                write_config(folder, &gpt2::Config::new(&self.config))
            }
            Positions::Rotary => {
                neox::layout(&self.config).save(vs, &folder)?;
                write_config(folder, &neox::Config::new(&self.config))
            }
            Positions::Sinusoidal => Err(Error::input(
                "Sinusoidal positions exist in no format that transformers reads as a GPT: train with \
                 Positions::Learned or Positions::Rotary to export, or keep the weights with vs.save",
            )),
        }
    }
}

/// The model in `folder`, read in the form that `sizes`, `layout` and `rename` know.
fn open<C: DeserializeOwned>(
    vs: &VarStore,
    folder: &Path,
    sizes: fn(&C) -> Result<GptConfig>,
    layout: fn(&GptConfig) -> Layout,
    rename: fn(&str) -> Option<String>,
) -> Result<Gpt> {
    let config = sizes(&read_config(folder)?)?;
    let GptConfig { vocab_size, block_size, d_model, n_layers, d_ff, .. } = config;
    let positions = if config.positions == Positions::Learned { block_size } else { 0 };
    check_room(folder, d_model, d_ff, n_layers, &[vocab_size, positions])?;
    let gpt = Gpt::new(&vs.root(), config)?;
    layout(&config).load(vs, folder, rename)?;
    Ok(gpt)
}
