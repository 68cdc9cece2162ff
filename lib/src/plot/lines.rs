//! Line charts: curves, points, bands, reference lines, on linear or logarithmic axes.

use super::chart::Chart;
use super::number::Values;
use super::series::{Form, Series};
use super::{Figure, Kind};

impl Figure {
    /// A line chart with this title.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let distance = 1..=50;
    /// let norms: Vec<f64> = distance.clone().map(|k| 0.8_f64.powi(k)).collect();
    /// let figure = Figure::lines("The gradient vanishes: after 50 steps 10⁻⁵ is left")
    ///     .x_label("distance k (steps)")
    ///     .y_label("‖∂L/∂h‖")
    ///     .line("RNN", distance, &norms)
    ///     .log_y();
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn lines(title: impl Into<String>) -> Self {
        Self::new(title, Kind::Chart(Chart::default()))
    }

    /// A curve through the points (`xs`, `ys`), which must be equally many.
    pub fn line(self, name: impl Into<String>, xs: impl Values, ys: impl Values) -> Self {
        self.series("line", name.into(), xs.values(), ys.values(), Form::Curve)
    }

    /// Points at (`xs`, `ys`), which must be equally many; the same name as a line gives the same colour.
    pub fn points(self, name: impl Into<String>, xs: impl Values, ys: impl Values) -> Self {
        self.series("points", name.into(), xs.values(), ys.values(), Form::Points)
    }

    /// A pale band from `low` to `high`, e.g. over seeds; the same name as a line gives the same colour.
    pub fn band(
        mut self,
        name: impl Into<String>,
        xs: impl Values,
        low: impl Values,
        high: impl Values,
    ) -> Self {
        let (name, low, high) = (name.into(), low.values(), high.values());
        self.same_length(&name, ("low values", low.len()), ("high values", high.len()));
        self.series("band", name, xs.values(), low, Form::Band(high))
    }

    fn series(mut self, method: &str, name: String, x: Vec<f64>, y: Vec<f64>, form: Form) -> Self {
        self.same_length(&name, ("x values", x.len()), ("y values", y.len()));
        match &mut self.kind {
            Kind::Chart(chart) if chart.categories.is_none() => {
                chart.series.push(Series { name, x, y, form });
                self
            }
            _ => self.misplaced(method, "Figure::lines"),
        }
    }
}
