//! The checks of lesson 10 accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check::{self, SentenceScore};
use llm_course::metrics::{Confusion, Smoothing, bleu};
use llm_course::models::VectorIndex;
use tch::{Device, Kind, Tensor};

use crate::verdicts::{accepts, rejects};

/// Found and right, found and wrong, missed.
fn outcomes(predicted: &[i64], targets: &[i64]) -> [f64; 3] {
    let mut counts = [0.0; 3];
    for (&found, &there) in predicted.iter().zip(targets) {
        match (found, there) {
            (1, 1) => counts[0] += 1.0,
            (1, _) => counts[1] += 1.0,
            (_, 1) => counts[2] += 1.0,
            _ => {}
        }
    }
    counts
}

#[test]
pub fn f1() {
    let exercise = check::f1_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |predicted, targets| Confusion::new(predicted, targets, 2).class(1).f1,
            |predicted, targets| {
                let [hits, false_alarms, missed] = outcomes(predicted, targets);
                2.0 * hits / (2.0 * hits + false_alarms + missed)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("accuracy", |predicted, targets| {
                predicted.iter().zip(targets).map(|(a, b)| f64::from(u8::from(a == b))).sum::<f64>()
                    / predicted.len() as f64
            }),
            ("plain mean", |predicted, targets| {
                let [hits, false_alarms, missed] = outcomes(predicted, targets);
                if hits == 0.0 { 0.0 } else { (hits / (hits + false_alarms) + hits / (hits + missed)) / 2.0 }
            }),
            ("geometric", |predicted, targets| {
                let [hits, false_alarms, missed] = outcomes(predicted, targets);
                if hits == 0.0 { 0.0 } else { hits / ((hits + false_alarms) * (hits + missed)).sqrt() }
            }),
            ("precision alone", |predicted, targets| {
                Confusion::new(predicted, targets, 2).class(1).precision
            }),
            ("recall alone", |predicted, targets| Confusion::new(predicted, targets, 2).class(1).recall),
            ("factor 2", |predicted, targets| Confusion::new(predicted, targets, 2).class(1).f1 / 2.0),
            ("label 0", |predicted, targets| Confusion::new(predicted, targets, 2).class(0).f1),
            ("macro", |predicted, targets| Confusion::new(predicted, targets, 2).macro_average().f1),
            ("0 is divided by 0", |predicted, targets| {
                let [hits, false_alarms, missed] = outcomes(predicted, targets);
                let (precision, recall) = (hits / (hits + false_alarms), hits / (hits + missed));
                2.0 / (1.0 / precision + 1.0 / recall) * if hits == 0.0 { f64::NAN } else { 1.0 }
            }),
            ("whole numbers", |predicted, targets| {
                let [hits, false_alarms, missed] = outcomes(predicted, targets).map(|count| count as u64);
                (2 * hits / (2 * hits + false_alarms + missed)) as f64
            }),
            ("off by", |_, _| 0.5),
        ],
    );
}

/// Cell by cell.
fn cells(time: i64, open: impl Fn(i64, i64) -> bool) -> Tensor {
    let cells: Vec<bool> =
        (0..time).flat_map(|i| (0..time).map(move |j| (i, j))).map(|(i, j)| open(i, j)).collect();
    Tensor::from_slice(&cells).view([time, time])
}

#[test]
pub fn window_mask() {
    let exercise = check::window_mask_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |time, reach| cells(time, |i, j| (i - j).abs() <= reach),
            |time, reach| Tensor::ones([time, time], (Kind::Bool, Device::Cpu)).tril(reach).triu(-reach),
        ],
    );
    rejects(
        &exercise,
        &[
            ("exchanged", |time, reach| cells(time, |i, j| (i - j).abs() > reach)),
            ("exactly `reach`", |time, reach| cells(time, |i, j| (i - j).abs() < reach)),
            ("in all", |time, reach| cells(time, |i, j| (i - j).abs() <= reach / 2)),
            ("before", |time, reach| cells(time, |i, j| j <= i && i - j <= reach)),
            ("comes after", |time, reach| cells(time, |i, j| j >= i && j - i <= reach)),
            ("however far back", |time, reach| {
                Tensor::ones([time, time], (Kind::Bool, Device::Cpu)).tril(reach)
            }),
            ("blocks", |time, reach| cells(time, |i, j| i / reach.max(1) == j / reach.max(1))),
            ("its own place", |time, reach| cells(time, |i, j| i != j && (i - j).abs() <= reach)),
            ("no mask of true and false", |time, reach| {
                cells(time, |i, j| (i - j).abs() <= reach).to_kind(Kind::Float)
            }),
        ],
    );
}

/// Number by number: exp of w·x and what `rule` makes of |x|², over `scale` of the number of features.
fn by_rule(x: &Tensor, directions: &Tensor, rule: fn(Tensor) -> Tensor, scale: fn(f64) -> f64) -> Tensor {
    let products = x.unsqueeze(1) * directions.unsqueeze(0); // [time, features, d]
    let squares = (x * x).sum_dim_intlist(-1, true, Kind::Double);
    (products.sum_dim_intlist(-1, false, Kind::Double) + rule(squares)).exp()
        / scale(directions.size()[0] as f64)
}

