//! Exercises of the ladder: weights of a recurrent model, a width for a budget, the value of a curve at a time, a
//! comparison of seeds, a test of how a loss is measured.

use std::ops::Range;

use tch::Tensor;

use super::{Cases, Exercise, Mistake, Outcome};

/// blocks, vocab_size, embed_dim, hidden_dim → weights of a recurrent language model.
pub type WeightCount = fn(i64, i64, i64, i64) -> i64;
/// Weights of a model of some width.
pub type Count<'a> = &'a dyn Fn(i64) -> i64;
/// Weights of each width, which grow with it, and a budget → the width whose weights are nearest to the budget.
pub type NearestWidth = fn(Count<'_>, i64) -> i64;
/// seconds and values of a curve, a time → the last value at or before the time.
pub type ValueAt = fn(&[f64], &[f64], f64) -> Option<f64>;
/// The losses of two families, one for each seed → how far the first is below the second.
pub type CompareSeeds = fn(&[f64], &[f64]) -> SeedComparison;
/// A model: the ids before an id, and the id → its surprise in nats.
pub type Surprise = fn(&[i64], i64) -> f64;
/// A way to measure: a model and the ids of a text → mean nats of all ids but the first.
pub type Ruler = fn(Surprise, &[i64]) -> f64;
/// A test of a way to measure: `true` if it is sound.
pub type RulerTest = fn(Ruler) -> bool;

/// Two families compared over their seeds; the smaller loss is the better one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeedComparison {
    /// Mean of the second family less mean of the first.
    pub difference: f64,
    /// Standard error of the difference, √(s²ₐ/nₐ + s²ᵦ/nᵦ) with s² over n − 1 (Welch 1947).
    pub error: f64,
    /// Whether every loss of the first is below every loss of the second.
    pub apart: bool,
}

/// Checks the count of weights; returns the function if it is right, else the reference.
pub fn weight_count(answer: WeightCount) -> WeightCount {
    weight_count_exercise().check(answer)
}

fn embedding(vocab: i64, embed: i64) -> i64 {
    vocab * embed
}

fn recurrent(blocks: i64, embed: i64, hidden: i64, biases: i64) -> i64 {
    blocks * hidden * (embed + hidden + biases)
}

fn head(vocab: i64, hidden: i64) -> i64 {
    vocab * (hidden + 1)
}

/// Exercise 11.1.
pub fn weight_count_exercise() -> Exercise<WeightCount> {
    Exercise {
        number: "11.1",
        reference: |b, v, e, h| embedding(v, e) + recurrent(b, e, h, 2) + head(v, h),
        mistakes: vec![
            Mistake::new(
                "one bias for each unit and block: libtorch keeps two, one beside each matrix",
                |b, v, e, h| embedding(v, e) + recurrent(b, e, h, 1) + head(v, h),
            ),
            Mistake::new(
                "the biases of the recurrent layer are missing: two for each unit and block",
                |b, v, e, h| embedding(v, e) + recurrent(b, e, h, 0) + head(v, h),
            ),
            Mistake::new("the bias of the head is missing: one for each id", |b, v, e, h| {
                embedding(v, e) + recurrent(b, e, h, 2) + v * h
            }),
            Mistake::new("the embedding is missing: a row of embed numbers for each id", |b, v, e, h| {
                recurrent(b, e, h, 2) + head(v, h)
            }),
            Mistake::new("the head is missing: from hidden numbers to a logit for each id", |b, v, e, h| {
                embedding(v, e) + recurrent(b, e, h, 2)
            }),
            Mistake::new(
                "the matrix that reads the state is missing: hidden × hidden in each block",
                |b, v, e, h| embedding(v, e) + b * h * (e + 2) + head(v, h),
            ),
            Mistake::new(
                "only the input has a matrix in each block: the state has one too, hidden × hidden times blocks",
                |b, v, e, h| embedding(v, e) + b * h * (e + 2) + h * h + head(v, h),
            ),
            Mistake::new("the blocks are not counted: an LSTM has four of all, a GRU three", |_, v, e, h| {
                embedding(v, e) + recurrent(1, e, h, 2) + head(v, h)
            }),
            Mistake::new(
                "the head reads the state, not the embedding: hidden numbers, not embed",
                |b, v, e, h| embedding(v, e) + recurrent(b, e, h, 2) + head(v, e),
            ),
        ],
        run: |count, cases| {
            // Small, so that one weight more or less is seen.
            let sizes = (cases.size(3, 9), cases.size(2, 6), cases.size(7, 11));
            let (vocab, embed, hidden) = if cases.extreme() { (1, 1, 1) } else { sizes };
            let of = |blocks| Tensor::from(count(blocks, vocab, embed, hidden));
            Outcome::list([
                ("the weights of an RNN (1 block)", of(1)),
                ("the weights of a GRU (3 blocks)", of(3)),
                ("the weights of an LSTM (4 blocks)", of(4)),
            ])
        },
    }
}

