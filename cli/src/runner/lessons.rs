//! Finds the notebook that a word on the command line means.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::paths::Course;

/// The two notebooks of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the exercises open.
    Learner,
    /// With the exercises solved.
    Solved,
}

impl Form {
    /// The folder where notebooks of this form lie.
    pub fn folder(self, course: &Course) -> PathBuf {
        match self {
            Self::Learner => course.notebooks(),
            Self::Solved => course.solutions(),
        }
    }
}

/// The files in a folder with one ending whose names begin like a lesson's (`03_…`), sorted.
pub fn in_folder(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .filter(|path| stem(path).starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    files.sort();
    files
}

/// A file's name without its ending.
pub fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The files of a folder that the words name by number (`3`, `03`) or beginning (`03_seq`); all without words.
///
/// # Errors
/// If a word names none; the message lists those that exist.
pub fn select(folder: &Path, ending: &str, words: &[String]) -> Result<Vec<PathBuf>> {
    let all = in_folder(folder, ending);
    if words.is_empty() {
        return Ok(all);
    }
    words.iter().map(|word| find(&all, folder, ending, word)).collect()
}

fn find(all: &[PathBuf], folder: &Path, ending: &str, word: &str) -> Result<PathBuf> {
    let number = format!("{word:0>2}_");
    let meant = |path: &&PathBuf| stem(path) == word || stem(path).starts_with(&number) || begins(path, word);
    match all.iter().find(meant) {
        Some(path) => Ok(path.clone()),
        None => {
            let names: Vec<_> = all.iter().map(|path| stem(path)).collect();
            bail!("no lesson {word} (*.{ending}) in {}; there are: {}", folder.display(), names.join(" "))
        }
    }
}

fn begins(path: &Path, word: &str) -> bool {
    word.len() > 2 && stem(path).starts_with(word)
}

/// The notebooks that words mean: a path to an `.ipynb`, or a lesson's number or name; all without words.
pub fn notebooks(course: &Course, form: Form, words: &[String]) -> Result<Vec<PathBuf>> {
    let folder = form.folder(course);
    if words.is_empty() {
        return select(&folder, "ipynb", words);
    }
    let mut found = Vec::new();
    for word in words {
        if word.ends_with(".ipynb") {
            found.push(PathBuf::from(word));
        } else {
            found.extend(select(&folder, "ipynb", std::slice::from_ref(word))?);
        }
    }
    Ok(found)
}
