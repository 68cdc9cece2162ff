//! Exercises of the gated cells: LSTM step, forget bias, GRU step, correlation, and a test of batches.

use tch::{Kind, Tensor};

use super::compare::{gradients, with_gradients};
use super::{Exercise, Mistake, Outcome};
use crate::data::Batch;
use crate::models::{
    GruWeights, LstmGates, LstmWeights, gru_step as reference_gru, lstm_gates, lstm_step as reference_lstm,
};

/// x `[batch, input]`, hidden and cell `[batch, hidden]`, weights → the next hidden and cell.
pub type LstmStep = fn(&Tensor, &Tensor, &Tensor, &LstmWeights) -> (Tensor, Tensor);
/// bias `[4 · hidden]` in the order i, f, g, o, and a number → a bias with the number added for the forget gate.
pub type ForgetBias = fn(&Tensor, f64) -> Tensor;
/// x `[batch, input]`, hidden `[batch, hidden]`, weights → the next hidden state.
pub type GruStep = fn(&Tensor, &Tensor, &GruWeights) -> Tensor;
/// cells `[time, units]`, feature `[time]` → Pearson's correlation of each unit with the feature `[units]`.
pub type Correlation = fn(&Tensor, &Tensor) -> Tensor;
/// A test of batches in a row: `true` if each row goes on where the same row of the batch before ended.
pub type StreamTest = fn(&[Batch]) -> bool;

/// Checks one LSTM step; returns it if it is right, else the reference.
pub fn lstm_step(answer: LstmStep) -> LstmStep {
    lstm_step_exercise().check(answer)
}

/// The four sums before their squashing, in libtorch's order.
fn sums(x: &Tensor, hidden: &Tensor, w: &LstmWeights) -> [Tensor; 4] {
    let parts = (x.matmul(&w.xh) + hidden.matmul(&w.hh) + &w.bias).chunk(4, -1);
    parts.try_into().expect("four parts")
}

/// The step with gates from sums in another order.
fn reordered([i, f, g, o]: [&Tensor; 4], cell: &Tensor) -> (Tensor, Tensor) {
    let cell = f.sigmoid() * cell + i.sigmoid() * g.tanh();
    (o.sigmoid() * cell.tanh(), cell)
}

/// A wrong step made from right gates and the old hidden state and cell.
fn from_gates(
    x: &Tensor,
    hidden: &Tensor,
    cell: &Tensor,
    w: &LstmWeights,
    f: fn(LstmGates, &Tensor, &Tensor) -> (Tensor, Tensor),
) -> (Tensor, Tensor) {
    f(lstm_gates(x, hidden, cell, w), hidden, cell)
}

