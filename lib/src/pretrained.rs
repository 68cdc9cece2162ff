//! Models in the files of Hugging Face: `config.json` and `model.safetensors` in one folder.
//!
//! Only safetensors are read: a `pytorch_model.bin` is a pickle, which can run any code when it is opened.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tch::{Device, Tensor, nn::VarStore};

use crate::error::{Error, Result};
use crate::no_grad;
use crate::runtime::folders;

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const CONFIG: &str = "config.json";

/// The folder of the pretrained model `name`, which is a folder, or what a hub calls a model (`gpt2`,
/// `sentence-transformers/all-MiniLM-L6-v2`). Looked for, in this order: as a path; below the folder that
/// `LLM_COURSE_MODELS` names; among the course's [exports](crate::export); below `.course/models`, where the set-up
/// puts all-MiniLM-L6-v2; in the cache of Hugging Face's own tools (`HF_HOME`, else `~/.cache/huggingface`).
///
/// # Errors
/// If none of these is a folder with a `config.json`; the message lists them.
pub fn find_model(name: &str) -> Result<PathBuf> {
    let short = name.rsplit('/').next().unwrap_or(name);
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("HF_HOME").or_else(|| Some(variable("HOME")?.join(".cache/huggingface")));
    let mut places = vec![PathBuf::from(name)];
    let mut folders = folders("LLM_COURSE_MODELS", "models");
    folders.insert(folders.len() - 1, crate::export::folder());
    for folder in folders {
        places.extend([folder.join(name), folder.join(short)]);
    }
    places.extend(cache.map(|cache| cache.join("hub").join(format!("models--{}", name.replace('/', "--")))));
    places.dedup();
    if let Some(found) = places
        .iter()
        .flat_map(|place| [Some(place.clone()), snapshot(place)])
        .flatten()
        .find(|place| place.join(CONFIG).is_file())
    {
        return Ok(found);
    }
    let tried: Vec<String> = places.iter().map(|place| format!("  {}", place.display())).collect();
    Err(Error::input(format!(
        "no model {name:?}: none of these folders has a {CONFIG}; `cargo course model {name}` fetches a published one; \
         or put the files into one of them, or name yours in LLM_COURSE_MODELS\n{}",
        tried.join("\n")
    )))
}

/// The version that a model's folder in Hugging Face's cache points to.
fn snapshot(cached: &Path) -> Option<PathBuf> {
    let commit = std::fs::read_to_string(cached.join("refs/main")).ok()?;
    Some(cached.join("snapshots").join(commit.trim()))
}

/// Reads `config.json` in `folder`; fields that `T` does not have are left alone.
///
/// # Errors
/// If there is no such file, or it lacks a field of `T`; the message names the file and the field.
pub fn read_config<T: DeserializeOwned>(folder: impl AsRef<Path>) -> Result<T> {
    read_json(&folder.as_ref().join(CONFIG))
}

/// Reads a file of a model's folder.
///
/// # Errors
/// As [`read_config`].
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        Error::file(path, source, "name a folder with config.json and model.safetensors in it")
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Error::input(format!("{}: {error}; is it the configuration of another model?", path.display()))
    })
}

/// Writes `config` to `config.json` in `folder`, which is made if it is missing.
///
/// # Errors
/// If the file cannot be written.
pub fn write_config<T: Serialize>(folder: impl AsRef<Path>, config: &T) -> Result<()> {
    let folder = folder.as_ref();
    let path = folder.join(CONFIG);
    let text = serde_json::to_string_pretty(config)
        .map_err(|error| Error::input(format!("{}: {error}", path.display())))?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text + "\n"))
        .map_err(|source| Error::file(&path, source, "choose a folder that you may write to"))
}

/// What the variables of a model are called in a Hugging Face file, for loading and for saving.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    ours: String,
    theirs: Vec<String>, // more than one: stacked along the first dimension
    form: Form,
}

/// How a tensor of theirs lies in the file, compared with ours.
#[derive(Clone, Copy, Debug)]
enum Form {
    Same,
    /// `[in, out]`.
    Transposed,
    /// Queries, keys and values of one head lie together, head after head; ours: all queries, all keys, all values.
    ByHead(i64),
}

impl Form {
    fn to_ours(self, theirs: Tensor) -> Tensor {
        match self {
            Self::Same => theirs,
            Self::Transposed => theirs.tr(),
            Self::ByHead(heads) => regrouped(&theirs, heads, 3),
        }
    }

    fn to_theirs(self, ours: Tensor) -> Tensor {
        match self {
            Self::Same => ours,
            Self::Transposed => ours.tr(),
            Self::ByHead(heads) => regrouped(&ours, 3, heads),
        }
    }
}

