//! Exercises on tensors: norm, one-hot rows, softmax, gradient by differences, and a test of a loss.

use tch::{Device, Kind, Tensor};

use super::compare::gradients;
use super::{Exercise, Mistake, Outcome};

/// x of any shape → its Euclidean norm, a scalar.
pub type Norm = fn(&Tensor) -> Tensor;
/// ids `[n]`, vocab_size → rows `[n, vocab_size]` with a 1 at the id and 0 elsewhere.
pub type OneHot = fn(&Tensor, i64) -> Tensor;
/// logits `[n, vocab]` → probabilities `[n, vocab]`.
pub type Softmax = fn(&Tensor) -> Tensor;
/// A function from a tensor to a scalar.
pub type ScalarFn = fn(&Tensor) -> Tensor;
/// A function, a point `[n]`, a step → the gradient of the function at the point, `[n]`.
pub type DifferenceGradient = fn(ScalarFn, &Tensor, f64) -> Tensor;
/// predictions `[n, 1]`, targets `[n]` → a scalar.
pub type Loss = fn(&Tensor, &Tensor) -> Tensor;
/// A test of a loss: `true` if the loss is sound.
pub type LossTest = fn(Loss) -> bool;

/// Checks the Euclidean norm; returns the function if it is right, else the reference.
pub fn norm(answer: Norm) -> Norm {
    norm_exercise().check(answer)
}

/// Exercise 0.1.
pub fn norm_exercise() -> Exercise<Norm> {
    Exercise {
        number: "0.1",
        reference: |x| x.square().sum(Kind::Double).sqrt(),
        mistakes: vec![
            Mistake::new("the root is missing: this is the squared norm", |x| x.square().sum(Kind::Double)),
            Mistake::new("this is the mean of the squares: the norm takes their sum", |x| {
                x.square().mean(Kind::Double).sqrt()
            }),
            Mistake::new("the root is taken before the sum: it comes last, once", |x| {
                x.square().sqrt().sum(Kind::Double)
            }),
            Mistake::new("this is the largest entry: square, sum, root", |x| x.abs().max()),
            Mistake::new(
                "this is one norm for each row: sum over all entries, with .sum(Kind::Double)",
                |x| x.square().sum_dim_intlist(-1, false, Kind::Double).sqrt(),
            ),
            Mistake::new("the graph is cut: stay with tensors, or no gradient can flow back", |x| {
                x.detach().square().sum(Kind::Double).sqrt()
            }),
        ],
        run: |norm, cases| {
            let (rows, columns) = (cases.size(2, 4), cases.size(2, 5));
            let x = cases.tensor(&[rows, columns], 2.0);
            let output = norm(&x);
            let grads = gradients(&output, &[&x]);
            let mut outcomes = vec![Outcome::new("the norm", output)];
            outcomes.extend(grads.into_iter().map(|value| Outcome::new("the gradient of x", value)));
            outcomes
        },
    }
}

/// Checks one-hot rows; returns the function if it is right, else the reference.
pub fn one_hot(answer: OneHot) -> OneHot {
    one_hot_exercise().check(answer)
}

fn counting(start: i64, end: i64) -> Tensor {
    Tensor::arange_start(start, end, (Kind::Int64, Device::Cpu))
}

/// Exercise 0.2.
pub fn one_hot_exercise() -> Exercise<OneHot> {
    fn float(bools: Tensor) -> Tensor {
        bools.to_kind(Kind::Float)
    }
    Exercise {
        number: "0.2",
        reference: |ids, vocab_size| float(ids.unsqueeze(-1).eq_tensor(&counting(0, vocab_size))),
        mistakes: vec![
            Mistake::new(
                "rows and columns are exchanged: the ids need a last dimension of size 1, .unsqueeze(-1)",
                |ids, vocab_size| float(counting(0, vocab_size).unsqueeze(-1).eq_tensor(ids)),
            ),
            Mistake::new(
                "the shapes do not broadcast: give the ids a last dimension of size 1 with .unsqueeze(-1)",
                |ids, vocab_size| float(ids.eq_tensor(&counting(0, vocab_size))),
            ),
            Mistake::new("the columns count from 1: ids begin with 0", |ids, vocab_size| {
                float(ids.unsqueeze(-1).eq_tensor(&counting(1, vocab_size + 1)))
            }),
            Mistake::new(
                "it is the wrong way round: 1 where the column is the id, not where it differs",
                |ids, vocab_size| float(ids.unsqueeze(-1).ne_tensor(&counting(0, vocab_size))),
            ),
            Mistake::new(
                "there are only as many columns as the largest of these ids needs: make vocab_size columns",
                |ids, _| float(ids.unsqueeze(-1).eq_tensor(&counting(0, ids.max().int64_value(&[]) + 1))),
            ),
        ],
        run: |one_hot, cases| {
            let (count, vocab_size) = (cases.size(2, 4), cases.size(6, 9));
            let rows = one_hot(&cases.ids(count, vocab_size), vocab_size);
            let is_bool = Tensor::from(rows.kind() == Kind::Bool);
            let is_float = Tensor::from(rows.is_floating_point());
            Outcome::list([
                ("the table of ones and zeros", rows),
                ("this is Bool, true and false: numbers are needed, .to_kind(Kind::Float)", is_bool),
                ("these are whole numbers: models compute in floats, .to_kind(Kind::Float)", is_float),
            ])
        },
    }
}