/// Exercise 2.1.
pub fn lstm_step_exercise() -> Exercise<LstmStep> {
    Exercise {
        number: "2.1",
        reference: reference_lstm,
        mistakes: vec![
            Mistake::new(
                "the parts are taken in the order i, f, o, g: in libtorch the candidate is the third and the \
                 output gate the fourth",
                |x, h, c, w| {
                    let [i, f, o, g] = &sums(x, h, w);
                    reordered([i, f, g, o], c)
                },
            ),
            Mistake::new(
                "input and forget gate are exchanged: in libtorch the input gate comes first, then the forget \
                 gate",
                |x, h, c, w| {
                    let [f, i, g, o] = &sums(x, h, w);
                    reordered([i, f, g, o], c)
                },
            ),
            Mistake::new(
                "the old cell is not used: add f ⊙ cell, or nothing is remembered",
                |x, h, c, w| {
                    from_gates(x, h, c, w, |gates, _, _| {
                        let cell = &gates.input * &gates.candidate;
                        (&gates.output * cell.tanh(), cell)
                    })
                },
            ),
            Mistake::new("the forget gate is missing: the old cell is multiplied by f", |x, h, c, w| {
                from_gates(x, h, c, w, |gates, _, cell| {
                    let cell = cell + &gates.input * &gates.candidate;
                    (&gates.output * cell.tanh(), cell)
                })
            }),
            Mistake::new(
                "f multiplies the old hidden state: it is the old cell that is kept",
                |x, h, c, w| {
                    from_gates(x, h, c, w, |gates, hidden, _| {
                        let cell = &gates.forget * hidden + &gates.input * &gates.candidate;
                        (&gates.output * cell.tanh(), cell)
                    })
                },
            ),
            Mistake::new(
                "the old cell is multiplied by 1 − f: f = 1 means keep, in spite of its name",
                |x, h, c, w| {
                    from_gates(x, h, c, w, |gates, _, cell| {
                        let kept: Tensor = (1.0 - &gates.forget) * cell;
                        let cell = kept + &gates.input * &gates.candidate;
                        (&gates.output * cell.tanh(), cell)
                    })
                },
            ),
            Mistake::new(
                "the hidden state is made of the old cell: use the new one in h = o ⊙ tanh(c)",
                |x, h, c, w| {
                    from_gates(x, h, c, w, |gates, _, cell| (&gates.output * cell.tanh(), gates.cell))
                },
            ),
            Mistake::new("the output gate is missing: h = o ⊙ tanh(c)", |x, h, c, w| {
                from_gates(x, h, c, w, |gates, _, _| (gates.cell.tanh(), gates.cell))
            }),
            Mistake::new(
                "the tanh of the cell is missing: h = o ⊙ tanh(c), or h grows with the cell",
                |x, h, c, w| from_gates(x, h, c, w, |gates, _, _| (&gates.output * &gates.cell, gates.cell)),
            ),
            Mistake::new(
                "the candidate is squashed by a sigmoid: it is a tanh, so that the cell can also fall",
                |x, h, c, w| {
                    let [i, f, g, o] = &sums(x, h, w);
                    let cell = f.sigmoid() * c + i.sigmoid() * g.sigmoid();
                    (o.sigmoid() * cell.tanh(), cell)
                },
            ),
            Mistake::new(
                "the gates are squashed by tanh: a gate is a sigmoid, between 0 and 1",
                |x, h, c, w| {
                    let [i, f, g, o] = &sums(x, h, w);
                    let cell = f.tanh() * c + i.tanh() * g.tanh();
                    (o.tanh() * cell.tanh(), cell)
                },
            ),
            Mistake::new(
                "hidden state and cell come back in the wrong order: (hidden, cell)",
                |x, h, c, w| {
                    from_gates(x, h, c, w, |gates, _, _| (gates.cell.shallow_clone(), gates.hidden()))
                },
            ),
            Mistake::new("the bias is missing", |x, h, c, w| {
                let parts = (x.matmul(&w.xh) + h.matmul(&w.hh)).chunk(4, -1);
                reordered([&parts[0], &parts[1], &parts[2], &parts[3]], c)
            }),
            Mistake::new(
                "the graph is cut: detach or no_grad inside the step stops the gradient",
                |x, h, c, w| {
                    let (hidden, cell) = reference_lstm(x, h, c, w);
                    (hidden.detach(), cell.detach())
                },
            ),
        ],
        run: |step, cases| {
            let (batch, input, hidden) = (cases.size(2, 5), cases.size(2, 6), cases.size(2, 5));
            let x = cases.tensor(&[batch, input], 1.0);
            let h = cases.tensor(&[batch, hidden], 1.0);
            let c = cases.tensor(&[batch, hidden], 2.0);
            let w = LstmWeights {
                xh: cases.tensor(&[input, 4 * hidden], 1.0),
                hh: cases.tensor(&[hidden, 4 * hidden], 1.0),
                bias: cases.tensor(&[4 * hidden], 1.0),
            };
            let (hidden, cell) = step(&x, &h, &c, &w);
            let both = Tensor::cat(&[&hidden, &cell], -1);
            let names = [
                "the gradient of x",
                "the gradient of hidden",
                "the gradient of cell",
                "the gradient of w.hh",
            ];
            let grads = gradients(&both, &[&x, &h, &c, &w.hh]);
            let states = [Outcome::new("the new cell", cell), Outcome::new("the new hidden state", hidden)];
            let named = names.into_iter().zip(grads).map(|(what, value)| Outcome::new(what, value));
            states.into_iter().chain(named).collect()
        },
    }
}

/// Checks the initialisation of the forget gate's bias; returns the function if it is right, else the reference.
pub fn forget_bias(answer: ForgetBias) -> ForgetBias {
    forget_bias_exercise().check(answer)
}

/// The bias with `value` added to the parts that `mask` names.
fn raised(bias: &Tensor, value: f64, mask: [f64; 4]) -> Tensor {
    let parts = bias.chunk(4, 0);
    let moved: Vec<Tensor> = parts.iter().zip(mask).map(|(part, share)| part + value * share).collect();
    Tensor::cat(&moved, 0)
}

