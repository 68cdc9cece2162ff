//! Colours: one for each family of models, the same in all figures.
//!
//! Okabe and Ito's colours (jfly.uni-koeln.de/color), which colour-blind readers tell apart, with
//! black and yellow replaced by a dark violet and a dark red: every pair also differs by 18 or more
//! in CIE Lab under simulated protanopia and deuteranopia (Machado et al. 2009); n-grams, whose grey
//! comes closer, are dotted.

/// Red, green and blue, 0–255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    pub const WHITE: Self = Self(255, 255, 255);
    pub const BLACK: Self = Self(0, 0, 0);
    pub const INK: Self = Self::hex(0x222222);
    pub const GREY: Self = Self::hex(0x5A5A5A);
    pub const AXIS: Self = Self::hex(0x9A9A9A);
    pub const GRID: Self = Self::hex(0xE6E6E6);
    pub const GOLD: Self = Self::hex(0xE69F00);
    /// Where no family is named: the curves of "train" and "validation" alone, the blocks of a diagram.
    pub const MODEL: Self = Self::hex(0x30475E);

    /// The colour 0xRRGGBB.
    pub const fn hex(value: u32) -> Self {
        let [_, red, green, blue] = value.to_be_bytes();
        Self(red, green, blue)
    }

    /// The colour `share` of the way to `other`; `share` from 0 to 1.
    pub fn mix(self, other: Colour, share: f64) -> Self {
        let part = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
        Self(part(self.0, other.0), part(self.1, other.1), part(self.2, other.2))
    }

    /// Relative luminance, 0 (black) to 1 (white), as WCAG 2 defines it.
    pub fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// Dark enough for text on white: contrast 4.5 or more.
    pub fn for_text(self) -> Self {
        let mut darker = (0..20).map(|step| self.mix(Self::BLACK, f64::from(step) / 20.0));
        darker.find(|c| 1.05 / (c.luminance() + 0.05) >= 4.5).unwrap_or(Self::INK)
    }

    /// Black or white, whichever reads better on this colour.
    pub fn text_on(self) -> Self {
        if self.luminance() > 0.3 { Self::INK } else { Self::WHITE }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dash {
    Solid,
    /// Ink and gap in turn, in CSS pixels.
    Every(f64, f64),
}

const DASHED: Dash = Dash::Every(7.0, 4.0);
const DOTTED: Dash = Dash::Every(2.0, 2.5);
const LONG: Dash = Dash::Every(14.0, 4.0);

/// How a line is drawn; `width` in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    pub dash: Dash,
}

impl Stroke {
    pub fn solid(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: Dash::Solid }
    }

    pub fn dashed(colour: Colour, width: f64) -> Self {
        Self { colour, width, dash: DASHED }
    }
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub stroke: Stroke,
    /// The colour of its family, where the stroke's is a paler form of it.
    pub full: Colour,
}

const FAMILIES: [(&[&str], Colour, Dash); 10] = [
    (&["entropy floor", "floor"], Colour::hex(0x444444), DASHED),
    (&["n-gram", "unigram", "bigram", "trigram"], Colour::hex(0x707070), DOTTED),
    (&["rnn"], Colour::hex(0xE69F00), Dash::Solid),
    (&["gru"], Colour::hex(0xCC79A7), Dash::Solid),
    (&["lstm"], Colour::hex(0xD55E00), Dash::Solid),
    (&["seq2seq"], Colour::hex(0x56B4E9), Dash::Solid),
    (&["attention"], Colour::hex(0x009E73), Dash::Solid),
    (&["transformer"], Colour::hex(0x0072B2), Dash::Solid),
    (&["gpt"], Colour::hex(0x3B1F7A), Dash::Solid),
    (&["bert"], Colour::hex(0x6B0F2E), Dash::Solid),
];

/// The order of [`FAMILIES`] in which their colours go to names outside the families.
const FREE: [usize; 8] = [7, 4, 6, 3, 2, 8, 5, 9];

/// The colour of the family that `name` begins with, as red, green, blue; `None` outside the families.
///
/// The families are floor, n-gram, RNN, GRU, LSTM, seq2seq, attention, transformer, GPT and BERT;
/// case does not matter. "with attention" belongs to attention, "without attention" to seq2seq.
///
/// ```
/// use llm_course::plot::family_colour;
///
/// assert_eq!(family_colour("LSTM, 128 wide"), Some([213, 94, 0]));
/// assert_eq!(family_colour("lstm train"), family_colour("LSTM"));
/// assert_eq!(family_colour("chance"), None);
/// ```
pub fn family_colour(name: &str) -> Option<[u8; 3]> {
    family(name).map(|(colour, _)| [colour.0, colour.1, colour.2])
}

pub(super) fn family(name: &str) -> Option<(Colour, Dash)> {
    let name = name.trim().to_lowercase();
    let name = match name.as_str() {
        name if ["without attention", "no attention"].iter().any(|p| name.contains(p)) => "seq2seq",
        name if name.starts_with("with attention") => "attention",
        name if name.starts_with("seq2seq") && name.contains("attention") => "attention",
        name if name.split(['-', ' ']).nth(1).is_some_and(|word| word.starts_with("gram")) => "n-gram",
        name => name,
    };
    let of = FAMILIES.iter().find(|(names, ..)| names.iter().any(|start| name.starts_with(start)));
    of.map(|(_, colour, dash)| (*colour, *dash))
}

/// Reference lines are grey or in the colour of their family, and never solid.
pub(super) fn level_style(name: &str) -> Style {
    let (colour, dash) = family(name).unwrap_or((Colour::GREY, LONG));
    let dash = if dash == Dash::Solid { DASHED } else { dash };
    Style { stroke: Stroke { colour, width: 1.5, dash }, full: colour }
}

/// A style for each name: families keep theirs, others take the next free colour.
///
/// Training is the pale, thin form of a colour, validation the full one. Names that would look the
/// same differ in their dashes; `areas`, which have none, in their paleness.
pub(super) fn styles(names: &[&str], areas: bool) -> Vec<Style> {
    let families: Vec<_> = names.iter().map(|name| family(name)).collect();
    let mut styles: Vec<Style> = Vec::new();
    for (name, family) in names.iter().zip(&families) {
        let lower = name.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
        let says = |any: &[&str]| !areas && any.iter().any(|word| words.contains(word));
        let trains = says(&["train", "training"]);
        let (full, dash) = match family {
            Some(family) => *family,
            None if trains || says(&["validation", "valid", "val", "test", "held"]) => {
                (Colour::MODEL, Dash::Solid)
            }
            None => {
                let named = |c: &Colour| families.iter().flatten().any(|f| f.0 == *c);
                let taken = |c: &Colour| named(c) || styles.iter().any(|s| s.full == *c);
                let free = FREE.map(|index| FAMILIES[index].1);
                (free.into_iter().find(|c| !taken(c)).unwrap_or(free[styles.len() % 8]), Dash::Solid)
            }
        };
        let same = styles.iter().filter(|style| areas && style.full == full).count();
        let pale = if trains { 0.45 } else { [0.0, 0.5, 0.75][same.min(2)] };
        let (colour, width) = (full.mix(Colour::WHITE, pale), if trains { 1.4 } else { 2.0 });
        let same = |dash: &Dash| styles.iter().any(|s| s.stroke.colour == colour && s.stroke.dash == *dash);
        let dash = [dash, Dash::Solid, DASHED, DOTTED, LONG].into_iter().find(|d| !same(d)).unwrap_or(dash);
        styles.push(Style { stroke: Stroke { colour, width, dash }, full });
    }
    styles
}
