//! A trained model for others: one folder in the form of Hugging Face, with a model card and outputs to compare with.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tch::Tensor;

use crate::error::{Error, Result};
use crate::pretrained::{CONFIG, WEIGHTS, read_config, read_json, weight_count};

const TOKENIZER: &str = "tokenizer.json";
const OUTPUTS: &str = "outputs.safetensors";

/// What a model card says (Mitchell et al. 2019), in Markdown.
#[derive(Clone, Debug)]
pub struct ModelCard {
    task: String,
    summary: String,
    data: String,
    results: Vec<(String, String)>,
    limits: String,
    license: String,
    python: String,
}

impl ModelCard {
    /// Of a model for `task`, as hubs call it, e.g. `text-generation`; `summary` says what the model is.
    pub fn new(task: impl Into<String>, summary: impl Into<String>) -> Self {
        let unsaid = || "Not said.".to_string();
        Self {
            task: task.into(),
            summary: summary.into(),
            data: unsaid(),
            results: Vec::new(),
            limits: unsaid(),
            license: "unknown".into(),
            python: "from transformers import AutoModel, AutoTokenizer\nmodel = AutoModel.from_pretrained(\".\")\n\
                     tokenizer = AutoTokenizer.from_pretrained(\".\")"
                .into(),
        }
    }

    /// What it was trained on.
    pub fn data(self, text: impl Into<String>) -> Self {
        Self { data: text.into(), ..self }
    }

    /// A measure on text that it was not trained on, and its value.
    pub fn result(mut self, measure: impl Into<String>, value: impl std::fmt::Display) -> Self {
        self.results.push((measure.into(), value.to_string()));
        self
    }

    /// What it must not be used for, and why.
    pub fn limits(self, text: impl Into<String>) -> Self {
        Self { limits: text.into(), ..self }
    }

    /// The licence of the weights as hubs spell it, e.g. `mit`.
    pub fn license(self, name: impl Into<String>) -> Self {
        Self { license: name.into(), ..self }
    }

    /// The Python that opens it, run in its folder; without this, lines that open the bare model and the tokenizer.
    pub fn python(self, lines: impl Into<String>) -> Self {
        Self { python: lines.into(), ..self }
    }

    /// The card of the model `name` with so many weights.
    fn markdown(&self, name: &str, weights: u64) -> String {
        let Self { task, summary, data, results, limits, license, python } = self;
        let mut table = String::new();
        for (measure, value) in results {
            writeln!(table, "| {measure} | {value} |").expect("a String takes everything");
        }
        format!(
            "---\nlanguage: en\nlicense: {license}\nlibrary_name: transformers\npipeline_tag: {task}\n---\n\n\
             # {name}\n\n{summary} It has {weights} weights.\n\n## Trained on\n\n{data}\n\n## Results\n\n\
             | measure | value |\n| --- | --- |\n{table}\n## Limits\n\n{limits}\n\n## Use\n\n\
             ```python\n{}\n```\n",
            python.trim()
        )
    }
}

/// A folder that is being filled; [`finish`](Self::finish) puts it in place as a whole.
///
/// ```
/// use llm_course::export::{Export, ModelCard};
/// use llm_course::models::{Gpt, GptConfig};
/// use llm_course::tokenizers::{Bpe, Tokenizer};
/// use tch::{Device, Tensor, nn::VarStore};
///
/// let bpe = Bpe::train("to be or not to be", 258)?;
/// let vs = VarStore::new(Device::Cpu);
/// let gpt = Gpt::new(&vs.root(), GptConfig::small(bpe.vocab_size()))?;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let export = Export::at(folder.join("hamlet"))?;
/// gpt.save(&vs, export.folder())?;
/// bpe.save(export.tokenizer())?;
/// let ids = Tensor::from_slice(&bpe.encode("to be")).unsqueeze(0);
/// export.outputs("to be", &[("ids", &ids), ("logits", &gpt.forward(&ids, false))])?;
/// let card = ModelCard::new("text-generation", "A GPT that has seen six words.").license("mit");
/// assert!(export.finish(&card)?.ends_with("hamlet"));
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct Export {
    name: String,
    partial: PathBuf,
    place: PathBuf,
}

