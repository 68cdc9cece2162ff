//! Exercises of evaluation and use: F1, a sliding window, positive random features, a prompt with retrieved texts, the
//! p-value of a permutation test, a test of scores.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use super::compare::with_gradients;
use super::{Exercise, Mistake, Outcome};
use crate::metrics::{Smoothing, bleu, sentence_bleu};
use crate::models::VectorIndex;

/// Predicted labels and right ones, 0 or 1 → the F1 of label 1.
pub type F1 = fn(&[i64], &[i64]) -> f64;
/// Positions and how far each may look to either side → who may look at whom, Bool `[query, key]`.
pub type WindowMask = fn(i64, i64) -> Tensor;
/// x `[time, d]` and directions `[features, d]` → positive features `[time, features]`.
pub type PositiveFeatures = fn(&Tensor, &Tensor) -> Tensor;
/// A question, its vector, an index of the vectors of texts, these texts and how many to take → a prompt.
pub type Prompt = fn(&str, &Tensor, &VectorIndex, &[String], usize) -> String;
/// A number for each word of two groups → the share of all ways to divide the words that gives as large a difference of
/// means.
pub type PValue = fn(&[f64], &[f64]) -> f64;
/// A score of an output against a reference, both in words, from 0 to 100.
pub type SentenceScore = fn(&[&str], &[&str]) -> f64;
/// A test of a score: `true` if it can be trusted.
pub type ScoreTest = fn(SentenceScore) -> bool;

/// Checks F1; returns the function if it is right, else the reference.
pub fn f1(answer: F1) -> F1 {
    f1_exercise().check(answer)
}

/// How many are found and right, how many are found, how many there are, of label `class`.
fn counted(predicted: &[i64], targets: &[i64], class: i64) -> [f64; 3] {
    let count = |labels: &[i64]| labels.iter().filter(|&&label| label == class).count() as f64;
    let both = predicted.iter().zip(targets).filter(|&(a, b)| *a == class && a == b).count();
    [both as f64, count(predicted), count(targets)]
}

/// Precision and recall of `class`; 0 where nothing is found.
fn precision_recall(predicted: &[i64], targets: &[i64], class: i64) -> (f64, f64) {
    let [hits, found, there] = counted(predicted, targets, class);
    if hits == 0.0 { (0.0, 0.0) } else { (hits / found, hits / there) }
}

