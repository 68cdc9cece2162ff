//! Checks of exercises: right, not attempted, or wrong with the likely cause.
//!
//! A check runs the learner's function and a reference on the same random cases in f64, forward and
//! gradient. Where they differ it looks for a known wrong answer that gives the learner's numbers, and
//! names its cause. It returns the learner's function if that passed, else the reference, so that a
//! notebook always runs to its end.

mod attention;
mod bert;
mod compare;
mod gpt;
mod ladder;
mod lstm;
mod practice;
mod rnn;
mod seq2seq;
mod start;
mod tokens;
mod transformer;
mod tuning;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use tch::Tensor;

pub use attention::*;
pub use bert::*;
pub use compare::Cases;
pub use gpt::*;
pub use ladder::*;
pub use lstm::*;
pub use practice::*;
pub use rnn::*;
pub use seq2seq::*;
pub use start::*;
pub use tokens::*;
pub use transformer::*;
pub use tuning::*;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Equal to the reference on every case.
    Passed,
    /// The body is still `todo!`.
    NotAttempted,
    /// Wrong; the text is the likely cause.
    Failed(String),
}

/// A typical wrong answer and what went wrong in it.
pub struct Mistake<F> {
    /// What the learner probably did, and what to do instead.
    pub cause: &'static str,
    /// A function that makes the mistake.
    pub answer: F,
}

impl<F> Mistake<F> {
    fn new(cause: &'static str, answer: F) -> Self {
        Self { cause, answer }
    }
}

/// An exercise: its number, the right answer, and how to try a function on random cases.
pub struct Exercise<F: 'static> {
    /// As in the text, e.g. `1.1`.
    pub number: &'static str,
    /// A right answer.
    pub reference: F,
    /// Typical wrong answers, the most telling first.
    pub mistakes: Vec<Mistake<F>>,
    /// Runs a function on a random case and returns everything that must agree, named.
    pub run: fn(F, &mut Cases) -> Vec<Outcome>,
}

/// One thing that must agree between the learner's function and the reference.
pub struct Outcome {
    /// What it is, e.g. "the gradient of x".
    pub what: &'static str,
    /// Its value.
    pub value: Tensor,
}

impl Outcome {
    /// A named tensor.
    pub fn new(what: &'static str, value: Tensor) -> Self {
        Self { what, value }
    }

    /// Several named tensors.
    pub fn list<const N: usize>(named: [(&'static str, Tensor); N]) -> Vec<Self> {
        named.into_iter().map(|(what, value)| Self::new(what, value)).collect()
    }

    /// How many ids there are, and which, so that a wrong number is named as such.
    fn ids(count: &'static str, which: &'static str, ids: &[i64]) -> Vec<Self> {
        Self::list([(count, Tensor::from(ids.len() as i64)), (which, Tensor::from_slice(ids))])
    }

    /// Whether it was computed backwards.
    fn is_gradient(&self) -> bool {
        self.what.starts_with(compare::GRADIENT)
    }
}

/// How many random cases a function must pass.
const CASES: u64 = 8;

/// The cause where the results are right, and an argument is not what it was.
const WRITES: &str =
    "it writes into its arguments (methods that end in _ do): work on a copy, .copy(), or make new tensors";

impl<F: Copy + 'static> Exercise<F> {
    /// Judges `answer` without printing.
    pub fn judge(&self, answer: F) -> Verdict {
        self.judge_on(CASES, answer)
    }

    /// Judges `answer` on `count` random cases: a test may take more of them than a learner wants to wait for.
    pub fn judge_on(&self, count: u64, answer: F) -> Verdict {
        for case in 0..count {
            let (mut known, mut cases) = (Cases::new(case), Cases::new(case));
            let want = (self.run)(self.reference, &mut known);
            let got = match quietly(|| (self.run)(answer, &mut cases)) {
                Ok(got) => got,
                Err(message) if message.starts_with("not yet implemented") => return Verdict::NotAttempted,
                Err(message) => {
                    return Verdict::Failed(self.cause(answer).unwrap_or_else(|| short(&message)));
                }
            };
            if let Some(difference) = compare::difference(&got, &want) {
                return Verdict::Failed(self.cause(answer).unwrap_or(difference));
            }
            if !cases.same_tensors(&known) {
                return Verdict::Failed(WRITES.into());
            }
        }
        Verdict::Passed
    }

    /// Judges `answer`, prints the verdict, and returns `answer` if it passed, else the reference.
    pub fn check(&self, answer: F) -> F {
        match self.judge(answer) {
            Verdict::Passed => {
                let outcomes = (self.run)(self.reference, &mut Cases::new(0));
                let extent =
                    if outcomes.iter().any(Outcome::is_gradient) { ", forward and gradient" } else { "" };
                println!("✅ exercise {}: right on {CASES} random cases{extent}", self.number);
                return answer;
            }
            Verdict::NotAttempted => {
                println!("⏳ exercise {}: not attempted yet; the reference stands in", self.number);
            }
            Verdict::Failed(cause) => println!("❌ exercise {}: {cause}", self.number),
        }
        self.reference
    }

    /// The cause of the first mistake that gives the same results as `answer` on every case.
    fn cause(&self, answer: F) -> Option<String> {
        let agrees = |mistake: &&Mistake<F>| {
            (0..CASES).all(|case| {
                let made = quietly(|| (self.run)(mistake.answer, &mut Cases::new(case)));
                let got = quietly(|| (self.run)(answer, &mut Cases::new(case)));
                match (made, got) {
                    (Ok(made), Ok(got)) => compare::difference(&got, &made).is_none(),
                    (Err(made), Err(got)) => short(&made) == short(&got), // libtorch's stack differs
                    _ => false,
                }
            })
        };
        self.mistakes.iter().find(agrees).map(|mistake| mistake.cause.to_string())
    }
}

/// Runs `f`, with gradients recorded; a panic becomes its message, and nothing is printed (nor, in strict runs, ended). Whether
/// gradients are recorded afterwards is as before, even if the panic came from within `tch::no_grad`.
pub(crate) fn quietly<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(()); // the hook belongs to the whole process
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let recording = tch::no_grad_guard();
    let result = catch_unwind(AssertUnwindSafe(|| tch::with_grad(f)));
    drop(recording);
    std::panic::set_hook(hook);
    result.map_err(|panic| match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast_ref::<&str>().map_or("panicked".into(), |message| (*message).into()),
    })
}

/// The first lines of a panic message, without libtorch's C++ stack.
fn short(message: &str) -> String {
    let end = message.find("Exception raised from").unwrap_or(message.len());
    let line: Vec<&str> = message[..end].lines().take(3).map(str::trim).collect();
    format!("it panicked: {}", line.join(" ").replace("called `Result::unwrap()` on an `Err` value: ", ""))
}
