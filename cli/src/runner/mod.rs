//! Executes notebooks headlessly and strictly: a cell is green only if it really succeeded.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use course::{notebook, paths::Course, runner};
//!
//! let course = Course::find()?;
//! let lesson = course.notebooks().join("01_char_rnn.ipynb");
//! let job = runner::Job::new(&course, &lesson, notebook::read(&lesson)?);
//! let report = runner::run_notebook(&course, job, &runner::Options::default(), &mut |_| {}).await?;
//! assert!(report.failure.is_none());
//! # Ok(())
//! # }
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nbformat::v4::{Cell, Notebook};

use crate::notebook::{has_tag, is_executed, source};
use crate::paths::Course;
use kernel::{Ended, Kernel};
use outputs::Collected;
use strict::{Cause, Expectation};

pub mod command;
pub mod kernel;
pub mod lessons;
mod messages;
pub mod outputs;
mod process;
pub mod progress;
pub mod report;
pub mod strict;

pub use report::{CellRun, Event, Failure, Report};

/// How notebooks are executed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Small training budgets (`LLM_COURSE_QUICK=1`).
    pub quick: bool,
    /// The time that one cell may take.
    pub limit: Duration,
    /// How many notebooks run at the same time; more than one share the processor's cores.
    pub jobs: usize,
    /// Another text than the lesson's (`LLM_COURSE_TEXT`).
    pub text: Option<String>,
    /// Whether a learner's notebook may replace what is stored in `notebooks/results` (`LLM_COURSE_STORE=1`).
    pub store: bool,
    /// The folder that exported models stay in (`LLM_COURSE_EXPORTS`); without it they are gone after the run.
    pub exports: Option<PathBuf>,
}

impl Default for Options {
    /// Full budgets, ten minutes for each cell, one notebook after the other.
    fn default() -> Self {
        Self {
            quick: false,
            limit: Duration::from_secs(600),
            jobs: 1,
            text: None,
            store: false,
            exports: None,
        }
    }
}

/// One notebook to execute.
pub struct Job {
    /// What it is called in messages, e.g. `03_seq2seq`.
    pub name: String,
    /// The folder that relative paths in cells start from.
    pub folder: PathBuf,
    /// The notebook; its outputs are replaced.
    pub notebook: Notebook,
}

impl Job {
    /// A notebook that lies at `path`, run in its own folder; solved lessons are named with theirs.
    pub fn new(course: &Course, path: &Path, notebook: Notebook) -> Self {
        let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let solved = folder == course.solutions();
        let name = if solved { format!("solutions/{stem}") } else { stem.into_owned() };
        Self { name, folder, notebook }
    }
}

/// Executes a notebook's code cells one after the other, up to the first that fails.
///
/// `watch` hears of every step. The report holds the notebook with the outputs collected; it counts as
/// good only if `failure` is `None`. No process is left behind, also if the future is dropped.
///
/// # Errors
/// If the kernel is missing or does not start; a failing cell is no error but in the report.
pub async fn run_notebook(
    course: &Course,
    job: Job,
    options: &Options,
    watch: &mut dyn FnMut(&Event),
) -> Result<Report> {
    let begun = Instant::now();
    let (data, models) = (absolute("LLM_COURSE_DATA")?, absolute("LLM_COURSE_MODELS")?);
    let passing = tempfile::tempdir().context("no temporary folder can be made")?;
    let exports = std::path::absolute(options.exports.as_deref().unwrap_or(passing.path()))?;
    let exports = exports.display().to_string();
    let threads = (options.jobs > 1).then(|| (cores() / options.jobs).max(1).to_string());
    let threads = threads.or_else(|| std::env::var("OMP_NUM_THREADS").ok());
    let env = [
        ("OMP_NUM_THREADS", threads.as_deref()),
        ("LLM_COURSE_STRICT", Some("1")),
        ("LLM_COURSE_QUICK", options.quick.then_some("1")),
        ("LLM_COURSE_TEXT", options.text.as_deref()),
        ("LLM_COURSE_STORE", (options.store && job.folder == course.notebooks()).then_some("1")),
        ("LLM_COURSE_DATA", data.as_deref()),
        ("LLM_COURSE_MODELS", models.as_deref()),
        ("LLM_COURSE_EXPORTS", Some(&exports)),
    ];
    let folder = if job.folder.as_os_str().is_empty() { Path::new(".") } else { &job.folder };
    let kernel = Kernel::start(&course.kernelspec(), folder, &env).await?;
    let mut session = Session { kernel, limit: options.limit, executed: 0 };
    let mut report = Report::new(job.name, job.notebook, begun.elapsed());
    let failure = session.run(&mut report, watch).await?;
    report.peak_memory = session.kernel.peak_memory();
    drop(session);
    report.failure = failure;
    report.total = begun.elapsed();
    watch(&Event::Finished(&report));
    Ok(report)
}

