//! Sentence embeddings against Hugging Face's, the search among vectors, and where models are looked for.

mod compare;

use std::path::Path;

use llm_course::models::{Bert, BertConfig, BertHeads, SentenceEncoder, VectorIndex, mean_pool};
use llm_course::pretrained::find_model;
use serde_json::Value;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use compare::{assert_close, difference, fixture};

fn minilm() -> SentenceEncoder {
    let folder = find_model("all-MiniLM-L6-v2").expect("`cargo course setup` installs it");
    SentenceEncoder::open(folder, Device::Cpu).unwrap()
}

#[test]
fn minilm_gives_the_embeddings_of_transformers() {
    let fixture: Value =
        serde_json::from_str(&std::fs::read_to_string(fixture("minilm.json")).unwrap()).unwrap();
    let list = |key: &str| fixture[key].as_array().unwrap().clone();
    let texts: Vec<String> = list("texts").iter().map(|text| text.as_str().unwrap().to_string()).collect();
    assert_eq!(texts.len(), 50);
    let numbers =
        |row: &Value| row.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
    let wanted: Vec<f64> = list("embeddings").iter().flat_map(numbers).collect();
    let wanted = Tensor::from_slice(&wanted).view([50, -1]);
    let ours = minilm().encode(&texts).to_kind(Kind::Double);
    // The fixture holds the first numbers of each embedding.
    assert_close("embeddings", &ours.narrow(1, 0, wanted.size()[1]), &wanted, 1e-4);
    assert_close(
        "lengths",
        &ours.norm_scalaropt_dim(2, [1], false),
        &Tensor::ones([50], (Kind::Double, Device::Cpu)),
        1e-6,
    );
}

#[test]
fn a_text_has_the_same_embedding_alone_and_among_others() {
    let encoder = minilm();
    let texts =
        ["A cat.", "", "The quick brown fox jumps over the lazy dog, as it has done many times before."];
    let together = encoder.encode(&texts);
    for (row, text) in texts.iter().enumerate() {
        assert_close(text, &encoder.encode(&[text]), &together.narrow(0, row as i64, 1), 1e-5);
    }
    assert_eq!(encoder.encode::<&str>(&[]).size(), [0, 384]);
    let long = "word ".repeat(2000);
    let (cut, whole) = ("word ".repeat(254), long);
    assert!(difference(&encoder.encode(&[cut]), &encoder.encode(&[whole])) < 1e-5, "256 tokens are read");
}

#[test]
fn the_mean_leaves_padding_out() {
    let hidden = Tensor::from_slice(&[1.0f64, 2.0, 3.0, 4.0, 100.0, 100.0]).view([1, 3, 2]);
    let mask = Tensor::from_slice(&[1i64, 1, 0]).view([1, 3]);
    assert_close("mean", &mean_pool(&hidden, &mask), &Tensor::from_slice2(&[[2.0f64, 3.0]]), 1e-12);
}

#[test]
fn the_index_finds_what_a_full_sort_finds() {
    tch::manual_seed(3);
    let vectors = Tensor::randn([200, 16], (Kind::Float, Device::Cpu));
    let index = VectorIndex::new(&vectors);
    for number in 0..20 {
        let query = Tensor::randn([16], (Kind::Float, Device::Cpu));
        let scores: Vec<f64> = Vec::try_from(vectors.matmul(&query).to_kind(Kind::Double)).unwrap();
        let mut order: Vec<usize> = (0..200).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let found = index.search(&query, 5);
        let rows: Vec<usize> = found.iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, order[..5], "query {number}");
        assert!((found[0].1 - scores[order[0]]).abs() < 1e-5);
    }
    assert_eq!(
        (index.len(), index.search(&Tensor::zeros([16], (Kind::Float, Device::Cpu)), 999).len()),
        (200, 200)
    );
}

#[test]
fn what_is_missing_is_named() {
    let message = find_model("no-such/model").unwrap_err().to_string();
    for part in ["no-such/model", ".course/models/model", "models--no-such--model", "LLM_COURSE_MODELS"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let folder = tempfile::tempdir().unwrap();
    let vs = VarStore::new(Device::Cpu);
    let bert =
        Bert::new(&vs.root(), BertConfig { heads: BertHeads::WORDS, ..BertConfig::tiny(100) }).unwrap();
    bert.save(&vs, folder.path()).unwrap();
    let message = SentenceEncoder::open(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
    let pooling = folder.path().join("1_Pooling");
    std::fs::create_dir(&pooling).unwrap();
    std::fs::write(pooling.join("config.json"), r#"{"pooling_mode_cls_token": true}"#).unwrap();
    let message = SentenceEncoder::open(folder.path(), Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("mean over its tokens"), "{message}");
    assert_eq!(find_model(&folder.path().display().to_string()).unwrap(), Path::new(folder.path()));
}
