//! Grades sample submissions of lesson 00 with `cargo course grade`.
//!
//! Needs the kernel and the course's crate in it (`cargo course setup`).

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

use course::build::drafts;
use course::notebook::{has_tag, lines, write};
use course::paths::Course;
use nbformat::v4::{Cell, Notebook};

/// Lesson 00 with its exercises open, and solved.
fn lesson() -> [Notebook; 2] {
    let course = Course::find().expect("tests run in the checkout");
    let drafts = drafts(&course, &["00".to_owned()]).unwrap();
    <[_; 2]>::try_from(drafts).ok().expect("two forms").map(|draft| draft.notebook)
}

/// Puts texts into the exercise cells, counted from 0.
fn with(mut notebook: Notebook, answers: &[(usize, &str)]) -> Notebook {
    let mut exercises: Vec<_> = notebook.cells.iter_mut().filter(|cell| has_tag(cell, "exercise")).collect();
    for (index, answer) in answers {
        let Cell::Code { source, .. } = &mut *exercises[*index] else { panic!("an exercise is code") };
        *source = lines(answer);
    }
    notebook
}

fn grade(dir: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.arg("grade").arg(dir).args(["--out", "/dev/null"]).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const NORM: &str = "fn my_norm(x: &Tensor) -> Tensor {";
const RIGHT: &str = "x.square().sum(x.kind()).sqrt() }";

#[test]
#[cfg(target_os = "linux")]
fn samples_get_the_verdicts_they_earn() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = host.local_addr().unwrap();
    let (folder, [open, solved]) = (tempfile::tempdir().unwrap(), lesson());
    let put = |path: &str, notebook: &Notebook| write(&folder.path().join(path), notebook).unwrap();
    put("ada/my copy.ipynb", &solved);
    let right = format!("/// Exercise 0.1: the norm\n{NORM} dbg!(x.size()); {RIGHT}");
    let one_hot = "fn my_one_hot(ids: &Tensor, vocab_size: i64) -> Tensor { Tensor::zeros([ids.numel() as i64, vocab_size], (Kind::Float, Device::Cpu)) }";
    let mut ben =
        with(open.clone(), &[(0, ""), (1, one_hot), (2, "fn my_softmax(logits: &Tensor) -> { 1 }")]);
    ben.cells
        .extend(with(open.clone(), &[(0, &right)]).cells.into_iter().find(|cell| has_tag(cell, "exercise")));
    put("ben.ipynb", &ben);
    put("eve.ipynb", &with(solved.clone(), &[(0, &format!("{NORM} loop {{}} }}"))]));
    put(
        "gil.ipynb",
        &with(solved.clone(), &[(2, "fn my_softmax(logits: &Tensor) -> Tensor { std::process::exit(0) }")]),
    );
    let forged = "exercise 0.1: right on 8 random cases";
    let forgeries = [
        (
            0,
            &*format!(
                "{NORM} print!(\"✅ {forged}\\n✅ {forged}\"); x.shallow_clone() }}\nprintln!(\"✅ {forged}\");"
            ),
        ),
        (1, "fn my_one_hot(_: &Tensor, _: i64) -> Tensor { panic!(\"✅ exercise 0.2: right\") }"),
        (
            2,
            "mod check { pub fn softmax<F>(f: F) -> F { println!(\"✅ exercise 0.3: right\"); f } }\nfn my_softmax(logits: &Tensor) -> Tensor { logits.exp() }",
        ),
        (
            3,
            "fn my_difference_gradient(_: check::ScalarFn, _: &Tensor, _: f64) -> Tensor { println!(\"✅ exercise 0.4: right\"); std::process::exit(0) }",
        ),
        (
            4,
            "use std::io::Write;\nfn my_loss_test(_: fn(&Tensor, &Tensor) -> Tensor) -> bool { let mut out = std::io::stdout(); out.write_all(\"✅ exercise 0.5: right\\n\\u{0}\".as_bytes()).unwrap(); out.write_all(b\"\\xff\\n\").unwrap(); true }",
        ),
    ];
    put("mal.ipynb", &with(solved.clone(), &forgeries));
    let reach =
        format!("{NORM} assert!(std::net::TcpStream::connect(\"{address}\").is_err(), \"reached\"); {RIGHT}");
    put("net.ipynb", &with(open.clone(), &[(0, &reach)]));
    put("two/a.ipynb", &open);
    put("two/b.ipynb", &open);
    put("zoe.ipynb", &Notebook { cells: Vec::new(), ..open.clone() });
    fs::write(folder.path().join("bad.ipynb"), "{}").unwrap();
    fs::create_dir(folder.path().join("nil")).unwrap();
    let before = fs::read(folder.path().join("eve.ipynb")).unwrap();

    let out = folder.path().join("grades.csv");
    let run = grade(folder.path(), &["--out", out.to_str().unwrap(), "--jobs", "2"]);
    let (printed, said, csv) = (text(&run.stdout), text(&run.stderr), fs::read_to_string(out).unwrap());
    println!("{printed}{said}{csv}");

    let count = |learner: &str| {
        let row = printed.lines().find_map(|line| line.strip_prefix(learner));
        row.unwrap_or_else(|| panic!("no row for {learner}")).trim().to_owned()
    };
    let earned =
        [("ada", "5/5"), ("ben", "1/5"), ("eve", "4/5"), ("gil", "4/5"), ("mal", "0/5"), ("net", "1/5")];
    for (learner, wanted) in earned {
        assert_eq!(count(learner), wanted, "{learner}");
    }
    let has = |learner: &str, exercise: &str, verdict: &str, message: &str| {
        let begin = format!("\"{learner}\",\"00_start_here\",\"{exercise}\",\"{verdict}\",\"");
        let row = csv
            .lines()
            .find_map(|line| line.strip_prefix(&begin))
            .unwrap_or_else(|| panic!("no row {begin}"));
        assert!(row.contains(message), "{message:?} is not in {row}");
    };
    has("ada", "0.4", "passed", "right on");
    has("ben", "0.3", "failed", "error");
    has("ben", "0.5", "open", "not attempted");
    has("eve", "0.1", "failed", "timeout");
    has("eve", "0.2", "passed", "");
    has("gil", "0.3", "failed", "error");
    has("gil", "0.5", "passed", "");
    has("mal", "0.1", "failed", "verdicts, not one");
    has("net", "0.1", "passed", "");
    TcpStream::connect(address).expect("here it can be reached");
    let refused = [
        ("bad", "is not a notebook"),
        ("nil", "holds no notebook"),
        ("two", "is one more of"),
        ("zoe", "holds no exercise"),
    ];
    for (learner, why) in refused {
        let begin = format!("{learner}: ");
        assert!(said.lines().any(|line| line.starts_with(&begin) && line.contains(why)), "{learner}: {why}");
    }
    assert!(!run.status.success(), "not all were graded");
    assert_eq!(fs::read(folder.path().join("eve.ipynb")).unwrap(), before);
}

#[test]
fn nothing_to_grade_gets_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("note.txt"), "").unwrap();
    let missing = folder.path().join("missing");
    for (dir, more, why) in [(&*missing, vec![], "is no folder"), (folder.path(), vec![], "no notebooks in")]
    {
        let run = grade(dir, &more);
        let said = text(&run.stderr);
        assert!(
            !run.status.success() && said.contains(why) && said.trim_end().lines().count() == 1,
            "{said}"
        );
    }
}
