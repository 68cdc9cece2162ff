//! A synchronous grammar: English sentences with their French translations and gold word alignments.
//!
//! Each rule expands both languages at once (Lewis & Stearns 1968; Chiang 2007, §2), so a pair comes with
//! what a corpus cannot give: the links between its words, and the certainty that each English sentence
//! has one translation.
//!
//! # The file
//!
//! ```text
//! ending er: e e                           # suffixes: STEM:er in a class gives a form for each; - is none
//! class verb: i she fr-i fr-she            # forms of an entry; a,b are two names of one form
//!   sing | sings | chant:er                # sing | sings | chante | chante
//! class noun: en fr
//!   2: song | chanson                      # weight: twice as often
//!   opera | opérette
//! class colour: en fr
//!   red | rouge
//!   blue | bleue
//!
//! sentence = <clause she>                  # every grammar has this rule
//! clause a =                               # a rule with a parameter
//!   3: she:who {verb.$a} <object> => elle:who {verb.fr-$a} <object>
//!   she:who does?verb not:no {verb.i} <object> => elle:who ne:no {verb.fr-$a} pas:no <object>
//! object = the:the {colour.en} {noun.en} => la:the {noun.fr} {colour.fr}
//!
//! vowels fr: aeéiou                        # before these …
//! elide fr: la=l'                          # … la opérette becomes l' opérette
//! contract fr: de+le=du                    # de le becomes du
//! held-out 8: object                       # of the last word that `object` draws, the noun, with
//!                                          # each other one, one combination in 8
//! ```
//!
//! (In a real file comments have lines of their own.)
//! A class or rule that stands on both sides is the same entry or expansion; `{noun#2.en}` and `<object#2>`
//! are further ones, and two entries of one class in an alternative always differ. Words that share a tag
//! are linked: `word:tag` surely, `word?tag` possibly (Och & Ney 2003, §5); forms of one entry are
//! always linked. `*word` counts as beginning with a consonant, `word/` is not changed by the next word,
//! `_` is no word.
//!
//! # What is checked
//!
//! Every rule is read once for each combination of arguments that a sentence can reach. All names exist
//! and are used, no rule reaches itself, each call stands on both sides, and no word is
//! chosen for the French side alone. That no English sentence has two translations is tested on samples.
//!
//! ```
//! use llm_course::bilingual::BilingualGrammar;
//! use rand::SeedableRng;
//!
//! let grammar = BilingualGrammar::parse(
//!     "class thing: en fr\n  tree | arbre\nsentence = the:1 {thing.en} => le:1 {thing.fr}\n\
//!      vowels fr: aeiou\nelide fr: le=l'",
//! )?;
//! let (pair, log_prob) = grammar.sample(&mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
//! assert_eq!(pair.to_string(), "the tree → l' arbre");
//! assert_eq!(pair.alignment.sure, [(0, 0), (1, 1)]);
//! assert_eq!(log_prob, 0.0);                                   // the only one
//! # Ok::<(), llm_course::Error>(())
//! ```

mod expand;
mod model;
mod parse;
mod sample;
mod sandhi;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use rand::Rng;

use self::model::Model;
use crate::error::{Error, Result};

const TRANSLATION: &str = include_str!("../../data/translation.grammar");

/// Which words of a pair translate each other: links (source index, target index), sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alignment {
    /// Links that any annotator would make.
    pub sure: Vec<(usize, usize)>,
    /// The sure links and those that are right but not needed, such as an auxiliary's to the other verb.
    pub possible: Vec<(usize, usize)>,
}

/// A sentence and its translation, in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// Tokens of the source sentence.
    pub src: Vec<String>,
    /// Tokens of the target sentence; elided French words end in `'` and are tokens of their own.
    pub tgt: Vec<String>,
    /// Gold links; none for pairs of a user's file.
    pub alignment: Alignment,
    /// Whether it holds a combination of words that training never shows.
    pub held_out: bool,
}

impl Pair {
    /// Words of the source sentence: its tokens without punctuation.
    pub fn words(&self) -> usize {
        self.src.iter().filter(|t| t.contains(char::is_alphanumeric)).count()
    }
}

/// `the tree → l' arbre`.
impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.src.join(" "), self.tgt.join(" "))
    }
}

/// A grammar of sentence pairs. See the [module](self) for how one is written.
#[derive(Debug, Clone)]
pub struct BilingualGrammar {
    model: Model,
}

impl BilingualGrammar {
    /// The course's parallel corpus: everyday English and French, from `data/translation.grammar`.
    ///
    /// # Panics
    /// Never: a test reads the embedded grammar.
    pub fn translation() -> Self {
        Self::parse(TRANSLATION).expect("the embedded grammar is tested")
    }

    /// Reads a grammar and checks it.
    ///
    /// # Errors
    /// Names the line, and what to change, if the text is malformed, a name is unknown or unused, or a rule
    /// can reach itself.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { model: expand::model(text)? })
    }

    /// Reads a grammar from a file.
    ///
    /// # Errors
    /// As [`BilingualGrammar::parse`], or the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::file(path, e, "give the path of a bilingual grammar, a UTF-8 text file"))?;
        Self::parse(&text).map_err(|e| Error::input(format!("{}: {e}", path.display())))
    }

    /// One pair, and the log-probability of its derivation in nats.
    pub fn sample(&self, rng: &mut impl Rng) -> (Pair, f64) {
        sample::pair(&self.model, rng)
    }

    /// `count` pairs with distinct English sides that are not in `seen`, which then holds them too; of 3 to
    /// 30 words, as many from each fifth of these lengths (3–8, 9–14, 15–19, 20–25, 26–30), with or without
    /// held-out combinations.
    ///
    /// # Errors
    /// If the grammar does not give so many.
    pub fn distinct(
        &self,
        count: usize,
        held_out: bool,
        seen: &mut HashSet<String>,
        rng: &mut impl Rng,
    ) -> Result<Vec<Pair>> {
        let quota = |fifth: usize| count * (fifth + 1) / 5 - count * fifth / 5;
        let mut missing: Vec<usize> = (0..5).map(quota).collect();
        let mut pairs = Vec::with_capacity(count);
        let mut draws = 0;
        while pairs.len() < count {
            draws += 1;
            if draws > 200 * (count + 1_000) {
                let found = pairs.len();
                return Err(Error::input(format!(
                    "asked for {count} distinct pairs of 3 to 30 words, found {found}: ask for fewer"
                )));
            }
            let (pair, _) = self.sample(rng);
            let fifth = length_fifth(pair.words()).filter(|&f| missing[f] > 0 && pair.held_out == held_out);
            if let Some(fifth) = fifth
                && seen.insert(pair.src.join(" "))
            {
                missing[fifth] -= 1;
                pairs.push(pair);
            }
        }
        Ok(pairs)
    }
}

/// Which fifth of the lengths 3 to 30 a sentence of so many words is in: 0 to 4.
pub fn length_fifth(words: usize) -> Option<usize> {
    (3..=30).contains(&words).then(|| (words - 3) * 5 / 28)
}
