//! Every check accepts right answers in several forms and names the cause of classic wrong ones.

use llm_course::check::{self, Verdict};
use llm_course::models::RnnWeights;
use tch::{Kind, Tensor};

use crate::verdicts::{accepts, rejects};

#[test]
pub fn rnn_step() {
    let exercise = check::rnn_step_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x, h, w| (w.bias.shallow_clone() + h.mm(&w.hh) + x.mm(&w.xh)).tanh(),
            |x, h, w| Tensor::cat(&[x, h], 1).matmul(&Tensor::cat(&[&w.xh, &w.hh], 0)).g_add(&w.bias).tanh(),
        ],
    );
    rejects(
        &exercise,
        &[
            ("tanh is missing", |x, h, w| &w.bias + h.mm(&w.hh) + x.mm(&w.xh)),
            ("old hidden state is not used", |x, h, w| (x.mm(&w.xh) + (h * 0.0).mm(&w.hh) + &w.bias).tanh()),
            ("bias is missing", |x, h, w| (h.mm(&w.hh) + x.mm(&w.xh)).tanh()),
            ("after the tanh", |x, h, w| &w.bias + (h.mm(&w.hh) + x.mm(&w.xh)).tanh()),
            ("transposed", |x, h, w| (x.mm(&w.xh) + w.hh.mm(&h.tr()).tr() + &w.bias).tanh()),
            ("without its matrix", |x, h, w| (h + x.mm(&w.xh) + &w.bias).tanh()),
            ("sigmoid", |x, h, w| 1.0 / ((-(x.mm(&w.xh) + h.mm(&w.hh) + &w.bias)).exp() + 1.0)),
            ("graph is cut", |x, h, w| tch::no_grad(|| (x.mm(&w.xh) + h.mm(&w.hh) + &w.bias).tanh())),
            ("shape", |x, h, w| (x.mm(&w.xh) + h.mm(&w.hh) + &w.bias).tanh().sum_dim_intlist(0, false, None)),
            ("panicked", |x, h, w| (x.mm(&w.hh) + h.mm(&w.hh) + &w.bias).tanh()),
        ],
    );
}

#[test]
pub fn cross_entropy() {
    let exercise = check::cross_entropy_exercise();
    fn both(loss: Tensor) -> (Tensor, Tensor) {
        (loss.shallow_clone(), loss.exp())
    }
    accepts(
        &exercise,
        &[exercise.reference, |logits, targets| both(logits.cross_entropy_for_logits(targets))],
    );
    rejects(
        &exercise,
        &[
            ("sum over the characters", |logits, targets| {
                both(logits.cross_entropy_loss::<Tensor>(targets, None, tch::Reduction::Sum, -100, 0.0))
            }),
            ("sign", |logits, targets| both(-logits.cross_entropy_for_logits(targets))),
            ("not probabilities yet", |logits, targets| both(logits.nll_loss(targets))),
            ("logarithm is missing", |logits, targets| {
                both(logits.softmax(-1, Kind::Double).nll_loss(targets))
            }),
            ("over the batch", |logits, targets| both(logits.log_softmax(0, Kind::Double).nll_loss(targets))),
            ("in bits", |logits, targets| {
                let loss = logits.cross_entropy_for_logits(targets);
                (&loss / 2f64.ln(), loss.exp())
            }),
            ("2 to the loss", |logits, targets| {
                let loss = logits.cross_entropy_for_logits(targets);
                (loss.shallow_clone(), Tensor::from(2.0f64).pow(&loss))
            }),
            ("overflow", |logits, targets| {
                let e = logits.exp();
                both((&e / e.sum_dim_intlist(1, true, Kind::Double)).log().nll_loss(targets))
            }),
            ("graph is cut", |logits, targets| both(logits.detach().cross_entropy_for_logits(targets))),
            ("graph is cut", |logits, targets| {
                both(Tensor::from(logits.cross_entropy_for_logits(targets).double_value(&[])))
            }),
        ],
    );
}

