//! Figures for notebooks: charts, heatmaps, coloured text, timelines, diagrams.
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

mod axes;
mod axis;
mod bars;
mod canvas;
mod chart;
mod colormap;
mod diagram;
mod font;
mod frame;
mod geometry;
mod heat_text;
mod heatmap;
mod histogram;
mod layout;
mod learning;
mod legend;
mod lines;
mod number;
mod output;
mod palette;
mod png;
mod power;
mod scatter;
mod series;
mod timeline;

pub use layout::{grid, row};
pub use learning::Unit;
pub use number::Number;
pub use palette::family_colour;
pub use power::{PowerLaw, power_law};

use axes::Options;
use canvas::Canvas;
use colormap::ScaleOptions;
use geometry::Rect;

/// One picture: a chart, or several side by side.
///
/// Each constructor starts a kind ([`lines`](Figure::lines), [`learning_curve`](Figure::learning_curve),
/// [`scatter`](Figure::scatter), [`bars`](Figure::bars), [`histogram`](Figure::histogram),
/// [`heatmap`](Figure::heatmap), [`heat_text`](Figure::heat_text), [`ribbons`](Figure::ribbons),
/// [`timeline`](Figure::timeline), [`diagram`](Figure::diagram)); the other methods add to it and return it.
/// Mistakes, such as `x` and `y` of different lengths, are kept and reported by [`png`](Figure::png),
/// [`save`](Figure::save) and the display. Values that are not finite are left out, and a note under the
/// figure counts them.
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
    Chart(chart::Chart),
    Histogram(histogram::Histogram),
    Heatmap(heatmap::Heatmap),
    HeatText(heat_text::HeatText),
    Timeline(timeline::Timeline),
    Diagram(diagram::Diagram),
    Grid(layout::Grid),
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
            let mistake =
                format!("a figure of {width} × {height} pixels: width and height go from 150 to 4000");
            self.note_mistake(mistake);
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

    /// Names the colour scale of a heatmap or coloured text, with its unit.
    pub fn scale_label(mut self, label: impl Into<String>) -> Self {
        let Some(scale) = self.scale() else { return self.misplaced("scale_label", "Figure::heatmap") };
        scale.label = label.into();
        self
    }

    /// The values at the two ends of the colour scale; by default from the data.
    pub fn scale_range(mut self, low: impl Number, high: impl Number) -> Self {
        let range = self.checked_range(low.number(), high.number());
        let Some(scale) = self.scale() else { return self.misplaced("scale_range", "Figure::heatmap") };
        scale.range = range;
        self
    }

    fn scale(&mut self) -> Option<&mut ScaleOptions> {
        match &mut self.kind {
            Kind::Heatmap(map) => Some(&mut map.scale),
            Kind::HeatText(text) => Some(&mut text.scale),
            _ => None,
        }
    }

    fn checked_range(&mut self, low: f64, high: f64) -> Option<(f64, f64)> {
        let fits = low.is_finite() && high.is_finite() && low < high;
        if !fits {
            let mistake = format!("a range from {low} to {high}: give two numbers, the smaller one first");
            self.note_mistake(mistake);
        }
        fits.then_some((low, high))
    }

    /// Keeps the first mistake, which [`Figure::png`] reports.
    fn note_mistake(&mut self, mistake: impl Into<String>) {
        self.mistake.get_or_insert(mistake.into());
    }

    fn misplaced(mut self, method: &str, wanted: &str) -> Self {
        self.note_mistake(format!("`{method}` does not go with this kind of figure: begin with `{wanted}`"));
        self
    }

    fn same_length(&mut self, name: &str, left: (&str, usize), right: (&str, usize)) {
        if left.1 != right.1 {
            self.note_mistake(format!(
                "\"{name}\" has {} {} but {} {}: give as many of one as of the other",
                left.1, left.0, right.1, right.0
            ));
        }
    }

    /// What was left out, for the note under the figure.
    fn notes(&self) -> Vec<String> {
        let mut notes = match &self.kind {
            Kind::Chart(chart) => chart.notes(&self.options),
            Kind::Histogram(chart) => chart.notes(),
            Kind::Heatmap(map) => map.notes(),
            Kind::HeatText(text) => text.notes(),
            Kind::Timeline(line) => line.notes(),
            Kind::Diagram(diagram) => diagram.notes(),
            Kind::Grid(_) => Vec::new(),
        };
        notes.extend(self.options.drawable().1);
        notes
    }

    /// Where panels have no size of their own, `panel` is the width that the row gives them.
    fn measured(&self, panel: Option<u32>) -> (u32, u32) {
        if let Some(size) = self.size {
            return size;
        }
        let width = panel.unwrap_or(WIDTH);
        let room = f64::from(width) - 2.0 * frame::MARGIN;
        let body = match &self.kind {
            Kind::Grid(grid) => return grid.measured(self),
            Kind::Heatmap(map) => map.height(&self.options, room),
            Kind::HeatText(text) => text.height(room),
            Kind::Timeline(line) => line.height(room),
            Kind::Diagram(diagram) => diagram.height(),
            _ if panel.is_some() => return (width, (width * 9 / 10).clamp(290, HEIGHT)),
            _ => return (width, HEIGHT),
        };
        (width, frame::whole_height(self, width, body))
    }

    fn draw(&self, canvas: &mut Canvas, area: Rect, title_height: f64) {
        let body = frame::surround(canvas, self, area, title_height);
        let (options, _) = self.options.drawable();
        match &self.kind {
            Kind::Chart(chart) => chart.draw(canvas, &options, body),
            Kind::Histogram(samples) => samples.chart(&options).draw(canvas, &options, body),
            Kind::Heatmap(map) => map.draw(canvas, &options, body),
            Kind::HeatText(text) => text.draw(canvas, body),
            Kind::Timeline(line) => line.draw(canvas, body),
            Kind::Diagram(diagram) => diagram.draw(canvas, body),
            Kind::Grid(grid) => grid.draw(canvas, body),
        }
    }
}
