//! `cargo course setup`: everything the course needs, made below `.course`.
//!
//! Each step has a stamp with the hash of what it depends on, written when the step is done: a second
//! set-up finds all stamps and ends at once, an interrupted one goes on with the step it was in.

mod kernelspec;
mod prerequisites;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::notebook;
use crate::paths::Course;
use crate::runner::{Job, Options, command::until_stopped, run_notebook};

const JUPYTER: &str = include_str!("../requirements/jupyter.txt");
const LIBTORCH: &str = include_str!("../requirements/libtorch.txt");
const EVCXR: &str = "evcxr_jupyter@0.22.0";

/// Offline, exactly the locked versions; cells themselves compile fastest without optimisation.
const CARGO_CONFIG: &str = r#"[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"

[net]
offline = true

[profile.dev]
opt-level = 0
debug = false

[profile.dev.package."*"]
opt-level = 2
debug = false
"#;

/// A step: what it does, how long that usually takes, the hash of what it depends on, and how to do it.
struct Step<'a> {
    name: &'static str,
    says: &'static str,
    depends_on: String,
    action: &'a dyn Fn() -> Result<()>,
}

/// Makes what is missing; returns at once if nothing is.
///
/// # Errors
/// If something is missing that only the user can install, or a step fails; the message says what to do.
pub fn setup(course: &Course) -> Result<()> {
    let home = course.home();
    fs::create_dir_all(home.join("tmp"))
        .with_context(|| format!("{} cannot be written: give yourself the right to", home.display()))?;
    let lock = fs::File::create(home.join("setup.lock")).context("the lock file cannot be made")?;
    if lock.try_lock().is_err() {
        println!("another set-up is running; waiting for it");
        lock.lock().context("waiting for the other set-up failed")?;
    }
    let root = course.root.display().to_string();
    let cargo_lock = fs::read_to_string(course.root.join("Cargo.lock")).context("Cargo.lock is missing")?;
    let spec = kernelspec::fingerprint(course);
    let steps = [
        Step {
            name: "jupyter",
            says: "JupyterLab and jupytext (about 30 s)",
            depends_on: root.clone() + JUPYTER,
            action: &|| install_jupyter(course),
        },
        Step {
            name: "libtorch",
            says: "libtorch 2.11.0, half a gigabyte (about 1 min)",
            depends_on: root.clone() + LIBTORCH,
            action: &|| install_libtorch(course),
        },
        Step {
            name: "kernel",
            says: "the Rust kernel, compiled here (about 6 min)",
            depends_on: EVCXR.into(),
            action: &|| install_kernel(course),
        },
        Step {
            name: "vendor",
            says: "the sources of all crates (about 20 s)",
            depends_on: cargo_lock.clone(),
            action: &|| vendor(course),
        },
        Step {
            name: "kernelspec",
            says: "the kernel's entry in JupyterLab",
            depends_on: root.clone() + &spec,
            action: &|| kernelspec::write(course),
        },
        Step {
            name: "warm",
            says: "compiling the course once for all notebooks (about 4 min)",
            depends_on: root + &cargo_lock,
            action: &|| warm(course),
        },
    ];
    let mut checked = false;
    for step in steps {
        let stamp = home.join("stamps").join(step.name);
        let hash = format!("{:x}", Sha256::digest(step.depends_on.as_bytes()));
        if fs::read_to_string(&stamp).is_ok_and(|done| done == hash) {
            continue;
        }
        if !checked {
            prerequisites::check()?;
            checked = true;
        }
        perform(&step)?;
        fs::create_dir_all(home.join("stamps"))?;
        fs::write(&stamp, hash).context("the stamp of a finished step cannot be written")?;
    }
    Ok(())
}

fn perform(step: &Step) -> Result<()> {
    let start = Instant::now();
    let bar = ProgressBar::new_spinner().with_message(step.says);
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").expect("a valid template"));
    bar.enable_steady_tick(Duration::from_millis(200));
    let result = (step.action)();
    bar.finish_and_clear();
    result.with_context(|| format!("set-up stopped at: {}", step.says))?;
    println!("{:>5.0} s  {}", start.elapsed().as_secs_f64(), step.says);
    Ok(())
}

