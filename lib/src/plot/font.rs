//! The DejaVu fonts: widths, wrapping, and tokens made visible.

use std::sync::{Arc, OnceLock};

use resvg::usvg::fontdb::Database;
use ttf_parser::Face as Outlines;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Face {
    Regular,
    Bold,
    Mono,
}

/// A face at a size in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    pub face: Face,
    pub size: f64,
}

impl Font {
    pub const fn regular(size: f64) -> Self {
        Self { face: Face::Regular, size }
    }

    pub const fn bold(size: f64) -> Self {
        Self { face: Face::Bold, size }
    }

    pub const fn mono(size: f64) -> Self {
        Self { face: Face::Mono, size }
    }

    /// The distance between two lines of text, in CSS pixels.
    pub fn line_height(&self) -> f64 {
        (self.size * 1.3).round()
    }

    /// The width of `text` in CSS pixels, without kerning.
    pub fn width(&self, text: &str) -> f64 {
        let Some(outlines) = outlines(self.face) else {
            return 0.6 * self.size * text.chars().count() as f64;
        };
        let advance = |c: char| {
            let glyph = outlines.glyph_index(c).unwrap_or_default();
            f64::from(outlines.glyph_hor_advance(glyph).unwrap_or_default())
        };
        text.chars().map(advance).sum::<f64>() / f64::from(outlines.units_per_em()) * self.size
    }

    /// `text`, or as much of its beginning as fits into `room` pixels, then "…".
    pub fn shorten(&self, text: &str, room: f64) -> String {
        if self.width(text) <= room {
            return text.to_owned();
        }
        let mut short = text.to_owned();
        while !short.is_empty() && self.width(&short) + self.width("…") > room {
            short.pop();
        }
        format!("{}…", short.trim_end())
    }

    /// Lines of at most `room` pixels; a word that is too long alone is shortened.
    pub fn wrap(&self, text: &str, room: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split_whitespace() {
                let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
                if self.width(&longer) <= room || line.is_empty() {
                    line = longer;
                } else {
                    lines.push(std::mem::replace(&mut line, word.to_owned()));
                }
            }
            lines.push(line);
        }
        lines.iter().filter(|line| !line.is_empty()).map(|line| self.shorten(line, room)).collect()
    }

    /// As [`Font::wrap_to`], with lines of about the same length.
    pub fn balance(&self, text: &str, room: f64, most: usize) -> Vec<String> {
        let lines = self.wrap_to(text, room, most);
        let narrower = (5..10).map(|tenth| self.wrap(text, room * f64::from(tenth) / 10.0));
        let whole =
            |tried: &Vec<String>| tried.len() == lines.len() && !tried.iter().any(|l| l.ends_with('…'));
        narrower.into_iter().find(whole).filter(|_| lines.len() > 1).unwrap_or(lines)
    }

    /// As [`Font::wrap`], at most `most` lines, the last one shortened.
    pub fn wrap_to(&self, text: &str, room: f64, most: usize) -> Vec<String> {
        let mut lines = self.wrap(text, room);
        if lines.len() > most {
            let rest = lines.split_off(most.saturating_sub(1)).join(" ");
            lines.push(self.shorten(&rest, room));
        }
        lines
    }
}

fn outlines(face: Face) -> Option<&'static Outlines<'static>> {
    static FACES: OnceLock<[Option<Outlines<'static>>; 3]> = OnceLock::new();
    let faces = FACES.get_or_init(|| FILES.map(|file| Outlines::parse(file(), 0).ok()));
    faces[face as usize].as_ref()
}

/// In the order of [`Face`].
const FILES: [fn() -> &'static [u8]; 3] =
    [dejavu::sans::regular, dejavu::sans::bold, dejavu::sans_mono::regular];

/// The fonts as resvg wants them.
pub(super) fn database() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let load = || {
        let mut fonts = Database::new();
        FILES.iter().for_each(|file| fonts.load_font_data(file().to_vec()));
        Arc::new(fonts)
    };
    FONTS.get_or_init(load).clone()
}

/// A token as a label: "⏎" for a newline, "⇥" for a tab, "␣" for a space at either end.
pub(super) fn visible(token: &str) -> String {
    let inner = token.trim_matches(' ');
    if inner.is_empty() {
        return "␣".repeat(token.len());
    }
    let before = token.len() - token.trim_start_matches(' ').len();
    let after = token.len() - token.trim_end_matches(' ').len();
    let inner: String = inner.chars().map(visible_char).collect();
    format!("{}{inner}{}", "␣".repeat(before), "␣".repeat(after))
}

/// A character that leaves ink; spaces inside a label stay spaces.
pub(super) fn visible_char(c: char) -> char {
    match c {
        '\n' | '\r' => '⏎',
        '\t' => '⇥',
        c if c.is_control() => '�',
        c => c,
    }
}
