//! Exercises of the recurrent network: step, cross-entropy, temperature, clipping, truncation.

use tch::{Device, Kind, Tensor};

use super::compare::{Cases, gradients, with_gradients};
use super::{Exercise, Mistake, Outcome};
use crate::models::{RnnWeights, rnn_step as reference_step};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// x `[batch, input]`, hidden `[batch, hidden]`, weights → the next hidden state `[batch, hidden]`.
pub type RnnStep = fn(&Tensor, &Tensor, &RnnWeights) -> Tensor;
/// logits `[n, vocab]`, targets `[n]` → mean cross-entropy in nats and perplexity, both scalars.
pub type CrossEntropy = fn(&Tensor, &Tensor) -> (Tensor, Tensor);
/// logits `[vocab]`, temperature → probabilities `[vocab]`.
pub type TemperatureSoftmax = fn(&Tensor, f64) -> Tensor;
/// gradients of all parameters, largest norm → gradients of the same shapes.
pub type ClipByNorm = fn(&[Tensor], f64) -> Vec<Tensor>;
/// inputs `[time, batch, input]`, first hidden state `[batch, hidden]`, weights, steps between two cuts → all
/// hidden states `[time, batch, hidden]`.
pub type TruncatedBptt = fn(&Tensor, &Tensor, &RnnWeights, i64) -> Tensor;
/// A test of a recurrent step: `true` if the step is sound.
pub type StepTest = fn(RnnStep) -> bool;

fn weights(cases: &mut Cases, input: i64, hidden: i64) -> RnnWeights {
    RnnWeights {
        xh: cases.tensor(&[input, hidden], 1.0),
        hh: cases.tensor(&[hidden, hidden], 1.0),
        bias: cases.tensor(&[hidden], 1.0),
    }
}

/// Checks one RNN step; returns it if it is right, else the reference.
pub fn rnn_step(answer: RnnStep) -> RnnStep {
    rnn_step_exercise().check(answer)
}

/// Exercise 1.1.
pub fn rnn_step_exercise() -> Exercise<RnnStep> {
    Exercise {
        number: "1.1",
        reference: reference_step,
        mistakes: vec![
            Mistake::new("the tanh is missing: without it the whole network is one linear map", |x, h, w| {
                x.matmul(&w.xh) + h.matmul(&w.hh) + &w.bias
            }),
            Mistake::new(
                "the old hidden state is not used: add hidden·Whh, or the network has no memory",
                |x, _, w| (x.matmul(&w.xh) + &w.bias).tanh(),
            ),
            Mistake::new("the bias is missing", |x, h, w| (x.matmul(&w.xh) + h.matmul(&w.hh)).tanh()),
            Mistake::new("the bias is added after the tanh: it belongs inside", |x, h, w| {
                (x.matmul(&w.xh) + h.matmul(&w.hh)).tanh() + &w.bias
            }),
            Mistake::new(
                "the hidden state is multiplied by Whh transposed: use hidden.matmul(&w.hh)",
                |x, h, w| (x.matmul(&w.xh) + h.matmul(&w.hh.tr()) + &w.bias).tanh(),
            ),
            Mistake::new(
                "the hidden state is added without its matrix: multiply it by Whh first",
                |x, h, w| (x.matmul(&w.xh) + h + &w.bias).tanh(),
            ),
            Mistake::new(
                "this is a sigmoid: the simple RNN squashes with tanh, which is centred on 0",
                |x, h, w| (x.matmul(&w.xh) + h.matmul(&w.hh) + &w.bias).sigmoid(),
            ),
            Mistake::new(
                "the product is element by element: * multiplies numbers in place, matmul multiplies matrices",
                |x, h, w| (x.matmul(&w.xh) + h * w.hh.diag(0) + &w.bias).tanh(),
            ),
            Mistake::new(
                "the graph is cut: detach or no_grad inside the step stops the gradient",
                |x, h, w| reference_step(x, h, w).detach(),
            ),
        ],
        run: |step, cases| {
            let (batch, input, hidden) = (cases.size(2, 5), cases.size(2, 6), cases.size(7, 9));
            let x = cases.tensor(&[batch, input], 1.0);
            let h = cases.tensor(&[batch, hidden], 1.0);
            let w = weights(cases, input, hidden);
            let output = step(&x, &h, &w);
            let names = [
                "the gradient of x",
                "the gradient of hidden",
                "the gradient of Wxh",
                "the gradient of Whh",
                "the gradient of the bias",
            ];
            with_gradients("the new hidden state", output, &names, &[&x, &h, &w.xh, &w.hh, &w.bias])
        },
    }
}

/// Checks cross-entropy and perplexity; returns the function if it is right, else the reference.
pub fn cross_entropy(answer: CrossEntropy) -> CrossEntropy {
    cross_entropy_exercise().check(answer)
}

