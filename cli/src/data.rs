//! `cargo course data`: public texts by name, checked by their SHA-256.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::paths::Course;

/// Downloads public texts into .course/data; without a name lists them.
#[derive(clap::Args, Clone, Debug)]
pub struct DataArgs {
    /// Which ones.
    pub names: Vec<String>,
}

/// A public text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What lessons call it.
    pub name: &'a str,
    /// The file's name below `.course/data`.
    pub file: &'a str,
    /// What it is.
    pub says: &'a str,
    /// Where it comes from.
    pub url: &'a str,
    /// Of the file's bytes, in lower-case hexadecimal digits.
    pub sha256: &'a str,
}

/// All that the lessons can use.
pub const SOURCES: [Source; 1] = [Source {
    name: "tinyshakespeare",
    file: "tinyshakespeare.txt",
    says: "1.1 MB of Shakespeare's plays, as chosen by A. Karpathy for char-rnn (2015)",
    url: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
}];

/// Fetches what the arguments name.
///
/// # Errors
/// If a name is unknown, or a text can be neither found nor downloaded; nothing half is left.
pub fn data(course: &Course, args: &DataArgs) -> Result<()> {
    let own = std::env::var_os("LLM_COURSE_DATA").map(PathBuf::from);
    let folders: Vec<PathBuf> = own.into_iter().chain([course.home().join("data")]).collect();
    for source in SOURCES.iter().filter(|_| args.names.is_empty()) {
        let there = folders.iter().map(|f| f.join(source.file)).find(|path| path.is_file());
        let state = there.map_or("not here".into(), |path| path.display().to_string());
        println!("{:<16} {} [{state}]", source.name, source.says);
    }
    for name in &args.names {
        let Some(source) = SOURCES.iter().find(|source| source.name == name) else {
            let names = SOURCES.map(|source| source.name).join(", ");
            bail!("no text named {name}: there are {names}; a file of your own needs no download");
        };
        println!("{}", fetch(source, &folders)?.display());
    }
    Ok(())
}

/// The text in the first folder that has it, else downloaded into the last one.
///
/// # Errors
/// If it cannot be downloaded, or is not what it should be; nothing half is left.
pub fn fetch(source: &Source, folders: &[PathBuf]) -> Result<PathBuf> {
    fetch_by(download, source, folders)
}

/// As [`fetch`], by another way to download.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_by(
    download: impl FnOnce(&str) -> Result<Vec<u8>>,
    source: &Source,
    folders: &[PathBuf],
) -> Result<PathBuf> {
    if let Some(path) = folders.iter().map(|folder| folder.join(source.file)).find(|path| path.is_file()) {
        let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        return verify(source, &bytes, &path.display().to_string()).map(|()| path);
    }
    let folder = folders.last().context("no folder to download into")?;
    let bytes = download(source.url).with_context(|| {
        let own = format!("put {} into a folder and name that in LLM_COURSE_DATA", source.file);
        format!("{} cannot be downloaded: check the network, or {own}", source.url)
    })?;
    verify(source, &bytes, source.url)?;
    write(folder, source.file, &bytes)
}

fn download(url: &str) -> Result<Vec<u8>> {
    let agent = ureq::Agent::config_builder()
        .https_only(true)
        .timeout_connect(Some(Duration::from_secs(8)))
        .timeout_global(Some(Duration::from_secs(600)))
        .build()
        .new_agent();
    let mut response = agent.get(url).call()?;
    Ok(response.body_mut().with_config().limit(1 << 30).read_to_vec()?)
}

fn verify(source: &Source, bytes: &[u8], from: &str) -> Result<()> {
    let found = format!("{:x}", Sha256::digest(bytes));
    if found != source.sha256 {
        bail!(
            "{from} is not {}: its SHA-256 is {found}, expected {}; remove it and try again",
            source.name,
            source.sha256
        );
    }
    Ok(())
}

/// Writes beside the target, then renames: the file is whole or not there.
fn write(folder: &Path, file: &str, bytes: &[u8]) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut part, bytes)?;
    part.as_file().sync_all()?;
    part.persist(folder.join(file))?;
    Ok(folder.join(file))
}
