//! `cargo course run`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::lessons::{Form, notebooks};
use super::progress::{Progress, table, timings};
use super::{Event, Job, Options, Report, run_notebook};
use crate::notebook;
use crate::paths::Course;

/// Executes lessons headlessly; succeeds only if every cell really succeeded.
#[derive(clap::Args, Clone, Debug)]
pub struct RunArgs {
    /// Lessons by number (03) or name, or paths to notebooks; all lessons if none is given.
    pub lessons: Vec<String>,
    /// The solved notebooks instead of the learner's.
    #[arg(long)]
    pub solutions: bool,
    /// Small training budgets; claims are printed, not enforced.
    #[arg(long)]
    pub quick: bool,
    /// Seconds that one cell may take.
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Notebooks that run at the same time, which is faster for small budgets and wrong for measuring times.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs: u64,
    /// Train on this text instead of the lesson's: a file, or a name that `cargo course data` lists.
    /// Claims, which were made for the lesson's own text, are then printed, not enforced.
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Write the executed notebooks into this folder; without it nothing is written.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the seconds of each cell.
    #[arg(long)]
    pub timings: bool,
}

/// Executes the lessons that the arguments name.
///
/// # Errors
/// If a notebook is missing, the kernel does not start, or a cell failed.
pub fn run(course: &Course, args: &RunArgs) -> Result<()> {
    let form = if args.solutions { Form::Solved } else { Form::Learner };
    let paths = notebooks(course, form, &args.lessons)?;
    if paths.is_empty() {
        bail!("no notebooks in {}: run `cargo course build`", form.folder(course).display());
    }
    // Read all first: a wrong name is told at once, not after an hour.
    let jobs = paths.iter().map(|path| {
        let path = &std::path::absolute(path)?;
        Ok(Job::new(course, path, notebook::read(path)?))
    });
    let jobs = jobs.collect::<Result<Vec<_>>>()?;
    let options = Options {
        quick: args.quick,
        limit: Duration::from_secs(args.timeout),
        jobs: args.jobs as usize,
        text: text(args)?,
        // A short training replaces no model of a long one, unless the user names a folder.
        exports: (!args.quick || std::env::var_os("LLM_COURSE_EXPORTS").is_some()).then(|| course.exports()),
        ..Options::default()
    };
    let reports = until_stopped(run_all(course, jobs, &options, args.out.as_deref()))??;
    for report in reports.iter().filter(|_| args.timings) {
        println!("{}", timings(report));
    }
    print!("{}", table(&reports));
    let failed: Vec<_> = reports.iter().filter(|r| r.failure.is_some()).map(|r| r.lesson.as_str()).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(" "));
    }
    Ok(())
}

/// The text to train on; kernels work in other folders, so a file gets its absolute path.
fn text(args: &RunArgs) -> Result<Option<String>> {
    let Some(text) = &args.text else { return Ok(None) };
    let path = if text.is_file() { std::path::absolute(text)? } else { text.clone() };
    Ok(Some(path.display().to_string()))
}

/// Executes notebooks, `options.jobs` at a time, also after one that failed; the reports keep the order.
pub async fn run_all(
    course: &Course,
    jobs: Vec<Job>,
    options: &Options,
    out: Option<&Path>,
) -> Result<Vec<Report>> {
    let progress = &RefCell::new(Progress::new());
    let runs = jobs.into_iter().map(async |job| {
        let mut watch = |event: &Event| progress.borrow_mut().show(event);
        let report = run_notebook(course, job, options, &mut watch).await?;
        if let Some(folder) = out {
            notebook::write(&folder.join(format!("{}.ipynb", report.lesson)), &report.notebook)?;
        }
        anyhow::Ok(report)
    });
    stream::iter(runs).buffered(options.jobs).try_collect().await
}

/// Runs asynchronous work in this thread until it is done or Ctrl-C or SIGTERM comes.
///
/// # Errors
/// "interrupted", after the work was dropped and with it its kernels.
pub fn until_stopped<T>(work: impl Future<Output = T>) -> Result<T> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be heard")?;
        let mut terminate = signal(SignalKind::terminate()).context("signals cannot be heard")?;
        tokio::select! {
            done = work => Ok(done),
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("interrupted"),
        }
    })
}
