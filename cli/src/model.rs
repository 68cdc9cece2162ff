//! `cargo course model`: published weights from the Hugging Face hub, into the cache that all its tools share.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use sha2::{Digest, Sha256};

/// Downloads models by their name on the Hugging Face hub; find_model in a notebook then finds them.
#[derive(clap::Args, Clone, Debug)]
pub struct ModelArgs {
    /// For example distilbert/distilbert-base-uncased.
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// What a model needs; weights are read as safetensors only, never as a pickle.
const NEEDED: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];
/// What some have besides.
const USEFUL: [&str; 5] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];

/// Downloads what the arguments name; `HF_ENDPOINT` names another hub, `HF_HOME` another cache.
///
/// # Errors
/// As [`fetch`].
pub fn model(args: &ModelArgs) -> Result<()> {
    for name in &args.names {
        println!("{}", fetch(name, ApiBuilder::from_env())?.display());
    }
    Ok(())
}

/// The folder of the model `name`, whose files are downloaded if they are not there.
///
/// # Errors
/// If there is no network, no such model, it has no safetensors, or the weights are not those of the hub's SHA-256.
pub fn fetch(name: &str, hub: ApiBuilder) -> Result<PathBuf> {
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && part != ".."
    };
    if name.split('/').count() > 2 || !name.split('/').all(plain) {
        bail!(
            "{name:?} is no name of a model: it has the form owner/model, as in distilbert/distilbert-base-uncased"
        );
    }
    let hub = hub.with_progress(console::user_attended()).with_retries(2).build()?;
    let repo = hub.model(name.into());
    let listed = repo.info().map_err(|error| advice(name, error))?;
    let listed: Vec<&str> = listed.siblings.iter().map(|file| file.rfilename.as_str()).collect();
    let missing: Vec<_> = NEEDED.into_iter().filter(|file| !listed.contains(file)).collect();
    if !missing.is_empty() {
        bail!(
            "{name} has no {}: choose a model with its weights in one model.safetensors and a tokenizer.json",
            missing.join(", no ")
        );
    }
    let wanted = NEEDED.into_iter().chain(USEFUL).filter(|file| listed.contains(file));
    let paths = wanted.map(|file| download(name, &repo, file)).collect::<Result<Vec<_>>>()?;
    Ok(paths[0].parent().context("config.json lies in a folder")?.to_path_buf())
}

/// A file of the model. What the hub names by its SHA-256, as it does large files, must have it.
fn download(name: &str, repo: &ApiRepo, file: &str) -> Result<PathBuf> {
    let path = repo.get(file).map_err(|error| advice(name, error))?;
    let content = path.canonicalize()?; // the cache keeps it under the name that the hub gave it
    let expected = content.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let by_hash = expected.len() == 64 && expected.bytes().all(|digit| digit.is_ascii_hexdigit());
    if by_hash && sha256(&content)? != expected.to_lowercase() {
        std::fs::remove_file(&path)?;
        std::fs::remove_file(&content)?;
        bail!("{file} of {name} is not what the hub says (its SHA-256 differs) and was removed: try again");
    }
    Ok(path)
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut digest = Sha256::new();
    std::io::copy(&mut file, &mut digest)?;
    Ok(format!("{:x}", digest.finalize()))
}

/// What to do about an error of the hub.
fn advice(name: &str, error: ApiError) -> anyhow::Error {
    let said = error.to_string();
    if [401, 403, 404].iter().any(|status| said.contains(&format!("status code {status}"))) {
        return anyhow!("the hub has no model {name} that everybody may read: check the name, owner/model");
    }
    anyhow!(
        "{name} cannot be downloaded ({said}): check the network, or put the model's files into a folder and name that \
         in LLM_COURSE_MODELS"
    )
}
