//! A probabilistic grammar of stories, of which the exact probability of every text is known.
//!
//! Language models are judged by their loss, but how low could it go? For text from a grammar the answer
//! is known: the *entropy floor*, which no model can beat and a perfect one reaches.
//!
//! # The file
//!
//! Indented lines belong to the header above them; `#` begins a line of comment; `\` at the end of a line
//! joins the next one to it.
//!
//! ```text
//! class person: name they them       # a class: entries with forms
//!   3: Anna | she | her              # weight: a form for each column
//!   2: Tom  | he  | him
//!
//! var hero friend: person            # variables: an entry each, drawn once per story
//!
//! story =                            # a rule: alternatives, one a line
//!   {hero} met {friend}. <end>       # {variable} is the first form
//!   2: ^<sky>, and {hero} slept.     # {variable.form}, <rule>, ^ makes the next letter a capital
//!
//! end =~ [3: ^{hero.they}|{friend}] [ran|sang|laughed a lot].
//!
//! sky =~                             # ~ weights by rank: the n-th counts 1/n (Zipf)
//!   the sun shone
//!   the rain fell
//! ```
//!
//! (In a real file comments have lines of their own.) A variable is drawn where a story first uses it and
//! keeps its entry until the story ends; variables of one class are drawn without replacement, so `hero`
//! and `friend` are never the same person. A weight is relative to the others of its rule; without one,
//! an alternative counts 1, or 1/rank after `~`. Inline groups `[a|b]` are rules without a name; their
//! alternatives may be empty and keep their spaces, but for one space after a weight. Every story is one paragraph: an expansion of rule
//! `story`, then a line end.
//!
//! # What is checked
//!
//! - A rule never reaches itself, so every story ends and expectations are finite sums; and no story is longer than
//!   a million characters.
//! - No text has two derivations: alternatives differ within 48 characters, whatever follows them, and a
//!   variable's first use tells which entry it got (an LL(k) criterion, sufficient but not necessary).
//! - Everything is used, and no word is put together from two parts.
//!
//! # The floor
//!
//! A text is a sequence of independent stories, so its entropy rate per character is the entropy of a
//! story divided by its expected length: a renewal argument, for n characters hold n / E\[length\]
//! stories in the long run. (Shannon, *A Mathematical Theory of Communication*, 1948, §7; Cover & Thomas,
//! *Elements of Information Theory*, 2nd ed., §4.2 and §5.3.)
//!
//! ```
//! use llm_course::grammar::Grammar;
//!
//! let grammar = Grammar::parse("story = [3: sun|rain].")?;
//! assert!((grammar.log_prob("sun.\n")? - 0.75_f64.ln()).abs() < 1e-12);
//! assert!((grammar.entropy() - 0.5623).abs() < 1e-4);          // nats, of one story
//! assert_eq!(grammar.mean_chars(), 0.75 * 5.0 + 0.25 * 6.0);    // with the line end
//! # Ok::<(), llm_course::Error>(())
//! ```

mod contexts;
mod exact;
pub(crate) mod model;
pub(crate) mod parse;
mod sample;
mod structure;
mod template;
mod thread;
mod unambiguous;
mod walk;
pub(crate) mod weights;

use std::collections::BTreeSet;
use std::f64::consts::LN_2;
use std::path::Path;
use std::sync::OnceLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::contexts::Contexts;
use self::exact::Share;
use self::model::Model;
use crate::error::{Error, Result};

const STORIES: &str = include_str!("../../data/stories.grammar");

/// A grammar of stories, checked to be unambiguous. See the [module](self) for how one is written.
#[derive(Debug, Clone)]
pub struct Grammar {
    model: Model,
    contexts: Contexts,
    story: OnceLock<Share>,
}

impl Grammar {
    /// The course's corpus: little stories for children, from `data/stories.grammar`. (A test checks that they are
    /// unambiguous, which takes half a second.)
    ///
    /// ```
    /// # use llm_course::grammar::Grammar;
    /// let corpus = Grammar::stories().text(2_000, 1);
    /// assert!(corpus.len() >= 2_000 && corpus.ends_with(".\n"));
    /// ```
    ///
    /// # Panics
    ///
    /// Never: a test reads the embedded file.
    pub fn stories() -> Self {
        Self::unchecked(STORIES).expect("the embedded grammar is tested")
    }

