//! Heatmaps: a matrix as coloured cells, with row and column names, marks and numbers.

use super::axis::alike;
use super::canvas::{Align, Canvas, Stroke};
use super::colormap::{ColourScale, Hue};
use super::font::visible;
use super::frame::{self, LABEL, Options, TICK};
use super::geometry::Rect;
use super::legend::{self, Entry, Swatch};
use super::number::{Number, collect};
use super::palette::{Colour, Dash, Style};
use super::{Figure, Kind};

#[derive(Clone, Debug)]
pub(super) struct Heatmap {
    cells: Vec<Vec<f64>>,
    rows: Vec<String>,
    columns: Vec<String>,
    marked: Option<(String, Vec<(usize, usize)>)>,
    numbers: bool,
    pub scale_label: String,
    pub range: Option<(f64, f64)>,
}

/// The side of a cell where there is room, in CSS pixels.
const CELL: f64 = 44.0;
/// The colour bar with its gap and numbers.
const BAR: f64 = 66.0;

impl Figure {
    /// A heatmap of a matrix, given as rows of equal length; row 0 is at the top.
    ///
    /// Colours run from white to blue, or from blue over white to orange where a value is negative.
    /// `x_label` names the columns, `y_label` the rows.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let weights = [[0.9, 0.1, 0.0], [0.1, 0.2, 0.7], [0.0, 0.8, 0.2]];
    /// let figure = Figure::heatmap("French puts the adjective last", weights)
    ///     .rows(["le", "chat", "noir"])
    ///     .columns(["the", "black", "cat"])
    ///     .mark_cells("gold alignment", [(0, 0), (1, 2), (2, 1)])
    ///     .scale_label("attention weight")
    ///     .numbers();
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn heatmap<R>(title: impl Into<String>, rows: impl IntoIterator<Item = R>) -> Self
    where
        R: IntoIterator<Item: Number>,
    {
        let cells: Vec<Vec<f64>> = rows.into_iter().map(collect).collect();
        let width = cells.first().map_or(0, Vec::len);
        let uneven = cells.iter().position(|row| row.len() != width);
        let map = Heatmap {
            cells,
            rows: Vec::new(),
            columns: Vec::new(),
            marked: None,
            numbers: false,
            scale_label: String::new(),
            range: None,
        };
        let mut figure = Self::new(title, Kind::Heatmap(map));
        if let Some(row) = uneven {
            figure.note_mistake(format!("row {row} of the heatmap is not as long as row 0 ({width} values)"));
        }
        figure
    }

    /// Names the rows of a heatmap, e.g. by tokens: as many as rows.
    pub fn rows(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names: Vec<String> = names.into_iter().map(|name| visible(name.as_ref())).collect();
        let Kind::Heatmap(map) = &mut self.kind else {
            self.misplaced("rows", "Figure::heatmap");
            return self;
        };
        let (count, named) = (map.cells.len(), names.len());
        map.rows = names;
        self.same_length("heatmap", ("rows", count), ("row names", named));
        self
    }

    /// Names the columns of a heatmap: as many as columns.
    pub fn columns(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names: Vec<String> = names.into_iter().map(|name| visible(name.as_ref())).collect();
        let Kind::Heatmap(map) = &mut self.kind else {
            self.misplaced("columns", "Figure::heatmap");
            return self;
        };
        let (count, named) = (map.width(), names.len());
        map.columns = names;
        self.same_length("heatmap", ("columns", count), ("column names", named));
        self
    }

    /// Outlines cells `(row, column)` in gold; `name` says what they are.
    pub fn mark_cells(
        mut self,
        name: impl Into<String>,
        cells: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let Kind::Heatmap(map) = &mut self.kind else {
            self.misplaced("mark_cells", "Figure::heatmap");
            return self;
        };
        let (rows, columns) = (map.cells.len(), map.width());
        let cells: Vec<_> = cells.into_iter().collect();
        let outside = cells.iter().copied().find(|(row, column)| *row >= rows || *column >= columns);
        map.marked = Some((name.into(), cells));
        if let Some((row, column)) = outside {
            self.note_mistake(format!(
                "the cell ({row}, {column}) is outside the heatmap of {rows} × {columns}: give (row, column), from 0"
            ));
        }
        self
    }

    /// Writes the values into the cells of a heatmap, where they fit.
    pub fn numbers(mut self) -> Self {
        match &mut self.kind {
            Kind::Heatmap(map) => map.numbers = true,
            _ => self.misplaced("numbers", "Figure::heatmap"),
        }
        self
    }

    /// Names the colour scale of a heatmap or coloured text, with its unit.
    pub fn scale_label(mut self, label: impl Into<String>) -> Self {
        match &mut self.kind {
            Kind::Heatmap(map) => map.scale_label = label.into(),
            Kind::HeatText(text) => text.scale_label = label.into(),
            _ => self.misplaced("scale_label", "Figure::heatmap"),
        }
        self
    }

