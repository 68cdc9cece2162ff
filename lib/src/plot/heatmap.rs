//! Heatmaps: a matrix as coloured cells, with row and column names, marks and numbers.

use super::axes::Options;
use super::axis::alike;
use super::canvas::{Align, Canvas};
use super::colormap::{ColourScale, SCALE_HEIGHT, ScaleOptions};
use super::font::{TEXT, visible};
use super::frame::count_note;
use super::geometry::Rect;
use super::legend::{self, Entry, Swatch};
use super::number::Values;
use super::palette::{Colour, Stroke, Style};
use super::{Figure, Kind};

#[derive(Clone, Debug, Default)]
pub(super) struct Heatmap {
    cells: Vec<Vec<f64>>,
    rows: Option<Vec<String>>,
    columns: Option<Vec<String>>,
    marked: Option<(String, Vec<(usize, usize)>)>,
    numbers: bool,
    pub scale: ScaleOptions,
}

/// The side of a cell where there is room, in CSS pixels.
const CELL: f64 = 44.0;

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
    pub fn heatmap(title: impl Into<String>, rows: impl IntoIterator<Item = impl Values>) -> Self {
        let cells: Vec<Vec<f64>> = rows.into_iter().map(Values::values).collect();
        let width = cells.first().map_or(0, Vec::len);
        let uneven = cells.iter().position(|row| row.len() != width);
        let mut figure = Self::new(title, Kind::Heatmap(Heatmap { cells, ..Heatmap::default() }));
        if let Some(row) = uneven {
            figure.note_mistake(format!("row {row} of the heatmap is not as long as row 0 ({width} values)"));
        }
        figure
    }

    /// Names the rows of a heatmap, e.g. by tokens: as many as rows.
    pub fn rows(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let Kind::Heatmap(map) = &mut self.kind else { return self.misplaced("rows", "Figure::heatmap") };
        let names = map.rows.insert(names.into_iter().map(visible).collect()).len();
        let height = map.cells.len();
        self.same_length("heatmap", ("rows", height), ("row names", names));
        self
    }

    /// Names the columns of a heatmap: as many as columns.
    pub fn columns(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let Kind::Heatmap(map) = &mut self.kind else { return self.misplaced("columns", "Figure::heatmap") };
        let names = map.columns.insert(names.into_iter().map(visible).collect()).len();
        let width = map.width();
        self.same_length("heatmap", ("columns", width), ("column names", names));
        self
    }

    /// Outlines cells `(row, column)` in gold; `name` says what they are.
    pub fn mark_cells(
        mut self,
        name: impl Into<String>,
        cells: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let Kind::Heatmap(map) = &mut self.kind else {
            return self.misplaced("mark_cells", "Figure::heatmap");
        };
        let (rows, columns) = (map.cells.len(), map.width());
        let (inside, outside): (Vec<_>, Vec<_>) =
            cells.into_iter().partition(|c| c.0 < rows && c.1 < columns);
        map.marked = Some((name.into(), inside));
        if let Some((row, column)) = outside.first() {
            self.note_mistake(format!(
                "the cell ({row}, {column}) is outside the heatmap of {rows} × {columns}: give (row, column), from 0"
            ));
        }
        self
    }

    /// Writes the values into the cells of a heatmap, where they fit.
    pub fn numbers(mut self) -> Self {
        let Kind::Heatmap(map) = &mut self.kind else { return self.misplaced("numbers", "Figure::heatmap") };
        map.numbers = true;
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
}

impl Layout {
    fn cell(&self, row: usize, column: usize) -> Rect {
        let (width, height) = self.cell;
        let (left, top) = (self.map.left + column as f64 * width, self.map.top + row as f64 * height);
        Rect::new(left, top, width, height).snapped()
    }
}

fn widest(names: &[String]) -> f64 {
    names.iter().map(|name| TEXT.width(name)).fold(0.0, f64::max)
}

/// The names, or numbers from 0.
fn names_of(names: &Option<Vec<String>>, count: usize) -> Vec<String> {
    names.clone().unwrap_or_else(|| (0..count).map(|index| index.to_string()).collect())
}