/// Checks the width for a budget; returns the function if it is right, else the reference.
pub fn nearest_width(answer: NearestWidth) -> NearestWidth {
    nearest_width_exercise().check(answer)
}

/// The widest model within the budget; 0 if even a width of 1 is above it.
fn widest_within(count: Count, budget: i64) -> i64 {
    (1..).find(|&width| count(width) > budget).map_or(0, |width| width - 1)
}

/// The narrower and the wider neighbour of a budget, and how far each is off; the narrower is at least 1.
fn neighbours(count: Count, budget: i64) -> [(i64, i64); 2] {
    let within = widest_within(count, budget);
    [within.max(1), within + 1].map(|width| (width, (count(width) - budget).abs()))
}

/// Exercise 11.2.
pub fn nearest_width_exercise() -> Exercise<NearestWidth> {
    Exercise {
        number: "11.2",
        reference: |count, budget| {
            let [narrow, wide] = neighbours(count, budget);
            if wide.1 < narrow.1 { wide.0 } else { narrow.0 }
        },
        mistakes: vec![
            Mistake::new(
                "this is the widest model within the budget: the next wider one may be nearer to it",
                |count, budget| neighbours(count, budget)[0].0,
            ),
            Mistake::new(
                "this is the first model above the budget: the one before may be nearer to it",
                |count, budget| widest_within(count, budget) + 1,
            ),
            Mistake::new(
                "this is the farther one of the two widths beside the budget: take the one that is less off",
                |count, budget| {
                    let [narrow, wide] = neighbours(count, budget);
                    if wide.1 < narrow.1 { narrow.0 } else { wide.0 }
                },
            ),
            Mistake::new("this is the number of weights: the width is wanted", |count, budget| {
                let [narrow, wide] = neighbours(count, budget);
                count(if wide.1 < narrow.1 { wide.0 } else { narrow.0 })
            }),
            Mistake::new(
                "this is √budget: embedding, biases and head count too, so ask `count`",
                |_, budget| (budget as f64).sqrt().round() as i64,
            ),
            Mistake::new("even widths only: odd ones count as well", |count, budget| {
                (1..=widest_within(count, budget) + 2)
                    .map(|half| 2 * half)
                    .min_by_key(|&width| (count(width) - budget).abs())
                    .unwrap_or(2)
            }),
        ],
        run: |nearest, cases| {
            let (a, b, c) = (cases.size(1, 4), cases.size(2, 40), cases.size(0, 60));
            let count = move |width: i64| a * width * width + b * width + c;
            let width = if cases.extreme() { 1 } else { cases.size(2, 30) };
            let (at, next) = (count(width), count(width + 1));
            // Exactly a model, nearer to the narrower of two, nearer to the wider.
            let budgets = [at, at + (next - at) / 4, next - (next - at) / 4];
            let widths: Vec<i64> = budgets.iter().map(|&budget| nearest(&count, budget)).collect();
            vec![Outcome::new("the width", Tensor::from_slice(&widths))]
        },
    }
}

/// Checks the value of a curve at a time; returns the function if it is right, else the reference.
pub fn value_at(answer: ValueAt) -> ValueAt {
    value_at_exercise().check(answer)
}

fn last_before(seconds: &[f64], time: f64) -> Option<usize> {
    seconds.iter().rposition(|&at| at <= time)
}

