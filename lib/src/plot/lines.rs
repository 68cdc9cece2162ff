//! Line charts: curves, points, bands, reference lines, on linear or logarithmic axes.

use super::axis::Axis;
use super::canvas::{Canvas, Stroke};
use super::frame::{self, Axes, Options, drawable, extent};
use super::geometry::{Point, Rect, clip};
use super::legend::{self, EndLabel, Entry, Swatch};
use super::number::{Number, collect};
use super::palette::{Style, level_styles, styles};
use super::scatter::{self, TextMark};
use super::{Figure, Kind};

/// A curve through at most so many points shows them.
const FEW: usize = 12;

#[derive(Clone, Debug, Default)]
pub(super) struct LineChart {
    pub series: Vec<Series>,
    pub texts: Vec<TextMark>,
    /// Scatter plots keep points off the edges.
    pub airy: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub name: String,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub form: Form,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Curve,
    Points,
    /// From `y` up to these values.
    Band(Vec<f64>),
}

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
        Self::new(title, Kind::Lines(LineChart::default()))
    }

    /// A curve through the points (`xs`, `ys`), which must be equally many.
    pub fn line(
        self,
        name: impl Into<String>,
        xs: impl IntoIterator<Item = impl Number>,
        ys: impl IntoIterator<Item = impl Number>,
    ) -> Self {
        self.series("line", name.into(), collect(xs), collect(ys), Form::Curve)
    }

    /// Points at (`xs`, `ys`), which must be equally many; the same name as a line gives the same colour.
    pub fn points(
        self,
        name: impl Into<String>,
        xs: impl IntoIterator<Item = impl Number>,
        ys: impl IntoIterator<Item = impl Number>,
    ) -> Self {
        self.series("points", name.into(), collect(xs), collect(ys), Form::Points)
    }

    /// A pale band from `low` to `high`, e.g. over seeds; the same name as a line gives the same colour.
    pub fn band(
        mut self,
        name: impl Into<String>,
        xs: impl IntoIterator<Item = impl Number>,
        low: impl IntoIterator<Item = impl Number>,
        high: impl IntoIterator<Item = impl Number>,
    ) -> Self {
        let (name, low, high) = (name.into(), collect(low), collect(high));
        self.same_length(&name, ("low values", low.len()), ("high values", high.len()));
        self.series("band", name, collect(xs), low, Form::Band(high))
    }

    fn series(mut self, method: &str, name: String, x: Vec<f64>, y: Vec<f64>, form: Form) -> Self {
        self.same_length(&name, ("x values", x.len()), ("y values", y.len()));
        match &mut self.kind {
            Kind::Lines(chart) => chart.series.push(Series { name, x, y, form }),
            _ => self.misplaced(method, "Figure::lines"),
        }
        self
    }
}

impl Series {
    /// The runs of points that can be drawn; a curve breaks at the others.
    fn runs(&self, axes: &Axes, options: &Options) -> Vec<Vec<Point>> {
        let shown = |x: f64, y: f64| drawable(x, options.log_x) && drawable(y, options.log_y);
        let points: Vec<(f64, f64)> = self.x.iter().copied().zip(self.y.iter().copied()).collect();
        let runs = points.split(|(x, y)| !shown(*x, *y)).filter(|run| !run.is_empty());
        runs.map(|run| run.iter().map(|(x, y)| axes.place(*x, *y)).collect()).collect()
    }

    fn draw_curve(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, style: &Style, few: bool) {
        let stroke = Stroke { colour: style.colour, width: style.width, dash: style.dash };
        for run in self.runs(axes, options) {
            for piece in clip(&run, &axes.rect) {
                canvas.line(&piece, stroke);
            }
            if few || run.len() == 1 {
                draw_points(canvas, &run, axes, style, 3.2);
            }
        }
    }

    fn draw_band(&self, high: &[f64], canvas: &mut Canvas, axes: &Axes, options: &Options, style: &Style) {
        let edge = |values: &[f64]| -> Vec<Point> {
            let points = self.x.iter().copied().zip(values.iter().copied());
            let shown = points.filter(|(x, y)| drawable(*x, options.log_x) && drawable(*y, options.log_y));
            // The polygon is kept inside the axes by moving its corners to their edge.
            let inside = |y: f64| axes.y_at(y).clamp(axes.rect.top, axes.rect.bottom());
            let wide = |x: f64| axes.x_at(x).clamp(axes.rect.left, axes.rect.right());
            shown.map(|(x, y)| (wide(x), inside(y))).collect()
        };
        let mut outline = edge(&self.y);
        outline.extend(edge(high).into_iter().rev());
        canvas.polygon(&outline, style.full, 0.18);
    }

