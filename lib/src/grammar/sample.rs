//! Telling a story: every choice is drawn, and its log-probability added up.

use rand::Rng;

use super::model::{Class, MAX_VARIABLES, Model, Symbol, capital};

/// One story with its line end, and its log-probability in nats.
pub(super) fn story(model: &Model, rng: &mut impl Rng) -> (String, f64) {
    let mut story =
        Story { model, values: [None; MAX_VARIABLES], text: String::new(), log_prob: 0.0, capital: false };
    story.expand(model.start, rng);
    story.text.push('\n');
    (story.text, story.log_prob)
}

/// A story while it is told.
struct Story<'g> {
    model: &'g Model,
    values: [Option<usize>; MAX_VARIABLES],
    text: String,
    log_prob: f64,
    capital: bool,
}

impl<'g> Story<'g> {
    fn expand(&mut self, rule: usize, rng: &mut impl Rng) {
        let alternatives = &self.model.rules[rule].alternatives;
        let chosen = self.choose(alternatives.iter().map(|a| a.probability), rng);
        for symbol in &alternatives[chosen].symbols {
            match symbol {
                Symbol::Text(text) => self.push(text),
                Symbol::Capital => self.capital = true,
                Symbol::Rule(rule) => self.expand(*rule, rng),
                Symbol::Variable { variable, form } => {
                    let class = self.model.class_of(*variable);
                    let entry = self.values[*variable].unwrap_or_else(|| self.draw(*variable, class, rng));
                    self.push(&class.entries[entry].forms[*form]);
                }
            }
        }
    }

    fn draw(&mut self, variable: usize, class: &'g Class, rng: &mut impl Rng) -> usize {
        let taken: Vec<usize> = self.model.rivals(variable).filter_map(|v| self.values[v]).collect();
        let weight = |e: usize| if taken.contains(&e) { 0.0 } else { class.entries[e].probability };
        let entry = self.choose((0..class.entries.len()).map(weight), rng);
        self.values[variable] = Some(entry);
        entry
    }

    /// Chooses in proportion to weights, of which those that are 0 are never chosen.
    fn choose(&mut self, weights: impl Iterator<Item = f64> + Clone, rng: &mut impl Rng) -> usize {
        let positive = || weights.clone().enumerate().filter(|(_, w)| *w > 0.0);
        let total: f64 = positive().map(|(_, w)| w).sum();
        let mut left = rng.random::<f64>() * total;
        let (mut chosen, mut weight) = (0, total);
        for (i, w) in positive() {
            (chosen, weight) = (i, w);
            left -= w;
            if left < 0.0 {
                break;
            }
        }
        self.log_prob += (weight / total).ln();
        chosen
    }

    fn push(&mut self, text: &str) {
        let mut chars = text.chars();
        if self.capital
            && let Some(first) = chars.next()
        {
            self.text.push(capital(first));
            self.capital = false;
        }
        self.text.push_str(chars.as_str());
    }
}
