//! Byte-pair encoding over bytes (Sennrich, Haddow & Birch 2016, algorithm 1; Radford et al. 2019, §2.2).

mod file;
mod split;
pub(super) mod train;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::Path;

pub use self::split::gpt2_split;
use self::split::{BYTE_IDS, BYTES};
use super::{OUTSIDE, Tokenizer};
use crate::error::{Error, Result};

/// Two neighbouring ids.
pub(super) type Pair = (i64, i64);

/// Ids before the first merge.
const FIRST: i64 = 256;

/// Byte-level BPE: ids 0 to 255 are the bytes, and each further id stands for two earlier ones side by side.
///
/// Text is first cut into words ([`gpt2_split`]); merges never cross from one word to the next. The bytes
/// come in GPT-2's order (the printable ones first), so ids are those of GPT-2 and of the `tokenizers`
/// crate for the same merges. Every text encodes, and decodes to itself.
///
/// ```
/// use llm_course::tokenizers::{Bpe, Tokenizer};
/// let bpe = Bpe::train("aaabdaaabac", 259)?; // the example of Wikipedia's article
/// assert_eq!(bpe.tokens("aaabdaaabac"), ["aaab", "d", "aaab", "a", "c"]);
/// let merged: Vec<String> = (256..259).map(|id| bpe.token(id)).collect();
/// assert_eq!(merged, ["aa", "ab", "aaab"]);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bpe {
    merges: Vec<Pair>,
    ids: HashMap<Pair, i64>, // of what the pair becomes: 256 + rank
    bytes: Vec<Vec<u8>>,
    special: Vec<String>,
}

impl Bpe {
    /// Learns merges from `text` until there are `vocab_size` ids or no pair occurs twice: always the most
    /// frequent pair, and of equally frequent ones the pair with the smallest ids.
    ///
    /// Counts are kept up to date in a queue, so that a merge costs what it changes and the text is never
    /// read again: 10 MB take seconds.
    ///
    /// # Errors
    /// If `vocab_size` is less than 256: the bytes are always there.
    pub fn train(text: &str, vocab_size: i64) -> Result<Self> {
        if vocab_size < FIRST {
            return Err(Error::input(format!(
                "vocab_size {vocab_size}: byte-level BPE has 256 ids before the first merge; use e.g. 1024"
            )));
        }
        let mut counts: HashMap<&str, i64> = HashMap::new();
        for word in gpt2_split(text) {
            *counts.entry(word).or_default() += 1;
        }
        let words =
            counts.into_iter().map(|(word, n)| (word.bytes().map(|b| BYTE_IDS[b as usize]).collect(), n));
        Self::from_merges(&train::learn(words.collect(), FIRST, (vocab_size - FIRST) as usize))
    }

    /// A tokenizer of given merges, the most important first: merge k joins two ids to id 256 + k.
    ///
    /// # Errors
    /// If a merge joins an id that does not exist yet, or a pair comes twice.
    pub fn from_merges(merges: &[Pair]) -> Result<Self> {
        let mut bytes: Vec<Vec<u8>> = BYTES.iter().map(|&byte| vec![byte]).collect();
        let mut ids = HashMap::with_capacity(merges.len());
        for (&(left, right), id) in merges.iter().zip(FIRST..) {
            if !(0..id).contains(&left)
                || !(0..id).contains(&right)
                || ids.insert((left, right), id).is_some()
            {
                return Err(Error::input(format!(
                    "merge {} joins {left} and {right}: both must be less than {id}, and each pair comes once",
                    id - FIRST
                )));
            }
            bytes.push([&bytes[left as usize][..], &bytes[right as usize]].concat());
        }
        Ok(Self { merges: merges.to_vec(), ids, bytes, special: Vec::new() })
    }

    /// Adds tokens that stand for no text, e.g. `<|endoftext|>`, behind all others. Text never encodes to
    /// them, whatever it holds.
    pub fn with_special(mut self, tokens: &[&str]) -> Self {
        self.special.extend(tokens.iter().map(|&token| token.into()));
        self
    }

    /// The merges in the order they were learnt: merge k joined two ids to id 256 + k.
    pub fn merges(&self) -> &[(i64, i64)] {
        &self.merges
    }

    /// Writes a `tokenizer.json` that the `tokenizers` and `transformers` libraries open.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(self, path.as_ref())
    }

    /// Reads a `tokenizer.json` that holds a byte-level BPE in GPT-2's layout: one of [`Bpe::save`], or
    /// GPT-2's own.
    ///
    /// # Errors
    /// If the file cannot be read or holds another kind of tokenizer: [`super::Pretrained`] opens them all.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        file::load(path.as_ref())
    }

    /// Appends the ids of one word: always the earliest-learnt merge that fits, the leftmost first.
    fn encode_word(&self, symbols: &mut [i64], out: &mut Vec<i64>) {
        const GONE: i64 = -1;
        let n = symbols.len();
        let mut next: Vec<usize> = (1..=n).collect();
        let mut previous: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
        let merged = |symbols: &[i64], i: usize, j: usize| {
            self.ids.get(&(*symbols.get(i)?, *symbols.get(j)?)).map(|&id| Reverse((id, i)))
        };
        let mut queue: BinaryHeap<_> = (0..n).filter_map(|i| merged(symbols, i, i + 1)).collect();
        while let Some(candidate) = queue.pop() {
            let Reverse((id, i)) = candidate;
            let j = next[i];
            if merged(symbols, i, j) != Some(candidate) {
                continue; // one of the two has been merged with another neighbour meanwhile
            }
            symbols[i] = id;
            symbols[j] = GONE;
            next[i] = next[j];
            if let Some(left) = previous.get_mut(next[i]) {
                *left = i;
            }
            queue.extend(merged(symbols, i, next[i]));
            queue.extend(merged(symbols, previous[i], i));
        }
        out.extend(symbols.iter().filter(|&&id| id != GONE));
    }
}

impl Tokenizer for Bpe {
    fn encode(&self, text: &str) -> Vec<i64> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut done = HashMap::new(); // word → where in `ids` it has been encoded before
        let mut symbols = Vec::new();
        for word in gpt2_split(text) {
            let start = ids.len();
            match done.get(word) {
                Some(place) => ids.extend_from_within(std::ops::Range::clone(place)),
                None => {
                    symbols.clear();
                    symbols.extend(word.bytes().map(|byte| BYTE_IDS[byte as usize]));
                    self.encode_word(&mut symbols, &mut ids);
                    done.insert(word, start..ids.len());
                }
            }
        }
        ids
    }

    fn decode(&self, ids: &[i64]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            let index = usize::try_from(*id).unwrap_or(usize::MAX);
            let special = || self.special.get(index.checked_sub(self.bytes.len())?).map(String::as_bytes);
            let piece = self.bytes.get(index).map(Vec::as_slice).or_else(special);
            bytes.extend_from_slice(piece.unwrap_or(OUTSIDE.as_bytes()));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn vocab_size(&self) -> i64 {
        (self.bytes.len() + self.special.len()) as i64
    }
}
