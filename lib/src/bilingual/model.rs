//! The synchronous grammar as data, every parameter filled in.

use std::collections::HashMap;

use crate::grammar::model::Class;
use crate::grammar::weights::Weighted;

/// Tags of a token: (group, sure). Tokens of a pair that share a group are linked.
pub(super) type Tags = Vec<(usize, bool)>;

/// One piece of one side of an alternative.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A word as it stands.
    Word(String, Tags),
    /// A form of the entry drawn for this draw of the alternative.
    Form { draw: usize, form: usize, tags: Tags },
    /// The expansion of this call of the alternative.
    Call(usize),
}

/// One way to expand a rule in both languages at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Alternative {
    pub probability: f64,
    /// The class of each entry to draw; two draws from one class differ.
    pub draws: Vec<usize>,
    /// The rule of each call.
    pub calls: Vec<usize>,
    /// How many groups the tags name.
    pub groups: usize,
    /// English, French.
    pub sides: [Vec<Item>; 2],
}

impl Weighted for Alternative {
    fn probability(&mut self) -> &mut f64 {
        &mut self.probability
    }
}

/// A rule with its arguments filled in.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    pub alternatives: Vec<Alternative>,
    /// Whether a share of its combinations is held out: of the last word it draws with each other.
    pub combines: bool,
    /// Bytes that it gives on average, both sides together.
    pub mean: f64,
}

/// How neighbours change each other in one language.
#[derive(Debug, Clone, Default)]
pub(super) struct Sandhi {
    pub vowels: String,
    /// Words before a vowel: le → l'.
    pub elide: HashMap<String, String>,
    /// Two words that become one: de le → du.
    pub contract: HashMap<(String, String), String>,
}

/// A whole grammar; rule 0 is the sentence.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub classes: Vec<Class>,
    pub rules: Vec<Rule>,
    /// English, French.
    pub sandhi: [Sandhi; 2],
    /// One combination in this many is held out; 0 for none.
    pub held_out: u64,
}
