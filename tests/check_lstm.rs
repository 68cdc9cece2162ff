//! The checks of the LSTM lesson accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check;
use llm_course::data::{Batch, Split, TextDataset};
use llm_course::models::{GruWeights, LstmWeights};
use tch::{Kind, Tensor};

use crate::verdicts::{accepts, rejects};

/// Part number `part` of the four sums, by slices of the weights.
fn part(x: &Tensor, h: &Tensor, w: &LstmWeights, part: i64) -> Tensor {
    let n = h.size()[1];
    let of = |t: &Tensor| t.narrow(-1, part * n, n);
    x.mm(&of(&w.xh)) + h.mm(&of(&w.hh)) + of(&w.bias)
}

fn sigmoid(x: Tensor) -> Tensor {
    1.0 / ((-x).exp() + 1.0)
}

/// A step from the parts in the order i, f, g, o.
fn step(x: &Tensor, h: &Tensor, c: &Tensor, w: &LstmWeights, [i, f, g, o]: [i64; 4]) -> (Tensor, Tensor) {
    let of = |number| part(x, h, w, number);
    let cell = sigmoid(of(f)) * c + sigmoid(of(i)) * of(g).tanh();
    (sigmoid(of(o)) * cell.tanh(), cell)
}

#[test]
pub fn lstm_step() {
    let exercise = check::lstm_step_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x, h, c, w| step(x, h, c, w, [0, 1, 2, 3]),
            |x, h, c, w| {
                let bias = w.bias.zeros_like();
                let params = [w.xh.tr(), w.hh.tr(), w.bias.shallow_clone(), bias];
                let (_, hidden, cell) = x.unsqueeze(1).lstm(
                    &[h.unsqueeze(0), c.unsqueeze(0)],
                    &params,
                    true,
                    1,
                    0.0,
                    false,
                    false,
                    true,
                );
                (hidden.squeeze_dim(0), cell.squeeze_dim(0))
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("i, f, o, g", |x, h, c, w| step(x, h, c, w, [0, 1, 3, 2])),
            ("input and forget gate are exchanged", |x, h, c, w| step(x, h, c, w, [1, 0, 2, 3])),
            ("old cell is not used", |x, h, c, w| step(x, h, &(c * 0.0), w, [0, 1, 2, 3])),
            ("forget gate is missing", |x, h, c, w| {
                let cell = part(x, h, w, 0).sigmoid() * part(x, h, w, 2).tanh() + c;
                (part(x, h, w, 3).sigmoid() * cell.tanh(), cell)
            }),
            ("old hidden state", |x, h, c, w| step(x, h, h, w, [0, 1, 2, 3]).into_tuple(c)),
            ("1 − f", |x, h, c, w| {
                let f = part(x, h, w, 1).sigmoid();
                let cell = c - f * c + part(x, h, w, 0).sigmoid() * part(x, h, w, 2).tanh();
                (part(x, h, w, 3).sigmoid() * cell.tanh(), cell)
            }),
            ("made of the old cell", |x, h, c, w| {
                (part(x, h, w, 3).sigmoid() * c.tanh(), step(x, h, c, w, [0, 1, 2, 3]).1)
            }),
            ("output gate is missing", |x, h, c, w| {
                let (_, cell) = step(x, h, c, w, [0, 1, 2, 3]);
                (cell.tanh(), cell)
            }),
            ("tanh of the cell is missing", |x, h, c, w| {
                let (_, cell) = step(x, h, c, w, [0, 1, 2, 3]);
                (part(x, h, w, 3).sigmoid() * &cell, cell)
            }),
            ("candidate is squashed by a sigmoid", |x, h, c, w| {
                let cell =
                    sigmoid(part(x, h, w, 1)) * c + sigmoid(part(x, h, w, 0)) * sigmoid(part(x, h, w, 2));
                (sigmoid(part(x, h, w, 3)) * cell.tanh(), cell)
            }),
            ("a gate is a sigmoid", |x, h, c, w| {
                let of = |number| part(x, h, w, number).tanh();
                let cell = of(1) * c + of(0) * of(2);
                (of(3) * cell.tanh(), cell)
            }),
            ("wrong order: (hidden, cell)", |x, h, c, w| {
                let (hidden, cell) = step(x, h, c, w, [0, 1, 2, 3]);
                (cell, hidden)
            }),
            ("bias is missing", |x, h, c, w| {
                let w = LstmWeights {
                    xh: w.xh.shallow_clone(),
                    hh: w.hh.shallow_clone(),
                    bias: w.bias.detach() * 0.0,
                };
                step(x, h, c, &w, [0, 1, 2, 3])
            }),
            ("graph is cut", |x, h, c, w| tch::no_grad(|| step(x, h, c, w, [0, 1, 2, 3]))),
            ("panicked", |x, _, c, w| step(x, &x.unsqueeze(0).unsqueeze(0), c, w, [0, 1, 2, 3])),
        ],
    );
}

