//! Ranges, ticks and the text of numbers.

/// A value on an axis and its label (empty for a small tick).
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// A range of values, linear or logarithmic, with ticks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
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
        let labels = linear_labels(&values, step);
        let ticks = values.into_iter().zip(labels).map(|(at, label)| Tick { at, label }).collect();
        Self { low, high, log: false, ticks }
    }

    /// A logarithmic axis; `low` and `high` are positive.
    pub fn log(low: f64, high: f64, wanted: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, high * 2.0) };
        let (low, high) = (low.clamp(1e-300, 1e299), high.clamp(1e-299, 1e300)); // powers of ten stay finite
        let inside = |v: f64| v >= low * (1.0 - 1e-9) && v <= high * (1.0 + 1e-9);
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let every = (((high.log10() - low.log10()) / wanted.max(1.0)).ceil() as i32).max(1);
        let decades = (first..=last).filter(|power| inside(10f64.powi(*power))).count();
        let named: &[i32] = match decades {
            0 => &[1, 2, 3, 4, 5, 6, 7, 8, 9],
            1 if wanted > 3.0 => &[1, 2, 3, 5],
            1 | 2 if wanted > 5.0 => &[1, 2, 5],
            1 => &[1, 3],
            _ => &[1],
        };
        let mut ticks = Vec::new();
        for power in first..=last {
            for digit in 1..10 {
                let at = f64::from(digit) * 10f64.powi(power);
                let label = if named.contains(&digit) && power.rem_euclid(every) == 0 {
                    if named.len() == 1 { power_of_ten(power) } else { short(at) }
                } else if every > 1 {
                    continue;
                } else {
                    String::new()
                };
                ticks.push(Tick { at, label });
            }
        }
        ticks.retain(|tick| inside(tick.at));
        Self { low, high, log: true, ticks }
    }

    /// Replaces the ticks by one at each of `values`.
    pub fn with_ticks_at(mut self, values: &[f64]) -> Self {
        self.ticks = values.iter().map(|&at| Tick { at, label: short(at) }).collect();
        self
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    pub fn share(&self, value: f64) -> f64 {
        if self.log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    pub fn low(&self) -> f64 {
        self.low
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

fn linear_labels(values: &[f64], step: f64) -> Vec<String> {
    let most = values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    if most >= 1e12 || (most > 0.0 && most < 1e-3) {
        let power = most.log10().floor() as i32;
        let decimals = decimals(step / 10f64.powi(power));
        let label = |v: &f64| match fixed(v / 10f64.powi(power), decimals) {
            zero if *v == 0.0 => zero.chars().take(1).collect(),
            digits => format!("{digits}·{}", power_of_ten(power)),
        };
        return values.iter().map(label).collect();
    }
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let even = |unit: f64| (step / unit).fract() == 0.0;
    let suits = |unit: f64| most >= unit && (even(unit) || (most >= 10.0 * unit && step >= unit / 100.0));
    let (unit, suffix) = units.into_iter().find(|(unit, _)| suits(*unit)).unwrap_or((1.0, ""));
    let decimals = decimals(step / unit);
    let label = |v: &f64| match *v {
        0.0 => "0".to_owned(),
        v => format!("{}{suffix}", fixed(v / unit, decimals)),
    };
    values.iter().map(label).collect()
}

/// How many decimals show a step of this size.
fn decimals(step: f64) -> usize {
    (-(step * 1.0001).log10().floor()).clamp(0.0, 12.0) as usize
}

fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// A number in few characters: 0.93, 128, 1.5k, 2M, 3·10⁻⁵.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() { "NaN".to_owned() } else { fixed(value, 0).replace("inf", "∞") };
    }
    let trim = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e12).contains(&size) => {
            let power = size.log10().floor() as i32;
            format!("{}·{}", trim(fixed(value / 10f64.powi(power), 1)), power_of_ten(power))
        }
        _ if size >= 999_950_000.0 => format!("{}G", trim(fixed(value / 1e9, 1))),
        _ if size >= 999_950.0 => format!("{}M", trim(fixed(value / 1e6, 1))),
        _ if size >= 1e4 => format!("{}k", trim(fixed(value / 1e3, 1))),
        _ if size >= 99.95 => fixed(value, 0),
        _ if size >= 10.0 => trim(fixed(value, 1)),
        _ if size >= 1.0 => trim(fixed(value, 2)),
        _ if size >= 0.1 => trim(fixed(value, 3)),
        _ => trim(fixed(value, 4)),
    }
}

/// As [`short`], all with as many decimals as the one that has most, but at most `most`.
pub(super) fn alike(values: &[f64], most: usize) -> Vec<String> {
    let finite = || values.iter().filter(|v| v.is_finite());
    if finite().any(|v| *v != 0.0 && !(1e-3..1e4).contains(&v.abs())) {
        return values.iter().map(|value| short(*value)).collect();
    }
    let decimals = |v: &f64| short(*v).split_once('.').map_or(0, |(_, digits)| digits.len());
    let decimals = finite().map(decimals).max().unwrap_or(0).min(most);
    let text = |v: &f64| if v.is_finite() { fixed(*v, decimals) } else { short(*v) };
    values.iter().map(text).collect()
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
        axis.ticks.iter().map(|tick| tick.label.as_str()).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn ticks_read_as_a_person_writes_them() {
        assert_eq!(labels(&Axis::linear(0.0, 2000.0, 5.0, true)), ["0", "500", "1000", "1500", "2000"]);
        assert_eq!(labels(&Axis::linear(0.0, 8000.0, 5.0, true)), ["0", "2k", "4k", "6k", "8k"]);
        assert_eq!(labels(&Axis::linear(-1.0, 1.0, 4.0, false)), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(labels(&Axis::linear(0.0, 3.0, 8.0, true)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&Axis::log(1e-4, 1.0, 6.0)), ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(&Axis::log(2.0, 9.0, 3.0)), ["2", "3", "4", "5", "6", "7", "8", "9"]);
    }

    #[test]
    fn short_numbers() {
        let texts = [0.0, 0.125, 1.0, 12.34, 128.0, 1536.0, 12_500.0, 3e6, 3e-5, -2.5].map(short);
        assert_eq!(
            texts,
            ["0", "0.125", "1", "12.3", "128", "1536", "12.5k", "3M", "3·10⁻⁵", "−2.5"].map(String::from)
        );
    }
}
