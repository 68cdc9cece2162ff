//! Power laws: straight lines on two logarithmic axes.

use super::axis::alike;
use super::number::Values;
use super::series::{Form, Series};
use super::{Figure, Kind};

/// y = `factor` · x^`exponent`, as [`power_law`] fits it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// The slope on two logarithmic axes.
    pub exponent: f64,
    /// The standard error of the exponent; NaN for fewer than three points.
    pub error: f64,
    /// The value at x = 1.
    pub factor: f64,
}

impl PowerLaw {
    /// The value of the law at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.factor * x.powf(self.exponent)
    }
}

/// Fits a power law by least squares of ln y on ln x, which assumes errors in proportion to y (Kaplan et al.
/// 2020 fit loss against parameters so).
///
/// Points that are not finite or not positive are left out. The standard error is that of a slope:
/// √(Σ residual² / (n − 2) / Σ (ln x − mean)²). With fewer than two different x, exponent and factor are NaN.
///
/// ```
/// use llm_course::plot::power_law;
///
/// let law = power_law([1, 4, 16, 64], [8.0, 4.0, 2.0, 1.0]);
/// assert!((law.exponent + 0.5).abs() < 1e-12 && (law.factor - 8.0).abs() < 1e-12 && law.error < 1e-12);
/// ```
///
/// # Panics
/// If `xs` and `ys` are not equally many.
pub fn power_law(xs: impl Values, ys: impl Values) -> PowerLaw {
    let (xs, ys) = (xs.values(), ys.values());
    let (x, y) = (xs.len(), ys.len());
    assert!(x == y, "a power law needs as many x values as y values: got {x} and {y}");
    let fits = |v: f64| v.is_finite() && v > 0.0;
    let points = xs.iter().zip(&ys).filter(|(x, y)| fits(**x) && fits(**y));
    let points: Vec<(f64, f64)> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = points.len() as f64;
    let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(*x, *y)).sum::<f64>();
    let (mean_x, mean_y) = (sum(&|x, _| x) / n, sum(&|_, y| y) / n);
    let spread = sum(&|x, _| (x - mean_x).powi(2));
    // Equal x leave rounding errors where 0 should be.
    let spread = if spread > 1e-20 * n * (1.0 + mean_x * mean_x) { spread } else { f64::NAN };
    let exponent = sum(&|x, y| (x - mean_x) * (y - mean_y)) / spread;
    let intercept = mean_y - exponent * mean_x;
    let residual = sum(&|x, y| (y - intercept - exponent * x).powi(2));
    let error = if n > 2.0 { (residual / (n - 2.0) / spread).sqrt() } else { f64::NAN };
    PowerLaw { exponent, error, factor: intercept.exp() }
}

impl Figure {
    /// Fits a [`power_law`] to the points called `name` and draws it, on two logarithmic axes; the exponent with
    /// its standard error stands beside the name.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let figure = Figure::lines("Ten times the parameters: a fifth less loss above the floor")
    ///     .x_label("parameters").y_label("nats above the floor")
    ///     .points("GPT", [1e4, 1e5, 1e6, 1e7], [0.81, 0.66, 0.52, 0.43])
    ///     .fit_power("GPT");
    /// # assert!(figure.svg()?.contains("GPT: exponent −0.093 ± 0.003"));
    /// # Ok::<(), llm_course::Error>(())
    /// ```
    pub fn fit_power(mut self, name: impl AsRef<str>) -> Self {
        (self.options.log_x, self.options.log_y) = (true, true);
        let Kind::Chart(chart) = &mut self.kind else { return self.misplaced("fit_power", "Figure::lines") };
        let drawn = |s: &&mut Series| s.name == name.as_ref() && matches!(s.form, Form::Curve | Form::Points);
        let Some(points) = chart.series.iter_mut().find(drawn) else {
            self.note_mistake(format!("nothing is called \"{}\": add its `points` first", name.as_ref()));
            return self;
        };
        let count = points.x.len().min(points.y.len());
        let law = power_law(&points.x[..count], &points.y[..count]);
        let numbers = alike(&[law.exponent, law.error], 3);
        points.name += &match (law.exponent.is_finite(), law.error.is_finite()) {
            (false, _) => ": too few points for a power law".to_owned(),
            (true, false) => format!(": exponent {}", numbers[0]),
            (true, true) => format!(": exponent {} ± {}", numbers[0], numbers[1]),
        };
        points.form = Form::Points;
        let positive = points.x.iter().copied().filter(|x| x.is_finite() && *x > 0.0);
        let ends = positive.fold([f64::INFINITY, 0.0], |[low, high], x| [x.min(low), x.max(high)]);
        if law.exponent.is_finite() {
            // The same name gives the line the colour of its points.
            let (name, y) = (points.name.clone(), ends.map(|x| law.at(x)).to_vec());
            chart.series.push(Series { name, x: ends.to_vec(), y, form: Form::Curve });
        }
        self
    }
}
