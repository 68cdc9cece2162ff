//! Exercises of tokenizers: pair counts, a merge, BPE's encoding, longest match, bits per byte, a round trip.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use tch::Tensor;

use super::compare::Cases;
use super::{Exercise, Mistake, Outcome};
use crate::tokenizers::{Bpe, Tokenizer, WordPiece, WordTokenizer};

/// Distinct words as ids, each with how often it occurs.
pub type WordCounts = Vec<(Vec<i64>, i64)>;
/// Words → the most frequent pair of neighbours, of equally frequent ones the smallest, and how often it occurs.
pub type MostFrequentPair = fn(&[(Vec<i64>, i64)]) -> ((i64, i64), i64);
/// ids, a pair, a new id → the ids with the new one in place of each pair, from the left.
pub type MergePair = fn(&[i64], (i64, i64), i64) -> Vec<i64>;
/// The ids of a word's bytes, merges in the order they were learnt (merge k makes id 256 + k) → its tokens.
pub type BpeEncode = fn(&[i64], &[(i64, i64)]) -> Vec<i64>;
/// A word and a vocabulary → its WordPieces, or `[UNK]` alone.
pub type LongestMatch = fn(&str, &HashSet<String>) -> Vec<String>;
/// Mean nats per token, number of tokens, the text they stand for → bits per byte.
pub type BitsPerByte = fn(f64, usize, &str) -> f64;
/// A test of a tokenizer: `true` if it loses nothing.
pub type RoundTripTest = fn(&dyn Tokenizer) -> bool;

/// Checks the most frequent pair; returns the function if it is right, else the reference.
pub fn most_frequent_pair(answer: MostFrequentPair) -> MostFrequentPair {
    most_frequent_pair_exercise().check(answer)
}

/// Each pair of neighbours with its count, the smallest pair first.
fn pair_counts(words: &[(Vec<i64>, i64)]) -> BTreeMap<(i64, i64), i64> {
    let mut counts = BTreeMap::new();
    for (ids, count) in words {
        ids.windows(2).for_each(|pair| *counts.entry((pair[0], pair[1])).or_default() += count);
    }
    counts
}

fn best_pair(counts: BTreeMap<(i64, i64), i64>) -> ((i64, i64), i64) {
    counts.into_iter().max_by_key(|&(pair, count)| (count, Reverse(pair))).expect("a word of two ids")
}

/// Exercise 6.1.
pub fn most_frequent_pair_exercise() -> Exercise<MostFrequentPair> {
    Exercise {
        number: "6.1",
        reference: |words| best_pair(pair_counts(words)),
        mistakes: vec![
            Mistake::new(
                "each word is counted once: a pair occurs as often as its word does, so add the word's count",
                |words| {
                    let once: WordCounts = words.iter().map(|(ids, _)| (ids.clone(), 1)).collect();
                    best_pair(pair_counts(&once))
                },
            ),
            Mistake::new(
                "of equally frequent pairs this takes the largest: the rule is the smallest, so that everybody learns \
                 the same merges; max_by_key with (count, Reverse(pair))",
                |words| {
                    pair_counts(words).into_iter().max_by_key(|&(pair, count)| (count, pair)).expect("a pair")
                },
            ),
            Mistake::new(
                "pairs reach from one word into the next: merges never cross a word, so count inside each word",
                |words| {
                    let mut counts = pair_counts(words);
                    for next in words.windows(2) {
                        let across = (*next[0].0.last().expect("ids"), next[1].0[0]);
                        *counts.entry(across).or_default() += next[0].1;
                    }
                    best_pair(counts)
                },
            ),
            Mistake::new(
                "pairs reach from one word into the next: merges never cross a word, so count inside each word",
                |words| {
                    let all = words.iter().flat_map(|(ids, n)| ids.repeat(*n as usize)).collect();
                    best_pair(pair_counts(&[(all, 1)]))
                },
            ),
            Mistake::new(
                "every second pair is skipped: the middle of a b c belongs to two pairs; windows(2), not chunks(2)",
                |words| {
                    let mut counts = BTreeMap::new();
                    for (ids, count) in words {
                        let pairs = ids.chunks_exact(2);
                        pairs.for_each(|pair| *counts.entry((pair[0], pair[1])).or_default() += count);
                    }
                    best_pair(counts)
                },
            ),
            Mistake::new("this is the rarest pair: take the largest count", |words| {
                pair_counts(words).into_iter().min_by_key(|&(pair, count)| (count, pair)).expect("a pair")
            }),
            Mistake::new("a b and b a are counted as one pair: the order of the two matters", |words| {
                let mut counts = BTreeMap::new();
                for ((a, b), count) in pair_counts(words) {
                    *counts.entry((a.min(b), a.max(b))).or_default() += count;
                }
                best_pair(counts)
            }),
        ],
        run: |most_frequent, cases| {
            let words: WordCounts = match cases.extreme() {
                true => vec![(vec![4, 3, 2], 3), (vec![1, 2], 3), (vec![7, 2], 2)], // a tie
                false => {
                    let count = cases.size(4, 7);
                    (0..count).map(|_| (cases.id_list(2, 7, 4), cases.size(1, 9))).collect()
                }
            };
            let ((left, right), count) = most_frequent(&words);
            Outcome::list([
                ("the pair", Tensor::from_slice(&[left, right])),
                ("how often it occurs", Tensor::from(count)),
            ])
        },
    }
}

