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
<<<<<<< HEAD

impl Group {
    /// Value and error of a category, if the value can be drawn.
    fn at(&self, category: usize, options: &Options) -> Option<(f64, f64)> {
        let value = *self.values.get(category)?;
        let error = self.errors.get(category).copied().filter(|e| e.is_finite()).unwrap_or(0.0);
        drawable(value, options.log_y).then_some((value, error.abs()))
    }
}

impl BarChart {
    pub fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        let names: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        let group_styles = fills(&names);
        let level_styles = level_styles(&options.levels);
        let level_names = frame::level_names(options);
        let entries = legend::fit(self.entries(&group_styles), &body);
        let above = legend::height(&entries, body.width);
        let right = legend::beside_width(level_names.iter().map(String::as_str)).min(0.35 * body.width);
        let inner = body.shrink(0.0, above, 0.0, 0.0);
        let width = (inner.width - right - 60.0).max(20.0);
        let slot = width / self.categories.len().max(1) as f64;
        let lines: Vec<_> = self.categories.iter().map(|c| TICK.wrap_to(c, slot - 6.0, NAME_LINES)).collect();
        let below = 8.0 + TICK.line_height() * lines.iter().map(Vec::len).max().unwrap_or(1) as f64;
        let last = self.categories.len().max(1) as f64;
        let x_axis = |_| Axis::linear(0.0, last, 1.0, true);
        let axes =
            Axes::lay_out(options, inner, right, below, x_axis, |height| self.y_axis(options, width, height));
        axes.draw_grid(canvas, false);
        self.draw_bars(canvas, &axes, options, &group_styles);
        for (_, value) in &options.levels {
            // White under a reference line keeps it visible on bars.
            let y = axes.y_at(*value).clamp(axes.rect.top, axes.rect.bottom());
            canvas.line(&[(axes.rect.left, y), (axes.rect.right(), y)], Stroke::solid(Colour::WHITE, 3.5));
        }
        axes.draw_references(canvas, options, &level_styles);
        axes.draw_y(canvas, options);
        draw_categories(canvas, &axes, &lines);
        axes.draw_x_name(canvas, options, below);
        let labels = level_names.into_iter().zip(level_styles).zip(&options.levels);
        let label = |((name, style), (_, value)): ((String, Style), &(String, f64))| EndLabel {
            name: legend::FONT.shorten(&name, right - 20.0),
            style,
            from: (axes.rect.right(), axes.y_at(*value)),
        };
        legend::draw_beside(canvas, &labels.map(label).collect::<Vec<_>>(), &axes.rect);
        legend::draw(canvas, &entries, &body);
    }

    fn entries(&self, styles: &[Style]) -> Vec<Entry> {
        if self.groups.len() < 2 {
            return Vec::new();
        }
        let entry = |(group, style): (&Group, &Style)| Entry {
            name: group.name.clone(),
            style: *style,
            swatch: Swatch::Box,
        };
        self.groups.iter().zip(styles).map(entry).collect()
    }

    fn y_axis(&self, options: &Options, width: f64, height: f64) -> Axis {
        let ends = self.groups.iter().flat_map(|group| {
            let pair = |i| group.at(i, options).map(|(value, error)| [value - error, value + error]);
            (0..self.categories.len()).filter_map(pair).flatten()
        });
        let levels = options.levels.iter().map(|(_, value)| *value);
        let shown: Vec<f64> = ends.chain(levels).filter(|v| drawable(*v, options.log_y)).collect();
        let (low, high) = extent(shown.into_iter());
        // Room for the numbers over the bars.
        let upright = self.upright(self.bar_width(width));
        let longest = self.texts().iter().flatten().map(|text| TICK.width(text)).fold(0.0, f64::max);
        let head = if upright { (longest + 8.0) / height } else { 20.0 / height };
        if options.log_y {
            let low = if low > 0.0 { 10f64.powf((low * 0.8).log10().floor()) } else { low };
            return frame::y_axis(options, low, high * (high / low).max(1.0).powf(head), height, false);
        }
        let (low, high) = (low.min(0.0), high.max(0.0));
        let head = head * (high - low);
        let high = if high > 0.0 { high + head } else { high };
        let low = if low < 0.0 { low - head } else { low };
        frame::y_axis(options, low, high, height, false)
    }

    fn draw_bars(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, styles: &[Style]) {
        let slot = axes.rect.width / self.categories.len().max(1) as f64;
        let width = self.bar_width(axes.rect.width);
        let upright = self.upright(width);
        let texts = self.texts();
        let first = -width * self.groups.len() as f64 / 2.0;
        for (index, (group, style)) in self.groups.iter().zip(styles).enumerate() {
            for (category, text) in texts[index].iter().enumerate() {
                let Some(bar) = group.at(category, options) else { continue };
                let left = axes.rect.left + (category as f64 + 0.5) * slot + first + index as f64 * width;
                let colour = self.colour(category, style);
                let tip = draw_bar(canvas, axes, options, (left, width), bar, colour);
                if width >= TICK.size {
                    draw_value(canvas, (left + width / 2.0, tip), bar.0 < 0.0, upright, text);
                }
            }
        }
        if !options.log_y && axes.y.low() < 0.0 {
            let y = axes.y_at(0.0);
            let line = Stroke::solid(Colour::AXIS, 1.0);
            canvas.line(&[(axes.rect.left, y), (axes.rect.right(), y)], line);
        }
    }

    /// The width of one bar where the whole chart is `room` wide, in CSS pixels.
    fn bar_width(&self, room: f64) -> f64 {
        let bars = (self.categories.len() * self.groups.len()).max(1) as f64;
        (0.76 * room / bars).min(70.0)
    }

    /// Whether numbers read upwards, because some would touch their neighbours.
    fn upright(&self, bar_width: f64) -> bool {
        self.texts().iter().flatten().any(|text| TICK.width(text) > bar_width - 3.0)
    }

    /// The numbers over the bars, all with as many decimals.
    fn texts(&self) -> Vec<Vec<String>> {
        let values: Vec<f64> = self.groups.iter().flat_map(|group| group.values.iter().copied()).collect();
        let mut texts = alike(&values, 3).into_iter();
        self.groups.iter().map(|group| texts.by_ref().take(group.values.len()).collect()).collect()
    }

    fn colour(&self, category: usize, style: &Style) -> Colour {
        let family = family_colour(&self.categories[category]).filter(|_| self.groups.len() == 1);
        let any = self.groups.len() == 1 && self.categories.iter().any(|c| family_colour(c).is_some());
        match family {
            Some([red, green, blue]) => Colour(red, green, blue),
            // Beside families, what belongs to none is grey.
            None if any => Colour::AXIS,
            None => style.colour,
        }
    }

    pub fn notes(&self, options: &Options) -> Vec<String> {
        let values = || self.groups.iter().flat_map(|group| group.values.iter());
        let not_finite = values().filter(|v| !v.is_finite()).count();
        let undrawn = values().filter(|v| !drawable(**v, options.log_y)).count();
        let mut notes = frame::left_out("bar", not_finite, undrawn - not_finite);
        if values().next().is_none() {
            notes.push("no data".to_owned());
        }
        notes
    }
}

