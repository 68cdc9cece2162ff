//! Exercises of fine-tuning: mean pooling, cosine similarity, which weights train, LoRA, merging it, a test of Adam.

use tch::{Kind, Tensor};

use super::compare::with_gradients;
use super::{Cases, Exercise, Mistake, Outcome};
use crate::models::mean_pool;
use crate::no_grad;

/// hidden `[batch, time, d_model]`, mask `[batch, time]` (Bool, false on padding) → `[batch, d_model]`.
pub type MeanPooling = fn(&Tensor, &Tensor) -> Tensor;
/// query `[dim]`, vectors `[count, dim]` → `[count]`.
pub type Cosines = fn(&Tensor, &Tensor) -> Tensor;
/// The name of a weight, how many layers the model has, how many of them train, counted from the end → whether this
/// weight trains.
pub type Trains = fn(&str, usize, usize) -> bool;
/// x `[…, input]`, a layer with its update → `[…, output]`.
pub type LoraForward = fn(&Tensor, &LoraWeights) -> Tensor;
/// A layer with its update → the weight `[output, input]` that does the same without one.
pub type LoraMerged = fn(&LoraWeights) -> Tensor;
/// What an optimizer does to one weight: where it begins, its gradient at each step, the learning rate → where it is
/// after each step.
pub type WeightWalk = fn(f64, &[f64], f64) -> Vec<f64>;
/// A test of an optimizer: `true` if it is Adam.
pub type AdamTest = fn(WeightWalk) -> bool;

/// A frozen linear layer and the low-rank update that is trained.
#[derive(Debug)]
pub struct LoraWeights {
    /// W, `[output, input]`, frozen.
    pub weight: Tensor,
    /// `[output]`, frozen.
    pub bias: Tensor,
    /// A, `[rank, input]`.
    pub a: Tensor,
    /// B, `[output, rank]`.
    pub b: Tensor,
    /// α; the update is (α/rank)·B·A.
    pub alpha: f64,
}

/// Checks mean pooling; returns the function if it is right, else the reference.
pub fn mean_pooling(answer: MeanPooling) -> MeanPooling {
    mean_pooling_exercise().check(answer)
}

/// The sum over the places where the mask is true, `[batch, d_model]`.
fn masked_sum(hidden: &Tensor, mask: &Tensor) -> Tensor {
    (hidden * mask.to_kind(Kind::Double).unsqueeze(-1)).sum_dim_intlist(1, false, Kind::Double)
}

/// Exercise 9.1.
pub fn mean_pooling_exercise() -> Exercise<MeanPooling> {
    Exercise {
        number: "9.1",
        reference: mean_pool,
        mistakes: vec![
            Mistake::new(
                "padding is counted: what stands there is no part of the text, so the same text would get another vector \
                 in another batch",
                |hidden, _| hidden.mean_dim(1, false, Kind::Double),
            ),
            Mistake::new(
                "the sum leaves padding out, but it is divided by all places: divide by how many are real",
                |hidden, mask| masked_sum(hidden, mask) / hidden.size()[1] as f64,
            ),
            Mistake::new(
                "this is the state of [CLS] alone: take the mean over all real places",
                |hidden, _| hidden.select(1, 0),
            ),
            Mistake::new("this is the largest value over the places: take their mean", |hidden, mask| {
                hidden
                    .masked_fill(&mask.logical_not().unsqueeze(-1), f64::NEG_INFINITY)
                    .amax([1].as_slice(), false)
            }),
            Mistake::new("the sum is not divided: a long text would get a longer vector", masked_sum),
            Mistake::new(
                "the places are divided by how many are real in the whole batch: each row has a number of its own",
                |hidden, mask| masked_sum(hidden, mask) / mask.to_kind(Kind::Double).sum(Kind::Double),
            ),
            Mistake::new(
                "the vectors are scaled to length 1 already: that is the next step, here the mean alone is wanted",
                |hidden, mask| {
                    let mean = mean_pool(hidden, mask);
                    &mean / mean.norm_scalaropt_dim(2, [-1], true)
                },
            ),
            Mistake::new(
                "this is the mean of the padding: the mask is true where a token stands",
                |hidden, mask| mean_pool(hidden, &mask.logical_not()),
            ),
            Mistake::new(
                "this is the mean of the padding: the mask is true where a token stands",
                |hidden, mask| {
                    let padding = mask.logical_not(); // none in the longest row: 0/0
                    masked_sum(hidden, &padding)
                        / padding.to_kind(Kind::Double).sum_dim_intlist(1, true, Kind::Double)
                },
            ),
        ],
        run: |pool, cases| {
            let (batch, time, d) = (cases.size(2, 4), cases.size(4, 7), cases.size(3, 6));
            let hidden = cases.tensor(&[batch, time, d], 1.0);
            let mut lengths: Vec<i64> = (0..batch).map(|_| cases.size(1, time - 1)).collect();
            if cases.extreme() {
                lengths[0] = 1;
            } else {
                lengths[1] = time; // the longest row has no padding
            }
            let places = Tensor::arange(time, (Kind::Int64, hidden.device())).unsqueeze(0);
            let mask = cases.keep(places.lt_tensor(&Tensor::from_slice(&lengths).unsqueeze(1)));
            with_gradients("the mean", pool(&hidden, &mask), &["the gradient of the states"], &[&hidden])
        },
    }
}