/// Lets a wrong answer mention the cell that it forgets.
trait IntoTuple {
    fn into_tuple(self, _cell: &Tensor) -> (Tensor, Tensor);
}

impl IntoTuple for (Tensor, Tensor) {
    fn into_tuple(self, _cell: &Tensor) -> (Tensor, Tensor) {
        self
    }
}

#[test]
pub fn forget_bias() {
    let exercise = check::forget_bias_exercise();
    fn with(bias: &Tensor, value: f64, parts: &[i64]) -> Tensor {
        let bias = bias.copy();
        let n = bias.size()[0] / 4;
        parts.iter().for_each(|part| {
            let _ = bias.narrow(0, part * n, n).g_add_scalar_(value);
        });
        bias
    }
    accepts(&exercise, &[exercise.reference, |bias, value| with(bias, value, &[1])]);
    rejects(
        &exercise,
        &[
            ("input gate got it", |bias, value| with(bias, value, &[0])),
            ("candidate got it", |bias, value| with(bias, value, &[2])),
            ("output gate got it", |bias, value| with(bias, value, &[3])),
            ("all four", |bias, value| bias + value),
            ("first two quarters", |bias, value| with(bias, value, &[0, 1])),
            ("old numbers", |bias, value| {
                let n = bias.size()[0] / 4;
                let bias = bias.copy();
                let _ = bias.narrow(0, n, n).fill_(value);
                bias
            }),
            ("nothing has changed", |bias, value| with(bias, value, &[])),
            ("subtracted", |bias, value| with(bias, -value, &[1])),
            ("writes into its arguments", |bias, value| {
                let n = bias.size()[0] / 4;
                let _ = bias.narrow(0, n, n).g_add_scalar_(value);
                bias.shallow_clone()
            }),
            ("shape", |bias, value| bias.narrow(0, bias.size()[0] / 4, bias.size()[0] / 4) + value),
        ],
    );
}

