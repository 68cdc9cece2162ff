//! What only the user can install or choose.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::LIBTORCH_VERSION;
use crate::paths::Course;

/// Gigabytes that a whole set-up takes, with the tests' build folder.
const NEEDED_GB: f64 = 8.0;

/// Everything that set-up cannot install or choose: the folder's name, rustc, C++ compiler, Python, disk space, an
/// own libtorch.
///
/// # Errors
/// One line for the first thing that is missing, with the command that installs it.
pub fn check(course: &Course) -> Result<()> {
    folder(course)?;
    rustc(course)?;
    compiler()?;
    python()?;
    disk(course)?;
    if course.has_own_libtorch() {
        libtorch(course)?;
    }
    Ok(())
}

/// A folder whose name the kernel and the loader can read: evcxr hands the paths of compiled cells on between
/// spaces and fails at `%`, the loader's list of folders is cut at `:` and `;`, and shells read quotes, `$` and `\`.
///
/// # Errors
/// If the checkout's path has such a character.
pub fn folder(course: &Course) -> Result<()> {
    let path = course.root.to_str().with_context(|| format!("{}: no UTF-8", course.root.display()))?;
    match path
        .chars()
        .find(|&letter| letter.is_whitespace() || letter.is_control() || ":;%'\"`$\\".contains(letter))
    {
        Some(letter) => {
            bail!(
                "the Rust kernel cannot work below {path}, for it has a {letter:?}: move the course's folder"
            )
        }
        None => Ok(()),
    }
}

/// The pinned rustc; evcxr works with the one it was tested with.
///
/// # Errors
/// If another one is used, which only happens without rustup.
pub fn rustc(course: &Course) -> Result<String> {
    let toolchain = fs::read_to_string(course.root.join("rust-toolchain.toml")).unwrap_or_default();
    let pinned = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap_or_default();
    let pinned = pinned.trim_matches('"');
    let found = output("rustc", &["--version"]).unwrap_or_default();
    let version = found.split(' ').nth(1).unwrap_or("none").to_owned();
    if version != pinned {
        bail!("rustc is {version}, the course needs {pinned}: install Rust with rustup (https://rustup.rs)");
    }
    Ok(version)
}

/// The folder of the toolchain.
///
/// # Errors
/// If rustc does not start.
pub fn sysroot() -> Result<String> {
    output("rustc", &["--print", "sysroot"]).context("no rustc: install Rust with rustup (https://rustup.rs)")
}

/// A C++ compiler, for tch's bridge to libtorch.
///
/// # Errors
/// If there is none, with the commands that install one.
pub fn compiler() -> Result<String> {
    ["c++", "g++", "clang++"].iter().find_map(|program| output(program, &["--version"])).context(
        "no C++ compiler: sudo apt install g++ (Debian, Ubuntu), sudo dnf install gcc-c++ (Fedora) or \
         xcode-select --install (macOS)",
    )
}

/// Python ≥ 3.10 with `venv`.
///
/// # Errors
/// If it is missing, too old or without `venv`, with the commands that install it.
pub fn python() -> Result<String> {
    let version = output("python3", &["--version"]).context(
        "no Python: sudo apt install python3 python3-venv, sudo dnf install python3 or brew install python",
    )?;
    if output("python3", &["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).is_none() {
        bail!("{version} is too old, the course needs 3.10: install a newer one and put it first in PATH");
    }
    if output("python3", &["-c", "import venv, ensurepip"]).is_none() {
        bail!("{version} lacks venv: sudo apt install python3-venv");
    }
    Ok(version)
}

/// Enough room below the checkout.
///
/// # Errors
/// If there is less than a set-up takes.
pub fn disk(course: &Course) -> Result<String> {
    let space = rustix::fs::statvfs(&course.root).context("the free disk space cannot be asked for")?;
    let free = (space.f_bavail * space.f_frsize) as f64 / 1e9;
    if free < NEEDED_GB {
        bail!(
            "{free:.1} GB free, the course needs {NEEDED_GB:.0} GB: make room, or move the course's folder"
        );
    }
    Ok(format!("{free:.0} GB free"))
}

/// The libtorch that is used, of the version that tch needs.
///
/// # Errors
/// If it is another one, or none.
pub fn libtorch(course: &Course) -> Result<String> {
    let folder = course.libtorch();
    let version = libtorch_version(&folder);
    let advice = if course.has_own_libtorch() {
        "unset LIBTORCH, and the course installs its own"
    } else {
        "remove .course/stamps/libtorch and run `cargo course setup`"
    };
    match version {
        Some(version) if version.starts_with(LIBTORCH_VERSION) => Ok(version),
        Some(version) => {
            bail!("{} is libtorch {version}, the course needs {LIBTORCH_VERSION}: {advice}", folder.display())
        }
        None => bail!("no libtorch at {}: {advice}", folder.display()),
    }
}

/// What a wheel says in `version.py`, or a libtorch archive in `build-version`.
fn libtorch_version(folder: &Path) -> Option<String> {
    if let Ok(version) = fs::read_to_string(folder.join("build-version")) {
        return Some(version.trim().to_owned());
    }
    let python = fs::read_to_string(folder.join("version.py")).ok()?;
    let line = python.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(line.trim_matches('\'').to_owned())
}

/// Whether an NVIDIA card can be used.
pub fn nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

/// The first line that a program prints, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
