//! What the tests of the checks share.

use std::cell::RefCell;
use std::collections::BTreeMap;

use llm_course::check::{Exercise, Verdict};

/// So many wrong answers an exercise has at least.
pub const FEWEST: usize = 5;

thread_local! {
    static REJECTED: RefCell<BTreeMap<&'static str, usize>> = const { RefCell::new(BTreeMap::new()) };
}

/// How many wrong answers of each exercise `tests` has seen rejected, by the exercise's number.
pub fn tally(tests: impl FnOnce()) -> BTreeMap<&'static str, usize> {
    REJECTED.take();
    tests();
    REJECTED.take()
}

/// Each wrong answer, written as a learner would, and a word that the named cause must hold.
#[track_caller]
pub fn rejects<F: Copy + 'static>(exercise: &Exercise<F>, wrong: &[(&str, F)]) {
    for (word, answer) in wrong {
        match exercise.judge(*answer) {
            Verdict::Failed(cause) => {
                assert!(cause.contains(word), "{}: {word:?} is not in {cause:?}", exercise.number);
            }
            verdict => panic!("{}: {word:?} was judged {verdict:?}", exercise.number),
        }
        REJECTED.with_borrow_mut(|rejected| *rejected.entry(exercise.number).or_default() += 1);
    }
}

/// All are right answers.
#[track_caller]
pub fn accepts<F: Copy + 'static>(exercise: &Exercise<F>, right: &[F]) {
    for answer in right {
        assert_eq!(exercise.judge(*answer), Verdict::Passed, "exercise {}", exercise.number);
    }
}