/// Exercise 2.3.
pub fn forget_bias_exercise() -> Exercise<ForgetBias> {
    Exercise {
        number: "2.3",
        reference: |bias, value| raised(bias, value, [0.0, 1.0, 0.0, 0.0]),
        mistakes: vec![
            Mistake::new(
                "the input gate got it: the order is i, f, g, o, so f is the second quarter",
                |b, v| raised(b, v, [1.0, 0.0, 0.0, 0.0]),
            ),
            Mistake::new(
                "the candidate got it: the order is i, f, g, o, so f is the second quarter",
                |b, v| raised(b, v, [0.0, 0.0, 1.0, 0.0]),
            ),
            Mistake::new(
                "the output gate got it: the order is i, f, g, o, so f is the second quarter",
                |b, v| raised(b, v, [0.0, 0.0, 0.0, 1.0]),
            ),
            Mistake::new("all four parts got it: only the forget gate begins open", |b, v| {
                raised(b, v, [1.0; 4])
            }),
            Mistake::new(
                "the first two quarters got it: narrow(0, start, length) takes a length, not an end",
                |b, v| raised(b, v, [1.0, 1.0, 0.0, 0.0]),
            ),
            Mistake::new("the old numbers of the forget gate are gone: add the number to them", |b, v| {
                let parts = b.chunk(4, 0);
                Tensor::cat(&[&parts[0], &(parts[1].zeros_like() + v), &parts[2], &parts[3]], 0)
            }),
            Mistake::new("nothing has changed: return the new bias", |b, _| b.copy()),
            Mistake::new("the number is subtracted: a positive bias opens the gate", |b, v| {
                raised(b, v, [0.0, -1.0, 0.0, 0.0])
            }),
        ],
        run: |forget_bias, cases| {
            let hidden = cases.size(2, 6);
            let bias = cases.tensor(&[4 * hidden], 1.0).detach();
            let value = cases.number(0.5, 5.0);
            vec![Outcome::new("the new bias", forget_bias(&bias, value))]
        },
    }
}

/// Checks one GRU step; returns it if it is right, else the reference.
pub fn gru_step(answer: GruStep) -> GruStep {
    gru_step_exercise().check(answer)
}

/// What x and the hidden state add to reset gate, update gate and candidate.
fn gru_sums(x: &Tensor, hidden: &Tensor, w: &GruWeights) -> (Vec<Tensor>, Vec<Tensor>) {
    let from_x = (x.matmul(&w.xh) + &w.bias).chunk(3, -1);
    let from_hidden = (hidden.matmul(&w.hh) + &w.hidden_bias).chunk(3, -1);
    (from_x, from_hidden)
}

/// A wrong step made from the sums: reset, update, candidate.
fn gru_from(
    (x, h): (Vec<Tensor>, Vec<Tensor>),
    hidden: &Tensor,
    squash: fn(Tensor) -> Tensor,
    mix: fn(&Tensor, &Tensor, Tensor) -> Tensor,
) -> Tensor {
    let (reset, update) = ((&x[0] + &h[0]).sigmoid(), (&x[1] + &h[1]).sigmoid());
    mix(&update, hidden, squash(&x[2] + reset * &h[2]))
}