/// Checks cosine similarity; returns the function if it is right, else the reference.
pub fn cosines(answer: Cosines) -> Cosines {
    cosines_exercise().check(answer)
}

/// The length of each vector.
fn lengths(vectors: &Tensor) -> Tensor {
    vectors.norm_scalaropt_dim(2, [-1], false)
}

/// Exercise 9.2.
pub fn cosines_exercise() -> Exercise<Cosines> {
    Exercise {
        number: "9.2",
        reference: |query, vectors| vectors.matmul(query) / (lengths(vectors) * lengths(query)),
        mistakes: vec![
            Mistake::new(
                "these are inner products: divide by the lengths of both vectors, or long ones win",
                |query, vectors| vectors.matmul(query),
            ),
            Mistake::new(
                "the vectors' lengths are not divided by: the query's alone changes no order, and long vectors win",
                |query, vectors| vectors.matmul(query) / lengths(query),
            ),
            Mistake::new("the query's length is not divided by: a cosine is 1 at most", |query, vectors| {
                vectors.matmul(query) / lengths(vectors)
            }),
            Mistake::new("the squared lengths are divided by: take the root", |query, vectors| {
                vectors.matmul(query) / (lengths(vectors).square() * lengths(query).square())
            }),
            Mistake::new(
                "these are distances: small is near there, while a cosine is large for near vectors",
                |query, vectors| lengths(&(vectors - query)),
            ),
            Mistake::new(
                "all vectors are divided by one length together: each row has its own, so take the norm along the last \
                 dimension",
                |query, vectors| vectors.matmul(query) / (vectors.norm() * lengths(query)),
            ),
        ],
        run: |cosines, cases| {
            let (count, dim) = (cases.size(3, 6), cases.size(3, 7));
            let scale = if cases.extreme() { 20.0 } else { 1.0 };
            let (query, vectors) = (cases.tensor(&[dim], 1.0), cases.tensor(&[count, dim], scale));
            with_gradients(
                "the cosines",
                cosines(&query, &vectors),
                &["the gradient of the query", "the gradient of the vectors"],
                &[&query, &vectors],
            )
        },
    }
}

/// Checks the choice of weights; returns the function if it is right, else the reference.
pub fn trains(answer: Trains) -> Trains {
    trains_exercise().check(answer)
}

/// The number in `layers.4.norm1.weight`; `None` for a weight outside the layers.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("layers.")?.split('.').next()?.parse().ok()
}

/// The names of all weights of a BERT with `n_layers` layers, as the crate has them.
fn weight_names(n_layers: usize) -> Vec<String> {
    let both = |part: &str| ["weight", "bias"].map(|kind| format!("{part}.{kind}"));
    let mut names =
        ["ids", "positions", "segments"].map(|table| format!("embeddings.{table}.weight")).to_vec();
    names.extend(both("embeddings.norm"));
    for layer in 0..n_layers {
        for part in
            ["attention.qkv", "attention.out", "norm1", "feed_forward.up", "feed_forward.down", "norm2"]
        {
            names.extend(both(&format!("layers.{layer}.{part}")));
        }
    }
    names.extend(both("pooler"));
    names
}