/// Checks a merge; returns the function if it is right, else the reference.
pub fn merge_pair(answer: MergePair) -> MergePair {
    merge_pair_exercise().check(answer)
}

/// `new` in place of two neighbours that are `found`, from the left, each id used once.
fn merged_where(ids: &[i64], new: i64, found: impl Fn(i64, i64) -> bool) -> Vec<i64> {
    let (mut out, mut i) = (Vec::new(), 0);
    while i < ids.len() {
        let hit = ids.get(i + 1).is_some_and(|&next| found(ids[i], next));
        out.push(if hit { new } else { ids[i] });
        i += if hit { 2 } else { 1 };
    }
    out
}

fn merged(ids: &[i64], pair: (i64, i64), new: i64) -> Vec<i64> {
    merged_where(ids, new, |a, b| (a, b) == pair)
}

/// The first occurrence only.
fn merged_once(ids: &[i64], pair: (i64, i64), new: i64) -> Vec<i64> {
    match ids.windows(2).position(|two| (two[0], two[1]) == pair) {
        Some(at) => [&ids[..at], &[new], &ids[at + 2..]].concat(),
        None => ids.to_vec(),
    }
}

fn reversed(ids: &[i64]) -> Vec<i64> {
    ids.iter().rev().copied().collect()
}

/// Exercise 6.2.
pub fn merge_pair_exercise() -> Exercise<MergePair> {
    Exercise {
        number: "6.2",
        reference: merged,
        mistakes: vec![
            Mistake::new(
                "only the first pair is merged: go on behind it, to the end of the word",
                merged_once,
            ),
            Mistake::new(
                "the second id of the pair is still looked at: after a merge go on two ids further, so that a a a \
                 becomes (aa) a",
                |ids, pair, new| {
                    let at = |i: usize| ids[i] == pair.0 && ids.get(i + 1) == Some(&pair.1);
                    (0..ids.len()).map(|i| if at(i) { new } else { ids[i] }).collect()
                },
            ),
            Mistake::new(
                "the last id gets lost: it has no right neighbour, but it stays",
                |ids, pair, new| {
                    let (mut out, mut i) = (Vec::new(), 0);
                    while i + 1 < ids.len() {
                        let found = (ids[i], ids[i + 1]) == pair;
                        out.push(if found { new } else { ids[i] });
                        i += if found { 2 } else { 1 };
                    }
                    out
                },
            ),
            Mistake::new(
                "pairs are merged from the right: a a a becomes (aa) a, not a (aa)",
                |ids, pair, new| reversed(&merged(&reversed(ids), (pair.1, pair.0), new)),
            ),
            Mistake::new("b a is merged as well: the order of the two matters", |ids, pair, new| {
                merged_where(ids, new, |a, b| (a, b) == pair || (b, a) == pair)
            }),
            Mistake::new("the pair is taken out and the new id not put in", |ids, pair, new| {
                merged(ids, pair, new).into_iter().filter(|&id| id != new).collect()
            }),
            Mistake::new(
                "what was just merged is merged again: one walk from the left; the new id belongs to no pair yet",
                |ids, pair, new| {
                    let mut out: Vec<i64> = Vec::new();
                    for &id in ids {
                        match out.last_mut() {
                            Some(last) if id == pair.1 && (*last == pair.0 || *last == new) => *last = new,
                            _ => out.push(id),
                        }
                    }
                    out
                },
            ),
        ],
        run: |merge, cases| {
            let ids = cases.id_list(6, 14, 3);
            let pair = if cases.extreme() { (1, 1) } else { (cases.size(0, 2), cases.size(0, 2)) };
            let ids = match cases.extreme() {
                true => [&[1, 1, 1, 0, 1, 1], &ids[..]].concat(),
                false => [&ids[..], &[pair.0, pair.1, pair.1, pair.0]].concat(),
            };
            Outcome::ids(
                "the number of ids after the merge",
                "the ids after the merge",
                &merge(&ids, pair, 256),
            )
        },
    }
}

