//! Reviews: labels, balance, that no word decides them, the hand-written test, batches, files of the user.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use llm_course::data::{Review, ReviewBatches, ReviewDataset};
use llm_course::grammar::Grammar;
use tch::Tensor;

fn data() -> &'static ReviewDataset {
    static DATA: OnceLock<ReviewDataset> = OnceLock::new();
    DATA.get_or_init(|| ReviewDataset::reviews(4_000, 1_000, 1).unwrap())
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

fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-');
    split.filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

#[test]
fn parts_are_balanced_distinct_and_labelled() {
    let data = data();
    assert_eq!([&data.train, &data.validation, &data.test].map(Vec::len), [4_000, 1_000, 200]);
    for part in [&data.train, &data.validation, &data.test] {
        assert_eq!(part.iter().filter(|r| r.label == 1).count(), part.len() / 2);
        assert!(part.iter().all(|r| r.label == 0 || r.label == 1));
    }
    let all: HashSet<&str> =
        [&data.train, &data.validation, &data.test].into_iter().flatten().map(|r| r.text.as_str()).collect();
    assert_eq!(all.len(), 5_200, "no text is in two parts, twice in one, or under both labels");
}

/// The grammar itself tells the label: a text has a derivation under one label only.
#[test]
fn the_grammar_confirms_each_label() {
    let grammar =
        Grammar::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/reviews.grammar")).unwrap();
    assert!(grammar.vocabulary().len() >= 300, "{} words", grammar.vocabulary().len());
    for review in &data().validation {
        let log_prob = |label: &str| grammar.log_prob(&format!("{label}: {}\n", review.text));
        let (own, other) =
            if review.label == 1 { ("positive", "negative") } else { ("negative", "positive") };
        assert!(log_prob(own).is_ok(), "{}", review.text);
        assert!(log_prob(other).is_err(), "under both labels: {}", review.text);
    }
}

/// Accuracy on `part` of logistic regression over bags of words, 30 walks of stochastic gradient descent.
fn bag_of_words(train: &[Review], parts: &[&[Review]]) -> Vec<f64> {
    let mut weights: HashMap<String, f64> = HashMap::new();
    let logit = |weights: &HashMap<String, f64>, bag: &[String]| -> f64 {
        bag.iter().filter_map(|w| weights.get(w)).sum()
    };
    let bags: Vec<(Vec<String>, f64)> = train.iter().map(|r| (words(&r.text), r.label as f64)).collect();
    for walk in 0..30 {
        for (bag, label) in &bags {
            let error = label - 1.0 / (1.0 + (-logit(&weights, bag)).exp());
            for word in bag {
                *weights.entry(word.clone()).or_default() += 0.2 / (4.0 + f64::from(walk)) * error;
            }
        }
    }
    let right = |r: &&Review| (logit(&weights, &words(&r.text)) > 0.0) == (r.label == 1);
    parts.iter().map(|part| part.iter().filter(right).count() as f64 / part.len() as f64).collect()
}

#[test]
fn words_alone_do_not_decide() {
    let data = data();
    let accuracy = bag_of_words(&data.train, &[&data.validation, &data.test]);
    println!("bag of words: {accuracy:?} on validation and hand-written test");
    assert!((0.75..=0.90).contains(&accuracy[0]), "grammar: {}", accuracy[0]);
    assert!(accuracy[1] < accuracy[0], "hand-written: {}", accuracy[1]);
    let vocabulary: BTreeSet<String> = data.train.iter().flat_map(|r| words(&r.text)).collect();
    let bags: Vec<(HashSet<String>, i64)> =
        data.train.iter().map(|r| (words(&r.text).into_iter().collect(), r.label)).collect();
    for word in &vocabulary {
        let agree = bags.iter().filter(|(bag, label)| bag.contains(word) == (*label == 1)).count();
        let share = agree as f64 / bags.len() as f64;
        assert!(share.max(1.0 - share) < 0.65, "`{word}` alone decides {share}");
    }
}

