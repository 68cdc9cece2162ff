//! Histograms of one or several samples.

use super::axis::Axis;
use super::canvas::{Canvas, Stroke};
use super::frame::{self, Axes, Options, extent};
use super::geometry::{Rect, clip};
use super::legend::{self, Entry, Swatch};
use super::number::{Number, collect};
use super::palette::{Style, fills, level_styles};
use super::{Figure, Kind};

#[derive(Clone, Debug)]
pub(super) struct Histogram {
    samples: Vec<(String, Vec<f64>)>,
    bins: Option<usize>,
}

impl Figure {
    /// A histogram of the [`samples`](Figure::samples) that are added.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let lengths = [3, 5, 5, 6, 7, 7, 7, 8, 9, 12];
    /// let figure = Figure::histogram("Most sentences have about seven words")
    ///     .x_label("words in a sentence")
    ///     .samples("train", lengths);
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn histogram(title: impl Into<String>) -> Self {
        let mut figure = Self::new(title, Kind::Histogram(Histogram { samples: Vec::new(), bins: None }));
        figure.options.y_label = "count".to_owned();
        figure
    }

    /// Values to count.
    pub fn samples(mut self, name: impl Into<String>, values: impl IntoIterator<Item = impl Number>) -> Self {
        match &mut self.kind {
            Kind::Histogram(chart) => chart.samples.push((name.into(), collect(values))),
            _ => self.misplaced("samples", "Figure::histogram"),
        }
        self
    }

    /// How many bins a histogram has, 1 to 500; by default about the square root of the count, at most 50.
    pub fn bins(mut self, bins: usize) -> Self {
        match &mut self.kind {
            Kind::Histogram(chart) => chart.bins = Some(bins.clamp(1, 500)),
            _ => self.misplaced("bins", "Figure::histogram"),
        }
        self
    }
}

/// Bins of equal width from `low`.
struct Bins {
    low: f64,
    width: f64,
    count: usize,
}

impl Bins {
    fn high(&self) -> f64 {
        self.low + self.width * self.count as f64
    }

    fn counts(&self, values: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; self.count];
        for value in values.iter().filter(|v| v.is_finite() && **v >= self.low && **v <= self.high()) {
            counts[(((value - self.low) / self.width) as usize).min(self.count - 1)] += 1.0;
        }
        counts
    }
}

impl Histogram {
    fn finite(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().flat_map(|(_, values)| values.iter().copied()).filter(|v| v.is_finite())
    }

    fn choose_bins(&self, options: &Options) -> Bins {
        let (low, high) = options.x_range.unwrap_or_else(|| extent(self.finite()));
        let whole = self.finite().all(|v| v.fract() == 0.0);
        if whole && high - low < 60.0 && self.bins.is_none() {
            // A bin for each whole number, around it.
            let (low, high) = (low.floor(), high.ceil());
            return Bins { low: low - 0.5, width: 1.0, count: (high - low) as usize + 1 };
        }
        let largest = self.samples.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let count = self.bins.unwrap_or(((largest as f64).sqrt() as usize).clamp(8, 50));
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
        Bins { low, width: (high - low) / count as f64, count }
    }

    pub fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        let names: Vec<&str> = self.samples.iter().map(|(name, _)| name.as_str()).collect();
        let styles = fills(&names);
        let entries = legend::fit(self.entries(options, &styles), &body);
        let bins = self.choose_bins(options);
        let counts: Vec<_> = self.samples.iter().map(|(_, values)| bins.counts(values)).collect();
        let most = counts.iter().flatten().fold(0.0_f64, |most, c| most.max(*c));
        let levels = options.levels.iter().map(|(_, value)| *value);
        let high = levels.fold(most.max(1.0), f64::max);
        let low = if options.log_y { 0.8 } else { 0.0 };
        let x_axis = |width: f64| Axis::linear(bins.low, bins.high(), width / 75.0, bins.width == 1.0);
        let y_axis = |height: f64| frame::y_axis(options, low, high, height, true);
        let inner = body.shrink(0.0, legend::height(&entries, body.width), 0.0, 0.0);
        let axes = Axes::lay_out(options, inner, 10.0, 22.0, x_axis, y_axis);
        axes.draw_grid(canvas, false);
        for (counts, style) in counts.iter().zip(&styles) {
            draw_steps(canvas, &axes, &bins, counts, style);
        }
        axes.draw_references(canvas, options, &level_styles(&options.levels));
        axes.draw_y(canvas, options);
        axes.draw_x(canvas);
        axes.draw_x_name(canvas, options, 22.0);
        legend::draw(canvas, &entries, &body);
    }

    fn entries(&self, options: &Options, sample_styles: &[Style]) -> Vec<Entry> {
        let mut entries = Vec::new();
        if self.samples.len() > 1 {
            let entry = |((name, _), style): (&(String, Vec<f64>), &Style)| Entry {
                name: name.clone(),
                style: *style,
                swatch: Swatch::Box,
            };
            entries.extend(self.samples.iter().zip(sample_styles).map(entry));
        }
        let levels = frame::level_names(options).into_iter().zip(level_styles(&options.levels));
        entries.extend(levels.map(|(name, style)| Entry { name, style, swatch: Swatch::Line }));
        entries
    }

    pub fn notes(&self) -> Vec<String> {
        let all = self.samples.iter().map(|(_, values)| values.len()).sum::<usize>();
        let mut notes = frame::left_out("value", all - self.finite().count(), 0);
        if all == 0 {
            notes.push("no data".to_owned());
        }
        notes
    }
}

fn draw_steps(canvas: &mut Canvas, axes: &Axes, bins: &Bins, counts: &[f64], style: &Style) {
    let floor = axes.rect.bottom();
    let top = |count: f64| if count > 0.0 { axes.y_at(count).clamp(axes.rect.top, floor) } else { floor };
    let mut outline = vec![(axes.x_at(bins.low), floor)];
    for (index, count) in counts.iter().enumerate() {
        let left = bins.low + index as f64 * bins.width;
        let (left, right) = (axes.x_at(left), axes.x_at(left + bins.width));
        outline.extend([(left, top(*count)), (right, top(*count))]);
    }
    outline.push((axes.x_at(bins.high()), floor));
    canvas.polygon(&outline, style.colour, 0.3);
    for piece in clip(&outline, &axes.rect) {
        canvas.line(&piece, Stroke::solid(style.colour, 1.6));
    }
}