#[test]
pub fn temperature() {
    let exercise = check::temperature_exercise();
    accepts(&exercise, &[exercise.reference, |logits, t| ((logits / t).log_softmax(0, Kind::Double)).exp()]);
    rejects(
        &exercise,
        &[
            ("multiplied", |logits, t| (t * logits).softmax(0, Kind::Double)),
            ("no effect", |logits, _| logits.log_softmax(0, Kind::Double).exp()),
            ("divided after", |logits, t| logits.log_softmax(0, Kind::Double).exp() / t),
            ("softmax is missing", |logits, t| logits * (1.0 / t)),
            ("log-probabilities", |logits, t| (logits / t).log_softmax(0, Kind::Double)),
            ("overflow", |logits, t| (logits / t).exp() / (logits / t).exp().sum(Kind::Double)),
            ("softmax runs over probabilities", |logits, t| {
                (logits.softmax(0, Kind::Double) / t).softmax(0, Kind::Double)
            }),
            ("graph is cut", |logits, t| (logits.detach() / t).softmax(0, Kind::Double)),
        ],
    );
}

#[test]
pub fn clip_by_norm() {
    let exercise = check::clip_by_norm_exercise();
    fn norm(gradients: &[Tensor]) -> f64 {
        let all: Vec<Tensor> = gradients.iter().map(|g| g.flatten(0, -1)).collect();
        Tensor::cat(&all, 0).norm().double_value(&[])
    }
    accepts(
        &exercise,
        &[exercise.reference, |gradients, max_norm| {
            let n = norm(gradients);
            gradients.iter().map(|g| if n > max_norm { g * (max_norm / n) } else { g.copy() }).collect()
        }],
    );
    rejects(
        &exercise,
        &[
            ("its own norm", |gradients, max_norm| {
                gradients
                    .iter()
                    .map(|g| {
                        if norm(&[g.copy()]) > max_norm { g * max_norm / norm(&[g.copy()]) } else { g.copy() }
                    })
                    .collect()
            }),
            ("blown up", |gradients, max_norm| {
                gradients.iter().map(|g| g / norm(gradients) * max_norm).collect()
            }),
            ("clamped", |gradients, max_norm| {
                gradients.iter().map(|g| g.clamp_max(max_norm).clamp_min(-max_norm)).collect()
            }),
            ("root", |gradients, max_norm| {
                let n = norm(gradients).powi(2);
                gradients.iter().map(|g| if n > max_norm { g * (max_norm / n) } else { g.copy() }).collect()
            }),
            ("as they were", |gradients, _| gradients.iter().map(Tensor::copy).collect()),
            ("returned 0 tensors", |_, _| vec![]),
            ("norms are added up", |gradients, max_norm| {
                let sum: f64 = gradients.iter().map(|g| norm(&[g.copy()])).sum();
                gradients.iter().map(|g| if sum > max_norm { g * max_norm / sum } else { g.copy() }).collect()
            }),
            ("writes into its arguments", |gradients, max_norm| {
                let scale = (max_norm / norm(gradients)).min(1.0);
                gradients.iter().map(|g| g.shallow_clone().g_mul_scalar_(scale)).collect()
            }),
            ("off by", |gradients, max_norm| {
                let scale = (max_norm / norm(&gradients[..1])).min(1.0);
                gradients.iter().map(|g| g * scale).collect()
            }),
        ],
    );
}

