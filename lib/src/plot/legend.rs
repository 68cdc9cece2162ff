//! Names of series: beside the ends of their lines, or in a legend above the data.

use super::canvas::{Align, Canvas};
use super::font::TEXT;
use super::geometry::{Point, Rect};
use super::palette::{Colour, Stroke, Style};

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
    /// The value of a reference line.
    pub level: Option<f64>,
}

/// The names that go beside the data, if all lines' names fit there, and those that go above.
pub(super) fn split(entries: Vec<Entry>, body: &Rect) -> (Vec<Entry>, Vec<Entry>) {
    let (lines, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| e.swatch == Swatch::Line);
    let right = beside_width(&lines);
    let fits = right <= 0.36 * body.width
        && (right <= 10.0 || body.width - right >= 400.0)
        && lines.len() as f64 * ROW <= 0.75 * body.height;
    if fits { (lines, others) } else { (Vec::new(), fit(others.into_iter().chain(lines).collect(), body)) }
}

/// The entries that fit into the upper half of `area`; the last one says "…" where some do not.
fn fit(mut entries: Vec<Entry>, area: &Rect) -> Vec<Entry> {
    let rows = places(&entries, area.width);
    let fitting = rows.iter().filter(|(_, y)| y + ROW <= 0.5 * area.height).count().max(1);
    if fitting < entries.len() {
        entries.truncate(fitting);
        entries[fitting - 1].name += " …";
    }
    entries
}

/// The height that a legend takes in `width` pixels.
pub(super) fn height(entries: &[Entry], width: f64) -> f64 {
    places(entries, width).last().map_or(0.0, |(_, y)| y + ROW + 6.0)
}

/// The upper left corner of each entry: they flow like words.
fn places(entries: &[Entry], width: f64) -> Vec<Point> {
    let (mut x, mut y) = (0.0, 0.0);
    let place = |entry: &Entry| {
        let needed = (SWATCH + 6.0 + TEXT.width(&entry.name)).min(width);
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + ROW);
        }
        let place = (x, y);
        x += needed + 18.0;
        place
    };
    entries.iter().map(place).collect()
}

pub(super) fn draw(canvas: &mut Canvas, entries: &[Entry], area: &Rect) {
    for (entry, (x, y)) in entries.iter().zip(places(entries, area.width)) {
        let (left, middle) = (area.left + x, area.top + y + ROW / 2.0);
        let (stroke, centre) = (entry.style.stroke, (left + SWATCH / 2.0, middle));
        let square = Rect::around(centre, 12.0, 12.0);
        match entry.swatch {
            Swatch::Line => canvas.line(&[(left, middle), (left + SWATCH, middle)], stroke),
            Swatch::Point => canvas.circle(centre, 4.0, stroke.colour),
            Swatch::Frame => canvas.outline(&square, stroke),
            Swatch::Box => canvas.fill(&square, stroke.colour, 1.0),
        }
        let name = TEXT.shorten(&entry.name, area.width - SWATCH - 6.0);
        canvas.text((left + SWATCH + 6.0, middle), Align::Left, TEXT, Colour::INK, &name);
    }
}

/// The room that these names need to the right of the data.
pub(super) fn beside_width(entries: &[Entry]) -> f64 {
    let widest = entries.iter().map(|entry| TEXT.width(&entry.name)).fold(0.0, f64::max);
    if widest == 0.0 { 10.0 } else { widest + LEADER + 6.0 }
}

/// Names beside the ends of their lines, moved apart where they would touch.
pub(super) fn draw_beside(canvas: &mut Canvas, labels: &[(&Entry, Point)], rect: &Rect) {
    let wanted: Vec<f64> = labels.iter().map(|(_, end)| rect.nearest(*end).1).collect();
    let places = spread(&wanted, TEXT.size + 3.5, rect.top, rect.bottom());
    for (((entry, end), y), wanted) in labels.iter().zip(places).zip(wanted) {
        let edge = rect.right();
        let start = (end.0 + 4.0).min(edge + 2.0);
        let leader = Stroke::solid(entry.style.stroke.colour.mix(Colour::WHITE, 0.35), 1.0);
        canvas.line(&[(start, wanted), (edge + 2.0, wanted), (edge + LEADER - 4.0, y)], leader);
        let colour = entry.style.full.for_text();
        canvas.text((edge + LEADER, y), Align::Left, TEXT, colour, &entry.name);
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
        let mean = |(sum, count): (f64, usize)| sum / count as f64;
        while let Some(before) = pools.pop_if(|before| mean(*before) > mean(pool)) {
            pool = (pool.0 + before.0, pool.1 + before.1);
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
