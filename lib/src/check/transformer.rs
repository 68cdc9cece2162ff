//! Exercises of the transformer: positions, heads, layer norm, block, causal mask, a test of causality.

use tch::{Device, Kind, Tensor};

use super::compare::{gradients, with_gradients};
use super::{Exercise, Mistake, Outcome};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// time, d_model → a row for each position, `[time, d_model]`.
pub type SinusoidalPositions = fn(i64, i64) -> Tensor;
/// `[batch, time, d_model]`, n_heads → `[batch, head, time, d_head]`.
pub type SplitHeads = fn(&Tensor, i64) -> Tensor;
/// `[batch, head, time, d_head]` → `[batch, time, d_model]`.
pub type MergeHeads = fn(&Tensor) -> Tensor;
/// The way to the heads and back.
pub type Heads = (SplitHeads, MergeHeads);
/// x `[…, d_model]`, γ and β `[d_model]`, ε → `[…, d_model]`.
pub type LayerNorm = fn(&Tensor, &Tensor, &Tensor, f64) -> Tensor;
/// x `[batch, time, d_model]` and what a block is made of → `[batch, time, d_model]`.
pub type Block = fn(&Tensor, &BlockParts) -> Tensor;
/// time → `[time, time]`, Bool, row = query, column = key, true = may attend.
pub type CausalMask = fn(i64) -> Tensor;
/// Any layer that lets positions attend to positions: `[batch, time, d_model]` → the same shape.
pub type SequenceLayer = fn(&Tensor) -> Tensor;
/// A test of such a layer: `true` if the layer is causal.
pub type CausalTest = fn(SequenceLayer) -> bool;

/// A function of `[batch, time, d_model]` to the same shape, with weights of its own.
pub type Part = Box<dyn Fn(&Tensor) -> Tensor + Send>;

/// What a transformer block is made of; in which order, a [`Block`] decides.
pub struct BlockParts {
    norm1: Part,
    attention: Part,
    norm2: Part,
    feed_forward: Part,
}

impl BlockParts {
    /// The four parts.
    pub fn new(norm1: Part, attention: Part, norm2: Part, feed_forward: Part) -> Self {
        Self { norm1, attention, norm2, feed_forward }
    }

    /// The layer norm that belongs to attention.
    pub fn norm1(&self, x: &Tensor) -> Tensor {
        (self.norm1)(x)
    }

    /// Attention from all positions to all positions.
    pub fn attention(&self, x: &Tensor) -> Tensor {
        (self.attention)(x)
    }

    /// The layer norm that belongs to the feed-forward layer.
    pub fn norm2(&self, x: &Tensor) -> Tensor {
        (self.norm2)(x)
    }

    /// The feed-forward layer, each position by itself.
    pub fn feed_forward(&self, x: &Tensor) -> Tensor {
        (self.feed_forward)(x)
    }
}

/// Checks sinusoidal positions; returns the function if it is right, else the reference.
pub fn sinusoidal_positions(answer: SinusoidalPositions) -> SinusoidalPositions {
    sinusoidal_positions_exercise().check(answer)
}

/// first + t, times base^(−step·i/d_model) for the pairs i: `[time, d_model/2]`.
fn angles(time: i64, d_model: i64, first: f64, base: f64, step: f64) -> Tensor {
    let exponents = Tensor::arange(d_model / 2, DOUBLE) * (-step / d_model as f64 * base.ln());
    (Tensor::arange(time, DOUBLE) + first).outer(&exponents.exp())
}

fn in_pairs(even: Tensor, odd: Tensor) -> Tensor {
    Tensor::stack(&[even, odd], -1).flatten(1, 2)
}

