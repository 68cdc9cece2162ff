//! The checks of lesson 11 accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check::{self, Ruler, SeedComparison};

use crate::verdicts::{accepts, rejects};

#[test]
pub fn weight_count() {
    let exercise = check::weight_count_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |blocks, vocab, embed, hidden| {
            let cell = hidden * embed + hidden * hidden + 2 * hidden;
            vocab * embed + blocks * cell + hidden * vocab + vocab
        }],
    );
    rejects(
        &exercise,
        &[
            ("libtorch keeps two", |b, v, e, h| v * e + b * (h * e + h * h + h) + h * v + v),
            ("biases of the recurrent layer are missing", |b, v, e, h| v * e + b * h * (e + h) + h * v + v),
            ("bias of the head is missing", |b, v, e, h| v * e + b * (h * e + h * h + 2 * h) + h * v),
            ("embedding is missing", |b, v, e, h| b * (h * e + h * h + 2 * h) + h * v + v),
            ("head is missing", |b, v, e, h| v * e + b * (h * e + h * h + 2 * h)),
            ("reads the state is missing", |b, v, e, h| v * e + b * (h * e + 2 * h) + h * v + v),
            ("hidden × hidden times blocks", |b, v, e, h| v * e + b * h * e + h * h + 2 * b * h + h * v + v),
            ("blocks are not counted", |_, v, e, h| v * e + h * e + h * h + 2 * h + h * v + v),
            ("not the embedding", |b, v, e, h| v * e + b * (h * e + h * h + 2 * h) + e * v + v),
            ("off by", |_, v, e, h| v * e + 4 * (h * e + h * h + 2 * h) + h * v + v),
        ],
    );
}

/// By walking up from 1 until the next width is farther off.
fn nearest(count: &dyn Fn(i64) -> i64, budget: i64) -> i64 {
    let mut width = 1;
    while (count(width + 1) - budget).abs() < (count(width) - budget).abs() {
        width += 1;
    }
    width
}

#[test]
pub fn nearest_width() {
    let exercise = check::nearest_width_exercise();
    accepts(
        &exercise,
        &[exercise.reference, nearest, |count, budget| {
            (1..1000).min_by_key(|&width| (count(width) - budget).abs()).unwrap()
        }],
    );
    rejects(
        &exercise,
        &[
            ("widest model within", |count, budget| {
                (1..1000).take_while(|&width| count(width) <= budget).last().unwrap_or(1)
            }),
            ("first model above", |count, budget| (1..1000).find(|&width| count(width) > budget).unwrap()),
            ("farther one", |count, budget| {
                let best = nearest(count, budget);
                if count(best) > budget { (best - 1).max(1) } else { best + 1 }
            }),
            ("the width is wanted", |count, budget| count(nearest(count, budget))),
            ("√budget", |_, budget| (budget as f64).sqrt().round() as i64),
            ("even widths", |count, budget| {
                (2..1000).step_by(2).min_by_key(|&width| (count(width) - budget).abs()).unwrap()
            }),
            ("off by", |count, budget| nearest(count, budget) + 1),
            ("off by", |_, _| 64),
        ],
    );
}

#[test]
pub fn value_at() {
    let exercise = check::value_at_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |seconds, values, time| {
                let so_far = seconds.iter().zip(values).take_while(|(at, _)| **at <= time);
                so_far.last().map(|(_, value)| *value)
            },
            |seconds, values, time| match seconds.partition_point(|&at| at <= time) {
                0 => None,
                passed => Some(values[passed - 1]),
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("before the first value", |seconds, values, time| {
                let passed = seconds.iter().filter(|at| **at <= time).count();
                Some(values[passed.max(1) - 1])
            }),
            ("at or after", |seconds, values, time| {
                seconds.iter().zip(values).find(|(at, _)| **at >= time).map(|(_, value)| *value)
            }),
            ("exactly this time", |seconds, values, time| {
                seconds.iter().zip(values).take_while(|(at, _)| **at < time).last().map(|(_, value)| *value)
            }),
            ("nearest", |seconds, values, time| {
                let off = |at: &f64| (at - time).abs();
                seconds.iter().zip(values).min_by(|a, b| off(a.0).total_cmp(&off(b.0))).map(|(_, v)| *v)
            }),
            ("straight line", |seconds, values, time| {
                let next = seconds.iter().position(|&at| at > time);
                match next {
                    Some(0) => None,
                    None => values.last().copied(),
                    Some(i) => {
                        let slope = (values[i] - values[i - 1]) / (seconds[i] - seconds[i - 1]);
                        Some(values[i - 1] + slope * (time - seconds[i - 1]))
                    }
                }
            }),
            ("best value so far", |seconds, values, time| {
                let so_far = seconds.iter().zip(values).filter(|(at, _)| **at <= time);
                so_far.map(|(_, value)| *value).min_by(f64::total_cmp)
            }),
            ("last value, whatever", |_, values, _| Some(values[values.len() - 1])),
            ("first value:", |seconds, values, time| {
                seconds.iter().zip(values).find(|(at, _)| **at <= time).map(|(_, value)| *value)
            }),
            ("time of the value", |seconds, _, time| seconds.iter().copied().rfind(|&at| at <= time)),
        ],
    );
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// s² / n with s² over n − 1, as the mean square less the square of the mean.
fn squared_error(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let squares = values.iter().map(|value| value * value).sum::<f64>();
    (squares - n * mean(values).powi(2)) / (n - 1.0) / n
}

