//! The transformer's checks accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check;
use llm_course::layers;
use tch::{Device, Kind, Tensor};

use crate::verdicts::{accepts, rejects};

/// A table written number by number: `angle` of position and column, `cosine` of the column.
fn table(time: i64, d_model: i64, angle: fn(f64, f64) -> f64, cosine: fn(i64) -> bool) -> Tensor {
    let mut numbers = Vec::new();
    for t in 0..time {
        for column in 0..d_model {
            let pair = (column / 2 * 2) as f64 / d_model as f64;
            let angle = angle(t as f64, pair);
            numbers.push(if cosine(column) { angle.cos() } else { angle.sin() });
        }
    }
    Tensor::from_slice(&numbers).view([time, d_model])
}

#[test]
pub fn sinusoidal_positions() {
    let exercise = check::sinusoidal_positions_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |time, d_model| layers::sinusoidal(time, d_model, Device::Cpu),
            |time, d_model| table(time, d_model, |t, pair| t / 1e4f64.powf(pair), |column| column % 2 == 1),
        ],
    );
    rejects(
        &exercise,
        &[
            ("take turns", |time, d_model| {
                let t = layers::sinusoidal(time, d_model, Device::Cpu).view([time, d_model / 2, 2]);
                t.transpose(1, 2).reshape([time, d_model])
            }),
            ("exchanged", |time, d_model| table(time, d_model, |t, p| t / 1e4f64.powf(p), |c| c % 2 == 0)),
            ("2i/d_model", |time, d_model| {
                table(time, d_model, |t, p| t / 1e4f64.powf(p / 2.0), |c| c % 2 == 1)
            }),
            ("different frequencies", |time, d_model| {
                let mut numbers = Vec::new();
                for t in 0..time {
                    for column in 0..d_model {
                        let angle = t as f64 / 1e4f64.powf(column as f64 / d_model as f64);
                        numbers.push(if column % 2 == 0 { angle.sin() } else { angle.cos() });
                    }
                }
                Tensor::from_slice(&numbers).view([time, d_model])
            }),
            ("begin with 1", |time, d_model| {
                table(time, d_model, |t, p| (t + 1.0) / 1e4f64.powf(p), |c| c % 2 == 1)
            }),
            ("every column is a sine", |time, d_model| {
                table(time, d_model, |t, p| t / 1e4f64.powf(p), |_| false)
            }),
            ("divide by it", |time, d_model| table(time, d_model, |t, p| t * 1e4f64.powf(p), |c| c % 2 == 1)),
            ("transposed", |time, d_model| layers::sinusoidal(time, d_model, Device::Cpu).transpose(0, 1)),
            ("whole numbers", |time, d_model| {
                let numbers: Vec<f64> = (0..time * d_model)
                    .map(|at| {
                        let (t, column) = (at / d_model, at % d_model);
                        let exponent = column / 2 * 2 / d_model;
                        let angle = t as f64 / 1e4f64.powf(exponent as f64);
                        if column % 2 == 0 { angle.sin() } else { angle.cos() }
                    })
                    .collect();
                Tensor::from_slice(&numbers).view([time, d_model])
            }),
            ("off by", |time, d_model| table(time, d_model, |t, p| t / 1e3f64.powf(p), |c| c % 2 == 1)),
        ],
    );
}

#[test]
pub fn heads() {
    fn cut(x: &Tensor, n_heads: i64) -> Tensor {
        Tensor::stack(&x.chunk(n_heads, -1), 1)
    }
    fn glue(heads: &Tensor) -> Tensor {
        Tensor::cat(&heads.unbind(1), -1)
    }
    fn mixed_cut(x: &Tensor, n_heads: i64) -> Tensor {
        let size = x.size();
        x.contiguous().view([size[0], n_heads, -1, size[2] / n_heads])
    }
    fn mixed_glue(heads: &Tensor) -> Tensor {
        let size = heads.size();
        heads.contiguous().view([size[0], -1, size[1] * size[3]])
    }
    let exercise = check::heads_exercise();
    accepts(&exercise, &[exercise.reference, (cut, glue)]);
    rejects(
        &exercise,
        &[
            ("both reshape in one go", (mixed_cut, mixed_glue)),
            ("split reshapes straight", (mixed_cut, glue)),
            ("merge flattens without transposing", (cut, mixed_glue)),
            (
                "in turn",
                (|x, n| Tensor::stack(&(0..n).map(|h| x.slice(-1, h, None, n)).collect::<Vec<_>>(), 1), glue),
            ),
            ("split leaves", (|x, n| Tensor::stack(&x.chunk(n, -1), 2), glue)),
            ("merge leaves", (cut, |heads| heads.permute([0, 2, 1, 3]))),
            ("adds the heads up", (cut, |heads| heads.unbind(1).into_iter().reduce(|a, b| a + b).unwrap())),
            ("merge", (cut, |heads| heads.transpose(1, 2).detach().flatten(2, 3))),
        ],
    );
}

