//! Text whose characters or tokens are coloured by values: loss by character, gates over a text.

use super::axis::short;
use super::canvas::{Align, Canvas, Stroke};
use super::colormap::{ColourScale, Hue};
use super::font::{Font, visible, visible_char};
use super::frame::{self, LABEL, Options, TICK};
use super::geometry::Rect;
use super::number::{Number, collect};
use super::palette::Colour;
use super::{Figure, Kind};

#[derive(Clone, Debug)]
pub(super) struct HeatText {
    /// Characters or tokens as they are shown, and whether a line ends after each.
    pieces: Vec<(String, bool)>,
    ribbons: Vec<(String, Vec<f64>)>,
    /// A strip for each ribbon below the text instead of a coloured background.
    strips: bool,
    pub scale_label: String,
    pub range: Option<(f64, f64)>,
}

const FONT: Font = Font::mono(14.0);
const TEXT_HEIGHT: f64 = 22.0;
const STRIP: f64 = 14.0;
/// The colour scale under the text.
const SCALE_HEIGHT: f64 = 34.0;

impl Figure {
    /// A text with each character on a background coloured by its value; as many values as characters.
    ///
    /// Lines break at spaces and after each newline, which shows as "⏎".
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let surprise = [4.1, 1.2, 0.3, 2.8, 3.9, 0.9, 0.2];
    /// let figure = Figure::heat_text("The first letter of a word surprises most", "The cat", surprise)
    ///     .scale_label("bits");
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn heat_text(
        title: impl Into<String>,
        text: impl AsRef<str>,
        values: impl IntoIterator<Item = impl Number>,
    ) -> Self {
        Self::coloured(title.into(), characters(text.as_ref()), false).ribbon("", values)
    }

    /// As [`Figure::heat_text`], with tokens instead of characters.
    pub fn heat_tokens(
        title: impl Into<String>,
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
        values: impl IntoIterator<Item = impl Number>,
    ) -> Self {
        let piece = |token: String| (visible(&token), token.ends_with('\n'));
        let pieces = tokens.into_iter().map(|token| piece(token.as_ref().to_owned())).collect();
        Self::coloured(title.into(), pieces, false).ribbon("", values)
    }

    /// A text with coloured strips under its characters, one for each [`ribbon`](Figure::ribbon).
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let figure = Figure::ribbons("The forget gate closes at the full stop", "So. Go.")
    ///     .ribbon("forget", [0.9, 0.8, 0.1, 0.5, 0.9, 0.9, 0.1])
    ///     .ribbon("input", [0.2, 0.3, 0.9, 0.4, 0.2, 0.3, 0.8])
    ///     .scale_label("activation");
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn ribbons(title: impl Into<String>, text: impl AsRef<str>) -> Self {
        Self::coloured(title.into(), characters(text.as_ref()), true)
    }

    /// A strip of values under a text; as many values as characters.
    pub fn ribbon(mut self, name: impl Into<String>, values: impl IntoIterator<Item = impl Number>) -> Self {
        let Kind::HeatText(text) = &mut self.kind else {
            self.misplaced("ribbon", "Figure::ribbons");
            return self;
        };
        let (name, values) = (name.into(), collect(values));
        let (pieces, count) = (text.pieces.len(), values.len());
        text.ribbons.push((name.clone(), values));
        let name = if name.is_empty() { "coloured text" } else { &name };
        self.same_length(name, ("characters or tokens", pieces), ("values", count));
        self
    }

    fn coloured(title: String, pieces: Vec<(String, bool)>, strips: bool) -> Self {
        let (ribbons, scale_label) = (Vec::new(), String::new());
        Self::new(title, Kind::HeatText(HeatText { pieces, ribbons, strips, scale_label, range: None }))
    }
}

fn characters(text: &str) -> Vec<(String, bool)> {
    let piece = |c: char| (if c == ' ' { "␣".to_owned() } else { visible_char(c).to_string() }, c == '\n');
    text.chars().map(piece).collect()
}

/// The pieces of one line, by their index, with left edge and width.
type Line = Vec<(usize, f64, f64)>;

impl HeatText {
    fn name_width(&self) -> f64 {
        let widest = self.ribbons.iter().map(|(name, _)| TICK.width(name)).fold(0.0, f64::max);
        if self.strips && widest > 0.0 { widest.min(160.0) + 10.0 } else { 0.0 }
    }

    fn line_height(&self) -> f64 {
        let strips = if self.strips { self.ribbons.len() as f64 * STRIP + 10.0 } else { 4.0 };
        TEXT_HEIGHT + strips
    }

    /// The height that the whole figure needs at this width, in CSS pixels.
    pub fn height(&self, figure: &Figure, width: u32) -> u32 {
        let outside = frame::title_height(figure, width.into()) + frame::notes_height(figure, width.into());
        let room = f64::from(width) - 2.0 * frame::MARGIN;
        let lines = self.lines(room - self.name_width()).len().max(1) as f64;
        (lines * self.line_height() + SCALE_HEIGHT + outside + 2.0 * frame::MARGIN)
            .ceil()
            .clamp(120.0, 4000.0) as u32
    }

    fn piece_width(&self, index: usize) -> f64 {
        let text = &self.pieces[index].0;
        let air = if text.chars().count() > 1 { 8.0 } else { 1.6 };
        FONT.width(text) + air
    }

