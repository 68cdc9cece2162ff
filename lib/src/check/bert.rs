//! Exercises of BERT: a row of two sentences, embeddings, hiding words, places to predict, silhouette, a test of hiding.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use super::compare::with_gradients;
use super::{Exercise, Mistake, Outcome};
use crate::data::{Corruption, IGNORE, SpecialIds};

const SPECIAL: SpecialIds = SpecialIds::FIRST;

/// Two sentences as ids → the ids of `[CLS] a [SEP] b [SEP]` and the segment of each.
pub type PairRow = fn(&[i64], &[i64]) -> (Vec<i64>, Vec<i64>);
/// ids and segments `[batch, time]`, tables → `[batch, time, d_model]`.
pub type BertEmbedding = fn(&Tensor, &Tensor, &EmbeddingTables) -> Tensor;
/// The ids of a row and the places to predict → the ids that the model sees and the targets.
pub type Corrupt = fn(&[i64], &[Chosen]) -> (Vec<i64>, Vec<i64>);
/// hidden states `[batch, time, d_model]`, targets `[batch, time]` with [`IGNORE`] → the states
/// `[places, d_model]` and targets `[places]` of the places that have a target, row by row.
pub type HiddenPlaces = fn(&Tensor, &Tensor) -> (Tensor, Tensor);
/// Points in the plane and the group of each, 0 or 1 → the mean silhouette.
pub type Silhouette = fn(&[[f64; 2]], &[usize]) -> f64;
/// Something that hides words: the ids of a row and a seed → the ids that the model sees and the targets.
pub type Hide = fn(&[i64], u64) -> (Vec<i64>, Vec<i64>);
/// A test of something that hides words: `true` if it does.
pub type HidingTest = fn(Hide) -> bool;

/// What BERT's embeddings are made of.
#[derive(Debug)]
pub struct EmbeddingTables {
    /// `[vocab_size, d_model]`
    pub words: Tensor,
    /// `[block_size, d_model]`
    pub positions: Tensor,
    /// `[2, d_model]`
    pub segments: Tensor,
    /// γ of the layer norm, `[d_model]`.
    pub gamma: Tensor,
    /// β of the layer norm, `[d_model]`.
    pub beta: Tensor,
}

/// A place that the model must predict, with what chance has drawn for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Its position in the row.
    pub place: usize,
    /// A number from 0 to 1, all equally likely.
    pub roll: f64,
    /// A random word of the vocabulary.
    pub random_word: i64,
}

/// Checks the row of a pair; returns the function if it is right, else the reference.
pub fn pair_row(answer: PairRow) -> PairRow {
    pair_row_exercise().check(answer)
}

fn joined(a: &[i64], b: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let ids = [&[SPECIAL.cls], a, &[SPECIAL.sep], b, &[SPECIAL.sep]].concat();
    (ids, [vec![0; a.len() + 2], vec![1; b.len() + 1]].concat())
}

/// Exercise 8.1.
pub fn pair_row_exercise() -> Exercise<PairRow> {
    Exercise {
        number: "8.1",
        reference: joined,
        mistakes: vec![
            Mistake::new(
                "the [SEP] at the end is missing: each of the two sentences ends with one",
                |a, b| {
                    let (mut ids, mut segments) = joined(a, b);
                    ids.pop();
                    segments.pop();
                    (ids, segments)
                },
            ),
            Mistake::new("the [CLS] in front is missing: its output will stand for the whole row", |a, b| {
                let (ids, segments) = joined(a, b);
                (ids[1..].to_vec(), segments[1..].to_vec())
            }),
            Mistake::new(
                "the second sentence has a [CLS] of its own: a row has one, at its beginning",
                |a, b| {
                    let ids = [&[SPECIAL.cls], a, &[SPECIAL.sep, SPECIAL.cls], b, &[SPECIAL.sep]].concat();
                    (ids, [vec![0; a.len() + 2], vec![1; b.len() + 2]].concat())
                },
            ),
            Mistake::new(
                "the first [SEP] is in segment 1: it ends the first sentence, so it belongs to segment 0",
                |a, b| (joined(a, b).0, [vec![0; a.len() + 1], vec![1; b.len() + 2]].concat()),
            ),
            Mistake::new(
                "the last [SEP] is in segment 0: it ends the second sentence, so it belongs to segment 1",
                |a, b| (joined(a, b).0, [vec![0; a.len() + 2], vec![1; b.len()], vec![0]].concat()),
            ),
            Mistake::new("all segments are 0: from behind the first [SEP] on they are 1", |a, b| {
                (joined(a, b).0, vec![0; a.len() + b.len() + 3])
            }),
            Mistake::new("the segments are 1 and 2: they are rows of a table of two, 0 and 1", |a, b| {
                let (ids, segments) = joined(a, b);
                (ids, segments.iter().map(|segment| segment + 1).collect())
            }),
            Mistake::new("the two sentences are exchanged: a comes first", |a, b| joined(b, a)),
            Mistake::new(
                "only the words have segments: the special ids need one as well, one segment for each id",
                |a, b| (joined(a, b).0, [vec![0; a.len()], vec![1; b.len()]].concat()),
            ),
        ],
        run: |row, cases| {
            let (low, high) = if cases.extreme() { (1, 1) } else { (2, 7) };
            let mut words = || cases.id_list(low, high, 30).iter().map(|id| id + 5).collect::<Vec<_>>();
            let (a, mut b) = (words(), words());
            b.push(40);
            let (ids, segments) = row(&a, &b);
            let ids = Outcome::ids("the number of ids", "the ids", &ids);
            [ids, Outcome::ids("the number of segments", "the segments", &segments)]
                .into_iter()
                .flatten()
                .collect()
        },
    }
}

