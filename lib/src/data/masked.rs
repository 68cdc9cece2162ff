//! Text for BERT: words to find out, and pairs of sentences that do or do not follow each other.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::masked_batches::{MaskedBatches, Row};
use super::{Corruption, IGNORE};
use crate::error::{Error, Result};

/// Sentences for BERT's two objectives (Devlin et al. 2018, §3.1). Words are hidden anew in every epoch
/// (Liu et al. 2019, §4.1).
///
/// ```
/// use llm_course::data::{Corruption, MaskedDataset};
/// let sentences = vec![vec![5, 6, 7, 8], vec![9, 8, 7]];
/// let data = MaskedDataset::from_sequences(sentences, 16, Corruption::new(10))?;
/// let batch = data.batches(2, 1)?.next().unwrap();
/// assert_eq!(batch.ids.size(), [2, 6]); // [CLS] and [SEP] around the longer one
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaskedDataset {
    examples: Arc<Vec<Example>>,
    block_size: i64,
    corruption: Corruption,
}

/// A row without special ids: a sequence, or a sentence and the one that follows it.
#[derive(Debug)]
struct Example {
    paragraph: usize,
    first: Vec<i64>,
    second: Option<Vec<i64>>,
}

impl MaskedDataset {
    /// Single sequences; those longer than `block_size` − 2 are cut into pieces of that length.
    ///
    /// # Errors
    /// If there is nothing to learn from, an id is outside the vocabulary, or a number makes no sense.
    pub fn from_sequences(sequences: Vec<Vec<i64>>, block_size: i64, corruption: Corruption) -> Result<Self> {
        let width = usize::try_from(block_size - 2).unwrap_or(0).max(1); // `check` refuses a small one
        let rows = sequences.iter().enumerate().flat_map(|(paragraph, ids)| {
            ids.chunks(width).map(move |ids| Example { paragraph, first: ids.to_vec(), second: None })
        });
        Self::new(rows.collect(), block_size, corruption)
    }

    /// Pairs of sentences from `paragraphs[paragraph][sentence]`: half the rows of an epoch hold two that
    /// follow each other, half a sentence and a random one from another paragraph. A random one is drawn
    /// among those that follow some sentence, else the first sentence of a paragraph would give itself
    /// away. If a pair is longer than `block_size` − 3, the longer of the two loses its end.
    ///
    /// # Errors
    /// As [`MaskedDataset::from_sequences`], or if fewer than two paragraphs have two sentences.
    pub fn from_paragraphs(
        paragraphs: &[Vec<Vec<i64>>],
        block_size: i64,
        corruption: Corruption,
    ) -> Result<Self> {
        let mut examples = Vec::new();
        for (paragraph, sentences) in paragraphs.iter().enumerate() {
            let sentences: Vec<&Vec<i64>> = sentences.iter().filter(|ids| !ids.is_empty()).collect();
            examples.extend(sentences.windows(2).map(|two| Example {
                paragraph,
                first: two[0].clone(),
                second: Some(two[1].clone()),
            }));
        }
        if examples.iter().all(|example| example.paragraph == examples[0].paragraph) {
            return Err(Error::input(
                "pairs need at least two paragraphs of two sentences or more: one sentence follows another, \
                 and a random one comes from elsewhere; without pairs use MaskedDataset::from_sequences",
            ));
        }
        Self::new(examples, block_size, corruption)
    }

    fn new(examples: Vec<Example>, block_size: i64, corruption: Corruption) -> Result<Self> {
        if block_size < 5 {
            return Err(Error::input(format!(
                "block_size {block_size}: a row needs room for [CLS] a [SEP] b [SEP], at least 5"
            )));
        }
        if !(corruption.share > 0.0 && corruption.share <= 1.0) {
            return Err(Error::input(format!(
                "share {} of words to predict: it must lie in (0, 1], 0.15 in the paper",
                corruption.share
            )));
        }
        if (0..corruption.vocab_size).all(|id| corruption.special.contains(id)) {
            return Err(Error::input(format!(
                "vocab_size {} leaves no ids for words beside the special ones",
                corruption.vocab_size
            )));
        }
        let ids = || examples.iter().flat_map(|row| row.first.iter().chain(row.second.iter().flatten()));
        if let Some(id) = ids().find(|&&id| !(0..corruption.vocab_size).contains(&id)) {
            return Err(Error::input(format!(
                "id {id} is outside the vocabulary of {}: give the tokenizer's vocab_size",
                corruption.vocab_size
            )));
        }
        if ids().all(|&id| corruption.special.contains(id)) {
            return Err(Error::input("no words to hide: the sequences are empty or hold special ids only"));
        }
        Ok(Self { examples: Arc::new(examples), block_size, corruption })
    }

    /// Rows in an epoch.
    pub fn rows(&self) -> i64 {
        self.examples.len() as i64
    }

    /// How words are hidden.
    pub fn corruption(&self) -> Corruption {
        self.corruption
    }

    /// One epoch in random order, in batches of `batch` rows (the last may be smaller). The same `seed`
    /// gives the same batches on every machine (ChaCha8).
    ///
    /// # Errors
    /// If `batch` is less than 1.
    pub fn batches(&self, batch: i64, seed: u64) -> Result<MaskedBatches> {
        if batch < 1 {
            return Err(Error::input(format!("batch {batch}: it must be at least 1")));
        }
        Ok(MaskedBatches::new(self.clone(), batch, seed))
    }

    /// Row `index`, hidden anew; of a pair the second sentence is replaced if `elsewhere`.
    pub(super) fn row(&self, index: usize, elsewhere: bool, rng: &mut ChaCha8Rng) -> Row {
        let example = &self.examples[index];
        let special = self.corruption.special;
        let mut first = &example.first[..];
        let mut ids = vec![special.cls];
        let mut next = IGNORE;
        let mut second = &[][..];
        if let Some(follower) = &example.second {
            second = if elsewhere { self.sentence_outside(example.paragraph, rng) } else { follower };
            next = i64::from(elsewhere);
            (first, second) = shorten(first, second, self.block_size as usize - 3);
        }
        ids.extend(first.iter().chain([&special.sep]));
        let border = ids.len();
        if example.second.is_some() {
            ids.extend(second.iter().chain([&special.sep]));
        }
        let targets = self.corruption.apply(&mut ids, rng);
        Row { ids, targets, border, next }
    }

    /// A sentence that follows another one, in another paragraph.
    fn sentence_outside(&self, paragraph: usize, rng: &mut ChaCha8Rng) -> &[i64] {
        loop {
            let example = &self.examples[rng.random_range(0..self.examples.len())];
            if example.paragraph != paragraph {
                return example.second.as_deref().unwrap_or_default();
            }
        }
    }
}

/// Takes from the end of the longer one until both together have `length` ids at most.
fn shorten<'a>(mut a: &'a [i64], mut b: &'a [i64], length: usize) -> (&'a [i64], &'a [i64]) {
    while a.len() + b.len() > length {
        let longer = if a.len() > b.len() { &mut a } else { &mut b };
        *longer = &longer[..longer.len() - 1];
    }
    (a, b)
}