#[test]
pub fn truncated_bptt() {
    use llm_course::models::rnn_step;
    fn unroll(x: &Tensor, h: &Tensor, w: &RnnWeights, cut: impl Fn(i64) -> bool, zero: bool) -> Tensor {
        let mut state = h.shallow_clone();
        let mut states = Vec::new();
        for t in 0..x.size()[0] {
            if cut(t) {
                state = if zero { state.detach() * 0.0 } else { state.detach() };
            }
            state = rnn_step(&x.get(t), &state, w);
            states.push(state.shallow_clone());
        }
        Tensor::stack(&states, 0)
    }
    let exercise = check::truncated_bptt_exercise();
    accepts(&exercise, &[exercise.reference, |x, h, w, k| unroll(x, h, w, |t| t > 0 && t % k == 0, false)]);
    rejects(
        &exercise,
        &[
            ("never cut", |x, h, w, _| unroll(x, h, w, |_| false, false)),
            ("set to zero", |x, h, w, k| unroll(x, h, w, |t| t > 0 && t % k == 0, true)),
            ("every step", |x, h, w, _| unroll(x, h, w, |t| t > 0, false)),
            ("first state", |x, h, w, k| unroll(x, h, w, |t| t % k == 0, false)),
            ("one step late", |x, h, w, k| unroll(x, h, w, |t| t > k - 1 && t % k == 1, false)),
            ("one step early", |x, h, w, k| unroll(x, h, w, |t| t % k == k - 1, false)),
            ("outputs are cut", |x, h, w, k| unroll(x, h, w, |t| t > 0 && t % k == 0, false).detach()),
        ],
    );
}

/// Inputs and a state of ones, random weights.
fn ones() -> (Tensor, Tensor, RnnWeights) {
    let full = |size: i64| Tensor::ones([1, size], (Kind::Float, tch::Device::Cpu));
    (full(2), full(5), RnnWeights::random(2, 5))
}

#[test]
pub fn step_test() {
    let exercise = check::step_test_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |step| {
            let w = RnnWeights::random(2, 5);
            let run = |x: f64, h: f64| {
                let full = |n: i64, v: f64| Tensor::full([1, n], v, (Kind::Float, tch::Device::Cpu));
                step(&full(2, x), &full(5, h), &w)
            };
            !run(1.0, 0.0).allclose(&run(1.0, 2.0), 1e-5, 1e-8, false)
                && !run(0.0, 1.0).allclose(&run(2.0, 1.0), 1e-5, 1e-8, false)
        }],
    );
    rejects(
        &exercise,
        &[
            ("ignores its state", |_| true),
            ("rejects a sound step", |_| false),
            ("ignores its input", |step| {
                let w = RnnWeights::random(2, 5);
                let full = |n: i64, v: f64| Tensor::full([1, n], v, (Kind::Float, tch::Device::Cpu));
                let run = |h: f64| step(&full(2, 1.0), &full(5, h), &w);
                !run(0.0).allclose(&run(1.0), 1e-5, 1e-8, false)
            }),
            ("ignores its state", |step| {
                let w = RnnWeights::random(2, 5);
                let full = |n: i64| Tensor::full([1, n], 1.0, (Kind::Float, tch::Device::Cpu));
                step(&full(2), &full(5), &w).size() == [1, 5]
            }),
            ("ignores its state", |step| {
                let (x, h, w) = ones();
                step(&x, &h, &w) != h
            }),
            ("ignores its state", |step| {
                let (x, h, w) = ones();
                step(&x, &h, &w).abs().max().double_value(&[]) < 1.0
            }),
            ("another kind", |step| {
                let (x, h, w) = ones();
                let wanted = (x.mm(&w.xh) + h.mm(&w.hh) + &w.bias).tanh();
                step(&x, &h, &w).allclose(&wanted, 1e-5, 1e-8, false)
            }),
            ("rejects a sound step", |step| {
                let (x, h, w) = ones();
                step(&x, &h, &w) == step(&x, &(&h * 2.0), &w)
            }),
            ("ignores its input", |step| {
                let (x, h, w) = ones();
                let first = step(&x, &h, &w);
                let second = step(&x, &first, &w);
                !first.allclose(&second, 1e-5, 1e-8, false) && first != step(&x, &(h * 3.0), &w)
            }),
        ],
    );
}

#[test]
fn a_stub_is_not_attempted_and_the_reference_stands_in() {
    let exercise = check::temperature_exercise();
    let stub: check::TemperatureSoftmax = |_, _| todo!("Exercise 1.3");
    assert_eq!(exercise.judge(stub), Verdict::NotAttempted);
    let logits = Tensor::from_slice(&[0.0, 1.0]);
    let p = exercise.check(stub)(&logits, 1.0);
    assert!((p.sum(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-12);
}
