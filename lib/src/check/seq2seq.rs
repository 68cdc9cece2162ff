//! Exercises of the translator: BLEU, teacher forcing, masked loss, one step of a beam search.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::compare::gradients;
use super::{Exercise, Mistake, Outcome};
use crate::data::{BOS, EOS, IGNORE, PAD};

/// output, reference, n → how many n-grams of the output are in the reference, each at most as often as there,
/// and how many n-grams the output has.
pub type ClippedMatches = fn(&[i64], &[i64], usize) -> (usize, usize);
/// matches and n-grams for n = 1 to 4, tokens of all outputs, tokens of all references → BLEU, 0 to 100.
pub type BleuOfCounts = fn(&[usize], &[usize], usize, usize) -> f64;
/// words of a target sentence, length to pad to → what the decoder reads and what it should say, both of that
/// length.
pub type Shift = fn(&[i64], usize) -> (Vec<i64>, Vec<i64>);
/// logits `[batch, time, vocab]`, targets `[batch, time]` with [`IGNORE`] at padding → mean cross-entropy in nats.
pub type MaskedLoss = fn(&Tensor, &Tensor) -> Tensor;
/// ln p of the hypotheses `[batch, beam]`, ln p of each next word `[batch, beam, vocab]`, length of the continued
/// hypotheses `[batch, beam]`, α → of the best continuations `[batch, beam]`: beam, word, ln p.
pub type BeamStep = fn(&Tensor, &Tensor, &Tensor, f64) -> (Tensor, Tensor, Tensor);
/// A test of a [`Shift`]: `true` if it is sound.
pub type ShiftTest = fn(Shift) -> bool;

fn counts(words: &[i64], n: usize) -> HashMap<&[i64], usize> {
    let mut counts = HashMap::new();
    words.windows(n).for_each(|run| *counts.entry(run).or_default() += 1);
    counts
}

/// Checks the clipped matches of BLEU; returns the function if it is right, else the reference.
pub fn clipped_matches(answer: ClippedMatches) -> ClippedMatches {
    clipped_matches_exercise().check(answer)
}

/// Exercise 3.1.
pub fn clipped_matches_exercise() -> Exercise<ClippedMatches> {
    fn total(words: &[i64], n: usize) -> usize {
        words.windows(n).count()
    }
    fn clipped(output: &[i64], reference: &[i64], n: usize) -> usize {
        let wanted = counts(reference, n);
        counts(output, n).iter().map(|(run, &count)| count.min(wanted.get(run).copied().unwrap_or(0))).sum()
    }
    fn unclipped(output: &[i64], reference: &[i64], n: usize) -> usize {
        output.windows(n).filter(|run| reference.windows(n).any(|other| other == *run)).count()
    }
    Exercise {
        number: "3.1",
        reference: |output, reference, n| (clipped(output, reference, n), total(output, n)),
        mistakes: vec![
            Mistake::new(
                "the counts are not clipped: \"the the the\" must not match one \"the\" three times; take the \
                 smaller of the two counts",
                |o, r, n| (unclipped(o, r, n), total(o, n)),
            ),
            Mistake::new(
                "the second number counts the reference's n-grams: that is recall; precision divides by the output's",
                |o, r, n| (clipped(o, r, n), total(r, n)),
            ),
            Mistake::new(
                "every different n-gram is counted once: count each as often as it occurs in both",
                |o, r, n| {
                    (counts(o, n).keys().filter(|run| counts(r, n).contains_key(*run)).count(), total(o, n))
                },
            ),
            Mistake::new(
                "the matches are counted from the reference's side: clip the counts of the output's n-grams",
                |o, r, n| (unclipped(r, o, n), total(o, n)),
            ),
            Mistake::new("n plays no role: use windows(n), runs of n words", |o, r, _| {
                (clipped(o, r, 1), total(o, 1))
            }),
            Mistake::new(
                "words are compared place by place: an n-gram may stand anywhere in the reference",
                |o, r, n| (o.windows(n).zip(r.windows(n)).filter(|(a, b)| a == b).count(), total(o, n)),
            ),
            Mistake::new(
                "the second number counts words: an output of k words has k − n + 1 n-grams",
                |o, r, n| (clipped(o, r, n), o.len()),
            ),
        ],
        run: |matches, cases| {
            let (output, reference) = (cases.id_list(3, 12, 3), cases.id_list(2, 12, 3));
            (1..=4)
                .map(|n| {
                    let (hits, total) = matches(&output, &reference, n);
                    Outcome::new("(matches, n-grams)", Tensor::from_slice(&[hits as i64, total as i64]))
                })
                .collect()
        },
    }
}

