//! What is drawn between two axes: curves, points, bands, bars, the steps of a histogram.

use super::axes::{Axes, Options, drawable};
use super::axis::alike;
use super::canvas::{Align, Canvas};
use super::font::TEXT;
use super::geometry::{Point, Rect, clip};
use super::legend::Swatch;
use super::palette::{Colour, Stroke, Style};

/// A curve through at most so many points shows them.
pub(super) const FEW: usize = 12;

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub name: String,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub form: Form,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Curve,
    Points,
    /// From `y` up to these values.
    Band(Vec<f64>),
    /// Bars with half the length of each error bar; empty without.
    Bars(Vec<f64>),
    /// The bins of a histogram, which have this width.
    Steps(f64),
}

impl Series {
    pub fn swatch(&self) -> Swatch {
        match self.form {
            Form::Curve => Swatch::Line,
            Form::Points => Swatch::Point,
            _ => Swatch::Box,
        }
    }

    /// Bands lie under areas, these under curves, curves under points.
    pub fn layer(&self) -> usize {
        match self.form {
            Form::Band(_) => 0,
            Form::Bars(_) | Form::Steps(_) => 1,
            Form::Curve => 2,
            Form::Points => 3,
        }
    }

    /// The values that the vertical axis must hold.
    pub fn heights(&self) -> Vec<f64> {
        match &self.form {
            Form::Curve | Form::Points => self.y.clone(),
            Form::Band(high) => [&self.y[..], high].concat(),
            Form::Bars(_) => {
                let ends = |(i, y): (usize, &f64)| [y - self.error(i), y + self.error(i)];
                self.y.iter().enumerate().flat_map(ends).chain([0.0]).collect()
            }
            Form::Steps(_) => [&self.y[..], &[0.0]].concat(),
        }
    }

    fn error(&self, index: usize) -> f64 {
        let Form::Bars(errors) = &self.form else { return 0.0 };
        errors.get(index).filter(|e| e.is_finite()).map_or(0.0, |e| e.abs())
    }

    /// Points that cannot be drawn: not finite, and 0 or negative on a log axis.
    pub fn left_out(&self, options: &Options) -> [usize; 2] {
        let points = || self.x.iter().zip(&self.y);
        let not_finite = points().filter(|(x, y)| !x.is_finite() || !y.is_finite()).count();
        let shown = |(x, y): &(&f64, &f64)| drawable(**x, options.log_x) && drawable(**y, options.log_y);
        [not_finite, points().count() - not_finite - points().filter(shown).count()]
    }

    /// The runs of points that can be drawn; a curve breaks at the others.
    pub fn runs(&self, axes: &Axes, options: &Options) -> Vec<Vec<Point>> {
        let shown = |(x, y): &(f64, f64)| drawable(*x, options.log_x) && drawable(*y, options.log_y);
        let points: Vec<(f64, f64)> = self.x.iter().copied().zip(self.y.iter().copied()).collect();
        let runs = points.split(|point| !shown(point)).filter(|run| !run.is_empty());
        runs.map(|run| run.iter().map(|(x, y)| axes.place(*x, *y)).collect()).collect()
    }

