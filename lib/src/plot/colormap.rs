//! From values to colours: one hue for values of one sign, two hues around zero.

use super::palette::Colour;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hue {
    Blue,
    Warm,
}

/// Steps between the two end colours: more are not seen, and would not fit into the image's palette.
const LEVELS: f64 = 48.0;

const BLUE: [Colour; 5] = [
    Colour(0xFA, 0xFC, 0xFF),
    Colour(0xC6, 0xDB, 0xEF),
    Colour(0x6B, 0xAE, 0xD6),
    Colour(0x21, 0x71, 0xB5),
    Colour(0x08, 0x30, 0x6B),
];
const WARM: [Colour; 5] = [
    Colour(0xFF, 0xFD, 0xF8),
    Colour(0xFD, 0xDD, 0xA8),
    Colour(0xFD, 0xAE, 0x61),
    Colour(0xE6, 0x55, 0x0D),
    Colour(0x8F, 0x2D, 0x04),
];
const DIVERGING: [Colour; 5] = [
    Colour(0x1D, 0x56, 0x9E),
    Colour(0x85, 0xB7, 0xDB),
    Colour(0xF7, 0xF7, 0xF7),
    Colour(0xF0, 0xA2, 0x6B),
    Colour(0xB3, 0x4A, 0x00),
];

/// The colour of values between `low` and `high`; beyond them the end colours hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColourScale {
    pub low: f64,
    pub high: f64,
    stops: &'static [Colour; 5],
}

impl ColourScale {
    /// A scale for finite `values`: from 0 or the least to the greatest, and even around 0 if any is negative.
    pub fn of(values: impl Iterator<Item = f64>, range: Option<(f64, f64)>, hue: Hue) -> Self {
        let extent = values.fold(None, |extent: Option<(f64, f64)>, v| {
            Some(extent.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
        });
        let (low, high) = range.or(extent).unwrap_or((0.0, 1.0));
        if low < 0.0 {
            let reach = if range.is_some() { (low, high) } else { (-high.max(-low), high.max(-low)) };
            return Self { low: reach.0, high: reach.1, stops: &DIVERGING };
        }
        // A range that begins near 0 begins at 0, so that white means none.
        let low = if range.is_none() && (low <= 0.5 * high || low == high) { 0.0 } else { low };
        let high = if high > low { high } else { low + low.abs().max(1.0) };
        Self { low, high, stops: if hue == Hue::Blue { &BLUE } else { &WARM } }
    }

    pub fn colour(&self, value: f64) -> Colour {
        if !value.is_finite() {
            return Colour::GRID;
        }
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let place = (share * LEVELS).round() / LEVELS * 4.0;
        let index = (place as usize).min(3);
        self.stops[index].mix(self.stops[index + 1], place - index as f64)
    }
}
