//! Small PNG files: at most 256 colours, a byte for each pixel.

use std::collections::HashMap;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, FilterType};
use resvg::tiny_skia::Pixmap;

/// So many pixels of one colour are an area, not the edge of a letter.
const AREA: usize = 100;

type Rgb = [u8; 3];

/// The pixels, which are opaque, as a PNG with a palette.
///
/// Where there are more than 256 colours, rare ones (the edges of letters and lines) take the nearest
/// of the frequent ones.
pub(super) fn encode(pixels: &Pixmap) -> Result<Vec<u8>, EncodingError> {
    let mut counts: HashMap<Rgb, usize> = HashMap::new();
    let colours: Vec<Rgb> = pixels.pixels().iter().map(|p| [p.red(), p.green(), p.blue()]).collect();
    for run in colours.chunk_by(|a, b| a == b) {
        *counts.entry(run[0]).or_default() += run.len();
    }
    let palette = choose(&counts);
    let index: HashMap<Rgb, u8> = counts.keys().map(|c| (*c, nearest(&palette, c) as u8)).collect();
    let mut bytes = Vec::with_capacity(colours.len());
    for run in colours.chunk_by(|a, b| a == b) {
        bytes.extend(std::iter::repeat_n(index[&run[0]], run.len()));
    }
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, pixels.width(), pixels.height());
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette.concat());
    encoder.set_compression(Compression::Best);
    encoder.set_filter(FilterType::NoFilter);
    encoder.write_header()?.write_image_data(&bytes)?;
    Ok(file)
}

/// Up to 256 colours, frequent ones first, that keep a distance from each other.
///
/// Areas of one colour come first: their shades carry values, where edges only look smooth.
fn choose(counts: &HashMap<Rgb, usize>) -> Vec<Rgb> {
    let mut frequent: Vec<(Rgb, usize)> = counts.iter().map(|(colour, count)| (*colour, *count)).collect();
    frequent.sort_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
    if frequent.len() <= 256 {
        return frequent.into_iter().map(|(colour, _)| colour).collect();
    }
    let areas = frequent.iter().take_while(|(_, count)| *count >= AREA).count().min(170);
    let (areas, edges) = frequent.split_at(areas);
    let mut kept = Vec::new();
    add_apart(&mut kept, areas, 4);
    let mut apart = 16;
    loop {
        let mut palette = kept.clone();
        add_apart(&mut palette, edges, apart);
        if palette.len() <= 256 {
            return palette;
        }
        apart *= 2;
    }
}

/// Adds the colours whose squared distance to all of `palette` is more than `apart`.
fn add_apart(palette: &mut Vec<Rgb>, colours: &[(Rgb, usize)], apart: u32) {
    for (colour, _) in colours {
        if palette.len() <= 256 && palette.iter().all(|chosen| distance(chosen, colour) > apart) {
            palette.push(*colour);
        }
    }
}

fn nearest(palette: &[Rgb], colour: &Rgb) -> usize {
    (0..palette.len()).min_by_key(|i| distance(&palette[*i], colour)).unwrap_or(0)
}

fn distance(a: &Rgb, b: &Rgb) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
}
