//! Exercises of GPT: next-token targets, decay groups, the nucleus, a step with a cache, induction, a test of samplers.

use tch::{Kind, Tensor};

use super::compare::Cases;
use super::{Exercise, Mistake, Outcome};
use crate::data::IGNORE;

/// Rows of ids, of different lengths → ids and targets, `[batch, time]` each, filled up with 0 and [`IGNORE`].
pub type NextTokens = fn(&[Vec<i64>]) -> (Tensor, Tensor);
/// The name of a weight and its shape → whether AdamW decays it.
pub type Decays = fn(&str, &[i64]) -> bool;
/// Probabilities `[vocab]`, in no order, and p → those of the nucleus, scaled to sum to 1, the others 0.
pub type Nucleus = fn(&Tensor, f64) -> Tensor;
/// Query, key and value of a new position, `[head, 1, d_head]`, keys and values of those before it, `[head, past,
/// d_head]` → attention's output `[head, 1, d_head]`, and keys and values with the new ones.
pub type CachedStep = fn(&Tensor, &Tensor, &Tensor, &Tensor, &Tensor) -> (Tensor, Tensor, Tensor);
/// Attention weights `[head, query, key]` of a row of ids → a score for each head, `[head]`.
pub type InductionScore = fn(&Tensor, &[i64]) -> Tensor;
/// A test of a nucleus: `true` if it keeps what it should.
pub type NucleusTest = fn(Nucleus) -> bool;

/// Checks ids and targets; returns the function if it is right, else the reference.
pub fn next_tokens(answer: NextTokens) -> NextTokens {
    next_tokens_exercise().check(answer)
}

/// What `input` and `target` make of each row, filled up to the longest.
fn filled(
    rows: &[Vec<i64>],
    fill: i64,
    input: fn(&[i64]) -> Vec<i64>,
    target: fn(&[i64]) -> Vec<i64>,
) -> (Tensor, Tensor) {
    let side = |part: fn(&[i64]) -> Vec<i64>, fill: i64| {
        let parts: Vec<Vec<i64>> = rows.iter().map(|row| part(row)).collect();
        let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
        let long = parts.into_iter().map(|mut part| {
            part.resize(longest, fill);
            Tensor::from_slice(&part)
        });
        Tensor::stack(&long.collect::<Vec<_>>(), 0)
    };
    (side(input, 0), side(target, fill))
}

fn all_but_last(row: &[i64]) -> Vec<i64> {
    row[..row.len() - 1].to_vec()
}

fn all_but_first(row: &[i64]) -> Vec<i64> {
    row[1..].to_vec()
}

