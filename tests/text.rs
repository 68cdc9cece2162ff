//! Text as ids and batches, counting models, and generation.

use std::io::Write;

use llm_course::data::{Split, TextDataset, glossary};
use llm_course::decode::{Sampling, generate};
use llm_course::grammar::Grammar;
use llm_course::metrics::{accuracy, bits, perplexity};
use llm_course::ngram::NGram;
use llm_course::tokenizers::{CharTokenizer, Tokenizer};
use tch::{Kind, Tensor};

fn numbers(tensor: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(tensor.flatten(0, -1)).unwrap()
}

#[track_caller]
fn refuses<T>(result: llm_course::Result<T>, parts: &[&str]) {
    let Err(error) = result else { panic!("must be refused") };
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

// ---------------------------------------------------------------- characters

#[test]
fn characters_come_back_and_unknown_ones_are_marked() {
    let tokenizer = CharTokenizer::new("naïve 猫\n");
    for text in ["", "naïve 猫", "\n\n"] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
    }
    assert_eq!(tokenizer.decode(&tokenizer.encode("a☃v")), "a\u{FFFD}v");
    assert_eq!(tokenizer.decode(&[-1, 10_000]), "\u{FFFD}\u{FFFD}");
    assert_eq!(tokenizer.vocab_size(), 9, "eight characters, and one for all others");
    assert_eq!(CharTokenizer::new("a\u{FFFD}b").vocab_size(), 3, "the mark itself is no second id");
}

// ---------------------------------------------------------------- data sets

#[test]
fn a_text_is_split_without_loss() {
    let text: String = (0..250).map(|i| ['é', 'b', ' ', '☃'][i % 4]).collect();
    let data = TextDataset::from_text("mixed", &text).unwrap();
    let (train, validation) = (data.text(Split::Train), data.text(Split::Validation));
    assert_eq!(format!("{train}{validation}"), text);
    assert_eq!((train.chars().count(), validation.chars().count()), (225, 25));
    assert_eq!(data.floor, None);
}

#[test]
fn streams_follow_the_text() {
    let text: String = ('a'..='z').cycle().take(300).collect();
    let data = TextDataset::from_text("alphabet", &text).unwrap();
    let ids = data.ids(Split::Train); // 270 of them
    let streams = data.streams(Split::Train, 3, 10).unwrap();
    assert_eq!(streams.batches(), 8); // (270 − 1) / 3 = 89 predictions a stream
    let batches: Vec<_> = streams.collect();
    assert_eq!(batches.len(), 8);
    for (number, batch) in batches.iter().enumerate() {
        assert_eq!(batch.first, number == 0);
        for row in 0..3 {
            let start = 89 * row + 10 * number;
            assert_eq!(numbers(&batch.ids.get(row as i64)), ids[start..start + 10]);
            assert_eq!(numbers(&batch.targets.get(row as i64)), ids[start + 1..start + 11]);
        }
    }
}

#[test]
fn endless_streams_start_over() {
    let data = TextDataset::from_text("alphabet", &"abcdefg".repeat(30)).unwrap();
    let once = data.streams(Split::Validation, 2, 5).unwrap();
    let length = once.batches() as usize;
    let firsts: Vec<bool> = once.endless().take(2 * length + 1).map(|batch| batch.first).collect();
    let expected: Vec<bool> = (0..2 * length + 1).map(|i| i % length == 0).collect();
    assert_eq!(firsts, expected);
}

#[test]
fn bad_texts_are_refused_in_one_line() {
    refuses(TextDataset::from_text("tiny", "too short"), &["9 characters", "at least 100"]);
    refuses(TextDataset::open("no/such.txt"), &["no/such.txt", "cargo course data", "LLM_COURSE_DATA"]);
    refuses(TextDataset::from_file("no/such.txt"), &["no/such.txt", "check the path"]);
    refuses(TextDataset::stories(1000, 0, 1), &["0 validation characters"]);
    let mut latin1 = tempfile::NamedTempFile::new().unwrap();
    latin1.write_all(&[b'a', b'b', 0xE9, b'c'].repeat(50)).unwrap();
    refuses(TextDataset::from_file(latin1.path()), &["not UTF-8 at byte 2", "iconv"]);
    let data = TextDataset::from_text("short", &"abc ".repeat(30)).unwrap();
    refuses(data.streams(Split::Validation, 4, 64), &["12 characters", "4 streams of 64", "longer text"]);
    refuses(data.streams(Split::Train, 0, 10), &["batch 0", "at least 1"]);
}

