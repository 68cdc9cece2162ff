//! Text whose characters or tokens are coloured by values: loss by character, gates over a text.

use super::canvas::{Align, Canvas};
use super::colormap::{ColourScale, SCALE_HEIGHT, ScaleOptions};
use super::font::{Face, Font, TEXT, visible, visible_char};
use super::frame::count_note;
use super::geometry::{Point, Rect};
use super::number::Values;
use super::palette::Colour;
use super::{Figure, Kind};

#[derive(Clone, Debug)]
pub(super) struct HeatText {
    /// Characters or tokens as they are shown, and whether a line ends after each.
    pieces: Vec<(String, bool)>,
    ribbons: Vec<(String, Vec<f64>)>,
    /// A strip for each ribbon below the text instead of a coloured background.
    strips: bool,
    pub scale: ScaleOptions,
}

const FONT: Font = Font { face: Face::Mono, size: 14.0 };
const TEXT_HEIGHT: f64 = 22.0;
const STRIP: f64 = 14.0;

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
    pub fn heat_text(title: impl Into<String>, text: impl AsRef<str>, values: impl Values) -> Self {
        Self::coloured(title.into(), characters(text.as_ref()), false).ribbon("", values)
    }

    /// As [`Figure::heat_text`], with tokens instead of characters.
    pub fn heat_tokens(
        title: impl Into<String>,
        tokens: impl IntoIterator<Item = impl AsRef<str>>,
        values: impl Values,
    ) -> Self {
        let piece = |token: &str| (visible(token), token.ends_with('\n'));
        let pieces = tokens.into_iter().map(|token| piece(token.as_ref())).collect();
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
    pub fn ribbon(mut self, name: impl Into<String>, values: impl Values) -> Self {
        let Kind::HeatText(text) = &mut self.kind else { return self.misplaced("ribbon", "Figure::ribbons") };
        let (name, values) = (name.into(), values.values());
        let (pieces, count) = (text.pieces.len(), values.len());
        text.ribbons.push((name.clone(), values));
        let name = if name.is_empty() { "coloured text" } else { &name };
        self.same_length(name, ("characters or tokens", pieces), ("values", count));
        self
    }

    fn coloured(title: String, pieces: Vec<(String, bool)>, strips: bool) -> Self {
        let (ribbons, scale) = (Vec::new(), ScaleOptions::default());
        Self::new(title, Kind::HeatText(HeatText { pieces, ribbons, strips, scale }))
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
        let widest = self.ribbons.iter().map(|(name, _)| TEXT.width(name)).fold(0.0, f64::max);
        if self.strips && widest > 0.0 { widest.min(160.0) + 10.0 } else { 0.0 }
    }

    fn line_height(&self) -> f64 {
        TEXT_HEIGHT + if self.strips { self.ribbons.len() as f64 * STRIP + 10.0 } else { 4.0 }
    }

    /// The height of the body at this width, in CSS pixels.
    pub fn height(&self, width: f64) -> f64 {
        let lines = self.lines(width - self.name_width()).len().max(1) as f64;
        lines * self.line_height() + SCALE_HEIGHT
    }

    fn piece_width(&self, index: usize) -> f64 {
        let text = &self.pieces[index].0;
        let air = if text.chars().count() > 1 { 8.0 } else { 1.6 };
        FONT.width(text) + air
    }

    fn is_blank(&self, index: usize) -> bool {
        matches!(self.pieces[index].0.as_str(), "␣" | "⏎" | "⇥")
    }

    /// Breaks after newlines, before words that do not fit, and inside words longer than a line.
    fn lines(&self, room: f64) -> Vec<Line> {
        let (mut lines, mut x) = (vec![Line::new()], 0.0);
        for index in 0..self.pieces.len() {
            let (width, word) = (self.piece_width(index), self.word_width(index));
            // A space may stand in the margin rather than begin a line.
            let hang = if self.is_blank(index) { width } else { 0.0 };
            let breaks = x + width > room + hang || (x + word > room + hang && word <= room);
            let ended = index > 0 && self.pieces[index - 1].1;
            if ended || (breaks && x > 0.0) {
                lines.push(Line::new());
                x = 0.0;
            }
            lines.last_mut().expect("begins with one").push((index, x, width.min(room)));
            x += width;
        }
        lines
    }

    /// The width of the word that begins at this piece; of the piece itself inside a word.
    fn word_width(&self, index: usize) -> f64 {
        if self.is_blank(index) || (index > 0 && !self.is_blank(index - 1)) {
            return self.piece_width(index);
        }
        (index..self.pieces.len()).take_while(|i| !self.is_blank(*i)).map(|i| self.piece_width(i)).sum()
    }

    pub fn draw(&self, canvas: &mut Canvas, body: Rect) {
        let values = self.ribbons.iter().flat_map(|(_, values)| values.iter().copied());
        let scale = ColourScale::of(values, &self.scale);
        let left = body.left + self.name_width();
        let mut top = body.top;
        for line in self.lines(body.right() - left) {
            if top + self.line_height() + SCALE_HEIGHT > body.bottom() + 1.0 {
                canvas.text((left, top + 6.0), Align::Left, FONT, Colour::GREY, "…");
                break;
            }
            self.draw_line(canvas, &line, (left, top), &scale);
            top += self.line_height();
        }
        scale.draw(canvas, (left, (top + 14.0).min(body.bottom() - 16.0)), body.right());
    }

    fn draw_line(&self, canvas: &mut Canvas, line: &Line, (left, top): Point, scale: &ColourScale) {
        for (index, x, width) in line {
            let mut behind = Colour::WHITE;
            for (row, (_, values)) in self.ribbons.iter().enumerate() {
                let colour = values.get(*index).map_or(Colour::GRID, |value| scale.colour(*value));
                let strip = top + TEXT_HEIGHT + row as f64 * STRIP;
                let (y, height) = if self.strips { (strip, STRIP - 1.0) } else { (top, TEXT_HEIGHT) };
                canvas.fill(&Rect::new(left + x, y, *width, height).snapped(), colour, 1.0);
                behind = if self.strips { Colour::WHITE } else { colour };
            }
            let ink = behind.text_on();
            let ink = if self.is_blank(*index) { ink.mix(behind, 0.55) } else { ink };
            let at = (left + x + width / 2.0, top + TEXT_HEIGHT / 2.0);
            canvas.text(at, Align::Centre, FONT, ink, &FONT.shorten(&self.pieces[*index].0, *width));
        }
        for (row, (name, _)) in self.ribbons.iter().enumerate().filter(|_| self.strips) {
            let y = top + TEXT_HEIGHT + (row as f64 + 0.5) * STRIP - 0.5;
            canvas.text((left - 8.0, y), Align::Right, TEXT, Colour::GREY, &TEXT.shorten(name, 160.0));
        }
    }

    pub fn notes(&self) -> Vec<String> {
        let bad = self.ribbons.iter().flat_map(|(_, values)| values).filter(|v| !v.is_finite()).count();
        let empty = self.pieces.is_empty().then(|| "no text".to_owned());
        count_note(bad, "grey value", ": not finite").into_iter().chain(empty).collect()
    }
}