#[test]
pub fn layer_norm() {
    fn by_hand(x: &Tensor, dim: i64, count: i64) -> (Tensor, Tensor) {
        let n = x.size()[(dim + 3) as usize % 3];
        let centred = x - x.sum_dim_intlist(dim, true, None::<Kind>) / n;
        let variance = (&centred * &centred).sum_dim_intlist(dim, true, None::<Kind>) / (n - count);
        (centred, variance)
    }
    let exercise = check::layer_norm_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x, g, b, eps| layers::layer_norm_by_hand(x, g, b, eps),
            |x, g, b, eps| x.layer_norm(g.size(), Some(g), Some(b), eps, false),
        ],
    );
    rejects(
        &exercise,
        &[
            ("epsilon inside the square root", |x, g, b, eps| {
                let (c, v) = by_hand(x, -1, 0);
                g * c / (v.sqrt() + eps) + b
            }),
            ("unbiased", |x, g, b, eps| {
                let (c, v) = by_hand(x, -1, 1);
                g * c * (v + eps).rsqrt() + b
            }),
            ("over time", |x, g, b, eps| {
                let (c, v) = by_hand(x, 1, 0);
                g * c * (v + eps).rsqrt() + b
            }),
            ("batch norm", |x, g, b, eps| {
                let (c, v) = by_hand(x, 0, 0);
                g * c * (v + eps).rsqrt() + b
            }),
            ("one mean for all", |x, g, b, eps| {
                let c = x - x.mean(None::<Kind>);
                let v = c.square().mean(None::<Kind>);
                g * c / (v + eps).sqrt() + b
            }),
            ("γ and β are missing", |x, g, _, eps| {
                x.layer_norm(g.size(), None::<Tensor>, None::<Tensor>, eps, false)
            }),
            ("β is missing", |x, g, _, eps| x.layer_norm(g.size(), Some(g), None, eps, false)),
            ("γ is missing", |x, g, b, eps| {
                x.layer_norm(g.size(), None::<Tensor>, None::<Tensor>, eps, false) + b
            }),
            ("exchanged", |x, g, b, eps| x.layer_norm(g.size(), Some(b), Some(g), eps, false)),
            ("not subtracted", |x, g, b, eps| g * x / (by_hand(x, -1, 0).1 + eps).sqrt() + b),
            ("root is missing", |x, g, b, eps| {
                let (c, v) = by_hand(x, -1, 0);
                g * c / (v + eps) + b
            }),
            ("ε is not used", |x, g, b, _| {
                let (c, v) = by_hand(x, -1, 0);
                g * c / v.sqrt() + b
            }),
            ("graph is cut", |x, g, b, eps| x.detach().layer_norm(g.size(), Some(g), Some(b), eps, false)),
            ("gradient of γ is 0: the graph is cut", |x, g, b, eps| {
                x.layer_norm(g.size(), Some(&g.detach()), Some(b), eps, false)
            }),
            ("in-place", |x, g, b, eps| {
                let mut x = x.shallow_clone();
                x -= x.mean_dim(-1, true, None::<Kind>);
                let variance = x.square().mean_dim(-1, true, None::<Kind>);
                x / (variance + eps).sqrt() * g + b
            }),
        ],
    );
}