fn harmonic((precision, recall): (f64, f64)) -> f64 {
    if precision == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

/// Exercise 10.1.
pub fn f1_exercise() -> Exercise<F1> {
    Exercise {
        number: "10.1",
        reference: |predicted, targets| harmonic(precision_recall(predicted, targets, 1)),
        mistakes: vec![
            Mistake::new(
                "this is the accuracy: F1 does not count the zeros that are right",
                |predicted, targets| {
                    let same = predicted.iter().zip(targets).filter(|(a, b)| a == b).count();
                    same as f64 / targets.len() as f64
                },
            ),
            Mistake::new(
                "this is the plain mean of precision and recall: F1 is the harmonic one, 2pr/(p + r), which is near the \
                 smaller of the two",
                |predicted, targets| {
                    let (precision, recall) = precision_recall(predicted, targets, 1);
                    (precision + recall) / 2.0
                },
            ),
            Mistake::new("this is the geometric mean, √(pr): F1 is 2pr/(p + r)", |predicted, targets| {
                let (precision, recall) = precision_recall(predicted, targets, 1);
                (precision * recall).sqrt()
            }),
            Mistake::new("this is the precision alone: half of F1 is the recall", |predicted, targets| {
                precision_recall(predicted, targets, 1).0
            }),
            Mistake::new("this is the recall alone: half of F1 is the precision", |predicted, targets| {
                precision_recall(predicted, targets, 1).1
            }),
            Mistake::new("the factor 2 is missing: two perfect halves must give 1", |predicted, targets| {
                harmonic(precision_recall(predicted, targets, 1)) / 2.0
            }),
            Mistake::new(
                "this is the F1 of label 0: what is searched for has label 1",
                |predicted, targets| harmonic(precision_recall(predicted, targets, 0)),
            ),
            Mistake::new(
                "this is the mean of the F1s of both labels (macro-F1): only label 1 is asked for",
                |predicted, targets| {
                    let of = |class| harmonic(precision_recall(predicted, targets, class));
                    (of(0) + of(1)) / 2.0
                },
            ),
            Mistake::new(
                "this is a division of whole numbers, 0 for all below 1: make both f64 first",
                |predicted, targets| harmonic(precision_recall(predicted, targets, 1)).floor(),
            ),
            Mistake::new(
                "0 is divided by 0 where nothing right is found: F1 is 0 then",
                |predicted, targets| {
                    let [hits, found, there] = counted(predicted, targets, 1);
                    let (precision, recall) = (hits / found, hits / there);
                    2.0 * precision * recall / (precision + recall)
                },
            ),
        ],
        run: |f1, cases| {
            let targets: Vec<i64> = cases.id_list(20, 40, 3).iter().map(|id| i64::from(*id == 0)).collect();
            let extreme = cases.extreme(); // nothing is found
            let predicted = |&target: &i64| match extreme {
                true => 0,
                false => i64::from(cases.number(0.0, 1.0) < 0.25 + 0.5 * target as f64),
            };
            let predicted: Vec<i64> = targets.iter().map(predicted).collect();
            vec![Outcome::new("F1", Tensor::from(f1(&predicted, &targets)))]
        },
    }
}

/// Checks the sliding window; returns the function if it is right, else the reference.
pub fn window_mask(answer: WindowMask) -> WindowMask {
    window_mask_exercise().check(answer)
}

/// key − query for each pair, `[query, key]`.
fn ahead(time: i64) -> Tensor {
    let places = Tensor::arange(time, (Kind::Int64, Device::Cpu));
    places.unsqueeze(0) - places.unsqueeze(1)
}

/// Exercise 10.2.
pub fn window_mask_exercise() -> Exercise<WindowMask> {
    Exercise {
        number: "10.2",
        reference: |time, reach| ahead(time).abs().le(reach),
        mistakes: vec![
            Mistake::new(
                "true and false are exchanged: true is where a query may look, near its own place",
                |time, reach| ahead(time).abs().gt(reach),
            ),
            Mistake::new(
                "the last place within reach is closed: a distance of exactly `reach` is open, |i − j| ≤ reach",
                |time, reach| ahead(time).abs().lt(reach),
            ),
            Mistake::new(
                "the window has `reach` places in all: it reaches that far to *each* side, 2 · reach + 1 in all",
                |time, reach| (ahead(time).abs() * 2).le(reach),
            ),
            Mistake::new(
                "only what came before is open: the window reaches to both sides here, as in an encoder",
                |time, reach| ahead(time).le(0).logical_and(&ahead(time).ge(-reach)),
            ),
            Mistake::new("only what comes after is open: the window reaches to both sides", |time, reach| {
                ahead(time).ge(0).logical_and(&ahead(time).le(reach))
            }),
            Mistake::new(
                "everything up to `reach` ahead is open, however far back: the window ends on both sides",
                |time, reach| ahead(time).le(reach),
            ),
            Mistake::new("these are blocks: a window moves along, each place has its own", |time, reach| {
                let block = Tensor::arange(time, (Kind::Int64, Device::Cpu))
                    .divide_scalar_mode(reach.max(1), "floor");
                block.unsqueeze(0).eq_tensor(&block.unsqueeze(1))
            }),
            Mistake::new("its own place is closed: distance 0 is within reach", |time, reach| {
                ahead(time).abs().le(reach).logical_and(&ahead(time).ne(0))
            }),
        ],
        run: |window, cases| {
            let (time, reach) = (cases.size(7, 12), if cases.extreme() { 0 } else { cases.size(1, 3) });
            let mask = window(time, reach);
            let bool = "it is no mask of true and false: compare with `.le(reach)` or the like";
            vec![
                Outcome::new(bool, Tensor::from(mask.kind() == Kind::Bool)),
                Outcome::new("the mask, true as 1,", mask.to_kind(Kind::Int64)),
            ]
        },
    }
}

/// Checks positive random features; returns the function if it is right, else the reference.
pub fn positive_features(answer: PositiveFeatures) -> PositiveFeatures {
    positive_features_exercise().check(answer)
}

/// exp(w·x − `share` · |x|^`power`) / m^`root`.
fn features(x: &Tensor, directions: &Tensor, share: f64, power: f64, root: f64) -> Tensor {
    let length = x.square().sum_dim_intlist(1, true, x.kind()).pow_tensor_scalar(power / 2.0); // [time, 1]
    let count = directions.size()[0] as f64;
    (x.matmul(&directions.tr()) - length * share).exp() / count.powf(root)
}

/// Exercise 10.3.
pub fn positive_features_exercise() -> Exercise<PositiveFeatures> {
    Exercise {
        number: "10.3",
        reference: |x, directions| features(x, directions, 0.5, 2.0, 0.5),
        mistakes: vec![
            Mistake::new(
                "|x|² is missing: without it the mean of the products is exp(|q + k|²/2), not exp(q·k)",
                |x, directions| features(x, directions, 0.0, 2.0, 0.5),
            ),
            Mistake::new(
                "|x|² is not halved: each of the two feature vectors takes off half of its own square",
                |x, directions| features(x, directions, 1.0, 2.0, 0.5),
            ),
            Mistake::new("|x|²/2 is added: it is subtracted", |x, directions| {
                features(x, directions, -0.5, 2.0, 0.5)
            }),
            Mistake::new("the length is not squared: it is |x|²/2, the sum of squares", |x, directions| {
                features(x, directions, 0.5, 1.0, 0.5)
            }),
            Mistake::new(
                "it is not divided by √m: the product of two feature vectors would be a sum over the directions, not \
                 their mean",
                |x, directions| features(x, directions, 0.5, 2.0, 0.0),
            ),
            Mistake::new(
                "it is divided by m: both vectors of a product are divided, so each by √m",
                |x, directions| features(x, directions, 0.5, 2.0, 1.0),
            ),
            Mistake::new(
                "the exponential is missing: without it features can be negative",
                |x, directions| {
                    let length = x.square().sum_dim_intlist(1, true, x.kind()) / 2.0;
                    (x.matmul(&directions.tr()) - length) / (directions.size()[0] as f64).sqrt()
                },
            ),
            Mistake::new(
                "only the exponent is divided by √m: divide what comes out of the exponential",
                |x, directions| {
                    let length = x.square().sum_dim_intlist(1, true, x.kind()) / 2.0;
                    ((x.matmul(&directions.tr()) - length) / (directions.size()[0] as f64).sqrt()).exp()
                },
            ),
            Mistake::new(
                "|x|² is the sum over the whole text: each position has its own, sum over the last dimension",
                |x, directions| {
                    let length = x.square().sum(x.kind()) / 2.0;
                    (x.matmul(&directions.tr()) - length).exp() / (directions.size()[0] as f64).sqrt()
                },
            ),
            Mistake::new(
                "the product is turned round: rows are positions, [time, features]",
                |x, directions| features(x, directions, 0.5, 2.0, 0.5).tr(),
            ),
        ],
        run: |features, cases| {
            let (time, d, count) = (cases.size(3, 5), cases.size(2, 4), cases.size(6, 9));
            let (x, directions) = (cases.tensor(&[time, d], 1.2), cases.tensor(&[count, d], 1.5));
            with_gradients("the features", features(&x, &directions), &["the gradient of x"], &[&x])
        },
    }
}

/// Checks the prompt; returns the function if it is right, else the reference.
pub fn prompt(answer: Prompt) -> Prompt {
    prompt_exercise().check(answer)
}

/// The numbers of the `k` texts nearest to the question, the nearest last.
fn nearest_last(vector: &Tensor, index: &VectorIndex, k: usize) -> Vec<usize> {
    index.search(vector, k).into_iter().rev().map(|(row, _)| row).collect()
}

/// Texts and then the question, a line each.
fn lines(question: &str, texts: &[String], rows: &[usize]) -> String {
    rows.iter().map(|&row| texts[row].clone() + "\n").collect::<String>() + question
}

/// Exercise 10.4.
pub fn prompt_exercise() -> Exercise<Prompt> {
    Exercise {
        number: "10.4",
        reference: |question, vector, index, texts, k| {
            lines(question, texts, &nearest_last(vector, index, k))
        },
        mistakes: vec![
            Mistake::new(
                "the nearest text stands first: it comes last, right before the question",
                |question, vector, index, texts, k| {
                    let rows: Vec<usize> = nearest_last(vector, index, k).into_iter().rev().collect();
                    lines(question, texts, &rows)
                },
            ),
            Mistake::new(
                "the question stands before the texts: a model that reads from left to right needs them before it",
                |question, vector, index, texts, k| {
                    let texts: Vec<String> = nearest_last(vector, index, k)
                        .iter()
                        .map(|&row| format!("\n{}", texts[row]))
                        .collect();
                    question.to_string() + &texts.concat()
                },
            ),
            Mistake::new("the question is missing at the end", |_, vector, index, texts, k| {
                lines("", texts, &nearest_last(vector, index, k))
            }),
            Mistake::new("the question is missing at the end", |_, vector, index, texts, k| {
                lines("", texts, &nearest_last(vector, index, k)).trim_end().to_string()
            }),
            Mistake::new(
                "only the nearest text is there: `k` of them are wanted",
                |question, vector, index, texts, _| lines(question, texts, &nearest_last(vector, index, 1)),
            ),
            Mistake::new(
                "the texts stand in the order of the list: sort them by likeness",
                |question, vector, index, texts, k| {
                    let mut rows = nearest_last(vector, index, k);
                    rows.sort_unstable();
                    lines(question, texts, &rows)
                },
            ),
            Mistake::new(
                "these are the first `k` texts: take those that the index finds",
                |question, _, _, texts, k| {
                    lines(question, texts, &(0..k.min(texts.len())).collect::<Vec<_>>())
                },
            ),
            Mistake::new(
                "these are the texts that are *least* like the question",
                |question, vector, index, texts, k| {
                    let mut rows = nearest_last(vector, index, texts.len());
                    rows.truncate(k);
                    lines(question, texts, &rows)
                },
            ),
            Mistake::new("there is one text too many: `k` of them", |question, vector, index, texts, k| {
                lines(question, texts, &nearest_last(vector, index, k + 1))
            }),
            Mistake::new(
                "the texts run into each other: a line end, \"\\n\", after each",
                |question, vector, index, texts, k| {
                    lines(question, texts, &nearest_last(vector, index, k)).replace('\n', "")
                },
            ),
            Mistake::new(
                "spaces stand between the texts: a line end, \"\\n\", after each",
                |question, vector, index, texts, k| {
                    lines(question, texts, &nearest_last(vector, index, k)).replace('\n', " ")
                },
            ),
        ],
        run: |prompt, cases| {
            let (count, d) = (cases.size(6, 9), cases.size(4, 6));
            let texts: Vec<String> =
                (0..count).map(|i| format!("Number {i} is {}.", cases.size(100, 999))).collect();
            let (vectors, vector) = (cases.tensor(&[count, d], 1.0), cases.tensor(&[d], 1.0).detach());
            let k = if cases.extreme() { count as usize } else { cases.size(3, 4) as usize };
            let made = prompt("Which one?", &vector, &VectorIndex::new(&vectors), &texts, k);
            let bytes: Vec<i64> = made.bytes().map(i64::from).collect();
            Outcome::ids("the number of characters", "the text, character by character,", &bytes)
        },
    }
}

/// Checks the p-value; returns the function if it is right, else the reference.
pub fn p_value(answer: PValue) -> PValue {
    p_value_exercise().check(answer)
}

/// The difference of means in each way to divide the words into two groups as large as `x` and `y`; and the one there is.
fn differences(x: &[f64], y: &[f64]) -> (Vec<f64>, f64) {
    let all = [x, y].concat();
    let divisions = (0u32..1 << all.len()).filter(|chosen| chosen.count_ones() as usize == x.len());
    (divisions.map(|chosen| difference(&all, chosen)).collect(), mean(x) - mean(y))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Mean of the chosen values less that of the others.
fn difference(all: &[f64], chosen: u32) -> f64 {
    let part =
        |of: u32| -> Vec<f64> { (0..all.len()).filter(|i| chosen >> i & 1 == of).map(|i| all[i]).collect() };
    mean(&part(1)) - mean(&part(0))
}

/// Rounding must not turn an equal difference into a smaller one.
const EQUAL: f64 = 1e-9;

/// The share of `values` for which `rule` holds.
fn share(values: &[f64], rule: impl Fn(f64) -> bool) -> f64 {
    values.iter().filter(|value| rule(**value)).count() as f64 / values.len() as f64
}

/// Exercise 10.5.
pub fn p_value_exercise() -> Exercise<PValue> {
    Exercise {
        number: "10.5",
        reference: |x, y| {
            let (all, observed) = differences(x, y);
            share(&all, |value| value >= observed - EQUAL)
        },
        mistakes: vec![
            Mistake::new(
                "equal differences are not counted: the division that was found is one of them, so p is never 0; ≥, with \
                 a little room for rounding",
                |x, y| {
                    let (all, observed) = differences(x, y);
                    share(&all, |value| value > observed + EQUAL)
                },
            ),
            Mistake::new(
                "the smaller differences are counted: p is the share of those that are at least as large",
                |x, y| {
                    let (all, observed) = differences(x, y);
                    share(&all, |value| value <= observed + EQUAL)
                },
            ),
            Mistake::new(
                "the smaller differences are counted: p is the share of those that are at least as large",
                |x, y| {
                    let (all, observed) = differences(x, y);
                    share(&all, |value| value < observed - EQUAL)
                },
            ),
            Mistake::new(
                "the sign is taken away: this test asks for one direction, so no absolute values",
                |x, y| {
                    let (all, observed) = differences(x, y);
                    share(&all, |value| value.abs() >= observed.abs() - EQUAL)
                },
            ),
            Mistake::new(
                "the groups have any size: both must stay as large as they are, `count_ones()` equal to `x.len()`",
                |x, y| {
                    let (all, observed) = ([x, y].concat(), mean(x) - mean(y));
                    let divisions = 1..(1u32 << all.len()) - 1; // no group is empty
                    let values: Vec<f64> = divisions.map(|chosen| difference(&all, chosen)).collect();
                    share(&values, |value| value >= observed - EQUAL)
                },
            ),
            Mistake::new("this is how many there are: divide by the number of all divisions", |x, y| {
                let (all, observed) = differences(x, y);
                share(&all, |value| value >= observed - EQUAL) * all.len() as f64
            }),
            Mistake::new(
                "this is a division of whole numbers, 0 for all below 1: make both f64 first",
                |x, y| {
                    let (all, observed) = differences(x, y);
                    share(&all, |value| value >= observed - EQUAL).floor()
                },
            ),
            Mistake::new(
                "1 is added to both counts: that belongs to divisions drawn by chance; here all are there, the found one \
                 among them",
                |x, y| {
                    let (all, observed) = differences(x, y);
                    let count = all.len() as f64;
                    (share(&all, |value| value >= observed - EQUAL) * count + 1.0) / (count + 1.0)
                },
            ),
        ],
        run: |p_value, cases| {
            let (a, b) = (cases.size(3, 4), cases.size(3, 5));
            let mut numbers =
                |count, shift| -> Vec<f64> { (0..count).map(|_| cases.number(-1.0, 1.0) + shift).collect() };
            let (mut x, mut y) = (numbers(a, 0.4), numbers(b, 0.0));
            if cases.extreme() {
                (x, y) = (vec![0.1 + 0.2; a as usize], vec![0.3; b as usize]); // all alike, up to rounding
            }
            vec![Outcome::new("the p-value", Tensor::from(p_value(&x, &y)))]
        },
    }
}

/// Checks a *test* of scores: it must accept what can be trusted and reject all else.
pub fn score_test(answer: ScoreTest) -> ScoreTest {
    score_test_exercise().check(answer)
}

/// How often each run of `n` words occurs.
fn runs<'a>(words: &[&'a str], n: usize) -> HashMap<Vec<&'a str>, f64> {
    let mut counts = HashMap::new();
    words.windows(n).for_each(|run| *counts.entry(run.to_vec()).or_default() += 1.0);
    counts
}