/// Exercise 7.1.
pub fn next_tokens_exercise() -> Exercise<NextTokens> {
    Exercise {
        number: "7.1",
        reference: |rows| filled(rows, IGNORE, all_but_last, all_but_first),
        mistakes: vec![
            Mistake::new(
                "the targets are the ids themselves: the target at t is the id at t + 1, row[1..]",
                |rows| filled(rows, IGNORE, all_but_last, all_but_last),
            ),
            Mistake::new(
                "the targets are the ids themselves: the target at t is the id at t + 1, row[1..]",
                |rows| filled(rows, IGNORE, <[i64]>::to_vec, <[i64]>::to_vec),
            ),
            Mistake::new("ids and targets are exchanged: this model would learn to read backwards", |rows| {
                filled(rows, IGNORE, all_but_first, all_but_last)
            }),
            Mistake::new(
                "the targets are shifted twice: the target at t is the id at t + 1, not t + 2",
                |rows| filled(rows, IGNORE, |row| row[..row.len() - 2].to_vec(), |row| row[2..].to_vec()),
            ),
            Mistake::new(
                "padding has a target: fill the targets up with IGNORE, or the model is trained to say id 0",
                |rows| filled(rows, 0, all_but_last, all_but_first),
            ),
            Mistake::new(
                "the ids are filled up with IGNORE: −100 is no row of the embedding; ids get 0, targets IGNORE",
                |rows| {
                    let (ids, targets) = filled(rows, IGNORE, all_but_last, all_but_first);
                    (ids.where_self(&targets.ne(IGNORE), &targets), targets)
                },
            ),
            Mistake::new(
                "every row is cut to the shortest: fill the short ones up instead, the long ones hold text",
                |rows| {
                    let shortest = rows.iter().map(Vec::len).min().unwrap_or(1);
                    let cut: Vec<Vec<i64>> = rows.iter().map(|row| row[..shortest].to_vec()).collect();
                    filled(&cut, IGNORE, all_but_last, all_but_first)
                },
            ),
            Mistake::new(
                "the rows keep all their ids: the last one has nothing after it, so it is a target only, row[..n − 1]",
                |rows| {
                    let (_, targets) =
                        filled(rows, IGNORE, |row| row.to_vec(), |row| [&row[1..], &[IGNORE]].concat());
                    (filled(rows, 0, <[i64]>::to_vec, <[i64]>::to_vec).0, targets)
                },
            ),
            Mistake::new(
                "the padding stands in front: then the first id of a row is not at position 0; fill up at the end",
                |rows| {
                    let turned: Vec<Vec<i64>> =
                        rows.iter().map(|row| row.iter().rev().copied().collect()).collect();
                    let (ids, targets) = filled(&turned, IGNORE, all_but_first, all_but_last);
                    (ids.flip([1]), targets.flip([1]))
                },
            ),
        ],
        run: |next_tokens, cases| {
            let longest = cases.id_list(7, 9, 20);
            let mut rows: Vec<Vec<i64>> =
                (0..cases.size(1, 3)).map(|_| cases.id_list(4, 6, 20)).map(|row| plus_one(&row)).collect();
            rows.insert(rows.len() / 2, plus_one(&longest));
            let (ids, targets) = next_tokens(&rows);
            Outcome::list([("the ids", ids), ("the targets", targets)])
        },
    }
}

/// No id is 0, which is what padding holds.
fn plus_one(ids: &[i64]) -> Vec<i64> {
    ids.iter().map(|id| id + 1).collect()
}

/// Checks which weights decay; returns the function if it is right, else the reference.
pub fn decays(answer: Decays) -> Decays {
    decays_exercise().check(answer)
}

/// Exercise 7.2.
pub fn decays_exercise() -> Exercise<Decays> {
    Exercise {
        number: "7.2",
        reference: |_, shape| shape.len() >= 2,
        mistakes: vec![
            Mistake::new(
                "the gain of a norm is called `weight` too: ask for the shape, not for the name",
                |name, _| name.ends_with("weight"),
            ),
            Mistake::new("everything decays: biases and the gains of norms must not", |_, _| true),
            Mistake::new(
                "nothing decays: matrices should, and a matrix has two dimensions, shape.len() >= 2, not > 2",
                |_, _| false,
            ),
            Mistake::new("this is the other group: matrices decay, vectors do not", |_, shape| {
                shape.len() < 2
            }),
            Mistake::new(
                "the embedding tables are left out: a table is a matrix, and the first one is also the matrix before the \
                 softmax",
                |name, shape| shape.len() >= 2 && !name.starts_with("embedding"),
            ),
            Mistake::new("the number of dimensions decides, not how large they are", |_, shape| {
                shape.iter().product::<i64>() > 256
            }),
        ],
        run: |decays, cases| {
            let (d, vocab) = (8 * cases.size(2, 40), cases.size(20, 900));
            let matrices = [
                ("blocks.0.attention.qkv.weight", vec![3 * d, d]),
                ("blocks.0.attention.out.weight", vec![d, d]),
                ("blocks.11.feed_forward.down.weight", vec![d, 4 * d]),
            ];
            let tables =
                [("embedding.ids.weight", vec![vocab, d]), ("embedding.positions.weight", vec![64, d])];
            let gains = [("blocks.0.norm1.weight", vec![d]), ("norm.weight", vec![d])];
            let biases = [
                ("blocks.0.attention.qkv.bias", vec![3 * d]),
                ("blocks.3.feed_forward.up.bias", vec![4 * d]),
                ("norm.bias", vec![d]),
            ];
            let verdict = |of: &[(&str, Vec<i64>)]| {
                let each: Vec<bool> = of.iter().map(|(name, shape)| decays(name, shape)).collect();
                Tensor::from_slice(&each)
            };
            Outcome::list([
                ("a matrix of a block does not decay: it should", verdict(&matrices)),
                ("an embedding table does not decay: it is a matrix too", verdict(&tables)),
                ("the gain of a norm decays: it is a vector and should not", verdict(&gains)),
                ("a bias decays: it is a vector and should not", verdict(&biases)),
            ])
        },
    }
}

