//! Small architecture diagrams: blocks and arrows on a grid.

use super::canvas::{Align, Canvas};
use super::colormap::extent;
use super::font::TEXT;
use super::frame::count_note;
use super::geometry::{Point, Rect, clip_segment};
use super::number::Number;
use super::palette::{Colour, Stroke, family};
use super::{Figure, Kind};

/// A place on the grid: row, from the top, and column.
type Place = (f64, f64);

#[derive(Clone, Debug, Default)]
pub(super) struct Diagram {
    blocks: Vec<Block>,
    groups: Vec<(Place, Place, String)>,
    arrows: Vec<(Vec<Place>, String)>,
    left_out: usize,
}

#[derive(Clone, Debug)]
struct Block {
    row: f64,
    /// The first and the last column.
    columns: (f64, f64),
    label: String,
    framed: bool,
}

/// From row to row, in CSS pixels.
const ROW: f64 = 64.0;
/// From column to column, where there is room.
const COLUMN: f64 = 150.0;
const BLOCK_HEIGHT: f64 = 38.0;
/// What a group reaches above and below the middle of its first and last row.
const GROUP: (f64, f64) = (40.0, 26.0);

impl Figure {
    /// A diagram of [`block`](Figure::block)s and [`arrow`](Figure::arrow)s on a grid.
    ///
    /// A place is (row, column) with row 0 at the top; fractions lie between. Labels that name a family
    /// of models take its colour.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let mut figure = Figure::diagram("The same cell reads every character").group((1, 0), (1, 2), "RNN");
    /// for (t, x) in ["x₁", "x₂", "x₃"].into_iter().enumerate() {
    ///     figure = figure.symbol((2, t), x).block((1, t), "cell").arrow([(2, t), (1, t)], "");
    /// }
    /// let figure = figure.arrow([(1, 0), (1, 1)], "h₁").arrow([(1, 1), (1, 2)], "h₂");
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn diagram(title: impl Into<String>) -> Self {
        Self::new(title, Kind::Diagram(Diagram::default()))
    }

    /// A block of a diagram with its label inside; a label of one character, such as "+", makes it a circle.
    pub fn block(self, (row, column): (impl Number, impl Number), label: impl Into<String>) -> Self {
        let column = column.number();
        self.add_block("block", row.number(), (column, column), label.into(), true)
    }

    /// A block of a diagram that reaches from the first to the last column.
    pub fn wide_block(
        self,
        row: impl Number,
        (first, last): (impl Number, impl Number),
        label: impl Into<String>,
    ) -> Self {
        self.add_block("wide_block", row.number(), (first.number(), last.number()), label.into(), true)
    }

    /// A label without a frame in a diagram: an input or an output.
    pub fn symbol(self, (row, column): (impl Number, impl Number), label: impl Into<String>) -> Self {
        let column = column.number();
        self.add_block("symbol", row.number(), (column, column), label.into(), false)
    }

    fn add_block(mut self, method: &str, row: f64, columns: (f64, f64), label: String, framed: bool) -> Self {
        let Kind::Diagram(diagram) = &mut self.kind else { return self.misplaced(method, "Figure::diagram") };
        let columns = (columns.0.min(columns.1), columns.0.max(columns.1));
        match [row, columns.0, columns.1].iter().all(|v| v.is_finite()) {
            true => diagram.blocks.push(Block { row, columns, label, framed }),
            false => diagram.left_out += 1,
        }
        self
    }

    /// An arrow in a diagram along two or more places; at its ends it stops at the edges of blocks.
    ///
    /// A residual connection is `[(3.0, 0.0), (3.0, 0.7), (1.0, 0.7), (1.0, 0.0)]`.
    pub fn arrow<R: Number, C: Number>(
        mut self,
        route: impl IntoIterator<Item = (R, C)>,
        label: impl Into<String>,
    ) -> Self {
        let Kind::Diagram(diagram) = &mut self.kind else {
            return self.misplaced("arrow", "Figure::diagram");
        };
        let route: Vec<Place> =
            route.into_iter().map(|(row, column)| (row.number(), column.number())).collect();
        match route.iter().all(|(row, column)| row.is_finite() && column.is_finite()) {
            true => diagram.arrows.push((route, label.into())),
            false => diagram.left_out += 1,
        }
        self
    }

