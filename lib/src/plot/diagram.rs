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
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    shape: Shape,
    /// Two corners, or the points of an arrow.
    places: Vec<Place>,
    label: String,
}

/// In the order in which they are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Group,
    Arrow,
    Block,
    Symbol,
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
    /// A place is (row, column) with row 0 at the top; fractions lie between. Labels that begin with the
    /// name of a family of models take its colour.
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
        let place = (row.number(), column.number());
        self.part("block", Shape::Block, vec![place, place], label)
    }

    /// A block of a diagram that reaches over several columns, from the first to the last.
    pub fn wide_block(
        self,
        row: impl Number,
        (first, last): (impl Number, impl Number),
        label: impl Into<String>,
    ) -> Self {
        let row = row.number();
        self.part("wide_block", Shape::Block, vec![(row, first.number()), (row, last.number())], label)
    }

    /// A label without a frame in a diagram: an input or an output.
    pub fn symbol(self, (row, column): (impl Number, impl Number), label: impl Into<String>) -> Self {
        let place = (row.number(), column.number());
        self.part("symbol", Shape::Symbol, vec![place, place], label)
    }

    /// An arrow in a diagram along two or more places; at its ends it stops at the edges of blocks.
    ///
    /// A residual connection is `[(3.0, 0.0), (3.0, 0.7), (1.0, 0.7), (1.0, 0.0)]`.
    pub fn arrow<R: Number, C: Number>(
        self,
        route: impl IntoIterator<Item = (R, C)>,
        label: impl Into<String>,
    ) -> Self {
        let route = route.into_iter().map(|(row, column)| (row.number(), column.number()));
        self.part("arrow", Shape::Arrow, route.collect(), label)
    }

    /// A pale area behind the blocks from the upper left to the lower right place, with a label at its corner.
    pub fn group(
        self,
        (top, left): (impl Number, impl Number),
        (bottom, right): (impl Number, impl Number),
        label: impl Into<String>,
    ) -> Self {
        let corners = vec![(top.number(), left.number()), (bottom.number(), right.number())];
        self.part("group", Shape::Group, corners, label)
    }

    fn part(mut self, method: &str, shape: Shape, places: Vec<Place>, label: impl Into<String>) -> Self {
        let Kind::Diagram(diagram) = &mut self.kind else { return self.misplaced(method, "Figure::diagram") };
        diagram.parts.push(Part { shape, places, label: label.into() });
        self
    }
}

impl Part {
    fn is_finite(&self) -> bool {
        self.places.iter().all(|(row, column)| row.is_finite() && column.is_finite())
    }

    fn is_circle(&self) -> bool {
        self.shape == Shape::Block && self.label.chars().count() == 1
    }

    fn colour(&self, other: Colour) -> Colour {
        family(&self.label).map_or(other, |(colour, _)| colour)
    }
}

/// How the grid lies on the canvas: the middle of place (0, 0), the height of rows and the width of columns.
struct Grid {
    origin: Point,
    row: f64,
    column: f64,
}

impl Grid {
    fn at(&self, (row, column): Place) -> Point {
        (self.origin.0 + column * self.column, self.origin.1 + row * self.row)
    }

    /// The area of a group, block or symbol.
    fn area(&self, part: &Part) -> Rect {
        let ((left, top), (right, bottom)) = (self.at(part.places[0]), self.at(part.places[1]));
        let centre = ((left + right) / 2.0, (top + bottom) / 2.0);
        match part.shape {
            Shape::Group => {
                let side = 0.47 * self.column;
                Rect::new(left, top, right - left, bottom - top).shrink(-side, -GROUP.0, -side, -GROUP.1)
            }
            Shape::Symbol => Rect::around(centre, TEXT.width(&part.label) + 8.0, 20.0),
            _ if part.is_circle() => Rect::around(centre, 24.0, 24.0),
            _ => Rect::around(centre, right - left + 0.8 * self.column, BLOCK_HEIGHT),
        }
    }
}