/// Checks BLEU from counts; returns the function if it is right, else the reference.
pub fn bleu(answer: BleuOfCounts) -> BleuOfCounts {
    bleu_exercise().check(answer)
}

/// Exercise 3.2.
pub fn bleu_exercise() -> Exercise<BleuOfCounts> {
    fn shares(matches: &[usize], totals: &[usize]) -> Vec<f64> {
        matches.iter().zip(totals).map(|(&m, &t)| m as f64 / t as f64).collect()
    }
    fn geometric(matches: &[usize], totals: &[usize]) -> f64 {
        (shares(matches, totals).iter().map(|p| p.ln()).sum::<f64>() / 4.0).exp()
    }
    fn penalty(output: usize, reference: usize) -> f64 {
        (1.0 - reference as f64 / output as f64).exp().min(1.0)
    }
    Exercise {
        number: "3.2",
        reference: |m, t, o, r| 100.0 * penalty(o, r) * geometric(m, t),
        mistakes: vec![
            Mistake::new(
                "the brevity penalty is missing: a single right word would score 100",
                |m, t, _, _| 100.0 * geometric(m, t),
            ),
            Mistake::new(
                "outputs that are too long get more than 100: the penalty is at most 1, use .min(1.0)",
                |m, t, o, r| 100.0 * (1.0 - r as f64 / o as f64).exp() * geometric(m, t),
            ),
            Mistake::new(
                "the penalty punishes long outputs: it is exp(1 − reference/output), not exp(1 − output/reference)",
                |m, t, o, r| 100.0 * penalty(r, o) * geometric(m, t),
            ),
            Mistake::new("the penalty is exp(1 − reference/output), not the ratio itself", |m, t, o, r| {
                100.0 * (o as f64 / r as f64).min(1.0) * geometric(m, t)
            }),
            Mistake::new(
                "the precisions are averaged: BLEU takes their geometric mean, exp of the mean of the logarithms",
                |m, t, o, r| 100.0 * penalty(o, r) * shares(m, t).iter().sum::<f64>() / 4.0,
            ),
            Mistake::new(
                "the logarithms are added up: divide their sum by 4, for the fourth root of the product",
                |m, t, o, r| 100.0 * penalty(o, r) * shares(m, t).iter().product::<f64>(),
            ),
            Mistake::new(
                "m / t is a division of whole numbers, 0 for every m below t: make both f64 first",
                |_, _, _, _| 0.0,
            ),
            Mistake::new("the score runs from 0 to 1 here: multiply by 100", |m, t, o, r| {
                penalty(o, r) * geometric(m, t)
            }),
        ],
        run: |bleu, cases| {
            let output = cases.size(20, 60) as usize;
            let reference = cases.size(20, 60) as usize;
            let totals: Vec<usize> = (0..4).map(|n| output - 3 * n).collect();
            let mut matches: Vec<usize> =
                totals.iter().map(|&total| cases.size(1, total as i64 - 1) as usize).collect();
            if cases.extreme() {
                matches[3] = 0; // no 4-gram is right: BLEU is 0
            }
            vec![Outcome::new("BLEU", Tensor::from(bleu(&matches, &totals, output, reference)))]
        },
    }
}

/// Checks the decoder's input and targets; returns the function if it is right, else the reference.
pub fn shift(answer: Shift) -> Shift {
    shift_exercise().check(answer)
}

/// `parts` in a row, filled up with `fill`.
fn filled(parts: &[&[i64]], length: usize, fill: i64) -> Vec<i64> {
    let mut row = parts.concat();
    row.resize(length, fill);
    row
}

fn read(words: &[i64], length: usize) -> Vec<i64> {
    filled(&[&[BOS], words], length, PAD)
}

fn said(words: &[i64], length: usize) -> Vec<i64> {
    filled(&[words, &[EOS]], length, IGNORE)
}