#[test]
pub fn gru_step() {
    let exercise = check::gru_step_exercise();
    fn both(x: &Tensor, h: &Tensor, w: &GruWeights, part: i64) -> (Tensor, Tensor) {
        let n = h.size()[1];
        let of = |t: &Tensor| t.narrow(-1, part * n, n);
        (x.mm(&of(&w.xh)) + of(&w.bias), h.mm(&of(&w.hh)) + of(&w.hidden_bias))
    }
    fn gate(x: &Tensor, h: &Tensor, w: &GruWeights, part: i64) -> Tensor {
        let (a, b) = both(x, h, w, part);
        sigmoid(a + b)
    }
    fn candidate(x: &Tensor, h: &Tensor, w: &GruWeights, reset: Tensor) -> Tensor {
        let (a, b) = both(x, h, w, 2);
        (a + reset * b).tanh()
    }
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x, h, w| {
                let g = candidate(x, h, w, gate(x, h, w, 0));
                &g + gate(x, h, w, 1) * (h - &g)
            },
            |x, h, w| {
                let params = [w.xh.tr(), w.hh.tr(), w.bias.shallow_clone(), w.hidden_bias.shallow_clone()];
                let (_, last) =
                    x.unsqueeze(1).gru(&h.unsqueeze(0), &params, true, 1, 0.0, false, false, true);
                last.squeeze_dim(0)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("1 − z are exchanged", |x, h, w| {
                let g = candidate(x, h, w, gate(x, h, w, 0));
                h + gate(x, h, w, 1) * (g - h)
            }),
            ("reset and update gate are exchanged", |x, h, w| {
                let g = candidate(x, h, w, gate(x, h, w, 1));
                &g + gate(x, h, w, 0) * (h - &g)
            }),
            ("before the matrix", |x, h, w| {
                let n = h.size()[1];
                let (a, _) = both(x, h, w, 2);
                let inner =
                    (gate(x, h, w, 0) * h).mm(&w.hh.narrow(1, 2 * n, n)) + w.hidden_bias.narrow(0, 2 * n, n);
                let g = (a + inner).tanh();
                &g + gate(x, h, w, 1) * (h - &g)
            }),
            ("bias of the hidden side too", |x, h, w| {
                let n = h.size()[1];
                let b = w.hidden_bias.narrow(0, 2 * n, n);
                let (from_x, from_h) = both(x, h, w, 2);
                let g = (from_x + &b + gate(x, h, w, 0) * (from_h - &b)).tanh();
                &g + gate(x, h, w, 1) * (h - &g)
            }),
            ("reset gate is missing", |x, h, w| {
                let g = candidate(x, h, w, h.ones_like());
                &g + gate(x, h, w, 1) * (h - &g)
            }),
            ("not carried on", |x, h, w| {
                let g = candidate(x, h, w, gate(x, h, w, 0));
                &g - gate(x, h, w, 1) * &g
            }),
            ("added whole", |x, h, w| candidate(x, h, w, gate(x, h, w, 0)) + gate(x, h, w, 1) * h),
            ("graph is cut", |x, h, w| {
                let g = candidate(x, h, w, gate(x, h, w, 0));
                (&g + gate(x, h, w, 1) * (h - &g)).detach()
            }),
            ("squashed by a sigmoid", |x, h, w| {
                let (a, b) = both(x, h, w, 2);
                let g = (a + gate(x, h, w, 0) * b).sigmoid();
                &g + gate(x, h, w, 1) * (h - &g)
            }),
            ("gradient of hidden is 0: the graph is cut", |x, h, w| {
                let h = &h.detach();
                let g = candidate(x, h, w, gate(x, h, w, 0));
                &g + gate(x, h, w, 1) * (h - &g)
            }),
        ],
    );
}

