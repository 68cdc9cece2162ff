//! Sentence pairs as padded batches of ids.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::{IGNORE, read_text};
use crate::bilingual::{Alignment, BilingualGrammar, Pair};
use crate::error::{Error, Result};

/// Id that fills short sentences up; the mask is false and the target ignored there.
pub const PAD: i64 = 0;
/// Id that a decoder begins with.
pub const BOS: i64 = 1;
/// Id that ends a target sentence.
pub const EOS: i64 = 2;
/// Id of every word that training did not show.
pub const UNK: i64 = 3;

/// Words ↔ ids of one side.
#[derive(Clone, Debug)]
struct Words {
    words: Vec<String>,
    ids: HashMap<String, i64>,
}

impl Words {
    /// The words of `sentences`, the most frequent first.
    fn new<'a>(sentences: impl Iterator<Item = &'a Vec<String>>) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        sentences.flatten().for_each(|word| *counts.entry(word).or_default() += 1);
        let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let special = ["<pad>", "<bos>", "<eos>", "<unk>"];
        let words: Vec<String> =
            special.into_iter().chain(ranked.into_iter().map(|(word, _)| word)).map(String::from).collect();
        let ids = words.iter().zip(0..).skip(special.len()).map(|(w, id)| (w.clone(), id)).collect();
        Self { words, ids }
    }

    fn encode(&self, words: &[String]) -> Vec<i64> {
        words.iter().map(|w| self.ids.get(w).copied().unwrap_or(UNK)).collect()
    }

    fn decode(&self, ids: &[i64]) -> String {
        let shown = ids.iter().take_while(|&&id| id != EOS).filter(|&&id| id != PAD && id != BOS);
        let word = |&id: &i64| usize::try_from(id).ok().and_then(|id| self.words.get(id));
        let words: Vec<&str> = shown.map(|id| word(id).map_or("<unk>", String::as_str)).collect();
        words.join(" ")
    }
}

/// Sentence pairs for translation models, with a vocabulary of words for each side.
///
/// ```
/// use llm_course::data::PairDataset;
/// let data = PairDataset::translation(500, 50, 50, 1)?;
/// let batch = data.batches(&data.train, 8, 1)?.next().unwrap();
/// assert_eq!(batch.src.size()[0], 8);
/// assert_eq!(batch.tgt_in.size(), batch.tgt_out.size());
/// let ids = data.encode_tgt(&data.train[0].tgt);
/// assert_eq!(data.decode_tgt(&ids), data.train[0].tgt.join(" "));
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PairDataset {
    /// What the pairs are, for titles of figures.
    pub name: String,
    /// Pairs that a model may learn from.
    pub train: Vec<Pair>,
    /// Pairs to choose settings and stopping times by.
    pub validation: Vec<Pair>,
    /// Pairs to report figures on.
    pub test: Vec<Pair>,
    /// As many pairs as `test`, each with an adjective and a noun that training shows, but never together
    /// (compositional generalisation, Lake & Baroni 2018); empty for a user's file.
    pub held_out: Vec<Pair>,
    src: Words,
    tgt: Words,
}

impl PairDataset {
    /// English–French pairs of the course's bilingual grammar, all with different English, the lengths 3 to
    /// 30 evenly spread over five ranges; the same `seed` gives the same pairs everywhere. Every English
    /// sentence has exactly one translation, so a perfect model has perplexity 1.
    ///
    /// # Errors
    /// If a part has no pairs, or more than the grammar gives.
    pub fn translation(train: usize, validation: usize, test: usize, seed: u64) -> Result<Self> {
        let grammar = BilingualGrammar::translation();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut seen = HashSet::new();
        let mut draw = |count, held_out| grammar.distinct(count, held_out, &mut seen, &mut rng);
        let (test_pairs, held_out) = (draw(test, false)?, draw(test, true)?);
        let (validation, train) = (draw(validation, false)?, draw(train, false)?);
        Self::new("translation", train, validation, test_pairs, held_out)
    }

