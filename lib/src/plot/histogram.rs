//! Histograms of one or several samples.

use super::axes::Options;
use super::chart::Chart;
use super::colormap::extent;
use super::frame::count_note;
use super::number::Values;
use super::series::{Form, Series};
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
        Self::new(title, Kind::Histogram(Histogram { samples: Vec::new(), bins: None })).y_label("count")
    }

    /// Values to count.
    pub fn samples(mut self, name: impl Into<String>, values: impl Values) -> Self {
        let Kind::Histogram(chart) = &mut self.kind else {
            return self.misplaced("samples", "Figure::histogram");
        };
        chart.samples.push((name.into(), values.values()));
        self
    }

    /// How many bins a histogram has, 1 to 500; by default about the square root of the count, at most 50.
    pub fn bins(mut self, bins: usize) -> Self {
        let Kind::Histogram(chart) = &mut self.kind else {
            return self.misplaced("bins", "Figure::histogram");
        };
        chart.bins = Some(bins.clamp(1, 500));
        self
    }
}

impl Histogram {
    fn finite(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().flat_map(|(_, values)| values.iter().copied()).filter(|v| v.is_finite())
    }

    /// Where bins begin, their width and their number.
    fn choose_bins(&self, options: &Options) -> (f64, f64, usize) {
        let (low, high) = options.x_range.unwrap_or_else(|| extent(self.finite()));
        let whole = self.finite().all(|v| v.fract() == 0.0);
        if whole && high - low < 60.0 && self.bins.is_none() {
            // A bin for each whole number, around it.
            let (low, high) = (low.floor(), high.ceil());
            return (low - 0.5, 1.0, (high - low) as usize + 1);
        }
        let largest = self.samples.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let count = self.bins.unwrap_or(((largest as f64).sqrt() as usize).clamp(8, 50));
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
        (low, (high - low) / count as f64, count)
    }

    /// The counts in each bin as steps.
    pub fn chart(&self, options: &Options) -> Chart {
        let (low, width, count) = self.choose_bins(options);
        let steps = |(name, values): &(String, Vec<f64>)| {
            let mut y = vec![0.0; count];
            for value in values.iter().filter(|v| v.is_finite() && **v >= low) {
                let bin = (value - low) / width;
                if bin <= count as f64 {
                    y[(bin as usize).min(count - 1)] += 1.0;
                }
            }
            let x = (0..count).map(|bin| low + (bin as f64 + 0.5) * width).collect();
            Series { name: name.clone(), x, y, form: Form::Steps(width) }
        };
        Chart { series: self.samples.iter().map(steps).collect(), ..Chart::default() }
    }

    pub fn notes(&self) -> Vec<String> {
        let all = self.samples.iter().map(|(_, values)| values.len()).sum::<usize>();
        let bad = count_note(all - self.finite().count(), "value", " left out: not finite");
        bad.into_iter().chain((all == 0).then(|| "no data".to_owned())).collect()
    }
}