    fn end(&self, axes: &Axes, options: &Options) -> Option<Point> {
        let runs = self.runs(axes, options);
        let visible = |p: &&Point| p.0 >= axes.rect.left - 0.5 && p.0 <= axes.rect.right() + 0.5;
        runs.iter().flatten().filter(visible).max_by(|a, b| a.0.total_cmp(&b.0)).copied()
    }
}

fn draw_points(canvas: &mut Canvas, points: &[Point], axes: &Axes, style: &Style, radius: f64) {
    let room = &axes.rect;
    for point in points {
        if point.0 >= room.left - 0.5
            && point.0 <= room.right() + 0.5
            && point.1 >= room.top - 0.5
            && point.1 <= room.bottom() + 0.5
        {
            canvas.circle(*point, radius, style.colour);
        }
    }
}

impl LineChart {
    pub fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        let levels = frame::level_names(options);
        let (series_styles, level_styles) = self.styles(options);
        let entries = self.entries(&series_styles, &levels, &level_styles);
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let beside =
            entries.iter().all(|e| e.swatch == Swatch::Line) && frame::names_fit_beside(&names, &body);
        let right = if beside { legend::beside_width(names.into_iter()) } else { 10.0 };
        let entries = if beside { entries } else { legend::fit(entries, &body) };
        let above = if beside { 0.0 } else { legend::height(&entries, body.width) };
        let axes = self.axes(options, body.shrink(0.0, above, 0.0, 0.0), right);
        axes.draw_grid(canvas, true);
        self.draw_series(canvas, &axes, options, &series_styles);
        axes.draw_references(canvas, options, &level_styles);
        axes.draw_y(canvas, options);
        axes.draw_x(canvas);
        axes.draw_x_name(canvas, options, 22.0);
        scatter::draw_texts(canvas, &self.texts, &self.obstacles(&axes), &axes);
        if beside {
            legend::draw_beside(canvas, &self.end_labels(&axes, options, &entries), &axes.rect);
        } else {
            legend::draw(canvas, &entries, &body);
        }
    }

    /// Bands lie under curves, curves under points.
    fn draw_series(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, styles: &[Style]) {
        let with_points = self.series.iter().any(|s| matches!(s.form, Form::Points));
        let forms = self.series.iter().zip(styles);
        for (series, style) in forms.clone() {
            if let Form::Band(high) = &series.form {
                series.draw_band(high, canvas, axes, options, style);
            }
        }
        for (series, style) in forms.clone().filter(|(s, _)| matches!(s.form, Form::Curve)) {
            let few = series.x.len() <= FEW && !with_points;
            series.draw_curve(canvas, axes, options, style, few);
        }
        for (series, style) in forms.filter(|(s, _)| matches!(s.form, Form::Points)) {
            let radius = if series.x.len() > 300 { 2.2 } else { 4.0 };
            let runs = series.runs(axes, options);
            runs.iter().for_each(|run| draw_points(canvas, run, axes, style, radius));
        }
    }

    /// One style per series and per level; series of the same name share theirs.
    fn styles(&self, options: &Options) -> (Vec<Style>, Vec<Style>) {
        let mut names: Vec<&str> = Vec::new();
        for series in &self.series {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        let styles = styles(&names);
        let of = |series: &Series| {
            let index = names.iter().position(|name| *name == series.name).unwrap_or(0);
            styles[index]
        };
        (self.series.iter().map(of).collect(), level_styles(&options.levels))
    }

    fn entries(&self, styles: &[Style], levels: &[String], level_styles: &[Style]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (series, style) in self.series.iter().zip(styles) {
            let swatch = match series.form {
                Form::Curve => Swatch::Line,
                Form::Points => Swatch::Point,
                Form::Band(_) => Swatch::Box,
            };
            match entries.iter_mut().find(|entry| entry.name == series.name) {
                Some(entry) if swatch == Swatch::Line => entry.swatch = swatch,
                Some(_) => {}
                None if series.name.is_empty() => {}
                None => entries.push(Entry { name: series.name.clone(), style: *style, swatch }),
            }
        }
        let level = |(name, style): (&String, &Style)| Entry {
            name: name.clone(),
            style: *style,
            swatch: Swatch::Line,
        };
        entries.extend(levels.iter().zip(level_styles).map(level));
        entries
    }

    fn axes(&self, options: &Options, body: Rect, right: f64) -> Axes {
        let xs = || {
            let texts = self.texts.iter().map(|text| text.x);
            self.series.iter().flat_map(|s| s.x.iter().copied()).chain(texts)
        };
        let marks = options.marks.iter().map(|(_, value)| *value);
        let (x_low, x_high) = extent(xs().filter(|x| drawable(*x, options.log_x)).chain(marks));
        let whole = xs().filter(|x| x.is_finite()).all(|x| x.fract() == 0.0);
        let places = distinct(xs().filter(|x| drawable(*x, options.log_x)));
        let (y_low, y_high) = extent(self.ys(options).filter(|y| drawable(*y, options.log_y)));
        let x_axis = |width: f64| {
            let wanted = width / 75.0;
            let (low, high) = options.x_range.unwrap_or((x_low, x_high));
            let air = if options.x_range.is_some() { 0.0 } else { self.air() };
            if options.log_x {
                let (low, high) = if low > 0.0 { (low, high) } else { (1.0, 10.0) };
                let axis = Axis::log(low / (high / low).powf(air), high * (high / low).powf(air), wanted);
                return if places.len() <= 9 { axis.with_ticks_at(&places) } else { axis };
            }
            let air = air * (high - low);
            Axis::linear(low - air, high + air, wanted, whole)
        };
        let y_axis = |height: f64| frame::y_axis(options, y_low, y_high, height, false);
        Axes::lay_out(options, body, right, 22.0, x_axis, y_axis)
    }

    /// Air at both ends of the horizontal axis, as a share of its range.
    fn air(&self) -> f64 {
        let marked = self.series.iter().any(|s| s.x.len() <= FEW || matches!(s.form, Form::Points));
        if self.airy {
            0.06
        } else if marked {
            0.02
        } else {
            0.0
        }
    }

    fn ys<'a>(&'a self, options: &'a Options) -> impl Iterator<Item = f64> + 'a {
        let highs = self.series.iter().filter_map(|s| match &s.form {
            Form::Band(high) => Some(high.iter().copied()),
            _ => None,
        });
        let levels = options.levels.iter().map(|(_, value)| *value);
        let texts = self.texts.iter().map(|text| text.y);
        let ys = self.series.iter().flat_map(|s| s.y.iter().copied());
        ys.chain(highs.flatten()).chain(levels).chain(texts)
    }

    fn end_labels(&self, axes: &Axes, options: &Options, entries: &[Entry]) -> Vec<EndLabel> {
        let from_level = options.levels.iter().map(|(_, value)| Some((axes.rect.right(), axes.y_at(*value))));
        let first_level = entries.len() - options.levels.len();
        let end = |entry: &Entry| {
            let curve = |s: &&Series| s.name == entry.name && matches!(s.form, Form::Curve);
            self.series.iter().find(curve).and_then(|series| series.end(axes, options))
        };
        let ends = entries[..first_level].iter().map(end).chain(from_level);
        let label = |(entry, end): (&Entry, Option<Point>)| {
            end.map(|from| EndLabel { name: entry.name.clone(), style: entry.style, from })
        };
        entries.iter().zip(ends).filter_map(label).collect()
    }

    /// Where points are, so that text keeps clear of them.
    fn obstacles(&self, axes: &Axes) -> Vec<Point> {
        let of = |s: &Series| s.x.iter().zip(&s.y).map(|(x, y)| axes.place(*x, *y)).collect::<Vec<_>>();
        let points = self.series.iter().filter(|s| matches!(s.form, Form::Points));
        points.flat_map(of).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    }

    pub fn notes(&self, options: &Options) -> Vec<String> {
        let (mut not_finite, mut not_positive) = (0, 0);
        for series in &self.series {
            for (x, y) in series.x.iter().zip(&series.y) {
                if !x.is_finite() || !y.is_finite() {
                    not_finite += 1;
                } else if !drawable(*x, options.log_x) || !drawable(*y, options.log_y) {
                    not_positive += 1;
                }
            }
        }
        let mut notes = frame::left_out("point", not_finite, not_positive);
        if self.series.iter().all(|s| s.x.is_empty()) && self.texts.is_empty() {
            notes.push("no data".to_owned());
        }
        notes
    }
}

fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}
