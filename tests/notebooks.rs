//! Executes small notebooks with `cargo course run`: what must be red is red, and no process is left.
//!
//! Needs the kernel (`cargo course setup`); one test also the course's crate in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use course::paths::Course;
use course::runner::kernel::{Ended, Kernel};
use course::setup::leftovers::prune;
use serde_json::json;
use tempfile::TempDir;

mod cases;
use cases::cases;

/// A folder with one notebook; kernels are known by running in it.
struct Fixture {
    folder: TempDir,
}

/// A code cell and its tags.
type Cell<'a> = (&'a str, &'a [&'a str]);

/// The limit for each cell, in seconds.
const LIMIT: u64 = 10;

impl Fixture {
    fn new(cells: &[Cell]) -> Self {
        let course = Course::find().expect("tests run in the checkout");
        assert!(
            course.kernelspec().is_file() && course.kernel().is_file(),
            "the Rust kernel is missing: run `cargo course setup`"
        );
        let cells: Vec<_> = cells
            .iter()
            .enumerate()
            .map(|(index, (source, tags))| {
                json!({"cell_type": "code", "id": format!("id-{}", index + 1), "metadata": {"tags": tags},
                       "execution_count": null, "outputs": [], "source": source})
            })
            .collect();
        let notebook = json!({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5});
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("fixture.ipynb"), notebook.to_string()).unwrap();
        Self { folder }
    }

    fn start(&self, more: &[&str]) -> Child {
        self.command(more).spawn().unwrap()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        command.arg("run").arg(self.folder.path().join("fixture.ipynb"));
        if !more.contains(&"--timeout") {
            command.args(["--timeout", &LIMIT.to_string()]);
        }
        command.args(more);
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, more: &[&str]) -> Run {
        self.finish(self.start(more))
    }

    fn finish(&self, child: Child) -> Run {
        let begun = Instant::now();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(self.processes(), [], "processes are left behind\n{text}");
        Run { good: status.success(), text, took: begun.elapsed() }
    }

    /// The ids and parents' ids of processes that work in the fixture's folder and are no zombies.
    fn processes(&self) -> Vec<(i32, i32)> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let here = self.folder.path().canonicalize().unwrap();
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let works_here =
            |id: &i32| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == here);
        ids.filter(works_here).filter_map(|id| Some((id, parent(id)?))).collect()
    }

    /// Waits until the kernel runs cells in a process of its own; gives both ids.
    fn kernel(&self) -> (i32, i32) {
        for _ in 0..6000 {
            let all = self.processes();
            let pair = all.iter().find(|(_, parent)| all.iter().any(|(id, _)| id == parent));
            // The first of a cell's files says that the cell is running.
            if let Some(&(cells, kernel)) = pair
                && self.folder.path().join("running").exists()
            {
                return (kernel, cells);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the kernel did not come to the cell");
    }

    fn executed(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.folder.path().join("out/fixture.ipynb")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

fn parent(id: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if fields.next()? == "Z" {
        return None;
    }
    fields.next()?.parse().ok()
}

struct Run {
    good: bool,
    text: String,
    took: Duration,
}

impl Run {
    /// The run failed in time, at the named cell and for the named cause.
    #[track_caller]
    fn is_red(&self, cell: usize, cause: &str) {
        assert!(!self.good, "must be red\n{}", self.text);
        assert!(self.took < Duration::from_secs(LIMIT + 10), "took {:?}\n{}", self.took, self.text);
        let title = format!("cell {cell} (id-{cell}): ");
        let line = self.text.lines().find(|line| line.starts_with(&title));
        let line = line.unwrap_or_else(|| panic!("no line {title:?}\n{}", self.text));
        assert!(line.contains(cause), "{cause:?} is not in {line:?}");
    }

    #[track_caller]
    fn is_green(&self) {
        assert!(self.good, "must be green\n{}", self.text);
    }
}

/// Tells the test that it runs, then sleeps for longer than any limit.
const SLEEP: &str = r#"std::fs::write("running", "").unwrap();
std::thread::sleep(std::time::Duration::from_secs(60));"#;

#[test]
fn panic_is_red() {
    let run = Fixture::new(&[("println!(\"first\");", &[]), ("panic!(\"planned {}\", 7);", &[])]).run(&[]);
    run.is_red(2, "planned 7");
    assert!(run.text.contains("panic!(\"planned {}\", 7);"), "the source is shown\n{}", run.text);
}

#[test]
fn panic_is_red_where_stderr_is_allowed() {
    Fixture::new(&[("eprintln!(\"w\"); panic!(\"planned\");", &["stderr-ok"])]).run(&[]).is_red(1, "planned");
}

#[test]
fn failing_question_mark_is_red() {
    Fixture::new(&[("let n: i32 = \"x\".parse()?;", &[])]).run(&[]).is_red(1, "invalid digit");
}

#[test]
fn failing_question_mark_is_red_where_stderr_is_allowed() {
    let cells: &[Cell] =
        &[("eprintln!(\"w\");", &["stderr-ok"]), ("let n: i32 = \"x\".parse()?;", &["stderr-ok"])];
    Fixture::new(cells).run(&[]).is_red(2, "`?` failed");
}

#[test]
fn compile_error_is_red() {
    let run = Fixture::new(&[("let text: i32 = \"a\";", &[]), ("println!(\"never\");", &[])]).run(&[]);
    run.is_red(1, "mismatched types");
}

#[test]
fn abort_is_red() {
    Fixture::new(&[("std::process::abort();", &[])]).run(&[]).is_red(1, "SIGABRT");
}

#[test]
fn endless_loop_is_red() {
    Fixture::new(&[("println!(\"begun\"); loop {}", &[])]).run(&[]).is_red(1, "timeout");
}

#[test]
fn flushed_line_without_end_is_red() {
    let source = "use std::io::Write; print!(\"x\"); std::io::stdout().flush().unwrap();";
    Fixture::new(&[(source, &[])]).run(&["--timeout", "3"]).is_red(1, "timeout");
}

#[test]
fn stderr_is_red() {
    Fixture::new(&[("eprintln!(\"a warning\");", &[])]).run(&[]).is_red(1, "a warning");
}

#[test]
fn raises_exception_must_raise() {
    Fixture::new(&[("println!(\"fine\");", &["raises-exception"])]).run(&[]).is_red(1, "raises-exception");
}

#[test]
fn good_notebook_is_green() {
    let fixture = Fixture::new(&[
        ("let kept = 41;", &[]),
        ("panic!(\"planned\");", &["raises-exception"]),
        ("let n: i32 = \"x\".parse()?;", &["raises-exception"]),
        ("panic!(\"never run\");", &["skip-execution"]),
        ("", &[]),
        ("eprintln!(\"allowed\");", &["stderr-ok"]),
        ("for i in 0..3 { println!(\"line {i}\"); }\nkept + 1", &[]),
    ]);
    let before = std::fs::read(fixture.folder.path().join("fixture.ipynb")).unwrap();
    let out = fixture.out();
    fixture.run(&["--timings", "--out", out.to_str().unwrap()]).is_green();
    assert_eq!(std::fs::read(fixture.folder.path().join("fixture.ipynb")).unwrap(), before);
    let executed = fixture.executed();
    let counts: Vec<_> =
        executed["cells"].as_array().unwrap().iter().map(|c| c["execution_count"].as_i64()).collect();
    assert_eq!(counts, [Some(1), Some(2), Some(3), None, None, Some(4), Some(5)]);
    let outputs = &executed["cells"][6]["outputs"];
    assert_eq!(outputs[0]["text"], json!(["line 0\n", "line 1\n", "line 2\n"]));
    assert_eq!(outputs[1]["data"]["text/plain"], json!(["42"]));
    assert_eq!(executed["cells"][1]["outputs"][0]["text"], json!(["panicked: planned\n"]));
}

/// After the process that runs cells was ended, also by "Interrupt Kernel", a fresh one must find
/// libstd: with a shared build folder the relative rpath of cells is wrong, so the kernelspec's loader
/// path needs `rustc --print target-libdir` ("dlopen failed", status 99, else).
#[test]
fn strictness_survives_a_planned_abort() {
    let cells: &[Cell] = &[("std::process::abort();", &["raises-exception"]), ("panic!(\"after\");", &[])];
    Fixture::new(cells).run(&[]).is_red(2, "after");
}

#[test]
fn killed_kernel_is_red() {
    let fixture = Fixture::new(&[(SLEEP, &[])]);
    let child = fixture.start(&[]);
    kill(fixture.kernel().0, rustix::process::Signal::KILL);
    fixture.finish(child).is_red(1, "the kernel died");
}

#[test]
fn killed_cells_process_is_red() {
    let fixture = Fixture::new(&[(SLEEP, &[])]);
    let child = fixture.start(&[]);
    kill(fixture.kernel().1, rustix::process::Signal::KILL);
    fixture.finish(child).is_red(1, "SIGKILL");
}

#[test]
fn terminated_runner_leaves_nothing() {
    let fixture = Fixture::new(&[(SLEEP, &[])]);
    let child = fixture.start(&[]);
    fixture.kernel();
    kill(child.id() as i32, rustix::process::Signal::TERM);
    let run = fixture.finish(child);
    assert!(!run.good && run.text.contains("interrupted"), "{}", run.text);
}

#[test]
#[cfg(target_os = "linux")]
fn killed_runner_leaves_nothing() {
    let fixture = Fixture::new(&[("std::fs::write(\"running\", \"\").unwrap(); loop {}", &[])]);
    let mut child = fixture.start(&[]);
    fixture.kernel();
    child.kill().unwrap();
    child.wait().unwrap();
    for _ in 0..100 {
        if fixture.processes().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("processes are left behind: {:?}", fixture.processes());
}

#[test]
fn two_notebooks_at_once_are_green() {
    let cells: &[Cell] = &[("let x = 1;", &[]), ("println!(\"{x}\");", &[])];
    let fixtures = [Fixture::new(cells), Fixture::new(cells)];
    let children = fixtures.each_ref().map(|fixture| fixture.start(&[]));
    for (fixture, child) in fixtures.iter().zip(children) {
        fixture.finish(child).is_green();
    }
}

/// All kernels share a build folder, where their crates have the same name; each cell knows whose it is.
///
/// `LLM_COURSE_CASES=200` takes ten kernels with 20 cells each.
#[test]
fn kernels_at_once_run_their_own_cells() {
    let (kernels, cells) = if cases(30) < 200 { (3, 10) } else { (10, 20) };
    let fixtures: Vec<_> = (1..=kernels)
        .map(|number| {
            let mut sources = vec![format!("let me: usize = {number};")];
            let cell = |cell: usize| {
                format!("fn own_{cell}() -> usize {{ {number} * {cell} }} assert_eq!(me * {cell}, own_{cell}()); println!(\"{cell}\");")
            };
            sources.extend((1..cells).map(cell));
            let cells: Vec<Cell> = sources.iter().map(|source| (source.as_str(), &[] as &[&str])).collect();
            Fixture::new(&cells)
        })
        .collect();
    let children: Vec<_> = fixtures.iter().map(|fixture| fixture.start(&["--timeout", "120"])).collect();
    for (fixture, child) in fixtures.iter().zip(children) {
        fixture.finish(child).is_green();
    }
    println!("{kernels} kernels at once ran {} cells, each its own", kernels * cells);
}

/// evcxr writes its default over an entry `rust` of another version, wherever `JUPYTER_PATH` leads it.
#[test]
fn a_kernel_leaves_the_entries_of_others_alone() {
    let others = tempfile::tempdir().unwrap();
    let entry = others.path().join("kernels/rust");
    std::fs::create_dir_all(&entry).unwrap();
    std::fs::write(entry.join("version.txt"), "0").unwrap();
    std::fs::write(entry.join("kernel.json"), "mine").unwrap();
    let fixture = Fixture::new(&[("println!(\"here\");", &[])]);
    let child = fixture.command(&[]).env("JUPYTER_PATH", others.path()).spawn().unwrap();
    fixture.finish(child).is_green();
    assert_eq!(std::fs::read_to_string(entry.join("kernel.json")).unwrap(), "mine");
}

/// The first cell of every lesson.
const OPENING: &str = concat!(
    ":dep llm_course = { path = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/../lib\" }\nuse llm_course::prelude::*;"
);

/// Lesson 07's training with checkpoints: where the file `slow` is, it says at step 37 that it runs, and waits to
/// be killed. Its losses go into `losses`, its first step into `first`.
const TRAINING: &str = r#"fn train() -> llm_course::Result<History> {
    seed(if std::path::Path::new("run.safetensors").exists() { 99 } else { 1 });
    let vs = nn::VarStore::new(Device::Cpu);
    let sizes = GptConfig { d_model: 16, n_heads: 2, d_ff: 32, n_layers: 1, block_size: 8, dropout: 0.1, ..GptConfig::small(20) };
    let gpt = Gpt::new(&vs.root(), sizes)?;
    let mut first = true;
    let loss = |step: i64| {
        if std::mem::take(&mut first) { std::fs::write("first", step.to_string()).unwrap(); }
        if step == 37 && std::path::Path::new("slow").exists() {
            std::fs::write("running", "").unwrap();
            std::thread::sleep(std::time::Duration::from_secs(300));
        }
        let ids = (Tensor::arange(36, (Kind::Int64, Device::Cpu)) * (step + 3)).remainder(20).view([4, 9]);
        gpt.loss(&ids.narrow(1, 0, 8), &ids.narrow(1, 1, 8), true)
    };
    let config = TrainConfig { steps: 60, warmup: 10, validate_every: 20, ..Default::default() };
    Trainer::new(&vs, config)?.resumable("run.safetensors", 10)?.fit("GPT", loss, || 0.0)
}
let history = train()?;
std::fs::write("losses", format!("{:?}", history.train))?;"#;

#[test]
fn a_training_that_died_with_its_kernel_repeats_the_one_that_did_not() {
    let cells: &[Cell] = &[(OPENING, &[]), (TRAINING, &[])];
    let (whole, killed) = (Fixture::new(cells), Fixture::new(cells));
    let read = |fixture: &Fixture, name| std::fs::read_to_string(fixture.folder.path().join(name)).unwrap();
    whole.run(&["--timeout", "300"]).is_green();
    let slow = killed.folder.path().join("slow");
    std::fs::write(&slow, "").unwrap();
    let child = killed.start(&["--timeout", "300"]);
    kill(killed.kernel().0, rustix::process::Signal::KILL);
    killed.finish(child).is_red(2, "the kernel died");
    std::fs::remove_file(slow).unwrap();
    killed.run(&["--timeout", "300"]).is_green();
    assert_eq!(read(&killed, "first"), "30", "it goes on after its last checkpoint");
    assert_eq!(read(&killed, "losses"), read(&whole, "losses"));
}

/// An endless training, which says when it has begun.
const ENDLESS: &str = r#"fn kept() -> i64 { 41 }
fn train() -> llm_course::Result<()> {
    let vs = nn::VarStore::new(Device::Cpu);
    let gpt = Gpt::new(&vs.root(), GptConfig::small(50))?;
    let loss = |_: i64| {
        std::fs::write("training", "").unwrap();
        let ids = Tensor::randint(50, [16, 65], (Kind::Int64, Device::Cpu));
        gpt.loss(&ids.narrow(1, 0, 64), &ids.narrow(1, 1, 64), true)
    };
    let config = TrainConfig { steps: 1_000_000, ..Default::default() };
    Trainer::new(&vs, config)?.fit("GPT", loss, || 0.0).map(drop)
}"#;

/// *Interrupt Kernel* ends the process that runs the cells: variables are gone, the crate and functions are not.
#[tokio::test]
async fn an_interrupted_training_ends_at_once_and_the_next_cell_runs() {
    let course = Course::find().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut kernel = Kernel::start(&course.kernelspec(), folder.path(), &[]).await.unwrap();
    let long = Duration::from_secs(240); // the crate may have to be compiled
    let opening = format!("{OPENING}\n{ENDLESS}");
    let (cell, ended) = kernel.execute(&opening, 1, long).await.unwrap();
    assert!(matches!(ended, Ended::Idle) && cell.error().is_none(), "{cell:?}");
    let moments = [8, 4];
    for (number, seconds) in (0..).zip(moments) {
        let limit = Duration::from_secs(seconds);
        let _ = std::fs::remove_file(folder.path().join("training"));
        let begun = Instant::now();
        let (cell, ended) = kernel.execute("train()?;", 2, limit).await.unwrap();
        let took = begun.elapsed().saturating_sub(limit);
        assert!(matches!(ended, Ended::TimeOut) && folder.path().join("training").exists(), "{cell:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
        let begun = Instant::now();
        let next = format!(
            "println!(\"{{}}\", kept() + Tensor::ones([{number}], (Kind::Int64, Device::Cpu)).size()[0]);"
        );
        let (cell, ended) = kernel.execute(&next, 3, long).await.unwrap();
        assert!(matches!(ended, Ended::Idle) && cell.error().is_none(), "{cell:?}");
        assert!(format!("{cell:?}").contains(&format!("{}", 41 + number)), "{cell:?}");
        println!("interrupted after {took:.1?}; the next cell took {:.1?}", begun.elapsed());
    }
}

/// What one kernel leaves in the shared build folder, many times, and what pruning takes away.
///
/// `LLM_COURSE_CASES=100` starts 100 kernels.
#[test]
fn the_build_folder_stays_small_however_many_kernels_start() {
    const STARTS: u64 = 100;
    let course = Course::find().unwrap();
    let count = cases(2);
    let start_two = || {
        let fixtures = [(); 2].map(|()| Fixture::new(&[(OPENING, &[])]));
        let children = fixtures.each_ref().map(|fixture| fixture.start(&["--timeout", "240"]));
        fixtures.iter().zip(children).for_each(|(fixture, child)| fixture.finish(child).is_green());
    };
    start_two(); // compiles what all kernels share
    let build = course.home().join("build");
    let shared = size(&build);
    (0..count).step_by(2).for_each(|_| start_two());
    let before = size(&build);
    let each = before.saturating_sub(shared) / count as u64;
    let removed = prune(&course);
    let (after, left) = (size(&build), of_kernels(&build).len());
    println!("{count} kernels left {} kB each; {removed} folders pruned, {left} left", each / 1000);
    println!("build folder: {} MB, {} MB once pruned", before / 1_000_000, after / 1_000_000);
    assert!(
        before.max(after + STARTS * each) < 2 << 30,
        "{STARTS} starts from {after} bytes, each with {each} more"
    );
}

/// The folders that belong to one kernel each.
fn of_kernels(build: &Path) -> Vec<PathBuf> {
    let below =
        |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let debug = below(build.to_path_buf()).map(|target| target.join("debug"));
    let parts = debug.flat_map(|debug| ["incremental", ".fingerprint"].map(|part| debug.join(part)));
    let of_cells = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("ctx-");
    parts.flat_map(below).filter(of_cells).collect()
}

/// The bytes of a file, or of all that is below a folder.
fn size(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size(&entry.path())).sum(),
        Err(_) => path.symlink_metadata().map_or(0, |data| data.len()),
    }
}

/// Set-up refuses folders with spaces and such; this is why it need not refuse these.
#[tokio::test]
async fn a_kernel_works_below_a_folder_with_letters_of_any_alphabet() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("Übung_(2)-курс-講座+a,b@c~d#e&f");
    let (own, course) = (Course::find().unwrap(), Course { root });
    std::fs::create_dir_all(course.venv().join("lib/python3/site-packages")).unwrap();
    std::fs::create_dir_all(course.home().join("bin")).unwrap();
    std::os::unix::fs::symlink(own.kernel(), course.kernel()).unwrap();
    course::setup::kernelspec::write(&course).unwrap();
    let mut kernel = Kernel::start(&course.kernelspec(), &course.root, &[]).await.unwrap();
    for (number, code) in (1..).zip(["let x = 41;", "println!(\"{}\", x + 1);"]) {
        let (cell, ended) = kernel.execute(code, number, Duration::from_secs(60)).await.unwrap();
        assert!(matches!(ended, Ended::Idle) && cell.error().is_none(), "{cell:?}");
        assert!(number == 1 || format!("{cell:?}").contains("42"), "{cell:?}");
    }
}

#[test]
fn what_ends_a_cell_is_shown_and_nothing_is_not() {
    let cells: &[Cell] = &[
        (OPENING, &[]),
        ("let words = vec![\"two\".to_string()];\nfor word in &words { println!(\"{word}\"); }", &[]),
        ("words", &[]),
        ("if words.is_empty() { println!(\"none\"); }", &[]),
    ];
    let fixture = Fixture::new(cells);
    fixture.run(&["--timeout", "120", "--out", &fixture.out().display().to_string()]).is_green();
    let executed = fixture.executed();
    let shown = |cell: usize| executed["cells"][cell]["outputs"].to_string();
    assert!(shown(1).contains("two") && !shown(1).contains("()"), "{}", shown(1));
    assert!(shown(2).contains("text/plain") && shown(2).contains("two"), "{}", shown(2));
    assert_eq!(shown(3), "[]");
}

#[test]
fn only_the_first_cell_needs_cargo() {
    let count = "fn compiled_without_cargo() -> usize {
    let below = |folder: std::path::PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    below(std::env::temp_dir()).flat_map(|folder| below(folder.join(\"target/cell\"))).count()
}";
    let cells: &[Cell] =
        &[(count, &[]), ("assert!(compiled_without_cargo() > 0);", &[]), ("let n: i64 = \"one\";", &[])];
    Fixture::new(cells).run(&[]).is_red(3, "mismatched types");
}

#[cfg(target_os = "linux")]
#[test]
fn crates_are_linked_once_for_all_cells_and_again_where_the_library_is_gone() {
    let library = "let library = std::fs::read_to_string(\"/proc/self/maps\")?
    .lines().find_map(|line| Some(line[line.find('/')?..].to_string()).filter(|path| path.contains(\"/cell-crates-\")))
    .expect(\"the cells' library\");";
    let cells: &[Cell] = &[
        (OPENING, &[]),
        ("let one = Tensor::from_slice(&[1.0]);", &[]),
        (library, &[]),
        ("std::fs::remove_file(&library)?;", &[]),
        ("assert_eq!(one.double_value(&[0]), 1.0);", &[]),
        ("assert!(std::path::Path::new(&library).exists());", &[]),
    ];
    Fixture::new(cells).run(&["--timeout", "120"]).is_green();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_of_the_cells_is_told() {
    let run = Fixture::new(&[("println!(\"{}\", vec![1u8; 1 << 30].len());", &[])]).run(&[]);
    let row =
        run.text.lines().find(|line| line.starts_with("fixture ")).unwrap_or_else(|| panic!("{}", run.text));
    let memory = row.split_whitespace().rev().nth(1).unwrap();
    let gib: f64 = memory.parse().unwrap_or_else(|_| panic!("{row}"));
    assert!((1.0..2.5).contains(&gib), "{row}");
}

/// evcxr asks rust-analyzer for a variable's type; `crates.py` shows it a tenth of the crates.
#[cfg(target_os = "linux")]
#[test]
fn variables_of_all_types_are_kept_and_the_kernel_stays_small() {
    let kernel_mib = "fn kernel_mib() -> u64 {
    let file = format!(\"/proc/{}/status\", std::os::unix::process::parent_id());
    let status = std::fs::read_to_string(file).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix(\"VmRSS:\")).unwrap();
    resident.trim().trim_end_matches(\" kB\").parse::<u64>().unwrap() / 1024
}";
    let sources = [
        OPENING,
        "let x = Tensor::ones([2, 3], (Kind::Double, Device::Cpu)); let (sum, shape) = (x.sum(None), x.size());",
        "use llm_course::ndarray::{Axis, array}; let a = array![[1.0, 2.0], [3.0, 4.0]];",
        "let product = a.dot(&a); let columns = (&a + &product).mapv(f64::exp).sum_axis(Axis(0)); let mean = a.mean();",
        "use llm_course::{rand::{Rng, SeedableRng}, rand_chacha::ChaCha8Rng};",
        "let mut rng = ChaCha8Rng::seed_from_u64(1); let (share, die) = (rng.random::<f64>(), rng.random_range(1..7));",
        "use std::collections::{BTreeMap, HashMap, HashSet}; let mut counts = HashMap::from([(\"a\".to_string(), 2)]);",
        "let most = counts.iter().max_by_key(|(_, n)| **n).map(|(word, _)| word.clone()); counts.insert(\"b\".into(), 1);",
        "let words = counts.keys().cloned().collect::<HashSet<_>>(); let tree: BTreeMap<_, _> = counts.drain().collect();",
        "let json = llm_course::serde_json::json!({\"a\": [1]}); let number = json[\"a\"][0].as_i64();",
        ":dep itertools = \"*\"\nlet either = if sum.size().is_empty() { itertools::Either::Left(1) } else { itertools::Either::Right(0.5) };",
        "let sorted = itertools::sorted([2, 1]);",
        kernel_mib,
        "assert_eq!((sum.double_value(&[]), shape, mean, most), (6.0, vec![2, 3], Some(2.5), Some(\"a\".to_string())));",
        "assert!(words.len() == 2 && tree[\"b\"] == 1 && number == Some(1) && either.is_left() && sorted.len() == 2);",
        "println!(\"{} MiB\", kernel_mib()); assert!(kernel_mib() < 800);",
    ];
    let fixture = Fixture::new(&sources.map(|source| (source, &[][..])));
    fixture.run(&["--timeout", "120", "--out", fixture.out().to_str().unwrap()]).is_green();
    let last = &fixture.executed()["cells"][sources.len() - 1];
    println!("the kernel holds {}", last["outputs"][0]["text"][0]);
}

/// `cell.sh` leaves the variables that a cell does not name where they are.
#[test]
fn variables_outlive_cells_that_do_not_name_them() {
    let passing = [
        "let (θ, floor, mut list, kept, r#type) = (1.5, 3.25, vec![1], String::from(\"kept\"), 7);",
        "let none = 0;",
        "println!(\"{floor:.1} {θ}\"); list.push(2);",
        "fn taken(text: String) -> usize { text.len() }\nlet length = taken(kept);",
        "list.push(none); assert_eq!((list.len(), θ, length, r#type), (3, 1.5, 4, 7));",
    ];
    let moved = "println!(\"{kept}\");";
    run_cells(&[&passing[..], &[moved]].concat()).is_red(6, "cannot find value `kept`");
    let redefined =
        ["struct Pair { a: i32 }\nlet pair = Pair { a: 1 };", "struct Pair { b: f32 }", "let n = 1;"];
    run_cells(&[&redefined[..], &["println!(\"{}\", pair.b);"]].concat())
        .is_red(4, "cannot find value `pair`");
}

fn run_cells(sources: &[&str]) -> Run {
    Fixture::new(&sources.iter().map(|source| (*source, &[][..])).collect::<Vec<Cell>>()).run(&[])
}

#[test]
fn missing_and_invalid_notebooks_get_one_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.ipynb"), "{}").unwrap();
    for name in ["none.ipynb", "bad.ipynb"] {
        let line = message(&folder.path().join(name));
        assert!(line.contains(name) && line.trim_end().lines().count() == 1, "{line}");
    }
}

fn message(path: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_course")).arg("run").arg(path).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn kill(id: i32, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
}