/// Exercise 9.3.
pub fn trains_exercise() -> Exercise<Trains> {
    Exercise {
        number: "9.3",
        reference: |name, n_layers, last| layer_of(name).is_some_and(|layer| layer + last >= n_layers),
        mistakes: vec![
            Mistake::new(
                "one layer too few trains: layers count from 0, so the last of 6 is layer 5",
                |name, n_layers, last| layer_of(name).is_some_and(|layer| layer + last > n_layers),
            ),
            Mistake::new(
                "one layer too many trains: of 6 layers the last 2 are 4 and 5",
                |name, n_layers, last| layer_of(name).is_some_and(|layer| layer + last + 1 >= n_layers),
            ),
            Mistake::new(
                "the first layers train: they hold what is general; the last are nearest to the task",
                |name, _, last| layer_of(name).is_some_and(|layer| layer < last),
            ),
            Mistake::new(
                "the embeddings train as well: they lie below all layers, and are frozen with those",
                |name, n_layers, last| {
                    name.starts_with("embeddings")
                        || layer_of(name).is_some_and(|layer| layer + last >= n_layers)
                },
            ),
            Mistake::new(
                "the pooler trains as well: with the mean of the states it is never used",
                |name, n_layers, last| {
                    name.starts_with("pooler") || layer_of(name).is_some_and(|layer| layer + last >= n_layers)
                },
            ),
            Mistake::new(
                "of a layer only the matrices train: its biases and norms belong to it",
                |name, n_layers, last| {
                    let matrix = name.ends_with("weight") && !name.contains("norm");
                    matrix && layer_of(name).is_some_and(|layer| layer + last >= n_layers)
                },
            ),
            Mistake::new(
                "of the layer's number only one digit is read: layer 11 is not layer 1; split at the dots",
                |name, n_layers, last| {
                    let digit =
                        name.strip_prefix("layers.").and_then(|rest| rest.chars().next()?.to_digit(10));
                    digit.is_some_and(|layer| layer as usize + last >= n_layers)
                },
            ),
            Mistake::new(
                "this is turned round: `true` for the weights that train",
                |name, n_layers, last| layer_of(name).is_none_or(|layer| layer + last < n_layers),
            ),
        ],
        run: |trains, cases| {
            let n_layers = if cases.extreme() { 12 } else { cases.size(4, 6) as usize };
            let last = cases.size(1, n_layers as i64 - 2) as usize;
            let chosen: Vec<i64> =
                weight_names(n_layers).iter().map(|name| trains(name, n_layers, last).into()).collect();
            Outcome::list([
                ("the number of weights that train", Tensor::from(chosen.iter().sum::<i64>())),
                ("the choice of weights (1 trains)", Tensor::from_slice(&chosen)),
            ])
        },
    }
}

/// Checks a layer with LoRA; returns the function if it is right, else the reference.
pub fn lora(answer: LoraForward) -> LoraForward {
    lora_exercise().check(answer)
}

impl LoraWeights {
    fn random(cases: &mut Cases) -> Self {
        let (input, output) = (cases.size(5, 8), cases.size(5, 8));
        let rank = if cases.extreme() { 1 } else { cases.size(2, 4) };
        Self {
            weight: cases.tensor(&[output, input], 1.0),
            bias: cases.tensor(&[output], 1.0),
            a: cases.tensor(&[rank, input], 1.0),
            b: cases.tensor(&[output, rank], 1.0),
            alpha: cases.number(3.0, 9.0),
        }
    }

    fn rank(&self) -> f64 {
        self.a.size()[0] as f64
    }

    /// B·A, `[output, input]`.
    fn update(&self) -> Tensor {
        self.b.matmul(&self.a)
    }
}

fn frozen(x: &Tensor, w: &LoraWeights) -> Tensor {
    x.linear(&w.weight, Some(&w.bias))
}

fn updated(x: &Tensor, w: &LoraWeights) -> Tensor {
    x.matmul(&w.a.tr()).matmul(&w.b.tr())
}

