//! The solutions of the exercises, as the lessons hold them, pass their checks on many random cases.
#![cfg(test)]

use std::collections::BTreeMap;

use llm_course::check::{Exercise, Verdict};

#[path = "../cases.rs"]
mod cases;

/// The lessons' cells, with what they have in scope.
#[allow(clippy::all, unused_imports)] // they are written to be read in a notebook
mod cells {
    use llm_course::data::{BOS, EOS, PAD};
    use llm_course::models::{GruWeights, LstmWeights, VectorIndex};
    use llm_course::prelude::*;

    include!(concat!(env!("OUT_DIR"), "/solutions.rs"));

    macro_rules! judged {
        ($exercise:expr, $answer:expr) => {
            super::judged($exercise, $answer)
        };
    }

    /// The verdict on each solution, with its exercise's number.
    pub fn verdicts() -> Vec<(&'static str, super::Verdict)> {
        for_each_solution!(judged)
    }

    macro_rules! misnamed {
        ($exercise:expr, $answer:expr) => {
            super::misnamed($exercise)
        };
    }

    /// For each exercise its number, how many classic mistakes it knows, and those that it does not name.
    pub fn mistakes() -> Vec<(&'static str, usize, Vec<String>)> {
        for_each_solution!(misnamed)
    }
}

/// How many random cases a solution must pass.
fn cases() -> u64 {
    cases::cases(200)
}

fn judged<F: Copy + 'static>(exercise: Exercise<F>, answer: F) -> (&'static str, Verdict) {
    (exercise.number, exercise.judge_on(cases(), answer))
}

fn misnamed<F: Copy + 'static>(exercise: Exercise<F>) -> (&'static str, usize, Vec<String>) {
    let wrong = exercise.mistakes.iter().filter_map(|mistake| {
        let verdict = exercise.judge(mistake.answer);
        (verdict != Verdict::Failed(mistake.cause.into())).then(|| format!("{}: {verdict:?}", mistake.cause))
    });
    (exercise.number, exercise.mistakes.len(), wrong.collect())
}

#[test]
fn every_solution_passes_its_check_on_random_cases() {
    let verdicts: BTreeMap<_, _> = cells::verdicts().into_iter().collect();
    let failed: Vec<_> = verdicts.iter().filter(|(_, verdict)| **verdict != Verdict::Passed).collect();
    println!("{} of 68 solutions right on {} random cases each", verdicts.len() - failed.len(), cases());
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(verdicts.len(), 68);
}

#[test]
fn every_classic_mistake_is_named_as_itself() {
    let mistakes = cells::mistakes();
    let misnamed: Vec<_> = mistakes.iter().filter(|(.., wrong)| !wrong.is_empty()).collect();
    println!("{} classic mistakes, each named", mistakes.iter().map(|(_, count, _)| count).sum::<usize>());
    assert!(misnamed.is_empty(), "{misnamed:#?}");
}