/// Exercise 11.3.
pub fn value_at_exercise() -> Exercise<ValueAt> {
    Exercise {
        number: "11.3",
        reference: |seconds, values, time| Some(values[last_before(seconds, time)?]),
        mistakes: vec![
            Mistake::new(
                "before the first value there is none: None; the first one would be reading ahead",
                |seconds, values, time| Some(values[last_before(seconds, time).unwrap_or(0)]),
            ),
            Mistake::new(
                "this is the first value at or after the time: that reads ahead; take the last one at or before",
                |seconds, values, time| Some(values[seconds.iter().position(|&at| at >= time)?]),
            ),
            Mistake::new("a value at exactly this time counts too: at <= time", |seconds, values, time| {
                Some(values[seconds.iter().rposition(|&at| at < time)?])
            }),
            Mistake::new(
                "this is the nearest value: it may lie after the time, and that reads ahead",
                |seconds, values, time| {
                    let off = |i: &usize| (seconds[*i] - time).abs();
                    let near = (0..seconds.len()).min_by(|a, b| off(a).total_cmp(&off(b)))?;
                    Some(values[near])
                },
            ),
            Mistake::new(
                "the value is drawn on a straight line to the next one: that reads ahead; take the last one measured",
                |seconds, values, time| {
                    let i = last_before(seconds, time)?;
                    let Some(next) = seconds.get(i + 1) else { return Some(values[i]) };
                    let share = (time - seconds[i]) / (next - seconds[i]);
                    Some(values[i] + share * (values[i + 1] - values[i]))
                },
            ),
            Mistake::new(
                "this is the best value so far: it chooses among values by what they are; take the last one",
                |seconds, values, time| {
                    let so_far = &values[..=last_before(seconds, time)?];
                    so_far.iter().copied().min_by(f64::total_cmp)
                },
            ),
            Mistake::new("this is the curve's last value, whatever the time", |_, values, _| {
                values.last().copied()
            }),
            Mistake::new(
                "this is the curve's first value: `rposition` finds the last one that fits",
                |s, values, time| Some(values[s.iter().position(|&at| at <= time)?]),
            ),
            Mistake::new("this is the time of the value: the value itself is wanted", |seconds, _, time| {
                Some(seconds[last_before(seconds, time)?])
            }),
        ],
        run: |value_at, cases| {
            let count = if cases.extreme() { 1 } else { cases.size(4, 7) };
            let mut at = 0.0;
            let mut later = || {
                at += cases.number(0.2, 3.0);
                at
            };
            let seconds: Vec<f64> = (0..count).map(|_| later()).collect();
            // Up and down, so that the last value is not always the best.
            let values: Vec<f64> = (0..count).map(|i| cases.number(1.0, 2.0) + (i % 2) as f64).collect();
            let between =
                seconds.windows(2).flat_map(|s| [0.3, 0.8].map(|share| s[0] + share * (s[1] - s[0])));
            let times = [&[0.1], &seconds[..], &[at + 1.0]].concat().into_iter().chain(between);
            let found: Vec<Option<f64>> = times.map(|time| value_at(&seconds, &values, time)).collect();
            let there: Vec<f64> = found.iter().map(|value| f64::from(u8::from(value.is_some()))).collect();
            let values: Vec<f64> = found.iter().map(|value| value.unwrap_or(0.0)).collect();
            Outcome::list([
                ("whether there is a value (1 for Some)", Tensor::from_slice(&there)),
                ("the value", Tensor::from_slice(&values)),
            ])
        },
    }
}