/// Exercise 9.4.
pub fn lora_exercise() -> Exercise<LoraForward> {
    Exercise {
        number: "9.4",
        reference: |x, w| frozen(x, w) + updated(x, w) * (w.alpha / w.rank()),
        mistakes: vec![
            Mistake::new("the factor α/r in front of the update is missing", |x, w| {
                frozen(x, w) + updated(x, w)
            }),
            Mistake::new(
                "the update is multiplied by α: by α/r, so that the rank can change and α stay",
                |x, w| frozen(x, w) + updated(x, w) * w.alpha,
            ),
            Mistake::new("α is divided by √r: that is rsLoRA; LoRA divides by r", |x, w| {
                frozen(x, w) + updated(x, w) * (w.alpha / w.rank().sqrt())
            }),
            Mistake::new("this is the update alone: it is added to the frozen layer's output", |x, w| {
                updated(x, w) * (w.alpha / w.rank())
            }),
            Mistake::new("the frozen layer's bias is missing", |x, w| {
                x.matmul(&w.weight.tr()) + updated(x, w) * (w.alpha / w.rank())
            }),
            Mistake::new("the bias is added twice: it belongs to the frozen layer only", |x, w| {
                frozen(x, w) + updated(x, w) * (w.alpha / w.rank()) + &w.bias
            }),
            Mistake::new("the update reads the factor on the whole sum: only B·A is scaled", |x, w| {
                (frozen(x, w) + updated(x, w)) * (w.alpha / w.rank())
            }),
            Mistake::new(
                "the gradient stops at the frozen layer (no_grad or detach): its weights do not change, but the layers \
                 below learn through it",
                |x, w| no_grad(|| frozen(x, w)) + updated(x, w) * (w.alpha / w.rank()),
            ),
        ],
        run: |forward, cases| {
            let w = LoraWeights::random(cases);
            let (batch, time) = (cases.size(2, 3), cases.size(2, 4));
            let x = cases.tensor(&[batch, time, w.weight.size()[1]], 1.0);
            with_gradients(
                "the output",
                forward(&x, &w),
                &["the gradient of x", "the gradient of A", "the gradient of B"],
                &[&x, &w.a, &w.b],
            )
        },
    }
}

/// Checks the merging of an update; returns the function if it is right, else the reference.
pub fn lora_merged(answer: LoraMerged) -> LoraMerged {
    lora_merged_exercise().check(answer)
}

/// Exercise 9.5.
pub fn lora_merged_exercise() -> Exercise<LoraMerged> {
    Exercise {
        number: "9.5",
        reference: |w| &w.weight + w.update() * (w.alpha / w.rank()),
        mistakes: vec![
            Mistake::new("the factor α/r is missing: merged and apart must give the same", |w| {
                &w.weight + w.update()
            }),
            Mistake::new("the update is multiplied by α: by α/r, as in exercise 9.4", |w| {
                &w.weight + w.update() * w.alpha
            }),
            Mistake::new("α is divided by √r: by r, as in exercise 9.4", |w| {
                &w.weight + w.update() * (w.alpha / w.rank().sqrt())
            }),
            Mistake::new("this is the update alone: it is added to the frozen weight", |w| {
                w.update() * (w.alpha / w.rank())
            }),
            Mistake::new("the update is taken out: it is added to the weight", |w| {
                &w.weight - w.update() * (w.alpha / w.rank())
            }),
            Mistake::new("the frozen weight is scaled too: only B·A is", |w| {
                (&w.weight + w.update()) * (w.alpha / w.rank())
            }),
            Mistake::new("this is the frozen weight: the update B·A is missing", |w| w.weight.copy()),
        ],
        run: |merged, cases| {
            let w = LoraWeights::random(cases);
            let weight = no_grad(|| merged(&w));
            let x = no_grad(|| cases.tensor(&[4, w.weight.size()[1]], 1.0));
            let fits = weight.size() == w.weight.size();
            let output = if fits {
                no_grad(|| x.linear(&weight, Some(&w.bias)))
            } else {
                Tensor::zeros([1], (Kind::Double, x.device()))
            };
            Outcome::list([("the weight", weight), ("the output of the merged layer", output)])
        },
    }
}

/// Checks a *test* of Adam: it must accept Adam and reject what only resembles it.
pub fn adam_test(answer: AdamTest) -> AdamTest {
    adam_test_exercise().check(answer)
}

