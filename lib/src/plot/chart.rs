//! Charts with two axes: lays out what is drawn, its names and its reference lines.

use super::axes::{Axes, Options, drawable};
use super::axis::{Axis, short};
use super::canvas::Canvas;
use super::colormap::extent;
use super::frame::count_note;
use super::geometry::{Point, Rect};
use super::legend::{self, Entry, Swatch};
use super::palette::{Colour, Stroke, Style, family, level_style, styles};
use super::scatter::{self, TextMark};
use super::series::{FEW, Form, Series};

#[derive(Clone, Debug, Default)]
pub(super) struct Chart {
    pub series: Vec<Series>,
    pub texts: Vec<TextMark>,
    /// The places along the horizontal axis of a bar chart.
    pub categories: Option<Vec<String>>,
}

impl Chart {
    pub fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        let styles = self.styles();
        let (beside, above) = legend::split(self.entries(options, &styles), &body);
        let inner = body.shrink(0.0, legend::height(&above, body.width), 0.0, 0.0);
        let right = legend::beside_width(&beside);
        let x = self.x_axis(options, inner.width - right - 60.0);
        let axes = Axes::lay_out(options, inner, right, x, |height| self.y_axis(options, height));
        axes.draw_grid(canvas);
        self.draw_series(canvas, &axes, options, &styles);
        axes.draw_references(canvas, options);
        axes.draw(canvas, options);
        scatter::draw_texts(canvas, &self.texts, &self.obstacles(&axes, options), &axes);
        let label = |entry| self.end(entry, &axes, options).map(|end| (entry, end));
        legend::draw_beside(canvas, &beside.iter().filter_map(label).collect::<Vec<_>>(), &axes.rect);
        legend::draw(canvas, &above, &body);
    }

    fn has(&self, form: fn(&Form) -> bool) -> bool {
        self.series.iter().any(|series| form(&series.form))
    }

    fn draw_series(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, styles: &[Style]) {
        let pointed = self.has(|form| matches!(form, Form::Points));
        let slot = axes.x_at(1.0) - axes.x_at(0.0);
        let bars = self.series.len() as f64;
        let width = (0.76 * slot / bars).min(70.0);
        let mut order: Vec<usize> = (0..self.series.len()).collect();
        order.sort_by_key(|index| self.series[*index].layer());
        for index in order {
            let (series, style) = (&self.series[index], &styles[index]);
            match &series.form {
                Form::Band(_) => series.draw_band(canvas, axes, options, style),
                Form::Curve => {
                    series.draw_curve(canvas, axes, options, style, series.x.len() <= FEW && !pointed);
                }
                Form::Points => series.draw_points(canvas, axes, options, style),
                Form::Steps(_) => series.draw_steps(canvas, axes, style),
                Form::Bars(_) => {
                    let place = ((index as f64 - bars / 2.0) * width, width);
                    series.draw_bars(canvas, axes, options, place, |i| self.bar_colour(i, style));
                }
            }
        }
        if self.categories.is_some() && axes.y.low < 0.0 && !options.log_y {
            let line = [axes.rect.left, axes.rect.right()].map(|x| (x, axes.y_at(0.0)));
            canvas.line(&line, Stroke::solid(Colour::AXIS, 1.0));
        }
    }

    /// Bars of a single series have the colour of the family that their category names.
    fn bar_colour(&self, category: usize, style: &Style) -> Colour {
        let names = self.categories.as_deref().unwrap_or_default();
        let families: Vec<_> = names.iter().map(|name| family(name)).collect();
        if self.series.len() > 1 || families.iter().all(Option::is_none) {
            return style.stroke.colour;
        }
        // Beside families, what belongs to none is grey.
        families.get(category).copied().flatten().map_or(Colour::AXIS, |(colour, _)| colour)
    }

    /// One style for each series; series of the same name share theirs.
    fn styles(&self) -> Vec<Style> {
        let mut names: Vec<&str> = Vec::new();
        for series in &self.series {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        let areas = self.has(|form| matches!(form, Form::Bars(_) | Form::Steps(_)));
        let styles = styles(&names, areas);
        let of = |s: &Series| styles[names.iter().position(|name| *name == s.name).unwrap_or(0)];
        self.series.iter().map(of).collect()
    }

    fn entries(&self, options: &Options, styles: &[Style]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let alone = self.series.len() == 1 && self.series[0].swatch() == Swatch::Box;
        let named = self.series.iter().zip(styles).filter(|(series, _)| !alone && !series.name.is_empty());
        for (series, style) in named {
            let swatch = series.swatch();
            match entries.iter_mut().find(|entry| entry.name == series.name) {
                Some(entry) if swatch == Swatch::Line => entry.swatch = swatch,
                Some(_) => {}
                None => entries.push(Entry { name: series.name.clone(), style: *style, swatch, level: None }),
            }
        }
        entries.extend(options.levels.iter().map(|(name, value)| Entry {
            name: format!("{name} {}", short(*value)).trim().to_owned(),
            style: level_style(name),
            swatch: Swatch::Line,
            level: Some(*value),
        }));
        entries
    }

    /// Where the line of an entry ends.
    fn end(&self, entry: &Entry, axes: &Axes, options: &Options) -> Option<Point> {
        if let Some(value) = entry.level {
            return Some((axes.rect.right(), axes.y_at(value)));
        }
        let curve = |s: &&Series| s.name == entry.name && matches!(s.form, Form::Curve);
        self.series.iter().find(curve)?.end(axes, options)
    }

    fn x_axis(&self, options: &Options, width: f64) -> Axis {
        if let Some(names) = &self.categories {
            return Axis::categories(names, width);
        }
        let all = self.series.iter().flat_map(|s| s.x.iter().copied()).chain(self.texts.iter().map(|t| t.x));
        let mut xs: Vec<f64> = all.filter(|x| drawable(*x, options.log_x)).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let half = self.series.iter().map(|s| if let Form::Steps(w) = s.form { w / 2.0 } else { 0.0 });
        let half = half.fold(0.0, f64::max);
        let ends = xs.iter().flat_map(|x| [x - half, x + half]);
        let (low, high) = options
            .x_range
            .unwrap_or_else(|| extent(ends.chain(options.marks.iter().map(|(_, value)| *value))));
        let air = if options.x_range.is_some() { 0.0 } else { self.air() };
        if options.log_x {
            let (low, high) = if low > 0.0 { (low, high) } else { (1.0, 10.0) };
            let axis = Axis::log(low, high, air, width / 75.0);
            return if xs.len() <= 9 { axis.with_ticks_at(&xs) } else { axis };
        }
        let air = air * (high - low);
        Axis::linear(low - air, high + air, width / 75.0, xs.iter().all(|x| x.fract() == 0.0))
    }

    /// Air at both ends of the horizontal axis, as a share of its range.
    fn air(&self) -> f64 {
        let pointed = !self.texts.is_empty() || self.has(|form| matches!(form, Form::Points));
        let marked = self.series.iter().any(|s| s.x.len() <= FEW && matches!(s.form, Form::Curve));
        [0.0, 0.02, 0.06][if pointed { 2 } else { usize::from(marked) }]
    }

    fn y_axis(&self, options: &Options, height: f64) -> Axis {
        let levels = options.levels.iter().map(|(_, value)| *value);
        let texts = self.texts.iter().map(|text| text.y);
        let values = self.series.iter().flat_map(Series::heights).chain(levels).chain(texts);
        let free = extent(values.filter(|v| drawable(*v, options.log_y)));
        let (low, high) = options.y_range.unwrap_or(free);
        let air = if options.y_range.is_some() { 0.0 } else { 0.05 };
        let areas = self.has(|form| matches!(form, Form::Bars(_) | Form::Steps(_)));
        if options.log_y {
            let (low, high) = if low > 0.0 { (low, high) } else { (1e-3, high.max(1.0)) };
            // Areas have no natural floor on a log axis: the least of them still shows.
            let (low, high) = if areas { (low / 2.0, high * 1.5) } else { (low, high) };
            return Axis::log(low, high, air, height / 32.0);
        }
        // Numbers over bars take room.
        let head = if self.categories.is_some() { air + 16.0 / height } else { air };
        let below = if low < 0.0 { head } else { air };
        let bottom = low - below * (high - low);
        let bottom = if low >= 0.0 { bottom.max(0.0) } else { bottom };
        let counts = self.has(|form| matches!(form, Form::Steps(_)));
        Axis::linear(bottom, high + head * (high - low), height / 54.0, counts)
    }

    /// Where points are, so that text keeps clear of them.
    /// What texts keep clear of: the points, and the lines every few pixels.
    fn obstacles(&self, axes: &Axes, options: &Options) -> Vec<Point> {
        let runs = |form: fn(&Form) -> bool| {
            self.series.iter().filter(move |s| form(&s.form)).flat_map(|s| s.runs(axes, options))
        };
        let points = runs(|form| matches!(form, Form::Points)).flatten();
        let lines = runs(|form| matches!(form, Form::Curve))
            .flat_map(|run| run.windows(2).flat_map(|ends| between(ends[0], ends[1])).collect::<Vec<_>>());
        points.chain(lines).collect()
    }

    pub fn notes(&self, options: &Options) -> Vec<String> {
        let mut counts = [0, 0];
        for series in &self.series {
            let left_out = series.left_out(options);
            counts.iter_mut().zip(left_out).for_each(|(count, more)| *count += more);
        }
        let what = if self.categories.is_some() { "bar" } else { "point" };
        let reasons = [" left out: not finite", " left out: 0 or negative on a log axis"];
        let notes = counts.into_iter().zip(reasons).filter_map(|(count, why)| count_note(count, what, why));
        let empty = self.series.iter().all(|s| s.y.is_empty()) && self.texts.is_empty();
        notes.chain(empty.then(|| "no data".to_owned())).collect()
    }
}

/// Places on the way from one point to another, at most 8 pixels apart.
fn between((x, y): Point, (to_x, to_y): Point) -> impl Iterator<Item = Point> {
    let steps = ((to_x - x).hypot(to_y - y) / 8.0).ceil().clamp(1.0, 500.0) as usize;
    (0..=steps).map(move |i| i as f64 / steps as f64).map(move |t| (x + t * (to_x - x), y + t * (to_y - y)))
}