/// Checks BERT's embeddings; returns the function if it is right, else the reference.
pub fn bert_embedding(answer: BertEmbedding) -> BertEmbedding {
    bert_embedding_exercise().check(answer)
}

const EPS: f64 = 1e-12;

fn picked(table: &Tensor, ids: &Tensor) -> Tensor {
    Tensor::embedding(table, ids, -1, false, false)
}

/// Rows of positions `first`, `first` + 1, … `[time, d_model]`.
fn places(ids: &Tensor, tables: &EmbeddingTables, first: i64) -> Tensor {
    tables.positions.narrow(0, first, ids.size()[1])
}

fn normed(x: &Tensor, tables: &EmbeddingTables) -> Tensor {
    x.layer_norm([x.size()[2]], Some(&tables.gamma), Some(&tables.beta), EPS, false)
}

/// Exercise 8.2.
pub fn bert_embedding_exercise() -> Exercise<BertEmbedding> {
    fn sum(ids: &Tensor, segments: &Tensor, tables: &EmbeddingTables) -> Tensor {
        picked(&tables.words, ids) + places(ids, tables, 0) + picked(&tables.segments, segments)
    }
    Exercise {
        number: "8.2",
        reference: |ids, segments, tables| normed(&sum(ids, segments, tables), tables),
        mistakes: vec![
            Mistake::new(
                "the positions are missing: without them attention does not see the order",
                |ids, segments, tables| {
                    normed(&(picked(&tables.words, ids) + picked(&tables.segments, segments)), tables)
                },
            ),
            Mistake::new(
                "the segments are missing: add the row of each position's segment",
                |ids, _, tables| normed(&(picked(&tables.words, ids) + places(ids, tables, 0)), tables),
            ),
            Mistake::new("the layer norm is missing: it comes after the sum", sum),
            Mistake::new(
                "γ and β are not used: they are learnt, and belong to the layer norm",
                |ids, segments, tables| {
                    let x = sum(ids, segments, tables);
                    x.layer_norm([x.size()[2]], None::<Tensor>, None::<Tensor>, EPS, false)
                },
            ),
            Mistake::new(
                "the positions begin at 1: the first row of the table is position 0",
                |ids, segments, tables| {
                    let x = picked(&tables.words, ids) + places(ids, tables, 1);
                    normed(&(x + picked(&tables.segments, segments)), tables)
                },
            ),
            Mistake::new(
                "the position table is read at the ids: it is read at 0, 1, 2, …",
                |ids, segments, tables| {
                    let x = picked(&tables.words, ids) + picked(&tables.positions, ids);
                    normed(&(x + picked(&tables.segments, segments)), tables)
                },
            ),
            Mistake::new("each part has a layer norm of its own: add first, then one norm", |ids, s, t| {
                let place = places(ids, t, 0).unsqueeze(0);
                normed(&picked(&t.words, ids), t) + normed(&place, t) + normed(&picked(&t.segments, s), t)
            }),
            Mistake::new("the parts are multiplied: they are added", |ids, segments, tables| {
                let x = picked(&tables.words, ids) * places(ids, tables, 0);
                normed(&(x * picked(&tables.segments, segments)), tables)
            }),
        ],
        run: |embed, cases| {
            let (batch, time, d) = (cases.size(2, 3), cases.size(3, 6), cases.size(4, 7));
            let block = 9; // as many positions as words, so that ids are places in both tables
            let tables = EmbeddingTables {
                words: cases.tensor(&[block, d], 1.0),
                positions: cases.tensor(&[block, d], 1.0),
                segments: cases.tensor(&[2, d], 1.0),
                gamma: cases.tensor(&[d], 1.0),
                beta: cases.tensor(&[d], 1.0),
            };
            let ids = cases.ids(batch * time, block).view([batch, time]);
            let segments = cases.ids(batch * time, 2).view([batch, time]);
            let EmbeddingTables { words, positions, segments: table, .. } = &tables;
            with_gradients(
                "the embedding",
                embed(&ids, &segments, &tables),
                &[
                    "the gradient of the words",
                    "the gradient of the positions",
                    "the gradient of the segments",
                ],
                &[words, positions, table],
            )
        },
    }
}

