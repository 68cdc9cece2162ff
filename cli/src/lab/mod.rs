//! `cargo course lab`: JupyterLab on this machine only, with its token.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, bail};

use crate::paths::Course;
use crate::runner::lessons::{in_folder, stem};

/// Opens the course in JupyterLab.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct LabArgs {
    /// Only print the address, for servers.
    #[arg(long)]
    no_browser: bool,
    /// The port to listen on, if it is free.
    #[arg(long)]
    port: Option<u16>,
}

/// JupyterLab asks nobody whether there is news, and does not look for updates.
const SETTINGS: &str = r#"{"@jupyterlab/apputils-extension:notification":
    {"checkForUpdates": false, "doNotDisturbMode": false, "fetchNews": "false"}}"#;

/// Becomes JupyterLab; returns only if that failed.
///
/// # Errors
/// If JupyterLab does not start.
pub fn lab(course: &Course, args: &LabArgs) -> Result<()> {
    let mut jupyter = Command::new(course.venv_bin("jupyter"));
    jupyter.current_dir(&course.root).args(["lab", "--ip=127.0.0.1"]);
    let settings = course.venv().join("share/jupyter/lab/settings");
    fs::create_dir_all(&settings).and_then(|()| fs::write(settings.join("overrides.json"), SETTINGS))?;
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
    bail!("JupyterLab does not start: {}; run `cargo course setup`", jupyter.exec())
}