#[test]
fn the_hand_written_reviews_are_not_the_grammars() {
    let data = data();
    let known: HashSet<String> = data.train.iter().flat_map(|r| words(&r.text)).collect();
    let mut tokens = 0;
    let mut unknown = 0;
    for review in &data.test {
        let bag = words(&review.text);
        assert!((6..=30).contains(&bag.len()) && review.text.ends_with('.') || review.text.ends_with('?'));
        tokens += bag.len();
        unknown += bag.iter().filter(|w| !known.contains(*w)).count();
    }
    assert!(unknown * 5 > tokens, "{unknown} of {tokens} words are new");
    let negated = |r: &&Review| {
        words(&r.text).iter().any(|w| matches!(w.as_str(), "not" | "never" | "no" | "nobody" | "nothing"))
    };
    for label in [0, 1] {
        assert!(data.test.iter().filter(|r| r.label == label).filter(negated).count() >= 15);
    }
}

#[test]
fn a_seed_gives_the_same_reviews() {
    let draw = |seed| ReviewDataset::reviews(40, 10, seed).unwrap();
    assert_eq!(draw(3).train, draw(3).train);
    assert_ne!(draw(3).train, draw(4).train);
    assert_eq!(draw(3).test, draw(4).test);
    refusal(ReviewDataset::reviews(3, 2, 1), &["3 reviews", "even"]);
    refusal(ReviewDataset::reviews(2, 0, 1), &["0 reviews"]);
}

#[test]
fn batches_pad_and_mask_and_walk_once() {
    let encoded: Vec<(Vec<i64>, i64)> = (1..=10).map(|n| (vec![n; n as usize], n % 2)).collect();
    let batches = ReviewBatches::new(encoded.clone(), 4, 99, 1).unwrap();
    assert_eq!(batches.batches(), 3);
    let row = |t: &Tensor, i: i64| Vec::<i64>::try_from(t.get(i).to_kind(tch::Kind::Int64)).unwrap();
    let mut seen = Vec::new();
    for batch in batches {
        for (i, label) in Vec::<i64>::try_from(&batch.labels).unwrap().into_iter().enumerate() {
            let (ids, mask) = (row(&batch.ids, i as i64), row(&batch.mask, i as i64));
            let n = ids[0] as usize;
            assert_eq!(ids, [vec![n as i64; n], vec![99; ids.len() - n]].concat());
            assert_eq!(mask, [vec![1; n], vec![0; ids.len() - n]].concat());
            assert_eq!(label, n as i64 % 2);
            seen.push(n);
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    let endless = ReviewBatches::new(encoded, 4, 99, 1).unwrap().endless();
    assert_eq!(endless.take(7).map(|b| b.labels.size()[0]).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2, 4]);
    refusal(ReviewBatches::new(Vec::new(), 4, 0, 1), &["batch 4 of 0 reviews"]);
    refusal(ReviewBatches::new(vec![(vec![], 1)], 4, 0, 1), &["review 0 has no ids"]);
}

#[test]
fn a_users_file_is_read_or_refused() {
    let lines: Vec<String> =
        (0..20).map(|i| format!("{}\ttext {i}, with a comma", ["negative", "positive"][i % 2])).collect();
    let data = ReviewDataset::from_file(file("mine.tsv", lines.join("\n")), 1).unwrap();
    assert_eq!([&data.train, &data.validation, &data.test].map(Vec::len), [16, 2, 2]);
    assert_eq!(data.name, "mine");
    let from = |name: &str, text: &[u8]| ReviewDataset::from_file(file(name, text), 1);
    refusal(ReviewDataset::from_file("no/such.tsv", 1), &["no/such.tsv", "check the path"]);
    refusal(
        from("label.tsv", b"positive\tfine\ngood\tfine\n"),
        &["label.tsv: line 2", "`positive` or `negative`"],
    );
    refusal(from("empty.tsv", b"positive\t \n"), &["line 1"]);
    refusal(from("short.tsv", b"positive\tfine\n"), &["1 reviews", "at least 10"]);
}