fn compared(a: &[f64], b: &[f64]) -> SeedComparison {
    SeedComparison {
        difference: mean(b) - mean(a),
        error: (squared_error(a) + squared_error(b)).sqrt(),
        apart: a.iter().all(|low| b.iter().all(|high| low < high)),
    }
}

/// The right comparison with another error.
fn with_error(a: &[f64], b: &[f64], error: f64) -> SeedComparison {
    SeedComparison { error, ..compared(a, b) }
}

/// The right comparison with another verdict.
fn with_verdict(a: &[f64], b: &[f64], apart: bool) -> SeedComparison {
    SeedComparison { apart, ..compared(a, b) }
}

#[test]
pub fn compare_seeds() {
    let exercise = check::compare_seeds_exercise();
    accepts(&exercise, &[exercise.reference, compared]);
    rejects(
        &exercise,
        &[
            ("wrong sign", |a, b| SeedComparison { difference: mean(a) - mean(b), ..compared(a, b) }),
            ("n − 1", |a, b| {
                let of = |values: &[f64]| {
                    squared_error(values) * (values.len() as f64 - 1.0) / values.len() as f64
                };
                with_error(a, b, (of(a) + of(b)).sqrt())
            }),
            ("spread of single seeds", |a, b| {
                let of = |values: &[f64]| squared_error(values) * values.len() as f64;
                with_error(a, b, (of(a) + of(b)).sqrt())
            }),
            ("errors are added", |a, b| with_error(a, b, squared_error(a).sqrt() + squared_error(b).sqrt())),
            ("root is missing", |a, b| with_error(a, b, squared_error(a) + squared_error(b))),
            ("compares the means", |a, b| with_verdict(a, b, mean(b) > mean(a))),
            ("seed by seed", |a, b| with_verdict(a, b, !a.iter().zip(b).any(|(a, b)| a >= b))),
            ("some value", |a, b| with_verdict(a, b, a.iter().any(|low| b.iter().any(|high| low < high)))),
            ("every value of b is below", |a, b| {
                with_verdict(a, b, b.iter().all(|low| a.iter().all(|high| low < high)))
            }),
            ("difference and error", |a, b| {
                let right = compared(a, b);
                with_verdict(a, b, right.difference > right.error)
            }),
        ],
    );
}

/// The mean of a model's losses on 0, 1, … `length` − 1, when it gets all ids before each.
fn truth(model: check::Surprise, length: i64) -> f64 {
    let ids: Vec<i64> = (0..length).collect();
    (1..ids.len()).map(|i| model(&ids[..i], ids[i])).sum::<f64>() / (length - 1) as f64
}

fn agrees(ruler: Ruler, model: check::Surprise, length: i64) -> bool {
    let ids: Vec<i64> = (0..length).collect();
    (ruler(model, &ids) - truth(model, length)).abs() < 1e-9
}

/// How many ids it got, but for more than 16.
fn by_length(context: &[i64], _: i64) -> f64 {
    context.len().min(16) as f64
}

/// 1 for each of the 16 ids before that is not what stands there in the text 0, 1, 2, …
fn by_content(context: &[i64], id: i64) -> f64 {
    (1..=16).filter(|back| !context.iter().rev().take(16).any(|seen| *seen == id - back)).count() as f64
}

#[test]
pub fn ruler_test() {
    let exercise = check::ruler_test_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |ruler| agrees(ruler, by_content, 101),
            |ruler| agrees(ruler, by_content, 70) && agrees(ruler, by_length, 70),
        ],
    );
    rejects(
        &exercise,
        &[
            ("rejects the plain ruler", |_| false),
            ("chunks that begin with nothing", |_| true),
            ("rejects windows that overlap", |ruler| agrees(ruler, |context, _| context.len() as f64, 101)),
            ("another place", |ruler| agrees(ruler, by_length, 101)),
            ("window of 8", |ruler| agrees(ruler, |context, _| context.len().min(8) as f64, 101)),
            ("chunks that begin with nothing", |ruler| agrees(ruler, |_, id| id as f64, 101)),
            ("no multiple of 32", |ruler| agrees(ruler, by_content, 65)),
        ],
    );
}