/// Exercise 3.3.
pub fn shift_exercise() -> Exercise<Shift> {
    Exercise {
        number: "3.3",
        reference: |words, length| (read(words, length), said(words, length)),
        mistakes: vec![
            Mistake::new(
                "both rows are the same: the decoder would see the word that it should say; tgt_in is one step behind",
                |w, length| (filled(&[w], length, PAD), filled(&[w], length, IGNORE)),
            ),
            Mistake::new(
                "both rows begin with BOS: the decoder would see the word that it should say; tgt_out begins with \
                 the first word",
                |w, length| (read(w, length), filled(&[&[BOS], w, &[EOS]], length, IGNORE)),
            ),
            Mistake::new(
                "both rows begin with BOS: the decoder would see the word that it should say; tgt_out begins with \
                 the first word",
                |w, length| (read(w, length), filled(&[&[BOS], w], length, IGNORE)),
            ),
            Mistake::new("tgt_out does not end in EOS: the decoder never learns to stop", |w, length| {
                (read(w, length), filled(&[w], length, IGNORE))
            }),
            Mistake::new(
                "tgt_in does not begin with BOS: the decoder needs something to start from",
                |w, length| (filled(&[w], length, PAD), said(w, length)),
            ),
            Mistake::new(
                "tgt_in holds EOS: after EOS there is nothing more to say, so the decoder never reads it",
                |w, length| (filled(&[&[BOS], w, &[EOS]], length, PAD), said(w, length)),
            ),
            Mistake::new(
                "tgt_out is padded with PAD: the loss would count padding as words to learn; use IGNORE",
                |w, length| (read(w, length), filled(&[w, &[EOS]], length, PAD)),
            ),
            Mistake::new(
                "tgt_in is padded with IGNORE: −100 is no row of an embedding; use PAD",
                |w, length| (filled(&[&[BOS], w], length, IGNORE), said(w, length)),
            ),
            Mistake::new(
                "the two rows are swapped: first what the decoder reads, then what it says",
                |w, length| (said(w, length), read(w, length)),
            ),
            Mistake::new("the padding is missing: fill both rows up to `length`", |w, _| {
                (read(w, w.len() + 1), said(w, w.len() + 1))
            }),
        ],
        run: |shift, cases| {
            let words: Vec<i64> = cases.id_list(1, 9, 50).iter().map(|id| id + 4).collect();
            let length = words.len() + 1 + cases.size(1, 4) as usize;
            let (tgt_in, tgt_out) = shift(&words, length);
            Outcome::list([
                ("tgt_in", Tensor::from_slice(&tgt_in)),
                ("tgt_out", Tensor::from_slice(&tgt_out)),
            ])
        },
    }
}

/// Checks the loss without padding; returns the function if it is right, else the reference.
pub fn masked_loss(answer: MaskedLoss) -> MaskedLoss {
    masked_loss_exercise().check(answer)
}

/// −ln p of each target, `[batch, time]`; of id 0 where there is none.
fn surprise(logits: &Tensor, targets: &Tensor) -> Tensor {
    let log_p = logits.log_softmax(-1, Kind::Double);
    -log_p.gather(-1, &targets.clamp_min(0).unsqueeze(-1), false).squeeze_dim(-1)
}

fn real(targets: &Tensor) -> Tensor {
    targets.ne(IGNORE).to_kind(Kind::Double)
}

