//! Reading and writing `.ipynb` files, and what cells are asked for.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use nbformat::v4::{Cell, Notebook, Output};

/// Reads a notebook, upgrading older formats to 4.5.
///
/// # Errors
/// One line that names the file if it is missing or not a notebook.
pub fn read(path: &Path) -> Result<Notebook> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read: is the name right?", path.display()))?;
    parse(&text).with_context(|| format!("{} is not a notebook", path.display()))
}

/// A notebook from its JSON text.
///
/// # Errors
/// If it is not JSON, or not a notebook.
pub fn parse(text: &str) -> Result<Notebook> {
    headings_are_possible(&serde_json::from_str(text)?)?;
    match nbformat::parse_notebook(text)? {
        nbformat::Notebook::V4(notebook) => Ok(notebook),
        nbformat::Notebook::V4QuirksMode(quirks) => Ok(quirks.repair()),
        nbformat::Notebook::Legacy(old) => nbformat::upgrade_legacy_notebook(old),
        nbformat::Notebook::V3(old) => nbformat::upgrade_v3_notebook(old),
        _ => Err(anyhow!("its format is unknown")),
    }
}

/// Format 3 has cells that are a heading, and `nbformat` writes as many `#` as their level says.
fn headings_are_possible(notebook: &serde_json::Value) -> Result<()> {
    let sheets = notebook["worksheets"].as_array().into_iter().flatten();
    let mut cells = sheets.filter_map(|sheet| sheet["cells"].as_array()).flatten();
    let possible =
        |cell: &serde_json::Value| cell["level"].as_i64().is_none_or(|level| (0..=6).contains(&level));
    match cells.find(|cell| !possible(cell)) {
        Some(cell) => Err(anyhow!("a heading has the level {}: it must be from 1 to 6", cell["level"])),
        None => Ok(()),
    }
}

/// The JSON text as Jupyter writes it: keys sorted, indented by one, a newline at the end.
pub fn to_json(notebook: &Notebook) -> Result<String> {
    Ok(nbformat::serialize_notebook(&nbformat::Notebook::V4(notebook.clone()))?)
}

/// Writes a notebook atomically: readers see the old file or the new one, never half of it.
pub fn write(path: &Path, notebook: &Notebook) -> Result<()> {
    let folder = path.parent().context("a notebook's path has a folder")?;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").suffix(".ipynb").tempfile_in(folder)?;
    file.write_all(to_json(notebook)?.as_bytes())?;
    file.as_file().sync_all()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

/// A cell's text.
pub fn source(cell: &Cell) -> String {
    cell.source().concat()
}

/// A text as the list of lines that a notebook stores.
pub fn lines(text: &str) -> Vec<String> {
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// A cell's tags.
pub fn tags(cell: &Cell) -> &[String] {
    cell.metadata().tags.as_deref().unwrap_or_default()
}

/// Whether a cell carries a tag.
pub fn has_tag(cell: &Cell, tag: &str) -> bool {
    tags(cell).iter().any(|t| t == tag)
}

/// Whether a full run executes this cell: code that is not empty and not tagged `skip-execution`.
pub fn is_executed(cell: &Cell) -> bool {
    matches!(cell, Cell::Code { .. }) && !source(cell).trim().is_empty() && !has_tag(cell, "skip-execution")
}

/// A cell's outputs as plain text without colours; images and other rich outputs by their type.
pub fn outputs_as_text(outputs: &[Output]) -> String {
    let text: String = outputs.iter().map(output_as_text).collect();
    console::strip_ansi_codes(&text).into_owned()
}

fn output_as_text(output: &Output) -> String {
    match output {
        Output::Stream { text, .. } => text.0.clone(),
        Output::DisplayData(display) => media_as_text(&display.data),
        Output::ExecuteResult(result) => media_as_text(&result.data),
        Output::Error(error) if error.traceback.is_empty() => format!("{}\n", error.evalue),
        Output::Error(error) => format!("{}\n", error.traceback.join("\n")),
    }
}

fn media_as_text(media: &jupyter_protocol::Media) -> String {
    use jupyter_protocol::MediaType;
    media
        .content
        .iter()
        .map(|item| match item {
            MediaType::Plain(text) => format!("{}\n", text.trim_end()),
            other => format!("[{}]\n", other.mime_type()),
        })
        .collect()
}
