//! The checks of lesson 00 accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check::{self, Loss, Verdict};
use tch::{Device, Kind, Tensor};

use crate::verdicts::{accepts, rejects};

#[test]
pub fn norm() {
    let exercise = check::norm_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x| x.norm(),
            |x| (x * x).sum(Kind::Double).pow_tensor_scalar(0.5),
            |x| x.flatten(0, -1).dot(&x.flatten(0, -1)).sqrt(),
        ],
    );
    rejects(
        &exercise,
        &[
            ("root is missing", |x| (x * x).sum(Kind::Double)),
            ("mean of the squares", |x| (x * x).mean(Kind::Double).sqrt()),
            ("before the sum", |x| x.abs().sum(Kind::Double)),
            ("largest entry", |x| x.flatten(0, -1).abs().amax(0, false)),
            ("each row", |x| (x * x).sum_dim_intlist(1, false, Kind::Double).sqrt()),
            ("graph is cut", |x| Tensor::from(x.norm().double_value(&[]))),
            ("not finite", |x| x.square().sum(Kind::Double).neg().sqrt()),
        ],
    );
}

#[test]
pub fn one_hot() {
    let exercise = check::one_hot_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |ids, n| ids.one_hot(n).to_kind(Kind::Double),
            |ids, n| Tensor::eye(n, (Kind::Float, Device::Cpu)).index_select(0, ids),
            |ids, n| {
                let zeros = Tensor::zeros([ids.size()[0], n], (Kind::Float, Device::Cpu));
                zeros.scatter_value(1, &ids.unsqueeze(1), 1.0)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("Bool", |ids, n| Tensor::arange(n, (Kind::Int64, Device::Cpu)).eq_tensor(&ids.unsqueeze(1))),
            ("whole number", |ids, n| ids.one_hot(n)),
            ("exchanged", |ids, n| ids.one_hot(n).tr().to_kind(Kind::Float)),
            ("do not broadcast", |ids, n| {
                ids.eq_tensor(&Tensor::arange(n, (Kind::Int64, Device::Cpu))).to_kind(Kind::Double)
            }),
            ("from 1", |ids, n| {
                (ids - 1).remainder(n + 1).one_hot(n + 1).narrow(1, 0, n).to_kind(Kind::Float)
            }),
            ("wrong way round", |ids, n| 1.0 - ids.one_hot(n).to_kind(Kind::Float)),
            ("largest of these ids", |ids, _| ids.one_hot(-1).to_kind(Kind::Float)),
            ("panicked", |ids, n| Tensor::eye(n, (Kind::Float, Device::Cpu)).index_select(2, ids)),
        ],
    );
}

#[test]
pub fn softmax() {
    let exercise = check::softmax_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x| x.softmax(-1, Kind::Double),
            |x| (x - x.logsumexp(1, true)).exp(),
            |x| {
                let e = (x - x.max_dim(1, true).0.detach()).exp();
                &e / e.sum_dim_intlist(1, true, Kind::Double)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("over the batch", |x| {
                let e = (x - x.amax(0, true)).exp();
                &e / e.sum_dim_intlist(0, true, Kind::Double)
            }),
            ("all entries together", |x| {
                let e = (x - x.max()).exp();
                &e / e.sum(Kind::Double)
            }),
            ("does not sum to 1", |x| (x - x.max_dim(1, true).0).exp()),
            ("log-probabilities", |x| x - x.logsumexp(1, true)),
            ("sign", |x| {
                let e = (x.amin(-1, true) - x).exp();
                &e / e.sum_dim_intlist(-1, true, Kind::Double)
            }),
            ("largest has lost", |x| {
                let e = (x - x.max_dim(1, false).0).exp();
                e.divide(&e.sum_dim_intlist(1, true, Kind::Double))
            }),
            ("sum has lost", |x| {
                let e = (x - x.max_dim(1, true).0).exp();
                e.divide(&e.sum_dim_intlist(1, false, Kind::Double))
            }),
            ("overflow", |x| {
                let e = x.exp();
                &e / e.sum_dim_intlist(1, true, Kind::Double)
            }),
            ("graph is cut", |x| tch::no_grad(|| x.softmax(1, Kind::Double))),
        ],
    );
}

