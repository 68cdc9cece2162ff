//! The checks of lesson 06 accept right answers in several forms and name the cause of classic wrong ones.

use std::collections::{HashMap, HashSet};

use llm_course::check;
use llm_course::tokenizers::Tokenizer;

use crate::verdicts::{accepts, rejects};

type Pair = (i64, i64);

/// Counts by position in a list, so that nothing is sorted.
fn counted(words: &[(Vec<i64>, i64)]) -> Vec<(Pair, i64)> {
    let mut counts: Vec<(Pair, i64)> = Vec::new();
    for (ids, n) in words {
        for i in 1..ids.len() {
            let pair = (ids[i - 1], ids[i]);
            match counts.iter_mut().find(|(known, _)| *known == pair) {
                Some((_, count)) => *count += n,
                None => counts.push((pair, *n)),
            }
        }
    }
    counts
}

/// The first in this order that nothing beats.
fn top(mut counts: Vec<(Pair, i64)>, sort: fn(&mut [(Pair, i64)])) -> (Pair, i64) {
    sort(&mut counts);
    let mut best = counts[0];
    for &(pair, count) in &counts {
        if count > best.1 {
            best = (pair, count);
        }
    }
    best
}

fn upwards(counts: &mut [(Pair, i64)]) {
    counts.sort();
}

#[test]
pub fn most_frequent_pair() {
    let exercise = check::most_frequent_pair_exercise();
    accepts(&exercise, &[exercise.reference, |words| top(counted(words), upwards)]);
    rejects(
        &exercise,
        &[
            ("each word is counted once", |words| {
                top(counted(&words.iter().map(|(ids, _)| (ids.to_vec(), 1)).collect::<Vec<_>>()), upwards)
            }),
            ("takes the largest", |words| {
                top(counted(words), |counts| counts.sort_by_key(|c| std::cmp::Reverse(c.0)))
            }),
            ("into the next", |words| {
                let mut all = Vec::new();
                for (ids, n) in words {
                    for _ in 0..*n {
                        all.extend(ids);
                    }
                }
                top(counted(&[(all, 1)]), upwards)
            }),
            ("every second pair", |words| {
                let mut counts: HashMap<Pair, i64> = HashMap::new();
                for (ids, n) in words {
                    for i in (1..ids.len()).step_by(2) {
                        *counts.entry((ids[i - 1], ids[i])).or_insert(0) += n;
                    }
                }
                top(counts.into_iter().collect(), upwards)
            }),
            ("rarest", |words| {
                let mut counts = counted(words);
                counts.sort_by_key(|&(pair, n)| (n, pair));
                counts[0]
            }),
            ("order of the two matters", |words| {
                let mut counts: HashMap<Pair, i64> = HashMap::new();
                for ((a, b), n) in counted(words) {
                    *counts.entry(if a < b { (a, b) } else { (b, a) }).or_insert(0) += n;
                }
                top(counts.into_iter().collect(), upwards)
            }),
        ],
    );
}

/// Recursive, from the left.
fn merge(ids: &[i64], pair: Pair, new: i64) -> Vec<i64> {
    match ids {
        [a, b, rest @ ..] if (*a, *b) == pair => [vec![new], merge(rest, pair, new)].concat(),
        [a, rest @ ..] => [vec![*a], merge(rest, pair, new)].concat(),
        [] => Vec::new(),
    }
}

fn merge_first(ids: &[i64], pair: Pair, new: i64) -> Vec<i64> {
    for i in 1..ids.len() {
        if (ids[i - 1], ids[i]) == pair {
            let mut out = ids.to_vec();
            out[i - 1] = new;
            out.remove(i);
            return out;
        }
    }
    ids.to_vec()
}

#[test]
pub fn merge_pair() {
    let exercise = check::merge_pair_exercise();
    accepts(
        &exercise,
        &[exercise.reference, merge, |ids, pair, new| {
            let mut ids = ids.to_vec();
            let mut i = 0;
            while i + 1 < ids.len() {
                if (ids[i], ids[i + 1]) == pair {
                    ids[i] = new;
                    ids.remove(i + 1);
                }
                i += 1;
            }
            ids
        }],
    );
    rejects(
        &exercise,
        &[
            ("only the first pair", merge_first),
            ("second id of the pair", |ids, pair, new| {
                let mut out = Vec::new();
                for i in 0..ids.len() {
                    if i + 1 < ids.len() && (ids[i], ids[i + 1]) == pair {
                        out.push(new);
                    } else {
                        out.push(ids[i]);
                    }
                }
                out
            }),
            ("last id gets lost", |ids, pair, new| {
                let mut out = Vec::new();
                let mut rest = ids;
                while rest.len() > 1 {
                    let hit = rest[0] == pair.0 && rest[1] == pair.1;
                    out.push(if hit { new } else { rest[0] });
                    rest = &rest[if hit { 2 } else { 1 }..];
                }
                out
            }),
            ("from the right", |ids, pair, new| {
                let mut ids = ids.to_vec();
                let mut end = ids.len();
                while end > 1 {
                    let hit = (ids[end - 2], ids[end - 1]) == pair;
                    if hit {
                        ids[end - 2] = new;
                        ids.remove(end - 1);
                    }
                    end = end.saturating_sub(1 + usize::from(hit));
                }
                ids
            }),
            ("b a is merged as well", |ids, (a, b), new| {
                let mut out: Vec<i64> = Vec::new();
                let mut i = 0;
                while i < ids.len() {
                    if i + 1 < ids.len() && ([a, b] == ids[i..i + 2] || [b, a] == ids[i..i + 2]) {
                        out.push(new);
                        i += 1;
                    } else {
                        out.push(ids[i]);
                    }
                    i += 1;
                }
                out
            }),
            ("not put in", |ids, pair, _| merge(ids, pair, -1).into_iter().filter(|&id| id >= 0).collect()),
        ],
    );
}