/// Checks the hiding of words; returns the function if it is right, else the reference.
pub fn corrupt(answer: Corrupt) -> Corrupt {
    corrupt_exercise().check(answer)
}

/// Each chosen place by a rule: what the model sees there, from the word and the choice.
fn corrupted(ids: &[i64], chosen: &[Chosen], seen: fn(i64, &Chosen) -> i64) -> (Vec<i64>, Vec<i64>) {
    let (mut input, mut targets) = (ids.to_vec(), vec![IGNORE; ids.len()]);
    for choice in chosen {
        targets[choice.place] = ids[choice.place];
        input[choice.place] = seen(ids[choice.place], choice);
    }
    (input, targets)
}

fn eighty_ten_ten(word: i64, choice: &Chosen) -> i64 {
    match choice.roll {
        roll if roll < 0.8 => SPECIAL.mask,
        roll if roll < 0.9 => choice.random_word,
        _ => word,
    }
}

/// Only the places whose roll is below `limit` are to be predicted.
fn predicted_below(limit: f64, ids: &[i64], chosen: &[Chosen]) -> (Vec<i64>, Vec<i64>) {
    let (input, mut targets) = corrupted(ids, chosen, eighty_ten_ten);
    chosen.iter().filter(|c| c.roll >= limit).for_each(|c| targets[c.place] = IGNORE);
    (input, targets)
}