/// Exercise 5.1.
pub fn sinusoidal_positions_exercise() -> Exercise<SinusoidalPositions> {
    Exercise {
        number: "5.1",
        reference: |time, d_model| {
            let angles = angles(time, d_model, 0.0, 1e4, 2.0);
            in_pairs(angles.sin(), angles.cos())
        },
        mistakes: vec![
            Mistake::new(
                "all sines stand before all cosines: they take turns, sine in column 2i, cosine in 2i + 1",
                |time, d_model| {
                    let angles = angles(time, d_model, 0.0, 1e4, 2.0);
                    Tensor::cat(&[angles.sin(), angles.cos()], -1)
                },
            ),
            Mistake::new("sine and cosine are exchanged: the sine has the even columns", |time, d_model| {
                let angles = angles(time, d_model, 0.0, 1e4, 2.0);
                in_pairs(angles.cos(), angles.sin())
            }),
            Mistake::new(
                "the exponent is i/d_model: it is 2i/d_model, so that it reaches 1 at the end",
                |time, d_model| {
                    let angles = angles(time, d_model, 0.0, 1e4, 1.0);
                    in_pairs(angles.sin(), angles.cos())
                },
            ),
            Mistake::new(
                "sine and cosine of a pair have different frequencies: both use 2i, or a shift is no rotation",
                |time, d_model| {
                    let columns = Tensor::arange(d_model, DOUBLE) * (-1e4f64.ln() / d_model as f64);
                    let angles = Tensor::arange(time, DOUBLE).outer(&columns.exp()); // [time, d_model]
                    in_pairs(angles.slice(1, 0, None, 2).sin(), angles.slice(1, 1, None, 2).cos())
                },
            ),
            Mistake::new(
                "2i / d_model is a division of whole numbers, 0 for every i: all columns get the same frequency; make \
                 both f64 first",
                |time, d_model| {
                    let angles = angles(time, d_model, 0.0, 1.0, 2.0);
                    in_pairs(angles.sin(), angles.cos())
                },
            ),
            Mistake::new("positions count from 0: yours begin with 1", |time, d_model| {
                let angles = angles(time, d_model, 1.0, 1e4, 2.0);
                in_pairs(angles.sin(), angles.cos())
            }),
            Mistake::new("every column is a sine: the odd columns hold the cosine", |time, d_model| {
                let angles = angles(time, d_model, 0.0, 1e4, 2.0);
                in_pairs(angles.sin(), angles.sin())
            }),
            Mistake::new(
                "the position is multiplied by 10000^(2i/d_model): divide by it, later columns are slower",
                |time, d_model| {
                    let angles = angles(time, d_model, 0.0, 1e-4, 2.0);
                    in_pairs(angles.sin(), angles.cos())
                },
            ),
            Mistake::new("rows are positions, columns are d_model: yours is transposed", |time, d_model| {
                let angles = angles(time, d_model, 0.0, 1e4, 2.0);
                in_pairs(angles.sin(), angles.cos()).tr()
            }),
        ],
        run: |positions, cases| {
            let (time, d_model) = (cases.size(5, 40), 2 * cases.size(21, 40));
            vec![Outcome::new("the table of positions", positions(time, d_model))]
        },
    }
}

/// Checks the pair of split and merge; returns it if both are right, else the reference.
pub fn heads(answer: Heads) -> Heads {
    heads_exercise().check(answer)
}

fn split(x: &Tensor, n_heads: i64) -> Tensor {
    let (batch, time, d_model) = x.size3().expect("[batch, time, d_model]");
    x.reshape([batch, time, n_heads, d_model / n_heads]).transpose(1, 2)
}

fn split_without_transpose(x: &Tensor, n_heads: i64) -> Tensor {
    let (batch, time, d_model) = x.size3().expect("[batch, time, d_model]");
    x.reshape([batch, n_heads, time, d_model / n_heads])
}

fn merge(heads: &Tensor) -> Tensor {
    heads.transpose(1, 2).flatten(2, 3)
}

fn merge_without_transpose(heads: &Tensor) -> Tensor {
    let (batch, n_heads, time, d_head) = heads.size4().expect("[batch, head, time, d_head]");
    heads.reshape([batch, time, n_heads * d_head])
}