    /// A pale area behind the blocks from the upper left to the lower right place, with a label at its corner.
    pub fn group<R: Number, C: Number>(mut self, from: (R, C), to: (R, C), label: impl Into<String>) -> Self {
        let Kind::Diagram(diagram) = &mut self.kind else {
            return self.misplaced("group", "Figure::diagram");
        };
        let [from, to] = [from, to].map(|(row, column)| (row.number(), column.number()));
        match [from.0, from.1, to.0, to.1].iter().all(|v| v.is_finite()) {
            true => diagram.groups.push((from, to, label.into())),
            false => diagram.left_out += 1,
        }
        self
    }
}

/// How the grid lies on the canvas: the middle of place (0, 0) and the pitch of rows and columns.
struct Grid {
    origin: Point,
    row: f64,
    column: f64,
}

impl Grid {
    fn at(&self, (row, column): Place) -> Point {
        (self.origin.0 + column * self.column, self.origin.1 + row * self.row)
    }

    fn of(&self, block: &Block) -> Rect {
        let (left, right) = (self.at((block.row, block.columns.0)), self.at((block.row, block.columns.1)));
        let centre = ((left.0 + right.0) / 2.0, left.1);
        match (block.framed, block.label.chars().count()) {
            (false, _) => Rect::around(centre, TEXT.width(&block.label) + 8.0, 20.0),
            (true, 1) => Rect::around(centre, 24.0, 24.0),
            _ => Rect::around(centre, right.0 - left.0 + 0.8 * self.column, BLOCK_HEIGHT),
        }
    }
}

impl Diagram {
    /// The least and greatest row and column that are used.
    fn extents(&self) -> ((f64, f64), (f64, f64)) {
        let blocks = self.blocks.iter().flat_map(|b| [(b.row, b.columns.0), (b.row, b.columns.1)]);
        let groups = self.groups.iter().flat_map(|(from, to, _)| [*from, *to]);
        let routes = self.arrows.iter().flat_map(|(route, _)| route.iter().copied());
        let places: Vec<Place> = blocks.chain(groups).chain(routes).collect();
        let span = |values: Vec<f64>| if values.is_empty() { (0.0, 0.0) } else { extent(values.into_iter()) };
        (span(places.iter().map(|p| p.0).collect()), span(places.iter().map(|p| p.1).collect()))
    }

    /// The height of the body, in CSS pixels.
    pub fn height(&self) -> f64 {
        let ((top, bottom), _) = self.extents();
        (bottom - top) * ROW + GROUP.0 + GROUP.1 + 2.0
    }

    fn grid(&self, body: &Rect) -> Grid {
        let ((top, bottom), (first, last)) = self.extents();
        let column = COLUMN.min(body.width / (last - first + 1.0));
        let row = ROW.min((body.height - GROUP.0 - GROUP.1) / (bottom - top).max(1e-9)).max(0.0);
        let left = body.centre().0 - (first + last) / 2.0 * column;
        Grid { origin: (left, body.top + GROUP.0 - top * row), row, column }
    }