impl Diagram {
    fn of(&self, shape: Shape) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.shape == shape && part.is_finite())
    }

    /// The least and greatest row and column, and the room above the first row.
    fn extents(&self) -> ((f64, f64), (f64, f64), f64) {
        let places = || self.parts.iter().filter(|part| part.is_finite()).flat_map(|part| &part.places);
        let (top, bottom) = extent(places().map(|place| place.0));
        let grouped = self.of(Shape::Group).any(|group| group.places[0].0 <= top);
        ((top, bottom), extent(places().map(|place| place.1)), if grouped { GROUP.0 } else { GROUP.1 })
    }

    /// The height of the body, in CSS pixels.
    pub fn height(&self) -> f64 {
        let ((top, bottom), _, above) = self.extents();
        (bottom - top) * ROW + above + GROUP.1 + 2.0
    }

    pub fn draw(&self, canvas: &mut Canvas, body: Rect) {
        let ((top, bottom), (first, last), above) = self.extents();
        let column = COLUMN.min(body.width / (last - first + 1.0));
        let row = ROW.min((body.height - above - GROUP.1) / (bottom - top).max(1e-9)).max(0.0);
        let left = body.centre().0 - (first + last) / 2.0 * column;
        let grid = Grid { origin: (left, body.top + above - top * row), row, column };
        for group in self.of(Shape::Group) {
            let pale = group.colour(Colour::AXIS).mix(Colour::WHITE, 0.85);
            canvas.fill(&grid.area(group), pale, 1.0);
        }
        let blocks = || self.of(Shape::Block).chain(self.of(Shape::Symbol));
        let areas: Vec<Rect> = blocks().map(|block| grid.area(block)).collect();
        for arrow in self.of(Shape::Arrow) {
            draw_arrow(canvas, arrow.places.iter().map(|at| grid.at(*at)).collect(), &areas, &arrow.label);
        }
        for group in self.of(Shape::Group).filter(|group| !group.label.is_empty()) {
            draw_corner(canvas, group, &grid.area(group));
        }
        for (block, area) in blocks().zip(&areas) {
            draw_block(canvas, block, area);
        }
    }

    pub fn notes(&self) -> Vec<String> {
        let bad = self.parts.iter().filter(|part| !part.is_finite()).count();
        let empty = self.parts.is_empty().then(|| "no blocks".to_owned());
        count_note(bad, "part", " left out: the place is not finite").into_iter().chain(empty).collect()
    }
}

/// The label of a group, on its colour so that arrows pass behind it.
fn draw_corner(canvas: &mut Canvas, group: &Part, area: &Rect) {
    let colour = group.colour(Colour::AXIS);
    let label = TEXT.shorten(&group.label, area.width - 12.0);
    let behind = Rect::new(area.left, area.top, TEXT.width(&label) + 12.0, 20.0);
    canvas.fill(&behind, colour.mix(Colour::WHITE, 0.85), 1.0);
    canvas.text((behind.left + 6.0, behind.centre().1), Align::Left, TEXT, colour.for_text(), &label);
}

fn draw_block(canvas: &mut Canvas, block: &Part, area: &Rect) {
    let colour = block.colour(Colour::MODEL);
    let pale = colour.mix(Colour::WHITE, 0.88);
    if block.is_circle() {
        canvas.circle(area.centre(), area.width / 2.0, colour);
        canvas.circle(area.centre(), area.width / 2.0 - 1.4, pale);
    } else if block.shape == Shape::Block {
        canvas.fill(area, pale, 1.0);
        canvas.outline(area, Stroke::solid(colour, 1.4));
    }
    let lines = TEXT.wrap(&block.label, area.width - 4.0, 2);
    for (row, line) in lines.iter().enumerate() {
        let y = area.centre().1 + (row as f64 - (lines.len() as f64 - 1.0) / 2.0) * TEXT.line_height();
        canvas.text((area.centre().0, y), Align::Centre, TEXT, Colour::INK, line);
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
    let span = |a: Point, b: Point| (b.0 - a.0).hypot(b.1 - a.1);
    let length = span(before, tip).max(1e-9);
    let (x, y) = ((tip.0 - before.0) / length, (tip.1 - before.1) / length);
    let back = (tip.0 - 8.0 * x, tip.1 - 8.0 * y);
    *points.last_mut().expect("has a tip") = back;
    canvas.line(&points, Stroke::solid(Colour::GREY, 1.4));
    let head = [tip, (back.0 - 4.0 * y, back.1 + 4.0 * x), (back.0 + 4.0 * y, back.1 - 4.0 * x)];
    canvas.polygon(&head, Colour::GREY, 1.0);
    // The label stands beside the longest piece.
    let longest = points.windows(2).max_by(|p, q| span(p[0], p[1]).total_cmp(&span(q[0], q[1])));
    let Some([a, b]) = longest else { return };
    let (x, y) = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    match (a.1 - b.1).abs() > (a.0 - b.0).abs() {
        true => canvas.text((x + 5.0, y), Align::Left, TEXT, Colour::INK, label),
        false => canvas.text((x, y - 9.0), Align::Centre, TEXT, Colour::INK, label),
    }
}
