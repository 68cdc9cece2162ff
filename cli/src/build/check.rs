//! Whether a committed notebook is what its source and a full run would give.

use std::path::Path;

use jupyter_protocol::{Media, MediaType};
use nbformat::v4::{Cell, Notebook, Output};

use super::scrub::machine_paths;
use crate::notebook::{self, has_tag, is_executed, source, tags};

/// The largest notebook that is committed, in bytes.
pub const LARGEST: u64 = 3 * 512 * 1024;

/// Everything wrong with a committed notebook and the `pictures` taken from it, if any are; one line each.
/// `expected` is made from its source.
pub fn problems(path: &Path, expected: &Notebook, pictures: Option<&Path>) -> Vec<String> {
    let committed = match notebook::read(path) {
        Ok(notebook) => notebook,
        Err(error) => return vec![format!("{error:#}")],
    };
    let mut problems = Vec::new();
    problems.extend(difference(&committed, expected));
    problems.extend(not_executed(&committed));
    problems.extend(committed.cells.iter().filter_map(bad_output));
    problems.extend(machine_paths(&committed).iter().map(|path| format!("holds a machine's path: {path}")));
    problems.extend(pictures.map_or_else(Vec::new, |folder| super::pictures::problems(&committed, folder)));
    let size = std::fs::metadata(path).map_or(0, |data| data.len());
    if size > LARGEST {
        problems.push(format!("is {:.1} MiB, more than 1.5 MiB", size as f64 / 1048576.0));
    }
    problems
}

fn difference(committed: &Notebook, expected: &Notebook) -> Option<String> {
    let again = "run `cargo course build`";
    for (index, (old, new)) in committed.cells.iter().zip(&expected.cells).enumerate() {
        if content(old) != content(new) {
            let (number, id) = (index + 1, new.id());
            return Some(format!("does not match its source from cell {number} ({id}) on: {again}"));
        }
    }
    let (old, new) = (committed.cells.len(), expected.cells.len());
    if old != new {
        return Some(format!("has {old} cells, its source {new}: {again}"));
    }
    let same =
        serde_json::to_value(&committed.metadata).ok() == serde_json::to_value(&expected.metadata).ok();
    (!same).then(|| format!("has other metadata than the build writes: {again}"))
}

/// What the source decides of a cell.
fn content(cell: &Cell) -> (u8, &str, String, &[String]) {
    let kind = match cell {
        Cell::Markdown { .. } => 0,
        Cell::Code { .. } => 1,
        Cell::Raw { .. } => 2,
    };
    (kind, cell.id().as_str(), source(cell), tags(cell))
}

fn not_executed(notebook: &Notebook) -> Option<String> {
    let mut expected = 0;
    for cell in &notebook.cells {
        let Cell::Code { id, execution_count, .. } = cell else { continue };
        let count = is_executed(cell).then(|| {
            expected += 1;
            expected
        });
        if *execution_count != count {
            return Some(format!("is not executed in full and in order: cell {id}"));
        }
    }
    None
}

fn bad_output(cell: &Cell) -> Option<String> {
    let Cell::Code { id, outputs, .. } = cell else { return None };
    let raises = has_tag(cell, "raises-exception");
    outputs.iter().find_map(|output| match output {
        Output::Error(_) if !raises => Some(format!("cell {id} has an error")),
        Output::Stream { name, .. } if name == "stderr" && !raises && !has_tag(cell, "stderr-ok") => {
            Some(format!("cell {id} has output on stderr"))
        }
        Output::DisplayData(display) => bad_media(id.as_str(), &display.data),
        Output::ExecuteResult(result) => bad_media(id.as_str(), &result.data),
        _ => None,
    })
}

/// GitHub shows text and PNG; HTML, SVG and scripts it drops.
fn bad_media(id: &str, media: &Media) -> Option<String> {
    let shown = |item: &&MediaType| {
        !matches!(
            item,
            MediaType::Plain(_) | MediaType::Markdown(_) | MediaType::Latex(_) | MediaType::Png(_)
        )
    };
    let bad = media.content.iter().find(shown)?;
    Some(format!("cell {id} has an output that GitHub does not show: {}", bad.mime_type()))
}
