//! The checks of lesson 08 accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check::{self, Chosen, EmbeddingTables, Hide};
use llm_course::data::IGNORE;
use tch::{Device, Kind, Tensor};

use crate::verdicts::{accepts, rejects};

const CLS: i64 = 2;
const SEP: i64 = 3;
const MASK: i64 = 4;

/// Pushed one after the other.
fn row(a: &[i64], b: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let (mut ids, mut segments) = (vec![CLS], vec![0]);
    for (segment, words) in [a, b].into_iter().enumerate() {
        for id in words.iter().chain([&SEP]) {
            ids.push(*id);
            segments.push(segment as i64);
        }
    }
    (ids, segments)
}

/// Ids with segment 0 up to the `last` place, and 1 behind it.
fn parted(ids: Vec<i64>, last: usize) -> (Vec<i64>, Vec<i64>) {
    let segments = (0..ids.len()).map(|i| i64::from(i > last)).collect();
    (ids, segments)
}

#[test]
pub fn pair_row() {
    let exercise = check::pair_row_exercise();
    accepts(&exercise, &[exercise.reference, row]);
    rejects(
        &exercise,
        &[
            ("[SEP] at the end is missing", |a, b| parted([&[CLS][..], a, &[SEP], b].concat(), a.len() + 1)),
            ("[CLS] in front is missing", |a, b| {
                let (mut ids, mut segments) = row(a, b);
                ids.remove(0);
                segments.remove(0);
                (ids, segments)
            }),
            ("a [CLS] of its own", |a, b| {
                parted([&[CLS][..], a, &[SEP, CLS], b, &[SEP]].concat(), a.len() + 1)
            }),
            ("first [SEP] is in segment 1", |a, b| parted(row(a, b).0, a.len())),
            ("last [SEP] is in segment 0", |a, b| {
                let (ids, mut segments) = row(a, b);
                *segments.last_mut().unwrap() = 0;
                (ids, segments)
            }),
            ("all segments are 0", |a, b| (row(a, b).0, vec![0; row(a, b).0.len()])),
            ("1 and 2", |a, b| (row(a, b).0, row(a, b).1.iter().map(|s| s + 1).collect())),
            ("exchanged", |a, b| row(b, a)),
            ("one segment for each id", |a, b| {
                (
                    row(a, b).0,
                    std::iter::repeat_n(0, a.len()).chain(std::iter::repeat_n(1, b.len())).collect(),
                )
            }),
        ],
    );
}

fn one_hot(ids: &Tensor, table: &Tensor) -> Tensor {
    ids.one_hot(table.size()[0]).to_kind(Kind::Double).matmul(table)
}

fn position_rows(ids: &Tensor, t: &EmbeddingTables) -> Tensor {
    t.positions.index_select(0, &Tensor::arange(ids.size()[1], (Kind::Int64, Device::Cpu)))
}

/// Equation by equation.
fn norm(x: &Tensor, t: &EmbeddingTables) -> Tensor {
    let centred = x - x.mean_dim(-1, true, Kind::Double);
    &centred / (centred.square().mean_dim(-1, true, Kind::Double) + 1e-12).sqrt() * &t.gamma + &t.beta
}

#[test]
pub fn bert_embedding() {
    let exercise = check::bert_embedding_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |ids, segments, t| {
            norm(&(one_hot(ids, &t.words) + one_hot(segments, &t.segments) + position_rows(ids, t)), t)
        }],
    );
    rejects(
        &exercise,
        &[
            ("positions are missing", |ids, s, t| {
                norm(&(one_hot(ids, &t.words) + one_hot(s, &t.segments)), t)
            }),
            ("segments are missing", |ids, _, t| norm(&(one_hot(ids, &t.words) + position_rows(ids, t)), t)),
            ("layer norm is missing", |ids, s, t| {
                one_hot(ids, &t.words) + one_hot(s, &t.segments) + position_rows(ids, t)
            }),
            ("γ and β", |ids, s, t| {
                let x = one_hot(ids, &t.words) + one_hot(s, &t.segments) + position_rows(ids, t);
                let centred = &x - x.mean_dim(-1, true, Kind::Double);
                &centred / centred.square().mean_dim(-1, true, Kind::Double).sqrt()
            }),
            ("begin at 1", |ids, s, t| {
                let x = one_hot(ids, &t.words) + one_hot(s, &t.segments);
                norm(&(x + t.positions.narrow(0, 1, ids.size()[1])), t)
            }),
            ("read at the ids", |ids, s, t| {
                norm(&(one_hot(ids, &(&t.words + &t.positions)) + one_hot(s, &t.segments)), t)
            }),
            ("norm of its own", |ids, s, t| {
                norm(&one_hot(ids, &t.words), t)
                    + norm(&one_hot(s, &t.segments), t)
                    + norm(&position_rows(ids, t).unsqueeze(0), t)
            }),
            ("multiplied", |ids, s, t| {
                norm(&(one_hot(ids, &t.words) * one_hot(s, &t.segments) * position_rows(ids, t)), t)
            }),
            ("graph is cut", |ids, s, t| {
                norm(&(one_hot(ids, &t.words) + one_hot(s, &t.segments) + position_rows(ids, t)), t).detach()
            }),
            ("gradient of the positions is 0: the graph is cut", |ids, s, t| {
                let positions = position_rows(ids, t).detach();
                norm(&(one_hot(ids, &t.words) + one_hot(s, &t.segments) + positions), t)
            }),
        ],
    );
}