/// Runs a program with its output in `.course/log/<name>.log`; on failure the last lines become the error.
fn run(course: &Course, name: &str, command: &mut Command) -> Result<()> {
    let folder = course.home().join("log");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.log"));
    let log = fs::File::create(&path)?;
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("{program} does not start"))?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    let tail: Vec<&str> = lines.into_iter().rev().collect();
    bail!("{} (all of it: .course/log/{name}.log; needs a network and a few GB of disk)", tail.join(" | "))
}

fn pip(course: &Course, name: &str, requirements: &str) -> Result<()> {
    let list = course.home().join(format!("tmp/{name}.txt"));
    fs::write(&list, requirements)?;
    let mut pip = Command::new(course.venv_bin("python"));
    pip.args(["-m", "pip", "install", "--retries", "1", "--no-deps", "-r"]).arg(list);
    run(course, name, &mut pip)
}

fn install_jupyter(course: &Course) -> Result<()> {
    let mut python = Command::new("python3");
    run(course, "venv", python.args(["-m", "venv", "--clear"]).arg(course.venv()))?;
    // An environment made anew has lost what later steps put into it.
    for step in ["libtorch", "kernelspec"] {
        let _ = fs::remove_file(course.home().join("stamps").join(step));
    }
    pip(course, "jupyter", JUPYTER)
}

fn install_libtorch(course: &Course) -> Result<()> {
    if prerequisites::nvidia_driver() {
        let mut full = Command::new(course.venv_bin("python"));
        run(course, "libtorch", full.args(["-m", "pip", "install", "torch==2.11.0"]))?;
    } else {
        pip(course, "libtorch", LIBTORCH)?;
    }
    let link = course.home().join("libtorch");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(kernelspec::site_packages(course)?.join("torch"), link)?;
    Ok(())
}

fn install_kernel(course: &Course) -> Result<()> {
    let target = course.home().join("kernel-target");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", EVCXR, "--root"]).arg(course.home());
    run(course, "kernel", cargo.env("CARGO_TARGET_DIR", &target))?;
    fs::remove_dir_all(&target).context("the kernel's build folder cannot be removed")
}

fn vendor(course: &Course) -> Result<()> {
    let (new, old) = (course.home().join("vendor.new"), course.home().join("vendor"));
    let _ = fs::remove_dir_all(&new);
    let mut cargo = Command::new("cargo");
    run(course, "vendor", cargo.current_dir(&course.root).args(["vendor", "--locked"]).arg(&new))?;
    let _ = fs::remove_dir_all(&old);
    fs::rename(&new, &old)?;
    fs::create_dir_all(course.home().join(".cargo"))?;
    fs::write(course.home().join(".cargo/config.toml"), CARGO_CONFIG)?;
    Ok(())
}

/// The opening cell of every lesson, executed once: it fills the build folder that all kernels share.
fn warm(course: &Course) -> Result<()> {
    let path = course.home().join("warm.ipynb");
    fs::write(&path, WARM)?;
    let job = Job::new(course, &path, notebook::read(&path)?);
    let options = Options { quick: true, limit: Duration::from_secs(1500) };
    let report = until_stopped(run_notebook(course, job, &options, &mut |_| {}))??;
    match report.failure {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

const WARM: &str = r#"{"cells":[{"cell_type":"code","id":"warm","metadata":{"tags":["stderr-ok"]},"execution_count":null,"outputs":[],
"source":[":dep llm_course = { path = \"../lib\" }\n","use llm_course::prelude::*;\n","println!(\"{:?}\", device());"]}],
"metadata":{"kernelspec":{"name":"rust","display_name":"Rust","language":"rust"},"language_info":{"name":"rust"}},"nbformat":4,"nbformat_minor":5}"#;

/// Whether every step has left a stamp.
pub fn is_done(course: &Course) -> bool {
    let stamps: &Path = &course.home().join("stamps");
    ["jupyter", "libtorch", "kernel", "vendor", "kernelspec", "warm"].iter().all(|step| stamps.join(step).is_file())
}
