//! Makes the notebooks of the lessons from their sources, executes and checks them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nbformat::v4::{Cell, Notebook};

use crate::notebook::{self, source, tags};
use crate::paths::Course;
use crate::runner::command::until_stopped;
use crate::runner::lessons::{Form, in_folder, select, stem};
use crate::runner::progress::{Progress, table};
use crate::runner::{Job, Options, Report, run_notebook};

pub mod check;
pub mod forms;
pub mod jupytext;
pub mod markers;
pub mod pictures;
pub mod scrub;

/// Builds both notebooks of lessons from their sources, executed in full.
#[derive(clap::Args, Clone, Debug)]
pub struct BuildArgs {
    /// Lessons by number (03) or name; all lessons if none is given.
    pub lessons: Vec<String>,
    /// Execute nothing: say which committed notebooks are not what a build would give.
    #[arg(long)]
    pub check: bool,
    /// Execute nothing: only texts have changed, the outputs are those of the committed notebooks.
    #[arg(long, conflicts_with = "check")]
    pub text: bool,
    /// Seconds that one cell may take.
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

/// Builds lessons, or checks those that are committed.
///
/// # Errors
/// If a source is wrong, a cell fails (then nothing of that lesson is written), or the check finds something.
pub fn build(course: &Course, args: &BuildArgs) -> Result<()> {
    if args.check {
        return report_check(course, &args.lessons);
    }
    let drafts = drafts(course, &args.lessons)?;
    if drafts.is_empty() {
        bail!("no lessons in {}", course.sources().display());
    }
    if args.text {
        return write_texts(course, drafts);
    }
    let options = Options { limit: Duration::from_secs(args.timeout), store: true, ..Options::default() };
    let (reports, failed) = until_stopped(build_all(course, drafts, &options))??;
    print!("{}", table(&reports));
    if !failed.is_empty() {
        bail!("not built: {}", failed.join(" "));
    }
    Ok(())
}

/// A notebook that is not executed yet, and where it goes.
pub struct Draft {
    /// `notebooks/03_….ipynb` or `notebooks/solutions/03_….ipynb`.
    pub path: PathBuf,
    /// Made from the source.
    pub notebook: Notebook,
}

/// Both notebooks of the lessons that the words name, not executed; of all lessons without words.
///
/// # Errors
/// If a source is wrong; the message names lesson and cell.
pub fn drafts(course: &Course, words: &[String]) -> Result<Vec<Draft>> {
    let sources = jupytext::read(course, &select(&course.sources(), "md", words)?)?;
    let mut drafts = Vec::new();
    for source in sources {
        for form in [Form::Learner, Form::Solved] {
            let made = forms::make(&source.notebook, form);
            let notebook = made.with_context(|| format!("notebooks/source/{}.md", source.name))?;
            drafts.push(Draft { path: form.folder(course).join(format!("{}.ipynb", source.name)), notebook });
        }
    }
    Ok(drafts)
}

/// Writes drafts with the outputs of the committed notebooks.
///
/// # Errors
/// If code has changed, too: then nothing is written.
pub fn write_texts(course: &Course, drafts: Vec<Draft>) -> Result<()> {
    let carried = drafts.into_iter().map(|draft| {
        let name = name(course, &draft.path);
        let notebook = with_outputs(draft.notebook, notebook::read(&draft.path)?);
        let notebook =
            notebook.with_context(|| format!("{name}: its code has changed, build it without --text"))?;
        Ok((draft.path, notebook))
    });
    let carried = carried.collect::<Result<Vec<_>>>()?;
    carried.iter().try_for_each(|(path, notebook)| notebook::write(path, notebook))
}

/// `draft` with the outputs of `executed`; none if their code differs.
fn with_outputs(mut draft: Notebook, executed: Notebook) -> Option<Notebook> {
    let is_code = |cell: &Cell| matches!(cell, Cell::Code { .. });
    let mut old = executed.cells.into_iter().filter(is_code);
    for new in draft.cells.iter_mut().filter(|cell| is_code(cell)) {
        let old = old.next().filter(|old| source(old) == source(new) && tags(old) == tags(new))?;
        if let (
            Cell::Code { execution_count, outputs, .. },
            Cell::Code { execution_count: count, outputs: shown, .. },
        ) = (new, old)
        {
            (*execution_count, *outputs) = (count, shown);
        }
    }
    old.next().is_none().then_some(draft)
}

async fn build_all(
    course: &Course,
    drafts: Vec<Draft>,
    options: &Options,
) -> Result<(Vec<Report>, Vec<String>)> {
    let mut progress = Progress::new();
    let (mut reports, mut failed) = (Vec::new(), Vec::new());
    for Draft { path, notebook } in drafts {
        std::fs::create_dir_all(path.parent().context("a notebook has a folder")?)?;
        let job = Job::new(course, &path, notebook);
        let mut report = run_notebook(course, job, options, &mut |event| progress.show(event)).await?;
        if report.failure.is_some() {
            failed.push(report.lesson.clone());
        } else if let Err(error) = scrub::scrub(&mut report.notebook, &course.root) {
            eprintln!("{}: {error:#}", report.lesson);
            failed.push(report.lesson.clone());
        } else {
            notebook::write(&path, &report.notebook)?;
            if let Some(folder) = pictures_of(course, &path) {
                pictures::write(&report.notebook, &folder)?;
            }
        }
        reports.push(report);
    }
    Ok((reports, failed))
}

/// What the check found of one notebook.
pub struct Checked {
    /// Its path below the checkout.
    pub name: String,
    /// One line each; none if all is well.
    pub problems: Vec<String>,
}

/// Compares the committed notebooks with their sources, without a kernel.
///
/// # Errors
/// If a source is wrong.
pub fn check(course: &Course, words: &[String]) -> Result<Vec<Checked>> {
    let drafts = drafts(course, words)?;
    let mut all: Vec<_> = drafts
        .iter()
        .map(|draft| Checked {
            name: name(course, &draft.path),
            problems: check::problems(
                &draft.path,
                &draft.notebook,
                pictures_of(course, &draft.path).as_deref(),
            ),
        })
        .collect();
    if words.is_empty() {
        all.extend(without_source(course));
    }
    Ok(all)
}

/// Where the pictures of a notebook go: those of the solved one, whose times and last digits may differ, nowhere.
fn pictures_of(course: &Course, path: &Path) -> Option<PathBuf> {
    path.parent().is_some_and(|folder| folder == course.notebooks()).then(|| course.pictures())
}

fn without_source(course: &Course) -> Vec<Checked> {
    let sources: Vec<_> = in_folder(&course.sources(), "md").iter().map(|path| stem(path)).collect();
    let folders = [course.notebooks(), course.solutions()];
    let notebooks = folders.iter().flat_map(|folder| in_folder(folder, "ipynb"));
    let orphans = notebooks.filter(|path| !sources.contains(&stem(path)));
    let problem = "has no source in notebooks/source".to_owned();
    orphans.map(|path| Checked { name: name(course, &path), problems: vec![problem.clone()] }).collect()
}

fn name(course: &Course, path: &Path) -> String {
    path.strip_prefix(&course.root).unwrap_or(path).display().to_string()
}

fn report_check(course: &Course, words: &[String]) -> Result<()> {
    let checked = check(course, words)?;
    let mut bad = 0;
    for notebook in &checked {
        bad += usize::from(!notebook.problems.is_empty());
        notebook.problems.iter().for_each(|problem| println!("{}: {problem}", notebook.name));
    }
    if bad > 0 {
        bail!("{bad} of {} notebooks are not what a build would give", checked.len());
    }
    println!("{} notebooks match their sources", checked.len());
    Ok(())
}
