//! Drawing a pair: both sides grow together, then neighbours act on each other, then the links are read off.

use rand::Rng;

use super::model::{Item, Model};
use super::sandhi::Token;
use super::{Alignment, Pair};

/// One pair, and its log-probability in nats.
pub(super) fn pair(model: &Model, rng: &mut impl Rng) -> (Pair, f64) {
    let mut draw = Draw { model, groups: 0, log_prob: 0.0, held_out: false };
    let [en, fr] = draw.expand(0, rng);
    let (en, fr) = (model.sandhi[0].apply(en), model.sandhi[1].apply(fr));
    let mut alignment = Alignment::default();
    for (i, a) in en.iter().enumerate() {
        for (j, b) in fr.iter().enumerate() {
            let shared = a.tags.iter().flat_map(|x| b.tags.iter().filter(|y| x.0 == y.0).map(|y| x.1 && y.1));
            match shared.max() {
                Some(true) => alignment.sure.push((i, j)),
                Some(false) => alignment.possible.push((i, j)),
                None => {}
            }
        }
    }
    alignment.possible.extend(&alignment.sure);
    alignment.possible.sort_unstable();
    let words = |side: Vec<Token>| side.into_iter().map(|t| t.text).collect();
    (Pair { src: words(en), tgt: words(fr), alignment, held_out: draw.held_out }, draw.log_prob)
}

struct Draw<'m> {
    model: &'m Model,
    /// Groups given out so far: each expansion has its own.
    groups: usize,
    log_prob: f64,
    held_out: bool,
}

impl Draw<'_> {
    fn expand(&mut self, rule: usize, rng: &mut impl Rng) -> [Vec<Token>; 2] {
        let rule = &self.model.rules[rule];
        let chosen = self.choose(rule.alternatives.iter().map(|a| a.probability), rng);
        let alternative = &rule.alternatives[chosen];
        let first_group = self.groups;
        self.groups += alternative.groups;
        let mut entries: Vec<usize> = Vec::with_capacity(alternative.draws.len());
        for (i, &class) in alternative.draws.iter().enumerate() {
            let taken = |e| (0..i).any(|j| alternative.draws[j] == class && entries[j] == e);
            let weights = self.model.classes[class].entries.iter().enumerate();
            let weights = weights.map(|(e, entry)| if taken(e) { 0.0 } else { entry.probability });
            let chosen = self.choose(weights, rng);
            entries.push(chosen);
        }
        let words = |draw: usize| &self.model.classes[alternative.draws[draw]].entries[entries[draw]].forms;
        if rule.combines
            && let Some((_, others)) = entries.split_last()
        {
            let name = |draw: usize| words(draw)[0].as_str();
            let combination = |draw: usize| format!("{} {}", name(draw), name(others.len()));
            let held_out = |draw| stable_hash(&combination(draw)).is_multiple_of(self.model.held_out);
            self.held_out |= (0..others.len()).any(held_out);
        }
        let mut parts: Vec<[Vec<Token>; 2]> =
            alternative.calls.iter().map(|&r| self.expand(r, rng)).collect();
        [0, 1].map(|side| {
            let mut tokens = Vec::new();
            for item in &alternative.sides[side] {
                let (text, tags) = match item {
                    Item::Call(call) => {
                        tokens.append(&mut parts[*call][side]);
                        continue;
                    }
                    Item::Word(text, tags) => (text, tags),
                    Item::Form { draw, form, tags } => (&words(*draw)[*form], tags),
                };
                for word in text.split(' ').filter(|w| *w != "_") {
                    let tags = tags.iter().map(|(group, sure)| (first_group + group, *sure)).collect();
                    tokens.push(Token { text: word.to_string(), tags });
                }
            }
            tokens
        })
    }

    /// Chooses in proportion to weights that sum to at most 1.
    fn choose(&mut self, weights: impl Iterator<Item = f64> + Clone, rng: &mut impl Rng) -> usize {
        let total: f64 = weights.clone().sum();
        let mut left = rng.random::<f64>() * total;
        let positive = weights.enumerate().filter(|(_, w)| *w > 0.0);
        let (chosen, weight) = positive
            .clone()
            .find(|(_, w)| {
                left -= w;
                left < 0.0
            })
            .or_else(|| positive.last())
            .unwrap_or((0, total));
        self.log_prob += (weight / total).ln();
        chosen
    }
}

/// FNV-1a, the same on every machine for ever (Fowler, Noll & Vo 1991).
fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}