/// Checks BPE's encoding of a word; returns the function if it is right, else the reference.
pub fn bpe_encode(answer: BpeEncode) -> BpeEncode {
    bpe_encode_exercise().check(answer)
}

const FIRST: i64 = 256;

/// Merges whichever pair `choose` picks, until it picks none: it gets the rank and the place of every candidate.
fn merge_while(
    ids: &[i64],
    merges: &[(i64, i64)],
    choose: fn(&[(usize, usize)]) -> Option<usize>,
) -> Vec<i64> {
    let mut ids = ids.to_vec();
    loop {
        let rank = |two: &[i64]| merges.iter().position(|&pair| pair == (two[0], two[1]));
        let found: Vec<(usize, usize)> =
            ids.windows(2).enumerate().filter_map(|(at, two)| Some((rank(two)?, at))).collect();
        let Some(choice) = choose(&found) else { return ids };
        let (rank, at) = found[choice];
        ids.splice(at..at + 2, [FIRST + rank as i64]);
    }
}

/// The bytes' ids that each id stands for.
fn spelled(id: i64, merges: &[(i64, i64)]) -> Vec<i64> {
    match usize::try_from(id - FIRST).ok().map(|rank| merges[rank]) {
        Some((left, right)) => [spelled(left, merges), spelled(right, merges)].concat(),
        None => vec![id],
    }
}