#[test]
pub fn bpe_encode() {
    let exercise = check::bpe_encode_exercise();
    fn by_rank(ids: &[i64], merges: &[Pair], rank_first: bool) -> Vec<i64> {
        let ranks: HashMap<Pair, usize> = merges.iter().enumerate().map(|(k, &pair)| (pair, k)).collect();
        let mut ids = ids.to_vec();
        loop {
            let pairs = (1..ids.len()).filter_map(|i| Some((*ranks.get(&(ids[i - 1], ids[i]))?, i)));
            let best = if rank_first { pairs.min() } else { pairs.min_by_key(|&(_, i)| i) };
            let Some((k, i)) = best else { return ids };
            ids[i - 1] = 256 + k as i64;
            ids.remove(i);
        }
    }
    fn replay(ids: &[i64], merges: &[Pair], step: fn(&[i64], Pair, i64) -> Vec<i64>) -> Vec<i64> {
        let mut ids = ids.to_vec();
        for (new, pair) in (256..).zip(merges) {
            ids = step(&ids, *pair, new);
        }
        ids
    }
    accepts(
        &exercise,
        &[
            exercise.reference,
            |ids, merges| by_rank(ids, merges, true),
            |ids, merges| replay(ids, merges, merge),
        ],
    );
    rejects(
        &exercise,
        &[
            ("leftmost pair", |ids, merges| by_rank(ids, merges, false)),
            ("longest token", |ids, merges| {
                let mut spelled: Vec<Vec<i64>> = Vec::new();
                for &(a, b) in merges {
                    let of = |id: i64| if id < 256 { vec![id] } else { spelled[id as usize - 256].clone() };
                    spelled.push([of(a), of(b)].concat());
                }
                let mut out = Vec::new();
                let mut at = 0;
                while at < ids.len() {
                    let mut best = (1, ids[at]);
                    for (k, bytes) in spelled.iter().enumerate() {
                        if ids[at..].starts_with(bytes) && bytes.len() > best.0 {
                            best = (bytes.len(), 256 + k as i64);
                        }
                    }
                    at += best.0;
                    out.push(best.1);
                }
                out
            }),
            ("from the last learnt", |ids, merges| {
                let mut ids = ids.to_vec();
                for (k, pair) in merges.iter().enumerate().rev() {
                    ids = merge(&ids, *pair, 256 + k as i64);
                }
                ids
            }),
            ("applied once", |ids, merges| replay(ids, merges, merge_first)),
            ("stops too early", |ids, merges| {
                for (new, pair) in (256..).zip(merges) {
                    let out = merge(ids, *pair, new);
                    if out != ids {
                        return out;
                    }
                }
                ids.to_vec()
            }),
            ("begin at 0", |ids, merges| {
                replay(ids, merges, merge).iter().map(|&id| if id > 255 { id - 256 } else { id }).collect()
            }),
        ],
    );
}

