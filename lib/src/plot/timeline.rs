//! Timelines to scale: years on a band, names on flags above and below it that do not overlap.

use super::axis::Axis;
use super::canvas::{Align, Canvas};
use super::colormap::extent;
use super::font::TEXT;
use super::frame::count_note;
use super::geometry::Rect;
use super::number::Number;
use super::palette::{Colour, Stroke, family};
use super::{Figure, Kind};

#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    events: Vec<(f64, String)>,
}

/// Half the height of the band with the years, in CSS pixels.
const BAND: f64 = 10.0;
/// From the band to the nearest text.
const STEM: f64 = 14.0;
/// The widest text; longer ones wrap.
const WIDEST: f64 = 130.0;
/// How many heights are tried on each side of the band before flags overlap.
const LEVELS: usize = 60;

/// An event in its place; heights are measured from the middle of the band, negative above it.
struct Flag<'a> {
    name: &'a str,
    lines: Vec<String>,
    stem: Rect,
    text: Rect,
}

impl Figure {
    /// A timeline to scale, of [`event`](Figure::event)s; names of families take their colours.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let figure = Figure::timeline("Twenty-four years to attention, then three to the transformer")
    ///     .event(1990, "RNN (Elman)")
    ///     .event(1997, "LSTM")
    ///     .event(2014, "attention (Bahdanau)")
    ///     .event(2017, "transformer");
    /// # assert!(figure.png().is_ok());
    /// ```
    pub fn timeline(title: impl Into<String>) -> Self {
        Self::new(title, Kind::Timeline(Timeline::default()))
    }

    /// Something that happened in a year, on a timeline.
    pub fn event(mut self, year: impl Number, name: impl Into<String>) -> Self {
        let Kind::Timeline(line) = &mut self.kind else { return self.misplaced("event", "Figure::timeline") };
        line.events.push((year.number(), name.into()));
        self
    }
}

impl Timeline {
    fn finite(&self) -> impl Iterator<Item = &(f64, String)> {
        self.events.iter().filter(|(year, _)| year.is_finite())
    }

    fn axis(&self, width: f64) -> Axis {
        let (low, high) = extent(self.finite().map(|(year, _)| *year));
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        let air = 0.02 * (high - low);
        Axis::linear(low - air, high + air, width / 80.0, true)
    }

    /// Each event at the lowest level, in turn above and below, where its text covers no other flag.
    fn flags(&self, width: f64) -> Vec<Flag<'_>> {
        let axis = self.axis(width);
        let mut events: Vec<_> = self.finite().collect();
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut flags: Vec<Flag> = Vec::new();
        for (index, (year, name)) in events.into_iter().enumerate() {
            let lines = TEXT.wrap(&format!("{} {name}", year.floor()), WIDEST, 3);
            let wide = lines.iter().map(|line| TEXT.width(line)).fold(0.0, f64::max);
            let (x, high) = (axis.share(*year) * width, lines.len() as f64 * TEXT.line_height());
            // Text to the left of its stem leaves the years that follow free.
            let left = if x - 5.0 - wide >= 0.0 { x - 5.0 - wide } else { x + 5.0 };
            let place = |try_index: usize| {
                let level = BAND + STEM + (try_index / 2) as f64 * TEXT.line_height() / 2.0;
                let above = (try_index + index).is_multiple_of(2);
                let top = if above { -level - high } else { level };
                let stem = if above { top } else { 0.0 };
                let text = Rect::new(left, top, wide, high);
                (text, Rect::new(x - 1.0, stem, 2.0, level + high))
            };
            let free = |(text, stem): &(Rect, Rect)| {
                let air = text.shrink(-2.0, -5.0, -2.0, -5.0);
                let covers = |f: &Flag| f.text.overlap(&air) + f.stem.overlap(&air) > 0.0;
                !flags.iter().any(|f| covers(f) || f.text.overlap(stem) > 0.0)
            };
            let (text, stem) = (0..2 * LEVELS).map(place).find(free).unwrap_or(place(2 * LEVELS - 1));
            flags.push(Flag { name, lines, stem, text });
        }
        flags
    }

    /// How far the flags reach above and below the middle of the band, in CSS pixels.
    fn reach(&self, width: f64) -> (f64, f64) {
        let ends = self.flags(width).into_iter().map(|flag| (-flag.text.top, flag.text.bottom()));
        ends.fold((BAND, BAND), |reach, end| (reach.0.max(end.0), reach.1.max(end.1)))
    }

    /// The height of the body at this width, in CSS pixels.
    pub fn height(&self, width: f64) -> f64 {
        let (above, below) = self.reach(width);
        above + below + 4.0
    }

    pub fn draw(&self, canvas: &mut Canvas, body: Rect) {
        let (above, below) = self.reach(body.width);
        let squeeze = (body.height / (above + below)).min(1.0);
        let middle = body.top + above * squeeze;
        let flags = self.flags(body.width);
        let colour = |name: &str| family(name).map_or(Colour::MODEL, |(colour, _)| colour);
        for flag in &flags {
            let x = body.left + flag.stem.centre().0;
            let end = if flag.text.top < 0.0 { flag.text.top } else { flag.text.bottom() };
            canvas.line(&[(x, middle), (x, middle + end * squeeze)], Stroke::solid(colour(flag.name), 1.6));
        }
        canvas.fill(&Rect::new(body.left, middle - BAND, body.width, 2.0 * BAND), Colour::GRID, 1.0);
        let axis = self.axis(body.width);
        for tick in &axis.ticks {
            let text = tick.label.concat();
            let half = TEXT.width(&text) / 2.0 + 3.0;
            let x = axis.share(tick.at) * body.width;
            let at = (body.left + x.max(half).min(body.width - half), middle);
            canvas.text(at, Align::Centre, TEXT, Colour::INK, &text);
        }
        for flag in &flags {
            let dot = if flag.text.top < 0.0 { -BAND } else { BAND };
            canvas.circle((body.left + flag.stem.centre().0, middle + dot), 3.5, colour(flag.name));
            for (row, line) in flag.lines.iter().enumerate() {
                let y = middle + flag.text.top * squeeze + (row as f64 + 0.5) * TEXT.line_height();
                let (edge, align) = match flag.text.left < flag.stem.left {
                    true => (flag.text.right(), Align::Right),
                    false => (flag.text.left, Align::Left),
                };
                canvas.text((body.left + edge, y), align, TEXT, colour(flag.name).for_text(), line);
            }
        }
    }

    pub fn notes(&self) -> Vec<String> {
        let bad = self.events.len() - self.finite().count();
        let empty = self.events.is_empty().then(|| "no events".to_owned());
        count_note(bad, "event", " left out: the year is not finite").into_iter().chain(empty).collect()
    }
}