/// Exercise 8.3.
pub fn corrupt_exercise() -> Exercise<Corrupt> {
    Exercise {
        number: "8.3",
        reference: |ids, chosen| corrupted(ids, chosen, eighty_ten_ten),
        mistakes: vec![
            Mistake::new(
                "every chosen word becomes [MASK]: of ten, one becomes a random word and one stays",
                |ids, chosen| corrupted(ids, chosen, |_, _| SPECIAL.mask),
            ),
            Mistake::new(
                "no chosen word stays as it is: from 0.9 on the word is left, and predicted all the same",
                |ids, chosen| {
                    corrupted(
                        ids,
                        chosen,
                        |_, choice| {
                            if choice.roll < 0.8 { SPECIAL.mask } else { choice.random_word }
                        },
                    )
                },
            ),
            Mistake::new(
                "no word becomes a random one: between 0.8 and 0.9 `random_word` comes in",
                |ids, chosen| {
                    corrupted(ids, chosen, |word, choice| if choice.roll < 0.8 { SPECIAL.mask } else { word })
                },
            ),
            Mistake::new(
                "the limits are 0.1 and 0.2: eight of ten become [MASK], so roll < 0.8",
                |ids, chosen| {
                    corrupted(ids, chosen, |word, choice| match choice.roll {
                        roll if roll < 0.1 => choice.random_word,
                        roll if roll < 0.2 => word,
                        _ => SPECIAL.mask,
                    })
                },
            ),
            Mistake::new(
                "words that stay are not predicted: they are chosen, so their target is the word",
                |ids, chosen| predicted_below(0.9, ids, chosen),
            ),
            Mistake::new(
                "only [MASK] is predicted: all chosen places are, whatever stands there now",
                |ids, chosen| predicted_below(0.8, ids, chosen),
            ),
            Mistake::new(
                "the target is what the model sees: it is the word that stood there before",
                |ids, chosen| {
                    let (input, mut targets) = corrupted(ids, chosen, eighty_ten_ten);
                    chosen.iter().for_each(|c| targets[c.place] = input[c.place]);
                    (input, targets)
                },
            ),
            Mistake::new(
                "every place has a target: those that were not chosen get IGNORE, or the model learns to copy",
                |ids, chosen| (corrupted(ids, chosen, eighty_ten_ten).0, ids.to_vec()),
            ),
            Mistake::new(
                "places without a target get 0, which is [PAD]: the loss would ask for padding there; IGNORE is −100",
                |ids, chosen| {
                    let (input, targets) = corrupted(ids, chosen, eighty_ten_ten);
                    (input, targets.iter().map(|&id| if id == IGNORE { 0 } else { id }).collect())
                },
            ),
        ],
        run: |corrupt, cases| {
            let ids: Vec<i64> = cases.id_list(14, 20, 40).iter().map(|id| id + 5).collect();
            // A roll for each kind of fate, then random ones.
            let rolls = [0.05, 0.15, 0.5, 0.79, 0.85, 0.89, 0.92, 0.99];
            let mut rolls: Vec<f64> =
                rolls.into_iter().chain((0..3).map(|_| cases.number(0.0, 1.0))).collect();
            if cases.extreme() {
                rolls.reverse();
            }
            let chosen: Vec<Chosen> = rolls
                .into_iter()
                .enumerate()
                .map(|(i, roll)| Chosen { place: i + 1, roll, random_word: 60 + i as i64 })
                .collect();
            let (input, targets) = corrupt(&ids, &chosen);
            let input = Outcome::ids("the number of ids", "what the model sees", &input);
            [input, Outcome::ids("the number of targets", "the targets", &targets)]
                .into_iter()
                .flatten()
                .collect()
        },
    }
}

/// Checks the picking of the places to predict; returns the function if it is right, else the reference.
pub fn hidden_places(answer: HiddenPlaces) -> HiddenPlaces {
    hidden_places_exercise().check(answer)
}

/// States and targets of the places that `open` (Bool, `[batch, time]`) names.
fn states_at(hidden: &Tensor, targets: &Tensor, open: &Tensor) -> (Tensor, Tensor) {
    let places = open.flatten(0, 1).nonzero().squeeze_dim(1);
    let pick = |rows: Tensor| rows.index_select(0, &places);
    (pick(hidden.flatten(0, 1)), pick(targets.flatten(0, 1)))
}

/// Exercise 8.4.
pub fn hidden_places_exercise() -> Exercise<HiddenPlaces> {
    Exercise {
        number: "8.4",
        reference: |hidden, targets| states_at(hidden, targets, &targets.ne(IGNORE)),
        mistakes: vec![
            Mistake::new(
                "these are the places without a target: take those where it is not IGNORE",
                |hidden, targets| states_at(hidden, targets, &targets.eq(IGNORE)),
            ),
            Mistake::new(
                "every place is there: only those with a target are to be predicted",
                |hidden, targets| (hidden.flatten(0, 1), targets.flatten(0, 1)),
            ),
            Mistake::new(
                "the targets are not picked: of states and targets the same places are wanted",
                |hidden, targets| (states_at(hidden, targets, &targets.ne(IGNORE)).0, targets.flatten(0, 1)),
            ),
            Mistake::new(
                "the states stand one place too early: BERT predicts a word at its own place, where GPT would predict \
                 the next",
                |hidden, targets| {
                    let early = hidden.roll([1], [1]);
                    states_at(&early, targets, &targets.ne(IGNORE))
                },
            ),
            Mistake::new(
                "the places come column by column: first all of row 0, then row 1; flatten(0, 1) keeps that order",
                |hidden, targets| {
                    let (hidden, targets) = (hidden.transpose(0, 1), targets.transpose(0, 1));
                    states_at(&hidden, &targets, &targets.ne(IGNORE))
                },
            ),
            Mistake::new(
                "places whose target is word 0 are left out: 0 is an id like others, IGNORE is −100",
                |hidden, targets| states_at(hidden, targets, &targets.gt(0)),
            ),
        ],
        run: |pick, cases| {
            let (batch, time, d) = (cases.size(2, 3), cases.size(5, 8), cases.size(3, 6));
            let hidden = cases.tensor(&[batch, time, d], 1.0);
            let targets = cases.ids(batch * time, 9).view([batch, time]);
            let open = cases.ids(batch * time, 3).view([batch, time]).eq(0);
            let targets = targets.where_self(&open, &targets.full_like(IGNORE));
            let _ = targets.get(0).get(1).fill_(0); // one at least, and the id 0
            let _ = targets.get(1).get(3).fill_(7);
            if cases.extreme() {
                let _ = targets.get(1).fill_(IGNORE); // a row without a target
            }
            let targets = cases.keep(targets);
            let (states, words) = pick(&hidden, &targets);
            let count = Outcome::new("the number of places", Tensor::from(words.size()[0]));
            let states =
                with_gradients("the states", states, &["the gradient of the hidden states"], &[&hidden]);
            [count, Outcome::new("the targets", words)].into_iter().chain(states).collect()
        },
    }
}