    /// A user's pairs: lines of a source sentence, a tab and a target sentence, tokens divided by spaces.
    /// After a shuffle with `seed` 80 % are for training, 10 % for validation, 10 % for the test; vocabularies
    /// hold the words of the training pairs.
    ///
    /// # Errors
    /// If the file cannot be read or is not UTF-8, or a line has not exactly one tab with words on both
    /// sides of it (the message names the line), or there are fewer than 10 lines.
    pub fn from_file(path: impl AsRef<Path>, seed: u64) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let mut pairs = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let sides: Vec<Vec<String>> =
                line.split('\t').map(|side| side.split_whitespace().map(String::from).collect()).collect();
            let Ok([src, tgt]) = <[Vec<String>; 2]>::try_from(sides) else {
                let tabs = line.matches('\t').count();
                return Err(at(path, i, &format!("{tabs} tabs; write SOURCE, one tab, TARGET")));
            };
            if src.is_empty() || tgt.is_empty() {
                return Err(at(path, i, "a side without words; write a sentence on each side of the tab"));
            }
            pairs.push(Pair { src, tgt, alignment: Alignment::default(), held_out: false });
        }
        let count = pairs.len();
        if count < 10 {
            return Err(Error::input(format!(
                "{}: {count} pairs; a data set needs at least 10 (better 10,000)",
                path.display()
            )));
        }
        pairs.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let test = pairs.split_off(count - count / 10);
        let validation = pairs.split_off(pairs.len() - count / 10);
        let name =
            path.file_stem().map_or_else(|| "pairs".into(), |stem| stem.to_string_lossy().into_owned());
        Self::new(&name, pairs, validation, test, Vec::new())
    }

    fn new(
        name: &str,
        train: Vec<Pair>,
        validation: Vec<Pair>,
        test: Vec<Pair>,
        held_out: Vec<Pair>,
    ) -> Result<Self> {
        for (part, pairs) in [("training", &train), ("validation", &validation), ("test", &test)] {
            if pairs.is_empty() {
                return Err(Error::input(format!("0 {part} pairs: give each part at least 1")));
            }
        }
        let src = Words::new(train.iter().map(|p| &p.src));
        let tgt = Words::new(train.iter().map(|p| &p.tgt));
        Ok(Self { name: name.into(), train, validation, test, held_out, src, tgt })
    }

    /// How many ids source sentences have, the four special ones included.
    pub fn src_vocab_size(&self) -> i64 {
        self.src.words.len() as i64
    }

    /// How many ids target sentences have, the four special ones included.
    pub fn tgt_vocab_size(&self) -> i64 {
        self.tgt.words.len() as i64
    }

    /// Ids of source words, without special ids; unknown words are [`UNK`].
    pub fn encode_src(&self, words: &[String]) -> Vec<i64> {
        self.src.encode(words)
    }

    /// Ids of target words, without special ids; unknown words are [`UNK`].
    pub fn encode_tgt(&self, words: &[String]) -> Vec<i64> {
        self.tgt.encode(words)
    }

    /// Source words of ids, divided by spaces, up to [`EOS`].
    pub fn decode_src(&self, ids: &[i64]) -> String {
        self.src.decode(ids)
    }

    /// Target words of ids, divided by spaces, up to [`EOS`]; padding and [`BOS`] are left out.
    pub fn decode_tgt(&self, ids: &[i64]) -> String {
        self.tgt.decode(ids)
    }

    /// `pairs` (a part of this data set, or any choice of pairs) in batches of `batch` pairs of similar
    /// length, in an order that `seed` decides; one batch may be smaller.
    ///
    /// # Errors
    /// If there are no pairs, or `batch` is less than 1.
    pub fn batches(&self, pairs: &[Pair], batch: i64, seed: u64) -> Result<PairBatches> {
        let size = usize::try_from(batch).ok().filter(|&size| size > 0 && !pairs.is_empty());
        let size = size.ok_or_else(|| {
            Error::input(format!("batch {batch} of {} pairs: both must be at least 1", pairs.len()))
        })?;
        let encode = |p: &Pair| (self.src.encode(&p.src), self.tgt.encode(&p.tgt));
        let pairs = pairs.iter().map(encode).collect();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut batches =
            PairBatches { pairs, size, rng, endless: false, device: Device::Cpu, left: Vec::new() };
        batches.shuffle();
        Ok(batches)
    }
}

