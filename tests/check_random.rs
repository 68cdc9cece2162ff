//! In a process of its own: libtorch has one source of random numbers, and other tests draw from it.

use llm_course::check::{self, Verdict};
use tch::{Kind, Tensor};

#[test]
fn a_check_leaves_libtorchs_random_numbers_alone() {
    let draw = |between: bool| {
        tch::manual_seed(7);
        if between {
            let exercise = check::rnn_step_exercise();
            assert_eq!(exercise.judge(exercise.reference), Verdict::Passed);
        }
        Tensor::rand([4], (Kind::Double, tch::Device::Cpu))
    };
    assert_eq!(draw(true), draw(false));
}
