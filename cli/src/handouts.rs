//! `cargo course handouts`: the cheat sheet and the talk, from Typst.
//!
//! The documents refuse themselves if something in them overflows, if the sheet has a second page, or if the talk
//! is too long: `handouts/style.typ` measures every box. Each PDF carries the digest of what it was made from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::paths::Course;
use crate::runner::lessons::stem;
use crate::setup::TYPST;

/// Builds handouts/*.pdf, the cheat sheet and the talk, from Typst.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct HandoutsArgs {
    /// Only says whether the committed PDFs are what a build would give.
    #[arg(long)]
    pub check: bool,
}

/// A PDF and how it is made.
struct Handout {
    /// The PDF's name below `handouts/`, without its extension.
    name: &'static str,
    /// That of its source.
    source: &'static str,
    /// Whether the speaker's notes stand below the slides.
    notes: bool,
}

const HANDOUTS: [Handout; 3] = [
    Handout { name: "cheatsheet", source: "cheatsheet", notes: false },
    Handout { name: "talk", source: "talk", notes: false },
    Handout { name: "talk_notes", source: "talk", notes: true },
];

/// Builds the PDFs, or compares them with their sources.
///
/// # Errors
/// If Typst is not set up, a document refuses itself, or a committed PDF is not what a build would give.
pub fn handouts(course: &Course, args: &HandoutsArgs) -> Result<()> {
    let python = course.venv_bin("python");
    if args.check {
        let problems = problems(course, &python)?;
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        println!("{} handouts match their sources", HANDOUTS.len());
        return Ok(());
    }
    // Below the same folder, so that a rename puts a whole file in place.
    let made = tempfile::tempdir_in(course.handouts()).context("handouts/ cannot be written")?;
    for handout in &HANDOUTS {
        let (new, path) = (made.path().join("new.pdf"), pdf(course, handout));
        make(course, &python, handout, &new)?;
        fs::rename(new, &path).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("handouts/{}.pdf", handout.name);
    }
    Ok(())
}

/// What is wrong with the committed PDFs, one line each; every document is built anew with `python`'s Typst, in a
/// folder of its own.
///
/// # Errors
/// If a document cannot be built.
pub fn problems(course: &Course, python: &Path) -> Result<Vec<String>> {
    let made = tempfile::tempdir().context("there is no folder for temporary files")?;
    let mut problems = Vec::new();
    for handout in &HANDOUTS {
        make(course, python, handout, &made.path().join("new.pdf"))?;
        let digest = digest(course, handout)?;
        let committed = fs::read(pdf(course, handout)).unwrap_or_default();
        if !committed.windows(digest.len()).any(|part| part == digest.as_bytes()) {
            let name = handout.name;
            problems.push(format!(
                "handouts/{name}.pdf is not made from its source: run `cargo course handouts`"
            ));
        }
    }
    Ok(problems)
}

/// Compiles a Typst document below `root` with `inputs`, as `key=value`.
///
/// # Errors
/// What Typst says: a mistake in the source, or what overflows.
pub fn compile(python: &Path, root: &Path, source: &Path, output: &Path, inputs: &[String]) -> Result<()> {
    if !python.is_file() {
        bail!("Typst is not installed: run `cargo course setup`");
    }
    let mut command = Command::new(python);
    command.args(["-c", include_str!("handouts.py")]).args([source, output, root]).args(inputs);
    let result = command.output().with_context(|| format!("{} does not start", python.display()))?;
    if !result.status.success() {
        bail!("{}: {}", source.display(), String::from_utf8_lossy(&result.stderr).trim_end());
    }
    Ok(())
}

fn make(course: &Course, python: &Path, handout: &Handout, output: &Path) -> Result<()> {
    let inputs = [format!("digest={}", digest(course, handout)?), format!("notes={}", handout.notes)];
    compile(python, &course.root, &source(course, handout), output, &inputs)
}

/// Of Typst's version, the source, all that sources share, and the pictures and results that the source names.
fn digest(course: &Course, handout: &Handout) -> Result<String> {
    let text = fs::read_to_string(source(course, handout)).context("the source cannot be read")?;
    let is_its_own = |path: &PathBuf| match path.extension().and_then(|ending| ending.to_str()) {
        Some("typ") => HANDOUTS.iter().all(|one| one.source != stem(path) || one.source == handout.source),
        Some("png") => text.contains(&format!("\"{}.png\"", stem(path))),
        Some("json") => text.contains(&format!("/{}.json\"", stem(path))),
        _ => false,
    };
    let folders = [course.handouts(), course.pictures(), course.results()];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_its_own).collect();
    files.sort();
    let mut hash = Sha256::new_with_prefix(TYPST);
    for path in &files {
        hash.update(stem(path));
        hash.update(fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?);
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn source(course: &Course, handout: &Handout) -> PathBuf {
    course.handouts().join(format!("{}.typ", handout.source))
}

fn pdf(course: &Course, handout: &Handout) -> PathBuf {
    course.handouts().join(format!("{}.pdf", handout.name))
}
