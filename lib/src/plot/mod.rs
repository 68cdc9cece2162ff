//! Figures for notebooks: line charts, bars, heatmaps, coloured text, scatter plots, histograms.
//!
//! [`Figure::show`] puts a figure under its cell as one PNG image; [`row`] and [`grid`] join several.
//! The title says what the reader should see, the axes name their units, and a family of models has
//! the same colour in every figure ([`family_colour`]).
//!
//! ```
//! use llm_course::plot::{self, Figure};
//!
//! let steps = [0, 100, 200, 300];
//! let curves = Figure::lines("The RNN comes within 0.5 bits of the floor")
//!     .x_label("training step")
//!     .y_label("bits per character")
//!     .line("RNN train", steps, [4.7, 2.1, 1.6, 1.4])
//!     .line("RNN validation", steps, [4.7, 2.2, 1.7, 1.5])
//!     .level("entropy floor", 0.93);
//! let seconds = Figure::bars("The LSTM takes twice the time", ["RNN", "LSTM"]).bar("seconds", [3.1, 6.4]);
//! let both = plot::row([curves, seconds]);
//! assert!(both.png()?.starts_with(b"\x89PNG"));
//! # Ok::<(), llm_course::Error>(())
//! ```
//!
//! plotters writes the SVG and resvg draws it at twice the size with the DejaVu fonts, so a figure
//! looks the same on every machine.

mod axis;
mod bars;
mod canvas;
mod colormap;
mod font;
mod frame;
mod geometry;
mod heat_text;
mod heatmap;
mod histogram;
mod layout;
mod legend;
mod lines;
mod number;
mod output;
mod palette;
mod png;
mod scatter;

pub use layout::{grid, row};
pub use number::Number;
pub use palette::family_colour;

use canvas::Canvas;
use frame::Options;
use geometry::Rect;

/// One picture: a chart, or several side by side.
///
/// Each constructor starts a kind ([`lines`](Figure::lines), [`bars`](Figure::bars), [`heatmap`](Figure::heatmap),
/// [`heat_text`](Figure::heat_text), [`scatter`](Figure::scatter), [`histogram`](Figure::histogram)); the other
/// methods add to it and return it. Mistakes, such as `x` and `y` of different lengths, are kept and
/// reported by [`png`](Figure::png), [`save`](Figure::save) and the display. Values that are not
/// finite are left out, and a note under the figure counts them.
#[derive(Clone, Debug)]
pub struct Figure {
    title: String,
    size: Option<(u32, u32)>,
    options: Options,
    kind: Kind,
    mistake: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Lines(lines::LineChart),
    Bars(bars::BarChart),
    Heatmap(heatmap::Heatmap),
    HeatText(heat_text::HeatText),
    Histogram(histogram::Histogram),
    Grid(layout::Grid),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Lines(_) => "a line or scatter chart",
            Self::Bars(_) => "a bar chart",
            Self::Heatmap(_) => "a heatmap",
            Self::HeatText(_) => "a coloured text",
            Self::Histogram(_) => "a histogram",
            Self::Grid(_) => "a row or grid of figures",
        }
    }

    fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        match self {
            Self::Lines(chart) => chart.draw(canvas, options, body),
            Self::Bars(chart) => chart.draw(canvas, options, body),
            Self::Heatmap(map) => map.draw(canvas, options, body),
            Self::HeatText(text) => text.draw(canvas, options, body),
            Self::Histogram(chart) => chart.draw(canvas, options, body),
            Self::Grid(grid) => grid.draw(canvas, body),
        }
    }

    /// What was left out, for the note under the figure.
    fn notes(&self, options: &Options) -> Vec<String> {
        match self {
            Self::Lines(chart) => chart.notes(options),
            Self::Bars(chart) => chart.notes(options),
            Self::Heatmap(map) => map.notes(),
            Self::HeatText(text) => text.notes(),
            Self::Histogram(chart) => chart.notes(),
            Self::Grid(_) => Vec::new(),
        }
    }
}

/// The width of a figure on its own, in CSS pixels.
const WIDTH: u32 = 760;
/// The height of a chart on its own, in CSS pixels.
const HEIGHT: u32 = 420;