    pub fn draw(&self, canvas: &mut Canvas, body: Rect) {
        let grid = self.grid(&body);
        for (from, to, label) in &self.groups {
            let ((left, top), (right, bottom)) = (grid.at(*from), grid.at(*to));
            let side = 0.47 * grid.column;
            let area = Rect::new(left - side, top - GROUP.0, right - left + 2.0 * side, bottom - top);
            let area = area.shrink(0.0, 0.0, 0.0, -GROUP.0 - GROUP.1);
            let colour = family(label).map_or(Colour::AXIS, |(colour, _)| colour);
            canvas.fill(&area, colour.mix(Colour::WHITE, 0.85), 1.0);
            let at = (area.left + 6.0, area.top + 10.0);
            canvas.text(at, Align::Left, TEXT, colour.for_text(), &TEXT.shorten(label, area.width - 12.0));
        }
        let rects: Vec<Rect> = self.blocks.iter().map(|block| grid.of(block)).collect();
        for (route, label) in &self.arrows {
            draw_arrow(canvas, route.iter().map(|place| grid.at(*place)).collect(), &rects, label);
        }
        for (block, rect) in self.blocks.iter().zip(&rects) {
            draw_block(canvas, block, rect);
        }
    }

    pub fn notes(&self) -> Vec<String> {
        let empty = self.blocks.is_empty() && self.groups.is_empty() && self.arrows.is_empty();
        let bad = count_note(self.left_out, "part", " left out: the place is not finite");
        bad.into_iter().chain(empty.then(|| "nothing to draw".to_owned())).collect()
    }
}

fn draw_block(canvas: &mut Canvas, block: &Block, rect: &Rect) {
    let colour = family(&block.label).map_or(Colour::MODEL, |(colour, _)| colour);
    let pale = colour.mix(Colour::WHITE, 0.88);
    if block.framed && block.label.chars().count() == 1 {
        canvas.circle(rect.centre(), rect.width / 2.0, colour);
        canvas.circle(rect.centre(), rect.width / 2.0 - 1.4, pale);
    } else if block.framed {
        canvas.fill(rect, pale, 1.0);
        canvas.outline(rect, Stroke::solid(colour, 1.4));
    }
    let room = if block.framed { rect.width - 6.0 } else { rect.width };
    let lines = TEXT.wrap(&block.label, room, 2);
    for (row, line) in lines.iter().enumerate() {
        let y = rect.centre().1 + (row as f64 - (lines.len() as f64 - 1.0) / 2.0) * TEXT.line_height();
        canvas.text((rect.centre().0, y), Align::Centre, TEXT, Colour::INK, line);
    }
}

/// An arrow along `points` whose ends are moved to the edges of the blocks that they lie in.
fn draw_arrow(canvas: &mut Canvas, mut points: Vec<Point>, blocks: &[Rect], label: &str) {
    for _ in 0..2 {
        if let [first, second, ..] = points[..]
            && let Some(block) = blocks.iter().find(|block| block.contains(first))
            && let Some((_, edge)) = clip_segment(first, second, block)
        {
            points[0] = edge;
        }
        points.reverse();
    }
    let [.., before, tip] = points[..] else { return };
    let length = (tip.0 - before.0).hypot(tip.1 - before.1).max(1e-9);
    let (x, y) = ((tip.0 - before.0) / length, (tip.1 - before.1) / length);
    let back = (tip.0 - 8.0 * x, tip.1 - 8.0 * y);
    *points.last_mut().expect("has a tip") = back;
    canvas.line(&points, Stroke::solid(Colour::GREY, 1.4));
    let head = [tip, (back.0 - 4.0 * y, back.1 + 4.0 * x), (back.0 + 4.0 * y, back.1 - 4.0 * x)];
    canvas.polygon(&head, Colour::GREY, 1.0);
    let span = |pair: &&[Point]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
    let Some([a, b]) = points.windows(2).max_by(|p, q| span(p).total_cmp(&span(q))) else { return };
    let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    match (a.1 - b.1).abs() > (a.0 - b.0).abs() {
        true => canvas.text((middle.0 + 5.0, middle.1), Align::Left, TEXT, Colour::INK, label),
        false => canvas.text((middle.0, middle.1 - 9.0), Align::Centre, TEXT, Colour::INK, label),
    }
}