/// Checks the comparison of seeds; returns the function if it is right, else the reference.
pub fn compare_seeds(answer: CompareSeeds) -> CompareSeeds {
    compare_seeds_exercise().check(answer)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean squared distance from the mean, over n − `less`.
fn variance(values: &[f64], less: usize) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - less) as f64
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Exercise 11.4.
pub fn compare_seeds_exercise() -> Exercise<CompareSeeds> {
    fn right(a: &[f64], b: &[f64]) -> SeedComparison {
        let error = (variance(a, 1) / a.len() as f64 + variance(b, 1) / b.len() as f64).sqrt();
        SeedComparison { difference: mean(b) - mean(a), error, apart: largest(a) < smallest(b) }
    }
    Exercise {
        number: "11.4",
        reference: right,
        mistakes: vec![
            Mistake::new(
                "`difference` has the wrong sign: how far a is below b, so mean of b less mean of a",
                |a, b| SeedComparison { difference: mean(a) - mean(b), ..right(a, b) },
            ),
            Mistake::new(
                "the variance is divided by n: the mean is an estimate too, so divide by n − 1",
                |a, b| {
                    let error = (variance(a, 0) / a.len() as f64 + variance(b, 0) / b.len() as f64).sqrt();
                    SeedComparison { error, ..right(a, b) }
                },
            ),
            Mistake::new(
                "this is the spread of single seeds: a mean of n seeds is surer, so divide each variance by n",
                |a, b| SeedComparison { error: (variance(a, 1) + variance(b, 1)).sqrt(), ..right(a, b) },
            ),
            Mistake::new(
                "the two errors are added: add their squares and take the root, for they rarely err together",
                |a, b| {
                    let of = |values: &[f64]| (variance(values, 1) / values.len() as f64).sqrt();
                    SeedComparison { error: of(a) + of(b), ..right(a, b) }
                },
            ),
            Mistake::new("the root is missing in `error`: it would be in bits squared", |a, b| {
                let error = variance(a, 1) / a.len() as f64 + variance(b, 1) / b.len() as f64;
                SeedComparison { error, ..right(a, b) }
            }),
            Mistake::new(
                "`apart` compares the means: every value of a must be below every value of b",
                |a, b| SeedComparison { apart: mean(a) < mean(b), ..right(a, b) },
            ),
            Mistake::new(
                "`apart` compares seed by seed: seed 1 of a must be below all seeds of b, not only seed 1",
                |a, b| SeedComparison { apart: a.iter().zip(b).all(|(a, b)| a < b), ..right(a, b) },
            ),
            Mistake::new(
                "`apart` asks whether some value of a is below some of b: take the largest of a and the smallest of b",
                |a, b| SeedComparison { apart: smallest(a) < largest(b), ..right(a, b) },
            ),
            Mistake::new(
                "`apart` asks whether every value of b is below every value of a: it is a that should be below",
                |a, b| SeedComparison { apart: largest(b) < smallest(a), ..right(a, b) },
            ),
            Mistake::new(
                "`apart` compares difference and error: it is about the values themselves, the largest of a and the \
                 smallest of b",
                |a, b| SeedComparison { apart: right(a, b).difference > right(a, b).error, ..right(a, b) },
            ),
        ],
        run: |compare, cases| {
            let (a, b) = seeds(cases);
            let SeedComparison { difference, error, apart } = compare(&a, &b);
            Outcome::list([
                ("the difference", Tensor::from(difference)),
                ("the error", Tensor::from(error)),
                (
                    "`apart` must be true exactly if the largest a is below the smallest b",
                    Tensor::from(apart),
                ),
            ])
        },
    }
}

/// Losses of two families: apart, only pairwise apart, or mixed, so that every rule for `apart` is told.
fn seeds(cases: &mut Cases) -> (Vec<f64>, Vec<f64>) {
    let a: Vec<f64> = (0..4).map(|_| cases.number(1.0, 1.2)).collect();
    let above: Vec<f64> = a.iter().map(|value| value + 0.02).collect();
    match cases.size(0, 3) {
        _ if cases.extreme() => (a, vec![0.9, 1.5, 1.45, 1.4]), // a is lower, but not seed by seed
        0 => (a, above),
        1 => (vec![1.5, 1.3, 1.35], a),
        2 => (a, vec![1.25, 1.3, 1.25, 1.2, 1.21]),
        _ => (above, a),
    }
}

/// Checks a *test* of a way to measure: it must accept what is sound and reject all else.
pub fn ruler_test(answer: RulerTest) -> RulerTest {
    ruler_test_exercise().check(answer)
}

/// A sound ruler gives every id at least so many ids before it, or all there are.
const REACH: usize = 16;

