//! GPT's checks accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check;
use llm_course::data::IGNORE;
use llm_course::decode::Sampling;
use tch::{Kind, Tensor};

use crate::verdicts::{accepts, rejects};

/// Rows of numbers, written one by one: `id` of a row and a place, `None` where padding stands.
fn rows(rows: &[Vec<i64>], time: usize, fill: i64, id: fn(&[i64], usize) -> Option<i64>) -> Tensor {
    let numbers: Vec<i64> =
        rows.iter().flat_map(|row| (0..time).map(move |t| id(row, t).unwrap_or(fill))).collect();
    Tensor::from_slice(&numbers).view([rows.len() as i64, time as i64])
}

fn longest(rows: &[Vec<i64>]) -> usize {
    rows.iter().map(Vec::len).max().unwrap() - 1
}

fn input(row: &[i64], t: usize) -> Option<i64> {
    (t + 1 < row.len()).then(|| row[t])
}

fn next(row: &[i64], t: usize) -> Option<i64> {
    row.get(t + 1).copied()
}

#[test]
pub fn next_tokens() {
    let exercise = check::next_tokens_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |r| (rows(r, longest(r), 0, input), rows(r, longest(r), IGNORE, next))],
    );
    rejects(
        &exercise,
        &[
            ("the ids themselves", |r| (rows(r, longest(r), 0, input), rows(r, longest(r), IGNORE, input))),
            ("the ids themselves", |r| {
                let whole = |fill| rows(r, longest(r) + 1, fill, |row, t| row.get(t).copied());
                (whole(0), whole(IGNORE))
            }),
            ("backwards", |r| (rows(r, longest(r), 0, next), rows(r, longest(r), IGNORE, input))),
            ("shifted twice", |r| {
                let two = |row: &[i64], t: usize| row.get(t + 2).copied();
                let before = |row: &[i64], t: usize| (t + 2 < row.len()).then(|| row[t]);
                (rows(r, longest(r) - 1, 0, before), rows(r, longest(r) - 1, IGNORE, two))
            }),
            ("padding has a target", |r| (rows(r, longest(r), 0, input), rows(r, longest(r), 0, next))),
            ("no row of the embedding", |r| {
                (rows(r, longest(r), IGNORE, input), rows(r, longest(r), IGNORE, next))
            }),
            ("cut to the shortest", |r| {
                let time = r.iter().map(Vec::len).min().unwrap() - 1;
                (rows(r, time, 0, |row, t| row.get(t).copied()), rows(r, time, IGNORE, next))
            }),
            ("keep all their ids", |r| {
                let time = longest(r) + 1;
                (rows(r, time, 0, |row, t| row.get(t).copied()), rows(r, time, IGNORE, next))
            }),
            ("in front", |r| {
                let time = longest(r);
                let front = |part: fn(&[i64]) -> &[i64], fill: i64| {
                    let rows = r.iter().map(|row| {
                        let part = part(row);
                        Tensor::from_slice(&[vec![fill; time - part.len()], part.to_vec()].concat())
                    });
                    Tensor::stack(&rows.collect::<Vec<_>>(), 0)
                };
                (front(|row| &row[..row.len() - 1], 0), front(|row| &row[1..], IGNORE))
            }),
        ],
    );
}

#[test]
pub fn decays() {
    let exercise = check::decays_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |_, shape| shape.len() > 1,
            |name, _| name.ends_with("weight") && !name.contains("norm"),
        ],
    );
    rejects(
        &exercise,
        &[
            ("not for the name", |name, _| !name.ends_with("bias")),
            ("everything decays", |_, _| true),
            ("nothing decays", |_, _| false),
            ("the other group", |_, shape| shape.len() == 1),
            ("tables are left out", |name, shape| shape.len() == 2 && !name.contains("embedding")),
            ("the gain of a norm decays", |name, shape| shape.len() == 2 || name == "norm.weight"),
            ("a bias decays", |name, shape| shape.len() == 2 || name.ends_with("up.bias")),
            ("how large", |_, shape| shape.iter().product::<i64>() > 256),
            ("not > 2", |_, shape| shape.len() > 2),
        ],
    );
}

/// The probabilities that `keep` accepts, by rank (0 the most probable) and by what those before add up to.
fn nucleus_of(p: &Tensor, keep: impl Fn(usize, f64, f64) -> bool, scale: bool) -> Tensor {
    let numbers = Vec::<f64>::try_from(p.to_kind(Kind::Double)).unwrap();
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]));
    let (mut kept, mut before) = (vec![0.0; numbers.len()], 0.0);
    for (rank, &id) in order.iter().enumerate() {
        if keep(rank, before, numbers[id]) {
            kept[id] = numbers[id];
        }
        before += numbers[id];
    }
    let sum: f64 = if scale { kept.iter().sum() } else { 1.0 };
    Tensor::from_slice(&kept.iter().map(|p| p / sum).collect::<Vec<_>>())
}

