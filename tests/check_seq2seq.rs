//! The checks of the translator's exercises accept right answers in several forms and name the cause of classic
//! wrong ones.

use llm_course::check;
use llm_course::data::{BOS, EOS, IGNORE, PAD};
use tch::{Kind, Reduction, Tensor};

use crate::verdicts::{accepts, rejects};

#[test]
pub fn clipped_matches() {
    /// How often `run` occurs.
    fn count(words: &[i64], run: &[i64]) -> usize {
        words.windows(run.len()).filter(|other| *other == run).count()
    }
    fn different(words: &[i64], n: usize) -> Vec<Vec<i64>> {
        let mut runs: Vec<Vec<i64>> = words.windows(n).map(<[i64]>::to_vec).collect();
        runs.sort();
        runs.dedup();
        runs
    }
    fn total(words: &[i64], n: usize) -> usize {
        (words.len() + 1).saturating_sub(n)
    }
    let exercise = check::clipped_matches_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |o, r, n| (different(o, n).iter().map(|run| count(o, run).min(count(r, run))).sum(), total(o, n)),
            |o, r, n| {
                let mut left: Vec<&[i64]> = r.windows(n).collect();
                let mut hits = 0;
                for run in o.windows(n) {
                    if let Some(place) = left.iter().position(|other| *other == run) {
                        left.swap_remove(place);
                        hits += 1;
                    }
                }
                (hits, total(o, n))
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("not clipped", |o, r, n| {
                (
                    different(o, n).iter().filter(|run| count(r, run) > 0).map(|run| count(o, run)).sum(),
                    total(o, n),
                )
            }),
            ("that is recall", |o, r, n| {
                (different(o, n).iter().map(|run| count(o, run).min(count(r, run))).sum(), total(r, n))
            }),
            ("counted once", |o, r, n| {
                (different(o, n).iter().filter(|run| count(r, run) > 0).count(), total(o, n))
            }),
            ("n plays no role", |o, r, _| {
                (different(o, 1).iter().map(|run| count(o, run).min(count(r, run))).sum(), o.len())
            }),
            ("place by place", |o, r, n| {
                let hits = (0..total(o, n)).filter(|&i| r.get(i..i + n) == Some(&o[i..i + n])).count();
                (hits, total(o, n))
            }),
            ("counts words", |o, r, n| {
                (different(o, n).iter().map(|run| count(o, run).min(count(r, run))).sum(), o.len())
            }),
            ("from the reference's side", |o, r, n| {
                (r.windows(n).filter(|run| count(o, run) > 0).count(), total(o, n))
            }),
            ("(matches, n-grams)", |o, r, n| {
                (different(o, n).iter().map(|run| count(o, run).min(count(r, run))).sum(), total(o, n) + 1)
            }),
        ],
    );
}

#[test]
pub fn bleu() {
    fn product(m: &[usize], t: &[usize]) -> f64 {
        (0..4).map(|n| m[n] as f64 / t[n] as f64).product()
    }
    fn brevity(o: usize, r: usize) -> f64 {
        if o < r { (1.0 - r as f64 / o as f64).exp() } else { 1.0 }
    }
    let exercise = check::bleu_exercise();
    accepts(&exercise, &[exercise.reference, |m, t, o, r| 100.0 * brevity(o, r) * product(m, t).powf(0.25)]);
    rejects(
        &exercise,
        &[
            ("penalty is missing", |m, t, _, _| 100.0 * product(m, t).sqrt().sqrt()),
            ("at most 1", |m, t, o, r| 100.0 * product(m, t).powf(0.25) * (1.0 - r as f64 / o as f64).exp()),
            ("punishes long", |m, t, o, r| 100.0 * brevity(r, o) * product(m, t).powf(0.25)),
            ("ratio itself", |m, t, o, r| {
                100.0 * f64::min(1.0, o as f64 / r as f64) * product(m, t).powf(0.25)
            }),
            ("averaged", |m, t, o, r| {
                25.0 * brevity(o, r) * (0..4).map(|n| m[n] as f64 / t[n] as f64).sum::<f64>()
            }),
            ("divide their sum by 4", |m, t, o, r| {
                100.0 * brevity(o, r) * (0..4).map(|n| (m[n] as f64 / t[n] as f64).ln()).sum::<f64>().exp()
            }),
            ("multiply by 100", |m, t, o, r| brevity(o, r) * product(m, t).powf(0.25)),
            ("whole numbers", |m, t, o, r| {
                let product: f64 = (0..4).map(|n| (m[n] / t[n]) as f64).product();
                100.0 * brevity(o, r) * product.powf(0.25)
            }),
            ("off by", |m, t, o, r| {
                100.0 * brevity(o, r) * (m.iter().sum::<usize>() as f64 / t.iter().sum::<usize>() as f64)
            }),
        ],
    );
}

