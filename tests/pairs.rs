//! Pairs as batches: padding and shifts, buckets, determinism, splits, files of the user.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use llm_course::bilingual::{Pair, length_fifth};
use llm_course::data::{BOS, EOS, IGNORE, PAD, PairBatch, PairDataset, UNK};
use tch::Tensor;

fn data() -> &'static PairDataset {
    static DATA: OnceLock<PairDataset> = OnceLock::new();
    DATA.get_or_init(|| PairDataset::translation(10_000, 100, 200, 1).unwrap())
}

fn row(tensor: &Tensor, row: usize) -> Vec<i64> {
    Vec::try_from(tensor.get(row as i64).to_kind(tch::Kind::Int64)).unwrap()
}

fn file(name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn refusal<T: std::fmt::Debug>(result: llm_course::Result<T>, parts: &[&str]) {
    let message = result.expect_err("should be refused").to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn parts_are_of_the_sizes_asked_for_and_disjoint() {
    let data = data();
    let parts = [&data.train, &data.validation, &data.test, &data.held_out];
    assert_eq!(parts.map(Vec::len), [10_000, 100, 200, 200]);
    let all: HashSet<String> = parts.iter().flat_map(|p| p.iter()).map(|p| p.src.join(" ")).collect();
    assert_eq!(all.len(), 10_500, "no English sentence is in two parts, or twice in one");
    for part in parts {
        let fifth = |f| part.iter().filter(|p| length_fifth(p.words()) == Some(f)).count();
        assert_eq!([0, 1, 2, 3, 4].map(fifth), [part.len() / 5; 5]);
    }
}

#[test]
fn held_out_pairs_combine_known_words() {
    let data = data();
    assert!(data.held_out.iter().all(|p| p.held_out));
    assert!(data.train.iter().chain(&data.validation).chain(&data.test).all(|p| !p.held_out));
    for pair in &data.held_out {
        assert!(!data.encode_src(&pair.src).contains(&UNK), "{pair}");
    }
    // Two words of a held-out combination stand at most one word apart; nowhere in training do they.
    let near = |p: &Pair| -> BTreeSet<(String, String)> {
        let two = |d: usize| p.src.iter().zip(p.src.iter().skip(d)).map(|(a, b)| (a.clone(), b.clone()));
        two(1).chain(two(2)).collect()
    };
    let trained: BTreeSet<(String, String)> = data.train.iter().flat_map(near).collect();
    for pair in &data.held_out {
        assert!(near(pair).iter().any(|two| !trained.contains(two)), "nothing new in {pair}");
    }
}

#[test]
fn a_batch_pads_shifts_and_masks() {
    let data = data();
    let batch = data.batches(&data.test, 7, 1).unwrap().next().unwrap();
    assert_eq!(batch.rows.len(), 7);
    assert_eq!(batch.src_mask.kind(), tch::Kind::Bool);
    for (i, &index) in batch.rows.iter().enumerate() {
        let pair = &data.test[index];
        let (src, tgt) = (data.encode_src(&pair.src), data.encode_tgt(&pair.tgt));
        let filled = |ids: Vec<i64>, like: &Tensor, fill: i64| {
            let time = like.size()[1] as usize;
            let missing = time - ids.len();
            [ids, vec![fill; missing]].concat()
        };
        assert_eq!(row(&batch.src, i), filled(src.clone(), &batch.src, PAD));
        assert_eq!(row(&batch.src_mask, i), filled(vec![1; src.len()], &batch.src, 0));
        assert_eq!(row(&batch.tgt_in, i), filled([vec![BOS], tgt.clone()].concat(), &batch.tgt_in, PAD));
        assert_eq!(row(&batch.tgt_out, i), filled([tgt, vec![EOS]].concat(), &batch.tgt_out, IGNORE));
    }
}

#[test]
fn a_walk_visits_every_pair_once_in_batches_of_similar_length() {
    let data = data();
    let batches = data.batches(&data.train, 64, 1).unwrap();
    assert_eq!(batches.batches(), 157);
    let (mut rows, mut tokens, mut places) = (Vec::new(), 0, 0);
    for PairBatch { src, src_mask, rows: r, .. } in batches {
        tokens += src_mask.sum(tch::Kind::Int64).int64_value(&[]);
        places += src.numel() as i64;
        rows.extend(r);
    }
    rows.sort_unstable();
    assert_eq!(rows, (0..10_000).collect::<Vec<_>>());
    let wasted = 1.0 - tokens as f64 / places as f64;
    assert!(wasted < 0.02, "{wasted} of the places are padding");
}

#[test]
fn a_seed_decides_data_and_order() {
    let draw = |seed| PairDataset::translation(50, 10, 10, seed).unwrap();
    assert_eq!(draw(3).train, draw(3).train);
    assert_eq!(draw(3).held_out, draw(3).held_out);
    assert_ne!(draw(3).train, draw(4).train);
    let data = data();
    let order = |seed| -> Vec<Vec<usize>> {
        data.batches(&data.test, 16, seed).unwrap().endless().take(40).map(|b| b.rows).collect()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    assert_ne!(order(1)[..13], order(1)[13..26], "each walk has an order of its own");
}

#[test]
fn words_become_ids_and_come_back() {
    let data = data();
    for pair in &data.train[..200] {
        assert_eq!(data.decode_src(&data.encode_src(&pair.src)), pair.src.join(" "));
        let ids = [vec![BOS], data.encode_tgt(&pair.tgt), vec![EOS, UNK, PAD]].concat();
        assert_eq!(data.decode_tgt(&ids), pair.tgt.join(" "), "specials go, and what follows the end");
    }
    assert_eq!(data.encode_src(&["zyzzyva".into()]), [UNK]);
    assert_eq!(data.decode_src(&[UNK, 1_000_000, -7]), "<unk> <unk> <unk>");
    assert!((500..2_000).contains(&data.src_vocab_size()), "{}", data.src_vocab_size());
    assert!((1_000..4_000).contains(&data.tgt_vocab_size()), "{}", data.tgt_vocab_size());
    let highest = data.train.iter().flat_map(|p| data.encode_tgt(&p.tgt)).max().unwrap();
    assert_eq!(highest, data.tgt_vocab_size() - 1);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    refusal(PairDataset::translation(0, 5, 5, 1), &["0 training pairs"]);
    refusal(PairDataset::translation(5, 5, 0, 1), &["0 test pairs"]);
    refusal(data().batches(&data().test, 0, 1), &["batch 0 of 200 pairs"]);
    refusal(data().batches(&[], 4, 1), &["of 0 pairs"]);
}

#[test]
fn a_users_file_is_split_and_encoded() {
    let lines: Vec<String> = (0..50).map(|i| format!("word{i} here\tmot{i} ici tout")).collect();
    let path = file("my pairs.tsv", lines.join("\n") + "\n\n");
    let data = PairDataset::from_file(&path, 1).unwrap();
    assert_eq!(data.name, "my pairs");
    assert_eq!([&data.train, &data.validation, &data.test].map(Vec::len), [40, 5, 5]);
    assert!(data.held_out.is_empty());
    let all: BTreeSet<String> =
        [&data.train, &data.validation, &data.test].into_iter().flatten().map(|p| p.src.join(" ")).collect();
    assert_eq!(all.len(), 50);
    assert_eq!(data.src_vocab_size(), 4 + 40 + 1);
    assert_eq!(data.encode_src(&data.test[0].src)[0], UNK, "the vocabulary is the training pairs'");
    assert_eq!(data.encode_src(&data.test[0].src)[1], 4, "the most frequent word comes first");
}

#[test]
fn files_that_cannot_be_are_refused() {
    let from = |name: &str, text: &[u8]| PairDataset::from_file(file(name, text), 1);
    refusal(PairDataset::from_file("no/such.tsv", 1), &["no/such.tsv", "check the path"]);
    refusal(from("latin.tsv", b"caf\xe9\tcoffee\n"), &["latin.tsv", "not UTF-8 at byte 3", "iconv"]);
    refusal(from("spaces.tsv", b"a\tb\na b\n"), &["spaces.tsv: line 2: 0 tabs", "one tab"]);
    refusal(from("three.tsv", b"a\tb\tc\n"), &["line 1: 2 tabs"]);
    refusal(from("half.tsv", b"a\tb\n\na\t \n"), &["line 3: a side without words"]);
    refusal(from("few.tsv", b"a\tb\n"), &["1 pairs", "at least 10"]);
}