#[test]
pub fn longest_match() {
    let exercise = check::longest_match_exercise();
    /// Pieces of the rest of a word, or `None`.
    fn rest(word: &str, begin: bool, vocab: &HashSet<String>, longest: bool) -> Option<Vec<String>> {
        if word.is_empty() {
            return Some(Vec::new());
        }
        let mut ends: Vec<usize> = (1..=word.len()).collect();
        if longest {
            ends.reverse();
        }
        for end in ends {
            let piece = if begin { word[..end].to_string() } else { "##".to_string() + &word[..end] };
            if vocab.contains(&piece) {
                let mut pieces = vec![piece];
                pieces.extend(rest(&word[end..], false, vocab, longest)?);
                return Some(pieces);
            }
        }
        None
    }
    /// As far as it goes.
    fn covered(word: &str, vocab: &HashSet<String>) -> (Vec<String>, bool) {
        for end in (0..=word.len()).rev() {
            if let Some(pieces) = rest(&word[..end], true, vocab, true)
                && pieces.concat().replace("##", "").len() == end
            {
                return (pieces, end == word.len());
            }
        }
        (Vec::new(), false)
    }
    fn unknown() -> Vec<String> {
        vec!["[UNK]".into()]
    }
    accepts(
        &exercise,
        &[exercise.reference, |word, vocab| rest(word, true, vocab, true).unwrap_or_else(unknown)],
    );
    rejects(
        &exercise,
        &[
            ("the shortest piece", |word, vocab| rest(word, true, vocab, false).unwrap_or_else(unknown)),
            ("the mark is missing", |word, vocab| {
                let bare: HashSet<String> = vocab.iter().filter(|p| !p.starts_with("##")).cloned().collect();
                let marked: HashSet<String> =
                    bare.iter().map(|p| format!("##{p}")).chain(bare.clone()).collect();
                let pieces = rest(word, true, &marked, true).unwrap_or_else(unknown);
                pieces.iter().map(|p| p.replace("##", "")).collect()
            }),
            ("without their ##", |word, vocab| {
                let pieces = rest(word, true, vocab, true).unwrap_or_else(unknown);
                pieces.iter().map(|p| p.replace("##", "")).collect()
            }),
            ("its first pieces are dropped", |word, vocab| {
                let (mut pieces, whole) = covered(word, vocab);
                if !whole {
                    pieces.extend(unknown());
                }
                pieces
            }),
            ("without a trace", |word, vocab| covered(word, vocab).0),
            ("nothing at all", |word, vocab| rest(word, true, vocab, true).unwrap_or_default()),
            ("end of the word", |word, vocab| {
                let mut pieces: Vec<String> = Vec::new();
                let mut end = word.len();
                while end > 0 {
                    let piece = |start: usize| {
                        let mark = if start > 0 { "##" } else { "" };
                        mark.to_string() + &word[start..end]
                    };
                    match (0..end).map(piece).position(|piece| vocab.contains(&piece)) {
                        Some(start) => {
                            pieces.push(piece(start));
                            end = start;
                        }
                        None => return unknown(),
                    }
                }
                pieces.reverse();
                pieces
            }),
        ],
    );
}

#[test]
pub fn bits_per_byte() {
    let exercise = check::bits_per_byte_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |nats, tokens, text| nats * std::f64::consts::LOG2_E * tokens as f64 / text.len() as f64,
            |nats, tokens, text| llm_course::metrics::bits_per_byte(nats, tokens as i64, text.len() as i64),
        ],
    );
    rejects(
        &exercise,
        &[
            ("nats per byte", |nats, tokens, text| nats / (text.len() as f64 / tokens as f64)),
            ("multiplies by ln 2", |nats, tokens, text| {
                nats * 2f64.ln() / (text.len() as f64 / tokens as f64)
            }),
            ("bits per character", |nats, tokens, text| {
                let characters: Vec<char> = text.chars().collect();
                nats * tokens as f64 / 2f64.ln() / characters.len() as f64
            }),
            ("bits per token", |nats, _, _| nats * std::f64::consts::LOG2_E),
            ("exchanged", |nats, tokens, text| nats / 2f64.ln() / (tokens as f64 / text.len() as f64)),
            ("a mean already", |nats, _, text| nats / (text.len() as f64 * 2f64.ln())),
            ("perplexity", |nats, tokens, text| {
                std::f64::consts::E.powf(nats * tokens as f64 / text.len() as f64)
            }),
            ("whole numbers", |nats, tokens, text| nats / 2f64.ln() * (tokens / text.len()) as f64),
            ("off by", |nats, tokens, text| {
                nats / 2f64.ln() * tokens as f64 / text.split(' ').map(str::len).sum::<usize>() as f64
            }),
        ],
    );
}

#[test]
pub fn round_trip_test() {
    fn survives(tokenizer: &dyn Tokenizer, text: &str) -> bool {
        let back = tokenizer.decode(&tokenizer.encode(text));
        back == text
    }
    let exercise = check::round_trip_test_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |tokenizer| {
            survives(tokenizer, "He said: \"Été  at  the Sea!\"") && survives(tokenizer, "jabberwock")
        }],
    );
    rejects(
        &exercise,
        &[
            ("lower case", |_| true),
            ("which loses nothing", |_| false),
            ("plain bytes", |tokenizer| tokenizer.vocab_size() > 256 && survives(tokenizer, "É \"  x")),
            ("lower case", |tokenizer| survives(tokenizer, "the shells she sells")),
            ("quotation marks", |tokenizer| survives(tokenizer, "The Shells  she sells, été")),
            ("two spaces", |tokenizer| survives(tokenizer, "\"The Shells she sells\", été")),
            ("outside ASCII", |tokenizer| survives(tokenizer, "\"The Shells  she sells\", qxz")),
        ],
    );
}