/// `place` is the left edge and width in CSS pixels, `bar` the value and its error; returns where its tip is.
fn draw_bar(
    canvas: &mut Canvas,
    axes: &Axes,
    options: &Options,
    place: (f64, f64),
    bar: (f64, f64),
    colour: Colour,
) -> f64 {
    let ((left, width), (value, error)) = (place, bar);
    let inside = |y: f64| y.clamp(axes.rect.top, axes.rect.bottom());
    let base = inside(if options.log_y { axes.rect.bottom() } else { axes.y_at(0.0) });
    let end = inside(axes.y_at(value));
    canvas.fill(&Rect::new(left + 1.0, base.min(end), width - 2.0, (base - end).abs()), colour, 1.0);
    let centre = left + width / 2.0;
    let mut tip = end;
    if error > 0.0 {
        let low = if drawable(value - error, options.log_y) { axes.y_at(value - error) } else { base };
        let (low, high) = (inside(low), inside(axes.y_at(value + error)));
        let stroke = Stroke::solid(Colour::INK, 1.3);
        let cap = (width / 5.0).min(6.0);
        if colour.luminance() < 0.1 {
            // White beside the ink keeps it visible on dark bars.
            canvas.line(&[(centre, low), (centre, high)], Stroke::solid(Colour::WHITE, 3.3));
        }
        canvas.line(&[(centre, low), (centre, high)], stroke);
        canvas.line(&[(centre - cap, low), (centre + cap, low)], stroke);
        canvas.line(&[(centre - cap, high), (centre + cap, high)], stroke);
        tip = if value < 0.0 { low } else { high };
    }
    tip
}

/// The value beyond the tip of its bar, on white that hides the grid.
fn draw_value(canvas: &mut Canvas, tip: Point, below: bool, upright: bool, text: &str) {
    let away = if below { 1.0 } else { -1.0 };
    let (long, high) = (TICK.width(text), TICK.size);
    let (width, height) = if upright { (high, long) } else { (long, high) };
    let middle = tip.1 + away * (height / 2.0 + 4.0);
    let behind = Rect::new(tip.0 - width / 2.0, middle - height / 2.0 - 1.0, width, height + 2.0);
    canvas.fill(&behind, Colour::WHITE, 0.8);
    if upright {
        canvas.text_up((tip.0, middle), Align::Centre, TICK, Colour::INK, text);
    } else {
        canvas.text((tip.0, middle), Align::Centre, TICK, Colour::INK, text);
    }
}

fn draw_categories(canvas: &mut Canvas, axes: &Axes, lines: &[Vec<String>]) {
    let slot = axes.rect.width / lines.len().max(1) as f64;
    for (index, lines) in lines.iter().enumerate() {
        let x = axes.rect.left + (index as f64 + 0.5) * slot;
        for (row, line) in lines.iter().enumerate() {
            let y = axes.rect.bottom() + 13.0 + row as f64 * TICK.line_height();
            canvas.text((x, y), Align::Centre, TICK, Colour::INK, line);
        }
    }
}
=======
>>>>>>> 2bfa146