#[test]
pub fn difference_gradient() {
    let exercise = check::difference_gradient_exercise();
    fn numbers(f: check::ScalarFn, x: &Tensor, slope: impl Fn(f64, f64) -> f64, h: f64) -> Tensor {
        let at = |i: i64, h: f64| {
            let moved = x.copy();
            let _ = moved.get(i).fill_(x.double_value(&[i]) + h);
            f(&moved).double_value(&[])
        };
        let slopes: Vec<f64> = (0..x.size()[0]).map(|i| slope(at(i, h), at(i, -h))).collect();
        Tensor::from_slice(&slopes)
    }
    accepts(&exercise, &[exercise.reference, |f, x, h| numbers(f, x, |up, down| (up - down) / (2.0 * h), h)]);
    rejects(
        &exercise,
        &[
            ("one-sided", |f, x, h| {
                let here = f(x).double_value(&[]);
                numbers(f, x, |up, _| (up - here) / h, h)
            }),
            ("twice too large", |f, x, h| numbers(f, x, |up, down| (up - down) / h, h)),
            ("sign", |f, x, h| numbers(f, x, |up, down| (down - up) / (2.0 * h), h)),
            ("not divided", |f, x, h| numbers(f, x, |up, down| up - down, h)),
            ("all entries", |f, x, h| {
                let slope = (f(&(x + h)).double_value(&[]) - f(&(x - h)).double_value(&[])) / (2.0 * h);
                Tensor::from_slice(&vec![slope; x.size()[0] as usize])
            }),
            ("stays moved", |f, x, h| {
                let mut moved: Vec<f64> = Vec::try_from(x).unwrap();
                let slopes: Vec<f64> = (0..moved.len())
                    .map(|i| {
                        moved[i] += h;
                        let up = f(&Tensor::from_slice(&moved)).double_value(&[]);
                        moved[i] -= 2.0 * h;
                        (up - f(&Tensor::from_slice(&moved)).double_value(&[])) / (2.0 * h)
                    })
                    .collect();
                Tensor::from_slice(&slopes)
            }),
            ("caller's x", |f, x, h| {
                let here = x.shallow_clone();
                let slopes: Vec<Tensor> = (0..x.size()[0])
                    .map(|i| {
                        let _ = here.get(i).g_add_scalar_(h);
                        let up = f(&here);
                        let _ = here.get(i).g_sub_scalar_(2.0 * h);
                        (up - f(&here)) / (2.0 * h)
                    })
                    .collect();
                Tensor::stack(&slopes, 0)
            }),
            ("shape", |f, x, h| numbers(f, x, |up, down| (up - down) / (2.0 * h), h).unsqueeze(0)),
        ],
    );
}

#[test]
pub fn loss_test() {
    fn of(loss: Loss, p: &[f64], y: &[f64]) -> f64 {
        loss(&Tensor::from_slice(p).unsqueeze(1), &Tensor::from_slice(y)).double_value(&[])
    }
    let exercise = check::loss_test_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |loss| {
            of(loss, &[0.0, 3.0, -1.0, 7.0], &[0.0, 3.0, -1.0, 7.0]) == 0.0
                && of(loss, &[3.0, 0.0, -1.0, 7.0], &[0.0, 3.0, -1.0, 7.0]) > 0.0
        }],
    );
    rejects(
        &exercise,
        &[
            ("rejects a sound loss: perfect", |_| false),
            ("absolute differences", |loss| {
                of(loss, &[1.0, 2.0], &[1.0, 2.0]) == 0.0 && of(loss, &[3.0, 2.0], &[1.0, 2.0]) == 2.0
            }),
            ("the museum's loss", |_| true),
            ("the museum's loss", |loss| of(loss, &[5.0], &[5.0]) == 0.0 && of(loss, &[5.0], &[6.0]) > 0.0),
            ("the museum's loss", |loss| {
                let y = Tensor::from_slice(&[1.0, 2.0]);
                loss(&y.unsqueeze(1), &y).dim() == 0
            }),
            ("always 0", |loss| of(loss, &[1.0, 2.0], &[1.0, 2.0]) == 0.0),
            ("only the means", |loss| {
                of(loss, &[1.0, 2.0], &[1.0, 2.0]) == 0.0 && of(loss, &[2.0, 3.0], &[1.0, 2.0]) > 0.0
            }),
            ("forgets the order", |loss| {
                of(loss, &[1.0, 2.0], &[1.0, 2.0]) == 0.0 && of(loss, &[3.0, 0.0], &[1.0, 2.0]) > 0.0 && {
                    let (p, y) = ([1.5, 1.5], [1.0, 2.0]);
                    of(loss, &p, &y) > 0.0
                }
            }),
        ],
    );
}

#[test]
fn a_stub_is_not_attempted() {
    assert_eq!(check::norm_exercise().judge(|_| todo!("Exercise 0.1")), Verdict::NotAttempted);
    assert_eq!(check::loss_test_exercise().judge(|_| todo!("Exercise 0.5")), Verdict::NotAttempted);
}