/// Checks the silhouette; returns the function if it is right, else the reference.
pub fn silhouette(answer: Silhouette) -> Silhouette {
    silhouette_exercise().check(answer)
}

fn distance(p: &[f64; 2], q: &[f64; 2]) -> f64 {
    (p[0] - q[0]).hypot(p[1] - q[1])
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The mean over all points of what `rule` makes of the distances to the point's own group (without itself) and
/// of those to the other group.
fn mean_over(points: &[[f64; 2]], groups: &[usize], rule: impl Fn(&[f64], &[f64]) -> f64) -> f64 {
    let of_point = |i: usize| {
        let to = |own: bool| -> Vec<f64> {
            let others = (0..points.len()).filter(|&j| j != i && (groups[j] == groups[i]) == own);
            others.map(|j| distance(&points[i], &points[j])).collect()
        };
        rule(&to(true), &to(false))
    };
    mean(&(0..points.len()).map(of_point).collect::<Vec<_>>())
}

/// The same from the two mean distances.
fn by_means(points: &[[f64; 2]], groups: &[usize], rule: fn(f64, f64) -> f64) -> f64 {
    mean_over(points, groups, |own, other| rule(mean(own), mean(other)))
}

/// Exercise 8.5.
pub fn silhouette_exercise() -> Exercise<Silhouette> {
    fn score(own: f64, other: f64) -> f64 {
        (other - own) / own.max(other)
    }
    Exercise {
        number: "8.5",
        reference: |points, groups| by_means(points, groups, score),
        mistakes: vec![
            Mistake::new(
                "the point itself is in the mean of its own group, with distance 0: leave it out",
                |points, groups| {
                    mean_over(points, groups, |own, other| score(mean(&[own, &[0.0]].concat()), mean(other)))
                },
            ),
            Mistake::new(
                "the sign is turned round: near one's own group and far from the other is good, b − a",
                |points, groups| by_means(points, groups, |own, other| -score(own, other)),
            ),
            Mistake::new(
                "it is divided by the sum of the two: by the larger of them, so that 1 is the best",
                |points, groups| by_means(points, groups, |own, other| (other - own) / (own + other)),
            ),
            Mistake::new("it is divided by b always: where a is larger, by a", |points, groups| {
                by_means(points, groups, |own, other| (other - own) / other)
            }),
            Mistake::new(
                "it is not divided: by the larger of the two, or the unit of the plane would be in it",
                |points, groups| by_means(points, groups, |own, other| other - own),
            ),
            Mistake::new("the distances are squared: take the root", |points, groups| {
                let squared = |distances: &[f64]| mean(&distances.iter().map(|d| d * d).collect::<Vec<_>>());
                mean_over(points, groups, |own, other| score(squared(own), squared(other)))
            }),
            Mistake::new(
                "b is the distance to the nearest point of the other group: take the mean over all of them",
                |points, groups| {
                    mean_over(points, groups, |own, other| {
                        score(mean(own), other.iter().copied().fold(f64::INFINITY, f64::min))
                    })
                },
            ),
        ],
        run: |silhouette, cases| {
            let count = cases.size(8, 14) as usize;
            let apart = if cases.extreme() { 0.0 } else { cases.number(0.0, 6.0) }; // also groups that are mixed
            let groups: Vec<usize> = (0..count).map(|i| usize::from(i % 5 > 2)).collect();
            let points: Vec<[f64; 2]> = groups
                .iter()
                .map(|&group| [cases.number(-2.0, 2.0) + apart * group as f64, cases.number(-1.0, 1.0)])
                .collect();
            vec![Outcome::new("the silhouette", Tensor::from(silhouette(&points, &groups)))]
        },
    }
}

/// Checks a *test* of the hiding of words: it must accept what hides them and reject all else.
pub fn hiding_test(answer: HidingTest) -> HidingTest {
    hiding_test_exercise().check(answer)
}

/// Different words in the specimens' vocabulary, special ids included.
const SPECIMEN_VOCAB: i64 = 500;

fn sound(ids: &[i64], seed: u64) -> (Vec<i64>, Vec<i64>) {
    let mut input = ids.to_vec();
    let targets = Corruption::new(SPECIMEN_VOCAB).apply(&mut input, &mut ChaCha8Rng::seed_from_u64(seed));
    (input, targets)
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> Vec<(&'static str, Hide)> {
    vec![
        ("it rejects 80/10/10 as the paper has it", sound),
        ("it rejects hiding by [MASK] alone, which hides all it asks for", |ids, seed| {
            let (_, targets) = sound(ids, seed);
            let hide = |(id, target): (&i64, &i64)| if *target == IGNORE { *id } else { SPECIAL.mask };
            (ids.iter().zip(&targets).map(hide).collect(), targets)
        }),
        (
            "it accepts targets that stand one place too early, beside the hidden word: compare each target with the \
             word at its own place",
            |ids, seed| {
                let (input, mut targets) = sound(ids, seed);
                targets.rotate_left(1);
                (input, targets)
            },
        ),
        (
            "it accepts a loss at the place before each hidden word, which stands there in plain sight: count how often \
             the target is what the model sees",
            |ids, seed| {
                let (input, mut targets) = sound(ids, seed);
                targets.rotate_left(1);
                let shown = |(i, &target): (usize, &i64)| if target == IGNORE { IGNORE } else { ids[i] };
                let targets = targets.iter().enumerate().map(shown).collect();
                (input, targets)
            },
        ),
        (
            "it accepts something that hides nothing, and asks for words in plain sight: count how often the target is \
             what the model sees",
            |ids, seed| (ids.to_vec(), sound(ids, seed).1),
        ),
        (
            "it accepts targets at all places, most of which the model sees: count how often the target is what the \
             model sees",
            |ids, seed| (sound(ids, seed).0, ids.to_vec()),
        ),
        (
            "it accepts words that are hidden and not asked for: where there is no target, nothing may change",
            |ids, seed| {
                let (input, targets) = sound(ids, seed);
                let forget = |(i, &target): (usize, &i64)| if i % 2 == 0 { IGNORE } else { target };
                (input, targets.iter().enumerate().map(forget).collect())
            },
        ),
        (
            "it accepts targets that are what the model sees, [MASK] itself: the target is the word that stood there",
            |ids, seed| {
                let (input, targets) = sound(ids, seed);
                let seen = |(&target, &id): (&i64, &i64)| if target == IGNORE { IGNORE } else { id };
                let targets = targets.iter().zip(&input).map(seen).collect();
                (input, targets)
            },
        ),
        ("it accepts something that asks for nothing at all: some places must have a target", |ids, _| {
            (ids.to_vec(), vec![IGNORE; ids.len()])
        }),
    ]
}

/// Exercise 8.6: the verdicts of the learner's test are what is compared.
pub fn hiding_test_exercise() -> Exercise<HidingTest> {
    Exercise {
        number: "8.6",
        reference: |hide| {
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let ids: Vec<i64> = (0..2000).map(|_| rng.random_range(5..SPECIMEN_VOCAB)).collect();
            let (input, targets) = hide(&ids, 1);
            let asked: Vec<usize> = (0..ids.len()).filter(|&i| targets[i] != IGNORE).collect();
            let right = asked.iter().all(|&i| targets[i] == ids[i]);
            let untouched = (0..ids.len()).all(|i| targets[i] != IGNORE || input[i] == ids[i]);
            let seen = asked.iter().filter(|&&i| input[i] == ids[i]).count();
            !asked.is_empty() && right && untouched && seen * 5 < asked.len()
        },
        mistakes: vec![],
        run: |test, _| {
            let verdict = |(what, hide): (_, Hide)| Outcome::new(what, Tensor::from(test(hide)));
            specimens().into_iter().map(verdict).collect()
        },
    }
}