/// Exercise 5.2.
pub fn heads_exercise() -> Exercise<Heads> {
    Exercise {
        number: "5.2",
        reference: (split, merge),
        mistakes: vec![
            Mistake::new(
                "both reshape in one go: the way there and back gives x again, but a head then holds pieces of \
                 different positions; split d_model first, then transpose head and time",
                (split_without_transpose, merge_without_transpose),
            ),
            Mistake::new(
                "split reshapes straight to [batch, head, time, d_head], which mixes positions: reshape to \
                 [batch, time, head, d_head], then transpose dimensions 1 and 2",
                (split_without_transpose, merge),
            ),
            Mistake::new(
                "merge flattens without transposing, which mixes positions: transpose dimensions 1 and 2 first",
                (split, merge_without_transpose),
            ),
            Mistake::new(
                "split deals the numbers out to the heads in turn: a head is d_head neighbours, reshape to \
                 [batch, time, head, d_head], not [batch, time, d_head, head]",
                (
                    |x, n_heads| {
                        let (batch, time, d_model) = x.size3().expect("[batch, time, d_model]");
                        x.reshape([batch, time, d_model / n_heads, n_heads]).permute([0, 3, 1, 2])
                    },
                    merge,
                ),
            ),
            Mistake::new(
                "split leaves [batch, time, head, d_head]: attention needs [batch, head, time, d_head], \
                 transpose dimensions 1 and 2",
                (|x, n_heads| split(x, n_heads).transpose(1, 2), merge),
            ),
            Mistake::new(
                "merge leaves [batch, time, head, d_head]: put the heads side by side with flatten(2, 3)",
                (split, |heads| heads.transpose(1, 2)),
            ),
            Mistake::new(
                "merge adds the heads up: they stand side by side, each in its own columns",
                (split, |heads| heads.sum_dim_intlist(1, false, None::<Kind>)),
            ),
        ],
        run: |(split, merge), cases| {
            let (batch, n_heads, d_head) = (cases.size(2, 3), cases.size(2, 3), cases.size(4, 5));
            let time = cases.size(6, 7);
            let x = cases.tensor(&[batch, time, n_heads * d_head], 1.0);
            let y = cases.tensor(&[batch, n_heads, time, d_head], 1.0);
            let (there, back) = (split(&x, n_heads), merge(&y));
            let gradient = [gradients(&there, &[&x]).remove(0), gradients(&back, &[&y]).remove(0)];
            let [of_x, of_y] = gradient;
            Outcome::list([
                ("split", there),
                ("merge", back),
                ("the gradient through split", of_x),
                ("the gradient through merge", of_y),
            ])
        },
    }
}

/// Checks layer norm; returns the function if it is right, else the reference.
pub fn layer_norm(answer: LayerNorm) -> LayerNorm {
    layer_norm_exercise().check(answer)
}

/// x over its standard deviation along `dims`, without its mean.
fn standardised(x: &Tensor, dims: &[i64], unbiased: bool, eps: f64) -> Tensor {
    let mean = x.mean_dim(dims, true, None::<Kind>);
    (x - mean) / (x.var_dim(dims, unbiased, true) + eps).sqrt()
}

