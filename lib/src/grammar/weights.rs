//! Weights of alternatives and entries → probabilities.

use super::model::{Alternative, Entry};
use super::parse::at;
use crate::error::Result;

/// Weights further apart would lose alternatives to rounding.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// Splits `WEIGHT: text`; a text without a weight gets `None`.
pub(crate) fn weight(text: &str, line: usize) -> Result<(Option<f64>, &str)> {
    let Some((number, rest)) = text.split_once(':') else { return Ok((None, text)) };
    let number = number.trim();
    if !number.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit()) {
        return Ok((None, text));
    }
    match number.parse::<f64>() {
        Ok(w) if WEIGHTS.contains(&w) => Ok((Some(w), rest)),
        _ => Err(at(
            line,
            format!(
                "the weight `{number}` is not a positive number from {:e} to {:e}: write e.g. `2: text`",
                WEIGHTS.start(),
                WEIGHTS.end()
            ),
        )),
    }
}

/// What can be weighted: alternatives and entries.
pub(crate) trait Weighted {
    /// Where the probability goes.
    fn probability(&mut self) -> &mut f64;
}

impl Weighted for Alternative {
    fn probability(&mut self) -> &mut f64 {
        &mut self.probability
    }
}

impl Weighted for Entry {
    fn probability(&mut self) -> &mut f64 {
        &mut self.probability
    }
}

/// Weights → probabilities; without a weight an item counts 1, or 1/rank (Zipf) where `ranked`.
pub(crate) fn normalise<T: Weighted>(items: Vec<(Option<f64>, T)>, ranked: bool) -> Vec<T> {
    let default = |rank: usize| if ranked { 1.0 / (rank + 1) as f64 } else { 1.0 };
    let weights: Vec<f64> =
        items.iter().enumerate().map(|(i, (w, _))| w.unwrap_or_else(|| default(i))).collect();
    let total: f64 = weights.iter().sum();
    let give = |((_, mut item), w): ((_, T), f64)| {
        *item.probability() = w / total;
        item
    };
    items.into_iter().zip(weights).map(give).collect()
}
