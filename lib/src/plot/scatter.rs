//! Scatter plots: points with names, and text placed clear of points and other text.

use super::axes::Axes;
use super::canvas::{Align, Canvas};
use super::font::{TEXT, visible};
use super::geometry::{Point, Rect};
use super::number::Values;
use super::palette::Colour;
use super::{Figure, Kind};

/// Text beside the point (`x`, `y`).
#[derive(Clone, Debug)]
pub(super) struct TextMark {
    pub text: String,
    pub x: f64,
    pub y: f64,
}

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
        Self::lines(title)
    }

    /// Text beside the points (`xs`, `ys`), in a line or scatter chart; as many texts as points.
    pub fn texts(
        mut self,
        xs: impl Values,
        ys: impl Values,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let (xs, ys) = (xs.values(), ys.values());
        let texts: Vec<String> = texts.into_iter().map(visible).collect();
        self.same_length("texts", ("x values", xs.len()), ("y values", ys.len()));
        self.same_length("texts", ("points", xs.len()), ("texts", texts.len()));
        let Kind::Chart(chart) = &mut self.kind else { return self.misplaced("texts", "Figure::scatter") };
        let marks = texts.into_iter().zip(xs.into_iter().zip(ys));
        chart.texts.extend(marks.map(|(text, (x, y))| TextMark { text, x, y }));
        self
    }
}

/// Draws each text on the side of its point where it covers least.
pub(super) fn draw_texts(canvas: &mut Canvas, marks: &[TextMark], points: &[Point], axes: &Axes) {
    let mut taken: Vec<Rect> = points.iter().map(|point| Rect::around(*point, 8.0, 8.0)).collect();
    for mark in marks.iter().filter(|mark| mark.x.is_finite() && mark.y.is_finite()) {
        let text = TEXT.shorten(&mark.text, 0.4 * axes.rect.width);
        let place = best_place(axes.place(mark.x, mark.y), TEXT.width(&text), &taken, &axes.rect);
        canvas.text((place.left, place.centre().1), Align::Left, TEXT, Colour::INK, &text);
        taken.push(place);
    }
}

fn best_place((x, y): Point, width: f64, taken: &[Rect], room: &Rect) -> Rect {
    let height = TEXT.size + 2.0;
    let (far, near, low) = (width / 2.0 + 6.0, width / 2.0 + 4.0, height / 2.0 + 5.0);
    let shifts = [
        (far, 0.0),
        (-far, 0.0),
        (0.0, -low),
        (0.0, low),
        (near, -low + 3.0),
        (near, low - 3.0),
        (-near, -low + 3.0),
        (-near, low - 3.0),
    ];
    let places = shifts.map(|(right, down)| Rect::around((x + right, y + down), width, height));
    let cost = |place: &Rect| {
        let outside = width * height - place.overlap(room);
        taken.iter().map(|other| place.overlap(other)).sum::<f64>() + 3.0 * outside
    };
    places.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(places[0])
}
