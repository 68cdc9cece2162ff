//! The kernelspec `rust`: absolute paths, so that it works from JupyterLab and from editors.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::paths::Course;

/// The folder of the environment's Python packages.
///
/// # Errors
/// If the environment is not there.
pub fn site_packages(course: &Course) -> Result<PathBuf> {
    fs::read_dir(course.venv().join("lib"))
        .context("no Python environment: run `cargo course setup`")?
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages")))
        .find(|path| path.is_dir())
        .context("the Python environment is broken: remove .course/venv and run `cargo course setup`")
}

/// What [`write()`] writes: a number for what it makes itself, and the scripts.
pub const FORM: [&str; 4] = ["5", CELL, CARGO, CRATES];

/// Starts the kernel `$0` in a temporary folder of its own, whose cargo configuration makes the hash of its
/// cells' crate unlike any other kernel's.
///
/// evcxr calls that crate `ctx` in every kernel, and cargo's hash knows only the name: in the shared build folder
/// a kernel that waited for another one's build would take over that build as its own cell. The number of
/// codegen units is part of the hash, and nothing else depends on it.
///
/// A kernel that finds an entry `rust` in `JUPYTER_PATH`, or else in the user's own folder, writes evcxr's default
/// over it if the versions differ: it is shown an empty folder.
///
/// The folder of [`CELL`] comes first in `PATH`.
const LAUNCH: &str = r#"export PATH="$EVCXR_CONFIG_DIR/bin:$PATH" && export TMPDIR="$TMPDIR/kernel-$$" && export JUPYTER_PATH="$TMPDIR" && \
mkdir -p "$TMPDIR/.cargo" && \
printf '[profile.dev.package.ctx]\ncodegen-units = %s\n' $$ > "$TMPDIR/.cargo/config.toml" && exec "$0" "$@""#;

/// Compiles a cell without cargo (on 2 cores `1 + 1` answered in 0.24 s instead of 0.40 s) and links it against one
/// library of all crates (in 0.21 s instead of 0.32 s on a slower day).
const CELL: &str = include_str!("cell.sh");

/// The cargo that rust-analyzer finds in the kernel; [`CRATES`] cuts what it prints. On 2 cores the first cell answered
/// in 2.0 s instead of 5.6 s and the first that keeps a variable in 2.2 s instead of 4.7 s; the kernel held 0.61 GiB
/// instead of 1.12 GiB.
const CARGO: &str = include_str!("cargo.sh");

/// Cuts the list of crates that rust-analyzer reads.
const CRATES: &str = include_str!("crates.py");

/// Where cargo keeps what it downloads.
///
/// # Errors
/// If neither `CARGO_HOME` nor the home folder is known.
pub fn cargo_home() -> Result<PathBuf> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).context("neither CARGO_HOME nor HOME is set")
}

/// Writes `kernel.json`, evcxr's initial commands and the scripts that stand between the kernel and cargo.
///
/// # Errors
/// If a file cannot be written or rustc does not start.
pub fn write(course: &Course) -> Result<()> {
    let home = course.home();
    let evcxr = home.join("evcxr");
    let bin = evcxr.join("bin");
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(home.join("tmp"))?;
    let cargo_home = cargo_home()?;
    let init = format!(
        ":linker mold\n:build_env CARGO_BUILD_BUILD_DIR={}\n:build_env CARGO_HOME={}\n",
        home.join("build").display(),
        cargo_home.display()
    );
    fs::write(evcxr.join("init.evcxr"), init)?;
    for (name, script) in [("mold", CELL), ("cargo", CARGO), ("crates.py", CRATES)] {
        fs::write(bin.join(name), script)?;
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let loader = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    let libtorch = course.libtorch();
    let mut env = json!({
        "LIBTORCH": libtorch,
        loader: format!("{}:{}{}", libtorch.join("lib").display(), target_libdir()?, nvidia_folders(course)?),
        "EVCXR_CONFIG_DIR": evcxr,
        "CARGO_HOME": evcxr,
        "LLM_COURSE_CARGO_HOME": cargo_home,
        "TMPDIR": home.join("tmp"),
    });
    // Notebooks may lie anywhere; rustup would choose by their folder.
    if let Ok(toolchain) = std::env::var("RUSTUP_TOOLCHAIN") {
        env["RUSTUP_TOOLCHAIN"] = toolchain.into();
    }
    let spec = json!({
        "argv": ["/bin/sh", "-c", LAUNCH, course.kernel(), "--control_file", "{connection_file}"],
        "display_name": "Rust",
        "language": "rust",
        "interrupt_mode": "message",
        "env": env,
    });
    let path = course.kernelspec();
    fs::create_dir_all(path.parent().expect("kernel.json lies in a folder"))?;
    fs::write(path, serde_json::to_string_pretty(&spec)?).context("kernel.json cannot be written")
}

/// Where libstd lies: a restarted process of the kernel finds it only through the loader path.
fn target_libdir() -> Result<String> {
    let output =
        Command::new("rustc").args(["--print", "target-libdir"]).output().context("rustc does not start")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// CUDA's libraries that libtorch links to, each with a leading colon.
fn nvidia_folders(course: &Course) -> Result<String> {
    let nvidia = site_packages(course)?.join("nvidia");
    let Ok(folders) = fs::read_dir(nvidia) else { return Ok(String::new()) };
    let mut found: Vec<String> = folders
        .filter_map(|entry| Some(entry.ok()?.path().join("lib")))
        .filter(|path| path.is_dir())
        .map(|path| format!(":{}", path.display()))
        .collect();
    found.sort();
    Ok(found.concat())
}