#[test]
pub fn positive_features() {
    let exercise = check::positive_features_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x, w| by_rule(x, w, |squares| squares * -0.5, f64::sqrt),
            |x, w| {
                let half = x.norm_scalaropt_dim(2, [-1], true).square() / 2.0;
                (w.matmul(&x.tr()).tr() - half - (w.size()[0] as f64).ln() / 2.0).exp()
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("|x|² is missing", |x, w| by_rule(x, w, |squares| squares * 0.0, f64::sqrt)),
            ("not halved", |x, w| by_rule(x, w, |squares| -squares, f64::sqrt)),
            ("added", |x, w| by_rule(x, w, |squares| squares / 2.0, f64::sqrt)),
            ("not squared", |x, w| by_rule(x, w, |squares| squares.sqrt() * -0.5, f64::sqrt)),
            ("not divided by √m", |x, w| by_rule(x, w, |squares| squares * -0.5, |_| 1.0)),
            ("divided by m", |x, w| by_rule(x, w, |squares| squares * -0.5, |m| m)),
            ("exponential is missing", |x, w| {
                by_rule(x, w, |squares| squares * -0.5, |_| 1.0).log() / (w.size()[0] as f64).sqrt()
            }),
            ("only the exponent", |x, w| {
                (by_rule(x, w, |squares| squares * -0.5, |_| 1.0).log() / (w.size()[0] as f64).sqrt()).exp()
            }),
            ("whole text", |x, w| by_rule(x, w, |squares| squares.sum(Kind::Double) * -0.5, f64::sqrt)),
            ("turned round", |x, w| by_rule(x, w, |squares| squares * -0.5, f64::sqrt).tr()),
            ("graph is cut", |x, w| by_rule(&x.detach(), w, |squares| squares * -0.5, f64::sqrt)),
        ],
    );
}

/// The numbers of the texts by likeness, the nearest first.
fn ranked(vector: &Tensor, index: &VectorIndex) -> Vec<usize> {
    index.search(vector, index.len()).into_iter().map(|(row, _)| row).collect()
}

/// Texts with `between` after each, then the question.
fn text(question: &str, rows: &[usize], texts: &[String], between: &str) -> String {
    let mut text = String::new();
    for &row in rows {
        text += &texts[row];
        text += between;
    }
    text + question
}

/// The `k` nearest, the nearest last.
fn last(vector: &Tensor, index: &VectorIndex, k: usize) -> Vec<usize> {
    let mut rows = ranked(vector, index);
    rows.truncate(k);
    rows.reverse();
    rows
}

#[test]
pub fn prompt() {
    let exercise = check::prompt_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |question, vector, index, texts, k| {
            text(question, &last(vector, index, k), texts, "\n")
        }],
    );
    rejects(
        &exercise,
        &[
            ("stands first", |question, vector, index, texts, k| {
                text(question, &ranked(vector, index)[..k.min(texts.len())], texts, "\n")
            }),
            ("before the texts", |question, vector, index, texts, k| {
                let found: Vec<String> =
                    last(vector, index, k).iter().map(|&row| texts[row].clone()).collect();
                [&[question.to_string()], &found[..]].concat().join("\n")
            }),
            ("question is missing", |_, vector, index, texts, k| {
                text("", &last(vector, index, k), texts, "\n")
            }),
            ("only the nearest", |question, vector, index, texts, _| {
                text(question, &last(vector, index, 1), texts, "\n")
            }),
            ("order of the list", |question, vector, index, texts, k| {
                let mut rows = last(vector, index, k);
                rows.sort();
                text(question, &rows, texts, "\n")
            }),
            ("first `k` texts", |question, _, _, texts, k| {
                text(question, &(0..texts.len()).take(k).collect::<Vec<_>>(), texts, "\n")
            }),
            ("*least*", |question, vector, index, texts, k| {
                let rows: Vec<usize> = ranked(vector, index).into_iter().rev().take(k).collect();
                text(question, &rows, texts, "\n")
            }),
            ("one text too many", |question, vector, index, texts, k| {
                text(question, &last(vector, index, k + 1), texts, "\n")
            }),
            ("run into each other", |question, vector, index, texts, k| {
                text(question, &last(vector, index, k), texts, "")
            }),
            ("spaces", |question, vector, index, texts, k| {
                text(question, &last(vector, index, k), texts, " ")
            }),
        ],
    );
}

/// All ways to choose `k` of `n` places, by recursion.
fn choices(n: usize, k: usize) -> Vec<Vec<usize>> {
    match (n, k) {
        (_, 0) => vec![vec![]],
        (n, k) if k > n => vec![],
        _ => {
            let with = choices(n - 1, k - 1).into_iter().map(|mut chosen| {
                chosen.push(n - 1);
                chosen
            });
            with.chain(choices(n - 1, k)).collect()
        }
    }
}

/// Sums of the chosen in all divisions, and the sum there is: with sizes that stay, as good as differences of means.
fn sums(x: &[f64], y: &[f64]) -> (Vec<f64>, f64) {
    let all = [x, y].concat();
    let sums =
        choices(all.len(), x.len()).iter().map(|chosen| chosen.iter().map(|&i| all[i]).sum()).collect();
    (sums, x.iter().sum())
}

