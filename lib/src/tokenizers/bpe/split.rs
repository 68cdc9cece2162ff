//! GPT-2's first cut of a text into words, and its order of the bytes.

use std::sync::LazyLock;

use fancy_regex::Regex;

/// GPT-2's pattern ends in `\s+(?!\S)|\s+`: of several spaces before a word, the last one is left to the word.
/// [`gpt2_split`] does that itself, because a plain automaton is several times as fast as a look-ahead.
static PIECE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+").expect("a valid pattern")
});

/// Cuts text where GPT-2 does (Radford et al. 2019, §2.2, and its published code): before a space, between
/// letters, digits and signs, before `'s`, `'t`, `'ll` and their like. The pieces together are the text.
///
/// ```
/// use llm_course::tokenizers::gpt2_split;
/// assert_eq!(gpt2_split("It's  3 o'clock!"), ["It", "'s", " ", " 3", " o", "'", "clock", "!"]);
/// ```
pub fn gpt2_split(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Ok(Some(found)) = PIECE.find(rest) {
        let mut end = found.end();
        let last = found.as_str().chars().next_back().expect("a match is not empty");
        if last.is_whitespace() && end < rest.len() && end > last.len_utf8() {
            end -= last.len_utf8();
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The bytes in the order of their ids: printable ones first, then the rest (GPT-2's `bytes_to_unicode`).
pub(super) const BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let (mut printable, mut other, mut byte) = (0, PRINTABLE, 0);
    while byte < 256 {
        let slot = if is_printable(byte as u8) { &mut printable } else { &mut other };
        bytes[*slot] = byte as u8;
        *slot += 1;
        byte += 1;
    }
    bytes
};

const PRINTABLE: usize = 188;

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The id of each byte.
pub(super) const BYTE_IDS: [i64; 256] = {
    let (mut ids, mut id) = ([0; 256], 0);
    while id < 256 {
        ids[BYTES[id] as usize] = id as i64;
        id += 1;
    }
    ids
};

/// The visible character that stands for a byte's id in files: a printable byte for itself, the others for
/// U+0100 and up (a space is `Ġ`).
pub(super) fn byte_char(id: usize) -> char {
    if id < PRINTABLE {
        char::from(BYTES[id])
    } else {
        char::from_u32((256 + id - PRINTABLE) as u32).expect("a letter")
    }
}