    /// The values at the two ends of the colour scale; by default from the data.
    pub fn scale_range(mut self, low: impl Number, high: impl Number) -> Self {
        let range = self.checked_range(low.number(), high.number());
        match &mut self.kind {
            Kind::Heatmap(map) => map.range = range,
            Kind::HeatText(text) => text.range = range,
            _ => self.misplaced("scale_range", "Figure::heatmap"),
        }
        self
    }
}

/// Where the parts of a heatmap lie.
struct Layout {
    map: Rect,
    /// The sides of a cell.
    cell: (f64, f64),
    /// Whether column names read upwards.
    upright: bool,
    bar: Rect,
}

impl Heatmap {
    fn width(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    /// The height that the whole figure needs at this width, in CSS pixels.
    pub fn height(&self, figure: &Figure, width: u32) -> u32 {
        let outside = frame::title_height(figure, width.into()) + frame::notes_height(figure, width.into());
        let body = Rect::new(0.0, 0.0, f64::from(width) - 2.0 * frame::MARGIN, 640.0);
        let layout = self.lay_out(&figure.options, body);
        (layout.map.bottom() + outside + 2.0 * frame::MARGIN + 4.0).ceil().max(140.0) as u32
    }

    fn lay_out(&self, options: &Options, body: Rect) -> Layout {
        let (rows, columns) = (self.cells.len().max(1) as f64, self.width().max(1) as f64);
        let square = rows <= 40.0 && columns <= 40.0;
        let widest = |names: &[String], count: f64| match names {
            [] => TICK.width(&format!("{count}")),
            names => names.iter().map(|name| TICK.width(name)).fold(0.0, f64::max),
        };
        let name = |label: &str| if label.is_empty() { 0.0 } else { 20.0 };
        let left = widest(&self.rows, rows).min(0.3 * body.width) + 8.0 + name(&options.y_label);
        let right = BAR + name(&self.scale_label);
        let mut cell =
            ((body.width - left - right).max(20.0) / columns).min(if square { CELL } else { f64::MAX });
        let column_name = widest(&self.columns, columns);
        let mut top = 0.0;
        let mut height = 0.0;
        let mut upright = false;
        // A cell that shrinks to fit the height can turn its names upright, which takes height again.
        for _ in 0..3 {
            upright = !self.columns.is_empty() && column_name > cell - 4.0;
            let names = if upright { column_name.min(0.3 * body.height) } else { 16.0 };
            top = names + 6.0 + name(&options.x_label) + self.legend_height(body.width);
            let room = (body.height - top - 4.0).max(20.0) / rows;
            height = if square { room.min(cell) } else { room.min(300.0_f64.max(3.0 * rows) / rows) };
            cell = if square { height } else { cell };
        }
        let used = left + cell * columns + right;
        let start = body.left + ((body.width - used) / 2.0).max(0.0);
        let map = Rect::new(start + left, body.top + top, cell * columns, height * rows);
        let bar = Rect::new(map.right() + 16.0, map.top, 13.0, map.height.min(260.0));
        Layout { map, cell: (cell, height), upright, bar }
    }

    fn legend(&self) -> Vec<Entry> {
        let style = Style { colour: Colour::GOLD, full: Colour::GOLD, dash: Dash::Solid, width: 2.5 };
        let entry = |(name, _): &(String, _)| Entry { name: name.clone(), style, swatch: Swatch::Frame };
        self.marked.iter().map(entry).filter(|entry| !entry.name.is_empty()).collect()
    }

    fn legend_height(&self, width: f64) -> f64 {
        legend::height(&self.legend(), width)
    }

    pub fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        let layout = self.lay_out(options, body);
        let finite = self.cells.iter().flatten().copied().filter(|v| v.is_finite());
        let scale = ColourScale::of(finite, self.range, Hue::Blue);
        legend::draw(canvas, &self.legend(), &body);
        self.draw_cells(canvas, &layout, &scale);
        self.draw_names(canvas, &layout, options, &body);
        draw_bar(canvas, &layout.bar, &scale, &self.scale_label);
    }

