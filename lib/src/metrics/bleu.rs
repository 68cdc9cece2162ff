//! BLEU: a translation against a reference, by shared runs of tokens.

use std::hash::Hash;

use super::{ngrams, shared_ngrams};

/// What to do about an order of n-grams that has no match, which would make BLEU 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Smoothing {
    /// Nothing: BLEU is 0 then.
    None,
    /// The k-th such order counts as 1/2^k of a match (Chen & Cherry 2014, method 3; sacrebleu's default).
    #[default]
    Exp,
}

/// BLEU and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bleu {
    /// brevity penalty · exp(¼ Σ ln precision), from 0 to 100.
    pub score: f64,
    /// Share of the output's 1- to 4-grams that are in the reference, in percent, after smoothing.
    pub precisions: [f64; 4],
    /// min(1, exp(1 − reference_len / output_len)).
    pub brevity_penalty: f64,
    /// Tokens of the output.
    pub output_len: usize,
    /// Tokens of the references.
    pub reference_len: usize,
}

/// Corpus BLEU-4 (Papineni et al. 2002, §2.3) as sacrebleu computes it with `tokenize="none"`: n-grams are
/// counted over all sentences before anything is divided. One reference for each output; tokens are words
/// or ids.
///
/// ```
/// use llm_course::metrics::{Smoothing, bleu};
/// use llm_course::tokenizers::split_words;
/// let output = split_words("the cat sat on the mat");
/// let reference = split_words("the cat lay on the mat");
/// let bleu = bleu(&[output], &[reference], Smoothing::Exp);
/// assert!((bleu.score - 37.9917).abs() < 1e-3);
/// ```
///
/// # Panics
/// If there are not as many outputs as references.
pub fn bleu<T: Eq + Hash>(outputs: &[Vec<T>], references: &[Vec<T>], smoothing: Smoothing) -> Bleu {
    let (o, r) = (outputs.len(), references.len());
    assert!(o == r, "BLEU needs one reference for each output: got {o} outputs and {r} references");
    Counts::new(outputs, references).bleu(smoothing, 4)
}

/// BLEU of one sentence as sacrebleu's `sentence_bleu`: smoothed, and for outputs of fewer than four tokens
/// up to the longest n-gram there is.
pub fn sentence_bleu<T: Eq + Hash + Clone>(output: &[T], reference: &[T]) -> Bleu {
    let counts = Counts::new(&[output.to_vec()], &[reference.to_vec()]);
    counts.bleu(Smoothing::Exp, output.len().clamp(1, 4))
}

#[derive(Default)]
struct Counts {
    matches: [usize; 4],
    totals: [usize; 4],
    output_len: usize,
    reference_len: usize,
}

impl Counts {
    fn new<T: Eq + Hash>(outputs: &[Vec<T>], references: &[Vec<T>]) -> Self {
        let mut counts = Self::default();
        for (output, reference) in outputs.iter().zip(references) {
            for n in 1..=4 {
                counts.matches[n - 1] += shared_ngrams(output, reference, n);
                counts.totals[n - 1] += ngrams(output, n).values().sum::<usize>();
            }
            counts.output_len += output.len();
            counts.reference_len += reference.len();
        }
        counts
    }

    fn bleu(&self, smoothing: Smoothing, orders: usize) -> Bleu {
        let Self { matches, totals, output_len, reference_len } = *self;
        let excess = 1.0 - reference_len as f64 / output_len as f64;
        let brevity_penalty = if output_len == 0 { 0.0 } else { excess.exp().min(1.0) };
        let mut share = 1.0; // of a match, for an order without any
        let precisions = std::array::from_fn(|i| match (matches[i], totals[i], smoothing) {
            (_, 0, _) | (0, _, Smoothing::None) => 0.0,
            _ if matches[0] == 0 => 0.0, // nothing at all is right
            (0, total, Smoothing::Exp) => {
                share /= 2.0;
                100.0 * share / total as f64
            }
            (hits, total, _) => 100.0 * hits as f64 / total as f64,
        });
        let mean_log = precisions[..orders].iter().map(|p: &f64| p.ln()).sum::<f64>() / orders as f64;
        Bleu {
            score: brevity_penalty * mean_log.exp(),
            precisions,
            brevity_penalty,
            output_len,
            reference_len,
        }
    }
}