fn picked(rows: &Tensor, targets: &Tensor) -> Tensor {
    rows.gather(-1, &targets.unsqueeze(-1), false).squeeze_dim(-1)
}

fn mean_nats(logits: &Tensor, targets: &Tensor) -> Tensor {
    -picked(&logits.log_softmax(-1, Kind::Double), targets).mean(Kind::Double)
}

/// Exercise 1.2.
pub fn cross_entropy_exercise() -> Exercise<CrossEntropy> {
    Exercise {
        number: "1.2",
        reference: |logits, targets| {
            let loss = mean_nats(logits, targets);
            (loss.shallow_clone(), loss.exp())
        },
        mistakes: vec![
            Mistake::new("this is the sum over the characters: the loss is their mean", |logits, targets| {
                let loss = mean_nats(logits, targets) * targets.numel() as f64;
                (loss.shallow_clone(), loss.exp())
            }),
            Mistake::new(
                "the sign: −log p is positive; a loss that falls below 0 is log p",
                |logits, targets| {
                    let loss = -mean_nats(logits, targets);
                    (loss.shallow_clone(), loss.exp())
                },
            ),
            Mistake::new(
                "the logits are not probabilities yet: take log_softmax before you pick the targets",
                |logits, targets| {
                    let loss = -picked(logits, targets).mean(Kind::Double);
                    (loss.shallow_clone(), loss.exp())
                },
            ),
            Mistake::new(
                "the logarithm is missing: this is the mean of −p, not of −log p",
                |logits, targets| {
                    let loss = -picked(&logits.softmax(-1, Kind::Double), targets).mean(Kind::Double);
                    (loss.shallow_clone(), loss.exp())
                },
            ),
            Mistake::new(
                "softmax runs over the batch: it must run over the vocabulary, the last dimension",
                |logits, targets| {
                    let loss = -picked(&logits.log_softmax(0, Kind::Double), targets).mean(Kind::Double);
                    (loss.shallow_clone(), loss.exp())
                },
            ),
            Mistake::new("the loss is in bits: use the natural logarithm here (nats)", |logits, targets| {
                let loss = mean_nats(logits, targets);
                (&loss / std::f64::consts::LN_2, loss.exp())
            }),
            Mistake::new(
                "perplexity is e to the loss, because the loss is in nats; 2 to the loss is for bits",
                |logits, targets| {
                    let loss = mean_nats(logits, targets);
                    (loss.shallow_clone(), (&loss * std::f64::consts::LN_2).exp())
                },
            ),
            Mistake::new(
                "exp overflows for large logits: log_softmax subtracts the maximum first",
                |logits, targets| {
                    let p = logits.exp() / logits.exp().sum_dim_intlist(-1, true, Kind::Double);
                    let loss = -picked(&p.log(), targets).mean(Kind::Double);
                    (loss.shallow_clone(), loss.exp())
                },
            ),
        ],
        run: |cross_entropy, cases| {
            let (n, vocab) = (cases.size(3, 9), cases.size(2, 11));
            let scale = if cases.extreme() { 2000.0 } else { 3.0 };
            let logits = cases.tensor(&[n, vocab], scale);
            let targets = cases.ids(n, vocab);
            let (loss, perplexity) = cross_entropy(&logits, &targets);
            let gradient = gradients(&loss, &[&logits]).remove(0);
            let perplexity = perplexity.detach().to_kind(Kind::Double).clamp_max(1e30); // ∞ in f32
            Outcome::list([
                ("the loss", loss),
                ("the perplexity", perplexity),
                ("the gradient of the logits", gradient),
            ])
        },
    }
}

/// Checks softmax with temperature; returns the function if it is right, else the reference.
pub fn temperature(answer: TemperatureSoftmax) -> TemperatureSoftmax {
    temperature_exercise().check(answer)
}