/// Exercise 2.2.
pub fn gru_step_exercise() -> Exercise<GruStep> {
    fn mixed(update: &Tensor, hidden: &Tensor, candidate: Tensor) -> Tensor {
        update * hidden + (1.0 - update) * candidate
    }
    Exercise {
        number: "2.2",
        reference: reference_gru,
        mistakes: vec![
            Mistake::new(
                "z and 1 − z are exchanged: in libtorch z is the share of the old state (papers differ)",
                |x, h, w| gru_from(gru_sums(x, h, w), h, |sum| sum.tanh(), |z, h, g| (1.0 - z) * h + z * g),
            ),
            Mistake::new(
                "reset and update gate are exchanged: libtorch's order is r, z, candidate",
                |x, h, w| {
                    let (mut from_x, mut from_h) = gru_sums(x, h, w);
                    from_x.swap(0, 1);
                    from_h.swap(0, 1);
                    gru_from((from_x, from_h), h, |sum| sum.tanh(), mixed)
                },
            ),
            Mistake::new(
                "the reset gate multiplies the state before the matrix, as in the paper's last version: in \
                 libtorch it multiplies h·U + b'",
                |x, h, w| {
                    let (from_x, from_h) = gru_sums(x, h, w);
                    let (reset, update) =
                        ((&from_x[0] + &from_h[0]).sigmoid(), (&from_x[1] + &from_h[1]).sigmoid());
                    let from_reset = ((reset * h).matmul(&w.hh) + &w.hidden_bias).chunk(3, -1);
                    mixed(&update, h, (&from_x[2] + &from_reset[2]).tanh())
                },
            ),
            Mistake::new(
                "the reset gate must multiply the bias of the hidden side too: r ⊙ (h·U + b')",
                |x, h, w| {
                    let (from_x, from_h) = gru_sums(x, h, w);
                    let (reset, update) =
                        ((&from_x[0] + &from_h[0]).sigmoid(), (&from_x[1] + &from_h[1]).sigmoid());
                    let bias = &w.hidden_bias.chunk(3, 0)[2];
                    mixed(&update, h, (&from_x[2] + reset * (&from_h[2] - bias) + bias).tanh())
                },
            ),
            Mistake::new("the reset gate is missing: the candidate sees r ⊙ (h·U + b')", |x, h, w| {
                let (from_x, from_h) = gru_sums(x, h, w);
                mixed(&(&from_x[1] + &from_h[1]).sigmoid(), h, (&from_x[2] + &from_h[2]).tanh())
            }),
            Mistake::new("the old state is not carried on: add z ⊙ hidden", |x, h, w| {
                gru_from(gru_sums(x, h, w), h, |sum| sum.tanh(), |z, _, g| (1.0 - z) * g)
            }),
            Mistake::new(
                "the candidate is added whole: its share is 1 − z, so that the shares sum to 1",
                |x, h, w| gru_from(gru_sums(x, h, w), h, |sum| sum.tanh(), |z, h, g| z * h + g),
            ),
            Mistake::new("the candidate is squashed by a sigmoid: it is a tanh", |x, h, w| {
                gru_from(gru_sums(x, h, w), h, |sum| sum.sigmoid(), mixed)
            }),
            Mistake::new("the bias of the hidden side is missing: w.hidden_bias", |x, h, w| {
                let from_x = (x.matmul(&w.xh) + &w.bias).chunk(3, -1);
                gru_from((from_x, h.matmul(&w.hh).chunk(3, -1)), h, |sum| sum.tanh(), mixed)
            }),
            Mistake::new(
                "the graph is cut: detach or no_grad inside the step stops the gradient",
                |x, h, w| reference_gru(x, h, w).detach(),
            ),
        ],
        run: |step, cases| {
            let (batch, input, hidden) = (cases.size(2, 5), cases.size(2, 6), cases.size(2, 5));
            let x = cases.tensor(&[batch, input], 1.0);
            let h = cases.tensor(&[batch, hidden], 1.0);
            let w = GruWeights {
                xh: cases.tensor(&[input, 3 * hidden], 1.0),
                hh: cases.tensor(&[hidden, 3 * hidden], 1.0),
                bias: cases.tensor(&[3 * hidden], 1.0),
                hidden_bias: cases.tensor(&[3 * hidden], 1.0),
            };
            let next = step(&x, &h, &w);
            let names = ["the gradient of x", "the gradient of hidden", "the gradient of w.hh"];
            with_gradients("the new hidden state", next, &names, &[&x, &h, &w.hh])
        },
    }
}

/// Checks the correlation of units with a feature; returns the function if it is right, else the reference.
pub fn correlation(answer: Correlation) -> Correlation {
    correlation_exercise().check(answer)
}

/// Values minus their mean over time.
fn centred(values: &Tensor) -> Tensor {
    values - values.mean_dim(0, true, Kind::Double)
}

fn root_of_squares(values: &Tensor) -> Tensor {
    values.square().sum_dim_intlist(0, false, Kind::Double).sqrt()
}

/// Σ cells · feature over time.
fn product(cells: &Tensor, feature: &Tensor) -> Tensor {
    (cells * feature.unsqueeze(1)).sum_dim_intlist(0, false, Kind::Double)
}