    fn draw_cells(&self, canvas: &mut Canvas, layout: &Layout, scale: &ColourScale) {
        // Cells that end at whole pixels of the image leave no seams.
        let snap = |edge: f64| (2.0 * edge).round() / 2.0;
        let (width, height) = layout.cell;
        let place = |row: usize, column: usize| {
            let (left, top) = (layout.map.left + column as f64 * width, layout.map.top + row as f64 * height);
            let (left, right) = (snap(left), snap(left + width));
            Rect::new(left, snap(top), right - left, snap(top + height) - snap(top))
        };
        let texts = self.number_texts(layout);
        for (row, values) in self.cells.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let (cell, colour) = (place(row, column), scale.colour(*value));
                canvas.fill(&cell, colour, 1.0);
                if let Some(text) = &texts.get(row * self.width() + column) {
                    canvas.text(cell.centre(), Align::Centre, TICK, colour.text_on(), text);
                }
            }
        }
        canvas.outline(&layout.map, Stroke::solid(Colour::AXIS, 1.0));
        for (row, column) in self.marked.iter().flat_map(|(_, cells)| cells) {
            let inner = place(*row, *column).shrink(1.25, 1.25, 1.25, 1.25);
            canvas.outline(&inner, Stroke::solid(Colour::GOLD, 2.5));
        }
    }

    /// The numbers in the cells with two decimals or one, none where they do not fit.
    fn number_texts(&self, layout: &Layout) -> Vec<String> {
        let values: Vec<f64> = self.cells.iter().flatten().copied().collect();
        let fits = |texts: &Vec<String>| texts.iter().all(|text| TICK.width(text) <= layout.cell.0 - 5.0);
        let tried = [2, 1].map(|decimals| alike(&values, decimals));
        let shown = self.numbers && layout.cell.1 >= 15.0;
        tried.into_iter().find(fits).filter(|_| shown).unwrap_or_default()
    }

    fn draw_names(&self, canvas: &mut Canvas, layout: &Layout, options: &Options, body: &Rect) {
        let (map, (width, height)) = (&layout.map, layout.cell);
        let name = |names: &[String], index: usize| names.get(index).cloned().unwrap_or(index.to_string());
        let room = 0.3 * body.width;
        for row in (0..self.cells.len()).step_by(every(15.0 / height)) {
            let y = map.top + (row as f64 + 0.5) * height;
            let text = TICK.shorten(&name(&self.rows, row), room);
            canvas.text((map.left - 6.0, y), Align::Right, TICK, Colour::INK, &text);
        }
        let column_width = if layout.upright { 15.0 } else { TICK.width(&self.width().to_string()) + 8.0 };
        let step = if self.columns.is_empty() || layout.upright { every(column_width / width) } else { 1 };
        for column in (0..self.width()).step_by(step) {
            let x = map.left + (column as f64 + 0.5) * width;
            let text = name(&self.columns, column);
            if layout.upright {
                let text = TICK.shorten(&text, 0.3 * body.height);
                canvas.text_up((x, map.top - 5.0), Align::Left, TICK, Colour::INK, &text);
            } else {
                canvas.text((x, map.top - 11.0), Align::Centre, TICK, Colour::INK, &text);
            }
        }
        let top = body.top + self.legend_height(body.width);
        let x_name = LABEL.shorten(&options.x_label, map.width.max(200.0));
        canvas.text((map.centre().0, top + 8.0), Align::Centre, LABEL, Colour::GREY, &x_name);
        let widest = (0..self.cells.len()).map(|row| TICK.width(&name(&self.rows, row))).fold(0.0, f64::max);
        let at = (map.left - 8.0 - widest.min(room) - 10.0, map.centre().1);
        let y_name = LABEL.shorten(&options.y_label, map.height.max(80.0));
        canvas.text_up(at, Align::Centre, LABEL, Colour::GREY, &y_name);
    }

    pub fn notes(&self) -> Vec<String> {
        let bad = self.cells.iter().flatten().filter(|v| !v.is_finite()).count();
        let mut notes = Vec::new();
        if bad > 0 {
            notes.push(format!("{bad} grey cell{}: not finite", if bad == 1 { "" } else { "s" }));
        }
        if self.width() == 0 {
            notes.push("no data".to_owned());
        }
        notes
    }
}

/// Every how many-th name is shown, where each needs `share` cells: 1, 2, 4, 8, 16 …
fn every(share: f64) -> usize {
    let mut step = 1;
    while (step as f64) < share && step < 4096 {
        step *= 2;
    }
    step
}

/// The colour bar, from low at the bottom to high at the top, with numbers and name to its right.
fn draw_bar(canvas: &mut Canvas, bar: &Rect, scale: &ColourScale, name: &str) {
    let steps = 64;
    let step = bar.height / f64::from(steps);
    for index in 0..steps {
        let value = scale.high - (f64::from(index) + 0.5) / f64::from(steps) * (scale.high - scale.low);
        let band = Rect::new(bar.left, bar.top + f64::from(index) * step, bar.width, step + 0.3);
        canvas.fill(&band, scale.colour(value), 1.0);
    }
    canvas.outline(bar, Stroke::solid(Colour::AXIS, 1.0));
    let marks: &[f64] = if bar.height >= 60.0 { &[0.0, 0.5, 1.0] } else { &[0.0, 1.0] };
    let values: Vec<f64> = marks.iter().map(|share| scale.low + share * (scale.high - scale.low)).collect();
    for ((share, value), text) in marks.iter().zip(&values).zip(alike(&values, 2)) {
        let text = if *value == 0.0 { "0" } else { &text };
        let y = (bar.bottom() - share * bar.height).clamp(bar.top + 5.0, bar.bottom() - 5.0);
        canvas.text((bar.right() + 5.0, y), Align::Left, TICK, Colour::GREY, text);
    }
    let at = (bar.right() + 48.0, bar.centre().1);
    canvas.text_up(at, Align::Centre, LABEL, Colour::GREY, &LABEL.shorten(name, bar.height.max(80.0)));
}
