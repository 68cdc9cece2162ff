//! `cargo course lab`: JupyterLab on this machine only, with its token.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths::Course;
use crate::runner::lessons::{in_folder, stem};
use crate::setup;

/// Opens the course in JupyterLab.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct LabArgs {
    /// Only print the address, for servers.
    #[arg(long)]
    pub no_browser: bool,
    /// The port to listen on, if it is free.
    #[arg(long)]
    pub port: Option<u16>,
    /// Instead works through lesson 01 in headless Chromium, with small budgets: runs all cells, answers an exercise wrongly, then
    /// rightly, restarts the kernel and runs all again (needs chromium and chromedriver).
    #[arg(long, conflicts_with_all = ["no_browser", "port"])]
    check: bool,
}

/// JupyterLab asks nobody whether there is news, and does not look for updates.
const SETTINGS: &str = r#"{"@jupyterlab/apputils-extension:notification":
    {"checkForUpdates": false, "doNotDisturbMode": false, "fetchNews": "false"}}"#;

/// Becomes JupyterLab; returns only if that failed.
///
/// # Errors
/// If JupyterLab does not start.
pub fn lab(course: &Course, args: &LabArgs) -> Result<()> {
    let settings = course.venv().join("share/jupyter/lab/settings");
    fs::create_dir_all(&settings).and_then(|()| fs::write(settings.join("overrides.json"), SETTINGS))?;
    if args.check {
        return check(course);
    }
    bail!("JupyterLab does not start: {}; run `cargo course setup`", command(course, args).exec())
}

/// The command that [`lab`] becomes: it listens on 127.0.0.1 only, and makes up a token at each start.
pub fn command(course: &Course, args: &LabArgs) -> Command {
    let mut jupyter = Command::new(course.venv_bin("jupyter"));
    jupyter.current_dir(&course.root).args(["lab", "--ip=127.0.0.1"]);
    if args.no_browser {
        jupyter.arg("--no-browser");
    }
    if let Some(port) = args.port {
        jupyter.arg(format!("--port={port}"));
    }
    if let Some(first) = in_folder(&course.notebooks(), "ipynb").first() {
        jupyter.arg(format!("--LabApp.default_url=/lab/tree/notebooks/{}.ipynb", stem(first)));
    }
    if rustix::process::geteuid().is_root() {
        jupyter.arg("--allow-root");
    }
    jupyter
}

/// Works through a copy of lesson 01 in a browser; screenshots are kept in .course/lab-shots.
fn check(course: &Course) -> Result<()> {
    setup::setup_site(course)?; // its Python drives browsers
    let name = "01_char_rnn.ipynb";
    let folder = course.home().join("lab-check"); // a copy: JupyterLab saves what it runs
    fs::create_dir_all(&folder).context(".course cannot be written")?;
    let copy = folder.join(name);
    let text =
        fs::read_to_string(course.notebooks().join(name)).with_context(|| format!("no notebooks/{name}"))?;
    fs::write(&copy, text.replace("path = \\\"../lib\\\"", "path = \\\"../../lib\\\""))?;
    let mut python = Command::new(course.site_venv().join("bin/python"));
    python
        .args(["-c", concat!(include_str!("../chromium.py"), include_str!("check.py"))])
        .arg(course.venv_bin("jupyter"))
        .arg(&copy);
    python.arg(course.notebooks().join("solutions").join(name)).arg(course.home().join("lab-shots"));
    if !python.status().context("Python does not start")?.success() {
        bail!("the lesson does not pass in the browser");
    }
    Ok(())
}
