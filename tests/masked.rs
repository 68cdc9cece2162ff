//! Corruption 80/10/10 and sentence pairs, against the numbers of Devlin et al. 2018, §3.1.

use std::collections::{BTreeMap, BTreeSet};

use llm_course::data::{Corruption, IGNORE, MaskedBatch, MaskedBatches, MaskedDataset, SpecialIds};
use tch::{Kind, Tensor};

const SPECIAL: SpecialIds = SpecialIds::FIRST;

fn rows(tensor: &Tensor) -> Vec<Vec<i64>> {
    Vec::try_from(tensor.to_kind(Kind::Int64)).expect("two dimensions")
}

/// The ids of each row before words were hidden, without padding.
fn originals(batch: &MaskedBatch) -> Vec<Vec<i64>> {
    let ids = batch.targets.where_self(&batch.targets.ne(IGNORE), &batch.ids);
    let lengths: Vec<i64> = Vec::try_from(batch.mask.sum_dim_intlist(1, false, Kind::Int64)).unwrap();
    rows(&ids).into_iter().zip(lengths).map(|(row, length)| row[..length as usize].to_vec()).collect()
}

/// Sentence `s` of paragraph `p` holds words that no other sentence has: 100·p + 10·s + 5, …
fn paragraphs(count: i64, sentences: i64, words: i64) -> Vec<Vec<Vec<i64>>> {
    let sentence = |p: i64, s: i64| (0..words).map(|word| 100 * p + 10 * s + 5 + word).collect();
    (0..count).map(|p| (0..sentences).map(|s| sentence(p, s)).collect()).collect()
}

/// The paragraph and the place of a sentence of [`paragraphs`].
fn place(sentence: &[i64]) -> (i64, i64) {
    ((sentence[0] - 5) / 100, (sentence[0] - 5) % 100 / 10)
}

fn pairs(batch: i64, seed: u64) -> MaskedBatches {
    let data = MaskedDataset::from_paragraphs(&paragraphs(20, 5, 4), 32, Corruption::new(2005)).unwrap();
    data.batches(batch, seed).unwrap()
}

/// `share` of `n` draws must lie within four standard errors of `p`.
fn near(what: &str, share: f64, p: f64, n: f64) {
    let bound = 4.0 * (p * (1.0 - p) / n).sqrt();
    assert!((share - p).abs() < bound, "{what}: {share:.5} is not within {bound:.5} of {p:.5}");
}

#[test]
fn fifteen_percent_are_predicted_and_80_10_10_of_them_masked_replaced_kept() {
    const LENGTH: usize = 60;
    const WORDS: i64 = 50; // ids 5 to 54; every sequence holds only the first half of them
    let sequences = (0..4000).map(|n| (0..LENGTH as i64).map(|i| 5 + (i + n) % 25).collect()).collect();
    let data = MaskedDataset::from_sequences(sequences, 64, Corruption::new(WORDS + 5)).unwrap();

    let (mut masked, mut replaced, mut kept) = (0.0, 0.0, 0.0);
    let (mut at, mut by) = ([0.0; LENGTH + 2], BTreeMap::new());
    for batch in data.batches(100, 3).unwrap() {
        for (ids, targets) in rows(&batch.ids).iter().zip(rows(&batch.targets)) {
            for (i, (&id, target)) in ids.iter().zip(targets).enumerate().filter(|(_, (_, t))| *t != IGNORE) {
                at[i] += 1.0;
                if id == SPECIAL.mask {
                    masked += 1.0;
                } else if id == target {
                    kept += 1.0;
                } else {
                    replaced += 1.0;
                    *by.entry(id).or_insert(0.0) += 1.0;
                }
            }
        }
    }
    let chosen = masked + replaced + kept;
    let share = 0.15 + 0.85f64.powi(LENGTH as i32) / LENGTH as f64; // one is chosen where none would be
    near("predicted", chosen / 240_000.0, share, 240_000.0);
    near("masked", masked / chosen, 0.8, chosen);
    near("replaced", replaced / chosen, 0.1 * (1.0 - 1.0 / WORDS as f64), chosen); // else it was itself
    near("kept", kept / chosen, 0.1 * (1.0 + 1.0 / WORDS as f64), chosen);
    for hits in &at[1..=LENGTH] {
        near("predicted at a position", hits / 4000.0, share, 4000.0);
    }
    assert_eq!((at[0], at[LENGTH + 1]), (0.0, 0.0), "[CLS] and [SEP] are never predicted");
    assert_eq!(by.len() as i64, WORDS, "every word of the vocabulary stands in for others");
    for (word, times) in by {
        let share = 1.0 / WORDS as f64; // half of the words are never replaced by themselves: nearly uniform
        assert!((times / replaced - share).abs() < 0.01, "word {word}: {} of replacements", times / replaced);
    }
}