#[test]
pub fn correlation() {
    let exercise = check::correlation_exercise();
    fn scaled(values: &Tensor) -> Tensor {
        let centred = values - values.mean_dim(0, true, Kind::Double);
        &centred / centred.square().mean_dim(0, true, Kind::Double).sqrt()
    }
    accepts(
        &exercise,
        &[
            exercise.reference,
            |cells, feature| (scaled(cells) * scaled(&feature.unsqueeze(1))).mean_dim(0, false, Kind::Double),
            |cells, feature| {
                let all = Tensor::cat(&[cells.tr(), feature.unsqueeze(0)], 0).corrcoef();
                all.select(0, -1).narrow(0, 0, cells.size()[1])
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("means are not subtracted", |cells, feature| {
                let norms = cells.square().sum_dim_intlist(0, false, Kind::Double)
                    * feature.square().sum(Kind::Double);
                cells.tr().mv(feature) / norms.sqrt()
            }),
            ("covariance", |cells, feature| {
                let feature = feature - feature.mean(Kind::Double);
                cells.tr().mv(&feature) / feature.size()[0]
            }),
            ("n and n − 1", |cells, feature| {
                let (spread, own) = (cells.std_dim(0, true, false), feature.std(true));
                let products = (cells - cells.mean_dim(0, true, Kind::Double))
                    * (feature - feature.mean(Kind::Double)).unsqueeze(1);
                products.mean_dim(0, false, Kind::Double) / (spread * own)
            }),
            ("sign is lost", |cells, feature| {
                (scaled(cells) * scaled(&feature.unsqueeze(1))).mean_dim(0, false, Kind::Double).abs()
            }),
            ("square", |cells, feature| {
                (scaled(cells) * scaled(&feature.unsqueeze(1)))
                    .mean_dim(0, false, Kind::Double)
                    .pow_tensor_scalar(2)
            }),
            ("shape", |cells, feature| (scaled(cells) * scaled(&feature.unsqueeze(1))).mean(Kind::Double)),
            ("over the units", |cells, feature| {
                let cells = cells - cells.mean_dim(1, true, Kind::Double);
                let feature = (feature - feature.mean(Kind::Double)).unsqueeze(1);
                (&cells * &feature).sum_dim_intlist(0, false, Kind::Double)
                    / (cells.square().sum_dim_intlist(0, false, Kind::Double).sqrt() * feature.norm())
            }),
            ("writes into its arguments", |cells, feature| {
                let mut cells = cells.shallow_clone();
                cells -= cells.mean_dim(0, true, Kind::Double);
                (scaled(&cells) * scaled(&feature.unsqueeze(1))).mean_dim(0, false, Kind::Double)
            }),
        ],
    );
}

#[test]
pub fn stream_test() {
    let exercise = check::stream_test_exercise();
    fn follows(before: &Batch, after: &Batch) -> bool {
        let (last, first) = (before.targets.i((.., -1)), after.ids.i((.., 0)));
        last.allclose(&first, 0.0, 0.0, false)
    }
    use tch::IndexOp;
    accepts(
        &exercise,
        &[exercise.reference, |batches| {
            (1..batches.len()).all(|n| batches[n].first || follows(&batches[n - 1], &batches[n]))
        }],
    );
    rejects(
        &exercise,
        &[
            ("shuffled", |_| true),
            ("rejects sound streams", |_| false),
            ("second walk", |batches| batches.windows(2).all(|pair| follows(&pair[0], &pair[1]))),
            ("compare all rows", |batches| {
                batches.windows(2).all(|pair| {
                    let last = pair[0].targets.int64_value(&[0, -1]);
                    pair[1].first || last == pair[1].ids.int64_value(&[0, 0])
                })
            }),
            ("rejects sound streams", |batches| {
                batches.windows(2).all(|pair| {
                    let (last, first) = (pair[0].ids.i((.., -1)), pair[1].ids.i((.., 0)));
                    pair[1].first || last == first
                })
            }),
            ("shuffled", |batches| {
                let within = |batch: &Batch| {
                    let next = batch.ids.size()[1] - 1;
                    batch.ids.narrow(1, 1, next) == batch.targets.narrow(1, 0, next)
                };
                batches.iter().all(within)
            }),
            ("change places", |batches| {
                let sum = |ids: Tensor| ids.sum(Kind::Int64);
                batches.windows(2).all(|pair| {
                    pair[1].first || sum(pair[0].targets.i((.., -1))) == sum(pair[1].ids.i((.., 0)))
                })
            }),
            ("leave out a character", |batches| {
                batches.windows(2).all(|pair| {
                    let off = pair[0].targets.i((.., -1)) - pair[1].ids.i((.., 0));
                    pair[1].first || off.abs().max().int64_value(&[]) <= 1
                })
            }),
            ("read a character twice", |batches| {
                batches.windows(2).all(|pair| {
                    let off = pair[0].targets.i((.., -1)) - pair[1].ids.i((.., 0));
                    pair[1].first || off.min().int64_value(&[]) >= 0 && off.max().int64_value(&[]) <= 1
                })
            }),
            ("break off after some batches", |batches| follows(&batches[0], &batches[1])),
        ],
    );
}

#[test]
fn the_stream_test_accepts_the_streams_of_the_data_set() {
    let data =
        TextDataset::from_text("numbers", &(0..2000).map(|n| n.to_string()).collect::<String>()).unwrap();
    let batches: Vec<Batch> = data.streams(Split::Train, 4, 7).unwrap().endless().take(500).collect();
    assert!((check::stream_test_exercise().reference)(&batches));
}