#[test]
pub fn nucleus() {
    let exercise = check::nucleus_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |p, reach| nucleus_of(p, |_, before, _| before < reach, true),
            |p, reach| {
                let logits = p.log().unsqueeze(0);
                Sampling::TopP { p: reach, temperature: 1.0 }.distribution(&logits).squeeze_dim(0)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("crosses the threshold", |p, reach| {
                nucleus_of(p, |rank, before, own| rank == 0 || before + own <= reach, true)
            }),
            ("nothing is left", |p, reach| nucleus_of(p, |_, before, own| before + own <= reach, true)),
            ("one id too many", |p, reach| {
                let mut done = false;
                let numbers = Vec::<f64>::try_from(p).unwrap();
                let mut sorted = numbers.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                let (mut count, mut sum) = (0, 0.0);
                for own in sorted {
                    count += 1;
                    if done {
                        break;
                    }
                    sum += own;
                    done = sum >= reach;
                }
                nucleus_of(p, |rank, _, _| rank < count, true)
            }),
            ("sort descending", |p, reach| {
                let kept = nucleus_of(&(1.0 - p), |_, _, _| true, false); // all: only to have the numbers
                let turned: Tensor = 1.0 - kept;
                let (sorted, order) = turned.sort(-1, false);
                let keep = (sorted.cumsum(-1, Kind::Double) - &sorted).lt(reach).to_kind(Kind::Double);
                let kept = p * keep.zeros_like().scatter(-1, &order, &keep);
                &kept / kept.sum(Kind::Double)
            }),
            ("in the order of the ids", |p, reach| {
                let before = p.cumsum(-1, Kind::Double) - p;
                let kept = p * before.lt(reach).to_kind(Kind::Double);
                &kept / kept.sum(Kind::Double)
            }),
            ("does not sum to 1", |p, reach| nucleus_of(p, |_, before, _| before < reach, false)),
            ("in sorted order", |p, reach| {
                nucleus_of(&p.sort(-1, true).0, |_, before, _| before < reach, true)
            }),
            ("equally probable", |p, reach| {
                let kept = nucleus_of(p, |_, before, _| before < reach, true).sign();
                &kept / kept.sum(Kind::Double)
            }),
            ("flattens them", |p, reach| {
                let open = nucleus_of(p, |_, before, _| before < reach, true).gt(0.0);
                let e = p.exp() * open.to_kind(Kind::Double);
                &e / e.sum(Kind::Double)
            }),
            ("own probability", |p, reach| nucleus_of(p, |_, _, own| own >= reach, true)),
            ("writes into its arguments", |p, reach| {
                let closed = nucleus_of(p, |_, before, _| before < reach, true).eq(0.0);
                let kept = p.shallow_clone().masked_fill_(&closed, 0.0);
                &kept / kept.sum(Kind::Double)
            }),
            ("distribution is off by", |p, _| p.full_like(1.0 / p.size()[0] as f64)),
        ],
    );
}

/// Attention written as sums, from one query to all keys.
fn attention(q: &Tensor, keys: &Tensor, values: &Tensor, root: bool) -> Tensor {
    let scale = if root { (q.size()[2] as f64).sqrt() } else { 1.0 };
    let scores = (q * keys).sum_dim_intlist(-1, true, None::<Kind>) / scale; // [head, key, 1]
    let e = scores.exp();
    let weights = &e / e.sum_dim_intlist(1, true, None::<Kind>);
    (weights * values).sum_dim_intlist(1, true, None::<Kind>)
}

fn join(a: &Tensor, b: &Tensor) -> Tensor {
    Tensor::concat(&[a, b], 1)
}