    /// Breaks after newlines, before words that do not fit, and inside words longer than a line.
    fn lines(&self, room: f64) -> Vec<Line> {
        let (mut lines, mut line, mut x) = (Vec::new(), Line::new(), 0.0);
        for index in 0..self.pieces.len() {
            let width = self.piece_width(index);
            let word = self.word_width(index);
            // A space may stand in the margin rather than begin a line.
            let hang = if self.pieces[index].0 == "␣" { width } else { 0.0 };
            let breaks = x + width > room + hang || (x + word > room + hang && word <= room);
            if breaks && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                x = 0.0;
            }
            line.push((index, x, width.min(room)));
            x += width;
            if self.pieces[index].1 {
                lines.push(std::mem::take(&mut line));
                x = 0.0;
            }
        }
        lines.extend((!line.is_empty()).then_some(line));
        lines
    }

    /// The width of the word that begins at this piece; of the piece itself inside a word.
    fn word_width(&self, index: usize) -> f64 {
        let blank = |i: usize| matches!(self.pieces[i].0.as_str(), "␣" | "⏎" | "⇥");
        if blank(index) || (index > 0 && !blank(index - 1)) {
            return self.piece_width(index);
        }
        (index..self.pieces.len()).take_while(|i| !blank(*i)).map(|i| self.piece_width(i)).sum()
    }

    pub fn draw(&self, canvas: &mut Canvas, _options: &Options, body: Rect) {
        let values = self.ribbons.iter().flat_map(|(_, values)| values.iter().copied());
        let hue = if self.strips { Hue::Blue } else { Hue::Warm };
        let scale = ColourScale::of(values.filter(|v| v.is_finite()), self.range, hue);
        let left = body.left + self.name_width();
        let room = body.bottom() - SCALE_HEIGHT;
        let mut top = body.top;
        for line in self.lines(body.right() - left) {
            if top + self.line_height() > room + 1.0 {
                canvas.text((left, top + 6.0), Align::Left, FONT, Colour::GREY, "…");
                break;
            }
            self.draw_line(canvas, &line, (left, top), &scale);
            top += self.line_height();
        }
        let bar = Rect::new(left, (top + 14.0).min(body.bottom() - 16.0), 180.0, 12.0);
        draw_scale(canvas, &bar, &scale, &self.scale_label, body.right());
    }

    fn draw_line(&self, canvas: &mut Canvas, line: &Line, corner: (f64, f64), scale: &ColourScale) {
        let snap = |edge: f64| (2.0 * edge).round() / 2.0;
        let (left, top) = corner;
        for (index, x, width) in line {
            let (text, _) = &self.pieces[*index];
            let (from, to) = (snap(left + x), snap(left + x + width));
            let mut behind = Colour::WHITE;
            for (row, (_, values)) in self.ribbons.iter().enumerate() {
                let colour = values.get(*index).map_or(Colour::GRID, |value| scale.colour(*value));
                let strip = top + TEXT_HEIGHT + row as f64 * STRIP;
                if self.strips {
                    canvas.fill(&Rect::new(from, strip, to - from, STRIP - 1.0), colour, 1.0);
                } else {
                    canvas.fill(&Rect::new(from, top, to - from, TEXT_HEIGHT), colour, 1.0);
                    behind = colour;
                }
            }
            let blank = matches!(text.as_str(), "␣" | "⏎" | "⇥");
            let ink = behind.text_on();
            let ink = if blank { ink.mix(behind, 0.55) } else { ink };
            let at = (left + x + width / 2.0, top + TEXT_HEIGHT / 2.0);
            canvas.text(at, Align::Centre, FONT, ink, &FONT.shorten(text, *width));
        }
        for (row, (name, _)) in self.ribbons.iter().enumerate().filter(|_| self.strips) {
            let y = top + TEXT_HEIGHT + (row as f64 + 0.5) * STRIP - 0.5;
            let name = TICK.shorten(name, 160.0);
            canvas.text((left - 8.0, y), Align::Right, TICK, Colour::GREY, &name);
        }
    }

    pub fn notes(&self) -> Vec<String> {
        let values = self.ribbons.iter().flat_map(|(_, values)| values.iter());
        let mut notes = Vec::new();
        let bad = values.filter(|v| !v.is_finite()).count();
        if bad > 0 {
            notes.push(format!("{bad} grey value{}: not finite", if bad == 1 { "" } else { "s" }));
        }
        if self.pieces.is_empty() {
            notes.push("no text".to_owned());
        }
        notes
    }
}

/// A horizontal colour bar with its ends' values, then its name.
fn draw_scale(canvas: &mut Canvas, bar: &Rect, scale: &ColourScale, name: &str, right: f64) {
    let low = short(scale.low);
    let bar = Rect::new(bar.left + TICK.width(&low) + 6.0, bar.top, bar.width, bar.height);
    let (y, steps) = (bar.centre().1, 60);
    canvas.text((bar.left - 6.0, y), Align::Right, TICK, Colour::GREY, &low);
    let step = bar.width / f64::from(steps);
    for index in 0..steps {
        let value = scale.low + (f64::from(index) + 0.5) / f64::from(steps) * (scale.high - scale.low);
        let band = Rect::new(bar.left + f64::from(index) * step, bar.top, step + 0.3, bar.height);
        canvas.fill(&band, scale.colour(value), 1.0);
    }
    canvas.outline(&bar, Stroke::solid(Colour::AXIS, 1.0));
    let high = short(scale.high);
    canvas.text((bar.right() + 6.0, y), Align::Left, TICK, Colour::GREY, &high);
    let start = bar.right() + 6.0 + TICK.width(&high) + 12.0;
    canvas.text((start, y), Align::Left, LABEL, Colour::INK, &LABEL.shorten(name, right - start));
}