/// Exercise 6.3.
pub fn bpe_encode_exercise() -> Exercise<BpeEncode> {
    fn least(found: &[(usize, usize)]) -> Option<usize> {
        (0..found.len()).min_by_key(|&i| found[i])
    }
    fn latest(found: &[(usize, usize)]) -> Option<usize> {
        (0..found.len()).max_by_key(|&i| (found[i].0, Reverse(found[i].1)))
    }
    Exercise {
        number: "6.3",
        reference: |ids, merges| merge_while(ids, merges, least),
        mistakes: vec![
            Mistake::new(
                "this merges the leftmost pair it knows: the order is that of the merges, whatever the place in the word",
                |ids, merges| merge_while(ids, merges, |found| (!found.is_empty()).then_some(0)),
            ),
            Mistake::new(
                "the longest token from the left is taken, as WordPiece does: BPE repeats its merges in the order it \
                 learnt them",
                |ids, merges| {
                    let (mut out, mut start) = (Vec::new(), 0);
                    while start < ids.len() {
                        let all = (0..merges.len() as i64).map(|rank| FIRST + rank).chain([ids[start]]);
                        let fits = all.filter(|&id| ids[start..].starts_with(&spelled(id, merges)));
                        let id =
                            fits.max_by_key(|&id| (spelled(id, merges).len(), Reverse(id))).expect("a byte");
                        start += spelled(id, merges).len();
                        out.push(id);
                    }
                    out
                },
            ),
            Mistake::new(
                "the merges are applied from the last learnt to the first: begin with merge 0",
                |ids, merges| {
                    let backwards = merges.iter().enumerate().rev();
                    backwards.fold(ids.to_vec(), |ids, (rank, &pair)| merged(&ids, pair, FIRST + rank as i64))
                },
            ),
            Mistake::new(
                "the merges are applied from the last learnt to the first: begin with merge 0",
                |ids, merges| merge_while(ids, merges, latest),
            ),
            Mistake::new(
                "each merge is applied once: it holds wherever its pair stands in the word",
                |ids, merges| {
                    let ranked = merges.iter().enumerate();
                    ranked
                        .fold(ids.to_vec(), |ids, (rank, &pair)| merged_once(&ids, pair, FIRST + rank as i64))
                },
            ),
            Mistake::new(
                "it stops too early: later merges join what earlier ones have made",
                |ids, merges| {
                    let ranked = merges.iter().enumerate();
                    let mut made = ranked.map(|(rank, &pair)| merged(ids, pair, FIRST + rank as i64));
                    made.find(|new| new.len() < ids.len()).unwrap_or(ids.to_vec())
                },
            ),
            Mistake::new(
                "the new ids begin at 0: merge k makes id 256 + k, behind the bytes",
                |ids, merges| {
                    let new = merge_while(ids, merges, least);
                    new.into_iter().map(|id| if id < FIRST { id } else { id - FIRST }).collect()
                },
            ),
            Mistake::new(
                "the new ids begin at 257: merge k, counted from 0, makes id 256 + k",
                |ids, merges| {
                    let new = merge_while(ids, merges, least);
                    new.into_iter().map(|id| if id < FIRST { id } else { id + 1 }).collect()
                },
            ),
        ],
        run: |encode, cases| {
            // In a b c the leftmost pair is not the earliest-learnt one, nor does it lead to the longest token.
            let (start, known): (&[i64], _) = match cases.extreme() {
                true => (&[0, 1, 2], vec![(1, 2), (0, FIRST), (0, 1)]),
                false => (&[], Vec::new()),
            };
            let ids = [start, &cases.id_list(14, 24, 3)].concat();
            let mut merges: Vec<(i64, i64)> = known;
            while merges.len() < 9 {
                let mut piece = || match cases.size(0, 1) {
                    1 if !merges.is_empty() => FIRST + cases.size(0, merges.len() as i64 - 1),
                    _ => cases.size(0, 2),
                };
                let pair = (piece(), piece());
                if !merges.contains(&pair) {
                    merges.push(pair);
                }
            }
            Outcome::ids("the number of tokens", "the tokens", &encode(&ids, &merges))
        },
    }
}

/// Checks WordPiece's longest match; returns the function if it is right, else the reference.
pub fn longest_match(answer: LongestMatch) -> LongestMatch {
    longest_match_exercise().check(answer)
}

const UNKNOWN: &str = "[UNK]";

/// The pieces of `word` up to where none fits, and where that is; of those that fit, `choose` picks the end.
fn pieces(
    word: &str,
    vocab: &HashSet<String>,
    mark: &str,
    choose: fn(&[usize]) -> Option<usize>,
) -> (Vec<String>, usize) {
    let (mut found, mut start) = (Vec::new(), 0);
    while start < word.len() {
        let mark = if start == 0 { "" } else { mark };
        let piece = |end: usize| format!("{mark}{}", &word[start..end]);
        let ends: Vec<usize> = (start + 1..=word.len()).filter(|&end| vocab.contains(&piece(end))).collect();
        let Some(end) = choose(&ends) else { break };
        found.push(piece(end));
        start = end;
    }
    (found, start)
}

fn farthest(ends: &[usize]) -> Option<usize> {
    ends.last().copied()
}

fn or_unknown((found, end): (Vec<String>, usize), word: &str) -> Vec<String> {
    if end == word.len() { found } else { vec![UNKNOWN.into()] }
}