    /// Where the curve ends inside the data.
    pub fn end(&self, axes: &Axes, options: &Options) -> Option<Point> {
        let visible = |p: &Point| p.0 >= axes.rect.left - 0.5 && p.0 <= axes.rect.right() + 0.5;
        let points = self.runs(axes, options).into_iter().flatten().filter(visible);
        points.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// A curve; `few` shows its points too.
    pub fn draw_curve(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, style: &Style, few: bool) {
        for run in self.runs(axes, options) {
            for piece in clip(&run, &axes.rect) {
                canvas.line(&piece, style.stroke);
            }
            if few || run.len() == 1 {
                draw_points(canvas, &run, axes, style, 3.2);
            }
        }
    }

    pub fn draw_points(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, style: &Style) {
        let radius = if self.x.len() > 300 { 2.2 } else { 4.0 };
        draw_points(canvas, &self.runs(axes, options).concat(), axes, style, radius);
    }

    pub fn draw_band(&self, canvas: &mut Canvas, axes: &Axes, options: &Options, style: &Style) {
        let Form::Band(high) = &self.form else { return };
        let edge = |values: &[f64]| {
            let upper = Series { y: values.to_vec(), form: Form::Curve, ..self.clone() };
            upper.runs(axes, options).concat()
        };
        // The polygon is kept inside the axes by moving its corners to their edge.
        let outline = edge(&self.y).into_iter().chain(edge(high).into_iter().rev());
        let outline: Vec<Point> = outline.map(|point| axes.rect.nearest(point)).collect();
        canvas.polygon(&outline, style.full, 0.18);
    }

    pub fn draw_steps(&self, canvas: &mut Canvas, axes: &Axes, style: &Style) {
        let Form::Steps(width) = self.form else { return };
        let floor = axes.rect.bottom();
        let top = |count: f64| if count > 0.0 { axes.y_at(count).min(floor) } else { floor };
        let mut outline = Vec::new();
        for (x, count) in self.x.iter().zip(&self.y) {
            let (left, right) = (axes.x_at(x - width / 2.0), axes.x_at(x + width / 2.0));
            let start = if outline.is_empty() { Some((left, floor)) } else { None };
            outline.extend(start.into_iter().chain([(left, top(*count)), (right, top(*count))]));
        }
        outline.extend(outline.last().map(|(x, _)| (*x, floor)));
        let filled: Vec<Point> = outline.iter().map(|point| axes.rect.nearest(*point)).collect();
        canvas.polygon(&filled, style.full, 0.3);
        for piece in clip(&outline, &axes.rect) {
            canvas.line(&piece, Stroke::solid(style.stroke.colour, 1.6));
        }
    }

    /// Bars `width` pixels wide whose left edges are `shift` from the middle of their category.
    pub fn draw_bars(
        &self,
        canvas: &mut Canvas,
        axes: &Axes,
        options: &Options,
        (shift, width): (f64, f64),
        colour: impl Fn(usize) -> Colour,
    ) {
        let texts = alike(&self.y, 3);
        let inside = |y: f64| y.max(axes.rect.top).min(axes.rect.bottom());
        let at = |v: f64| inside(if drawable(v, options.log_y) { axes.y_at(v) } else { axes.rect.bottom() });
        for (index, (x, y)) in self.x.iter().zip(&self.y).enumerate().filter(|(_, (_, y))| y.is_finite()) {
            let (left, error) = (axes.x_at(*x) + shift, self.error(index));
            let (base, end) = (at(0.0), at(*y));
            let bar = Rect::new(left + 1.0, base.min(end), width - 2.0, (base - end).abs());
            canvas.fill(&bar, colour(index), 1.0);
            let centre = bar.centre().0;
            if error > 0.0 {
                draw_error(canvas, centre, at(y - error), at(y + error), width);
            }
            // The value beyond the tip of its bar, on white that hides the grid.
            let tip = if *y < 0.0 { at(y - error) + 10.0 } else { at(y + error) - 10.0 };
            let behind = Rect::around((centre, tip), TEXT.width(&texts[index]), TEXT.size + 2.0);
            if behind.width <= width - 1.0 && drawable(*y, options.log_y) {
                canvas.fill(&behind, Colour::WHITE, 0.8);
                canvas.text((centre, tip), Align::Centre, TEXT, Colour::INK, &texts[index]);
            }
        }
    }
}

/// An error bar from `low` to `high`, with white beside the ink so that it is seen on dark bars.
fn draw_error(canvas: &mut Canvas, centre: f64, low: f64, high: f64, width: f64) {
    let cap = (width / 5.0).min(6.0);
    let lines = [
        [(centre, low), (centre, high)],
        [(centre - cap, low), (centre + cap, low)],
        [(centre - cap, high), (centre + cap, high)],
    ];
    for stroke in [Stroke::solid(Colour::WHITE, 3.3), Stroke::solid(Colour::INK, 1.3)] {
        lines.iter().for_each(|line| canvas.line(line, stroke));
    }
}

fn draw_points(canvas: &mut Canvas, points: &[Point], axes: &Axes, style: &Style, radius: f64) {
    for point in points.iter().filter(|point| axes.rect.contains(**point)) {
        canvas.circle(*point, radius, style.stroke.colour);
    }
}
