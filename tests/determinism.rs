//! The same seed gives the same training, bit for bit, twice in one program and in another one on the same machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use llm_course::data::{IGNORE, MaskedBatch};
use llm_course::layers::{LoraConfig, Positions, Score};
use llm_course::models::{
    Bert, BertClassifier, BertConfig, CellKind, CharLm, CharLmConfig, Gpt, GptConfig, Seq2Seq, Seq2SeqConfig,
    Transformer, TransformerConfig,
};
use llm_course::train::{TrainConfig, Trainer};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// Different ids, rows of a batch, and their length.
const VOCAB: i64 = 50;
const BATCH: i64 = 8;
const TIME: i64 = 16;
const STEPS: usize = 6;

/// Random ids, others in each step.
fn ids() -> Tensor {
    Tensor::randint(VOCAB, [BATCH, TIME], (Kind::Int64, Device::Cpu))
}

/// Marks all but the last ids of some rows.
fn mask() -> Tensor {
    let lengths = Tensor::randint_low(TIME / 2, TIME + 1, [BATCH, 1], (Kind::Int64, Device::Cpu));
    Tensor::arange(TIME, (Kind::Int64, Device::Cpu)).lt_tensor(&lengths)
}

/// The losses, the norms of the gradients and the last weights of a training, as bits.
fn train(vs: &VarStore, mut loss: impl FnMut() -> Tensor) -> Vec<u64> {
    let config = TrainConfig { steps: STEPS as i64, lr: 3e-3, warmup: 2, ..Default::default() };
    let mut trainer = Trainer::new(vs, config).expect("variables");
    let history = trainer.fit("twice", |_| loss(), || 0.0).expect("finite");
    let mut names: Vec<(String, Tensor)> = vs.variables().into_iter().collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    let weights = names.iter().map(|(_, weight)| weight.square().sum(Kind::Double).double_value(&[]));
    history.train.iter().chain(&history.grad_norm).copied().chain(weights).map(f64::to_bits).collect()
}

fn char_lm(kind: CellKind) -> Vec<u64> {
    let vs = VarStore::new(Device::Cpu);
    let model = CharLm::new(&vs.root(), CharLmConfig::new(kind, VOCAB, 32, 64));
    train(&vs, || {
        let (logits, _) = model.forward(&ids(), &model.zero_state(BATCH));
        logits.dropout(0.1, true).flatten(0, 1).cross_entropy_for_logits(&ids().flatten(0, 1))
    })
}

fn seq2seq(score: Score) -> Vec<u64> {
    let vs = VarStore::new(Device::Cpu);
    let config = Seq2SeqConfig {
        dropout: 0.2,
        embed_dim: 32,
        hidden_dim: 48,
        ..Seq2SeqConfig::new(VOCAB, VOCAB, score)
    };
    let model = Seq2Seq::new(&vs.root(), config).expect("sizes that fit");
    train(&vs, || model.forward_t(&ids(), &mask(), &ids(), 0.8, true).loss(&ids()))
}

fn transformer() -> Vec<u64> {
    let vs = VarStore::new(Device::Cpu);
    let sizes =
        TransformerConfig { d_model: 64, n_heads: 2, d_ff: 256, ..TransformerConfig::new(VOCAB, VOCAB) };
    let model = Transformer::new(&vs.root(), sizes).expect("sizes that fit");
    train(&vs, || model.loss(&ids(), &mask(), &ids(), &ids(), 0.1, true))
}

fn small_gpt() -> GptConfig {
    GptConfig { dropout: 0.1, d_model: 64, n_heads: 2, n_layers: 2, d_ff: 256, ..GptConfig::small(VOCAB) }
}

fn gpt(positions: Positions) -> Vec<u64> {
    let vs = VarStore::new(Device::Cpu);
    let config = GptConfig { positions, ..small_gpt() };
    let model = Gpt::new(&vs.root(), config).expect("sizes that fit");
    train(&vs, || model.loss(&ids(), &ids(), true))
}

fn gpt_lora() -> Vec<u64> {
    let (vs, update) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
    let mut model = Gpt::new(&vs.root(), small_gpt()).expect("sizes that fit");
    model.add_lora(&update.root(), LoraConfig::rank(4)).expect("no update yet");
    train(&update, || model.loss(&ids(), &ids(), true))
}

