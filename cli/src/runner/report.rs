//! What is known of a notebook after it was executed.

use std::time::Duration;

use nbformat::v4::{Cell, Notebook};

use super::strict::Cause;
use crate::notebook::{has_tag, outputs_as_text, source};

/// One step of a run.
pub enum Event<'a> {
    /// A cell begins: the `number`th of `total` that are executed.
    Cell {
        /// The notebook's name.
        lesson: &'a str,
        /// Counted from 1.
        number: usize,
        /// How many cells are executed.
        total: usize,
    },
    /// The notebook is finished, well or not.
    Finished(&'a Report),
}

/// A notebook that was executed, and how it went.
pub struct Report {
    /// The notebook's name.
    pub lesson: String,
    /// The notebook with what was collected.
    pub notebook: Notebook,
    /// The cells that were executed, in order.
    pub cells: Vec<CellRun>,
    /// From starting the kernel to its first answer.
    pub kernel_start: Duration,
    /// Everything, with the kernel's start and end.
    pub total: Duration,
    /// The most memory that the kernel and the process of its cells held, in bytes, if the system tells.
    pub peak_memory: Option<u64>,
    /// What went wrong; nothing is executed after it.
    pub failure: Option<Failure>,
}

impl Report {
    pub(super) fn new(lesson: String, notebook: Notebook, kernel_start: Duration) -> Self {
        let (cells, total) = (Vec::new(), Duration::ZERO);
        Self { lesson, notebook, cells, kernel_start, total, peak_memory: None, failure: None }
    }

    /// The median of the cells after the second that do not train, if there are any.
    pub fn median_later_cell(&self) -> Option<Duration> {
        let later = self.cells.iter().skip(2).filter(|cell| !cell.training);
        let mut times: Vec<_> = later.map(|cell| cell.time).collect();
        times.sort();
        times.get(times.len() / 2).copied()
    }

    /// The kernel's start and the first cell, which loads the crate.
    pub fn ready_after(&self) -> Duration {
        self.kernel_start + self.cells.first().map_or(Duration::ZERO, |cell| cell.time)
    }
}

/// One executed cell.
#[derive(Clone, Debug)]
pub struct CellRun {
    /// Its place among the code cells, from 1.
    pub number: usize,
    /// Its id in the notebook.
    pub id: String,
    /// Wall-clock time from sending the cell until the kernel had done it.
    pub time: Duration,
    /// Whether it is tagged `training`.
    pub training: bool,
}

impl CellRun {
    pub(super) fn new(number: usize, cell: &Cell, time: Duration) -> Self {
        Self { number, id: cell.id().to_string(), time, training: has_tag(cell, "training") }
    }
}

/// Why a notebook is red.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The cell's place among the code cells, from 1, and its id; `None` before the first and after the last.
    pub cell: Option<(usize, String)>,
    /// What went wrong.
    pub cause: Cause,
    /// The cell's text.
    pub source: String,
    /// The cell's outputs as text.
    pub outputs: String,
}

impl Failure {
    pub(super) fn inside(number: usize, cell: &Cell, cause: Cause) -> Self {
        let outputs = match cell {
            Cell::Code { outputs, .. } => outputs_as_text(outputs),
            _ => String::new(),
        };
        Self { cell: Some((number, cell.id().to_string())), cause, source: source(cell), outputs }
    }

    pub(super) fn outside(cause: Cause) -> Self {
        Self { cell: None, cause, source: String::new(), outputs: String::new() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cell {
            Some((number, id)) => writeln!(f, "cell {number} ({id}): {}", self.cause)?,
            None => writeln!(f, "outside the cells: {}", self.cause)?,
        }
        for (title, text) in [("source", &self.source), ("outputs", &self.outputs)] {
            if !text.trim().is_empty() {
                writeln!(f, "  {title}:")?;
                text.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
            }
        }
        Ok(())
    }
}