#[test]
fn special_ids_and_padding_are_never_hidden_and_never_put_in() {
    let sequences: Vec<Vec<i64>> =
        (0..300).map(|n| (0..n % 20 + 1).map(|i| (i * n) % 12).collect()).collect();
    let corruption = Corruption { share: 1.0, ..Corruption::new(12) };
    let kept = sequences.iter().filter(|ids| ids.iter().any(|&id| id > 4)).count();
    assert!(kept > 200, "{kept} rows with words");
    let data = MaskedDataset::from_sequences(sequences, 32, corruption).unwrap();
    let mut replacements = 0;
    for batch in data.batches(7, 1).unwrap() {
        let (ids, targets, original) = (rows(&batch.ids), rows(&batch.targets), originals(&batch));
        for ((ids, targets), original) in ids.iter().zip(&targets).zip(&original) {
            for i in 0..ids.len() {
                let special = original.get(i).is_none_or(|id| SPECIAL.contains(*id));
                assert_eq!(
                    targets[i] == IGNORE,
                    special,
                    "with share 1 every word is predicted, nothing else"
                );
                if special {
                    assert_eq!(
                        ids[i],
                        original.get(i).copied().unwrap_or(SPECIAL.pad),
                        "and nothing changed"
                    );
                } else if ids[i] != SPECIAL.mask {
                    assert!(!SPECIAL.contains(ids[i]), "a special id stands for a word");
                    replacements += 1;
                }
            }
        }
    }
    assert!(replacements > 200, "{replacements} words seen");
}

#[test]
fn a_row_with_words_has_something_to_predict() {
    let data = MaskedDataset::from_sequences(vec![vec![7]; 200], 8, Corruption::new(10)).unwrap();
    let batch = data.batches(200, 1).unwrap().next().unwrap();
    assert_eq!(batch.targets.ne(IGNORE).sum(Kind::Int64).int64_value(&[]), 200);
}

#[test]
fn half_of_the_pairs_follow_each_other_and_the_others_come_from_another_paragraph() {
    let mut seen = BTreeSet::new();
    for epoch in pairs(8, 5).endless().take(200).collect::<Vec<_>>().chunks(10) {
        let mut random = 0;
        for batch in epoch {
            let labels: Vec<i64> = Vec::try_from(&batch.next).unwrap();
            for (row, label) in originals(batch).iter().zip(labels) {
                let parts: Vec<&[i64]> = row[1..].split(|&id| id == SPECIAL.sep).collect();
                let ((p, s), (q, t)) = (place(parts[0]), place(parts[1]));
                match label {
                    0 => assert_eq!((q, t), (p, s + 1), "b is the sentence after a"),
                    1 => assert!(q != p && t > 0, "b is from another paragraph, and not its first sentence"),
                    other => panic!("label {other}"),
                }
                random += label;
                seen.insert((p, s, label, if label == 1 { q } else { 0 }));
            }
        }
        assert_eq!(random, 40, "40 of the 80 pairs of an epoch are random");
    }
    let labels: BTreeSet<_> = seen.iter().map(|&(p, s, label, _)| (p, s, label)).collect();
    assert_eq!(labels.len(), 160, "over 20 epochs each of the 80 sentences gets both kinds of partner");
    assert!(seen.len() > 600, "and its random partners change: {}", seen.len());
}

