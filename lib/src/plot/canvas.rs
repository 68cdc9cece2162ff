//! Drawing in CSS pixels on plotters' SVG backend.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::element::{DashedPathElement, Drawable};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, FontTransform, IntoTextStyle, RGBColor, ShapeStyle};

use super::font::{Face, Font};
use super::geometry::{Point, Rect};
use super::palette::{Colour, Dash, Stroke};

/// plotters places things at whole numbers: a finer unit than the pixel keeps curves smooth.
const UNIT: f64 = 20.0;

pub(super) enum Align {
    Left,
    Centre,
    Right,
}

pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// Draws an SVG document of `width` × `height` CSS pixels.
pub(super) fn svg(width: u32, height: u32, draw: impl FnOnce(&mut Canvas)) -> String {
    let units = |pixels: u32| (f64::from(pixels) * UNIT) as u32;
    let mut text = String::new();
    let mut canvas = Canvas { backend: SVGBackend::with_string(&mut text, (units(width), units(height))) };
    canvas.fill(&Rect::new(0.0, 0.0, width.into(), height.into()), Colour::WHITE, 1.0);
    draw(&mut canvas);
    let _ = canvas.backend.present();
    drop(canvas);
    // The document has the size in CSS pixels; round joins keep noisy curves free of spikes.
    let stated = format!("width=\"{}\" height=\"{}\"", units(width), units(height));
    let wanted = format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\"");
    text.replacen(&stated, &wanted, 1)
}

// The backend writes to a string, which cannot fail: its results are dropped.
impl Canvas<'_> {
    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let ink = ink(stroke.colour, 1.0, stroke.width);
        let points = points.iter().copied().map(place);
        let _ = match stroke.dash {
            Dash::Solid => self.backend.draw_path(points, &ink),
            Dash::Every(dash, gap) => {
                let [dash, gap] = [dash, gap].map(|length| (length * UNIT) as i32);
                DashedPathElement::new(points.clone(), dash, gap, ink).draw(points, &mut self.backend, (0, 0))
            }
        };
    }

    pub fn polygon(&mut self, points: &[Point], colour: Colour, opacity: f64) {
        let path = points.iter().copied().map(place);
        let _ = self.backend.fill_polygon(path, &ink(colour, opacity, 0.0));
    }

    pub fn fill(&mut self, rect: &Rect, colour: Colour, opacity: f64) {
        let corners = (place((rect.left, rect.top)), place((rect.right(), rect.bottom())));
        let _ = self.backend.draw_rect(corners.0, corners.1, &ink(colour, opacity, 0.0), true);
    }

    pub fn outline(&mut self, rect: &Rect, stroke: Stroke) {
        let (left, top, right, bottom) = (rect.left, rect.top, rect.right(), rect.bottom());
        // A little beyond the first corner, so that the outline closes.
        let end = (left + stroke.width / 2.0, top);
        self.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top), end], stroke);
    }

    pub fn circle(&mut self, centre: Point, radius: f64, colour: Colour) {
        let radius = (radius * UNIT) as u32;
        let _ = self.backend.draw_circle(place(centre), radius, &ink(colour, 1.0, 0.0), true);
    }

    /// One line of text, vertically centred on `at`.
    pub fn text(&mut self, at: Point, align: Align, font: Font, colour: Colour, text: &str) {
        // plotters shifts by half an ex (a quarter em); half the height of a digit is 0.36 em.
        self.write((at.0, at.1 + 0.11 * font.size), align, font, colour, text, FontTransform::None);
    }

    /// One line of text that reads upwards, horizontally centred on `at`.
    pub fn text_up(&mut self, at: Point, align: Align, font: Font, colour: Colour, text: &str) {
        self.write((at.0 + 0.11 * font.size, at.1), align, font, colour, text, FontTransform::Rotate270);
    }

    fn write(
        &mut self,
        at: Point,
        align: Align,
        font: Font,
        colour: Colour,
        text: &str,
        turn: FontTransform,
    ) {
        let family = match font.face {
            Face::Mono => FontFamily::Name("DejaVu Sans Mono, monospace"),
            _ => FontFamily::Name("DejaVu Sans, sans-serif"),
        };
        let weight = if font.face == Face::Bold { FontStyle::Bold } else { FontStyle::Normal };
        let horizontal = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        // plotters' SVG backend divides sizes by 1.24.
        let mut style = (family, font.size * UNIT * 1.24, weight).into_text_style(&(1, 1)).transform(turn);
        style.color = RGBColor(colour.0, colour.1, colour.2).to_backend_color();
        let style = style.pos(Pos::new(horizontal, VPos::Center));
        let _ = self.backend.draw_text(text, &style, place(at));
    }
}

fn place(point: Point) -> (i32, i32) {
    // Far outside the picture all places look the same; the bound keeps sums in range.
    let whole = |value: f64| (value * UNIT).round().clamp(-1e8, 1e8) as i32;
    (whole(point.0), whole(point.1))
}

fn ink(colour: Colour, opacity: f64, width: f64) -> ShapeStyle {
    let color = RGBColor(colour.0, colour.1, colour.2).mix(opacity);
    ShapeStyle { color, filled: true, stroke_width: (width * UNIT).round() as u32 }
}
