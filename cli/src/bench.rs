//! `cargo course bench`: times in a release build, beside PyTorch's if a Python with torch is given.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use regex::Regex;
use serde_json::Value;

use crate::notebook;
use crate::paths::Course;
use crate::runner::{Job, Options, command::until_stopped, run_notebook};

/// Times training steps, the other benchmarks in `lib/benches/`, and notebook cells.
#[derive(clap::Args, Clone, Debug)]
pub struct BenchArgs {
    /// Only benchmarks whose name contains this.
    pub filter: Option<String>,
    /// The programs in tests/peers run in alternation with the benchmarks of the same name, and the table has
    /// the ratio. PYTHON can import torch; without it, the one of `cargo course setup --peers`.
    #[arg(long, value_name = "PYTHON", num_args = 0..=1)]
    pub peers: Option<Option<PathBuf>>,
    /// The models of training steps also through torch.compile, which takes a minute for each and round.
    #[arg(long, requires = "peers")]
    pub compile: bool,
    /// How often each benchmark is started, in turn with its peer.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How often it is timed at each start.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,
}

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The benchmark.
    pub name: String,
    /// Median of a round in milliseconds, for each round.
    pub times: Vec<f64>,
    /// The same of its peer; empty if it has none.
    pub peer: Vec<f64>,
    /// The same of its peer through torch.compile.
    pub compiled: Vec<f64>,
}

/// Runs the benchmarks and prints a table.
///
/// # Errors
/// If something does not compile or run, or no name contains the filter.
pub fn bench(course: &Course, args: &BenchArgs) -> Result<()> {
    let python = args.peers.as_ref().map(|given| given.clone().or_else(|| course.peers_python()));
    let python =
        python.map(|python| python.context("no PyTorch: run `cargo course setup --peers`")).transpose()?;
    if let Some(python) = &python {
        let mut import = Command::new(python);
        output(import.args(["-c", "import torch"])).with_context(|| {
            format!("{} cannot import torch: give a Python that can, e.g. of a venv", python.display())
        })?;
    }
    let mut rows = Vec::new();
    for program in compile(course)? {
        for name in names(&program)?.iter().filter(|name| wanted(args, name)) {
            eprintln!("{name} …");
            rows.push(compare(course, args, python.as_deref(), &program, name)?);
        }
    }
    let cells = ["trivial_cell", "typical_cell"];
    if cells.iter().any(|name| wanted(args, name)) {
        eprintln!("notebook cells …");
        rows.extend(time_cells(course, args)?.into_iter().filter(|row| wanted(args, &row.name)));
    }
    if rows.is_empty() {
        bail!("no benchmark's name contains {:?}", args.filter.as_deref().unwrap_or_default());
    }
    print!("{}", table(&rows));
    Ok(())
}

fn wanted(args: &BenchArgs, name: &str) -> bool {
    args.filter.as_ref().is_none_or(|filter| name.contains(filter))
}

/// Compiles `lib/benches/` and returns the programs.
fn compile(course: &Course) -> Result<Vec<PathBuf>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["bench", "--package", "llm_course", "--benches", "--no-run", "--message-format", "json"]);
    cargo.current_dir(&course.root).stderr(std::process::Stdio::inherit());
    let messages = output(&mut cargo).context("the benchmarks do not compile")?;
    let of_bench = |message: &Value| {
        let is_bench = message["target"]["kind"][0] == "bench";
        message["executable"].as_str().filter(|_| is_bench).map(PathBuf::from)
    };
    Ok(messages.lines().filter_map(|line| of_bench(&serde_json::from_str(line).ok()?)).collect())
}

/// What a divan program can time.
fn names(program: &Path) -> Result<Vec<String>> {
    let tree = output(Command::new(program).args(["--bench", "--list"]))?;
    Ok(LEAF.captures_iter(&tree).map(|found| found["name"].to_string()).collect())
}

/// A benchmark and its peer in alternation, so that both see the same machine.
fn compare(
    course: &Course,
    args: &BenchArgs,
    python: Option<&Path>,
    program: &Path,
    name: &str,
) -> Result<Row> {
    let samples = args.samples.to_string();
    let script = course.root.join(format!("tests/peers/{name}.py"));
    let mut row = Row { name: name.into(), ..Row::default() };
    for _ in 0..args.rounds {
        let mut ours = Command::new(program);
        ours.args(["--bench", "--color", "never", "--sample-count", &samples]);
        let tree = output(ours.arg(format!("(^|::){name}$")))?;
        row.times.push(median_in(&tree, name).with_context(|| format!("no median in\n{tree}"))?);
        if let Some(python) = python.filter(|_| script.is_file()) {
            let mut peer = Command::new(python);
            peer.arg(&script).args(["--samples", &samples]);
            row.peer.push(said_median(&mut peer)?);
            if args.compile && name.ends_with("_step") {
                row.compiled.push(said_median(peer.arg("--compile"))?);
            }
        }
    }
    Ok(row)
}

