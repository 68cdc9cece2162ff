//! Lets this package's tests, examples and benchmarks find libtorch without a loader path, and tells the crate
//! the versions of its compiler and of tch.

use std::path::Path;
use std::process::Command;

/// libtorch's own copy of OpenMP's library on Linux. Without it the crate's kernels use one thread.
const OPENMP: &str = "libgomp.so.1";

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=Cargo.toml");
    if let Some(libtorch) = std::env::var_os("LIBTORCH") {
        let lib = Path::new(&libtorch).join("lib");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
        native(Path::new(&libtorch));
    }
    println!("cargo:rustc-env=LLM_COURSE_RUSTC={}", rustc().unwrap_or("unknown".into()));
    println!("cargo:rustc-env=LLM_COURSE_TCH={}", tch().unwrap_or("unknown".into()));
}

/// Compiles `native.cpp` against libtorch's headers, and for the threads that libtorch computes with.
fn native(libtorch: &Path) {
    println!("cargo:rerun-if-changed=src/native/native.cpp");
    let (include, lib) = (libtorch.join("include"), libtorch.join("lib"));
    let threads = lib.join(OPENMP).exists();
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").warnings(false).opt_level(2).file("src/native/native.cpp");
    build.include(&include).include(include.join("torch/csrc/api/include"));
    if threads {
        build.flag("-fopenmp");
    }
    build.compile("course_native");
    if threads {
        println!("cargo:rustc-link-search=native={}", lib.display());
        println!("cargo:rustc-link-lib=dylib:+verbatim={OPENMP}");
    }
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