/// `[outer·inner·rows, …]` → `[inner·outer·rows, …]`: the other one of two dimensions comes first.
fn regrouped(tensor: &Tensor, outer: i64, inner: i64) -> Tensor {
    let size = tensor.size();
    let groups = [&[outer, inner, size[0] / (outer * inner)], &size[1..]].concat();
    tensor.view(groups.as_slice()).transpose(0, 1).reshape(size)
}

impl Entry {
    /// The shape of each of their tensors, for our tensor of `shape`.
    fn shape(&self, shape: &[i64]) -> Vec<i64> {
        let mut shape = shape.to_vec();
        shape[0] /= self.theirs.len() as i64;
        if let Form::Transposed = self.form {
            shape.reverse();
        }
        shape
    }
}

impl Layout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Our variable `ours` is their tensor `theirs`.
    pub fn same(self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.entry(ours, vec![theirs.into()], Form::Same)
    }

    /// Our matrix `ours` `[out, in]` is their tensor `theirs` `[in, out]` (GPT-2's `Conv1D`).
    pub fn transposed(self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.entry(ours, vec![theirs.into()], Form::Transposed)
    }

    /// Our `ours` `[3·d_model, …]` (all queries, all keys, all values) is their tensor `theirs` of the same shape, in which
    /// each of the `heads` has its own queries, keys and values together (GPT-NeoX's `query_key_value`).
    pub fn by_head(self, ours: impl Into<String>, theirs: impl Into<String>, heads: i64) -> Self {
        self.entry(ours, vec![theirs.into()], Form::ByHead(heads))
    }

    /// Our variable `ours` is their tensors `theirs`, stacked along the first dimension: queries, keys and
    /// values in one matrix.
    pub fn stacked<S: Into<String>>(
        self,
        ours: impl Into<String>,
        theirs: impl IntoIterator<Item = S>,
    ) -> Self {
        self.entry(ours, theirs.into_iter().map(Into::into).collect(), Form::Same)
    }

    fn entry(mut self, ours: impl Into<String>, theirs: Vec<String>, form: Form) -> Self {
        self.entries.push(Entry { ours: ours.into(), theirs, form });
        self
    }

    /// Fills `vs` from `model.safetensors` in `folder`, in the kind of the variables.
    ///
    /// `rename` brings other names of the same tensors (older versions', say) into the layout's, and returns
    /// `None` for a tensor that is to be left out.
    ///
    /// # Errors
    /// If a tensor is missing, left over or of another shape: the message names each of them, and `vs` is as
    /// before. If the file cannot be read, or a variable of `vs` is not in the layout.
    pub fn load(
        &self,
        vs: &VarStore,
        folder: impl AsRef<Path>,
        rename: impl Fn(&str) -> Option<String>,
    ) -> Result<()> {
        let path = folder.as_ref().join(WEIGHTS);
        let tensors = read(&path)?;
        let mut tensors: BTreeMap<String, Tensor> =
            tensors.into_iter().filter_map(|(name, tensor)| Some((rename(&name)?, tensor))).collect();
        let variables = self.variables(vs)?;
        let (mut found, mut wrong) = (Vec::new(), Vec::new());
        for (entry, variable) in self.entries.iter().zip(variables) {
            let want = entry.shape(&variable.size());
            let mut parts = Vec::new();
            for name in &entry.theirs {
                match tensors.remove(name) {
                    None => wrong.push(format!("{name} {want:?} is missing")),
                    Some(part) if part.size() != want => {
                        wrong.push(format!("{name} is {:?}, not {want:?}", part.size()));
                    }
                    Some(part) => parts.push(entry.form.to_ours(part)),
                }
            }
            found.push((variable, parts));
        }
        wrong.extend(tensors.iter().map(|(name, tensor)| format!("{name} {:?} is extra", tensor.size())));
        if !wrong.is_empty() {
            return Err(Error::input(format!(
                "{}: {}; the weights and config.json must belong to the same model",
                path.display(),
                wrong.join(", ")
            )));
        }
        no_grad(|| {
            for (variable, parts) in found {
                let rows = variable.size()[0] / parts.len() as i64;
                for (part, start) in parts.iter().zip((0..).step_by(rows as usize)) {
                    variable.narrow(0, start, rows).copy_(part);
                }
            }
        });
        Ok(())
    }

    /// Writes `vs` to `model.safetensors` in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// If the file cannot be written, or a variable of `vs` is not in the layout.
    pub fn save(&self, vs: &VarStore, folder: impl AsRef<Path>) -> Result<()> {
        let mut tensors = Vec::new();
        for (entry, variable) in self.entries.iter().zip(self.variables(vs)?) {
            let parts = variable.detach().to_device(Device::Cpu).chunk(entry.theirs.len() as i64, 0);
            for (name, part) in entry.theirs.iter().zip(parts) {
                tensors.push((name.as_str(), entry.form.to_theirs(part).contiguous()));
            }
        }
        write(&folder.as_ref().join(WEIGHTS), &tensors)
    }

    /// The variable of each entry.
    fn variables(&self, vs: &VarStore) -> Result<Vec<Tensor>> {
        let mut variables = vs.variables();
        let take = |entry: &Entry| {
            variables.remove(&entry.ours).ok_or_else(|| {
                Error::input(format!(
                    "the layout names {}, which the model does not have: take it out, or correct the name",
                    entry.ours
                ))
            })
        };
        let found = self.entries.iter().map(take).collect::<Result<_>>()?;
        match variables.keys().min() {
            None => Ok(found),
            Some(name) => Err(Error::input(format!(
                "{name} is not in the layout: give the model a VarStore of its own, or add the name"
            ))),
        }
    }
}

