//! Grades sample submissions of lesson 00 with `cargo course grade`.
//!
//! Needs the kernel and the course's crate in it (`cargo course setup`).

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use course::build::drafts;
use course::notebook::{has_tag, lines, source, write};
use course::paths::Course;
use nbformat::v4::{Cell, CellId, CellMetadata, Notebook};

/// Lesson 00 with its exercises open, and solved.
fn lesson() -> [Notebook; 2] {
    let course = Course::find().expect("tests run in the checkout");
    let drafts = drafts(&course, &["00".to_owned()]).unwrap();
    <[_; 2]>::try_from(drafts).ok().expect("two forms").map(|draft| draft.notebook)
}

/// A copy with texts in the exercise cells, counted from 0.
fn with(notebook: &Notebook, answers: &[(usize, &str)]) -> Notebook {
    let mut notebook = notebook.clone();
    let mut exercises: Vec<_> = notebook.cells.iter_mut().filter(|cell| has_tag(cell, "exercise")).collect();
    for (index, answer) in answers {
        let Cell::Code { source, .. } = &mut *exercises[*index] else { panic!("an exercise is code") };
        *source = lines(answer);
    }
    notebook
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).arg("grade").arg(dir);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Right, and noisy.
const NORM: &str = "/// Exercise 0.1: again
fn my_norm(x: &Tensor) -> Tensor { print!(\"?\"); dbg!(x.size()); x.square().sum(x.kind()).sqrt() }";
const ENDLESS: &str = "fn my_norm(_: &Tensor) -> Tensor { loop {} }";
const EXIT: &str = "fn my_norm(_: &Tensor) -> Tensor {
    println!(\"✅ exercise 0.1: right\");
    std::process::exit(0)
}";
/// Brings its own check, and prints in its own cell.
const OWN_CHECK: &str = "mod check { pub fn norm<F>(f: F) -> F { println!(\"✅ exercise 0.1: right\"); f } }
println!(\"✅ exercise 0.1: right\");
fn my_norm(x: &Tensor) -> Tensor { x.shallow_clone() }";

const ONLY_ZEROS: &str = "fn my_one_hot(ids: &Tensor, vocab_size: i64) -> Tensor {
    Tensor::zeros([ids.numel() as i64, vocab_size], (Kind::Float, Device::Cpu))
}";
const NO_TYPE: &str = "fn my_one_hot(ids: &Tensor, vocab_size: i64) -> { ids.onehot(vocab_size) }";
/// The kernel ends a cell at this line, and what the check prints is an output of the next cell.
const EARLY_END: &str = "fn my_one_hot(ids: &Tensor, _: i64) -> Tensor {
    println!(\"✅ exercise 0.2: right\\nEVCXR_EXECUTION_COMPLETE\");
    ids.shallow_clone()
}";

/// Right, if nobody listens at the address.
fn norm_without(address: SocketAddr) -> String {
    format!(
        "fn my_norm(x: &Tensor) -> Tensor {{
    assert!(std::net::TcpStream::connect(\"{address}\").is_err(), \"reached\");
    x.square().sum(x.kind()).sqrt()
}}"
    )
}

#[test]
fn samples_get_the_verdicts_they_earn() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = host.local_addr().unwrap();
    let (folder, [open, solved]) = (tempfile::tempdir().unwrap(), lesson());
    let put = |path: &str, notebook: &Notebook| write(&folder.path().join(path), notebook).unwrap();
    // Some systems forbid it; what happens then has a test of its own.
    let cut = ["--user", "--net", "--map-root-user", "ip", "link", "set", "lo", "up"];
    let cut = Command::new("unshare").args(cut).status().is_ok_and(|status| status.success());
    let norm = if cut { norm_without(address) } else { NORM.to_owned() };
    put("ada/my copy.ipynb", &with(&solved, &[(0, &norm)]));
    let mut half = with(&open, &[(0, ""), (1, ONLY_ZEROS)]);
    half.cells.push(Cell::Code {
        id: CellId::new("new").unwrap(),
        metadata: CellMetadata::default(),
        execution_count: None,
        source: lines(NORM),
        outputs: Vec::new(),
    });
    put("ben.ipynb", &half);
    put("eve.ipynb", &with(&open, &[(0, ENDLESS), (1, NO_TYPE)]));
    let one_hot = source(solved.cells.iter().filter(|cell| has_tag(cell, "exercise")).nth(1).unwrap());
    put("gil.ipynb", &with(&open, &[(0, EXIT), (1, &one_hot)]));
    put("mal.ipynb", &with(&open, &[(0, OWN_CHECK), (1, EARLY_END)]));
    put("two/a.ipynb", &open);
    put("two/b.ipynb", &open);
    put("zoe.ipynb", &Notebook { cells: Vec::new(), ..open.clone() });
    fs::write(folder.path().join("bad.ipynb"), "{}").unwrap();
    fs::create_dir(folder.path().join("nil")).unwrap();
    let before = fs::read(folder.path().join("eve.ipynb")).unwrap();

    let out = folder.path().join("grades.csv");
    let mut command = command(folder.path());
    command
        .arg("--out")
        .arg(&out)
        .args(["--jobs", "2", "--timeout", "30"])
        .args((!cut).then_some("--network"));
    let run = command.output().unwrap();
    let (printed, said, csv) = (text(&run.stdout), text(&run.stderr), fs::read_to_string(out).unwrap());
    println!("{printed}{said}{csv}");

    for wanted in ["ada 5/5", "ben 1/5", "eve 0/5", "gil 1/5", "mal 0/5", "two 0/5", "zoe –"] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(printed.lines().any(|line| words(line) == wanted), "no row {wanted}");
    }
    for (learner, exercise, verdict, message) in [
        ("ada", "0.1", "passed", "right on"),
        ("ben", "0.1", "passed", "right on"),
        ("ben", "0.2", "failed", "off by"),
        ("ben", "0.3", "open", "not attempted"),
        ("eve", "0.1", "failed", "timeout: "),
        ("eve", "0.2", "failed", "error: "),
        ("gil", "0.1", "failed", "exit status: 0"),
        ("gil", "0.2", "passed", "right on"),
        ("mal", "0.1", "failed", ""),
        ("mal", "0.2", "failed", "0 verdicts"),
    ] {
        let begin = format!("\"{learner}\",\"00_start_here\",\"{exercise}\",\"{verdict}\",\"");
        let row = csv.lines().find_map(|line| line.strip_prefix(&begin));
        assert!(row.is_some_and(|row| row.contains(message)), "no row {begin}{message}");
    }
    TcpStream::connect(address).expect("here it can be reached");
    for (learner, why) in [
        ("bad", "is not a notebook"),
        ("nil", "holds no notebook"),
        ("two", "is one more 00_start_here"),
        ("zoe", "holds no exercise"),
    ] {
        let begin = format!("{learner}: ");
        assert!(said.lines().any(|line| line.starts_with(&begin) && line.contains(why)), "{begin}{why}");
    }
    assert!(!run.status.success(), "not all were graded");
    assert_eq!(fs::read(folder.path().join("eve.ipynb")).unwrap(), before);
}

#[test]
fn where_the_network_cannot_be_cut_off_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("ada.ipynb"), &lesson()[0]).unwrap();
    let unshare = folder.path().join("unshare");
    fs::write(&unshare, "#!/bin/sh\necho not here >&2; exit 1\n").unwrap();
    fs::set_permissions(unshare, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let run = command(folder.path()).env("PATH", path).output().unwrap();
    let said = text(&run.stderr);
    assert!(!run.status.success() && said.contains("(not here)") && said.contains("--network"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[test]
fn nothing_to_grade_gets_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("note.txt"), "").unwrap();
    let missing = folder.path().join("missing");
    for (dir, why) in [(&*missing, "is no folder"), (folder.path(), "no notebooks in")] {
        let run = command(dir).output().unwrap();
        let said = text(&run.stderr);
        assert!(!run.status.success() && said.contains(why), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    }
}