/// Checks a nucleus; returns the function if it is right, else the reference.
pub fn nucleus(answer: Nucleus) -> Nucleus {
    nucleus_exercise().check(answer)
}

/// The most probable ids that `kept` accepts, by what all more probable ones add up to and by their own
/// probability; scaled to sum to 1.
fn kept_where(p: &Tensor, kept: fn(&Tensor, &Tensor, f64) -> Tensor, reach: f64) -> Tensor {
    scaled(&unscaled(p, kept, reach))
}

fn unscaled(p: &Tensor, kept: fn(&Tensor, &Tensor, f64) -> Tensor, reach: f64) -> Tensor {
    let (sorted, order) = p.sort(-1, true);
    let before = sorted.cumsum(-1, p.kind()) - &sorted;
    let kept = kept(&before, &sorted, reach).to_kind(p.kind());
    p * kept.zeros_like().scatter(-1, &order, &kept)
}

fn scaled(p: &Tensor) -> Tensor {
    p / p.sum(p.kind())
}

/// As [`Nucleus`], right.
fn sound(p: &Tensor, reach: f64) -> Tensor {
    kept_where(p, |before, _, reach| before.lt(reach), reach)
}

/// The id that crosses the threshold is left out, the first one always stays: what GPT-2's published sampler does.
fn stops_short(p: &Tensor, reach: f64) -> Tensor {
    let kept =
        |before: &Tensor, sorted: &Tensor, reach| (before + sorted).le(reach).logical_or(&before.le(0.0));
    kept_where(p, kept, reach)
}

/// The same without the first: often nothing is left.
fn may_be_empty(p: &Tensor, reach: f64) -> Tensor {
    kept_where(p, |before, sorted, reach| (before + sorted).le(reach), reach)
}

/// One id more than needed.
fn one_too_many(p: &Tensor, reach: f64) -> Tensor {
    kept_where(p, |before, sorted, reach| (before - sorted.roll([1], [0])).lt(reach), reach)
}

fn least_probable(p: &Tensor, reach: f64) -> Tensor {
    let (sorted, order) = p.sort(-1, false);
    let kept = (sorted.cumsum(-1, p.kind()) - &sorted).lt(reach).to_kind(p.kind());
    scaled(&(p * kept.zeros_like().scatter(-1, &order, &kept)))
}

fn in_the_order_of_ids(p: &Tensor, reach: f64) -> Tensor {
    scaled(&(p * (p.cumsum(-1, p.kind()) - p).lt(reach).to_kind(p.kind())))
}

fn not_scaled(p: &Tensor, reach: f64) -> Tensor {
    unscaled(p, |before, _, reach| before.lt(reach), reach)
}

fn left_sorted(p: &Tensor, reach: f64) -> Tensor {
    sound(p, reach).sort(-1, true).0
}

fn even(p: &Tensor, reach: f64) -> Tensor {
    scaled(&sound(p, reach).gt(0.0).to_kind(p.kind()))
}

