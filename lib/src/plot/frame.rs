//! What surrounds a picture: title, notes, white margins.

use super::Figure;
use super::canvas::{Align, Canvas};
use super::font::{Face, Font, TEXT};
use super::geometry::Rect;
use super::palette::Colour;

/// White around a figure, in CSS pixels, so that it also stands on a dark page.
pub(super) const MARGIN: f64 = 14.0;

fn title_font(width: f64) -> Font {
    Font { face: Face::Bold, size: if width < 450.0 { 13.5 } else { 15.5 } }
}

/// The height of the title with the gap below it, in CSS pixels.
pub(super) fn title_height(figure: &Figure, width: f64) -> f64 {
    let lines = title_lines(figure, width).len();
    if lines == 0 { 0.0 } else { lines as f64 * title_font(width).line_height() + 8.0 }
}

fn title_lines(figure: &Figure, width: f64) -> Vec<String> {
    // A small figure keeps room for its data.
    let most = if figure.size.is_some_and(|(_, height)| height < 220) { 2 } else { 4 };
    title_font(width).balance(&figure.title, width - 2.0 * MARGIN, most)
}

fn note_lines(figure: &Figure, width: f64) -> Vec<String> {
    TEXT.wrap(&figure.notes().join("; "), width - 2.0 * MARGIN, 3)
}

fn notes_height(figure: &Figure, width: f64) -> f64 {
    let lines = note_lines(figure, width).len();
    if lines == 0 { 0.0 } else { lines as f64 * TEXT.line_height() + 4.0 }
}

/// The height of a figure whose data takes `body`, in CSS pixels.
pub(super) fn whole_height(figure: &Figure, width: u32, body: f64) -> u32 {
    let outside = title_height(figure, width.into()) + notes_height(figure, width.into()) + 2.0 * MARGIN;
    (body + outside).ceil().clamp(120.0, 4000.0) as u32
}

/// Draws title and notes and returns the room between them.
pub(super) fn surround(canvas: &mut Canvas, figure: &Figure, area: Rect, title_height: f64) -> Rect {
    let font = title_font(area.width);
    let body = area.shrink(MARGIN, MARGIN + title_height, MARGIN, MARGIN + notes_height(figure, area.width));
    for (index, line) in title_lines(figure, area.width).iter().enumerate() {
        let y = area.top + MARGIN + (index as f64 + 0.5) * font.line_height();
        canvas.text((body.left, y), Align::Left, font, Colour::INK, line);
    }
    for (index, line) in note_lines(figure, area.width).iter().enumerate() {
        let y = body.bottom() + 6.0 + (index as f64 + 0.5) * TEXT.line_height();
        canvas.text((body.left, y), Align::Left, TEXT, Colour::GREY, line);
    }
    body
}

<<<<<<< HEAD
/// The rectangle of the data and its two axes.
pub(super) struct Axes {
    pub rect: Rect,
    pub x: Axis,
    pub y: Axis,
}

impl Axes {
    /// Finds room for tick labels and axis names; `right` is kept free beside the data, `below` under
    /// it for category names.
    pub fn lay_out(
        options: &Options,
        body: Rect,
        right: f64,
        below: f64,
        x: impl Fn(f64) -> Axis,
        y: impl Fn(f64) -> Axis,
    ) -> Self {
        let name_height = if options.x_label.is_empty() { 0.0 } else { 22.0 };
        let marks = if options.marks.is_empty() { 0.0 } else { TICK.line_height() };
        let height = (body.height - below - name_height - marks - 4.0).max(20.0);
        let y = y(height);
        let widest = y.ticks.iter().map(|tick| TICK.width(&tick.label)).fold(0.0, f64::max);
        let name_width = if options.y_label.is_empty() { 0.0 } else { 22.0 };
        let left = (name_width + widest + 8.0).min(body.width / 2.0);
        let width = (body.width - left - right).max(20.0);
        let rect = Rect::new(body.left + left, body.top + marks + 4.0, width, height);
        Self { rect, x: x(width), y }
    }

    pub fn place(&self, x: f64, y: f64) -> Point {
        (self.x_at(x), self.y_at(y))
    }

    pub fn x_at(&self, x: f64) -> f64 {
        self.rect.left + self.x.share(x) * self.rect.width
    }

    pub fn y_at(&self, y: f64) -> f64 {
        self.rect.bottom() - self.y.share(y) * self.rect.height
    }

    /// Grid lines, to go under the data.
    pub fn draw_grid(&self, canvas: &mut Canvas, vertical: bool) {
        let (left, right) = (self.rect.left, self.rect.right());
        let grid = Stroke::solid(Colour::GRID, 1.0);
        for tick in self.y.ticks.iter().filter(|tick| !tick.label.is_empty()) {
            let y = self.y_at(tick.at);
            canvas.line(&[(left, y), (right, y)], grid);
        }
        for tick in self.x.ticks.iter().filter(|tick| vertical && !tick.label.is_empty()) {
            let x = self.x_at(tick.at);
            canvas.line(&[(x, self.rect.top), (x, self.rect.bottom())], grid);
        }
    }

