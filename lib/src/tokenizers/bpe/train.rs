//! Learning merges with a queue: after each merge only the counts that it changed are touched.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::Pair;

/// A pair that occurs once saves nothing.
const MIN_COUNT: i64 = 2;

/// Learns up to `limit` merges from distinct words and how often each occurs; merge k makes id `first` + k.
///
/// The most frequent pair is merged first, of equally frequent ones the smallest. (A token can come from one
/// pair only: inside its span, every occurrence of it has gone through the same merges.)
pub(in crate::tokenizers) fn learn(words: Vec<(Vec<i64>, i64)>, first: i64, limit: usize) -> Vec<Pair> {
    let mut learner = Learner::new(words);
    let mut merges = Vec::new();
    while merges.len() < limit
        && let Some(pair) = learner.most_frequent()
    {
        learner.merge(pair, first + merges.len() as i64);
        merges.push(pair);
    }
    merges
}

/// Where a pair occurs.
#[derive(Default)]
struct Places {
    count: i64,
    words: Vec<usize>, // may name words that have lost the pair since
}

struct Learner {
    words: Vec<(Vec<i64>, i64)>,
    pairs: HashMap<Pair, Places>,
    /// The most frequent, then smallest pair on top. Counts only fall, so an entry may be too high, never too low.
    queue: BinaryHeap<(i64, Reverse<Pair>)>,
}

impl Learner {
    fn new(mut words: Vec<(Vec<i64>, i64)>) -> Self {
        words.sort_unstable();
        let mut pairs = HashMap::new();
        for (index, (ids, count)) in words.iter().enumerate() {
            ids.windows(2).for_each(|pair| add(&mut pairs, (pair[0], pair[1]), *count, index));
        }
        let queue = pairs.iter().map(|(&pair, places)| (places.count, Reverse(pair))).collect();
        Self { words, pairs, queue }
    }

    fn most_frequent(&mut self) -> Option<Pair> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            let now = self.pairs.get(&pair).map_or(0, |places| places.count);
            if now < MIN_COUNT {
                continue;
            }
            if now == count {
                return Some(pair);
            }
            self.queue.push((now, Reverse(pair)));
        }
        None
    }

    fn merge(&mut self, pair: Pair, id: i64) {
        let Some(places) = self.pairs.remove(&pair) else { return };
        let mut made = HashMap::new(); // pairs with the new id
        for index in places.words {
            let (ids, count) = &mut self.words[index];
            replace(ids, pair, id, |changed, sign| {
                if changed.0 == id || changed.1 == id {
                    add(&mut made, changed, sign * *count, index);
                } else if let Some(places) = self.pairs.get_mut(&changed) {
                    places.count -= *count;
                }
            });
        }
        self.queue.extend(made.iter().map(|(&pair, places)| (places.count, Reverse(pair))));
        self.pairs.extend(made);
    }
}

fn add(pairs: &mut HashMap<Pair, Places>, pair: Pair, count: i64, word: usize) {
    let places = pairs.entry(pair).or_default();
    places.count += count;
    if places.words.last() != Some(&word) {
        places.words.push(word);
    }
}

/// Replaces each `pair` in `ids` by `id`, from the left; reports each pair of neighbours that goes (−1) or
/// comes (+1), but for `pair` itself.
fn replace(ids: &mut Vec<i64>, pair: Pair, id: i64, mut change: impl FnMut(Pair, i64)) {
    let (mut read, mut write) = (0, 0);
    while read < ids.len() {
        if ids[read] != pair.0 || ids.get(read + 1) != Some(&pair.1) {
            ids[write] = ids[read];
            read += 1;
        } else {
            if write > 0 {
                change((ids[write - 1], pair.0), -1);
                change((ids[write - 1], id), 1);
            }
            if let Some(&right) = ids.get(read + 2) {
                change((pair.1, right), -1);
                change((id, right), 1);
            }
            ids[write] = id;
            read += 2;
        }
        write += 1;
    }
    ids.truncate(write);
}