fn softmax_again(p: &Tensor, reach: f64) -> Tensor {
    p.masked_fill(&sound(p, reach).le(0.0), f64::NEG_INFINITY).softmax(-1, None::<Kind>)
}

/// Exercise 7.3.
pub fn nucleus_exercise() -> Exercise<Nucleus> {
    Exercise {
        number: "7.3",
        reference: sound,
        mistakes: vec![
            Mistake::new(
                "the id that crosses the threshold is missing: the nucleus must *reach* p, so keep an id while those \
                 before it add up to less than p",
                stops_short,
            ),
            Mistake::new(
                "the id that crosses the threshold is missing, and if the first id alone is above p nothing is left: keep an \
                 id while those before it add up to less than p",
                may_be_empty,
            ),
            Mistake::new("there is one id too many: stop as soon as p is reached", one_too_many),
            Mistake::new("the least probable ids are kept: sort descending", least_probable),
            Mistake::new(
                "the probabilities are added up in the order of the ids: sort them first, the largest in front",
                in_the_order_of_ids,
            ),
            Mistake::new("what is kept does not sum to 1: divide by its sum", not_scaled),
            Mistake::new(
                "the result is in sorted order: put each probability back to its id (scatter with the order)",
                left_sorted,
            ),
            Mistake::new(
                "all ids of the nucleus became equally probable: keep their probabilities and divide by the sum",
                even,
            ),
            Mistake::new(
                "these are probabilities already: a softmax over them flattens them; divide by the sum",
                softmax_again,
            ),
            Mistake::new(
                "this keeps the ids whose own probability is above p: add them up first",
                |p, reach| scaled(&(p * p.ge(reach).to_kind(p.kind()))),
            ),
        ],
        run: |nucleus, cases| {
            let (p, reach) = match cases.extreme() {
                true => (Tensor::from_slice(&[0.05, 0.8, 0.1, 0.05f64]), 0.5), // one id is enough
                false => {
                    let size = cases.size(5, 12);
                    let logits = cases.tensor(&[size], 2.0).detach();
                    (logits.softmax(-1, None::<Kind>), cases.number(0.55, 0.9))
                }
            };
            let p = cases.keep(p);
            vec![Outcome::new("the distribution", nucleus(&p, reach))]
        },
    }
}

/// Checks a step with a cache; returns the function if it is right, else the reference.
pub fn cached_step(answer: CachedStep) -> CachedStep {
    cached_step_exercise().check(answer)
}

fn attend(q: &Tensor, keys: &Tensor, values: &Tensor, scale: f64) -> Tensor {
    (q.matmul(&keys.transpose(-2, -1)) * scale).softmax(-1, None::<Kind>).matmul(values)
}

fn root(q: &Tensor) -> f64 {
    1.0 / (q.size()[2] as f64).sqrt()
}

fn behind(old: &Tensor, new: &Tensor) -> Tensor {
    Tensor::cat(&[old, new], 1)
}