    /// Reads a grammar and checks it.
    ///
    /// # Errors
    ///
    /// Names the line, and what to change, if the text is malformed, a name is unknown or unused, a rule
    /// can reach itself, or two choices can give the same text.
    pub fn parse(text: &str) -> Result<Self> {
        let grammar = Self::unchecked(text)?;
        unambiguous::check(&grammar.model, &grammar.contexts)?;
        Ok(grammar)
    }

    /// A grammar that may be ambiguous.
    fn unchecked(text: &str) -> Result<Self> {
        let model = parse::parse(text)?;
        structure::check(&model)?;
        let contexts = Contexts::explore(&model)?;
        Ok(Self { model, contexts, story: OnceLock::new() })
    }

    /// Reads a grammar from a file.
    ///
    /// # Errors
    ///
    /// As [`Grammar::parse`], or the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::file(path, e, "give the path of a grammar, a UTF-8 text file"))?;
        Self::parse(&text).map_err(|e| Error::input(format!("{}: {e}", path.display())))
    }

    /// One story, which is a paragraph and its line end, and its log-probability in nats.
    pub fn sample(&self, rng: &mut impl Rng) -> (String, f64) {
        sample::story(&self.model, rng)
    }

    /// Independent stories until there are at least `min_chars` characters. A seed gives the same text on
    /// every machine (ChaCha8).
    pub fn text(&self, min_chars: usize, seed: u64) -> String {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut text = String::new();
        let mut chars = 0;
        while chars < min_chars {
            let (story, _) = self.sample(&mut rng);
            chars += story.chars().count();
            text.push_str(&story);
        }
        text
    }

    /// The exact log-probability in nats of a text of one or more whole stories.
    ///
    /// # Errors
    ///
    /// Says at which character the text leaves the grammar, and what was expected there.
    pub fn log_prob(&self, text: &str) -> Result<f64> {
        Ok(self.char_log_probs(text)?.iter().sum())
    }

    /// The exact log-probability in nats of each character, given all characters before it in its story:
    /// what the perfect model predicts. The sum is [`Grammar::log_prob`].
    ///
    /// ```
    /// # use llm_course::grammar::Grammar;
    /// let grammar = Grammar::parse("story = the [cat|cow|dog] slept.")?;
    /// let surprise = grammar.char_log_probs("the cow slept.\n")?;
    /// let bits: Vec<f64> = surprise.iter().map(|p| -p / std::f64::consts::LN_2).collect();
    /// assert_eq!(bits[0], 0.0);                    // `t`: certain
    /// assert!((bits[4] - 0.585).abs() < 1e-3);     // `c`: two of three
    /// assert!((bits[5] - 1.0).abs() < 1e-12);      // `o`: one of the two
    /// # Ok::<(), llm_course::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Grammar::log_prob`].
    pub fn char_log_probs(&self, text: &str) -> Result<Vec<f64>> {
        walk::char_log_probs(&self.model, &self.contexts, text)
    }

    /// The exact entropy of a story in nats: the expectation of −ln p.
    pub fn entropy(&self) -> f64 {
        self.exact().entropy
    }

    /// The exact expected length of a story in characters, its line end included.
    pub fn mean_chars(&self) -> f64 {
        self.exact().chars
    }

    /// The entropy floor in bits per character: no model of endless text from this grammar has a lower
    /// expected loss.
    pub fn bits_per_char(&self) -> f64 {
        self.entropy() / self.mean_chars() / LN_2
    }

    /// The distinct words of all stories, in lower case and sorted; `'s` is no part of a word.
    pub fn vocabulary(&self) -> Vec<String> {
        structure::vocabulary(&self.model).into_iter().collect()
    }

    /// The distinct characters of `text`, sorted; for [`Grammar::text`] the alphabet of a character model.
    pub fn alphabet(text: &str) -> Vec<char> {
        text.chars().collect::<BTreeSet<char>>().into_iter().collect()
    }

    fn exact(&self) -> &Share {
        self.story.get_or_init(|| exact::story(&self.model))
    }
}