#[test]
fn rows_are_laid_out_with_segments_and_mask() {
    let long: Vec<Vec<i64>> = vec![vec![5; 10], vec![6; 4], vec![7; 4]];
    let data = MaskedDataset::from_paragraphs(&[long.clone(), long], 13, Corruption::new(10)).unwrap();
    let mut widths = BTreeSet::new();
    for batch in data.batches(4, 2).unwrap() {
        let (segments, mask, ids) = (rows(&batch.segments), rows(&batch.mask), rows(&batch.ids));
        for (row, original) in originals(&batch).iter().enumerate() {
            let parts: Vec<&[i64]> = original[1..].split(|&id| id == SPECIAL.sep).collect();
            assert_eq!((original[0], parts.len(), parts[2].len()), (SPECIAL.cls, 3, 0));
            let (a, b) = (parts[0].len(), parts[1].len());
            let want = match parts[0][0] {
                5 => (6, 4), // 10 + 4 words do not fit into 13 − 3: the longer one loses its end
                _ => (4, 4),
            };
            assert_eq!((a, b), want);
            let padding = ids[row].len() - original.len();
            assert_eq!(segments[row], [vec![0; a + 2], vec![1; b + 1], vec![0; padding]].concat());
            assert_eq!(mask[row], [vec![1; a + b + 3], vec![0; padding]].concat());
            assert!(ids[row][a + b + 3..].iter().all(|&id| id == SPECIAL.pad));
            widths.insert(ids[row].len());
        }
        assert_eq!(batch.mask.kind(), Kind::Bool);
    }
    assert_eq!(widths, BTreeSet::from([13]), "as wide as the longest row");
}

#[test]
fn long_sequences_are_cut_and_every_row_comes_once_an_epoch() {
    let sequence: Vec<i64> = (5..105).collect();
    let data = MaskedDataset::from_sequences(vec![sequence.clone()], 16, Corruption::new(105)).unwrap();
    assert_eq!(data.rows(), 8); // 7 times 14 words and 2 more
    let mut words: Vec<i64> = Vec::new();
    for batch in data.batches(3, 9).unwrap() {
        words.extend(originals(&batch).concat().iter().filter(|id| !SPECIAL.contains(**id)));
        let labels: Vec<i64> = Vec::try_from(&batch.next).unwrap();
        assert!(labels.iter().all(|&label| label == IGNORE), "no pairs, nothing to say about them");
    }
    words.sort();
    assert_eq!(words, sequence);
}

#[test]
fn batches_depend_on_seed_and_number_only() {
    let print = |batches: MaskedBatches, count: usize| -> Vec<_> {
        batches.take(count).map(|b| (rows(&b.ids), rows(&b.targets), rows(&b.next.unsqueeze(0)))).collect()
    };
    tch::manual_seed(1);
    let expected = Tensor::rand([4], (Kind::Float, tch::Device::Cpu));
    tch::manual_seed(1);
    let run = print(pairs(8, 5).endless(), 30);
    assert_eq!(
        Tensor::rand([4], (Kind::Float, tch::Device::Cpu)),
        expected,
        "libtorch's numbers are untouched"
    );
    tch::manual_seed(2);
    assert_eq!(run, print(pairs(8, 5).endless(), 30), "and unused");
    assert_eq!(run[17..], print(pairs(8, 5).endless().starting_at(17), 13), "resumed in the second epoch");
    assert_eq!(run[..10], print(pairs(8, 5), 99), "one epoch without `endless`");
    assert_ne!(run[..10], run[10..20], "each epoch is hidden anew");
    assert_ne!(run[0], print(pairs(8, 6), 1)[0], "another seed");
}

#[test]
fn what_cannot_be_learnt_from_is_refused_with_advice() {
    let message = |result: llm_course::Result<MaskedDataset>| result.unwrap_err().to_string();
    let sequences = |ids: Vec<i64>, block, corruption| {
        message(MaskedDataset::from_sequences(vec![ids], block, corruption))
    };
    let of_ten = Corruption::new(10);
    assert!(sequences(vec![5, 10], 16, of_ten).contains("id 10 is outside the vocabulary of 10"));
    assert!(sequences(vec![0, 3], 16, of_ten).contains("no words to hide"));
    assert!(sequences(vec![], 16, of_ten).contains("no words to hide"));
    assert!(sequences(vec![5], 4, of_ten).contains("block_size 4"));
    assert!(sequences(vec![5], 16, Corruption { share: 0.0, ..of_ten }).contains("share 0"));
    assert!(sequences(vec![2], 16, Corruption::new(5)).contains("leaves no ids for words"));
    let one = message(MaskedDataset::from_paragraphs(&paragraphs(1, 5, 4), 32, Corruption::new(2005)));
    assert!(one.contains("two paragraphs"), "{one}");
    let data = MaskedDataset::from_sequences(vec![vec![5, 6]], 8, of_ten).unwrap();
    assert!(data.batches(0, 1).unwrap_err().to_string().contains("batch 0"));
}
