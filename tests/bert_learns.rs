//! A tiny BERT learns the course's corpus. Alone in its file: initial weights come from libtorch's one generator.

use std::collections::HashMap;

use llm_course::data::{Corruption, MaskedDataset};
use llm_course::grammar::Grammar;
use llm_course::metrics::accuracy;
use llm_course::models::{Bert, BertConfig, BertHeads};
use llm_course::train::{TrainConfig, Trainer};
use tch::{Device, nn::VarStore};

/// Words and punctuation marks.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in text.split_whitespace() {
        let cuts =
            part.match_indices(|c: char| !c.is_alphanumeric()).flat_map(|(i, mark)| [i, i + mark.len()]);
        let cuts: Vec<usize> = std::iter::once(0).chain(cuts).chain([part.len()]).collect();
        words.extend(cuts.windows(2).map(|cut| &part[cut[0]..cut[1]]).filter(|word| !word.is_empty()));
    }
    words
}

/// The sentences of a text as ids, 1 for words outside the vocabulary.
fn sentences(text: &str, ids: &HashMap<&str, i64>) -> Vec<Vec<i64>> {
    let id = |word: &str| ids.get(word).copied().unwrap_or(1);
    let sentences = text.lines().flat_map(|story| story.split_inclusive(". "));
    sentences.map(|sentence| words(sentence).into_iter().map(id).collect()).collect()
}

#[test]
fn a_tiny_bert_finds_hidden_words_far_better_than_their_frequency_does() {
    let text = Grammar::stories().text(600_000, 1);
    let mut ids = HashMap::new();
    for word in words(&text) {
        let next = ids.len() as i64 + 5;
        ids.entry(word).or_insert(next);
    }
    let vocab_size = ids.len() as i64 + 5;
    let dataset = |text: &str| {
        MaskedDataset::from_sequences(sentences(text, &ids), 64, Corruption::new(vocab_size)).unwrap()
    };
    let train = dataset(&text);
    let held_out = dataset(&Grammar::stories().text(60_000, 1001));

    for seed in 1..=3 {
        tch::manual_seed(seed);
        let vs = VarStore::new(Device::Cpu);
        let sizes = BertConfig { d_model: 64, d_ff: 256, dropout: 0.0, ..BertConfig::tiny(vocab_size) };
        let bert = Bert::new(&vs.root(), BertConfig { heads: BertHeads::WORDS, ..sizes }).unwrap();
        let config =
            TrainConfig { steps: 250, lr: 3e-3, warmup: 30, validate_every: 250, ..TrainConfig::default() };
        let mut batches = train.batches(32, seed as u64).unwrap().endless();
        let (mut found, mut frequency) = (0.0, 0.0);
        let validate = || {
            let (mut predicted, mut targets, mut counts) = (vec![], vec![], HashMap::new());
            for batch in held_out.batches(64, 1).unwrap() {
                let (p, t) = bert.predict_words(&batch);
                predicted.extend(p);
                targets.extend(t);
            }
            targets.iter().for_each(|&id| *counts.entry(id).or_insert(0) += 1);
            let most = counts.values().max().copied().unwrap_or_default();
            frequency = f64::from(most) / targets.len() as f64; // always the most frequent word
            found = accuracy(&predicted, &targets);
            1.0 - found
        };
        let loss = |_| bert.loss(&batches.next().unwrap(), true);
        Trainer::new(&vs, config).unwrap().fit("BERT", loss, validate).unwrap();
        println!("seed {seed}: {found:.3} of the hidden words, by frequency {frequency:.3}");
        assert!(found > 1.75 * frequency, "seed {seed}: {found} against {frequency}");
    }
}