/// The median that a peer prints, in milliseconds.
fn said_median(peer: &mut Command) -> Result<f64> {
    let said = output(peer)?;
    let line = said.lines().last().unwrap_or_default();
    let said: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {said}"))?;
    said["median_ms"].as_f64().context("the peer names no median_ms")
}

/// A line of divan's tree, with the median in its third column when something was timed.
static LEAF: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^[│ ]*[├╰]─ (?<name>\w+)(?: +[^│\n]+│[^│\n]+│ (?<number>[\d.]+) (?<unit>\w+) .*)?\s*$")
        .expect("a fixed pattern")
});

/// The median of benchmark `name` in divan's output, in milliseconds.
pub fn median_in(tree: &str, name: &str) -> Option<f64> {
    let found = LEAF.captures_iter(tree).find(|found| &found["name"] == name)?;
    let factor = match found.name("unit")?.as_str() {
        "ns" => 1e-6,
        "µs" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(factor * found.name("number")?.as_str().parse::<f64>().ok()?)
}

/// A cell that does nothing much, and one with a type, a function and tensors, both many times over.
fn time_cells(course: &Course, args: &BenchArgs) -> Result<Vec<Row>> {
    let cell = |id: String, source: &str| {
        serde_json::json!({"cell_type": "code", "id": id, "metadata": {}, "execution_count": null,
            "outputs": [], "source": [source]})
    };
    let mut cells = vec![cell("opening".into(), OPENING), cell("first".into(), TRIVIAL)];
    for round in 0..args.rounds {
        cells.push(cell(format!("trivial_cell-{round}"), TRIVIAL));
        cells.push(cell(format!("typical_cell-{round}"), TYPICAL));
    }
    let json = serde_json::json!({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata":
        {"kernelspec": {"name": "rust", "display_name": "Rust", "language": "rust"}}});
    let path = course.home().join("bench.ipynb"); // ../lib is seen from here
    let job = Job::new(course, &path, notebook::parse(&json.to_string())?);
    let options = Options { quick: true, limit: Duration::from_secs(1500), ..Options::default() };
    let report = until_stopped(run_notebook(course, job, &options, &mut |_| {}))??;
    if let Some(failure) = report.failure {
        bail!("{failure}");
    }
    let row = |name: &str| {
        let runs = report.cells.iter().filter(|cell| cell.id.starts_with(name));
        let times = runs.map(|cell| 1e3 * cell.time.as_secs_f64()).collect();
        Row { name: name.into(), times, ..Row::default() }
    };
    Ok(vec![row("trivial_cell"), row("typical_cell")])
}

const OPENING: &str = "\
:dep llm_course = { path = \"../lib\" }
use llm_course::prelude::*;";
const TRIVIAL: &str = "1 + 1";
const TYPICAL: &str = "\
#[derive(Debug)]
struct Layer { weight: Tensor, bias: Tensor }
impl Layer {
    fn forward(&self, x: &Tensor) -> Tensor { (x.matmul(&self.weight) + &self.bias).relu() }
}
fn mean_output(rows: i64) -> f64 {
    let options = (Kind::Float, Device::Cpu);
    let layer = Layer { weight: Tensor::ones([8, 4], options), bias: Tensor::zeros([4], options) };
    layer.forward(&Tensor::ones([rows, 8], options)).mean(Kind::Float).double_value(&[])
}
(1..=3).map(mean_output).collect::<Vec<_>>()";

/// Medians over the rounds; a ratio is the median of the rounds' ratios, ours to theirs.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("benchmark".len());
    let mut text = format!("{:width$}  {:>12}  {:>12}  {:>6}", "benchmark", "median", "PyTorch", "ratio");
    if rows.iter().any(|row| !row.compiled.is_empty()) {
        text += &format!("  {:>13}  {:>6}", "torch.compile", "ratio");
    }
    text.push('\n');
    for Row { name, times, peer, compiled } in rows {
        write!(text, "{name:width$}  {:>12}", milliseconds(times)).expect("a String takes all");
        for (theirs, width) in [(peer, 12), (compiled, 13)] {
            if theirs.is_empty() {
                continue;
            }
            let ratios: Vec<f64> = times.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
            write!(text, "  {:>width$}  {:6.2}", milliseconds(theirs), median(&ratios))
                .expect("a String takes all");
        }
        text.push('\n');
    }
    text
}

fn milliseconds(times: &[f64]) -> String {
    format!("{:.3} ms", median(times))
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (middle(sorted.len() / 2) + middle(sorted.len().saturating_sub(1) / 2)) / 2.0
}

/// What a program prints.
fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("{program} cannot be started"))?;
    if !output.status.success() {
        bail!("{program}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
