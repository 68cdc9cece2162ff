//! What makes a cell red.
//!
//! evcxr ends a cell that panics, and a cell whose top-level `?` fails, with status "ok". Hidden cells
//! therefore install a panic hook; the standard library is shared between cells, so it stays installed.
//! The strict hook exits with 101, which is a real kernel error. Around a cell that is tagged
//! `raises-exception` a lenient hook only prints, so that variables survive.

use std::time::Duration;

use super::outputs::Collected;

/// How long the kernel must be silent after a cell's end before its outputs count as complete.
///
/// Another thread of the kernel forwards streams, so the last lines can arrive after the message that
/// the cell has ended. Measured on 2 cores: of 100 cells with 50 lines on stderr each, one had a late
/// line (0.01 ms); of 60 cells with 2000 lines each beside four busy processes, 58 had late lines, with
/// silences of at most 18 ms. What is later still is caught by the sentinel at the notebook's end.
pub const GRACE: Duration = Duration::from_millis(30);

/// What a hidden cell prints to stderr at the end: pipes keep order, so nothing can come after it.
pub const SENTINEL: &str = "llm-course: end of notebook";

/// What the lenient hook's line begins with.
const PANICKED: &str = "panicked: ";

/// A hidden cell: from here on a panic ends the kernel's process.
///
/// On Linux it also asks the system to end the process that runs the cells together with the kernel,
/// which an endless loop would otherwise outlive.
pub fn strict_hook() -> String {
    r#"unsafe { std::env::set_var("LLM_COURSE_STRICT", "1") };
std::panic::set_hook(Box::new(|panic| {
    let place = panic.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
    eprintln!("panicked at {place}: {}", panic.payload_as_str().unwrap_or("(no message)"));
    std::process::exit(101);
}));"#
        .to_owned()
}

/// A hidden cell, run once: the process that runs the cells ends when the kernel does.
pub fn die_with_kernel() -> &'static str {
    r#"#[cfg(target_os = "linux")]
{
    unsafe extern "C" { fn prctl(option: i32, ...) -> i32; }
    unsafe { prctl(1, 9u64) }; // PR_SET_PDEATHSIG, SIGKILL
}"#
}

/// A hidden cell: from here on a panic is printed and the variables survive.
pub fn lenient_hook() -> String {
    format!(
        r#"unsafe {{ std::env::remove_var("LLM_COURSE_STRICT") }};
std::panic::set_hook(Box::new(|panic| {{
    eprintln!("{PANICKED}{{}}", panic.payload_as_str().unwrap_or("(no message)"));
}}));"#
    )
}

/// A hidden cell that prints the sentinel.
pub fn sentinel() -> String {
    format!("eprintln!(\"{SENTINEL}\");")
}

/// A variable that a cell tagged `stderr-ok` binds first: evcxr keeps it only if no `?` failed.
const WITNESS: &str = "llm_course_reached_the_end";

/// The source of a `stderr-ok` cell with the witness bound, after the kernel's commands such as `:dep`.
pub fn with_witness(source: &str) -> String {
    let code = source.lines().take_while(|line| line.starts_with(':')).map(|line| line.len() + 1).sum();
    let (commands, code) = source.split_at(source.len().min(code));
    format!("{commands}let {WITNESS} = ();\n{code}")
}

/// A hidden cell that does not compile if the witness is gone; it also removes the witness.
pub fn ask_witness() -> String {
    format!("std::mem::drop({WITNESS});")
}

/// What the author asked for with tags.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectation {
    /// The cell must fail.
    pub raises: bool,
    /// The cell may write to stderr.
    pub stderr: bool,
}

/// Why a cell is red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel sent an error: the code did not compile, panicked, or ended the process.
    Error(String),
    /// Something was written to stderr, or a top-level `?` failed, which looks the same.
    Stderr(String),
    /// A top-level `?` failed in a cell that may write to stderr.
    QuestionMark,
    /// The cell ran longer than allowed, in seconds.
    TimeOut(u64),
    /// The kernel's process ended.
    KernelDied(String),
    /// A cell tagged `raises-exception` did not fail.
    DidNotRaise,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(message) => write!(f, "error: {message}"),
            Self::Stderr(line) => write!(f, "output on stderr (or a failed `?`): {line}"),
            Self::QuestionMark => f.write_str("a top-level `?` failed"),
            Self::TimeOut(seconds) => write!(
                f,
                "timeout: not finished after {seconds} s (an endless loop, or `print!` without a newline at the end?)"
            ),
            Self::KernelDied(status) => write!(f, "the kernel died ({status})"),
            Self::DidNotRaise => f.write_str("tagged raises-exception, but it succeeded"),
        }
    }
}

/// Judges a cell that came to its end.
pub fn judge(expected: Expectation, cell: &Collected) -> Result<(), Cause> {
    let stderr = cell.stderr();
    if expected.raises {
        // A failed `?` is only seen as text on stderr, which is ambiguous if stderr is allowed.
        let panicked = stderr.lines().any(|line| line.starts_with(PANICKED));
        let raised = cell.error().is_some() || panicked || (!expected.stderr && !stderr.is_empty());
        return if raised { Ok(()) } else { Err(Cause::DidNotRaise) };
    }
    if let Some(message) = cell.error() {
        let panic = stderr.lines().rev().find(|line| line.starts_with("panicked at "));
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
        return Err(Cause::Error(match (panic, last) {
            (Some(panic), _) => panic.to_owned(),
            (None, Some(last)) => format!("{message}; on stderr: {last}"),
            (None, None) => message.to_owned(),
        }));
    }
    match stderr.lines().next() {
        Some(line) if !expected.stderr => Err(Cause::Stderr(line.to_owned())),
        _ => Ok(()),
    }
}
