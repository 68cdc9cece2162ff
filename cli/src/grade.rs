//! `cargo course grade`: which exercises pass in a folder of filled notebooks.
//!
//! Of a submission only the exercise cells count: they are put into the lesson as the course has it, so that no
//! submission changes a check. What does not compile, panics, ends the kernel or runs out of time fails its exercise;
//! then the lesson runs again with that cell as the learner got it, so that the other exercises are judged too.
//!
//! A check's cell must show one verdict; where an answer prints verdicts of its own, there are more, and it fails.
//! Still, an answer runs in the process of the checks and with the rights of whoever grades: see the README.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use nbformat::v4::Notebook;

use crate::notebook;
use crate::paths::Course;
use crate::runner::command::until_stopped;
use crate::runner::lessons::stem;
use crate::runner::progress::Progress;
use crate::runner::{Event, Options};
use crate::setup::open_and_run;

mod lesson;
mod mark;

use lesson::{Lesson, lessons};
use mark::{Mark, Verdict};

/// Counts the checks that pass in each learner's notebooks.
///
/// The learner of LEARNER.ipynb and of LEARNER/*.ipynb is LEARNER; the lesson is told by the exercises in the notebook.
/// Submissions run with small budgets, one time limit for each cell, and without network. None is changed.
#[derive(clap::Args, Clone, Debug)]
pub struct GradeArgs {
    /// The folder with a notebook or a folder of notebooks for each learner.
    pub dir: PathBuf,
    /// The table to write, a line for each exercise.
    #[arg(long, value_name = "FILE", default_value = "grades.csv")]
    pub out: PathBuf,
    /// Seconds that one cell may take.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Notebooks that run at the same time, up to 2 GiB each.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub jobs: u64,
    /// Leave submissions the network.
    #[arg(long)]
    pub network: bool,
    /// This is already the process without network.
    #[arg(long, hide = true)]
    cut_off: bool,
}

/// Grades a folder: prints the table and writes the CSV file, which grows with each notebook.
///
/// # Errors
/// If there is nothing to grade, the network cannot be cut off, the kernel does not start, or a notebook could not be
/// graded; the others are.
pub fn grade(course: &Course, args: &GradeArgs) -> Result<()> {
    let submissions = submissions(&args.dir)?;
    let folder = std::path::absolute(&args.out)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    ensure!(folder.is_dir(), "{} is no folder: --out FILE needs one that exists", folder.display());
    if !args.cut_off {
        let again = if args.network { None } else { Some(cut_off()?) };
        // What the first cell compiles after a change in lib/ must not count against a submission.
        let failure = open_and_run(course)?.failure;
        ensure!(failure.is_none(), "the kernel does not run a first cell: run `cargo course doctor`");
        if let Some(mut again) = again {
            bail!("the network cannot be cut off: {}", again.exec());
        }
    }
    let rows = until_stopped(grade_all(course, args, submissions))??;
    print!("{}", table(&rows));
    println!("each exercise: {}", args.out.display());
    let bad: Vec<_> = rows.iter().filter(|row| row.mark.verdict == Verdict::Ungraded).collect();
    bad.iter().for_each(|row| eprintln!("{}: {}", row.learner, row.mark.message));
    ensure!(bad.is_empty(), "not all was graded: mend or take out what these lines name, and grade again");
    Ok(())
}

/// This command again, in a network that has nothing but a loopback.
fn cut_off() -> Result<Command> {
    const LOOPBACK: &str = r#"PATH="$PATH:/usr/sbin:/sbin"; ip link set lo up"#;
    let apart = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--net", "--map-root-user", "--", "sh", "-c", script]);
        command
    };
    let cause = match apart(LOOPBACK).output() {
        Ok(output) if output.status.success() => {
            let mut again = apart(&format!(r#"{LOOPBACK} && exec "$0" "$@""#));
            let mut arguments = std::env::args_os().skip(1);
            again.arg(std::env::current_exe()?).args(arguments.next()).arg("--cut-off").args(arguments);
            return Ok(again);
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => format!("unshare: {error}"),
    };
    bail!(
        "the network cannot be cut off here ({cause}): on Linux install util-linux and iproute2 and allow user \
         namespaces, or let submissions have the network with --network"
    )
}

/// A notebook handed in, or a learner's folder that holds none.
struct Submission {
    learner: String,
    path: PathBuf,
}

/// What lies in a folder and one level deeper, sorted, without what is hidden.
fn submissions(dir: &Path) -> Result<Vec<Submission>> {
    ensure!(dir.is_dir(), "{} is no folder: name the one that holds the submissions", dir.display());
    let mut found = Vec::new();
    for path in visible(dir) {
        let folder = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let learner = if path.is_dir() { folder() } else { stem(&path) };
        let mut paths = if path.is_dir() { visible(&path) } else { vec![path.clone()] };
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "ipynb"));
        if path.is_dir() && paths.is_empty() {
            paths.push(path);
        }
        found.extend(paths.into_iter().map(|path| Submission { learner: learner.clone(), path }));
    }
    let some = found.iter().any(|submission| submission.path.is_file());
    ensure!(some, "no notebooks in {}: expected LEARNER.ipynb or LEARNER/*.ipynb there", dir.display());
    Ok(found)
}