const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Adam's moments of each step, mean and mean of squares, with the number of the step: `rule` makes the step of them,
/// in units of the learning rate.
fn walk(first: f64, gradients: &[f64], lr: f64, rule: fn(f64, f64, i32) -> f64) -> Vec<f64> {
    let (mut weight, mut mean, mut square) = (first, 0.0, 0.0);
    (1..)
        .zip(gradients)
        .map(|(step, gradient)| {
            mean = BETAS.0 * mean + (1.0 - BETAS.0) * gradient;
            square = BETAS.1 * square + (1.0 - BETAS.1) * gradient * gradient;
            weight -= lr * rule(mean, square, step);
            weight
        })
        .collect()
}

/// 1 − β^step for both moments.
fn corrections(step: i32) -> (f64, f64) {
    (1.0 - BETAS.0.powi(step), 1.0 - BETAS.1.powi(step))
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> Vec<(&'static str, WeightWalk)> {
    vec![
        ("it rejects Adam", |first, gradients, lr| {
            walk(first, gradients, lr, |mean, square, step| {
                let (of_mean, of_square) = corrections(step);
                mean / of_mean / ((square / of_square).sqrt() + EPSILON)
            })
        }),
        (
            "it rejects Adam with another ε (1e-6, as BERT has it): leave some room",
            |first, gradients, lr| {
                walk(first, gradients, lr, |mean, square, step| {
                    let (of_mean, of_square) = corrections(step);
                    mean / of_mean / ((square / of_square).sqrt() + 1e-6)
                })
            },
        ),
        (
            "it accepts moments that are not corrected: with a gradient that stays the same, every step must be as long \
             as the learning rate",
            |first, gradients, lr| {
                walk(first, gradients, lr, |mean, square, _| mean / (square.sqrt() + EPSILON))
            },
        ),
        (
            "it accepts a mean of squares that is not corrected: the first steps are too long",
            |first, gradients, lr| {
                walk(first, gradients, lr, |mean, square, step| {
                    mean / corrections(step).0 / (square.sqrt() + EPSILON)
                })
            },
        ),
        ("it accepts a mean that is not corrected: the first steps are too short", |first, gradients, lr| {
            walk(first, gradients, lr, |mean, square, step| {
                mean / ((square / corrections(step).1).sqrt() + EPSILON)
            })
        }),
        (
            "it accepts a correction that counts every step as the first: look at later steps too",
            |first, gradients, lr| {
                walk(first, gradients, lr, |mean, square, _| {
                    let (of_mean, of_square) = corrections(1);
                    mean / of_mean / ((square / of_square).sqrt() + EPSILON)
                })
            },
        ),
        (
            "it accepts plain gradient descent, whose step is as long as the gradient: try a gradient that is not 1",
            |first, gradients, lr| {
                let mut weight = first;
                let step = |gradient| {
                    weight -= lr * gradient;
                    weight
                };
                gradients.iter().map(step).collect()
            },
        ),
        ("it accepts steps uphill: a weight goes against its gradient", |first, gradients, lr| {
            walk(first, gradients, lr, |mean, square, step| {
                let (of_mean, of_square) = corrections(step);
                -mean / of_mean / ((square / of_square).sqrt() + EPSILON)
            })
        }),
        ("it accepts something that never moves", |first, gradients, _| vec![first; gradients.len()]),
    ]
}

/// Exercise 9.6: the verdicts of the learner's test are what is compared.
pub fn adam_test_exercise() -> Exercise<AdamTest> {
    Exercise {
        number: "9.6",
        reference: |walk| {
            [0.5, -3.0].iter().all(|gradient: &f64| {
                let lr = 0.01;
                let mut before = 1.0;
                walk(before, &[*gradient; 20], lr).iter().all(|&weight| {
                    let moved = weight - before;
                    before = weight;
                    (moved + lr * gradient.signum()).abs() < 0.01 * lr
                })
            })
        },
        mistakes: vec![],
        run: |test, _| {
            let verdict = |(what, walk): (_, WeightWalk)| Outcome::new(what, Tensor::from(test(walk)));
            specimens().into_iter().map(verdict).collect()
        },
    }
}