/// Exercise 1.3.
pub fn temperature_exercise() -> Exercise<TemperatureSoftmax> {
    Exercise {
        number: "1.3",
        reference: |logits, temperature| (logits / temperature).softmax(-1, Kind::Double),
        mistakes: vec![
            Mistake::new(
                "the logits are multiplied by the temperature: divide, so that heat flattens",
                |logits, t| (logits * t).softmax(-1, Kind::Double),
            ),
            Mistake::new("the temperature has no effect", |logits, _| logits.softmax(-1, Kind::Double)),
            Mistake::new(
                "the probabilities are divided after the softmax: they no longer sum to 1; divide the logits",
                |logits, t| logits.softmax(-1, Kind::Double) / t,
            ),
            Mistake::new("these are logits, not probabilities: the softmax is missing", |logits, t| {
                logits / t
            }),
            Mistake::new("these are log-probabilities: use softmax, not log_softmax", |logits, t| {
                (logits / t).log_softmax(-1, Kind::Double)
            }),
            Mistake::new(
                "the softmax runs over probabilities: give it the logits divided by the temperature, once",
                |logits, t| (logits.softmax(-1, Kind::Double) / t).softmax(-1, Kind::Double),
            ),
            Mistake::new(
                "exp overflows for large logits: softmax subtracts the maximum first",
                |logits, t| {
                    let e = (logits / t).exp();
                    &e / e.sum(Kind::Double)
                },
            ),
        ],
        run: |temperature_softmax, cases| {
            let vocab = cases.size(2, 12);
            let scale = if cases.extreme() { 3000.0 } else { 3.0 };
            let logits = cases.tensor(&[vocab], scale);
            let temperature =
                if cases.size(0, 1) == 0 { cases.number(0.2, 0.8) } else { cases.number(1.2, 3.0) };
            let p = temperature_softmax(&logits, temperature);
            let gradient = gradients(&p, &[&logits]).remove(0);
            Outcome::list([("the distribution", p), ("the gradient of the logits", gradient)])
        },
    }
}

/// Checks clipping by the global norm; returns the function if it is right, else the reference.
pub fn clip_by_norm(answer: ClipByNorm) -> ClipByNorm {
    clip_by_norm_exercise().check(answer)
}

fn scaled(gradients: &[Tensor], scale: f64) -> Vec<Tensor> {
    gradients.iter().map(|g| g * scale).collect()
}

fn square_sum(gradients: &[Tensor]) -> f64 {
    gradients.iter().map(|g| g.square().sum(Kind::Double).double_value(&[])).sum()
}

/// Exercise 1.4.
pub fn clip_by_norm_exercise() -> Exercise<ClipByNorm> {
    Exercise {
        number: "1.4",
        reference: |g, max_norm| scaled(g, (max_norm / square_sum(g).sqrt()).min(1.0)),
        mistakes: vec![
            Mistake::new(
                "each tensor is clipped by its own norm, which turns the direction: use one norm over all",
                |g, max_norm| {
                    g.iter().map(|g| g * (max_norm / g.norm().double_value(&[])).min(1.0)).collect()
                },
            ),
            Mistake::new(
                "small gradients are blown up to max_norm: scale only if the norm is larger",
                |g, max_norm| scaled(g, max_norm / square_sum(g).sqrt()),
            ),
            Mistake::new(
                "each number is clamped, which turns the direction: scale all by one factor",
                |g, max_norm| g.iter().map(|g| g.clamp(-max_norm, max_norm)).collect(),
            ),
            Mistake::new(
                "the root is missing: the norm is the square root of the sum of squares",
                |g, max_norm| scaled(g, (max_norm / square_sum(g)).min(1.0)),
            ),
            Mistake::new("the norms are added up: add their squares and take the root", |g, max_norm| {
                let sum: f64 = g.iter().map(|g| g.norm().double_value(&[])).sum();
                scaled(g, (max_norm / sum).min(1.0))
            }),
            Mistake::new(
                "the gradients come back as they were: multiply them by max_norm / norm when the norm is larger",
                |g, _| scaled(g, 1.0),
            ),
        ],
        run: |clip, cases| {
            let scale = cases.number(0.3, 3.0);
            let shapes = [[cases.size(2, 4), cases.size(2, 4)], [1, cases.size(2, 6)], [cases.size(3, 5), 2]];
            let gradients: Vec<Tensor> =
                shapes.iter().map(|shape| cases.tensor(shape, scale).detach()).collect();
            let norm = square_sum(&gradients).sqrt();
            let max_norm = if cases.size(0, 2) == 0 { norm * 1.5 } else { norm * cases.number(0.1, 0.4) };
            clip(&gradients, max_norm).into_iter().map(|g| Outcome::new("a clipped gradient", g)).collect()
        },
    }
}

/// Checks truncated backpropagation through time; returns the function if it is right, else the reference.
pub fn truncated_bptt(answer: TruncatedBptt) -> TruncatedBptt {
    truncated_bptt_exercise().check(answer)
}

/// All hidden states; `carry(t, state)` makes the state that step t starts from.
fn unroll(x: &Tensor, hidden: &Tensor, w: &RnnWeights, carry: impl Fn(i64, Tensor) -> Tensor) -> Tensor {
    let mut state = hidden.shallow_clone();
    let states: Vec<Tensor> = (0..x.size()[0])
        .map(|t| {
            state = reference_step(&x.get(t), &carry(t, state.shallow_clone()), w);
            state.shallow_clone()
        })
        .collect();
    Tensor::stack(&states, 0)
}