/// Checks softmax by hand; returns the function if it is right, else the reference.
pub fn softmax(answer: Softmax) -> Softmax {
    softmax_exercise().check(answer)
}

/// e to the logits, less their largest in each row.
fn exponentials(logits: &Tensor) -> Tensor {
    (logits - logits.amax(-1, true)).exp()
}

/// Exercise 0.3.
pub fn softmax_exercise() -> Exercise<Softmax> {
    Exercise {
        number: "0.3",
        reference: |logits| {
            let e = exponentials(logits);
            &e / e.sum_dim_intlist(-1, true, Kind::Double)
        },
        mistakes: vec![
            Mistake::new(
                "the columns sum to 1, not the rows: this softmax runs over the batch; use dimension -1",
                |logits| logits.softmax(0, Kind::Double),
            ),
            Mistake::new(
                "all entries together sum to 1: each row must, so sum over the last dimension only",
                |logits| logits.flatten(0, -1).softmax(-1, Kind::Double).reshape(logits.size()),
            ),
            Mistake::new(
                "it does not sum to 1: divide by the sum of the exponentials of the row",
                exponentials,
            ),
            Mistake::new("these are log-probabilities: return probabilities", |logits| {
                logits.log_softmax(-1, Kind::Double)
            }),
            Mistake::new("the sign is wrong: the largest logit gets the smallest probability", |logits| {
                (-logits).softmax(-1, Kind::Double)
            }),
            Mistake::new(
                "the row's largest has lost its dimension: keep it with .amax(-1, true), so that it broadcasts over its own row",
                |logits| {
                    let e = (logits - logits.amax(-1, false)).exp();
                    &e / e.sum_dim_intlist(-1, true, Kind::Double)
                },
            ),
            Mistake::new(
                "the row's sum has lost its dimension: keep it with .sum_dim_intlist(-1, true, kind), so that it divides its own row",
                |logits| {
                    let e = exponentials(logits);
                    &e / e.sum_dim_intlist(-1, false, Kind::Double)
                },
            ),
            Mistake::new("the graph is cut: without it no gradient flows back", |logits| {
                logits.detach().softmax(-1, Kind::Double)
            }),
        ],
        run: |softmax, cases| {
            // Some are square: there a lost dimension broadcasts without a complaint.
            let rows = cases.size(3, 5);
            let columns = if cases.extreme() { rows + 1 } else { rows + cases.size(0, 1) };
            let scale = if cases.extreme() { 2000.0 } else { 3.0 };
            let logits = cases.tensor(&[rows, columns], scale);
            let p = softmax(&logits);
            let grads = gradients(&p, &[&logits]);
            let mut outcomes = vec![Outcome::new("the softmax", p)];
            outcomes.extend(grads.into_iter().map(|value| Outcome::new("the gradient of the logits", value)));
            outcomes
        },
    }
}

/// Checks the gradient by differences; returns the function if it is right, else the reference.
pub fn difference_gradient(answer: DifferenceGradient) -> DifferenceGradient {
    difference_gradient_exercise().check(answer)
}

/// For each entry of `x`, `slope` of the tensors that are `x` with that entry moved by `step` and by −`step`.
fn by_entry(x: &Tensor, step: f64, slope: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let steps = Tensor::eye(x.size()[0], (Kind::Double, Device::Cpu)) * step;
    let slopes: Vec<Tensor> =
        (0..x.size()[0]).map(|i| slope(&(x + steps.get(i)), &(x - steps.get(i)))).collect();
    Tensor::stack(&slopes, 0)
}

