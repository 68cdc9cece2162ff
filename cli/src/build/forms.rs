//! The two notebooks of a lesson, made from its source.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use nbformat::v4::{Cell, CellId, CellMetadata, KernelSpec, LanguageInfo, Metadata, Notebook};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::markers;
use crate::notebook::{has_tag, lines, source, tags};
use crate::runner::lessons::Form;

/// The learner's or the solved notebook, not executed yet.
///
/// In the solved notebook, which lies one folder deeper, relative paths (`"../lib"`, `](../README.md)`)
/// get one `../` more, and links to `solutions/…` become links to the learner's notebooks.
///
/// # Errors
/// If markers or exercise numbers are wrong; the message names the cell.
pub fn make(source: &Notebook, form: Form) -> Result<Notebook> {
    check_exercises(source)?;
    let unwanted = match form {
        Form::Learner => "solution-only",
        Form::Solved => "learner-only",
    };
    let mut ids = Ids::default();
    let mut cells = Vec::new();
    for cell in &source.cells {
        // Ids come from the source, so that both forms of a cell have the same.
        let id = ids.next(cell);
        if !has_tag(cell, unwanted) {
            cells.push(make_cell(cell, id, form)?);
        }
    }
    Ok(Notebook { metadata: metadata(), nbformat: 4, nbformat_minor: 5, cells })
}

fn make_cell(cell: &Cell, id: CellId, form: Form) -> Result<Cell> {
    let mut text = source(cell);
    if has_tag(cell, "exercise") {
        text = match form {
            Form::Learner => markers::learner(&text)?,
            Form::Solved => markers::solved(&text)?,
        };
        text.truncate(text.trim_end().len());
    }
    let kept = (!tags(cell).is_empty()).then(|| tags(cell).to_vec());
    let metadata = CellMetadata { tags: kept, ..CellMetadata::default() };
    Ok(match cell {
        Cell::Code { .. } => {
            let source = lines(&one_folder_deeper(&text, &[("\"../", "\"../../")], form));
            Cell::Code { id, metadata, execution_count: None, source, outputs: Vec::new() }
        }
        Cell::Markdown { .. } => {
            // In this order: a link that was just changed must not be changed again.
            let moved = [("](../", "](../../"), ("](solutions/", "](../")];
            let source = lines(&one_folder_deeper(&text, &moved, form));
            Cell::Markdown { id, metadata, source, attachments: None }
        }
        Cell::Raw { .. } => Cell::Raw { id, metadata, source: lines(&text) },
    })
}

fn one_folder_deeper(text: &str, moved: &[(&str, &str)], form: Form) -> String {
    match form {
        Form::Learner => text.to_owned(),
        Form::Solved => moved.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
    }
}

fn check_exercises(notebook: &Notebook) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (index, cell) in notebook.cells.iter().enumerate() {
        let text = source(cell);
        let place = || format!("cell {} ({:?})", index + 1, text.lines().next().unwrap_or_default());
        if has_tag(cell, "exercise") {
            ensure!(matches!(cell, Cell::Code { .. }), "{}: only code can be an exercise", place());
            let exercise = markers::Exercise::of(&text).with_context(place)?;
            markers::learner(&text).with_context(place)?;
            let before = seen.insert(exercise.number.clone(), index + 1);
            let number = exercise.number;
            ensure!(before.is_none(), "{}: exercise {number} is also cell {}", place(), before.unwrap_or(0));
        } else {
            ensure!(!markers::has_marker(&text), "{}: a solution needs the tag `exercise`", place());
        }
    }
    Ok(())
}

/// Ids from a cell's kind and text: a rebuild gives the same, and an edit changes one.
#[derive(Default)]
struct Ids(HashMap<String, usize>);

impl Ids {
    fn next(&mut self, cell: &Cell) -> CellId {
        let kind = match cell {
            Cell::Code { .. } => "code",
            Cell::Markdown { .. } => "text",
            Cell::Raw { .. } => "raw",
        };
        let hash = Sha256::digest(source(cell).as_bytes());
        let hex: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let id = format!("{kind}-{hex}");
        let times = self.0.entry(id.clone()).or_default();
        *times += 1;
        let id = if *times == 1 { id } else { format!("{id}-{times}") };
        CellId::new(&id).expect("letters, digits and dashes")
    }
}

/// What JupyterLab itself writes for this kernel, so that saving a notebook changes nothing.
fn metadata() -> Metadata {
    let extra = json!({"file_extension": ".rs", "mimetype": "text/rust", "pygment_lexer": "rust"});
    let extra = extra.as_object().cloned().unwrap_or_default();
    Metadata {
        kernelspec: Some(KernelSpec {
            display_name: "Rust".into(),
            name: "rust".into(),
            language: Some("rust".into()),
            additional: HashMap::new(),
        }),
        language_info: Some(LanguageInfo {
            name: "Rust".into(),
            version: Some(String::new()),
            codemirror_mode: Some(nbformat::v4::CodemirrorMode::String("rust".into())),
            additional: extra.into_iter().collect(),
        }),
        ..Metadata::default()
    }
}