/// Exercise 7.4.
pub fn cached_step_exercise() -> Exercise<CachedStep> {
    Exercise {
        number: "7.4",
        reference: |q, k, v, keys, values| {
            let (keys, values) = (behind(keys, k), behind(values, v));
            (attend(q, &keys, &values, root(q)), keys, values)
        },
        mistakes: vec![
            Mistake::new(
                "the new position does not see itself: append its key and value first, then attend",
                |q, k, v, keys, values| {
                    (attend(q, keys, values, root(q)), behind(keys, k), behind(values, v))
                },
            ),
            Mistake::new(
                "the caches do not grow: return keys and values with the new ones behind",
                |q, k, v, keys, values| {
                    let (longer, wider) = (behind(keys, k), behind(values, v));
                    let out = attend(q, &longer, &wider, root(q));
                    (out, keys.shallow_clone(), values.shallow_clone())
                },
            ),
            Mistake::new(
                "the new key and value stand in front: positions are in the order of the text, so the new one comes last",
                |q, k, v, keys, values| {
                    let (keys, values) = (behind(k, keys), behind(v, values));
                    (attend(q, &keys, &values, root(q)), keys, values)
                },
            ),
            Mistake::new("the scores are not divided by √d_head", |q, k, v, keys, values| {
                let (keys, values) = (behind(keys, k), behind(values, v));
                (attend(q, &keys, &values, 1.0), keys, values)
            }),
            Mistake::new(
                "only the new position is attended to: the keys are all those of the cache and the new one",
                |q, k, v, keys, values| (attend(q, k, v, root(q)), behind(keys, k), behind(values, v)),
            ),
            Mistake::new(
                "the cache of values holds keys: it needs both, k behind the keys and v behind the values",
                |q, k, _, keys, values| {
                    let (keys, values) = (behind(keys, k), behind(values, k));
                    (attend(q, &keys, &values, root(q)), keys, values)
                },
            ),
            Mistake::new(
                "the weights do not sum to 1 over the keys: softmax over the last dimension",
                |q, k, v, keys, values| {
                    let (keys, values) = (behind(keys, k), behind(values, v));
                    let scores = q.matmul(&keys.transpose(-2, -1)) * root(q);
                    (scores.softmax(0, None::<Kind>).matmul(&values), keys, values)
                },
            ),
        ],
        run: |step, cases| {
            let (heads, d_head, past) = (cases.size(2, 3), cases.size(2, 5), cases.size(1, 6));
            let mut tensor = |time: i64| cases.tensor(&[heads, time, d_head], 2.0).detach();
            let (q, k, v, keys, values) = (tensor(1), tensor(1), tensor(1), tensor(past), tensor(past));
            let (out, keys, values) = step(&q, &k, &v, &keys, &values);
            Outcome::list([("the output", out), ("the cache of keys", keys), ("the cache of values", values)])
        },
    }
}

/// Checks an induction score; returns the function if it is right, else the reference.
pub fn induction_score(answer: InductionScore) -> InductionScore {
    induction_score_exercise().check(answer)
}

/// The mean over the queries t for which `key` finds a key among the ids up to t, of the weight from t to it.
fn mean_weight(weights: &Tensor, ids: &[i64], key: fn(&[i64]) -> Option<usize>) -> Tensor {
    let (sum, count) = sum_weight(weights, ids, key);
    sum / count.max(1) as f64
}

fn sum_weight(weights: &Tensor, ids: &[i64], key: fn(&[i64]) -> Option<usize>) -> (Tensor, usize) {
    let mut sum = weights.select(1, 0).select(1, 0).zeros_like();
    let mut count = 0;
    for t in 0..ids.len() {
        if let Some(key) = key(&ids[..=t]) {
            sum += weights.select(1, t as i64).select(1, key as i64);
            count += 1;
        }
    }
    (sum, count)
}

/// The latest earlier occurrence of the last id.
fn latest(ids: &[i64]) -> Option<usize> {
    let (last, before) = ids.split_last()?;
    before.iter().rposition(|id| id == last)
}

fn after_latest(ids: &[i64]) -> Option<usize> {
    latest(ids).map(|j| j + 1)
}