#[test]
pub fn shift() {
    fn pad(mut row: Vec<i64>, length: usize, fill: i64) -> Vec<i64> {
        while row.len() < length {
            row.push(fill);
        }
        row
    }
    fn begun(words: &[i64]) -> Vec<i64> {
        std::iter::once(BOS).chain(words.iter().copied()).collect()
    }
    fn ended(words: &[i64]) -> Vec<i64> {
        words.iter().copied().chain([EOS]).collect()
    }
    let exercise = check::shift_exercise();
    accepts(&exercise, &[exercise.reference, |w, l| (pad(begun(w), l, PAD), pad(ended(w), l, IGNORE))]);
    rejects(
        &exercise,
        &[
            ("both rows are the same", |w, l| (pad(w.to_vec(), l, PAD), pad(w.to_vec(), l, IGNORE))),
            ("both rows begin with BOS", |w, l| (pad(begun(w), l, PAD), pad(begun(w), l, IGNORE))),
            ("both rows begin with BOS", |w, l| (pad(begun(w), l, PAD), pad(begun(&ended(w)), l, IGNORE))),
            ("learns to stop", |w, l| (pad(begun(w), l, PAD), pad(w.to_vec(), l, IGNORE))),
            ("something to start from", |w, l| (pad(w.to_vec(), l, PAD), pad(ended(w), l, IGNORE))),
            ("holds EOS", |w, l| (pad(begun(&ended(w)), l, PAD), pad(ended(w), l, IGNORE))),
            ("padded with PAD", |w, l| (pad(begun(w), l, PAD), pad(ended(w), l, PAD))),
            ("no row of an embedding", |w, l| (pad(begun(w), l, IGNORE), pad(ended(w), l, IGNORE))),
            ("swapped", |w, l| (pad(ended(w), l, IGNORE), pad(begun(w), l, PAD))),
            ("padding is missing", |w, _| (begun(w), ended(w))),
        ],
    );
}

#[test]
pub fn masked_loss() {
    fn each(logits: &Tensor, targets: &Tensor) -> Tensor {
        let flat = logits.flatten(0, 1);
        let losses =
            flat.cross_entropy_loss::<Tensor>(&targets.flatten(0, 1), None, Reduction::None, IGNORE, 0.0);
        losses.view_as(targets) // 0 at padding
    }
    fn count(targets: &Tensor) -> f64 {
        targets.ne(IGNORE).sum(Kind::Double).double_value(&[])
    }
    let exercise = check::masked_loss_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |logits, targets| {
                logits.flatten(0, 1).cross_entropy_loss::<Tensor>(
                    &targets.flatten(0, 1),
                    None,
                    Reduction::Mean,
                    IGNORE,
                    0.0,
                )
            },
            |logits, targets| {
                let real = targets.ne(IGNORE);
                let log_p = logits.log_softmax(-1, Kind::Double);
                let picked = log_p.gather(-1, &(targets * &real).unsqueeze(-1), false).squeeze_dim(-1);
                -picked.masked_select(&real).mean(Kind::Double)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("divided by all places", |logits, targets| each(logits, targets).mean(Kind::Double)),
            ("as if its target were a word", |logits, targets| {
                let words = targets.where_self(&targets.ge(0), &targets.zeros_like());
                logits.flatten(0, 1).cross_entropy_for_logits(&words.flatten(0, 1))
            }),
            ("padding is in the sum", |logits, targets| {
                let words = targets.where_self(&targets.ge(0), &targets.zeros_like());
                each(logits, &words).sum(Kind::Double) / count(targets)
            }),
            ("each sentence weighs the same", |logits, targets| {
                let losses: Vec<Tensor> = (0..targets.size()[0])
                    .map(|i| {
                        each(&logits.get(i).unsqueeze(0), &targets.get(i).unsqueeze(0)).sum(Kind::Double)
                            / count(&targets.get(i))
                    })
                    .collect();
                Tensor::stack(&losses, 0).mean(Kind::Double)
            }),
            ("this is the sum", |logits, targets| each(logits, targets).sum(Kind::Double)),
            ("number of sentences", |logits, targets| {
                each(logits, targets).sum_dim_intlist(1, false, Kind::Double).mean(Kind::Double)
            }),
            ("sign", |logits, targets| -each(logits, targets).sum(Kind::Double) / count(targets)),
            ("panicked", |logits, targets| {
                -logits.gather(-1, &targets.unsqueeze(-1), false).mean(Kind::Double)
            }),
            ("wrong way round", |logits, targets| {
                let padding = targets.eq(IGNORE);
                let words = targets.where_self(&targets.ge(0), &targets.zeros_like());
                each(logits, &words).masked_select(&padding).mean(Kind::Double)
            }),
            ("writes into its arguments", |logits, targets| {
                let real = targets.ne(IGNORE);
                let words = targets.shallow_clone().clamp_min_(0);
                each(logits, &words).masked_select(&real).mean(Kind::Double)
            }),
            ("graph is cut", |logits, targets| {
                each(&logits.detach(), targets).sum(Kind::Double) / count(targets)
            }),
        ],
    );
}

