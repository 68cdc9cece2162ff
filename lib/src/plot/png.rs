//! Small PNG files: at most 256 colours, a byte for each pixel.

use std::cmp::Reverse;
use std::collections::HashMap;

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, FilterType};
use resvg::tiny_skia::Pixmap;

/// So many frequent colours are kept whatever their distance: shades of areas, which carry values.
const KEPT: usize = 170;

type Rgb = [u8; 3];

/// The pixels, which are opaque, as a PNG with a palette.
///
/// Where there are more than 256 colours, rare ones (the edges of letters and lines) take the nearest
/// of the others.
pub(super) fn encode(pixels: &Pixmap) -> Result<Vec<u8>, EncodingError> {
    let mut counts: HashMap<Rgb, usize> = HashMap::new();
    let colours: Vec<Rgb> = pixels.pixels().iter().map(|p| [p.red(), p.green(), p.blue()]).collect();
    for run in colours.chunk_by(|a, b| a == b) {
        *counts.entry(run[0]).or_default() += run.len();
    }
    let palette = choose(&counts);
    let nearest = |c: &Rgb| (0..palette.len()).min_by_key(|i| distance(&palette[*i], c)).unwrap_or(0) as u8;
    let index: HashMap<Rgb, u8> = counts.keys().map(|c| (*c, nearest(c))).collect();
    let run = |run: &[Rgb]| std::iter::repeat_n(index[&run[0]], run.len());
    let bytes: Vec<u8> = colours.chunk_by(|a, b| a == b).flat_map(run).collect();
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

/// Up to 256 colours: the most frequent, then those that keep a distance from all others.
fn choose(counts: &HashMap<Rgb, usize>) -> Vec<Rgb> {
    let mut frequent: Vec<Rgb> = counts.keys().copied().collect();
    frequent.sort_by_key(|colour| (Reverse(counts[colour]), *colour));
    let rare = frequent.split_off(KEPT.min(frequent.len()));
    let mut apart = 1;
    loop {
        let mut palette = frequent.clone();
        for colour in &rare {
            if palette.len() <= 256 && palette.iter().all(|chosen| distance(chosen, colour) >= apart) {
                palette.push(*colour);
            }
        }
        if palette.len() <= 256 {
            return palette;
        }
        apart *= 2;
    }
}

fn distance(a: &Rgb, b: &Rgb) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
}
