//! Bar charts: groups of bars, error bars, the value over each bar.

use super::chart::Chart;
use super::font::visible;
use super::number::Values;
use super::series::{Form, Series};
use super::{Figure, Kind};

impl Figure {
    /// A bar chart with one place for each category.
    ///
    /// One series takes the colours of its categories, where those name families of models; several
    /// take a colour each.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let figure = Figure::bars("Each rung buys less", ["RNN", "LSTM", "transformer"])
    ///     .y_label("bits per byte")
    ///     .bar_with_errors("equal parameters", [1.42, 1.21, 1.13], [0.02, 0.02, 0.01])
    ///     .bar("equal seconds", [1.38, 1.25, 1.19])
    ///     .level("entropy floor", 0.93);
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn bars(title: impl Into<String>, categories: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let categories = Some(categories.into_iter().map(visible).collect());
        Self::new(title, Kind::Chart(Chart { categories, ..Chart::default() }))
    }

    /// A bar for each category; as many values as categories.
    pub fn bar(self, name: impl Into<String>, values: impl Values) -> Self {
        self.add_bars("bar", name.into(), values.values(), Vec::new())
    }

    /// Bars with error bars that reach `errors` up and down, in the unit of the values.
    pub fn bar_with_errors(
        mut self,
        name: impl Into<String>,
        values: impl Values,
        errors: impl Values,
    ) -> Self {
        let (name, values, errors) = (name.into(), values.values(), errors.values());
        self.same_length(&name, ("values", values.len()), ("errors", errors.len()));
        self.add_bars("bar_with_errors", name, values, errors)
    }

    fn add_bars(mut self, method: &str, name: String, y: Vec<f64>, errors: Vec<f64>) -> Self {
        let Kind::Chart(Chart { categories: Some(names), series, .. }) = &mut self.kind else {
            return self.misplaced(method, "Figure::bars");
        };
        let (count, categories) = (y.len(), names.len());
        let x = (0..count).map(|i| i as f64 + 0.5).collect();
        series.push(Series { name: name.clone(), x, y, form: Form::Bars(errors) });
        self.same_length(&name, ("values", count), ("categories", categories));
        self
    }
}
