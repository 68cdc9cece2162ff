//! `cargo course export`: opens the models that lessons exported in Hugging Face `transformers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::Course;

/// Opens exported models in Hugging Face transformers and compares tokens and outputs with the course's.
#[derive(clap::Args, Clone, Debug)]
pub struct ExportArgs {
    /// Models below `exports/` by name, or folders; all below `exports/` if none is given.
    pub models: Vec<PathBuf>,
}

/// Checks the models that the arguments name.
///
/// # Errors
/// If there is none, `transformers` is not installed, or a model is another one there.
pub fn export(course: &Course, args: &ExportArgs) -> Result<()> {
    let folders = if args.models.is_empty() {
        models(&course.exports())?
    } else {
        args.models.iter().map(|model| find(course, model)).collect::<Result<_>>()?
    };
    if folders.is_empty() {
        bail!(
            "nothing is exported yet: lessons 07, 08 and 09 do it when they run, for example `cargo course run 07`"
        );
    }
    check(course, &folders)
}

/// A model by its folder, or by its name below `exports/`.
fn find(course: &Course, model: &Path) -> Result<PathBuf> {
    let places = [model.to_path_buf(), course.exports().join(model)];
    let found = places.into_iter().find(|place| place.join("config.json").is_file());
    found.with_context(|| {
        format!(
            "no model {}: neither there nor below {} is a config.json",
            model.display(),
            course.exports().display()
        )
    })
}

/// The models below a folder, in the order of their names; none if there is no such folder.
pub fn models(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.join("config.json").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Opens each model in `transformers`.
///
/// # Errors
/// If that is not installed, or a model is another one there; what was wrong has been printed.
pub fn check(course: &Course, folders: &[PathBuf]) -> Result<()> {
    let python = course.peers_python().context(
        "transformers is missing: `cargo course setup --peers` installs it and PyTorch (5 GB), then run this again",
    )?;
    let mut command = Command::new(python);
    // The models lie here: nothing is to be asked of a network.
    command.env("HF_HUB_OFFLINE", "1").args(["-c", include_str!("check.py")]).args(folders);
    let status = command.status().context("Python does not start")?;
    if !status.success() {
        bail!("a model is not the same in transformers: see above");
    }
    Ok(())
}