/// Exercise 5.3.
pub fn layer_norm_exercise() -> Exercise<LayerNorm> {
    Exercise {
        number: "5.3",
        reference: |x, gamma, beta, eps| standardised(x, &[-1], false, eps) * gamma + beta,
        mistakes: vec![
            Mistake::new(
                "is your epsilon inside the square root? √(variance + ε)",
                |x, gamma, beta, eps| {
                    let centred = x - x.mean_dim(-1, true, None::<Kind>);
                    centred / (x.var_dim(-1, false, true).sqrt() + eps) * gamma + beta
                },
            ),
            Mistake::new(
                "the variance divides by d_model − 1 (unbiased): here it divides by d_model",
                |x, gamma, beta, eps| standardised(x, &[-1], true, eps) * gamma + beta,
            ),
            Mistake::new(
                "mean and variance run over time: each position is normed by itself, over the last dimension",
                |x, gamma, beta, eps| standardised(x, &[-2], false, eps) * gamma + beta,
            ),
            Mistake::new(
                "mean and variance run over the batch (batch norm): they run over the last dimension",
                |x, gamma, beta, eps| standardised(x, &[0], false, eps) * gamma + beta,
            ),
            Mistake::new(
                "there is one mean for all numbers: each position has its own, keep the other dimensions",
                |x, gamma, beta, eps| standardised(x, &[0, 1, 2], false, eps) * gamma + beta,
            ),
            Mistake::new("γ and β are missing: multiply by γ, add β", |x, _, _, eps| {
                standardised(x, &[-1], false, eps)
            }),
            Mistake::new("β is missing: add it after the product with γ", |x, gamma, _, eps| {
                standardised(x, &[-1], false, eps) * gamma
            }),
            Mistake::new("γ is missing: multiply by it before you add β", |x, _, beta, eps| {
                standardised(x, &[-1], false, eps) + beta
            }),
            Mistake::new("γ and β are exchanged: γ multiplies, β is added", |x, gamma, beta, eps| {
                standardised(x, &[-1], false, eps) * beta + gamma
            }),
            Mistake::new("the mean is not subtracted: centre x first", |x, gamma, beta, eps| {
                x / (x.var_dim(-1, false, true) + eps).sqrt() * gamma + beta
            }),
            Mistake::new("the root is missing: divide by √(variance + ε)", |x, gamma, beta, eps| {
                let centred = x - x.mean_dim(-1, true, None::<Kind>);
                centred / (x.var_dim(-1, false, true) + eps) * gamma + beta
            }),
            Mistake::new(
                "ε is not used: a position of equal numbers has variance 0, and 0/0 is not a number",
                |x, gamma, beta, _| standardised(x, &[-1], false, 0.0) * gamma + beta,
            ),
        ],
        run: |layer_norm, cases| {
            let (batch, time, d_model) = (cases.size(2, 3), cases.size(4, 5), cases.size(6, 8));
            let x = cases.tensor(&[batch, time, d_model], 2.0);
            let (gamma, beta) = (cases.tensor(&[d_model], 1.0), cases.tensor(&[d_model], 1.0));
            let eps = cases.number(0.05, 0.5); // large, so that its place shows
            let output = layer_norm(&x, &gamma, &beta, eps);
            let names = ["the gradient of x", "the gradient of γ", "the gradient of β"];
            with_gradients("the result", output, &names, &[&x, &gamma, &beta])
        },
    }
}

/// Checks a pre-norm block; returns it if it is right, else the reference.
pub fn block(answer: Block) -> Block {
    block_exercise().check(answer)
}

