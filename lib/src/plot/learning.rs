//! Learning curves: train, validation, floor and the best baseline in one picture.

use super::Figure;
use super::axis::alike;
use super::number::Number;
use crate::metrics::bits;
use crate::train::History;

/// The unit of a cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The loss over ln 2.
    Bits,
    /// The loss as it is computed, with the natural logarithm.
    Nats,
}

impl Figure {
    /// The losses of a training run against its steps, over the entropy `floor` if it is known and with the
    /// best, that is the lowest, of `baselines`.
    ///
    /// The history is converted from nats to `unit`; floor and baselines are given in it. The title says
    /// where the validation loss ends; [`Figure::title`] replaces it.
    ///
    /// ```
    /// use llm_course::plot::{Figure, Unit};
    /// use llm_course::train::History;
    ///
    /// let mut history = History::new("LSTM");
    /// (history.steps, history.validation) = (vec![100, 200], vec![0.9, 0.7]);
    /// history.train = (0..200).map(|step| 1.2 - 0.003 * f64::from(step)).collect();
    /// let baselines = [("bigram", 2.7), ("5-gram", 1.6)];
    /// let figure = Figure::learning_curve(&history, Some(0.93), baselines, Unit::Bits);
    /// let title = "LSTM ends at 1.01 bits, 0.08 above the floor, 0.59 below the 5-gram";
    /// # assert!(figure.svg()?.contains(title));
    /// # Ok::<(), llm_course::Error>(())
    /// ```
    pub fn learning_curve(
        history: &History,
        floor: Option<f64>,
        baselines: impl IntoIterator<Item = (impl Into<String>, impl Number)>,
        unit: Unit,
    ) -> Self {
        let (word, scale) = if unit == Unit::Bits { ("bits", bits(1.0)) } else { ("nats", 1.0) };
        let convert = |losses: &[f64]| losses.iter().map(|loss| scale * loss).collect::<Vec<_>>();
        let (train, validation) = (convert(&history.smoothed_train()), convert(&history.validation));
        let named = baselines.into_iter().map(|(name, value)| (name.into(), value.number()));
        let best = named.filter(|(_, value)| value.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1));
        let levels = floor.map(|value| ("floor".to_owned(), value)).into_iter().chain(best);
        let levels: Vec<(String, f64)> = levels.collect();
        let name = &history.name;
        let title = match validation.last() {
            Some(end) => {
                format!("{name} ends at {} {word}{}", &alike(&[*end], 2)[0], distances(*end, &levels))
            }
            None => format!("{name} has not been validated"),
        };
        let curves = Self::lines(title)
            .x_label("training step")
            .y_label(format!("cross-entropy ({word})"))
            .line(format!("{name} train"), &history.steps, train)
            .line(format!("{name} validation"), &history.steps, validation);
        let named = |name: String| if name == "floor" { "entropy floor".to_owned() } else { name };
        levels.into_iter().fold(curves, |figure, (name, value)| figure.level(named(name), value))
    }
}

/// ", 0.08 above the floor, 0.59 below the 5-gram".
fn distances(end: f64, levels: &[(String, f64)]) -> String {
    let distance = |(name, value): &(String, f64)| {
        let side = if end < *value { "below" } else { "above" };
        format!(", {} {side} the {name}", alike(&[(end - value).abs()], 2)[0])
    };
    levels.iter().filter(|(_, value)| value.is_finite()).map(distance).collect()
}