#[test]
fn stories_have_a_floor_near_the_grammars_entropy() {
    for seed in 1..=3 {
        let data = TextDataset::stories(2_000, 200_000, seed).unwrap();
        let (floor, entropy) = (data.floor.unwrap(), Grammar::stories().bits_per_char());
        assert!((floor - entropy).abs() < 0.02 * entropy, "{floor} and {entropy}");
    }
    let (one, other) =
        (TextDataset::stories(2_000, 500, 1).unwrap(), TextDataset::stories(2_000, 500, 2).unwrap());
    assert_ne!(one.text(Split::Train), other.text(Split::Train));
    assert_ne!(one.text(Split::Train)[..400], one.text(Split::Validation)[..400]);
}

// ---------------------------------------------------------------- n-grams

#[test]
fn witten_bell_by_hand() {
    // a b a b a c over {a, b, c}: after nothing 6 ids of 3 kinds; after a: b twice, c once.
    let bigram = NGram::fit(2, &[0, 1, 0, 1, 0, 2], 3).unwrap();
    let unigram = [(3.0 + 1.0) / 9.0, (2.0 + 1.0) / 9.0, (1.0 + 1.0) / 9.0];
    let after_a = [2.0 * unigram[0] / 5.0, (2.0 + 2.0 * unigram[1]) / 5.0, (1.0 + 2.0 * unigram[2]) / 5.0];
    for (p, expected) in [(bigram.probabilities(&[]), unigram), (bigram.probabilities(&[0]), after_a)] {
        assert!(p.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-12), "{p} is not {expected:?}");
    }
    // c was never followed by anything: the unigram decides.
    assert_eq!(bigram.probabilities(&[2]), bigram.probabilities(&[]));
}

#[test]
fn every_distribution_sums_to_one_and_gives_the_cross_entropy() {
    let data = TextDataset::stories(20_000, 2_000, 1).unwrap();
    let (train, valid) = (data.ids(Split::Train), data.ids(Split::Validation));
    for order in 1..=6 {
        let model = NGram::fit(order, &train, data.tokenizer.vocab_size()).unwrap();
        let mut nats = 0.0;
        for i in 0..200 {
            let p = model.probabilities(&valid[..i]);
            assert!((p.sum() - 1.0).abs() < 1e-12 && p.iter().all(|&p| p > 0.0));
            nats -= p[valid[i] as usize].ln();
        }
        assert!((model.cross_entropy(&valid[..200]) - nats / 200.0).abs() < 1e-12, "order {order}");
    }
}

#[test]
fn a_shortened_ngram_is_the_one_fitted_with_that_order() {
    let data = TextDataset::stories(20_000, 2_000, 1).unwrap();
    let (train, valid, vocab_size) =
        (data.ids(Split::Train), data.ids(Split::Validation), data.tokenizer.vocab_size());
    let longest = NGram::fit(6, &train, vocab_size).unwrap();
    for order in 1..=6 {
        let (model, shortened) = (NGram::fit(order, &train, vocab_size).unwrap(), longest.shortened(order));
        assert_eq!(model.counts(), shortened.counts());
        assert_eq!(model.cross_entropy(&valid), shortened.cross_entropy(&valid));
    }
}

#[test]
fn no_ngram_beats_the_floor() {
    for seed in 1..=3 {
        let data = TextDataset::stories(100_000, 20_000, seed).unwrap();
        for order in [1, 3, 5, 8] {
            let model = NGram::fit(order, &data.ids(Split::Train), data.tokenizer.vocab_size()).unwrap();
            let loss = bits(model.cross_entropy(&data.ids(Split::Validation)));
            assert!(loss > data.floor.unwrap() + 0.2, "order {order}: {loss}");
        }
    }
}

