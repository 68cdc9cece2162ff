//! Names of series: beside the ends of their lines, or in a legend above the data.

use super::canvas::{Align, Canvas, Stroke};
use super::font::Font;
use super::geometry::{Point, Rect};
use super::palette::{Colour, Style};

pub(super) const FONT: Font = Font::regular(12.5);
const ROW: f64 = 19.0;
const SWATCH: f64 = 22.0;
/// From the edge of the data to the text beside it.
const LEADER: f64 = 16.0;

/// How a series looks in the legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Swatch {
    Line,
    Point,
    Box,
    Frame,
}

pub(super) struct Entry {
    pub name: String,
    pub style: Style,
    pub swatch: Swatch,
}

impl Entry {
    fn width(&self, room: f64) -> f64 {
        SWATCH + 6.0 + FONT.width(&FONT.shorten(&self.name, room - SWATCH - 24.0)) + 18.0
    }
}

/// The entries that fit into the upper half of `area`; the last one says "…" where some do not.
pub(super) fn fit(mut entries: Vec<Entry>, area: &Rect) -> Vec<Entry> {
    let rows = places(&entries, area.width);
    let fitting = rows.iter().filter(|(_, y)| y + ROW <= 0.5 * area.height).count().max(1);
    if fitting < entries.len() {
        entries.truncate(fitting);
        entries.iter_mut().last().into_iter().for_each(|entry| entry.name.push('…'));
    }
    entries
}

/// The height that a legend takes in `width` pixels.
pub(super) fn height(entries: &[Entry], width: f64) -> f64 {
    let rows = places(entries, width).iter().map(|place| place.1).fold(0.0, f64::max);
    if entries.is_empty() { 0.0 } else { rows + ROW + 6.0 }
}

/// The upper left corner of each entry: they flow like words.
fn places(entries: &[Entry], width: f64) -> Vec<Point> {
    let (mut x, mut y) = (0.0, 0.0);
    let mut places = Vec::new();
    for entry in entries {
        let needed = entry.width(width);
        if x > 0.0 && x + needed - 18.0 > width {
            (x, y) = (0.0, y + ROW);
        }
        places.push((x, y));
        x += needed;
    }
    places
}

pub(super) fn draw(canvas: &mut Canvas, entries: &[Entry], area: &Rect) {
    for (entry, (x, y)) in entries.iter().zip(places(entries, area.width)) {
        let (left, middle) = (area.left + x, area.top + y + ROW / 2.0);
        let centre = (left + SWATCH / 2.0, middle);
        let style = entry.style;
        match entry.swatch {
            Swatch::Line => {
                let stroke = Stroke { colour: style.colour, width: style.width, dash: style.dash };
                canvas.line(&[(left, middle), (left + SWATCH, middle)], stroke);
            }
            Swatch::Point => canvas.circle(centre, 4.0, style.colour),
            Swatch::Frame => {
                let cell = Rect::new(left + 5.0, middle - 6.0, 12.0, 12.0);
                canvas.outline(&cell, Stroke::solid(style.colour, style.width));
            }
            Swatch::Box => {
                canvas.fill(&Rect::new(left + 6.0, middle - 6.0, 12.0, 12.0), style.colour, 1.0);
            }
        }
        let name = FONT.shorten(&entry.name, area.width - SWATCH - 24.0);
        canvas.text((left + SWATCH + 6.0, middle), Align::Left, FONT, Colour::INK, &name);
    }
}

/// A name beside the data; `from` is where its line ends.
pub(super) struct EndLabel {
    pub name: String,
    pub style: Style,
    pub from: Point,
}

/// The room that these names need to the right of the data.
pub(super) fn beside_width<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    let widest = names.map(|name| FONT.width(name)).fold(0.0, f64::max);
    if widest == 0.0 { 6.0 } else { widest + LEADER + 6.0 }
}

/// Names beside the ends of their lines, moved apart where they would touch.
pub(super) fn draw_beside(canvas: &mut Canvas, labels: &[EndLabel], rect: &Rect) {
    let wanted: Vec<f64> = labels.iter().map(|l| l.from.1.clamp(rect.top, rect.bottom())).collect();
    let places = spread(&wanted, FONT.size + 3.5, rect.top, rect.bottom());
    for ((label, y), wanted) in labels.iter().zip(places).zip(wanted) {
        let edge = rect.right();
        let start = (label.from.0 + 4.0).min(edge + 2.0);
        let leader = Stroke::solid(label.style.colour.mix(Colour::WHITE, 0.35), 1.0);
        canvas.line(&[(start, wanted), (edge + 2.0, wanted), (edge + LEADER - 4.0, y)], leader);
        let colour = label.style.full.for_text();
        canvas.text((edge + LEADER, y), Align::Left, FONT, colour, &label.name);
    }
}

/// The places nearest to `wanted` (least squares) that are `gap` apart, between `low` and `high`.
fn spread(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Less the gaps, the places need only be in order: isotonic regression by pooling neighbours.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (rank, index) in order.iter().enumerate() {
        let mut pool = (wanted[*index] - rank as f64 * gap, 1);
        while let Some((sum, count)) =
            pools.pop_if(|(sum, count)| *sum / *count as f64 > pool.0 / pool.1 as f64)
        {
            pool = (pool.0 + sum, pool.1 + count);
        }
        pools.push(pool);
    }
    let last = high - gap * wanted.len().saturating_sub(1) as f64;
    let means = pools.iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / *count as f64, *count));
    let mut places = vec![0.0; wanted.len()];
    for ((rank, index), mean) in order.iter().enumerate().zip(means) {
        places[*index] = mean.min(last).max(low) + rank as f64 * gap;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn labels_keep_their_distance_and_order() {
        assert_eq!(spread(&[50.0, 10.0], 16.0, 0.0, 100.0), [50.0, 10.0]);
        assert_eq!(spread(&[50.0, 50.0], 16.0, 0.0, 100.0), [42.0, 58.0]);
        assert_eq!(spread(&[99.0, 98.0, 97.0], 16.0, 0.0, 100.0), [100.0, 84.0, 68.0]);
    }
}
