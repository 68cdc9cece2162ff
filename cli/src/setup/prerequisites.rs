//! What only the user can install.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// A C++ compiler and Python ≥ 3.10 with `venv`.
///
/// # Errors
/// One line for the first thing that is missing, with the command that installs it.
pub fn check() -> Result<()> {
    if !["c++", "g++", "clang++"].iter().any(|compiler| succeeds(compiler, &["--version"])) {
        bail!(
            "no C++ compiler: sudo apt install g++ (Debian, Ubuntu), sudo dnf install gcc-c++ (Fedora) or \
             xcode-select --install (macOS)"
        );
    }
    if !succeeds("python3", &["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]) {
        bail!("no Python 3.10 or later: sudo apt install python3, sudo dnf install python3 or brew install python");
    }
    if !succeeds("python3", &["-c", "import venv, ensurepip"]) {
        bail!("Python lacks venv: sudo apt install python3-venv");
    }
    Ok(())
}

/// Whether an NVIDIA card can be used.
pub fn nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