/// Exercise 5.4.
pub fn block_exercise() -> Exercise<Block> {
    Exercise {
        number: "5.4",
        reference: |x, parts| {
            let x = x + parts.attention(&parts.norm1(x));
            &x + parts.feed_forward(&parts.norm2(&x))
        },
        mistakes: vec![
            Mistake::new(
                "this is post-norm, norm(x + f(x)): here the norm stands before the part, x + f(norm(x))",
                |x, parts| {
                    let x = parts.norm1(&(x + parts.attention(x)));
                    parts.norm2(&(&x + parts.feed_forward(&x)))
                },
            ),
            Mistake::new(
                "the norm's output is added instead of x: the residual goes around the norm too",
                |x, parts| {
                    let x = parts.norm1(x);
                    let x = &x + parts.attention(&x);
                    let x = parts.norm2(&x);
                    &x + parts.feed_forward(&x)
                },
            ),
            Mistake::new(
                "no residual: add x to what attention and the feed-forward layer return",
                |x, parts| {
                    let x = parts.attention(&parts.norm1(x));
                    parts.feed_forward(&parts.norm2(&x))
                },
            ),
            Mistake::new("the residual around attention is missing: x + attention(…)", |x, parts| {
                let x = parts.attention(&parts.norm1(x));
                &x + parts.feed_forward(&parts.norm2(&x))
            }),
            Mistake::new(
                "the residual around the feed-forward layer is missing: x + feed_forward(…)",
                |x, parts| {
                    let x = x + parts.attention(&parts.norm1(x));
                    parts.feed_forward(&parts.norm2(&x))
                },
            ),
            Mistake::new("the norms are missing: each part reads norm(x)", |x, parts| {
                let x = x + parts.attention(x);
                &x + parts.feed_forward(&x)
            }),
            Mistake::new("norm1 is missing: attention reads norm1(x)", |x, parts| {
                let x = x + parts.attention(x);
                &x + parts.feed_forward(&parts.norm2(&x))
            }),
            Mistake::new("norm2 is missing: the feed-forward layer reads norm2(x)", |x, parts| {
                let x = x + parts.attention(&parts.norm1(x));
                &x + parts.feed_forward(&x)
            }),
            Mistake::new("norm1 is used twice: the feed-forward layer has norm2", |x, parts| {
                let x = x + parts.attention(&parts.norm1(x));
                &x + parts.feed_forward(&parts.norm1(&x))
            }),
            Mistake::new(
                "the feed-forward layer reads the block's input: it must read the sum after attention",
                |x, parts| x + parts.attention(&parts.norm1(x)) + parts.feed_forward(&parts.norm2(x)),
            ),
            Mistake::new(
                "the second residual adds the block's input: add the sum after attention, or attention is lost",
                |x, parts| {
                    let sum = x + parts.attention(&parts.norm1(x));
                    x + parts.feed_forward(&parts.norm2(&sum))
                },
            ),
            Mistake::new(
                "the feed-forward layer comes first: attention first, then feed-forward",
                |x, parts| {
                    let x = x + parts.feed_forward(&parts.norm2(x));
                    &x + parts.attention(&parts.norm1(&x))
                },
            ),
        ],
        run: |block, cases| {
            let (batch, time, d_model) = (cases.size(1, 3), cases.size(2, 4), cases.size(5, 7));
            let x = cases.tensor(&[batch, time, d_model], 2.0);
            let mut weights = |shape: &[i64]| cases.tensor(shape, 1.0);
            let (gamma1, gamma2) = (weights(&[d_model]), weights(&[d_model]));
            let (mix, value) = (weights(&[time, time]), weights(&[d_model, d_model]));
            let (up, down) = (weights(&[d_model, 2 * d_model]), weights(&[2 * d_model, d_model]));
            let leaves = [&gamma1, &mix, &value, &gamma2, &up, &down].map(Tensor::shallow_clone);
            let norm =
                |gamma: Tensor| -> Part { Box::new(move |x| standardised(x, &[-1], false, 1e-5) * &gamma) };
            let attention = move |x: &Tensor| mix.softmax(-1, Kind::Double).matmul(&x.matmul(&value));
            let feed_forward = move |x: &Tensor| x.matmul(&up).tanh().matmul(&down);
            let parts =
                BlockParts::new(norm(gamma1), Box::new(attention), norm(gamma2), Box::new(feed_forward));
            let output = block(&x, &parts);
            let names = [
                "the gradient of x",
                "the gradient of norm1's weights",
                "the gradient of attention's scores",
                "the gradient of attention's values",
                "the gradient of norm2's weights",
                "the gradient of the feed-forward layer's first matrix",
                "the gradient of the feed-forward layer's second matrix",
            ];
            let inputs: Vec<&Tensor> = std::iter::once(&x).chain(&leaves).collect();
            with_gradients("the block's output", output, &names, &inputs)
        },
    }
}

/// Checks a causal mask; returns the function if it is right, else the reference.
pub fn causal_mask(answer: CausalMask) -> CausalMask {
    causal_mask_exercise().check(answer)
}

fn ones(time: i64) -> Tensor {
    Tensor::ones([time, time], (Kind::Bool, Device::Cpu))
}

/// Exercise 5.5.
pub fn causal_mask_exercise() -> Exercise<CausalMask> {
    Exercise {
        number: "5.5",
        reference: |time| ones(time).tril(0),
        mistakes: vec![
            Mistake::new(
                "one future position is open: tril(1) reaches one step too far, the diagonal is tril(0)",
                |time| ones(time).tril(1),
            ),
            Mistake::new(
                "a position may not attend to itself: then the first has nothing to attend to; keep the diagonal",
                |time| ones(time).tril(-1),
            ),
            Mistake::new(
                "it looks into the future: rows are queries, columns are keys, keep key ≤ query",
                |time| ones(time).triu(0),
            ),
            Mistake::new("it is inverted: true means may attend, and here true is what may not", |time| {
                ones(time).triu(1)
            }),
            Mistake::new("everything is open: a mask of ones masks nothing", ones),
            Mistake::new("its kind is not Bool: compare, or convert with to_kind(Kind::Bool)", |time| {
                ones(time).tril(0).to_kind(Kind::Float)
            }),
            Mistake::new(
                "these are numbers to add to the scores: here the mask is Bool, true = may attend",
                |time| {
                    let closed = ones(time).triu(1);
                    closed.zeros_like().to_kind(Kind::Double).masked_fill(&closed, f64::NEG_INFINITY)
                },
            ),
        ],
        run: |mask, cases| {
            let mask = mask(cases.size(2, 6));
            Outcome::list([
                ("the mask must be Bool: true = may attend", Tensor::from(mask.kind() == Kind::Bool)),
                ("the mask", mask.to_kind(Kind::Double).clamp(-9.0, 9.0)), // −∞ as a number to compare
            ])
        },
    }
}

