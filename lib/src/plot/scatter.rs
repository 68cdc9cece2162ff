//! Scatter plots: points with names, and text placed clear of points and other text.

use super::canvas::{Align, Canvas};
use super::font::{Font, visible};
use super::geometry::{Point, Rect};
use super::lines::LineChart;
use super::number::{Number, collect};
use super::palette::Colour;
use super::{Figure, Kind, frame::Axes};

/// Text beside the point (`x`, `y`).
#[derive(Clone, Debug)]
pub(super) struct TextMark {
    pub text: String,
    pub x: f64,
    pub y: f64,
}

const FONT: Font = Font::regular(12.0);

impl Figure {
    /// A scatter plot: [`points`](Figure::points), some of them with [`texts`](Figure::texts).
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let figure = Figure::scatter("Animals lie together")
    ///     .x_label("first principal component")
    ///     .y_label("second principal component")
    ///     .points("animal", [1.0, 1.2], [0.3, 0.5])
    ///     .points("plant", [-0.8], [0.1])
    ///     .texts([1.0, 1.2, -0.8], [0.3, 0.5, 0.1], ["cat", "dog", "oak"]);
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn scatter(title: impl Into<String>) -> Self {
        Self::new(title, Kind::Lines(LineChart { airy: true, ..LineChart::default() }))
    }

    /// Text beside the points (`xs`, `ys`), in a line or scatter chart; as many texts as points.
    pub fn texts(
        mut self,
        xs: impl IntoIterator<Item = impl Number>,
        ys: impl IntoIterator<Item = impl Number>,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let (xs, ys) = (collect(xs), collect(ys));
        let texts: Vec<String> = texts.into_iter().map(|text| visible(text.as_ref())).collect();
        self.same_length("texts", ("x values", xs.len()), ("y values", ys.len()));
        self.same_length("texts", ("points", xs.len()), ("texts", texts.len()));
        let marks = texts.into_iter().zip(xs.into_iter().zip(ys));
        match &mut self.kind {
            Kind::Lines(chart) => {
                chart.texts.extend(marks.map(|(text, (x, y))| TextMark { text, x, y }));
            }
            _ => self.misplaced("texts", "Figure::scatter"),
        }
        self
    }
}

/// Draws each text on the side of its point where it covers least.
pub(super) fn draw_texts(canvas: &mut Canvas, marks: &[TextMark], points: &[Point], axes: &Axes) {
    let mut taken: Vec<Rect> = points.iter().map(|(x, y)| Rect::new(x - 4.0, y - 4.0, 8.0, 8.0)).collect();
    for mark in marks.iter().filter(|mark| mark.x.is_finite() && mark.y.is_finite()) {
        let text = FONT.shorten(&mark.text, 0.4 * axes.rect.width);
        let place = best_place(axes.place(mark.x, mark.y), FONT.width(&text), &taken, &axes.rect);
        canvas.text((place.left, place.centre().1), Align::Left, FONT, Colour::INK, &text);
        taken.push(place);
    }
}

fn best_place(point: Point, width: f64, taken: &[Rect], room: &Rect) -> Rect {
    let height = FONT.size + 2.0;
    let (x, y) = point;
    let (near, left, centre) = (x + 6.0, x - width - 6.0, x - width / 2.0);
    let corners = [
        (near, y - height / 2.0),
        (left, y - height / 2.0),
        (centre, y - height - 5.0),
        (centre, y + 5.0),
        (near - 2.0, y - height - 2.0),
        (near - 2.0, y + 2.0),
        (left + 2.0, y - height - 2.0),
        (left + 2.0, y + 2.0),
    ];
    let places = corners.map(|(left, top)| Rect::new(left, top, width, height));
    let cost = |place: &Rect| {
        let outside = width * height - place.overlap(room);
        taken.iter().map(|other| place.overlap(other)).sum::<f64>() + 3.0 * outside
    };
    places.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(places[0])
}