/// Exercise 0.4.
pub fn difference_gradient_exercise() -> Exercise<DifferenceGradient> {
    Exercise {
        number: "0.4",
        reference: |f, x, h| by_entry(x, h, |up, down| (f(up) - f(down)) / (2.0 * h)),
        mistakes: vec![
            Mistake::new(
                "the difference is one-sided: f(x + h) − f(x) is off by a term in h; use f(x + h) − f(x − h)",
                |f, x, h| by_entry(x, h, |up, _| (f(up) - f(x)) / h),
            ),
            Mistake::new("twice too large: from x − h to x + h the distance is 2h", |f, x, h| {
                by_entry(x, h, |up, down| (f(up) - f(down)) / h)
            }),
            Mistake::new("the sign is wrong: above minus below", |f, x, h| {
                by_entry(x, h, |up, down| (f(down) - f(up)) / (2.0 * h))
            }),
            Mistake::new("not divided by the distance 2h", |f, x, h| {
                by_entry(x, h, |up, down| f(up) - f(down))
            }),
            Mistake::new("all entries are moved at once: move one at a time", |f, x, h| {
                by_entry(x, h, |_, _| (f(&(x + h)) - f(&(x - h))) / (2.0 * h))
            }),
            Mistake::new(
                "an entry stays moved when the next one is tried: start from x each time",
                |f, x, h| {
                    let moved = x.copy();
                    let slopes: Vec<Tensor> = (0..x.size()[0])
                        .map(|i| {
                            let _ = moved.get(i).g_add_scalar_(h);
                            let up = f(&moved);
                            let _ = moved.get(i).g_sub_scalar_(2.0 * h);
                            (up - f(&moved)) / (2.0 * h)
                        })
                        .collect();
                    Tensor::stack(&slopes, 0)
                },
            ),
        ],
        run: |gradient, cases| {
            let functions: [ScalarFn; 3] = [
                |x| (x * x * x).sum(Kind::Double) + x.prod(Kind::Double),
                |x| x.exp().sum(Kind::Double).square(),
                |x| (x.cumsum(0, Kind::Double).sin() * x).sum(Kind::Double) + x.square().prod(Kind::Double),
            ];
            let f = functions[cases.size(0, 2) as usize];
            let count = cases.size(3, 5);
            let x = cases.tensor(&[count], 1.5).detach();
            let h = cases.number(0.05, 0.1);
            let before = x.copy();
            let slopes = gradient(f, &x, h);
            let kept = Tensor::from(x == before);
            Outcome::list([
                ("it changes the caller's x: work on a copy, x.copy(), or make a new tensor, x + …", kept),
                ("the gradient", slopes),
            ])
        },
    }
}

/// Checks a *test*: it must accept sound losses and reject those that pair predictions and targets wrongly.
pub fn loss_test(answer: LossTest) -> LossTest {
    loss_test_exercise().check(answer)
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> [(&'static str, Loss); 7] {
    [
        ("it rejects a sound loss: perfect predictions must give 0, others more", |p, y| {
            (p.squeeze_dim(-1) - y).square().mean(Kind::Double)
        }),
        (
            "it rejects a sound loss of another kind (absolute differences): ask only for 0 and for more than 0",
            |p, y| (p - y.unsqueeze(-1)).abs().mean(Kind::Double),
        ),
        (
            "it accepts the museum's loss: try perfect predictions [n, 1] for targets [n] that differ, with n > 1",
            |p, y| (p - y).square().mean(Kind::Double),
        ),
        ("it accepts absolute differences of all pairs: perfect predictions must give 0", |p, y| {
            (y - p).abs().mean(Kind::Double)
        }),
        ("it accepts a loss that is always 0: try predictions that are wrong", |p, _| {
            p.sum(Kind::Double) * 0.0
        }),
        (
            "it accepts a loss that compares only the means: try wrong predictions with the right mean, e.g. in reverse",
            |p, y| (p.mean(Kind::Double) - y.mean(Kind::Double)).square(),
        ),
        ("it accepts a loss that forgets the order: try the right numbers in reverse order", |p, y| {
            let sorted = |x: &Tensor| x.flatten(0, -1).sort(0, false).0;
            (sorted(p) - sorted(y)).square().mean(Kind::Double)
        }),
    ]
}

/// Exercise 0.5: the verdicts of the learner's test are what is compared.
pub fn loss_test_exercise() -> Exercise<LossTest> {
    Exercise {
        number: "0.5",
        reference: |loss| {
            let y = Tensor::from_slice(&[1.0, 2.0, 4.0]);
            let perfect = loss(&y.unsqueeze(-1), &y).double_value(&[]);
            let reversed = loss(&y.flip([0]).unsqueeze(-1), &y).double_value(&[]);
            perfect.abs() < 1e-9 && reversed > 1e-3
        },
        mistakes: vec![],
        run: |test, _| {
            specimens().into_iter().map(|(what, loss)| Outcome::new(what, Tensor::from(test(loss)))).collect()
        },
    }
}
