//! The two axes of a chart: where values lie, grid, labels, reference lines.

use super::axis::{Axis, short};
use super::canvas::{Align, Canvas};
use super::font::TEXT;
use super::geometry::{Point, Rect};
use super::palette::{Colour, Stroke, level_style};

/// What the author of a figure said about its axes; all kinds share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub x_label: String,
    pub y_label: String,
    pub log_x: bool,
    pub log_y: bool,
    pub x_range: Option<(f64, f64)>,
    pub y_range: Option<(f64, f64)>,
    pub levels: Vec<(String, f64)>,
    pub marks: Vec<(String, f64)>,
}

impl Options {
    /// The same without reference lines that cannot be drawn, and a note on each of those.
    pub fn drawable(&self) -> (Self, Vec<String>) {
        let mut options = self.clone();
        let levels = options.levels.extract_if(.., |(_, at)| !drawable(*at, self.log_y));
        let marks = options.marks.extract_if(.., |(_, at)| !drawable(*at, self.log_x));
        let note = |(name, at): (String, f64)| format!("\"{name}\" at {} left out", short(at));
        let notes = levels.chain(marks).map(note).collect();
        (options, notes)
    }
}

/// Whether `value` can be drawn on an axis of this kind.
pub(super) fn drawable(value: f64, log: bool) -> bool {
    value.is_finite() && (!log || value > 0.0)
}

/// The rectangle of the data and its two axes.
pub(super) struct Axes {
    pub rect: Rect,
    pub x: Axis,
    pub y: Axis,
}

impl Axes {
    /// Finds room for tick labels and axis names; `right` is kept free beside the data, and `y` makes the
    /// vertical axis for a height.
    pub fn lay_out(options: &Options, body: Rect, right: f64, x: Axis, y: impl Fn(f64) -> Axis) -> Self {
        let name = |label: &str| if label.is_empty() { 0.0 } else { 22.0 };
        let top = if options.marks.is_empty() { 4.0 } else { TEXT.line_height() + 4.0 };
        let below = x.label_height() + 7.0 + name(&options.x_label);
        let y = y((body.height - top - below).max(20.0));
        let left = (name(&options.y_label) + y.label_width() + 8.0).min(body.width / 2.0);
        let width = (body.width - left - right).max(20.0);
        let rect = Rect::new(body.left + left, body.top + top, width, (body.height - top - below).max(20.0));
        Self { rect, x, y }
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

    fn across(&self, y: f64) -> [Point; 2] {
        [(self.rect.left, y), (self.rect.right(), y)]
    }

    fn up(&self, x: f64) -> [Point; 2] {
        [(x, self.rect.bottom()), (x, self.rect.top)]
    }

    /// Grid lines, to go under the data.
    pub fn draw_grid(&self, canvas: &mut Canvas) {
        let grid = Stroke::solid(Colour::GRID, 1.0);
        for tick in self.y.ticks.iter().filter(|tick| !tick.label.is_empty()) {
            canvas.line(&self.across(self.y_at(tick.at)), grid);
        }
        for tick in self.x.ticks.iter().filter(|tick| !tick.label.is_empty() && !self.x.names) {
            canvas.line(&self.up(self.x_at(tick.at)), grid);
        }
    }

    /// Axis lines, ticks, their labels and the names of the axes, to go over the data.
    pub fn draw(&self, canvas: &mut Canvas, options: &Options) {
        let (left, right, bottom) = (self.rect.left, self.rect.right(), self.rect.bottom());
        let line = Stroke::solid(Colour::AXIS, 1.0);
        canvas.line(&[(left, self.rect.top), (left, bottom), (right, bottom)], line);
        for tick in &self.y.ticks {
            let y = self.y_at(tick.at);
            match tick.label.first() {
                Some(label) => canvas.text((left - 6.0, y), Align::Right, TEXT, Colour::GREY, label),
                None => canvas.line(&[(left - 3.0, y), (left, y)], line),
            }
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in &self.x.ticks {
            let x = self.x_at(tick.at);
            let half = tick.label.iter().map(|text| TEXT.width(text)).fold(0.0, f64::max) / 2.0;
            if !self.x.names {
                let length = if tick.label.is_empty() { 3.0 } else { 5.0 };
                canvas.line(&[(x, bottom), (x, bottom + length)], line);
            }
            if !tick.label.is_empty() && x - half > free_from {
                let colour = if self.x.names { Colour::INK } else { Colour::GREY };
                for (row, text) in tick.label.iter().enumerate() {
                    let y = bottom + 14.0 + row as f64 * TEXT.line_height();
                    canvas.text((x, y), Align::Centre, TEXT, colour, text);
                }
                free_from = x + half + 4.0;
            }
        }
        let at = (self.rect.centre().0, bottom + self.x.label_height() + 18.0);
        let name = TEXT.shorten(&options.x_label, self.rect.width + 40.0);
        canvas.text(at, Align::Centre, TEXT, Colour::INK, &name);
        let at = (left - self.y.label_width() - 20.0, self.rect.centre().1);
        let name = TEXT.shorten(&options.y_label, self.rect.height + 30.0);
        canvas.text_up(at, Align::Centre, TEXT, Colour::INK, &name);
    }

    /// Reference lines across the data.
    pub fn draw_references(&self, canvas: &mut Canvas, options: &Options) {
        for (name, value) in &options.levels {
            let line = self.across(self.y_at(*value));
            if self.rect.contains(line[0]) {
                if self.x.names {
                    // White under the line keeps it visible on bars.
                    canvas.line(&line, Stroke::solid(Colour::WHITE, 3.5));
                }
                canvas.line(&line, level_style(name).stroke);
            }
        }
        for (name, value) in &options.marks {
            let line = self.up(self.x_at(*value));
            if self.rect.contains(line[0]) {
                canvas.line(&line, Stroke::dashed(Colour::GREY, 1.2));
                let half = TEXT.width(name) / 2.0;
                let centre = line[0].0.min(self.rect.right() - half).max(self.rect.left + half);
                canvas.text((centre, self.rect.top - 9.0), Align::Centre, TEXT, Colour::GREY, name);
            }
        }
    }
}