/// Exercise 6.4.
pub fn longest_match_exercise() -> Exercise<LongestMatch> {
    Exercise {
        number: "6.4",
        reference: |word, vocab| or_unknown(pieces(word, vocab, "##", farthest), word),
        mistakes: vec![
            Mistake::new(
                "the shortest piece that fits is taken: try the longest first, end = word.len() downwards",
                |word, vocab| or_unknown(pieces(word, vocab, "##", |ends| ends.first().copied()), word),
            ),
            Mistake::new(
                "the mark is missing: a piece that continues a word stands in the vocabulary with ## before it",
                |word, vocab| or_unknown(pieces(word, vocab, "", farthest), word),
            ),
            Mistake::new(
                "the pieces come without their ##: return them as the vocabulary spells them",
                |word, vocab| {
                    let found = or_unknown(pieces(word, vocab, "##", farthest), word);
                    found.iter().map(|piece| piece.trim_start_matches("##").into()).collect()
                },
            ),
            Mistake::new(
                "a word that cannot be covered to its end becomes [UNK] alone: its first pieces are dropped",
                |word, vocab| {
                    let (mut found, end) = pieces(word, vocab, "##", farthest);
                    if end < word.len() {
                        found.push(UNKNOWN.into());
                    }
                    found
                },
            ),
            Mistake::new(
                "a word that cannot be covered to its end loses its rest without a trace: return [UNK] alone",
                |word, vocab| pieces(word, vocab, "##", farthest).0,
            ),
            Mistake::new(
                "a word that cannot be covered gives nothing at all: return [UNK], so that the model sees a word there",
                |word, vocab| {
                    let (found, end) = pieces(word, vocab, "##", farthest);
                    if end == word.len() { found } else { Vec::new() }
                },
            ),
            Mistake::new(
                "the match begins at the end of the word: WordPiece goes from the left",
                |word, vocab| {
                    let (mut found, mut end) = (Vec::new(), word.len());
                    while end > 0 {
                        let piece = |start: usize| {
                            format!("{}{}", if start == 0 { "" } else { "##" }, &word[start..end])
                        };
                        let Some(start) = (0..end).find(|&start| vocab.contains(&piece(start))) else {
                            return vec![UNKNOWN.into()];
                        };
                        found.insert(0, piece(start));
                        end = start;
                    }
                    found
                },
            ),
        ],
        run: |longest_match, cases| {
            let letters = |cases: &mut Cases, low, high| -> String {
                cases.id_list(low, high, 3).iter().map(|&id| ['a', 'b', 'c'][id as usize]).collect()
            };
            let mut vocab: HashSet<String> =
                ["a", "b", "c", "##a", "##b", "##c"].into_iter().map(String::from).collect();
            for _ in 0..7 {
                let begin = letters(cases, 2, 4);
                let inside = letters(cases, 2, 4);
                vocab.extend([begin, format!("##{inside}")]);
            }
            let mut word = letters(cases, 6, 11);
            if cases.extreme() {
                word.push('d'); // no piece has it
            }
            let found = longest_match(&word, &vocab);
            let spelling =
                |text: String| Tensor::from_slice(&text.chars().map(|c| c as i64).collect::<Vec<_>>());
            Outcome::list([
                ("the number of pieces", Tensor::from(found.len() as i64)),
                ("the spelling of the pieces, letter by letter,", spelling(found.join(" "))),
            ])
        },
    }
}

/// Checks bits per byte; returns the function if it is right, else the reference.
pub fn bits_per_byte(answer: BitsPerByte) -> BitsPerByte {
    bits_per_byte_exercise().check(answer)
}