/// Checks a *test*: it must accept layers that are causal and reject layers that see the future.
pub fn causal_test(answer: CausalTest) -> CausalTest {
    causal_test_exercise().check(answer)
}

/// Attention from x to itself with scores x·xᵀ, `open` deciding who may attend to whom.
fn attend(x: &Tensor, open: &Tensor) -> Tensor {
    let scores = x.matmul(&x.transpose(1, 2)); // [batch, query, key]
    scores.masked_fill(&open.logical_not(), f64::NEG_INFINITY).softmax(-1, None::<Kind>).matmul(x)
}

fn time_of(x: &Tensor) -> i64 {
    x.size()[1]
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> [(&'static str, SequenceLayer); 8] {
    [
        ("it rejects causal attention: no output there depends on a later input", |x| {
            attend(x, &ones(time_of(x)).tril(0))
        }),
        (
            "it rejects a causal layer of another kind (the mean of all inputs so far): compare outputs before \
             and after a change of a later input",
            |x| {
                let counts = Tensor::arange_start(1, time_of(x) + 1, (x.kind(), x.device())).unsqueeze(-1);
                x.cumsum(1, None::<Kind>) / counts
            },
        ),
        ("it accepts attention without a mask: change the last input, and no earlier output may move", |x| {
            attend(x, &ones(time_of(x)))
        }),
        (
            "it accepts a mask that is open one position too far: change one input, and look at the output just \
             before it",
            |x| attend(x, &ones(time_of(x)).tril(1)),
        ),
        (
            "it accepts a pre-norm layer whose mask is open one position too far: a layer norm takes away what you \
             add to a whole row, so change one number of it",
            |x| {
                x + attend(
                    &x.layer_norm::<&Tensor>([x.size()[2]], None, None, 1e-5, false),
                    &ones(time_of(x)).tril(1),
                )
            },
        ),
        (
            "it accepts weights that are masked after the softmax: the future still stands in the sum below the \
             fraction; compare numbers, not which weights are 0",
            |x| {
                let weights = x.matmul(&x.transpose(1, 2)).softmax(-1, None::<Kind>);
                weights.tril(0).matmul(x)
            },
        ),
        (
            "it accepts a layer that leaks at its first position only: change each input in turn, and look at \
             all outputs before it",
            |x| {
                let open = ones(time_of(x)).tril(0);
                let _ = open.narrow(0, 0, 1).narrow(1, 1, 1).fill_(1);
                attend(x, &open)
            },
        ),
        ("it accepts a layer that ignores its input: an output must move when its own input does", |x| {
            x.zeros_like() + 1.0
        }),
    ]
}

/// Exercise 5.6: the verdicts of the learner's test are what is compared.
pub fn causal_test_exercise() -> Exercise<CausalTest> {
    Exercise {
        number: "5.6",
        reference: |layer| {
            let time = 5;
            let x = (Tensor::arange(3 * time, (Kind::Float, Device::Cpu)) * 1.3).sin().view([1, time, 3]);
            let before = layer(&x);
            (0..time).all(|t| {
                let changed = x.copy();
                let _ = changed.narrow(1, t, 1).narrow(2, 0, 1).g_add_scalar_(1.0);
                let moved = (layer(&changed) - &before).abs();
                let moves = |start: i64, length: i64| {
                    moved.narrow(1, start, length).sum(Kind::Double).double_value(&[]) > 1e-5
                };
                (t == 0 || !moves(0, t)) && moves(t, 1)
            })
        },
        mistakes: vec![],
        run: |test, _| {
            specimens()
                .into_iter()
                .map(|(what, layer)| Outcome::new(what, Tensor::from(test(layer))))
                .collect()
        },
    }
}