/// Place by place through the whole row.
fn corrupt(ids: &[i64], chosen: &[Chosen]) -> (Vec<i64>, Vec<i64>) {
    let at = |i: usize| chosen.iter().find(|choice| choice.place == i);
    let seen = |i: usize| match at(i) {
        Some(choice) if choice.roll >= 0.9 => ids[i],
        Some(choice) if choice.roll >= 0.8 => choice.random_word,
        Some(_) => MASK,
        None => ids[i],
    };
    let target = |i: usize| if at(i).is_some() { ids[i] } else { IGNORE };
    ((0..ids.len()).map(seen).collect(), (0..ids.len()).map(target).collect())
}

/// The right targets, and at each chosen place what `seen` says.
fn with_input(ids: &[i64], chosen: &[Chosen], seen: fn(i64, &Chosen) -> i64) -> (Vec<i64>, Vec<i64>) {
    let mut input = ids.to_vec();
    chosen.iter().for_each(|choice| input[choice.place] = seen(ids[choice.place], choice));
    (input, corrupt(ids, chosen).1)
}

/// The right input, and what `target` makes of each place's word, what is seen there and the right target.
fn with_targets(ids: &[i64], chosen: &[Chosen], target: fn(i64, i64, i64) -> i64) -> (Vec<i64>, Vec<i64>) {
    let (input, targets) = corrupt(ids, chosen);
    let targets = (0..ids.len()).map(|i| target(ids[i], input[i], targets[i])).collect();
    (input, targets)
}

#[test]
pub fn corruption() {
    let exercise = check::corrupt_exercise();
    accepts(&exercise, &[exercise.reference, corrupt]);
    rejects(
        &exercise,
        &[
            ("every chosen word becomes [MASK]", |ids, chosen| with_input(ids, chosen, |_, _| MASK)),
            ("no chosen word stays", |ids, chosen| {
                with_input(ids, chosen, |_, choice| if choice.roll < 0.8 { MASK } else { choice.random_word })
            }),
            ("no word becomes a random one", |ids, chosen| {
                with_input(ids, chosen, |word, choice| if choice.roll < 0.8 { MASK } else { word })
            }),
            ("limits are 0.1 and 0.2", |ids, chosen| {
                with_input(ids, chosen, |word, choice| match choice.roll {
                    roll if roll < 0.1 => choice.random_word,
                    roll if roll < 0.2 => word,
                    _ => MASK,
                })
            }),
            ("words that stay are not predicted", |ids, chosen| {
                with_targets(ids, chosen, |word, seen, target| if seen == word { IGNORE } else { target })
            }),
            ("only [MASK] is predicted", |ids, chosen| {
                with_targets(ids, chosen, |_, seen, target| if seen == MASK { target } else { IGNORE })
            }),
            ("what the model sees", |ids, chosen| {
                with_targets(ids, chosen, |_, seen, target| if target == IGNORE { IGNORE } else { seen })
            }),
            ("every place has a target", |ids, chosen| with_targets(ids, chosen, |word, _, _| word)),
            ("which is [PAD]", |ids, chosen| with_targets(ids, chosen, |_, _, target| target.max(0))),
        ],
    );
}

fn boolean_index(hidden: &Tensor, targets: &Tensor, open: &Tensor) -> (Tensor, Tensor) {
    (hidden.index(&[Some(open)]), targets.index(&[Some(open)]))
}

#[test]
pub fn hidden_places() {
    let exercise = check::hidden_places_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |hidden, targets| boolean_index(hidden, targets, &targets.not_equal(IGNORE))],
    );
    rejects(
        &exercise,
        &[
            ("without a target", |hidden, targets| boolean_index(hidden, targets, &targets.eq(IGNORE))),
            ("every place is there", |hidden, targets| {
                (hidden.reshape([-1, hidden.size()[2]]), targets.reshape([-1]))
            }),
            ("targets are not picked", |hidden, targets| {
                (boolean_index(hidden, targets, &targets.not_equal(IGNORE)).0, targets.reshape([-1]))
            }),
            ("one place too early", |hidden, targets| {
                boolean_index(&hidden.roll([1], [1]), targets, &targets.not_equal(IGNORE))
            }),
            ("column by column", |hidden, targets| {
                let turned = targets.tr();
                boolean_index(&hidden.permute([1, 0, 2]), &turned, &turned.not_equal(IGNORE))
            }),
            ("word 0", |hidden, targets| boolean_index(hidden, targets, &targets.greater(0))),
            ("graph is cut", |hidden, targets| {
                boolean_index(&hidden.detach(), targets, &targets.not_equal(IGNORE))
            }),
        ],
    );
}

