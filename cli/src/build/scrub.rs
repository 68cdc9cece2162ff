//! Keeps paths of the machine out of committed outputs.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Result, bail};
use jupyter_protocol::{Media, MediaType};
use nbformat::v4::{Cell, Notebook, Output};
use regex::Regex;

/// Replaces the checkout by `.` and the home folder by `~` in all outputs.
///
/// # Errors
/// If a path of the machine is left; the message quotes it.
pub fn scrub(notebook: &mut Notebook, root: &Path) -> Result<()> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.components().count() > 1);
    let known = [Some((root.to_path_buf(), ".")), home.map(|home| (home, "~"))];
    let known: Vec<_> = known.into_iter().flatten().map(|(p, to)| (p.display().to_string(), to)).collect();
    for text in texts_mut(notebook) {
        for (path, short) in &known {
            *text = text.replace(path, short);
        }
    }
    match machine_paths(notebook).first() {
        Some(found) => bail!("an output holds a path of this machine: {found}"),
        None => Ok(()),
    }
}

/// Parts of outputs that look like a path of somebody's machine.
pub fn machine_paths(notebook: &Notebook) -> Vec<String> {
    static PATH: LazyLock<Regex> = LazyLock::new(|| {
        let folders = r"/home/|/Users/|/root/|/tmp/|/var/folders/|/private/|/mnt/|[A-Z]:\\Users\\";
        Regex::new(&format!(r#"(?:^|[^\w.~])((?:{folders})[^\s"':]*)"#)).expect("a fixed pattern")
    });
    let mut copy = notebook.clone();
    let texts = texts_mut(&mut copy);
    let found = texts.iter().flat_map(|text| PATH.captures_iter(text));
    found.map(|found| found[1].to_owned()).collect()
}

fn texts_mut(notebook: &mut Notebook) -> Vec<&mut String> {
    let mut texts = Vec::new();
    for cell in &mut notebook.cells {
        let Cell::Code { outputs, .. } = cell else { continue };
        for output in outputs {
            match output {
                Output::Stream { text, .. } => texts.push(&mut text.0),
                Output::DisplayData(display) => texts.extend(media_texts(&mut display.data)),
                Output::ExecuteResult(result) => texts.extend(media_texts(&mut result.data)),
                Output::Error(error) => {
                    texts.push(&mut error.evalue);
                    texts.extend(&mut error.traceback);
                }
            }
        }
    }
    texts
}

fn media_texts(media: &mut Media) -> impl Iterator<Item = &mut String> {
    media.content.iter_mut().filter_map(|item| match item {
        MediaType::Plain(text) | MediaType::Markdown(text) | MediaType::Latex(text) => Some(text),
        MediaType::Html(text) | MediaType::Svg(text) | MediaType::Javascript(text) => Some(text),
        _ => None,
    })
}