/// Exercise 2.4.
pub fn correlation_exercise() -> Exercise<Correlation> {
    fn right(cells: &Tensor, feature: &Tensor) -> Tensor {
        let (cells, feature) = (centred(cells), centred(feature));
        product(&cells, &feature) / (root_of_squares(&cells) * root_of_squares(&feature))
    }
    Exercise {
        number: "2.4",
        reference: right,
        mistakes: vec![
            Mistake::new(
                "the means are not subtracted: centre cells and feature over time first",
                |cells, feature| {
                    product(cells, feature) / (root_of_squares(cells) * root_of_squares(feature))
                },
            ),
            Mistake::new(
                "this is the covariance: divide by the spread of the cell and of the feature",
                |cells, feature| product(&centred(cells), &centred(feature)) / feature.size()[0],
            ),
            Mistake::new(
                "n and n − 1 are mixed: libtorch's std divides by n − 1, the mean by n; divide sums by roots of sums",
                |cells, feature| {
                    let count = feature.size()[0] as f64;
                    right(cells, feature) * ((count - 1.0) / count)
                },
            ),
            Mistake::new(
                "the sign is lost: a cell that falls where the feature rises has −1",
                |cells, feature| right(cells, feature).abs(),
            ),
            Mistake::new(
                "this is the square of the correlation: the numbers go from −1 to 1",
                |cells, feature| right(cells, feature).square(),
            ),
            Mistake::new(
                "the mean is taken over the units: centre each unit over time, dimension 0",
                |cells, feature| {
                    let cells = cells - cells.mean_dim(1, true, Kind::Double);
                    let feature = centred(feature);
                    product(&cells, &feature) / (root_of_squares(&cells) * root_of_squares(&feature))
                },
            ),
        ],
        run: |correlation, cases| {
            let (time, units) = (cases.size(12, 20), cases.size(2, 5));
            let shift = if cases.extreme() { 20.0 } else { 1.0 };
            let cells = cases.tensor(&[time, units], 2.0).detach() + shift;
            let feature = cases.tensor(&[time], 1.0).detach().gt(0.2).to_kind(Kind::Double);
            let (cells, feature) = (cases.keep(cells), cases.keep(feature));
            vec![Outcome::new("the correlation", correlation(&cells, &feature))]
        },
    }
}

/// Checks a *test* of batches: it must accept streams that go on, and reject batches whose rows do not.
pub fn stream_test(answer: StreamTest) -> StreamTest {
    stream_test_exercise().check(answer)
}

/// `[0, 1, 2, …]` cut into batches: the id at (number, row, step) is `start(number, row) + step`.
fn cut(count: i64, rows: i64, time: i64, start: impl Fn(i64, i64) -> i64) -> Vec<Batch> {
    let batch = |number: i64| {
        let starts: Vec<i64> = (0..rows).map(|row| start(number, row)).collect();
        let steps = Tensor::arange(time, (Kind::Int64, tch::Device::Cpu));
        let ids = Tensor::from_slice(&starts).unsqueeze(1) + steps;
        Batch { targets: &ids + 1, ids, first: number == 0 }
    };
    (0..count).map(batch).collect()
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn walks(rows: i64, time: i64) -> Vec<(&'static str, Vec<Batch>)> {
    let length = 100; // of a stream
    let sound = || cut(6, rows, time, |n, row| row * length + n * time);
    let order = [0, 3, 1, 5, 2, 4];
    let shuffled = cut(6, rows, time, |n, row| row * length + order[n as usize] * time);
    let turned = cut(6, rows, time, |n, row| ((row + n) % rows) * length + n * time);
    let wrapped = cut(6, rows, time, |n, row| (n * rows + row) * time);
    let gapped = cut(6, rows, time, |n, row| row * length + n * (time + 1));
    let overlapping = cut(6, rows, time, |n, row| row * length + n * (time - 1));
    let later = cut(6, rows, time, |n, row| row * length + (n + n / 4) * time);
    let last_row = cut(6, rows, time, |n, row| {
        row * length + if row == rows - 1 { order[n as usize] } else { n } * time
    });
    let twice = sound().into_iter().chain(sound()).collect();
    vec![
        ("it rejects sound streams: a row's next batch begins with the target of its last step", sound()),
        (
            "it rejects a second walk through the text: where `first` is true the state begins anew, so nothing \
             has to go on",
            twice,
        ),
        ("it accepts shuffled batches: compare each batch with the one before it", shuffled),
        (
            "it accepts rows that go on in the next row of the same batch: compare row with the same row of the \
             next batch",
            wrapped,
        ),
        ("it accepts rows that change places: compare row by row", turned),
        ("it accepts streams that leave out a character between two batches", gapped),
        ("it accepts streams that read a character twice", overlapping),
        ("it accepts streams of which only the last row is out of order: compare all rows", last_row),
        (
            "it accepts streams that break off after some batches: compare every batch with the one before it",
            later,
        ),
    ]
}

/// Exercise 2.5: the verdicts of the learner's test are what is compared.
pub fn stream_test_exercise() -> Exercise<StreamTest> {
    Exercise {
        number: "2.5",
        reference: |batches| {
            batches
                .windows(2)
                .all(|pair| pair[1].first || pair[0].targets.select(1, -1) == pair[1].ids.select(1, 0))
        },
        mistakes: vec![],
        run: |test, cases| {
            let (rows, time) = (cases.size(2, 4), cases.size(3, 6));
            let verdict = |batches: Vec<Batch>| Tensor::from(test(&batches));
            walks(rows, time)
                .into_iter()
                .map(|(what, batches)| Outcome::new(what, verdict(batches)))
                .collect()
        },
    }
}