/// BLEU with an own rule for the precision of each order, without the penalty for short outputs.
fn without_penalty(
    output: &[&str],
    reference: &[&str],
    precision: fn(&[&str], &[&str], usize) -> f64,
) -> f64 {
    let logs: f64 = (1..=4).map(|n| precision(output, reference, n).ln()).sum();
    100.0 * (logs / 4.0).exp()
}

/// exp(1 − reference/output) for short outputs.
fn penalty(output: &[&str], reference: &[&str]) -> f64 {
    (1.0 - reference.len() as f64 / output.len() as f64).exp().min(1.0)
}

/// Shared runs of `n`, each as often as in both, over `total`.
fn shared(output: &[&str], reference: &[&str], n: usize, total: &[&str]) -> f64 {
    let there = runs(reference, n);
    let hits: f64 =
        runs(output, n).iter().map(|(run, count)| count.min(there.get(run).copied().unwrap_or(0.0))).sum();
    hits / (total.len() + 1).saturating_sub(n).max(1) as f64
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> Vec<(&'static str, SentenceScore)> {
    vec![
        (
            "it rejects BLEU as the paper defines it, which is 0 where no run of four words is right",
            |output, reference| bleu(&[output.to_vec()], &[reference.to_vec()], Smoothing::None).score,
        ),
        (
            "it rejects BLEU as sacrebleu computes it, smoothed: compare scores with each other, or leave some room",
            |output, reference| sentence_bleu(output, reference).score,
        ),
        (
            "it accepts the museum's: try an output whose words are all right and whose order is all wrong, beside one in \
             the right order in its first half",
            |output, reference| {
                let of = bleu(&[output.to_vec()], &[reference.to_vec()], Smoothing::None);
                let found = of.precisions.iter().take_while(|p| **p > 0.0);
                let logs: f64 = found.map(|p| (p / 100.0).ln()).sum();
                if of.precisions[0] == 0.0 { 0.0 } else { 100.0 * of.brevity_penalty * (logs / 4.0).exp() }
            },
        ),
        (
            "it accepts a score of single words, for which order does not matter: turn the words round",
            |output, reference| 100.0 * penalty(output, reference) * shared(output, reference, 1, output),
        ),
        (
            "it accepts a score that counts a run as often as it is repeated: try \"a b c d a b c d a b c d\"",
            |output, reference| {
                let score = without_penalty(output, reference, |output, reference, n| {
                    let there = runs(reference, n);
                    let hits: f64 = runs(output, n)
                        .iter()
                        .filter(|(run, _)| there.contains_key(*run))
                        .map(|(_, count)| count)
                        .sum();
                    hits / (output.len() + 1).saturating_sub(n).max(1) as f64
                });
                penalty(output, reference) * score
            },
        ),
        (
            "it accepts a score without a penalty for short outputs: try the first four words alone",
            |output, reference| {
                without_penalty(output, reference, |output, reference, n| {
                    shared(output, reference, n, output)
                })
            },
        ),
        (
            "it accepts a score that divides by the reference: try the reference with as many wrong words behind it",
            |output, reference| {
                let recall = |output: &[&str], reference: &[&str], n| shared(output, reference, n, reference);
                penalty(output, reference) * without_penalty(output, reference, recall)
            },
        ),
        ("it accepts a score that is 100 for everything: try an output of other words", |_, _| 100.0),
        ("it accepts a score that is 0 for everything: the reference itself deserves 100", |_, _| 0.0),
    ]
}

/// Exercise 10.6: the verdicts of the learner's test are what is compared.
pub fn score_test_exercise() -> Exercise<ScoreTest> {
    Exercise {
        number: "10.6",
        reference: |score| {
            let right: Vec<&str> = "a b c d e f g h i j k l".split(' ').collect();
            let of = |output: &str| score(&output.split(' ').collect::<Vec<_>>(), &right);
            let perfect = score(&right, &right) > 99.0;
            let other = of("m n o p q r s t u v w x") < 1.0;
            let order = of("l k j i h g f e d c b a") < of("a b c d e f l k j i h g")
                && of("l k j i h g f e d c b a") < 30.0;
            let repeated = of("a b c d a b c d a b c d") < 50.0;
            let short = of("a b c d") < 50.0;
            let long = of("a b c d e f g h i j k l m n o p q r s t u v w x") < 75.0;
            perfect && other && order && repeated && short && long
        },
        mistakes: vec![],
        run: |test, _| {
            let verdict = |(what, score): (_, SentenceScore)| Outcome::new(what, Tensor::from(test(score)));
            specimens().into_iter().map(verdict).collect()
        },
    }
}
