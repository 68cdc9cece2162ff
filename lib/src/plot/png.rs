//! Small PNG files: at most 256 colours, a byte for each pixel.

use std::collections::HashMap;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, FilterType};
use resvg::tiny_skia::Pixmap;

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
fn choose(counts: &HashMap<Rgb, usize>) -> Vec<Rgb> {
    let mut frequent: Vec<(Rgb, usize)> = counts.iter().map(|(colour, count)| (*colour, *count)).collect();
    frequent.sort_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
    if frequent.len() <= 256 {
        return frequent.into_iter().map(|(colour, _)| colour).collect();
    }
    let mut apart = 12;
    loop {
        let mut palette: Vec<Rgb> = Vec::new();
        for (colour, _) in &frequent {
            if palette.iter().all(|chosen| distance(chosen, colour) > apart) {
                palette.push(*colour);
            }
        }
        if palette.len() <= 256 {
            return palette;
        }
        apart *= 2;
    }
}

fn nearest(palette: &[Rgb], colour: &Rgb) -> usize {
    (0..palette.len()).min_by_key(|i| distance(&palette[*i], colour)).unwrap_or(0)
}

fn distance(a: &Rgb, b: &Rgb) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
}