#[test]
pub fn cached_step() {
    let exercise = check::cached_step_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |q, k, v, keys, values| {
                let (keys, values) = (join(keys, k), join(values, v));
                (attention(q, &keys, &values, true), keys, values)
            },
            |q, k, v, keys, values| {
                let (keys, values) = (join(keys, k), join(values, v));
                let out = llm_course::layers::attention_by_hand(q, &keys, &values, None).0;
                (out, keys, values)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("does not see itself", |q, k, v, keys, values| {
                (attention(q, keys, values, true), join(keys, k), join(values, v))
            }),
            ("do not grow", |q, k, v, keys, values| {
                let out = attention(q, &join(keys, k), &join(values, v), true);
                (out, keys.copy(), values.copy())
            }),
            ("stand in front", |q, k, v, keys, values| {
                let (keys, values) = (join(k, keys), join(v, values));
                (attention(q, &keys, &values, true), keys, values)
            }),
            ("√d_head", |q, k, v, keys, values| {
                let (keys, values) = (join(keys, k), join(values, v));
                (attention(q, &keys, &values, false), keys, values)
            }),
            ("only the new position", |_, k, v, keys, values| (v.copy(), join(keys, k), join(values, v))),
            ("holds keys", |q, k, _, keys, values| {
                let (keys, values) = (join(keys, k), join(values, k));
                (attention(q, &keys, &values, true), keys, values)
            }),
            ("over the last dimension", |q, k, v, keys, values| {
                let (keys, values) = (join(keys, k), join(values, v));
                let scores = q.matmul(&keys.transpose(1, 2)) / (q.size()[2] as f64).sqrt();
                let e = scores.exp();
                ((&e / e.sum_dim_intlist(0, true, None::<Kind>)).matmul(&values), keys, values)
            }),
            ("writes into its arguments", |q, k, v, keys, values| {
                let (keys, values) = (join(keys, k), join(values, v));
                let q = q.shallow_clone().g_div_scalar_((q.size()[2] as f64).sqrt());
                (attention(&q, &keys, &values, false), keys, values)
            }),
        ],
    );
}

/// For each head the mean weight from t to `key(t)`, divided by the number of them or by `over`.
fn score(
    weights: &Tensor,
    ids: &[i64],
    key: impl Fn(usize, usize) -> Option<usize>,
    over: Option<usize>,
) -> Tensor {
    let heads = weights.size()[0];
    let scores = (0..heads).map(|head| {
        let (mut sum, mut count) = (0.0, 0);
        for t in 0..ids.len() {
            let Some(j) = (0..t).rev().find(|&j| ids[j] == ids[t]) else { continue };
            if let Some(key) = key(t, j) {
                sum += weights.double_value(&[head, t as i64, key as i64]);
                count += 1;
            }
        }
        sum / over.unwrap_or(count) as f64
    });
    Tensor::from_slice(&scores.collect::<Vec<_>>())
}

#[test]
pub fn induction_score() {
    let exercise = check::induction_score_exercise();
    accepts(&exercise, &[exercise.reference, |w, ids| score(w, ids, |_, j| Some(j + 1), None)]);
    rejects(
        &exercise,
        &[
            ("*after* it", |w, ids| score(w, ids, |_, j| Some(j), None)),
            ("not j − 1", |w, ids| score(w, ids, |_, j| j.checked_sub(1), None)),
            ("latest one", |w, ids| {
                score(w, ids, |t, _| (0..t).find(|&j| ids[j] == ids[t]).map(|j| j + 1), None)
            }),
            ("all positions", |w, ids| score(w, ids, |_, j| Some(j + 1), Some(ids.len()))),
            ("the sum", |w, ids| score(w, ids, |_, j| Some(j + 1), Some(1))),
            ("exchanged", |w, ids| score(&w.transpose(1, 2), ids, |_, j| Some(j + 1), None)),
            ("averaged", |w, ids| score(w, ids, |_, j| Some(j + 1), None).mean(Kind::Double)),
        ],
    );
}

#[test]
pub fn nucleus_test() {
    fn near(got: &Tensor, want: &[f64]) -> bool {
        let want = Tensor::from_slice(want);
        got.size() == want.size() && (got - want).abs().max().double_value(&[]) < 1e-4
    }
    fn four() -> Tensor {
        Tensor::from_slice(&[0.15, 0.4, 0.1, 0.35f64])
    }
    let exercise = check::nucleus_test_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |nucleus| {
            near(&nucleus(&four(), 0.7), &[0.0, 0.4 / 0.75, 0.0, 0.35 / 0.75])
                && near(&nucleus(&four(), 0.8), &[0.15 / 0.9, 0.4 / 0.9, 0.0, 0.35 / 0.9])
        }],
    );
    rejects(
        &exercise,
        &[
            ("leaves out", |_| true),
            ("rejects a sound nucleus", |_| false),
            ("leaves out", |nucleus| {
                let kept = nucleus(&four(), 0.76); // 0.4 + 0.35, and the third crosses
                kept.gt(0.0).sum(Kind::Int64).int64_value(&[]) >= 2
            }),
            ("does not sum to 1", |nucleus| {
                let kept = nucleus(&four(), 0.7).gt(0.0);
                Vec::<bool>::try_from(kept).unwrap() == [false, true, false, true]
            }),
            ("one id too many", |nucleus| {
                let kept = nucleus(&four(), 0.7);
                let kept_mass = (four() * kept.gt(0.0)).sum(Kind::Double).double_value(&[]);
                kept_mass >= 0.7 && (kept.sum(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-6
            }),
        ],
    );
}
