//! Pictures for the README and the handouts: a cell tagged `picture:NAME` of a learner's notebook gives
//! `notebooks/pictures/NAME.png`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use jupyter_protocol::MediaType;
use nbformat::v4::{Cell, Notebook, Output};

use crate::notebook::tags;

/// Writes the pictures of an executed notebook into `folder`.
///
/// # Errors
/// If a tagged cell shows no picture, or a file cannot be written.
pub fn write(notebook: &Notebook, folder: &Path) -> Result<()> {
    for (path, png) in pictures(notebook, folder)? {
        std::fs::create_dir_all(folder)?;
        std::fs::write(&path, png).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// What is wrong with the files in `folder`, one line each.
pub fn problems(notebook: &Notebook, folder: &Path) -> Vec<String> {
    let all = match pictures(notebook, folder) {
        Ok(all) => all,
        Err(error) => return vec![format!("{error:#}")],
    };
    let stale = all.iter().filter(|(path, png)| std::fs::read(path).ok().as_ref() != Some(png));
    stale
        .map(|(path, _)| format!("{} is not its picture: run `cargo course build`", path.display()))
        .collect()
}

fn pictures(notebook: &Notebook, folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut all = Vec::new();
    for cell in &notebook.cells {
        let Cell::Code { id, outputs, .. } = cell else { continue };
        for name in tags(cell).iter().filter_map(|tag| tag.strip_prefix("picture:")) {
            let png = outputs.iter().find_map(png).with_context(|| format!("cell {id} shows no picture"))?;
            let lines: String = png.split_whitespace().collect();
            all.push((folder.join(format!("{name}.png")), BASE64_STANDARD.decode(lines)?));
        }
    }
    Ok(all)
}

fn png(output: &Output) -> Option<&str> {
    let media = match output {
        Output::DisplayData(display) => &display.data,
        Output::ExecuteResult(result) => &result.data,
        _ => return None,
    };
    media.content.iter().find_map(|item| match item {
        MediaType::Png(png) => Some(png.as_str()),
        _ => None,
    })
}
