//! `cargo course test`: the Rust tests, the check of the committed notebooks, and all notebooks run.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use regex::Regex;

use crate::build;
use crate::export;
use crate::notebook;
use crate::paths::Course;
use crate::runner::command::{run_all, until_stopped};
use crate::runner::lessons::{Form, notebooks, stem};
use crate::runner::{Job, Options, cores, progress::table};

/// Notebooks with small budgets that run at the same time, whatever the number of cores: each takes up to 2 GiB.
const MOST_AT_ONCE: usize = 4;

/// Runs every test and every notebook.
///
/// Each lesson takes turns, a day each, so that a run stays under an hour: one day its learner's notebook runs with small
/// budgets, the next day the solved one, and every twelfth day only the solved one in full, which enforces every claim.
#[derive(clap::Args, Clone, Debug)]
pub struct TestArgs {
    /// Only Rust tests and notebooks whose name contains this.
    pub filter: Option<String>,
    /// Whatever the day: all learners' notebooks with small budgets, all solved ones in full. More than an hour.
    #[arg(long)]
    pub full: bool,
    /// Whatever the day: all notebooks with small budgets; claims are then printed, not enforced.
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,
    /// Seconds that one cell may take.
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
}

/// How many passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Succeeded.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
}

impl Counts {
    fn add(&mut self, good: bool) {
        match good {
            true => self.passed += 1,
            false => self.failed += 1,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Tests everything and prints `N passed, N failed` as the last line.
///
/// A part that cannot run at all (no kernel, a wrong source) counts as one failure.
pub fn test(course: &Course, args: &TestArgs) -> Counts {
    let mut counts = Counts::default();
    let parts = [rust_tests, check, run];
    for part in parts {
        counts += part(course, args).unwrap_or_else(|error| {
            println!("FAILED: {error:#}");
            Counts { passed: 0, failed: 1 }
        });
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    counts
}

/// `cargo test` for the workspace, shown as it goes; a crate that does not compile counts as one failure.
fn rust_tests(course: &Course, args: &TestArgs) -> Result<Counts> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--workspace", "--no-fail-fast"]).args(&args.filter);
    command.current_dir(&course.root).stdout(Stdio::piped());
    // A program that links libtorch finds it when it starts; a path that the user has set comes first.
    let variable = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let before = std::env::var_os(variable).unwrap_or_default();
    let paths = std::env::split_paths(&before).filter(|path| !path.as_os_str().is_empty());
    command.env(variable, std::env::join_paths(paths.chain([course.libtorch().join("lib")]))?);
    if let Some(python) = course.peers_python() {
        command.env("LLM_COURSE_PEERS_PYTHON", python);
    }
    // Tests run side by side; with threads of their own besides, they would mostly wait for each other.
    command.env("OMP_NUM_THREADS", "1");
    let mut child = command.spawn().context("cargo cannot be started")?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().context("its output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        counts += counted(&line);
    }
    let good = child.wait()?.success();
    if !good && counts.failed == 0 {
        counts.failed += 1;
    }
    Ok(counts)
}

/// What a `test result:` line of cargo's says; nothing for other lines.
pub fn counted(line: &str) -> Counts {
    static RESULT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^test result: \w+\. (\d+) passed; (\d+) failed").expect("a fixed pattern")
    });
    let Some(found) = RESULT.captures(line) else { return Counts::default() };
    let number = |group: usize| found[group].parse().unwrap_or(0);
    Counts { passed: number(1), failed: number(2) }
}

/// Every committed notebook against its source.
fn check(course: &Course, args: &TestArgs) -> Result<Counts> {
    let mut counts = Counts::default();
    for notebook in build::check(course, &[])?.iter().filter(|one| wanted(args, &one.name)) {
        counts.add(notebook.problems.is_empty());
        for problem in &notebook.problems {
            println!("{}: FAILED: {problem}", notebook.name);
        }
    }
    Ok(counts)
}

/// Both notebooks of every lesson.
fn run(course: &Course, args: &TestArgs) -> Result<Counts> {
    let mut counts = Counts::default();
    let limit = Duration::from_secs(args.timeout);
    let exports = tempfile::tempdir().context("no temporary folder can be made")?;
    let day = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    let work = async {
        for (form, quick) in [(Form::Learner, true), (Form::Solved, true), (Form::Solved, false)] {
            let mut jobs = Vec::new();
            for path in notebooks(course, form, &[])?.iter().filter(|path| wanted(args, &stem(path))) {
                if takes_turn(args, &stem(path), day, form, quick) {
                    jobs.push(Job::new(course, path, notebook::read(path)?));
                }
            }
            // Claims about times, which full runs enforce, need the machine for themselves.
            let jobs_at_once = if quick { cores().min(MOST_AT_ONCE) } else { 1 };
            let exports = Some(exports.path().to_path_buf());
            let options = Options { quick, limit, jobs: jobs_at_once, exports, ..Options::default() };
            let reports = run_all(course, jobs, &options, None).await?;
            if !reports.is_empty() {
                println!("{}", table(&reports));
            }
            reports.iter().for_each(|report| counts.add(report.failure.is_none()));
        }
        anyhow::Ok(())
    };
    until_stopped(work)??;
    let exported = export::models(exports.path())?;
    if course.peers_python().is_some() && !exported.is_empty() {
        println!("{} exported models in transformers:", exported.len());
        let same = export::check(course, &exported);
        if let Err(error) = &same {
            println!("FAILED: {error:#}");
        }
        counts.add(same.is_ok());
    }
    Ok(counts)
}

/// Whether a notebook runs on a day, counted from any day, with small budgets (`quick`) or in full.
///
/// Any twelve days have each solved notebook in full once, six times with small budgets, and the learner's five times.
pub fn takes_turn(args: &TestArgs, name: &str, day: u64, form: Form, quick: bool) -> bool {
    let number = name.split('_').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    let turn = number + day;
    let every_lesson = args.full || args.quick || args.filter.is_some();
    let in_full = !args.quick && (every_lesson || turn.is_multiple_of(12));
    match (form, quick) {
        (Form::Learner, true) => every_lesson || turn.is_multiple_of(2) && !in_full,
        (Form::Learner, false) => false,
        (Form::Solved, true) => !in_full && (every_lesson || !turn.is_multiple_of(2)),
        (Form::Solved, false) => in_full,
    }
}

fn wanted(args: &TestArgs, name: &str) -> bool {
    args.filter.as_ref().is_none_or(|filter| name.contains(filter))
}