/// Exercise 1.5.
pub fn truncated_bptt_exercise() -> Exercise<TruncatedBptt> {
    Exercise {
        number: "1.5",
        reference: |x, h, w, every| {
            unroll(x, h, w, |t, state| if t > 0 && t % every == 0 { state.detach() } else { state })
        },
        mistakes: vec![
            Mistake::new(
                "the graph is never cut: the gradient still flows through all steps; detach the state",
                |x, h, w, _| unroll(x, h, w, |_, state| state),
            ),
            Mistake::new(
                "the state is set to zero at each cut: keep its numbers, cut only its graph with detach()",
                |x, h, w, every| {
                    unroll(
                        x,
                        h,
                        w,
                        |t, state| if t > 0 && t % every == 0 { state.zeros_like() } else { state },
                    )
                },
            ),
            Mistake::new(
                "the graph is cut at every step: cut only when t is a multiple of `every`",
                |x, h, w, _| unroll(x, h, w, |t, state| if t > 0 { state.detach() } else { state }),
            ),
            Mistake::new("the first state is cut off as well: no cut before step 0", |x, h, w, every| {
                unroll(x, h, w, |t, state| if t % every == 0 { state.detach() } else { state })
            }),
            Mistake::new(
                "the cut comes one step late: detach before step t when t % every == 0",
                |x, h, w, every| {
                    unroll(
                        x,
                        h,
                        w,
                        |t, state| if t > 1 && (t - 1) % every == 0 { state.detach() } else { state },
                    )
                },
            ),
            Mistake::new(
                "the cut comes one step early: detach before step t when t % every == 0",
                |x, h, w, every| {
                    unroll(x, h, w, |t, state| if (t + 1) % every == 0 { state.detach() } else { state })
                },
            ),
            Mistake::new(
                "the outputs are cut, not the state that is carried on: nothing is left to learn from",
                |x, h, w, _| unroll(x, h, w, |_, state| state).detach(),
            ),
        ],
        run: |bptt, cases| {
            let (batch, input, hidden) = (cases.size(1, 3), cases.size(2, 4), cases.size(2, 5));
            let every = cases.size(3, 4);
            let time = 2 * every + cases.size(1, 2);
            let x = cases.tensor(&[time, batch, input], 1.0);
            let h = cases.tensor(&[batch, hidden], 1.0);
            let w = weights(cases, input, hidden);
            let states = bptt(&x, &h, &w, every);
            let names = [
                "the gradient of x",
                "the gradient of the first state",
                "the gradient of Wxh",
                "the gradient of Whh",
            ];
            with_gradients("the hidden states", states, &names, &[&x, &h, &w.xh, &w.hh])
        },
    }
}

/// Checks a *test*: it must accept a sound step and reject steps that ignore or corrupt their state.
pub fn step_test(answer: StepTest) -> StepTest {
    step_test_exercise().check(answer)
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> [(&'static str, RnnStep); 5] {
    [
        ("it rejects a sound step: return true when the state and the input both matter", reference_step),
        (
            "it rejects a sound step of another kind (x/(1+|x|) for tanh): ask only whether the state matters",
            |x, h, w| {
                let sum = x.matmul(&w.xh) + h.matmul(&w.hh) + &w.bias;
                &sum / (sum.abs() + 1.0)
            },
        ),
        (
            "it accepts a step that ignores its state: call the step with two different states and compare",
            |x, _, w| (x.matmul(&w.xh) + &w.bias).tanh(),
        ),
        ("it accepts a step that multiplies its state by 0: compare numbers, not shapes", |x, h, w| {
            (x.matmul(&w.xh) + h.matmul(&w.hh) * 0.0 + &w.bias).tanh()
        }),
        ("it accepts a step that ignores its input: a sound step depends on both", |_, h, w| {
            (h.matmul(&w.hh) + &w.bias).tanh()
        }),
    ]
}

/// Exercise 1.6: the verdicts of the learner's test are what is compared.
pub fn step_test_exercise() -> Exercise<StepTest> {
    Exercise {
        number: "1.6",
        reference: |step| {
            let w = RnnWeights::random(3, 4);
            let (x, h) = (Tensor::ones([2, 3], FLOAT), Tensor::ones([2, 4], FLOAT));
            let base = step(&x, &h, &w);
            let changes = |other: Tensor| (&base - other).abs().max().double_value(&[]) > 1e-6;
            changes(step(&x, &(&h + 1.0), &w)) && changes(step(&(&x + 1.0), &h, &w))
        },
        mistakes: vec![],
        run: |test, _| {
            specimens().into_iter().map(|(what, step)| Outcome::new(what, Tensor::from(test(step)))).collect()
        },
    }
}