/// Exercise 7.5.
pub fn induction_score_exercise() -> Exercise<InductionScore> {
    Exercise {
        number: "7.5",
        reference: |weights, ids| mean_weight(weights, ids, after_latest),
        mistakes: vec![
            Mistake::new(
                "this is the weight on the earlier occurrence itself: an induction head looks at the token *after* it, j + 1",
                |weights, ids| mean_weight(weights, ids, latest),
            ),
            Mistake::new(
                "this is the weight on the token before the earlier occurrence: it is j + 1, not j − 1",
                |weights, ids| mean_weight(weights, ids, |ids| latest(ids)?.checked_sub(1)),
            ),
            Mistake::new("the first occurrence is taken: the latest one before t counts", |weights, ids| {
                mean_weight(weights, ids, |ids| {
                    let (last, before) = ids.split_last()?;
                    before.iter().position(|id| id == last).map(|j| j + 1)
                })
            }),
            Mistake::new(
                "the mean goes over all positions: divide by the number of those whose token occurred before",
                |weights, ids| sum_weight(weights, ids, after_latest).0 / ids.len() as f64,
            ),
            Mistake::new(
                "this is the sum: divide by the number of positions whose token occurred before",
                |weights, ids| sum_weight(weights, ids, after_latest).0,
            ),
            Mistake::new(
                "query and key are exchanged: weights[head, t, j + 1], the query is t",
                |weights, ids| mean_weight(&weights.transpose(1, 2), ids, after_latest),
            ),
            Mistake::new("the heads are averaged: a score for each head, [head]", |weights, ids| {
                mean_weight(weights, ids, after_latest).mean(None::<Kind>)
            }),
        ],
        run: |score, cases| {
            let (heads, half) = (cases.size(2, 4), cases.size(4, 7));
            let mut ids = cases.id_list(half, half, 5);
            ids = [&ids[..], &ids[..], &cases.id_list(2, 4, 5)].concat();
            let time = ids.len() as i64;
            let scores = cases.tensor(&[heads, time, time], 2.0).detach();
            let closed = Tensor::ones([time, time], (Kind::Bool, scores.device())).triu(1);
            let weights = scores.masked_fill(&closed, f64::NEG_INFINITY).softmax(-1, None::<Kind>);
            let weights = cases.keep(weights);
            vec![Outcome::new("the scores", score(&weights, &ids))]
        },
    }
}

/// Checks a *test* of samplers: it must accept a sound nucleus and reject all others.
pub fn nucleus_test(answer: NucleusTest) -> NucleusTest {
    nucleus_test_exercise().check(answer)
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> Vec<(&'static str, Nucleus)> {
    vec![
        ("it rejects a sound nucleus", sound),
        ("it rejects the crate's nucleus, which is sound", |p, reach| {
            let top_p = crate::decode::Sampling::TopP { p: reach, temperature: 1.0 };
            top_p.distribution(&p.log().unsqueeze(0)).squeeze_dim(0)
        }),
        (
            "it accepts a nucleus that leaves out the id that crosses p: what is kept must have had a probability of at \
             least p",
            stops_short,
        ),
        (
            "it accepts a nucleus with one id too many: without its least probable id it must be below p",
            one_too_many,
        ),
        (
            "it accepts a nucleus of the least probable ids: what is kept must be more probable than what is not",
            least_probable,
        ),
        ("it accepts a nucleus that does not sum to 1", not_scaled),
        (
            "it accepts a nucleus whose probabilities stand at the wrong ids: give it one that is not sorted",
            left_sorted,
        ),
        ("it accepts a nucleus whose ids are all equally probable: their ratios must stay", even),
    ]
}

/// Exercise 7.6: the verdicts of the learner's test are what is compared.
pub fn nucleus_test_exercise() -> Exercise<NucleusTest> {
    Exercise {
        number: "7.6",
        reference: |nucleus| {
            let p = Tensor::from_slice(&[0.1, 0.5, 0.08, 0.3, 0.02f64]);
            let near = |got: &Tensor, want: &[f64]| {
                let want = Tensor::from_slice(want);
                got.size() == want.size() && (got - want).abs().max().double_value(&[]) < 1e-5
            };
            near(&nucleus(&p, 0.4), &[0.0, 1.0, 0.0, 0.0, 0.0])
                && near(&nucleus(&p, 0.7), &[0.0, 0.625, 0.0, 0.375, 0.0])
        },
        mistakes: vec![],
        run: |test, _: &mut Cases| {
            let verdict = |(what, nucleus): (_, Nucleus)| Outcome::new(what, Tensor::from(test(nucleus)));
            specimens().into_iter().map(verdict).collect()
        },
    }
}