/// A batch of encoded pairs.
#[derive(Debug)]
pub struct PairBatch {
    /// `[batch, src_time]`: source ids, padded with [`PAD`].
    pub src: Tensor,
    /// `[batch, src_time]`, Bool: where a word stands, which may be attended.
    pub src_mask: Tensor,
    /// `[batch, tgt_time]`: what a decoder reads, [`BOS`] and the target ids.
    pub tgt_in: Tensor,
    /// `[batch, tgt_time]`: what it should say, the target ids and [`EOS`]; [`IGNORE`] for padding.
    pub tgt_out: Tensor,
    /// Which pair each row is: its index in the pairs that the batches were made of.
    pub rows: Vec<usize>,
}

/// An iterator over batches of pairs of similar length; see [`PairDataset::batches`].
#[derive(Debug)]
pub struct PairBatches {
    pairs: Vec<(Vec<i64>, Vec<i64>)>,
    size: usize,
    rng: ChaCha8Rng,
    endless: bool,
    device: Device,
    /// Rows of the batches still to come in this walk, the next one last.
    left: Vec<Vec<usize>>,
}

impl PairBatches {
    /// Begins another walk, in another order, after the last batch.
    pub fn endless(self) -> Self {
        Self { endless: true, ..self }
    }

    /// Puts batches on `device`.
    pub fn to_device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// Batches in one walk through the pairs.
    pub fn batches(&self) -> i64 {
        self.pairs.len().div_ceil(self.size) as i64
    }

    /// Shuffles, sorts by length (stable, so that equals stay shuffled), cuts, and shuffles the batches.
    fn shuffle(&mut self) {
        let mut rows: Vec<usize> = (0..self.pairs.len()).collect();
        rows.shuffle(&mut self.rng);
        rows.sort_by_key(|&row| (self.pairs[row].0.len(), self.pairs[row].1.len()));
        self.left = rows.chunks(self.size).map(<[usize]>::to_vec).collect();
        self.left.shuffle(&mut self.rng);
    }

    fn batch(&self, rows: Vec<usize>) -> PairBatch {
        let src = |&row: &usize| self.pairs[row].0.clone();
        let tgt_in = |&row: &usize| [&[BOS], self.pairs[row].1.as_slice()].concat();
        let tgt_out = |&row: &usize| [self.pairs[row].1.as_slice(), &[EOS]].concat();
        let src = padded(rows.iter().map(src).collect(), PAD).to_device(self.device);
        PairBatch {
            src_mask: src.ne(PAD),
            src,
            tgt_in: padded(rows.iter().map(tgt_in).collect(), PAD).to_device(self.device),
            tgt_out: padded(rows.iter().map(tgt_out).collect(), IGNORE).to_device(self.device),
            rows,
        }
    }
}

impl Iterator for PairBatches {
    type Item = PairBatch;

    fn next(&mut self) -> Option<PairBatch> {
        if self.left.is_empty() && self.endless {
            self.shuffle();
        }
        self.left.pop().map(|rows| self.batch(rows))
    }
}

/// Rows of different lengths → `[rows, longest]`.
pub(crate) fn padded(mut rows: Vec<Vec<i64>>, fill: i64) -> Tensor {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    rows.iter_mut().for_each(|row| row.resize(longest, fill));
    Tensor::from_slice(&rows.concat()).view([rows.len() as i64, longest as i64])
}

/// An error at a line of a file.
pub(super) fn at(path: &Path, line: usize, message: &str) -> Error {
    Error::input(format!("{}: line {}: {message}", path.display(), line + 1))
}
