//! What surrounds a picture: title, notes, white margins.

use super::Figure;
use super::canvas::{Align, Canvas};
use super::font::{Face, Font, TEXT};
use super::geometry::Rect;
use super::palette::Colour;

/// White around a figure, in CSS pixels, so that it also stands on a dark page.
pub(super) const MARGIN: f64 = 14.0;

fn title_font(width: f64) -> Font {
    Font { face: Face::Bold, size: if width < 450.0 { 13.5 } else { 15.5 } }
}

/// The height of the title with the gap below it, in CSS pixels.
pub(super) fn title_height(figure: &Figure, width: f64) -> f64 {
    let lines = title_lines(figure, width).len();
    if lines == 0 { 0.0 } else { lines as f64 * title_font(width).line_height() + 8.0 }
}

fn title_lines(figure: &Figure, width: f64) -> Vec<String> {
    // A small figure keeps room for its data.
    let most = if figure.size.is_some_and(|(_, height)| height < 220) { 2 } else { 4 };
    title_font(width).balance(&figure.title, width - 2.0 * MARGIN, most)
}

fn note_lines(figure: &Figure, width: f64) -> Vec<String> {
    TEXT.wrap(&figure.notes().join("; "), width - 2.0 * MARGIN, 3)
}

fn notes_height(figure: &Figure, width: f64) -> f64 {
    let lines = note_lines(figure, width).len();
    if lines == 0 { 0.0 } else { lines as f64 * TEXT.line_height() + 4.0 }
}

/// The height of a figure whose data takes `body`, in CSS pixels.
pub(super) fn whole_height(figure: &Figure, width: u32, body: f64) -> u32 {
    let outside = title_height(figure, width.into()) + notes_height(figure, width.into()) + 2.0 * MARGIN;
    (body + outside).ceil().clamp(120.0, 4000.0) as u32
}

/// Draws title and notes and returns the room between them.
pub(super) fn surround(canvas: &mut Canvas, figure: &Figure, area: Rect, title_height: f64) -> Rect {
    let font = title_font(area.width);
    let body = area.shrink(MARGIN, MARGIN + title_height, MARGIN, MARGIN + notes_height(figure, area.width));
    for (index, line) in title_lines(figure, area.width).iter().enumerate() {
        let y = area.top + MARGIN + (index as f64 + 0.5) * font.line_height();
        canvas.text((body.left, y), Align::Left, font, Colour::INK, line);
    }
    for (index, line) in note_lines(figure, area.width).iter().enumerate() {
        let y = body.bottom() + 6.0 + (index as f64 + 0.5) * TEXT.line_height();
        canvas.text((body.left, y), Align::Left, TEXT, Colour::GREY, line);
    }
    body
}

/// "3 points left out: not finite", if there are any.
pub(super) fn count_note(count: usize, what: &str, why: &str) -> Option<String> {
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| format!("{count} {what}{plural}{why}"))
}
