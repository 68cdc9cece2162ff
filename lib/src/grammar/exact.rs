//! Expectations over all stories, computed from the grammar: entropy and length.
//!
//! The entropy of a derivation is a sum over its choices (chain rule, Cover & Thomas, theorem 2.5.1),
//! and what is expected of a rule depends only on which variables are bound: so each (rule, bound) is
//! computed once. Draws from a class do not depend on anything else, hence their statistics are those
//! of drawing without replacement.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::contexts::{Bound, NOTHING, draw};
use super::model::{Class, Model, Symbol};

/// A share of probability, with the expected entropy (nats) and length (characters) times that share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub probability: f64,
    pub entropy: f64,
    pub chars: f64,
}

impl Share {
    const ONE: Self = Self { probability: 1.0, entropy: 0.0, chars: 0.0 };

    /// This, and then the other.
    fn then(self, next: Self) -> Self {
        let (p, q) = (self.probability, next.probability);
        Self {
            probability: p * q,
            entropy: self.entropy * q + p * next.entropy,
            chars: self.chars * q + p * next.chars,
        }
    }

    fn add(&mut self, other: Self) {
        self.probability += other.probability;
        self.entropy += other.entropy;
        self.chars += other.chars;
    }
}

type Shares = BTreeMap<Bound, Share>;

/// Entropy in nats and expected length in characters of one story, line end included.
pub(super) fn story(model: &Model) -> Share {
    let mut exact = Exact {
        model,
        draws: (0..model.classes.len()).map(|c| Draws::of(model, c)).collect(),
        known: BTreeMap::new(),
    };
    let mut total = Share::default();
    exact.rule(model.start, NOTHING).values().for_each(|share| total.add(*share));
    total.chars += 1.0;
    total
}

struct Exact<'g> {
    model: &'g Model,
    draws: Vec<Draws>,
    known: BTreeMap<(usize, Bound), Rc<Shares>>,
}

impl Exact<'_> {
    fn rule(&mut self, rule: usize, bound: Bound) -> Rc<Shares> {
        if let Some(known) = self.known.get(&(rule, bound)) {
            return known.clone();
        }
        let mut all = Shares::new();
        for alternative in &self.model.rules[rule].alternatives {
            let p = alternative.probability;
            let choice = Share { probability: p, entropy: -p * p.ln(), chars: 0.0 };
            let mut states = Shares::from([(bound, choice)]);
            for symbol in &alternative.symbols {
                states = self.after(symbol, states);
            }
            for (end, share) in states {
                all.entry(end).or_default().add(share);
            }
        }
        let all = Rc::new(all);
        self.known.insert((rule, bound), all.clone());
        all
    }

    fn after(&mut self, symbol: &Symbol, states: Shares) -> Shares {
        let mut next = Shares::new();
        for (bound, share) in states {
            match symbol {
                Symbol::Capital => next.entry(bound).or_default().add(share),
                Symbol::Text(text) => {
                    let read = Share { chars: text.chars().count() as f64, ..Share::ONE };
                    next.entry(bound).or_default().add(share.then(read));
                }
                Symbol::Variable { variable, form } => {
                    let after = if bound[*variable] > 0 { bound } else { draw(self.model, bound, *variable) };
                    let class = self.model.variables[*variable].class;
                    let ordinal = after[*variable] as usize - 1;
                    let draws = &self.draws[class];
                    let entropy = if bound[*variable] > 0 { 0.0 } else { draws.entropy[ordinal] };
                    let chars = draws.mean_chars(&self.model.classes[class], ordinal, *form);
                    next.entry(after).or_default().add(share.then(Share { entropy, chars, ..Share::ONE }));
                }
                Symbol::Rule(rule) => {
                    for (end, inner) in self.rule(*rule, bound).iter() {
                        next.entry(*end).or_default().add(share.then(*inner));
                    }
                }
            }
        }
        next
    }
}

/// Drawing from a class without replacement, one entry after another.
struct Draws {
    /// Of the k-th draw: expected entropy in nats, given the draws before.
    entropy: Vec<f64>,
    /// Of the k-th draw: the probability of each entry.
    marginal: Vec<Vec<f64>>,
}

impl Draws {
    /// As many draws as the class has variables.
    fn of(model: &Model, class: usize) -> Self {
        let most = model.variables.iter().filter(|v| v.class == class).count();
        let weights: Vec<f64> = model.classes[class].entries.iter().map(|e| e.probability).collect();
        let mut draws = Self { entropy: Vec::new(), marginal: Vec::new() };
        let mut sets = BTreeMap::from([(0_u128, 1.0)]);
        while draws.entropy.len() < most {
            sets = draws.next(&weights, &sets, draws.entropy.len() + 1 < most);
        }
        draws
    }

    /// From the probability of each set drawn so far: one draw's statistics, and the sets after it.
    fn next(&mut self, weights: &[f64], sets: &BTreeMap<u128, f64>, more: bool) -> BTreeMap<u128, f64> {
        let mut marginal = vec![0.0; weights.len()];
        let mut entropy = 0.0;
        let mut after = BTreeMap::new();
        for (&set, &p_set) in sets {
            let free = || (0..weights.len()).filter(move |&e| set & (1 << e) == 0);
            let total: f64 = free().map(|e| weights[e]).sum();
            for e in free() {
                let p = weights[e] / total;
                marginal[e] += p_set * p;
                entropy -= p_set * p * p.ln();
                if more {
                    *after.entry(set | 1 << e).or_insert(0.0) += p_set * p;
                }
            }
        }
        self.entropy.push(entropy);
        self.marginal.push(marginal);
        after
    }

    fn mean_chars(&self, class: &Class, ordinal: usize, form: usize) -> f64 {
        let length = |e: usize| class.entries[e].forms[form].chars().count() as f64;
        self.marginal[ordinal].iter().enumerate().map(|(e, p)| p * length(e)).sum()
    }
}
