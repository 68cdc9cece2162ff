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

/// The font of everything but titles and coloured text.
pub(super) const TEXT: Font = Font { face: Face::Regular, size: 12.0 };

impl Font {
    /// The distance between two lines of text, in CSS pixels.
    pub fn line_height(&self) -> f64 {
        (self.size * 1.3).round()
    }

    /// The width of `text` in CSS pixels, without kerning.
    pub fn width(&self, text: &str) -> f64 {
        text.chars().map(|c| self.advance(c)).sum()
    }

    fn advance(&self, c: char) -> f64 {
        let Some(outlines) = outlines(self.face) else { return 0.6 * self.size };
        let glyph = outlines.glyph_index(c).unwrap_or_default();
        let units = outlines.glyph_hor_advance(glyph).unwrap_or_default();
        f64::from(units) / f64::from(outlines.units_per_em()) * self.size
    }

    /// `text`, or as much of its beginning as fits into `room` pixels, then "…".
    pub fn shorten(&self, text: &str, room: f64) -> String {
        let (mut used, dots) = (0.0, self.advance('…'));
        let mut cut = 0;
        for (start, c) in text.char_indices() {
            if used + dots <= room {
                cut = start;
            }
            used += self.advance(c);
            if used > room {
                return format!("{}…", text[..cut].trim_end());
            }
        }
        text.to_owned()
    }

    /// At most `most` lines of at most `room` pixels; a word that is too long alone is shortened, and so is
    /// the last line.
    pub fn wrap(&self, text: &str, room: f64, most: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let count = lines.len();
            let fits = |line: &String| self.width(line) + self.width(" ") + self.width(word) <= room;
            match lines.last_mut().filter(|line| count == most || fits(line)) {
                Some(line) => *line = format!("{line} {word}"),
                None => lines.push(word.to_owned()),
            }
        }
        lines.iter().map(|line| self.shorten(line, room)).collect()
    }

    /// As [`Font::wrap`], with lines of about the same length.
    pub fn balance(&self, text: &str, room: f64, most: usize) -> Vec<String> {
        let lines = self.wrap(text, room, most);
        let narrower = (5..10).map(|tenth| self.wrap(text, room * f64::from(tenth) / 10.0, most));
        let whole =
            |tried: &Vec<String>| tried.len() == lines.len() && !tried.iter().any(|l| l.ends_with('…'));
        narrower.into_iter().find(whole).unwrap_or(lines)
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
pub(super) fn visible(token: impl AsRef<str>) -> String {
    let token = token.as_ref();
    let inner = token.trim_matches(' ');
    let before = token.len() - token.trim_start_matches(' ').len();
    let after = token.len() - before - inner.len();
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
