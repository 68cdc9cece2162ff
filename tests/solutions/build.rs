//! Takes the exercises' cells, with their solutions, and the name of each one's check from the lessons' sources.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const LESSONS: &str = "../../notebooks/source";

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={LESSONS}");
    if let Some(libtorch) = env::var_os("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", Path::new(&libtorch).join("lib").display());
    }
    let mut files: Vec<_> = fs::read_dir(LESSONS).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let lessons: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();

    let mut out = String::from("macro_rules! for_each_solution { ($with:ident) => { vec![\n");
    for (check, answer) in lessons.lines().filter_map(checked) {
        writeln!(out, "$with!(check::{check}_exercise(), {answer}),").unwrap();
    }
    out += "] } }\n";
    for cell in lessons.split("```rust tags=[\"exercise\"]\n").skip(1) {
        out += cell.split("```").next().unwrap();
    }
    fs::write(Path::new(&env::var("OUT_DIR").unwrap()).join("solutions.rs"), out).unwrap();
}

/// `norm` and `my_norm` of `let norm = check::norm(my_norm);`, where an answer may be a pair in brackets.
fn checked(line: &str) -> Option<(&str, &str)> {
    let (_, call) = line.split_once("= check::")?;
    let (check, answer) = call.strip_suffix(");")?.split_once('(')?;
    answer.contains("my_").then_some((check, answer))
}