impl Heatmap {
    fn width(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    /// The height of the body at this width, in CSS pixels.
    pub fn height(&self, options: &Options, width: f64) -> f64 {
        self.lay_out(options, Rect::new(0.0, 0.0, width, 680.0)).map.bottom() + SCALE_HEIGHT
    }

    fn lay_out(&self, options: &Options, body: Rect) -> Layout {
        let (rows, columns) = (self.cells.len().max(1) as f64, self.width().max(1) as f64);
        let square = rows <= 40.0 && columns <= 40.0;
        let across = widest(&names_of(&self.columns, self.width()));
        let name = |label: &str| if label.is_empty() { 0.0 } else { 20.0 };
        let left = widest(&names_of(&self.rows, self.cells.len())).min(0.3 * body.width)
            + 8.0
            + name(&options.y_label);
        let above = legend::height(&self.legend(), body.width) + name(&options.x_label) + 8.0;
        let lay_out = |upright: bool| {
            let top = above + if upright { across.min(0.3 * body.height) } else { 14.0 };
            let height = (body.height - top - SCALE_HEIGHT).max(20.0) / rows;
            let width = ((body.width - left).max(20.0) / columns).min(if square { CELL } else { f64::MAX });
            let side = width.min(height);
            let cell =
                if square { (side, side) } else { (width, height.min(300.0_f64.max(3.0 * rows) / rows)) };
            let start = body.left + left + ((body.width - left - cell.0 * columns) / 2.0).max(0.0);
            Layout { map: Rect::new(start, body.top + top, cell.0 * columns, cell.1 * rows), cell, upright }
        };
        let flat = lay_out(false);
        if self.columns.is_some() && across > flat.cell.0 - 4.0 { lay_out(true) } else { flat }
    }

    fn legend(&self) -> Vec<Entry> {
        let style = Style { stroke: Stroke::solid(Colour::GOLD, 2.5), full: Colour::GOLD };
        let entry =
            |(name, _): &(String, _)| Entry { name: name.clone(), style, swatch: Swatch::Frame, level: None };
        self.marked.iter().map(entry).filter(|entry| !entry.name.is_empty()).collect()
    }

    pub fn draw(&self, canvas: &mut Canvas, options: &Options, body: Rect) {
        let layout = self.lay_out(options, body);
        let scale = ColourScale::of(self.cells.iter().flatten().copied(), &self.scale);
        legend::draw(canvas, &self.legend(), &body);
        self.draw_cells(canvas, &layout, &scale);
        self.draw_names(canvas, &layout, options, &body);
        let top = layout.map.bottom() + SCALE_HEIGHT - 16.0;
        scale.draw(canvas, (layout.map.left.min(body.centre().0 - 60.0), top), body.right());
    }

    fn draw_cells(&self, canvas: &mut Canvas, layout: &Layout, scale: &ColourScale) {
        let texts = self.number_texts(layout);
        // White between cells large enough, so that neighbours of one colour can be counted.
        let gap = if layout.cell.0.min(layout.cell.1) >= 16.0 { 1.0 } else { 0.0 };
        for (row, values) in self.cells.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let (cell, colour) = (layout.cell(row, column), scale.colour(*value));
                canvas.fill(&cell.shrink(0.0, 0.0, gap, gap), colour, 1.0);
                if let Some(text) = &texts.get(row * self.width() + column) {
                    canvas.text(cell.centre(), Align::Centre, TEXT, colour.text_on(), text);
                }
            }
        }
        canvas.outline(&layout.map, Stroke::solid(Colour::AXIS, 1.0));
        for (row, column) in self.marked.iter().flat_map(|(_, cells)| cells) {
            // Ink around the gold keeps it visible on every colour.
            let inner = layout.cell(*row, *column).shrink(2.0, 2.0, 2.0, 2.0);
            canvas.outline(&inner, Stroke::solid(Colour::INK, 4.0));
            canvas.outline(&inner, Stroke::solid(Colour::GOLD, 2.5));
        }
    }

    /// The numbers in the cells with two decimals or one, none where they do not fit.
    fn number_texts(&self, layout: &Layout) -> Vec<String> {
        let values: Vec<f64> = self.cells.iter().flatten().copied().collect();
        let fits = |texts: &Vec<String>| widest(texts) <= layout.cell.0 - 5.0;
        let shown = self.numbers && layout.cell.1 >= 15.0;
        let tried = [2, 1].map(|decimals| alike(&values, decimals));
        tried.into_iter().find(fits).filter(|_| shown).unwrap_or_default()
    }

    fn draw_names(&self, canvas: &mut Canvas, layout: &Layout, options: &Options, body: &Rect) {
        let (map, (width, height)) = (&layout.map, layout.cell);
        let (rows, columns) = (names_of(&self.rows, self.cells.len()), names_of(&self.columns, self.width()));
        let room = widest(&rows).min(0.3 * body.width);
        for row in (0..rows.len()).step_by(every(15.0 / height)) {
            let at = (map.left - 6.0, map.top + (row as f64 + 0.5) * height);
            canvas.text(at, Align::Right, TEXT, Colour::INK, &TEXT.shorten(&rows[row], room));
        }
        let needed = if layout.upright { 15.0 } else { widest(&columns) + 4.0 };
        for column in (0..columns.len()).step_by(every(needed / width)) {
            let x = map.left + (column as f64 + 0.5) * width;
            if layout.upright {
                let text = TEXT.shorten(&columns[column], 0.3 * body.height);
                canvas.text_up((x, map.top - 5.0), Align::Left, TEXT, Colour::INK, &text);
            } else {
                canvas.text((x, map.top - 10.0), Align::Centre, TEXT, Colour::INK, &columns[column]);
            }
        }
        let at = (map.centre().0, body.top + legend::height(&self.legend(), body.width) + 8.0);
        let name = TEXT.shorten(&options.x_label, map.width.max(200.0));
        canvas.text(at, Align::Centre, TEXT, Colour::GREY, &name);
        let at = (map.left - room - 18.0, map.centre().1);
        let name = TEXT.shorten(&options.y_label, map.height.max(80.0));
        canvas.text_up(at, Align::Centre, TEXT, Colour::GREY, &name);
    }

    pub fn notes(&self) -> Vec<String> {
        let bad = self.cells.iter().flatten().filter(|v| !v.is_finite()).count();
        let empty = (self.width() == 0).then(|| "no data".to_owned());
        count_note(bad, "grey cell", ": not finite").into_iter().chain(empty).collect()
    }
}

/// Every how many-th name is shown, where each needs `share` cells: 1, 2, 4, 8, 16 …
fn every(share: f64) -> usize {
    (share.clamp(1.0, 4096.0).ceil() as usize).next_power_of_two()
}
