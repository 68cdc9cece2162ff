//! What the tests of the checks share.

use llm_course::check::{Exercise, Verdict};

/// Each wrong answer, written as a learner would, and a word that the named cause must hold.
#[track_caller]
pub fn rejects<F: Copy + 'static>(exercise: &Exercise<F>, wrong: &[(&str, F)]) {
    assert!(wrong.len() >= 3, "at least three wrong answers for {}", exercise.number);
    for (word, answer) in wrong {
        match exercise.judge(*answer) {
            Verdict::Failed(cause) => {
                assert!(cause.contains(word), "{}: {word:?} is not in {cause:?}", exercise.number);
            }
            verdict => panic!("{}: {word:?} was judged {verdict:?}", exercise.number),
        }
    }
}

/// All are right answers.
#[track_caller]
pub fn accepts<F: Copy + 'static>(exercise: &Exercise<F>, right: &[F]) {
    for answer in right {
        assert_eq!(exercise.judge(*answer), Verdict::Passed, "exercise {}", exercise.number);
    }
}