#[test]
pub fn block() {
    let exercise = check::block_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |x, parts| {
            let normed = parts.norm1(x);
            let after = parts.attention(&normed) + x;
            parts.feed_forward(&parts.norm2(&after)) + after
        }],
    );
    rejects(
        &exercise,
        &[
            ("post-norm", |x, parts| {
                let after = parts.norm1(&(parts.attention(x) + x));
                parts.norm2(&(parts.feed_forward(&after) + &after))
            }),
            ("norm's output is added", |x, parts| {
                let normed = parts.norm1(x);
                let after = parts.norm2(&(parts.attention(&normed) + &normed));
                parts.feed_forward(&after) + after
            }),
            ("no residual", |x, parts| parts.feed_forward(&parts.norm2(&parts.attention(&parts.norm1(x))))),
            ("around attention is missing", |x, parts| {
                let after = parts.attention(&parts.norm1(x));
                parts.feed_forward(&parts.norm2(&after)) + after
            }),
            ("around the feed-forward layer is missing", |x, parts| {
                parts.feed_forward(&parts.norm2(&(parts.attention(&parts.norm1(x)) + x)))
            }),
            ("norms are missing", |x, parts| {
                let after = parts.attention(x) + x;
                parts.feed_forward(&after) + after
            }),
            ("norm1 is missing", |x, parts| {
                let after = parts.attention(x) + x;
                parts.feed_forward(&parts.norm2(&after)) + after
            }),
            ("norm2 is missing", |x, parts| {
                let after = parts.attention(&parts.norm1(x)) + x;
                parts.feed_forward(&after) + after
            }),
            ("norm1 is used twice", |x, parts| {
                let after = parts.attention(&parts.norm1(x)) + x;
                parts.feed_forward(&parts.norm1(&after)) + after
            }),
            ("reads the block's input", |x, parts| {
                parts.feed_forward(&parts.norm2(x)) + parts.attention(&parts.norm1(x)) + x
            }),
            ("attention is lost", |x, parts| {
                parts.feed_forward(&parts.norm2(&(parts.attention(&parts.norm1(x)) + x))) + x
            }),
            ("comes first", |x, parts| {
                let after = parts.feed_forward(&parts.norm2(x)) + x;
                parts.attention(&parts.norm1(&after)) + after
            }),
            ("graph is cut", |x, parts| {
                let x = &x.detach();
                let after = parts.attention(&parts.norm1(x)) + x;
                parts.feed_forward(&parts.norm2(&after)) + after
            }),
        ],
    );
}

#[test]
pub fn causal_mask() {
    fn rule(time: i64, open: fn(i64, i64) -> bool) -> Tensor {
        let pairs = (0..time).flat_map(|query| (0..time).map(move |key| open(query, key)));
        Tensor::from_slice(&pairs.collect::<Vec<bool>>()).view([time, time])
    }
    let exercise = check::causal_mask_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |time| rule(time, |query, key| key <= query),
            |time| layers::causal_mask(time, time, Device::Cpu).squeeze_dim(0).squeeze_dim(0),
        ],
    );
    rejects(
        &exercise,
        &[
            ("one future position", |time| rule(time, |query, key| key <= query + 1)),
            ("keep the diagonal", |time| rule(time, |query, key| key < query)),
            ("looks into the future", |time| rule(time, |query, key| key >= query)),
            ("inverted", |time| rule(time, |query, key| key > query)),
            ("masks nothing", |time| rule(time, |_, _| true)),
            ("not Bool", |time| Tensor::ones([time, time], (Kind::Float, Device::Cpu)).tril(0)),
            ("to add to the scores", |time| {
                Tensor::full([time, time], f64::NEG_INFINITY, (Kind::Float, Device::Cpu)).triu(1)
            }),
            ("shape", |time| layers::causal_mask(time, time, Device::Cpu)),
        ],
    );
}

#[test]
pub fn causal_test() {
    fn inputs() -> Tensor {
        (Tensor::arange(24, (Kind::Float, Device::Cpu)) * 0.9).cos().view([1, 6, 4])
    }
    /// Whether output `seen` moves when input `changed` does.
    fn moves(layer: check::SequenceLayer, changed: i64, seen: i64) -> bool {
        let other = inputs();
        let _ = other.narrow(1, changed, 1).fill_(2.0);
        let difference = layer(&other).select(1, seen) - layer(&inputs()).select(1, seen);
        difference.abs().max().double_value(&[]) > 1e-6
    }
    let exercise = check::causal_test_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |layer| {
            (0..6)
                .all(|seen| moves(layer, seen, seen) && (seen + 1..6).all(|later| !moves(layer, later, seen)))
        }],
    );
    rejects(
        &exercise,
        &[
            ("without a mask", |_| true),
            ("rejects causal attention", |_| false),
            ("one position too far", |layer| !moves(layer, 5, 0)),
            ("first position only", |layer| (0..5).all(|seen| !moves(layer, 5, seen))),
            ("ignores its input", |layer| {
                (0..6).all(|seen| (seen + 1..6).all(|later| !moves(layer, later, seen)))
            }),
            ("without a mask", |layer| layer(&inputs()).size() == [1, 6, 4]),
            ("a layer norm takes away", |layer| {
                let moves = |changed: i64, seen: i64| {
                    let other = inputs();
                    let _ = other.narrow(1, changed, 1).g_add_scalar_(1.0); // a whole row
                    let difference = layer(&other).select(1, seen) - layer(&inputs()).select(1, seen);
                    difference.abs().max().double_value(&[]) > 1e-5
                };
                (0..6).all(|seen| moves(seen, seen) && (seen + 1..6).all(|later| !moves(later, seen)))
            }),
        ],
    );
}