/// Exercise 6.5.
pub fn bits_per_byte_exercise() -> Exercise<BitsPerByte> {
    use std::f64::consts::LN_2;
    Exercise {
        number: "6.5",
        reference: |nats, tokens, text| nats * tokens as f64 / LN_2 / text.len() as f64,
        mistakes: vec![
            Mistake::new(
                "these are nats per byte: 1 bit = ln 2 nats, so divide by ln 2",
                |nats, tokens, text| nats * tokens as f64 / text.len() as f64,
            ),
            Mistake::new("this multiplies by ln 2: a nat is 1.44 bits, so divide", |nats, tokens, text| {
                nats * tokens as f64 * LN_2 / text.len() as f64
            }),
            Mistake::new(
                "these are bits per character: é is one character and two bytes; text.len() counts bytes",
                |nats, tokens, text| nats * tokens as f64 / LN_2 / text.chars().count() as f64,
            ),
            Mistake::new(
                "these are bits per token: multiply by the tokens and divide by the bytes",
                |nats, _, _| nats / LN_2,
            ),
            Mistake::new(
                "tokens and bytes are exchanged: the total is nats per token times tokens",
                |nats, tokens, text| nats * text.len() as f64 / LN_2 / tokens as f64,
            ),
            Mistake::new(
                "nats per token is a mean already: multiply by the tokens to get the total, then divide by the bytes",
                |nats, _, text| nats / LN_2 / text.len() as f64,
            ),
            Mistake::new(
                "tokens / bytes is a division of whole numbers, 0 here: make both f64 first",
                |_, _, _| 0.0,
            ),
            Mistake::new("this is a perplexity: stay with the logarithm", |nats, tokens, text| {
                (nats * tokens as f64 / text.len() as f64).exp()
            }),
        ],
        run: |bits_per_byte, cases| {
            let words = ["été", "sea", "Größe", "shell", "東京"];
            let text: Vec<&str> = cases.id_list(6, 12, 5).iter().map(|&i| words[i as usize]).collect();
            let text = format!("{} été", text.join(" "));
            let tokens = cases.size(4, 11) as usize;
            let nats = cases.number(1.0, 6.0);
            vec![Outcome::new("bits per byte", Tensor::from(bits_per_byte(nats, tokens, &text)))]
        },
    }
}

/// Checks a *test* of tokenizers: it must accept those that lose nothing and reject all others.
pub fn round_trip_test(answer: RoundTripTest) -> RoundTripTest {
    round_trip_test_exercise().check(answer)
}

/// A sound tokenizer behind something that changes the text first.
struct Careless {
    bpe: Bpe,
    change: fn(&str) -> String,
}

impl Tokenizer for Careless {
    fn encode(&self, text: &str) -> Vec<i64> {
        self.bpe.encode(&(self.change)(text))
    }

    fn decode(&self, ids: &[i64]) -> String {
        self.bpe.decode(ids)
    }

    fn vocab_size(&self) -> i64 {
        self.bpe.vocab_size()
    }
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> Vec<(&'static str, Box<dyn Tokenizer>)> {
    let corpus = "She sells sea shells; the shells she sells are sea shells. ".repeat(3);
    let bpe = || Bpe::train(&corpus, 290).expect("more than 256 ids");
    let careless = |change| -> Box<dyn Tokenizer> { Box::new(Careless { bpe: bpe(), change }) };
    vec![
        ("it rejects a byte-level BPE, which loses nothing", Box::new(bpe())),
        (
            "it rejects a tokenizer of plain bytes, which loses nothing",
            Box::new(Bpe::from_merges(&[]).expect("no merges")),
        ),
        (
            "it accepts a tokenizer that writes everything in lower case: try a text with capitals",
            careless(|text| text.to_lowercase()),
        ),
        (
            "it accepts a tokenizer that drops quotation marks: try a text with \" in it",
            careless(|text| text.replace('"', "")),
        ),
        (
            "it accepts a tokenizer that makes one space of several: try a text with two spaces in a row",
            careless(|text| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")),
        ),
        (
            "it accepts a tokenizer that drops letters outside ASCII: try é",
            careless(|text| text.chars().filter(char::is_ascii).collect()),
        ),
        (
            "it accepts a tokenizer of words whose unknown words all become <unk>: try a word that no corpus has",
            Box::new(WordTokenizer::new(&corpus)),
        ),
        (
            "it accepts WordPiece, which writes lower case and has [UNK]: try a text with capitals",
            Box::new(WordPiece::train(&corpus, 60).expect("room for the characters")),
        ),
    ]
}

/// Exercise 6.6: the verdicts of the learner's test are what is compared.
pub fn round_trip_test_exercise() -> Exercise<RoundTripTest> {
    Exercise {
        number: "6.6",
        reference: |tokenizer| {
            let texts = ["\"She sells\", he said.", "two  spaces", "été, 東京", "qwxz zzyx", "sells Shells"];
            texts.iter().all(|text| tokenizer.decode(&tokenizer.encode(text)) == *text)
        },
        mistakes: vec![],
        run: |test, _| {
            let verdict = |(what, tokenizer): (_, Box<dyn Tokenizer>)| {
                Outcome::new(what, Tensor::from(test(tokenizer.as_ref())))
            };
            specimens().into_iter().map(verdict).collect()
        },
    }
}
