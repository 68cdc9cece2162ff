//! Lets this package's tests, examples and benchmarks find libtorch without a loader path, and tells the crate
//! the versions of its compiler and of tch.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=Cargo.toml");
    if let Some(libtorch) = std::env::var_os("LIBTORCH") {
        let lib = std::path::Path::new(&libtorch).join("lib");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
    println!("cargo:rustc-env=LLM_COURSE_RUSTC={}", rustc().unwrap_or("unknown".into()));
    println!("cargo:rustc-env=LLM_COURSE_TCH={}", tch().unwrap_or("unknown".into()));
}

/// What the compiler calls itself.
fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The version of tch in Cargo.toml.
fn tch() -> Option<String> {
    let manifest = std::fs::read_to_string("Cargo.toml").ok()?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("tch = "))?;
    Some(version.trim_matches('"').to_owned())
}