#[test]
pub fn beam_step() {
    /// (score, ln p, beam, word) of all continuations of text `b`, the best first.
    fn ranked(
        log_p: &Tensor,
        next: &Tensor,
        b: i64,
        score: impl Fn(f64, i64) -> f64,
    ) -> Vec<(f64, f64, i64, i64)> {
        let (beam, vocab) = (next.size()[1], next.size()[2]);
        let mut all = Vec::new();
        for i in 0..beam {
            for w in 0..vocab {
                let sum = log_p.double_value(&[b, i]) + next.double_value(&[b, i, w]);
                all.push((score(sum, i), sum, i, w));
            }
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all
    }
    fn tensors(rows: Vec<Vec<(f64, f64, i64, i64)>>, beam: i64) -> (Tensor, Tensor, Tensor) {
        let batch = rows.len() as i64;
        let kept: Vec<_> = rows.iter().flat_map(|row| row.iter().take(beam as usize)).collect();
        let beams: Vec<i64> = kept.iter().map(|c| c.2).collect();
        let words: Vec<i64> = kept.iter().map(|c| c.3).collect();
        let sums: Vec<f64> = kept.iter().map(|c| c.1).collect();
        let shape = [batch, beam];
        (
            Tensor::from_slice(&beams).view(shape),
            Tensor::from_slice(&words).view(shape),
            Tensor::from_slice(&sums).view(shape),
        )
    }
    fn divisor(length: &Tensor, b: i64, i: i64, alpha: f64) -> f64 {
        ((5.0 + length.double_value(&[b, i])) / 6.0).powf(alpha)
    }
    let exercise = check::beam_step_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |p, next, length, a| {
            let rows = (0..p.size()[0]).map(|b| ranked(p, next, b, |sum, i| sum / divisor(length, b, i, a)));
            tensors(rows.collect(), p.size()[1])
        }],
    );
    rejects(
        &exercise,
        &[
            ("came before is forgotten", |p, next, length, a| {
                let p = p * 0.0;
                let rows =
                    (0..p.size()[0]).map(|b| ranked(&p, next, b, |sum, i| sum / divisor(length, b, i, a)));
                tensors(rows.collect(), p.size()[1])
            }),
            ("lengths play no role", |p, next, _, _| {
                let rows = (0..p.size()[0]).map(|b| ranked(p, next, b, |sum, _| sum));
                tensors(rows.collect(), p.size()[1])
            }),
            ("multiplied", |p, next, length, a| {
                let rows =
                    (0..p.size()[0]).map(|b| ranked(p, next, b, |sum, i| sum * divisor(length, b, i, a)));
                tensors(rows.collect(), p.size()[1])
            }),
            ("normalised score", |p, next, length, a| {
                let rows = (0..p.size()[0]).map(|b| {
                    let all = ranked(p, next, b, |sum, i| sum / divisor(length, b, i, a));
                    all.into_iter().map(|(score, _, i, w)| (score, score, i, w)).collect()
                });
                tensors(rows.collect(), p.size()[1])
            }),
            ("its own best word", |p, next, length, a| {
                let rows = (0..p.size()[0]).map(|b| {
                    let all = ranked(p, next, b, |sum, i| sum / divisor(length, b, i, a));
                    let mut seen = Vec::new();
                    all.into_iter()
                        .filter(|c| {
                            let first = !seen.contains(&c.2);
                            seen.push(c.2);
                            first
                        })
                        .collect()
                });
                tensors(rows.collect(), p.size()[1])
            }),
            ("confused", |p, next, length, a| {
                let rows =
                    (0..p.size()[0]).map(|b| ranked(p, next, b, |sum, i| sum / divisor(length, b, i, a)));
                let (beams, words, sums) = tensors(rows.collect(), p.size()[1]);
                (words, beams, sums)
            }),
            ("length^α", |p, next, length, a| {
                let rows = (0..p.size()[0])
                    .map(|b| ranked(p, next, b, |sum, i| sum / length.double_value(&[b, i]).powf(a)));
                tensors(rows.collect(), p.size()[1])
            }),
        ],
    );
}

#[test]
pub fn shift_test() {
    let exercise = check::shift_test_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |shift| {
            let words = [11, 12, 13, 14];
            let (read, said) = shift(&words, 9);
            let targets: Vec<i64> = said.iter().copied().filter(|&id| id != IGNORE).collect();
            let behind = (0..4).all(|t| read[t + 1] == said[t]);
            read[0] == BOS && behind && targets == [11, 12, 13, 14, EOS]
        }],
    );
    rejects(
        &exercise,
        &[
            ("it accepts two equal rows", |_| true),
            ("it rejects a sound shift", |_| false),
            ("pads tgt_in with EOS", |shift| {
                let (read, said) = shift(&[5, 6], 4);
                read == [BOS, 5, 6, PAD] && said == [5, 6, EOS, IGNORE]
            }),
            ("both begin with BOS", |shift| {
                let (read, said) = shift(&[5, 6], 5);
                read != said && read[0] == BOS && said.contains(&EOS)
            }),
            ("would never stop", |shift| {
                let (read, said) = shift(&[5, 6], 4);
                read[0] == BOS && said[0] == read[1] && said[1] == read[2]
            }),
            ("padded with PAD", |shift| {
                let (read, said) = shift(&[5, 6], 4);
                read[0] == BOS && said[..3] == [5, 6, EOS] && read[1..3] == [5, 6]
            }),
        ],
    );
}