/// With loops and sums.
fn mean_silhouette(points: &[[f64; 2]], groups: &[usize], score: fn(f64, f64) -> f64) -> f64 {
    let mut total = 0.0;
    for i in 0..points.len() {
        let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
        for j in 0..points.len() {
            if i != j {
                let (dx, dy) = (points[i][0] - points[j][0], points[i][1] - points[j][1]);
                let other = usize::from(groups[i] != groups[j]);
                sums[other] += (dx * dx + dy * dy).sqrt();
                counts[other] += 1.0;
            }
        }
        total += score(sums[0] / counts[0], sums[1] / counts[1]);
    }
    total / points.len() as f64
}

#[test]
pub fn silhouette() {
    let exercise = check::silhouette_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |points, groups| mean_silhouette(points, groups, |a, b| (b - a) / a.max(b))],
    );
    rejects(
        &exercise,
        &[
            ("the point itself", |points, groups| {
                let distance = |i: usize, j: usize| {
                    ((points[i][0] - points[j][0]).powi(2) + (points[i][1] - points[j][1]).powi(2)).sqrt()
                };
                let n = points.len();
                let mean = |i: usize, own: bool| {
                    let all: Vec<f64> =
                        (0..n).filter(|&j| (groups[i] == groups[j]) == own).map(|j| distance(i, j)).collect();
                    all.iter().sum::<f64>() / all.len() as f64
                };
                let score = |(a, b): (f64, f64)| (b - a) / a.max(b);
                (0..n).map(|i| score((mean(i, true), mean(i, false)))).sum::<f64>() / n as f64
            }),
            ("turned round", |points, groups| mean_silhouette(points, groups, |a, b| (a - b) / a.max(b))),
            ("sum of the two", |points, groups| mean_silhouette(points, groups, |a, b| (b - a) / (a + b))),
            ("divided by b always", |points, groups| mean_silhouette(points, groups, |a, b| 1.0 - a / b)),
            ("not divided", |points, groups| mean_silhouette(points, groups, |a, b| b - a)),
            ("squared", |points, groups| {
                let squares = |i: usize, own: bool| {
                    let others = (0..points.len()).filter(|&j| j != i && (groups[j] == groups[i]) == own);
                    let squared = |j: usize| {
                        (points[i][0] - points[j][0]).powi(2) + (points[i][1] - points[j][1]).powi(2)
                    };
                    let all: Vec<f64> = others.map(squared).collect();
                    all.iter().sum::<f64>() / all.len() as f64
                };
                let score =
                    |i| (squares(i, false) - squares(i, true)) / squares(i, false).max(squares(i, true));
                (0..points.len()).map(score).sum::<f64>() / points.len() as f64
            }),
            ("off by", |points, groups| {
                mean_silhouette(points, groups, |a, b| (b - a) / a.max(b)) * points.len() as f64
            }),
        ],
    );
}

/// A long row, and what `hide` makes of it.
fn hidden(hide: Hide) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let ids: Vec<i64> = (0..3000).map(|i| 5 + i * 37 % 490).collect();
    let (input, targets) = hide(&ids, 7);
    (ids, input, targets)
}

/// Word by word, with a bound on how much may be seen.
fn hides(hide: Hide) -> bool {
    let (ids, input, targets) = hidden(hide);
    let (mut asked, mut seen) = (0, 0);
    for ((&id, &shown), &target) in ids.iter().zip(&input).zip(&targets) {
        if target == IGNORE {
            if shown != id {
                return false;
            }
        } else {
            asked += 1;
            seen += i32::from(shown == id);
            if target != id {
                return false;
            }
        }
    }
    asked > 0 && seen < asked / 4
}

#[test]
pub fn hiding_test() {
    let exercise = check::hiding_test_exercise();
    accepts(&exercise, &[exercise.reference, hides]);
    rejects(
        &exercise,
        &[
            ("rejects 80/10/10", |_| false),
            ("rejects 80/10/10", |hide| {
                let (ids, input, targets) = hidden(hide);
                hides(hide) && (0..ids.len()).all(|i| targets[i] == IGNORE || input[i] == MASK)
            }),
            ("one place too early", |_| true),
            ("in plain sight", |hide| {
                let (ids, _, targets) = hidden(hide);
                (0..ids.len()).all(|i| targets[i] == IGNORE || targets[i] == ids[i])
            }),
            ("not asked for", |hide| {
                let (ids, input, targets) = hidden(hide);
                let asked: Vec<usize> = (0..ids.len()).filter(|&i| targets[i] != IGNORE).collect();
                let seen = asked.iter().filter(|&&i| input[i] == ids[i]).count();
                asked.iter().all(|&i| targets[i] == ids[i]) && seen * 5 < asked.len()
            }),
            ("asks for nothing", |hide| {
                let (_, _, targets) = hidden(hide);
                targets.iter().all(|&target| target == IGNORE) || hides(hide)
            }),
        ],
    );
}
