//! What a masked language model sees and what it must find out (Devlin et al. 2018, §3.1).

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::IGNORE;

/// The ids that stand for no word. None of them is ever hidden, nor put in a word's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialIds {
    /// Fills short rows up.
    pub pad: i64,
    /// Stands for every word outside the vocabulary.
    pub unk: i64,
    /// Begins every row; its output stands for the whole row.
    pub cls: i64,
    /// Ends every segment.
    pub sep: i64,
    /// Stands where a word is hidden.
    pub mask: i64,
}

impl SpecialIds {
    /// The ids 0 to 4 in the order `[PAD] [UNK] [CLS] [SEP] [MASK]`.
    pub const FIRST: Self = Self { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };

    /// Whether `id` is one of them.
    pub fn contains(&self, id: i64) -> bool {
        [self.pad, self.unk, self.cls, self.sep, self.mask].contains(&id)
    }
}

/// How ids are hidden.
#[derive(Clone, Copy, Debug)]
pub struct Corruption {
    /// Different ids, special ones included.
    pub vocab_size: i64,
    /// The ids that stand for no word.
    pub special: SpecialIds,
    /// The share of words to predict, 0.15 in the paper.
    pub share: f64,
}

impl Corruption {
    /// 15 % of the words of a vocabulary that begins with the ids of [`SpecialIds::FIRST`].
    pub fn new(vocab_size: i64) -> Self {
        Self { vocab_size, special: SpecialIds::FIRST, share: 0.15 }
    }

    /// Hides words of `ids` in place and returns the targets: the word itself where it must be predicted,
    /// else [`IGNORE`].
    ///
    /// Each word is chosen with probability `share`, and one at least if there is a word at all. Of the
    /// chosen 80 % become `[MASK]`, 10 % a random word and 10 % stay: so the model cannot tell which of
    /// the words it sees are right, and must keep an opinion on each.
    pub fn apply(&self, ids: &mut [i64], rng: &mut ChaCha8Rng) -> Vec<i64> {
        let words: Vec<usize> = (0..ids.len()).filter(|&i| !self.special.contains(ids[i])).collect();
        let mut chosen: Vec<usize> = words.iter().copied().filter(|_| rng.random_bool(self.share)).collect();
        if chosen.is_empty() && !words.is_empty() {
            chosen.push(words[rng.random_range(0..words.len())]);
        }
        let mut targets = vec![IGNORE; ids.len()];
        for position in chosen {
            targets[position] = ids[position];
            match rng.random_range(0..10) {
                0..8 => ids[position] = self.special.mask,
                8 => ids[position] = self.random_word(rng),
                _ => {}
            }
        }
        targets
    }

    fn random_word(&self, rng: &mut ChaCha8Rng) -> i64 {
        loop {
            let id = rng.random_range(0..self.vocab_size);
            if !self.special.contains(id) {
                return id;
            }
        }
    }
}