fn bert(vs: &VarStore) -> Bert {
    Bert::new(&vs.root(), BertConfig { d_model: 64, d_ff: 256, ..BertConfig::tiny(VOCAB) })
        .expect("sizes that fit")
}

fn masked() -> Vec<u64> {
    let vs = VarStore::new(Device::Cpu);
    let model = bert(&vs);
    train(&vs, || {
        let (ids, segments) = (ids(), ids().ge(VOCAB / 2).to_kind(Kind::Int64));
        let targets = ids.masked_fill(&Tensor::rand(ids.size(), (Kind::Float, Device::Cpu)).lt(0.8), IGNORE);
        let next = Tensor::randint(2, [BATCH], (Kind::Int64, Device::Cpu));
        model.loss(&MaskedBatch { ids, segments, mask: mask(), targets, next }, true)
    })
}

fn classifier(lora: bool) -> Vec<u64> {
    let (vs, update) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
    let mut model = BertClassifier::new(&vs.root(), bert(&vs), 3).expect("three classes");
    if lora {
        model.bert.add_lora(&update.root(), LoraConfig::rank(4)).expect("no update yet");
    }
    train(if lora { &update } else { &vs }, || {
        let ids = ids();
        let classes = Tensor::randint(3, [BATCH], (Kind::Int64, Device::Cpu));
        model.logits(&ids, &ids.zeros_like(), &mask(), true).cross_entropy_for_logits(&classes)
    })
}

/// A training, which gives its losses and weights as bits.
type Family = Box<dyn Fn() -> Vec<u64>>;

/// What each family gives with the seed.
fn families(seed: i64) -> BTreeMap<String, Vec<u64>> {
    let mut all: Vec<(String, Family)> = Vec::new();
    for kind in [CellKind::Rnn, CellKind::Gru, CellKind::Lstm] {
        all.push((format!("{kind:?}"), Box::new(move || char_lm(kind))));
    }
    for score in [Score::None, Score::Additive, Score::ScaledDot] {
        all.push((format!("Seq2Seq, {score:?}"), Box::new(move || seq2seq(score))));
    }
    for positions in [Positions::Learned, Positions::Sinusoidal, Positions::Rotary] {
        all.push((format!("Gpt, {positions:?}"), Box::new(move || gpt(positions))));
    }
    all.push(("Transformer".into(), Box::new(transformer)));
    all.push(("Gpt, LoRA".into(), Box::new(gpt_lora)));
    all.push(("Bert, hidden words and pairs".into(), Box::new(masked)));
    all.push(("Bert, classes".into(), Box::new(|| classifier(false))));
    all.push(("Bert, classes, LoRA".into(), Box::new(|| classifier(true))));
    all.into_iter()
        .map(|(name, run)| {
            llm_course::seed(seed);
            (name, run())
        })
        .collect()
}

/// Two programs train every family, each twice; libtorch's generator and threads belong to the whole of a program.
#[test]
fn every_family_trains_the_same_twice_and_in_another_program() {
    const CHILD: &str = "LLM_COURSE_TEST_DETERMINISM";
    if let Some(file) = std::env::var_os(CHILD) {
        tch::set_num_threads(2);
        let seed = if file.to_string_lossy().ends_with("other") { 2 } else { 1 };
        let twice = serde_json::to_string(&[families(1), families(seed)]).expect("JSON");
        return std::fs::write(file, twice).expect("a folder to write in");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [[first, second], [there, other]] =
        ["twice", "other"].map(|name| child(CHILD, &folder.path().join(name)));
    for (name, numbers) in &first {
        assert_eq!(numbers, &second[name], "{name}, twice");
        assert_eq!(numbers, &there[name], "{name}, in another program");
        let seeds_matter = numbers.iter().zip(&other[name]).take(STEPS).all(|(a, b)| a != b);
        assert!(seeds_matter, "{name}: another seed gives another training");
        println!("{name}: {} numbers the same three times, bit for bit", numbers.len());
    }
    println!("{} families", first.len());
}

/// What this test finds in another program.
fn child(variable: &str, file: &Path) -> [BTreeMap<String, Vec<u64>>; 2] {
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.env("OMP_WAIT_POLICY", "passive"); // threads that spin while they wait take minutes on a busy machine
    let status = child.env(variable, file).stdout(Stdio::null()).status();
    assert!(status.expect("this test starts").success());
    serde_json::from_slice(&std::fs::read(file).expect("it wrote its numbers")).expect("JSON")
}
