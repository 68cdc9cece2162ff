//! Ranges, ticks and the text of numbers.

use super::font::TEXT;

/// A value on an axis and the lines of its label (none for a small tick).
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub at: f64,
    pub label: Vec<String>,
}

/// A range of values, linear or logarithmic, with ticks; or places with names.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub low: f64,
    high: f64,
    log: bool,
    /// Whether the ticks are names of categories, not numbers.
    pub names: bool,
    pub ticks: Vec<Tick>,
}

impl Axis {
    /// An axis for values from `low` to `high` with about `wanted` ticks; `whole` keeps them at integers.
    pub fn linear(low: f64, high: f64, wanted: f64, whole: bool) -> Self {
        let (low, high) = widen(low, high);
        let step = nice_step((high - low) / wanted.max(1.0));
        let step = if whole { step.max(1.0).round() } else { step };
        let first = (low / step - 1e-9).ceil();
        let count = ((high / step + 1e-9).floor() - first).clamp(0.0, 60.0) as usize;
        let values: Vec<f64> = (0..=count).map(|i| (first + i as f64) * step).collect();
        let ticks =
            values.iter().zip(labels(&values, step)).map(|(&at, text)| Tick { at, label: vec![text] });
        Self { low, high, log: false, names: false, ticks: ticks.collect() }
    }

    /// A logarithmic axis with about `wanted` labels and this share of air at its ends; `low` and `high` are
    /// positive.
    pub fn log(low: f64, high: f64, air: f64, wanted: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, high * 2.0) };
        let air = 10f64.powf(air * (high.log10() - low.log10()));
        let (low, high) = ((low / air).max(1e-307), (high * air).min(1e307));
        let decades = high.log10() - low.log10();
        let every = ((decades / wanted.max(1.0)).ceil() as i32).max(1);
        let named: &[i32] = match decades {
            ..0.8 => &[1, 2, 3, 4, 5, 6, 7, 8, 9],
            ..1.7 if wanted > 3.0 => &[1, 2, 5],
            ..2.5 => &[1, 3],
            _ => &[1],
        };
        let mut ticks = Vec::new();
        for power in low.log10().floor() as i32..=high.log10().ceil() as i32 {
            let labelled = power.rem_euclid(every) == 0;
            // Small ticks between the powers of ten help only where each power has a label.
            for digit in (1..10).filter(|_| every == 1 || labelled).take(if every == 1 { 9 } else { 1 }) {
                let at = f64::from(digit) * 10f64.powi(power);
                let text = if decades > 2.5 { power_of_ten(power) } else { short(at) };
                let shown = labelled && named.contains(&digit);
                ticks.push(Tick { at, label: shown.then_some(text).into_iter().collect() });
            }
        }
        ticks.retain(|tick| tick.at >= low * (1.0 - 1e-9) && tick.at <= high * (1.0 + 1e-9));
        if ticks.iter().filter(|tick| !tick.label.is_empty()).count() < 3 && decades < 0.5 {
            ticks = Self::linear(low, high, wanted, false).ticks; // hardly two whole numbers lie within
        }
        Self { low, high, log: true, names: false, ticks }
    }

    /// Replaces the ticks by one at each of `values`.
    pub fn with_ticks_at(mut self, values: &[f64]) -> Self {
        self.ticks = values.iter().map(|&at| Tick { at, label: vec![short(at)] }).collect();
        self
    }

    /// A place of width 1 for each of `names`, which are wrapped to share `width` pixels.
    pub fn categories(names: &[String], width: f64) -> Self {
        let slot = width / names.len().max(1) as f64;
        let label = |name: &String| TEXT.wrap(name, if slot < 30.0 { 60.0 } else { slot - 6.0 }, 3);
        let ticks = names.iter().enumerate().map(|(i, name)| Tick { at: i as f64 + 0.5, label: label(name) });
        Self { low: 0.0, high: names.len().max(1) as f64, log: false, names: true, ticks: ticks.collect() }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    pub fn share(&self, value: f64) -> f64 {
        match self.log {
            true => (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    pub fn label_width(&self) -> f64 {
        self.ticks.iter().flat_map(|tick| &tick.label).map(|line| TEXT.width(line)).fold(0.0, f64::max)
    }

    pub fn label_height(&self) -> f64 {
        self.ticks.iter().map(|tick| tick.label.len()).max().unwrap_or(0).max(1) as f64 * TEXT.line_height()
    }
}

/// `low` and `high`, apart even if the values are all the same.
fn widen(low: f64, high: f64) -> (f64, f64) {
    let least = 1e-9 * low.abs().max(high.abs());
    if high - low > least {
        return (low, high);
    }
    let by = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
    (low - by, high + by)
}

/// 1, 2 or 5 times a power of ten, about `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = match rough / power {
        ..1.5 => 1.0,
        ..3.2 => 2.0,
        ..7.1 => 5.0,
        _ => 10.0,
    };
    factor * power
}

/// The labels of `values`, which are `step` apart: with the same unit and as many decimals.
fn labels(values: &[f64], step: f64) -> Vec<String> {
    let most = values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    if !(1e-3..1e12).contains(&most) {
        return values.iter().map(|value| short(*value)).collect();
    }
    let even = |unit: f64| (step / unit).fract() == 0.0;
    let suits = |unit: f64| most >= unit && (even(unit) || (most >= 10.0 * unit && step >= unit / 100.0));
    let (unit, suffix) = UNITS.into_iter().find(|(unit, _)| suits(*unit)).unwrap_or((1.0, ""));
    let decimals = (-(step / unit * 1.0001).log10().floor()).clamp(0.0, 12.0) as usize;
    let label = |v: &f64| if *v == 0.0 { "0".into() } else { fixed(v / unit, decimals) + suffix };
    values.iter().map(label).collect()
}

const UNITS: [(f64, &str); 3] = [(1e9, "G"), (1e6, "M"), (1e3, "k")];

fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// A number in three digits: 0.93, 128, 12.5k, 2M, 3·10⁻⁵.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return if value.is_nan() { "NaN".to_owned() } else { fixed(value, 0).replace("inf", "∞") };
    }
    let power = size.log10().floor() as i32;
    let unit = UNITS.into_iter().find(|(unit, _)| size >= 0.99995 * unit && size >= 1e4);
    let (scaled, suffix) = match unit {
        _ if !(1e-3..1e12).contains(&size) => {
            (value / 10f64.powi(power), format!("·{}", power_of_ten(power)))
        }
        Some((unit, letter)) => (value / unit, letter.to_owned()),
        None => (value, String::new()),
    };
    let text = fixed(scaled, (2 - scaled.abs().log10().floor() as i32).clamp(0, 4) as usize);
    let digits = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{digits}{suffix}")
}