/// The mean over the ids that `counted` names, each after the ids of `context`.
fn measured(
    model: Surprise,
    ids: &[i64],
    context: fn(usize) -> Range<usize>,
    counted: fn(usize, usize) -> bool,
) -> f64 {
    let places: Vec<usize> = (1..ids.len()).filter(|&i| counted(i, ids.len())).collect();
    mean(&places.iter().map(|&i| model(&ids[context(i)], ids[i])).collect::<Vec<_>>())
}

fn all(_: usize, _: usize) -> bool {
    true
}

fn whole(place: usize) -> Range<usize> {
    0..place
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> Vec<(&'static str, Ruler)> {
    vec![
        ("it rejects the plain ruler, which gives every id all ids before it", |model, ids| {
            measured(model, ids, whole, all)
        }),
        (
            "it rejects windows that overlap: each id has at least the 16 ids before it, and your model must look no \
             further",
            |model, ids| measured(model, ids, |i| (i / REACH * REACH).saturating_sub(REACH)..i, all),
        ),
        (
            "it accepts chunks that begin with nothing before them: let the loss depend on how many ids stand before",
            |model, ids| measured(model, ids, |i| i / 32 * 32..i, all),
        ),
        ("it accepts a window of 8 ids: let the loss depend on each of the 16 ids before", |model, ids| {
            measured(model, ids, |i| i.saturating_sub(8)..i, all)
        }),
        (
            "it accepts a past that belongs to another place of the text: let the loss depend on which ids stand before",
            |model, ids| {
                let elsewhere: Vec<i64> = ids.iter().rev().copied().collect();
                mean(&(1..ids.len()).map(|i| model(&elsewhere[..i], ids[i])).collect::<Vec<_>>())
            },
        ),
        ("it accepts a context that holds the id itself: a model that sees it could copy", |model, ids| {
            measured(model, ids, |i| 0..i + 1, all)
        }),
        (
            "it accepts chunks whose first id is never predicted: compare with the mean over all ids but the first",
            |model, ids| measured(model, ids, whole, |i, _| i % 32 != 0),
        ),
        (
            "it accepts a ruler that drops the end of the text, where no whole chunk of 32 is left: take a text whose \
             length is no multiple of 32",
            |model, ids| measured(model, ids, whole, |i, length| i <= (length - 1) / 32 * 32),
        ),
        (
            "it accepts a mean of the means of chunks: the last one is shorter, and its ids count for more",
            |model, ids| {
                let losses: Vec<f64> = (1..ids.len()).map(|i| model(&ids[..i], ids[i])).collect();
                mean(&losses.chunks(32).map(mean).collect::<Vec<_>>())
            },
        ),
        (
            "it accepts a sum over n − 1 predictions that is divided by n: compare number by number",
            |model, ids| measured(model, ids, whole, all) * (ids.len() - 1) as f64 / ids.len() as f64,
        ),
        (
            "it accepts overlapping windows that count the ids of the overlap twice: every id counts once",
            |model, ids| {
                let twice = (1..ids.len()).filter(|i| i / REACH % 2 == 1).chain(1..ids.len());
                mean(&twice.map(|i| model(&ids[..i], ids[i])).collect::<Vec<_>>())
            },
        ),
    ]
}

/// Exercise 11.5: the verdicts of the learner's test are what is compared.
pub fn ruler_test_exercise() -> Exercise<RulerTest> {
    /// The more of the 16 ids before are right, the smaller the surprise; the text is 0, 1, 2, …
    fn model(context: &[i64], id: i64) -> f64 {
        let right = context.iter().rev().take(REACH).zip(1..).filter(|&(&seen, back)| seen == id - back);
        1.0 / (1.0 + right.count() as f64)
    }
    Exercise {
        number: "11.5",
        reference: |ruler| {
            let ids: Vec<i64> = (0..75).collect();
            let want = (1..75).map(|i| 1.0 / (1.0 + i.min(16) as f64)).sum::<f64>() / 74.0;
            (ruler(model, &ids) - want).abs() < 1e-9
        },
        mistakes: vec![],
        run: |test, _| {
            let verdict = |(what, ruler): (_, Ruler)| Outcome::new(what, Tensor::from(test(ruler)));
            specimens().into_iter().map(verdict).collect()
        },
    }
}
