//! From values to colours: one hue for values of one sign, two hues around zero.

use super::axis::alike;
use super::canvas::{Align, Canvas};
use super::font::TEXT;
use super::geometry::{Point, Rect};
use super::palette::{Colour, Stroke};

/// Steps between the two end colours: more are not seen, and would not fit into the image's palette.
const LEVELS: f64 = 48.0;
/// The height of a drawn scale with the gap above it, in CSS pixels.
pub(super) const SCALE_HEIGHT: f64 = 34.0;

const BLUE: [u32; 5] = [0xFAFCFF, 0xC6DBEF, 0x6BAED6, 0x2171B5, 0x08306B];
const DIVERGING: [u32; 5] = [0x1D569E, 0x85B7DB, 0xF7F7F7, 0xF0A26B, 0xB34A00];

/// The name of a colour scale and the values at its two ends, where they are given.
#[derive(Clone, Debug, Default)]
pub(super) struct ScaleOptions {
    pub label: String,
    pub range: Option<(f64, f64)>,
}

/// The colour of values between `low` and `high`; beyond them the end colours hold.
#[derive(Clone, Debug)]
pub(super) struct ColourScale<'a> {
    low: f64,
    high: f64,
    stops: [Colour; 5],
    label: &'a str,
}

impl<'a> ColourScale<'a> {
    /// A scale from 0 or the least of the finite `values` to the greatest, and even around 0 if any is negative.
    pub fn of(values: impl Iterator<Item = f64>, options: &'a ScaleOptions) -> Self {
        let finite = values.filter(|v| v.is_finite());
        let (low, high) = options.range.unwrap_or_else(|| extent(finite));
        let (label, free) = (options.label.as_str(), options.range.is_none());
        if low < 0.0 {
            let reach = high.max(-low);
            let (low, high) = if free { (-reach, reach) } else { (low, high) };
            return Self { low, high, stops: DIVERGING.map(Colour::hex), label };
        }
        // A range that begins near 0 begins at 0, so that white means none.
        let low = if free && (low <= 0.5 * high || low == high) { 0.0 } else { low };
        let high = if high > low { high } else { low + low.abs().max(1.0) };
        Self { low, high, stops: BLUE.map(Colour::hex), label }
    }

    /// Grey for values that are not finite.
    pub fn colour(&self, value: f64) -> Colour {
        if !value.is_finite() {
            return Colour::GRID;
        }
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let place = (share * LEVELS).round() / LEVELS * 4.0;
        let index = (place as usize).min(3);
        self.stops[index].mix(self.stops[index + 1], place - index as f64)
    }

    /// A colour bar between the values at its ends, then its name as far as `right`.
    pub fn draw(&self, canvas: &mut Canvas, (left, top): Point, right: f64) {
        let ends = alike(&[self.low, self.high], 2);
        let [low, high] = [&ends[0], &ends[1]].map(|text| text.strip_suffix(".00").unwrap_or(text));
        let texts = [low, high, self.label].map(|text| TEXT.width(text)).iter().sum::<f64>() + 24.0;
        let bar =
            Rect::new(left + TEXT.width(low) + 6.0, top, (right - left - texts).clamp(60.0, 160.0), 12.0);
        let y = bar.centre().1;
        canvas.text((left, y), Align::Left, TEXT, Colour::GREY, low);
        let step = bar.width / LEVELS;
        for index in 0..LEVELS as usize {
            let value = self.low + (index as f64 + 0.5) / LEVELS * (self.high - self.low);
            let band = Rect::new(bar.left + index as f64 * step, top, step + 0.3, bar.height);
            canvas.fill(&band, self.colour(value), 1.0);
        }
        canvas.outline(&bar, Stroke::solid(Colour::AXIS, 1.0));
        canvas.text((bar.right() + 6.0, y), Align::Left, TEXT, Colour::GREY, high);
        let start = bar.right() + 6.0 + TEXT.width(high) + 12.0;
        canvas.text((start, y), Align::Left, TEXT, Colour::INK, &TEXT.shorten(self.label, right - start));
    }
}

/// The least and greatest of `values`, or 0 and 1 without any.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let none = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = values.fold(none, |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}