#[test]
fn bad_ngrams_are_refused() {
    refuses(NGram::fit(0, &[0], 2), &["order 0"]);
    refuses(NGram::fit(2, &[], 2), &["0 ids"]);
    refuses(NGram::fit(2, &[0, 5], 2), &["id 5", "vocabulary of 2"]);
}

// ---------------------------------------------------------------- generation and metrics

#[test]
fn temperature_draws_from_the_distribution_it_says() {
    let logits = Tensor::from_slice(&[0.0f32, 1.0, 2.0, -1.0]).unsqueeze(0);
    for temperature in [0.5, 1.0, 2.0] {
        tch::manual_seed(1);
        let p = (&logits / temperature).softmax(-1, Kind::Double).squeeze();
        let draws = Sampling::Temperature(temperature).choose(&logits.repeat([40_000, 1]));
        for id in 0..4 {
            let p = p.double_value(&[id]);
            let share = draws.eq(id).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
            let error = (p * (1.0 - p) / 40_000.0).sqrt();
            assert!((share - p).abs() < 5.0 * error, "T {temperature}, id {id}: {share} is not {p}");
        }
    }
    assert_eq!(numbers(&Sampling::Greedy.choose(&logits)), [2]);
}

#[test]
fn generation_feeds_back_what_it_chose() {
    let mut seen = Vec::new();
    let ids = generate(&[3, 4], 3, Sampling::Greedy, |unseen| {
        seen.push(numbers(unseen));
        let next = (unseen.select(1, -1) + 1).remainder(7); // the model says: last + 1
        next.one_hot(7).unsqueeze(1).to_kind(Kind::Float)
    });
    assert_eq!(ids, [5, 6, 0]);
    assert_eq!(seen, [vec![3, 4], vec![5], vec![6]]);
}

#[test]
fn metrics_by_hand() {
    assert_eq!(accuracy(&[1, 2, 3, 4], &[1, 0, 3, 0]), 0.5);
    assert!((bits(perplexity(0.0).ln() + 2.0_f64.ln()) - 1.0).abs() < 1e-12);
}

#[test]
fn windows_are_pieces_of_the_text_with_the_character_after_each() {
    let text: String = ('!'..='~').cycle().take(2000).collect(); // each character is followed by one other only
    let data = TextDataset::from_text("alphabet", &text).unwrap();
    let next: std::collections::HashMap<i64, i64> =
        data.ids(Split::Train).windows(2).map(|pair| (pair[0], pair[1])).collect();
    tch::manual_seed(1);
    let batch = data.windows(Split::Train, 50, 7).unwrap().next().unwrap();
    assert_eq!((batch.ids.size(), batch.targets.size()), (vec![50, 7], vec![50, 7]));
    let flat = |t: &tch::Tensor| Vec::<i64>::try_from(t.flatten(0, 1)).unwrap();
    let (ids, targets) = (flat(&batch.ids), flat(&batch.targets));
    assert!(ids.iter().zip(&targets).all(|(id, target)| next[id] == *target));
    let starts: std::collections::HashSet<&i64> = ids.iter().step_by(7).collect();
    assert!(starts.len() > 20, "windows begin at {} of 94 places", starts.len());
    for (batch, time) in [(0, 7), (5, 0), (5, 5000)] {
        let message = data.windows(Split::Train, batch, time).unwrap_err().to_string();
        assert!(message.contains(&format!("{batch} windows of {time}")), "{message}");
    }
}

#[test]
fn the_glossary_is_plain_text() {
    let terms = glossary().unwrap();
    assert!(terms.len() > 200, "{} terms", terms.len());
    for term in &terms {
        assert!(!term.name.is_empty() && term.text.len() > 10, "{term:?}");
        for markup in ["](", "*Lesson", "#####", "\n", "  "] {
            assert!(!term.text.contains(markup), "{markup:?} is in {term:?}");
        }
    }
    let text = |name: &str| &terms.iter().find(|term| term.name == name).unwrap().text;
    assert_eq!(
        text("LoRA"),
        "Low-rank adaptation, 2021: a frozen matrix plus the product of two thin ones, and only these are trained."
    );
    assert!(text("parameter-efficient fine-tuning").contains("LoRA, adapters, the head only"));
    assert!(text("PCA").ends_with("in the plane."));
}