/// The folder that a variable names; a relative one starts here, not where the kernel works.
fn absolute(variable: &str) -> Result<Option<String>> {
    let folder = std::env::var_os(variable).map(std::path::absolute).transpose()?;
    Ok(folder.map(|folder| folder.display().to_string()))
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A kernel and how far it has come.
struct Session {
    kernel: Kernel,
    limit: Duration,
    executed: usize,
}

impl Session {
    async fn run(&mut self, report: &mut Report, watch: &mut dyn FnMut(&Event)) -> Result<Option<Failure>> {
        let total = report.notebook.cells.iter().filter(|cell| is_executed(cell)).count();
        report.notebook.cells.iter_mut().for_each(clear);
        let preamble = format!("{}\n{}", strict::die_with_kernel(), strict::strict_hook());
        if let Err(cause) = self.hidden(&preamble).await? {
            return Ok(Some(Failure::outside(cause)));
        }
        let mut number = 0;
        for index in 0..report.notebook.cells.len() {
            let cell = report.notebook.cells[index].clone();
            number += usize::from(matches!(cell, Cell::Code { .. }));
            if !is_executed(&cell) {
                continue;
            }
            watch(&Event::Cell { lesson: &report.lesson, number: self.executed + 1, total });
            let (collected, verdict) = self.cell(&cell).await?;
            report.cells.push(CellRun::new(number, &cell, collected.took));
            store(&mut report.notebook.cells[index], collected, self.executed);
            if let Err(cause) = verdict {
                return Ok(Some(Failure::inside(number, &report.notebook.cells[index], cause)));
            }
        }
        Ok(self.late_output().await?.err().map(Failure::outside))
    }

    /// Executes a cell as its tags ask, with the hidden cells around it.
    async fn cell(&mut self, cell: &Cell) -> Result<(Collected, Result<(), Cause>)> {
        let expected =
            Expectation { raises: has_tag(cell, "raises-exception"), stderr: has_tag(cell, "stderr-ok") };
        if expected.raises
            && let Err(cause) = self.hidden(&strict::lenient_hook()).await?
        {
            return Ok((Collected::default(), Err(cause)));
        }
        self.executed += 1;
        let witnessed = expected.stderr && !expected.raises;
        let text = if witnessed { strict::with_witness(&source(cell)) } else { source(cell) };
        let (collected, ended) = self.kernel.execute(&text, self.executed, self.limit).await?;
        let mut verdict = self.ended(&ended).and_then(|()| strict::judge(expected, &collected));
        if verdict.is_ok() && witnessed && self.hidden(&strict::ask_witness()).await?.is_err() {
            verdict = Err(Cause::QuestionMark);
        }
        // The process that held the strict hook may be another one now, so it is installed anew.
        if verdict.is_ok() && expected.raises {
            verdict = self.hidden(&strict::strict_hook()).await?;
        }
        Ok((collected, verdict))
    }

    /// Executes a cell that is not part of the notebook and prints nothing.
    async fn hidden(&mut self, code: &str) -> Result<Result<(), Cause>> {
        let (collected, ended) = self.kernel.execute(code, 0, self.limit).await?;
        Ok(self.ended(&ended).and_then(|()| strict::judge(Expectation::default(), &collected)))
    }

    /// Prints the sentinel and waits for it: what was written to stderr before comes before it.
    async fn late_output(&mut self) -> Result<Result<(), Cause>> {
        let (mut collected, ended) = self.kernel.execute(&strict::sentinel(), 0, self.limit).await?;
        if let Err(cause) = self.ended(&ended) {
            return Ok(Err(cause));
        }
        self.kernel.listen_for(strict::SENTINEL, &mut collected, Duration::from_secs(10)).await;
        collected.forget_line(strict::SENTINEL);
        Ok(strict::judge(Expectation::default(), &collected))
    }

    fn ended(&self, ended: &Ended) -> Result<(), Cause> {
        match ended {
            Ended::Idle => Ok(()),
            Ended::TimeOut => Err(Cause::TimeOut(self.limit.as_secs())),
            Ended::Died(status) => {
                let words = self.kernel.last_words().map(|words| format!("; it said: {words}"));
                Err(Cause::KernelDied(format!("{status}{}", words.unwrap_or_default())))
            }
        }
    }
}

fn clear(cell: &mut Cell) {
    if let Cell::Code { execution_count, outputs, .. } = cell {
        *execution_count = None;
        outputs.clear();
    }
}

fn store(cell: &mut Cell, collected: Collected, count: usize) {
    if let Cell::Code { execution_count, outputs, .. } = cell {
        *execution_count = i32::try_from(count).ok();
        *outputs = collected.outputs;
    }
}