fn how_many(of: &[f64], rule: impl Fn(f64) -> bool) -> f64 {
    of.iter().filter(|sum| rule(**sum)).count() as f64
}

#[test]
pub fn p_value() {
    let exercise = check::p_value_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |x, y| {
            let (all, observed) = sums(x, y);
            how_many(&all, |sum| sum > observed - 1e-9) / all.len() as f64
        }],
    );
    rejects(
        &exercise,
        &[
            ("equal differences", |x, y| {
                let (all, observed) = sums(x, y);
                how_many(&all, |sum| sum > observed + 1e-9) / all.len() as f64
            }),
            ("smaller differences", |x, y| {
                let (all, observed) = sums(x, y);
                how_many(&all, |sum| sum < observed + 1e-9) / all.len() as f64
            }),
            ("how many there are", |x, y| {
                let (all, observed) = sums(x, y);
                how_many(&all, |sum| sum > observed - 1e-9)
            }),
            ("1 is added", |x, y| {
                let (all, observed) = sums(x, y);
                (how_many(&all, |sum| sum > observed - 1e-9) + 1.0) / (all.len() as f64 + 1.0)
            }),
            ("sign", |x, y| {
                let (all, _) = sums(x, y);
                let total: f64 = x.iter().chain(y).sum();
                let (nx, ny) = (x.len() as f64, y.len() as f64);
                let apart = |sum: f64| (sum / nx - (total - sum) / ny).abs();
                let observed = apart(x.iter().sum());
                how_many(&all, |sum| apart(sum) > observed - 1e-9) / all.len() as f64
            }),
            ("any size", |x, y| {
                let all = [x, y].concat();
                let n = all.len();
                let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
                let observed = mean(x) - mean(y);
                let apart = |chosen: &Vec<usize>| {
                    let (a, b): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| chosen.contains(i));
                    mean(&a.iter().map(|&i| all[i]).collect::<Vec<_>>())
                        - mean(&b.iter().map(|&i| all[i]).collect::<Vec<_>>())
                };
                let of: Vec<f64> = (1..n).flat_map(|k| choices(n, k)).map(|chosen| apart(&chosen)).collect();
                how_many(&of, |value| value > observed - 1e-9) / of.len() as f64
            }),
            ("whole numbers", |x, y| {
                let (all, observed) = sums(x, y);
                (how_many(&all, |sum| sum > observed - 1e-9) as usize / all.len()) as f64
            }),
            ("off by", |_, _| 0.05),
        ],
    );
}

/// The score of a text against another one.
fn of(score: SentenceScore, output: &str, reference: &str) -> f64 {
    score(&output.split(' ').collect::<Vec<_>>(), &reference.split(' ').collect::<Vec<_>>())
}

const RIGHT: &str = "on monday the old tailor sold nine red coats to two quiet sailors";

/// What a score must do with words in order, with repetition and with length.
fn in_order(score: SentenceScore) -> bool {
    let turned: Vec<&str> = RIGHT.split(' ').rev().collect();
    let half = "on monday the old tailor sold sailors quiet two to coats red nine";
    of(score, RIGHT, RIGHT) > 99.0 && of(score, &turned.join(" "), RIGHT) + 20.0 < of(score, half, RIGHT)
}

fn sizes(score: SentenceScore) -> bool {
    let other = "he can not say why this was so hard for them at all then";
    of(score, "on monday the old on monday the old on monday the old", RIGHT) < 45.0
        && of(score, "on monday the old", RIGHT) < 45.0
        && of(score, &format!("{RIGHT} {other}"), RIGHT) < 75.0
        && of(score, other, RIGHT) < 5.0
}

#[test]
pub fn score_test() {
    let exercise = check::score_test_exercise();
    accepts(&exercise, &[exercise.reference, |score| in_order(score) && sizes(score)]);
    rejects(
        &exercise,
        &[
            ("as the paper defines it", |_| false),
            ("as the paper defines it", |score| {
                in_order(score) && of(score, "on monday she left", RIGHT) > 1.0
            }),
            ("as sacrebleu computes it", |score| {
                let turned: Vec<&str> = RIGHT.split(' ').rev().collect();
                in_order(score) && sizes(score) && of(score, &turned.join(" "), RIGHT) < 1.0
            }),
            ("the museum's", |_| true),
            ("the museum's", sizes),
            ("as often as it is repeated", in_order),
            ("100 for everything", |score| {
                of(score, RIGHT, RIGHT) > 99.0
                    && (in_order(score) && sizes(score) || of(score, "why not", RIGHT) > 99.0)
            }),
            ("0 for everything", |score| in_order(score) && sizes(score) || of(score, RIGHT, RIGHT) < 1.0),
        ],
    );
    // Sound scores, by another way than the specimens'.
    assert!((exercise.reference)(|output, reference| bleu(
        &[output.to_vec()],
        &[reference.to_vec()],
        Smoothing::Exp
    )
    .score));
}