    /// The two axis lines and the labels of the vertical axis, to go over the data.
    pub fn draw_y(&self, canvas: &mut Canvas, options: &Options) {
        let (left, right, bottom) = (self.rect.left, self.rect.right(), self.rect.bottom());
        let line = Stroke::solid(Colour::AXIS, 1.0);
        canvas.line(&[(left, self.rect.top), (left, bottom), (right, bottom)], line);
        for tick in &self.y.ticks {
            let y = self.y_at(tick.at);
            let length = if tick.label.is_empty() { 3.0 } else { 0.0 };
            canvas.line(&[(left - length, y), (left, y)], line);
            canvas.text((left - 6.0, y), Align::Right, TICK, Colour::GREY, &tick.label);
        }
        let widest = self.y.ticks.iter().map(|tick| TICK.width(&tick.label)).fold(0.0, f64::max);
        let at = (left - widest - 8.0 - 12.0, self.rect.centre().1);
        let name = LABEL.shorten(&options.y_label, self.rect.height + 30.0);
        canvas.text_up(at, Align::Centre, LABEL, Colour::INK, &name);
    }

    /// The labels of a horizontal axis of numbers.
    pub fn draw_x(&self, canvas: &mut Canvas) {
        let bottom = self.rect.bottom();
        let line = Stroke::solid(Colour::AXIS, 1.0);
        let mut free_from = f64::NEG_INFINITY;
        for tick in &self.x.ticks {
            let x = self.x_at(tick.at);
            let length = if tick.label.is_empty() { 3.0 } else { 5.0 };
            canvas.line(&[(x, bottom), (x, bottom + length)], line);
            let half = TICK.width(&tick.label) / 2.0;
            if x - half > free_from && !tick.label.is_empty() {
                canvas.text((x, bottom + 14.0), Align::Centre, TICK, Colour::GREY, &tick.label);
                free_from = x + half + 4.0;
            }
        }
    }

    /// The name of the horizontal axis, `below` pixels under the data.
    pub fn draw_x_name(&self, canvas: &mut Canvas, options: &Options, below: f64) {
        let name = LABEL.shorten(&options.x_label, self.rect.width + 40.0);
        let at = (self.rect.centre().0, self.rect.bottom() + below + 12.0);
        canvas.text(at, Align::Centre, LABEL, Colour::INK, &name);
    }

    /// Reference lines across the data.
    pub fn draw_references(&self, canvas: &mut Canvas, options: &Options, styles: &[Style]) {
        for ((_, value), style) in options.levels.iter().zip(styles) {
            let y = self.y_at(*value);
            if y >= self.rect.top - 0.5 && y <= self.rect.bottom() + 0.5 {
                let stroke = Stroke { colour: style.colour, width: 1.5, dash: style.dash };
                canvas.line(&[(self.rect.left, y), (self.rect.right(), y)], stroke);
            }
        }
        for (name, value) in &options.marks {
            let x = self.x_at(*value);
            if x >= self.rect.left - 0.5 && x <= self.rect.right() + 0.5 {
                let stroke = Stroke { colour: Colour::GREY, width: 1.2, dash: Dash::Dashed };
                canvas.line(&[(x, self.rect.top), (x, self.rect.bottom())], stroke);
                let half = TICK.width(name) / 2.0;
                let centre = x.min(self.rect.right() - half).max(self.rect.left + half);
                canvas.text((centre, self.rect.top - 9.0), Align::Centre, TICK, Colour::GREY, name);
            }
        }
    }
}

/// The least and greatest of `values`, or 0 and 1 without any.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// Whether `value` can be drawn on an axis of this kind.
pub(super) fn drawable(value: f64, log: bool) -> bool {
    value.is_finite() && (!log || value > 0.0)
}

/// "3 points left out: not finite", with the reason that fits a log axis.
pub(super) fn left_out(what: &str, not_finite: usize, not_positive: usize) -> Vec<String> {
    let say = |count: usize, why: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {what}{plural} left out: {why}"))
    };
    [say(not_finite, "not finite"), say(not_positive, "0 or negative on a log axis")]
        .into_iter()
        .flatten()
        .collect()
}

/// The vertical axis for values between `low` and `high`, with some air.
pub(super) fn y_axis(options: &Options, low: f64, high: f64, height: f64, whole: bool) -> Axis {
    let wanted = height / 54.0;
    let (low, high) = options.y_range.unwrap_or((low, high));
    if options.log_y {
        let (low, high) =
            if low > 0.0 { (low, high) } else { (high.abs().max(1e-300) / 1e3, high.abs().max(1e-297)) };
        let air =
            if options.y_range.is_some() { 1.0 } else { 10f64.powf(0.04 * (high.log10() - low.log10())) };
        return Axis::log(low / air, high * air, height / 32.0);
    }
    let air = if options.y_range.is_some() { 0.0 } else { 0.05 * (high - low) };
    let bottom = if low >= 0.0 { (low - air).max(0.0) } else { low - air };
    Axis::linear(bottom, high + air, wanted, whole)
}

/// The widest label that [`legend`] puts beside the data, for names of levels with their values.
pub(super) fn level_names(options: &Options) -> Vec<String> {
    let name = |(name, value): &(String, f64)| match name.is_empty() {
        true => short(*value),
        false => format!("{name} {}", short(*value)),
    };
    options.levels.iter().map(name).collect()
}

/// Where the names of series go.
pub(super) fn names_fit_beside(names: &[&str], body: &Rect) -> bool {
    let widest = names.iter().map(|name| legend::FONT.width(name)).fold(0.0, f64::max);
    widest <= 0.28 * body.width && names.len() as f64 * 17.0 <= 0.75 * body.height
=======
/// "3 points left out: not finite", if there are any.
pub(super) fn count_note(count: usize, what: &str, why: &str) -> Option<String> {
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| format!("{count} {what}{plural}{why}"))
>>>>>>> 2bfa146
}