/// As [`short`], all with as many decimals as the one that has most, but at most `most`.
pub(super) fn alike(values: &[f64], most: usize) -> Vec<String> {
    let finite = || values.iter().filter(|v| v.is_finite());
    if finite().any(|v| *v != 0.0 && !(1e-3..1e4).contains(&v.abs())) {
        return values.iter().map(|value| short(*value)).collect();
    }
    let decimals = |v: &f64| short(*v).split_once('.').map_or(0, |(_, digits)| digits.len());
    let decimals = finite().map(decimals).max().unwrap_or(0).min(most);
    values.iter().map(|v| if v.is_finite() { fixed(*v, decimals) } else { short(*v) }).collect()
}

/// 10 with a superscript: 10⁻³.
fn power_of_ten(power: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |c: char| c.to_digit(10).map_or('⁻', |digit| digits[digit as usize]);
    format!("10{}", power.to_string().chars().map(raise).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().flat_map(|tick| &tick.label).map(String::as_str).collect()
    }

    #[test]
    fn ticks_read_as_a_person_writes_them() {
        assert_eq!(labels(&Axis::linear(0.0, 2000.0, 5.0, true)), ["0", "500", "1000", "1500", "2000"]);
        assert_eq!(labels(&Axis::linear(0.0, 8000.0, 5.0, true)), ["0", "2k", "4k", "6k", "8k"]);
        assert_eq!(labels(&Axis::linear(-1.0, 1.0, 4.0, false)), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(labels(&Axis::linear(0.0, 3.0, 8.0, true)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&Axis::log(1e-4, 1.0, 0.0, 6.0)), ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(&Axis::log(2.0, 9.0, 0.0, 3.0)), ["2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(labels(&Axis::log(1.9, 2.75, 0.0, 4.0)), ["2.0", "2.2", "2.4", "2.6"]);
    }

    #[test]
    fn short_numbers() {
        let texts = [0.0, 0.125, 1.0, 12.34, 128.0, 1536.0, 12_500.0, 3e6, 3e-5, -2.5].map(short);
        let wanted = ["0", "0.125", "1", "12.3", "128", "1536", "12.5k", "3M", "3·10⁻⁵", "−2.5"];
        assert_eq!(texts, wanted.map(String::from));
    }
}