impl Export {
    /// Begins the export `name`, which will lie below [`folder`], where [`find_model`](crate::pretrained::find_model)
    /// looks too.
    ///
    /// # Errors
    /// If `name` is not a plain name of letters, digits, `-`, `_` and `.`, or the folder cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        Self::at(folder().join(name))
    }

    /// Begins an export that will lie at `place`.
    ///
    /// # Errors
    /// As [`new`](Self::new), of the last part of `place`.
    pub fn at(place: impl AsRef<Path>) -> Result<Self> {
        let place = place.as_ref().to_path_buf();
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(Error::input(format!(
                "{name:?} cannot be a model's name: use letters, digits, '-', '_' and '.', such as \"stories-gpt\""
            )));
        }
        // Another notebook may be writing the same model at this moment.
        let own = format!(".{name}-{}-{:x}", std::process::id(), rand::random::<u32>());
        let partial = place.with_file_name(own);
        std::fs::create_dir_all(&partial).map_err(|source| unwritable(&partial, source))?;
        Ok(Self { name, partial, place })
    }

    /// Where `save` of a model writes to.
    pub fn folder(&self) -> &Path {
        &self.partial
    }

    /// Where `save` of a tokenizer writes to.
    pub fn tokenizer(&self) -> PathBuf {
        self.partial.join(TOKENIZER)
    }

    /// Keeps what the model makes of `text`, so that whoever opens it can compare: its inputs `ids`, and where it has
    /// them `segments` and `mask`, `[1, time]` each, and of its outputs some of `logits`, `next`, `pooled`, `hidden`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn outputs(&self, text: &str, tensors: &[(&str, &Tensor)]) -> Result<()> {
        let sample = self.partial.join("sample.txt");
        std::fs::write(&sample, text).map_err(|source| unwritable(&sample, source))?;
        Ok(Tensor::write_safetensors(tensors, self.partial.join(OUTPUTS))?)
    }

    /// Adds the card and what `transformers` wants to know of the tokenizer, and puts the folder in place, where it
    /// replaces an older one of the same name → its path.
    ///
    /// # Errors
    /// If a part is missing (weights, tokenizer, outputs), or a file cannot be written.
    pub fn finish(self, card: &ModelCard) -> Result<PathBuf> {
        let parts = [CONFIG, WEIGHTS, TOKENIZER, OUTPUTS];
        let missing: Vec<_> = parts.into_iter().filter(|part| !self.partial.join(part).is_file()).collect();
        if !missing.is_empty() {
            return Err(Error::input(format!(
                "{} has no {} yet: call save of the model and of the tokenizer, and outputs, before finish",
                self.name,
                missing.join(", ")
            )));
        }
        let weights = weight_count(&self.partial)?;
        let write = |name: &str, text: String| {
            let path = self.partial.join(name);
            std::fs::write(&path, text).map_err(|source| unwritable(&path, source))
        };
        write("README.md", card.markdown(&self.name, weights))?;
        write("tokenizer_config.json", format!("{:#}\n", self.tokenizer_config()?))?;
        replace(&self.partial, &self.place).map_err(|source| unwritable(&self.place, source))?;
        Ok(self.place.clone())
    }

    /// Special tokens by the role that `transformers` knows, and the longest input.
    fn tokenizer_config(&self) -> Result<Value> {
        const ROLES: [(&str, &str); 7] = [
            ("[UNK]", "unk_token"),
            ("[CLS]", "cls_token"),
            ("[SEP]", "sep_token"),
            ("[PAD]", "pad_token"),
            ("[MASK]", "mask_token"),
            ("<|endoftext|>", "eos_token"),
            ("<unk>", "unk_token"),
        ];
        let tokenizer: Value = read_json(&self.tokenizer())?;
        let config: Value = read_config(&self.partial)?;
        let longest = ["n_positions", "max_position_embeddings"].iter().find_map(|key| config[key].as_u64());
        let mut json = json!({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest});
        for token in tokenizer["added_tokens"].as_array().into_iter().flatten() {
            if let Some((content, role)) = ROLES.iter().find(|(content, _)| token["content"] == *content) {
                json[role] = json!(content);
            }
        }
        Ok(json)
    }
}

impl Drop for Export {
    /// What was not finished goes.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.partial);
    }
}

/// Where exported models lie: the folder that `LLM_COURSE_EXPORTS` names, else `exports/` in the checkout.
pub fn folder() -> PathBuf {
    let own = std::env::var_os("LLM_COURSE_EXPORTS").filter(|value| !value.is_empty());
    own.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../exports"), PathBuf::from)
}

/// Moves `new` to `place`. A folder there is first moved aside, so that the model is never half old and half new.
fn replace(new: &Path, place: &Path) -> std::io::Result<()> {
    let aside = new.with_extension("old");
    match std::fs::rename(place, &aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let moved = std::fs::rename(new, place);
    if moved.is_err() {
        let _ = std::fs::rename(&aside, place);
    }
    let _ = std::fs::remove_dir_all(&aside);
    moved
}

fn unwritable(path: &Path, source: std::io::Error) -> Error {
    Error::file(
        path,
        source,
        "free some disk space, or name a folder that you may write to in LLM_COURSE_EXPORTS",
    )
}