/// The names of the tensors in `model.safetensors` in `folder`; reads the header only.
///
/// # Errors
/// If the file cannot be read.
pub fn tensor_names(folder: impl AsRef<Path>) -> Result<Vec<String>> {
    Ok(header(folder.as_ref())?.into_keys().collect())
}

/// How many numbers the tensors of `model.safetensors` in `folder` hold; reads the header only.
pub(crate) fn weight_count(folder: &Path) -> Result<u64> {
    let numbers = |tensor: &Value| {
        tensor["shape"].as_array().into_iter().flatten().filter_map(Value::as_u64).product::<u64>()
    };
    Ok(header(folder)?.values().map(numbers).sum())
}

/// Checks, before anything is allocated, that `model.safetensors` in `folder` is large enough for a model with these
/// sizes and tables of so many rows in the file: a damaged `config.json` may ask for more memory than there is.
///
/// # Errors
/// If the file cannot be read, or has fewer bytes than the model has weights.
pub(crate) fn check_room(folder: &Path, d_model: i64, d_ff: i64, n_layers: i64, rows: &[i64]) -> Result<()> {
    let path = folder.join(WEIGHTS);
    let bytes = size(&path)?;
    let [width, inner, layers] = [d_model, d_ff, n_layers].map(|size| size as f64);
    let tables: f64 = rows.iter().map(|&rows| rows as f64 * width).sum();
    let weights = layers * (4.0 * width * width + 2.0 * width * inner) + tables;
    if weights > bytes as f64 {
        return Err(Error::input(format!(
            "{}: {bytes} bytes are too few for the {weights:.0} weights that config.json describes; the two must belong \
             to the same model",
            path.display()
        )));
    }
    Ok(())
}

/// What the file says of each tensor: kind, shape and place.
fn header(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let path = folder.join(WEIGHTS);
    let file_error = |source| Error::file(&path, source, "name a folder with model.safetensors in it");
    let mut file = std::fs::File::open(&path).map_err(file_error)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(file_error)?;
    let mut header: BTreeMap<String, Value> =
        serde_json::from_reader(BufReader::new(file.take(u64::from_le_bytes(length)))).map_err(|error| {
            Error::input(format!("{}: no safetensors file: {error}; copy it again", path.display()))
        })?;
    header.remove("__metadata__");
    Ok(header)
}

/// Bytes of the file of weights.
fn size(path: &Path) -> Result<u64> {
    let advice = "only safetensors are read: convert other weights in Python with \
                  model.save_pretrained(folder), which writes them";
    Ok(std::fs::metadata(path).map_err(|source| Error::file(path, source, advice))?.len())
}

fn read(path: &Path) -> Result<Vec<(String, Tensor)>> {
    size(path)?;
    Ok(Tensor::read_safetensors(path)?)
}

/// Writes beside `path` first, so that a run that is cut off leaves no half file.
fn write(path: &Path, tensors: &[(&str, Tensor)]) -> Result<()> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, tensor)| {
            let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            bytes
        })
        .collect();
    let mut views = Vec::new();
    for ((name, tensor), bytes) in tensors.iter().zip(&bytes) {
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        let view = TensorView::new(Dtype::try_from(tensor.kind())?, shape, bytes);
        views.push((*name, view.map_err(|error| unwritten(path, error))?));
    }
    let format = HashMap::from([("format".to_string(), "pt".to_string())]); // transformers asks for it
    let partial = path.with_extension("partial");
    let file_error = |source| Error::file(path, source, "choose a folder that you may write to");
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(file_error)?;
    serialize_to_file(views, &Some(format), &partial).map_err(|error| unwritten(path, error))?;
    std::fs::rename(&partial, path).map_err(file_error)
}

fn unwritten(path: &Path, error: safetensors::SafeTensorError) -> Error {
    Error::input(format!("{} cannot be written: {error}; is the disk full?", path.display()))
}