fn visible(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let shown = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let mut paths: Vec<_> = shown.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The verdict on one exercise of one learner; lesson and exercise are empty if the notebook is of no lesson.
struct Row {
    learner: String,
    lesson: String,
    exercise: String,
    mark: Mark,
}

async fn grade_all(course: &Course, args: &GradeArgs, submissions: Vec<Submission>) -> Result<Vec<Row>> {
    let lessons = lessons(course)?;
    let mut seen = BTreeSet::new();
    let read: Vec<_> =
        submissions.into_iter().map(|submission| read(&lessons, submission, &mut seen)).collect();
    let progress = &RefCell::new(Progress::new());
    let (limit, jobs) = (Duration::from_secs(args.timeout), args.jobs as usize);
    let options = &Options { quick: true, limit, jobs, ..Options::default() };
    let total = read.len();
    let graded = read.into_iter().enumerate().map(async |(index, submitted)| {
        let (learner, lesson, notebook) = match submitted {
            Ok(submitted) => submitted,
            Err(row) => return Ok(vec![row]),
        };
        let mut watch = |event: &Event| match event {
            Event::Cell { .. } => progress.borrow_mut().show(event),
            Event::Finished(_) => {} // red cells are in the marks
        };
        let name = format!("{}/{total} {learner} {}", index + 1, lesson.name);
        let marks = lesson.mark(course, &notebook, &name, options, &mut watch).await?;
        let row = |(exercise, mark)| {
            let (learner, lesson) = (learner.clone(), lesson.name.clone());
            Row { learner, lesson, exercise, mark }
        };
        anyhow::Ok(lesson.numbers().zip(marks).map(row).collect())
    });
    let mut graded = stream::iter(graded).buffered(jobs);
    let mut rows = Vec::new();
    while let Some(more) = graded.try_next().await? {
        rows.extend(more);
        fs::write(&args.out, csv(&rows))
            .with_context(|| format!("{} cannot be written", args.out.display()))?;
    }
    Ok(rows)
}

type Submitted<'a> = (String, &'a Lesson, Notebook);

/// A submission and its lesson, the one of which it holds most exercises; else a row that says what is wrong.
fn read<'a>(
    lessons: &'a [Lesson],
    Submission { learner, path }: Submission,
    seen: &mut BTreeSet<(String, &'a str)>,
) -> Result<Submitted<'a>, Row> {
    let name = path.display();
    let mut read = || {
        ensure!(!path.is_dir(), "{name} holds no notebook (*.ipynb)");
        let notebook = notebook::read(&path)?;
        let lesson = lessons.iter().max_by_key(|lesson| lesson.held_by(&notebook));
        let lesson = lesson.filter(|lesson| lesson.held_by(&notebook) > 0);
        let lesson = lesson.with_context(|| {
            format!("{name} holds no exercise of the course: ask for a lesson's notebook")
        })?;
        let first = seen.insert((learner.clone(), &lesson.name));
        ensure!(first, "{name} is one more {} of the same learner: keep one", lesson.name);
        Ok((lesson, notebook))
    };
    match read() {
        Ok((lesson, notebook)) => Ok((learner, lesson, notebook)),
        Err(error) => {
            let mark = Mark::new(Verdict::Ungraded, &format!("{error:#}"));
            Err(Row { learner, lesson: String::new(), exercise: String::new(), mark })
        }
    }
}

/// The rows as RFC 4180 has them: a line each, every field in quotes.
fn csv(rows: &[Row]) -> String {
    let mut text = "learner,lesson,exercise,verdict,message\n".to_owned();
    for Row { learner, lesson, exercise, mark } in rows {
        let verdict = format!("{:?}", mark.verdict).to_lowercase();
        let fields = [learner, lesson, exercise, &verdict, &mark.message];
        let quoted = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
        text += &(quoted.join(",") + "\n");
    }
    text
}

/// Checks passed of those in the lesson, a row for each learner and a column for each lesson.
fn table(rows: &[Row]) -> String {
    let mut counts = BTreeMap::<_, (usize, usize)>::new();
    for row in rows.iter().filter(|row| !row.lesson.is_empty()) {
        let (passed, all) = counts.entry((&row.learner, &row.lesson)).or_default();
        *passed += usize::from(row.mark.verdict == Verdict::Passed);
        *all += 1;
    }
    let learners: BTreeSet<_> = rows.iter().map(|row| &row.learner).collect();
    let lessons: BTreeSet<_> = counts.keys().map(|(_, lesson)| *lesson).collect();
    let width =
        learners.iter().map(|learner| learner.chars().count()).max().unwrap_or(0).max("learner".len());
    let mut text = format!("{:width$}", "learner");
    lessons.iter().for_each(|lesson| write!(text, "  {lesson}").expect("a String takes all"));
    for learner in learners {
        write!(text, "\n{learner:width$}").expect("a String takes all");
        for &lesson in &lessons {
            let count = counts
                .get(&(learner, lesson))
                .map_or("–".into(), |(passed, all)| format!("{passed}/{all}"));
            write!(text, "  {count:>0$}", lesson.chars().count()).expect("a String takes all");
        }
    }
    text + "\n"
}
