//! Converts the Markdown sources with jupytext.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nbformat::v4::Notebook;

use crate::notebook;
use crate::paths::Course;
use crate::runner::lessons::stem;

/// A lesson as its author wrote it.
pub struct Source {
    /// E.g. `03_seq2seq`.
    pub name: String,
    /// Its cells, markers included.
    pub notebook: Notebook,
}

/// Reads sources; one start of jupytext (1.5 s) converts them all.
///
/// # Errors
/// If jupytext is missing or does not accept a source.
pub fn read(course: &Course, paths: &[PathBuf]) -> Result<Vec<Source>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    // jupytext writes beside its input, so it gets copies.
    let folder = tempfile::tempdir()?;
    let mut copies = Vec::new();
    for path in paths {
        let copy = folder.path().join(path.file_name().context("a source has a name")?);
        std::fs::copy(path, &copy).with_context(|| format!("{} cannot be read", path.display()))?;
        copies.push(copy);
    }
    convert(&course.venv_bin("jupytext"), folder.path(), &copies)?;
    let read = |copy: &PathBuf| {
        Ok(Source { name: stem(copy), notebook: notebook::read(&copy.with_extension("ipynb"))? })
    };
    copies.iter().map(read).collect()
}

fn convert(jupytext: &Path, folder: &Path, copies: &[PathBuf]) -> Result<()> {
    let output = Command::new(jupytext)
        .args(["--quiet", "--from", "markdown", "--to", "ipynb"])
        .args(copies)
        .current_dir(folder)
        .output()
        .with_context(|| format!("no jupytext at {}: run `cargo course setup`", jupytext.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("jupytext failed: {}", said.lines().last().unwrap_or_default());
    }
    Ok(())
}