/// Exercise 3.4.
pub fn masked_loss_exercise() -> Exercise<MaskedLoss> {
    Exercise {
        number: "3.4",
        reference: |logits, targets| {
            let real = real(targets);
            (surprise(logits, targets) * &real).sum(Kind::Double) / real.sum(Kind::Double)
        },
        mistakes: vec![
            Mistake::new(
                "the sum is divided by all places, padding too: the more padding, the smaller the loss; divide by \
                 the number of real targets",
                |logits, targets| (surprise(logits, targets) * real(targets)).mean(Kind::Double),
            ),
            Mistake::new(
                "padding is counted as if its target were a word: multiply by the mask before the sum",
                |logits, targets| surprise(logits, targets).mean(Kind::Double),
            ),
            Mistake::new(
                "padding is in the sum, although the division is right: multiply by the mask before the sum",
                |logits, targets| {
                    surprise(logits, targets).sum(Kind::Double) / real(targets).sum(Kind::Double)
                },
            ),
            Mistake::new(
                "each sentence weighs the same: add up over the whole batch and divide once, so that each word does",
                |logits, targets| {
                    let real = real(targets);
                    let sums = (surprise(logits, targets) * &real).sum_dim_intlist(1, false, Kind::Double);
                    (sums / real.sum_dim_intlist(1, false, Kind::Double)).mean(Kind::Double)
                },
            ),
            Mistake::new("this is the sum: the loss is the mean over the real targets", |logits, targets| {
                (surprise(logits, targets) * real(targets)).sum(Kind::Double)
            }),
            Mistake::new(
                "the sum is divided by the number of sentences: divide by the number of real targets",
                |logits, targets| {
                    (surprise(logits, targets) * real(targets)).sum(Kind::Double) / targets.size()[0] as f64
                },
            ),
            Mistake::new(
                "the mask is the wrong way round: keep the places where the target is not IGNORE",
                |logits, targets| {
                    let padding = 1.0 - real(targets);
                    (surprise(logits, targets) * &padding).sum(Kind::Double) / padding.sum(Kind::Double)
                },
            ),
            Mistake::new("the sign: −ln p is positive", |logits, targets| {
                let real = real(targets);
                -(surprise(logits, targets) * &real).sum(Kind::Double) / real.sum(Kind::Double)
            }),
        ],
        run: |loss, cases| {
            let (batch, time, vocab) = (cases.size(2, 4), cases.size(3, 6), cases.size(3, 7));
            let logits = cases.tensor(&[batch, time, vocab], 3.0);
            let targets = cases.ids(batch * time, vocab).view([batch, time]);
            for row in 0..batch {
                // the first row is full, the second has padding
                let padding = [0, 1, cases.size(0, time - 1), cases.size(0, time - 1)][row as usize];
                let _ = targets.get(row).narrow(0, time - padding, padding).fill_(IGNORE);
            }
            let value = loss(&logits, &targets);
            let gradient = gradients(&value, &[&logits]).remove(0);
            Outcome::list([("the loss", value), ("the gradient of the logits", gradient)])
        },
    }
}

/// Checks one step of a beam search; returns the function if it is right, else the reference.
pub fn beam_step(answer: BeamStep) -> BeamStep {
    beam_step_exercise().check(answer)
}

/// ((5 + length) / 6)^α
fn penalty(length: &Tensor, alpha: f64) -> Tensor {
    ((length.to_kind(Kind::Double) + 5.0) / 6.0).pow_tensor_scalar(alpha)
}

/// The best of `scores` `[batch, beam, vocab]`: beam, word and their entry in `values`.
fn best(scores: &Tensor, values: &Tensor) -> (Tensor, Tensor, Tensor) {
    let (beam, vocab) = (scores.size()[1], scores.size()[2]);
    let (_, index) = scores.flatten(1, 2).topk(beam, -1, true, true);
    let value = values.flatten(1, 2).gather(1, &index, false);
    (index.divide_scalar_mode(vocab, "floor"), index.remainder(vocab), value)
}