impl Figure {
    fn new(title: impl Into<String>, kind: Kind) -> Self {
        Self { title: title.into(), size: None, options: Options::default(), kind, mistake: None }
    }

    /// Replaces the title: one sentence that says what the figure shows.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Names the horizontal axis, with its unit.
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.options.x_label = label.into();
        self
    }

    /// Names the vertical axis, with its unit.
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.options.y_label = label.into();
        self
    }

    /// Width and height in CSS pixels, from 150 to 4000; the PNG has twice as many in each direction.
    ///
    /// The default is 760 × 420 for a chart alone, less for the panels of a row; a heatmap and a
    /// coloured text take the height that they need.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        if ![width, height].iter().all(|side| (150..=4000).contains(side)) {
            self.note_mistake(format!(
                "a figure of {width} × {height} pixels: width and height go from 150 to 4000"
            ));
        }
        self.size = Some((width.clamp(150, 4000), height.clamp(150, 4000)));
        self
    }

    /// Draws the horizontal axis logarithmically.
    pub fn log_x(mut self) -> Self {
        self.options.log_x = true;
        self
    }

    /// Draws the vertical axis logarithmically.
    pub fn log_y(mut self) -> Self {
        self.options.log_y = true;
        self
    }

    /// Shows the values from `low` to `high` on the horizontal axis.
    pub fn x_range(mut self, low: impl Number, high: impl Number) -> Self {
        self.options.x_range = self.checked_range(low.number(), high.number());
        self
    }

    /// Shows the values from `low` to `high` on the vertical axis.
    pub fn y_range(mut self, low: impl Number, high: impl Number) -> Self {
        self.options.y_range = self.checked_range(low.number(), high.number());
        self
    }

    /// A labelled horizontal line, for charts with a vertical axis of values: a floor, chance, a baseline.
    pub fn level(mut self, name: impl Into<String>, value: impl Number) -> Self {
        self.options.levels.push((name.into(), value.number()));
        self
    }

    /// The entropy floor of a text as a [`level`](Figure::level), where it is known.
    pub fn floor(self, floor: Option<f64>) -> Self {
        match floor {
            Some(floor) => self.level("entropy floor", floor),
            None => self,
        }
    }

    /// A labelled vertical line, for charts with a horizontal axis of values: the length seen in training.
    pub fn mark_x(mut self, name: impl Into<String>, value: impl Number) -> Self {
        self.options.marks.push((name.into(), value.number()));
        self
    }

    fn checked_range(&mut self, low: f64, high: f64) -> Option<(f64, f64)> {
        let fits = low.is_finite() && high.is_finite() && low < high;
        if !fits {
            self.note_mistake(format!(
                "a range from {low} to {high}: give two numbers, the smaller one first"
            ));
        }
        fits.then_some((low, high))
    }

    /// Keeps the first mistake, which [`Figure::png`] reports.
    fn note_mistake(&mut self, mistake: impl Into<String>) {
        self.mistake.get_or_insert(mistake.into());
    }

    fn misplaced(&mut self, method: &str, wanted: &str) {
        self.note_mistake(format!("`{method}` does not go with {}: begin with `{wanted}`", self.kind.name()));
    }

    fn same_length(&mut self, name: &str, left: (&str, usize), right: (&str, usize)) {
        if left.1 != right.1 {
            self.note_mistake(format!(
                "\"{name}\" has {} {} but {} {}: give as many of one as of the other",
                left.1, left.0, right.1, right.0
            ));
        }
    }

    /// Where panels have no size of their own, `panel` is the width that the row gives them.
    fn measured(&self, panel: Option<u32>) -> (u32, u32) {
        if let Some(size) = self.size {
            return size;
        }
        let width = panel.unwrap_or(WIDTH);
        let height = match &self.kind {
            Kind::Grid(grid) => return grid.measured(self),
            Kind::Heatmap(map) => map.height(self, width),
            Kind::HeatText(text) => text.height(self, width),
            _ if panel.is_some() => (width * 9 / 10).clamp(290, HEIGHT),
            _ => HEIGHT,
        };
        (width, height)
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, title_height: f64) {
        let body = frame::surround(canvas, self, area, title_height);
        self.kind.draw(canvas, &self.options.drawable(), body);
    }
}