/// Exercise 3.5.
pub fn beam_step_exercise() -> Exercise<BeamStep> {
    Exercise {
        number: "3.5",
        reference: |log_p, next, length, alpha| {
            let sums = log_p.unsqueeze(-1) + next;
            best(&(&sums / penalty(length, alpha).unsqueeze(-1)), &sums)
        },
        mistakes: vec![
            Mistake::new(
                "what came before is forgotten: add log_p to the next words' ln p",
                |_, next, length, alpha| best(&(next / penalty(length, alpha).unsqueeze(-1)), next),
            ),
            Mistake::new(
                "the lengths play no role: divide ln p by ((5 + length)/6)^α before you compare",
                |log_p, next, _, _| {
                    let sums = log_p.unsqueeze(-1) + next;
                    best(&sums, &sums)
                },
            ),
            Mistake::new(
                "ln p is multiplied by the length penalty: divide, so that long hypotheses lose less",
                |log_p, next, length, alpha| {
                    let sums = log_p.unsqueeze(-1) + next;
                    best(&(&sums * penalty(length, alpha).unsqueeze(-1)), &sums)
                },
            ),
            Mistake::new(
                "the third result is the normalised score: return ln p, or the next step would divide twice",
                |log_p, next, length, alpha| {
                    let scores = (log_p.unsqueeze(-1) + next) / penalty(length, alpha).unsqueeze(-1);
                    best(&scores, &scores)
                },
            ),
            Mistake::new(
                "each beam keeps its own best word: all continuations compete, so flatten beam and vocabulary first",
                |log_p, next, length, alpha| {
                    let sums = log_p.unsqueeze(-1) + next;
                    let (value, word) = sums.max_dim(-1, false);
                    let scores = &value / penalty(length, alpha);
                    let (_, order) = scores.sort(-1, true);
                    (order.shallow_clone(), word.gather(1, &order, false), value.gather(1, &order, false))
                },
            ),
            Mistake::new(
                "each beam keeps its own best word: all continuations compete, so flatten beam and vocabulary first",
                |log_p, next, _, _| {
                    let (value, word) = (log_p.unsqueeze(-1) + next).max_dim(-1, false);
                    let beams = Tensor::arange(log_p.size()[1], (Kind::Int64, log_p.device()));
                    (beams.expand_as(&word), word, value)
                },
            ),
            Mistake::new(
                "beam and word are confused: the index divided by the vocabulary's size is the beam, the rest the word",
                |log_p, next, length, alpha| {
                    let sums = log_p.unsqueeze(-1) + next;
                    let (beam, word, value) = best(&(&sums / penalty(length, alpha).unsqueeze(-1)), &sums);
                    (word, beam, value)
                },
            ),
            Mistake::new(
                "this divides by length^α: here the penalty is ((5 + length)/6)^α, gentler for short ones",
                |log_p, next, length, alpha| {
                    let sums = log_p.unsqueeze(-1) + next;
                    let divisor = length.to_kind(Kind::Double).pow_tensor_scalar(alpha).unsqueeze(-1);
                    best(&(&sums / divisor), &sums)
                },
            ),
        ],
        run: |step, cases| {
            let (batch, beam, vocab) = (cases.size(1, 3), cases.size(2, 4), cases.size(4, 7));
            let log_p = cases.tensor(&[batch, beam], 1.0).detach() * 2.0 - 3.0;
            let next = cases.tensor(&[batch, beam, vocab], 3.0).detach().log_softmax(-1, Kind::Double);
            let length = cases.ids(batch * beam, 9).view([batch, beam]) + 1;
            let alpha = cases.number(0.8, 1.5);
            let [log_p, next, length] = [log_p, next, length].map(|tensor| cases.keep(tensor));
            let (beam, word, value) = step(&log_p, &next, &length, alpha);
            Outcome::list([
                ("ln p of the best continuations", value),
                ("the beam that each comes from", beam),
                ("the word that each adds", word),
            ])
        },
    }
}

/// Checks a *test* of the decoder's input: it must accept sound ones and reject those that let the decoder copy.
pub fn shift_test(answer: ShiftTest) -> ShiftTest {
    shift_test_exercise().check(answer)
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> [(&'static str, Shift); 7] {
    [
        ("it rejects a sound shift: tgt_in is BOS and the words, tgt_out the words and EOS", |w, length| {
            (read(w, length), said(w, length))
        }),
        (
            "it rejects a sound shift that pads tgt_in with EOS: what is read at padding is never scored; look only \
             at the places before it",
            |w, length| (filled(&[&[BOS], w], length, EOS), said(w, length)),
        ),
        ("it accepts two equal rows: the decoder reads the very word that it should say", |w, length| {
            (filled(&[w, &[EOS]], length, PAD), said(w, length))
        }),
        (
            "it accepts rows that both begin with BOS: the decoder still reads the word that it should say",
            |w, length| (read(w, length), filled(&[&[BOS], w, &[EOS]], length, IGNORE)),
        ),
        (
            "it accepts targets two words ahead: what is read at t + 1 is what should be said at t",
            |w, length| (read(w, length), filled(&[&w[1..], &[EOS]], length, IGNORE)),
        ),
        ("it accepts targets without EOS: the decoder would never stop", |w, length| {
            (read(w, length), filled(&[w], length, IGNORE))
        }),
        ("it accepts targets padded with PAD: after EOS every target must be IGNORE", |w, length| {
            (read(w, length), filled(&[w, &[EOS]], length, PAD))
        }),
    ]
}

/// Exercise 3.6: the verdicts of the learner's test are what is compared.
pub fn shift_test_exercise() -> Exercise<ShiftTest> {
    Exercise {
        number: "3.6",
        reference: |shift| {
            let words = [7, 8, 9];
            let (tgt_in, tgt_out) = shift(&words, 6);
            tgt_in[..4] == [BOS, 7, 8, 9] && tgt_out == [7, 8, 9, EOS, IGNORE, IGNORE]
        },
        mistakes: vec![],
        run: |test, _| {
            specimens()
                .into_iter()
                .map(|(what, shift)| Outcome::new(what, Tensor::from(test(shift))))
                .collect()
        },
    }
}
