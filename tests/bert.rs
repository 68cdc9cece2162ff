//! BERT against Hugging Face's, number by number and file by file; that padding does nothing.

mod compare;

use std::path::{Path, PathBuf};

use llm_course::data::{Corruption, IGNORE, MaskedDataset};
use llm_course::models::{Bert, BertClassifier, BertConfig, BertHeads};
use tch::{Device, IndexOp, Kind, Tensor, nn::VarStore};

use compare::{assert_close, check_in_transformers, difference, fixture, get, scratch, stir, tensors};

fn load(folder: &Path) -> (VarStore, Bert) {
    let vs = VarStore::new(Device::Cpu);
    let bert = Bert::load(&vs, folder).unwrap();
    (vs, bert)
}

/// Ids, segments and mask of a fixture.
fn inputs(outputs: &[(String, Tensor)]) -> [Tensor; 3] {
    let ids = get(outputs, "ids");
    let segments = outputs.iter().find(|(name, _)| name == "segments");
    let segments = segments.map_or_else(|| ids.zeros_like(), |(_, segments)| segments.shallow_clone());
    [ids, segments, get(outputs, "mask")]
}

#[test]
fn bert_gives_hugging_faces_numbers() {
    let (_vs, bert) = load(&fixture("bert"));
    assert_eq!(bert.config().heads, BertHeads::ALL);
    let outputs = tensors(fixture("bert/outputs.safetensors"));
    let [ids, segments, mask] = inputs(&outputs);
    let trace = bert.trace(&ids, &segments, &mask);
    assert_close("hidden states", &Tensor::stack(&trace.hidden, 0), &get(&outputs, "hidden"), 1e-5);
    assert_close("weights", &Tensor::stack(&trace.weights, 0), &get(&outputs, "weights"), 1e-5);
    let hidden = bert.forward(&ids, &segments, &mask, false);
    assert_close("fused attention", &hidden, &get(&outputs, "hidden").get(2), 1e-5);
    for layer in 0..=2 {
        let below = bert.forward_until(layer as usize, &ids, &segments, &mask);
        assert_close("below", &below, &get(&outputs, "hidden").get(layer), 1e-5);
        assert_eq!(bert.forward_from(layer as usize, &below, &mask, false), hidden, "from layer {layer} on");
    }
    let pooled = bert.pooled(&hidden);
    assert_close("pooled", &pooled, &get(&outputs, "pooled"), 1e-5);
    assert_close("word logits", &bert.word_logits(&hidden), &get(&outputs, "logits"), 1e-5);
    assert_close("next logits", &bert.next_logits(&pooled), &get(&outputs, "next"), 1e-5);
}

#[test]
fn distilbert_is_a_bert_without_segments_and_pooler() {
    let (_vs, bert) = load(&fixture("distilbert"));
    assert!(bert.config().is_distilled());
    assert_eq!(bert.config().heads, BertHeads::WORDS);
    let outputs = tensors(fixture("distilbert/outputs.safetensors"));
    let [ids, segments, mask] = inputs(&outputs);
    let trace = bert.trace(&ids, &segments, &mask);
    assert_close("hidden states", &Tensor::stack(&trace.hidden, 0), &get(&outputs, "hidden"), 1e-5);
    let hidden = bert.forward(&ids, &segments, &mask, false);
    assert_close("word logits", &bert.word_logits(&hidden), &get(&outputs, "logits"), 1e-5);
}

#[test]
fn what_we_save_has_hugging_faces_names_and_shapes_and_loads_there() {
    for name in ["bert", "distilbert"] {
        let (vs, bert) = load(&fixture(name));
        stir(&vs);
        let folder = scratch(&format!("save_{name}"));
        bert.save(&vs, &folder).unwrap();
        let shapes = |folder: PathBuf| -> Vec<_> {
            let of = |(name, tensor): (String, Tensor)| (name, tensor.size(), tensor.kind());
            tensors(folder.join("model.safetensors")).into_iter().map(of).collect()
        };
        assert_eq!(shapes(folder.clone()), shapes(fixture(name)));

        let outputs = tensors(fixture(name).join("outputs.safetensors"));
        let [ids, segments, mask] = inputs(&outputs);
        let hidden = bert.forward(&ids, &segments, &mask, false);
        let (_vs, again) = load(&folder);
        assert_eq!(again.forward(&ids, &segments, &mask, false), hidden, "{name}, saved and loaded");
        let logits = bert.word_logits(&hidden);
        let mut all = vec![("ids", &ids), ("mask", &mask), ("hidden", &hidden), ("logits", &logits)];
        if name == "distilbert" {
            check_in_transformers(&folder, &all);
            continue;
        }
        let pooled = bert.pooled(&hidden);
        let next = bert.next_logits(&pooled);
        all.extend([("segments", &segments), ("pooled", &pooled), ("next", &next)]);
        check_in_transformers(&folder, &all);
    }
}

/// A model of the fixtures' sizes. All its weights are far from where they start: a wrong one would show.
fn random(heads: BertHeads, segments: i64) -> (VarStore, Bert) {
    let sizes = BertConfig { d_model: 32, d_ff: 64, block_size: 24, ..BertConfig::tiny(120) };
    let vs = VarStore::new(Device::Cpu);
    let bert = Bert::new(&vs.root(), BertConfig { segments, heads, ..sizes }).unwrap();
    stir(&vs);
    (vs, bert)
}

#[test]
fn models_with_fewer_heads_load_in_transformers_too() {
    let outputs = tensors(fixture("bert/outputs.safetensors"));
    let [ids, segments, mask] = inputs(&outputs);
    let bare = BertHeads { pooler: true, words: false, next: false };
    for (case, heads, kinds) in [("words", BertHeads::WORDS, 2), ("bare", bare, 2), ("distilled", bare, 0)] {
        let heads = if kinds == 0 { BertHeads { pooler: false, ..heads } } else { heads };
        let (vs, bert) = random(heads, kinds);
        let folder = scratch(&format!("heads_{case}"));
        bert.save(&vs, &folder).unwrap();
        let (_vs, again) = load(&folder);
        assert_eq!(again.config().heads, heads);
        let hidden = bert.forward(&ids, &segments, &mask, false);
        assert_eq!(again.forward(&ids, &segments, &mask, false), hidden);
        let mut all = vec![("ids", &ids), ("mask", &mask), ("hidden", &hidden)];
        if kinds > 0 {
            all.push(("segments", &segments));
        }
        check_in_transformers(&folder, &all);
    }
}

#[test]
fn classifiers_go_to_transformers_and_back() {
    let outputs = tensors(fixture("bert/outputs.safetensors"));
    let [ids, segments, mask] = inputs(&outputs);
    for name in ["bert", "distilbert"] {
        let (vs, bert) = load(&fixture(name));
        let classifier = BertClassifier::new(&vs.root(), bert, 3).unwrap();
        let logits = classifier.logits(&ids, &segments, &mask, false);
        logits.cross_entropy_for_logits(&Tensor::from_slice(&[0i64, 2, 1])).backward();
        let unused = ["words.transform", "words.norm", "words.bias", "next"]; // heads of pretraining
        for (variable, tensor) in vs.variables() {
            let trained =
                tensor.grad().defined() && tensor.grad().abs().sum(Kind::Float).double_value(&[]) > 0.0;
            let expected = !unused.iter().any(|head| variable.starts_with(head));
            assert_eq!(trained, expected, "{name}: gradient of {variable}");
        }

        let folder = scratch(&format!("classifier_{name}"));
        classifier.save(&vs, &folder).unwrap();
        let vs = VarStore::new(Device::Cpu);
        let again = BertClassifier::load(&vs, &folder).unwrap();
        assert_eq!(again.classes(), 3);
        assert_eq!(again.logits(&ids, &segments, &mask, false), logits);
        let (_vs, body) = load(&folder);
        let hidden = body.forward(&ids, &segments, &mask, false);
        assert_eq!(again.bert.forward(&ids, &segments, &mask, false), hidden, "the encoder of a classifier");
    }
}

#[test]
fn classifiers_load_in_transformers() {
    let outputs = tensors(fixture("bert/outputs.safetensors"));
    let [ids, segments, mask] = inputs(&outputs);
    for kinds in [2, 0] {
        let (vs, bert) = random(BertHeads { pooler: kinds > 0, words: false, next: false }, kinds);
        let classifier = BertClassifier::new(&vs.root(), bert, 3).unwrap();
        stir(&vs);
        let folder = scratch(&format!("classifier_{kinds}"));
        classifier.save(&vs, &folder).unwrap();
        let logits = classifier.logits(&ids, &segments, &mask, false);
        let mut all = vec![("ids", &ids), ("mask", &mask), ("logits", &logits)];
        if kinds > 0 {
            all.push(("segments", &segments));
        }
        check_in_transformers(&folder, &all);
    }
}

/// Writes the fixture's weights, renamed or changed by `change`, with its configuration.
fn altered(name: &str, change: impl Fn(String, Tensor) -> Vec<(String, Tensor)>) -> PathBuf {
    let folder = scratch(name);
    std::fs::copy(fixture("bert/config.json"), folder.join("config.json")).unwrap();
    let weights = tensors(fixture("bert/model.safetensors"));
    let changed: Vec<(String, Tensor)> = weights.into_iter().flat_map(|(n, t)| change(n, t)).collect();
    let named: Vec<(&str, &Tensor)> = changed.iter().map(|(n, t)| (n.as_str(), t)).collect();
    Tensor::write_safetensors(&named, folder.join("model.safetensors")).unwrap();
    folder
}

#[test]
fn files_of_the_bare_encoder_and_old_files_load() {
    let outputs = tensors(fixture("bert/outputs.safetensors"));
    let [ids, segments, mask] = inputs(&outputs);
    let want = get(&outputs, "hidden").get(2);
    let bare = altered("bare", |name, tensor| match name.strip_prefix("bert.") {
        Some(name) => vec![(name.to_string(), tensor)],
        None => vec![],
    });
    let (_vs, bert) = load(&bare);
    assert_eq!(bert.config().heads, BertHeads { pooler: true, words: false, next: false });
    assert_close("bare", &bert.forward(&ids, &segments, &mask, false), &want, 1e-5);

    let old = altered("old", |name, tensor| {
        let renamed =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        match name.as_str() {
            "cls.predictions.bias" => vec![
                ("cls.predictions.decoder.bias".into(), tensor.copy()),
                ("bert.embeddings.position_ids".into(), Tensor::arange(24, (Kind::Int64, Device::Cpu))),
                (renamed, tensor),
            ],
            "bert.embeddings.word_embeddings.weight" => {
                vec![("cls.predictions.decoder.weight".into(), tensor.copy()), (renamed, tensor)]
            }
            _ => vec![(renamed, tensor)],
        }
    });
    let (_vs, bert) = load(&old);
    assert_eq!(bert.config().heads, BertHeads::ALL);
    assert_close("old", &bert.forward(&ids, &segments, &mask, false), &want, 1e-5);
}

#[test]
fn every_wrong_tensor_is_named() {
    let folder = altered("wrong", |name, tensor| match name.as_str() {
        "bert.encoder.layer.1.attention.self.key.weight" => vec![],
        "cls.seq_relationship.bias" => vec![(name, Tensor::zeros([3], (Kind::Float, Device::Cpu)))],
        "bert.embeddings.LayerNorm.bias" => vec![(name, tensor.copy()), ("bert.surprise".into(), tensor)],
        _ => vec![(name, tensor)],
    });
    let error = Bert::load(&VarStore::new(Device::Cpu), folder).unwrap_err().to_string();
    for part in [
        "bert.encoder.layer.1.attention.self.key.weight [32, 32] is missing",
        "cls.seq_relationship.bias is [3], not [2]",
        "bert.surprise [32] is extra",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }

    let other = altered("other", |name, tensor| vec![(name, tensor)]);
    for (from, to, advice) in [
        ("\"model_type\": \"bert\"", "\"model_type\": \"gpt2\"", "model_type is gpt2"),
        ("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "tie_word_embeddings"),
        ("\"hidden_size\": 32", "\"hidden_size\": 31", "multiple of n_heads"),
        ("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"swish\"", "swish"),
    ] {
        let config = std::fs::read_to_string(fixture("bert/config.json")).unwrap();
        assert!(config.contains(from));
        std::fs::write(other.join("config.json"), config.replace(from, to)).unwrap();
        let error = Bert::load(&VarStore::new(Device::Cpu), &other).unwrap_err().to_string();
        assert!(error.contains(advice), "{error}");
    }
    let nowhere = Bert::load(&VarStore::new(Device::Cpu), "no/such/folder").unwrap_err().to_string();
    assert!(nowhere.contains("no/such/folder"), "{nowhere}");
}

#[test]
fn padding_changes_nothing() {
    let (_vs, bert) = load(&fixture("bert"));
    let [ids, segments, mask] = inputs(&tensors(fixture("bert/outputs.safetensors")));
    let before = bert.forward(&ids, &segments, &mask, false);
    let traced = bert.trace(&ids, &segments, &mask);
    let real = mask.unsqueeze(-1);

    let padding = mask.logical_not();
    let other_ids = Tensor::full_like(&ids, 77).where_self(&padding, &ids);
    let other_segments = Tensor::ones_like(&segments).where_self(&padding, &segments);
    let after = bert.forward(&other_ids, &other_segments, &mask, false);
    assert_eq!(&after * &real, &before * &real, "what stands on padding changes no other output by one bit");
    let after = bert.trace(&other_ids, &other_segments, &mask);
    assert_eq!(&after.hidden[2] * &real, &traced.hidden[2] * &real, "nor by hand");
    let open = Tensor::ones_like(&mask);
    let seen = difference(
        &(bert.forward(&other_ids, &segments, &open, false) * &real),
        &(bert.forward(&ids, &segments, &open, false) * &real),
    );
    assert!(seen > 0.01, "without the mask it would change outputs: {seen}");

    let wider = |tensor: &Tensor, value: i64| {
        Tensor::cat(&[tensor, &Tensor::full([3, 9], value, (Kind::Int64, Device::Cpu))], 1)
    };
    let wide_mask = wider(&mask.to_kind(Kind::Int64), 0);
    let wide = bert.forward(&wider(&ids, 33), &wider(&segments, 1), &wide_mask, false);
    assert_close("nine more columns", &(wide.i((.., ..12)) * &real), &(&before * &real), 1e-5);

    for (layer, weights) in traced.weights.iter().enumerate() {
        let keys = mask.unsqueeze(1).unsqueeze(1); // [batch, 1, 1, key]
        let sums = (weights * &keys).sum_dim_intlist(-1, false, Kind::Float);
        assert_close("weights over real keys", &sums, &sums.ones_like(), 1e-6);
        let leaked = (weights * keys.logical_not()).abs().max().double_value(&[]);
        assert_eq!(leaked, 0.0, "weights of layer {layer} on padding");
    }
}

#[test]
fn the_loss_is_libtorchs_over_the_targets() {
    let (_vs, bert) = load(&fixture("bert"));
    let sequences: Vec<Vec<i64>> =
        (0..40).map(|n| (0..n % 7 + 2).map(|i| 5 + (7 * n + i) % 110).collect()).collect();
    let paragraphs: Vec<Vec<Vec<i64>>> = sequences.chunks(4).map(<[_]>::to_vec).collect();
    let data = MaskedDataset::from_paragraphs(&paragraphs, 24, Corruption::new(120)).unwrap();
    let batch = data.batches(12, 1).unwrap().next().unwrap();
    let hidden = bert.forward(&batch.ids, &batch.segments, &batch.mask, false);
    let words = bert.word_logits(&hidden).view([-1, 120]).cross_entropy_loss::<Tensor>(
        &batch.targets.view([-1]),
        None,
        tch::Reduction::Mean,
        IGNORE,
        0.0,
    );
    let next = bert.next_logits(&bert.pooled(&hidden)).cross_entropy_for_logits(&batch.next);
    assert_close("words", &bert.word_loss(&hidden, &batch.targets), &words, 1e-5);
    assert_close("next", &bert.next_loss(&hidden, &batch.next), &next, 1e-6);
    assert_close("sum", &bert.loss(&batch, false), &(words + next), 1e-5);
    let (predicted, targets) = bert.predict_words(&batch);
    let count = batch.targets.ne(IGNORE).sum(Kind::Int64).int64_value(&[]) as usize;
    assert_eq!((predicted.len(), targets.len()), (count, count));
}

#[test]
fn dropout_is_on_in_training_only() {
    let (_vs, bert) = load(&fixture("bert"));
    let [ids, segments, mask] = inputs(&tensors(fixture("bert/outputs.safetensors")));
    let run = |train| bert.forward(&ids, &segments, &mask, train);
    assert_eq!(run(false), run(false));
    assert!(difference(&run(true), &run(true)) > 0.01);
}

#[test]
fn sizes_that_do_not_fit_are_refused_with_advice() {
    let vs = VarStore::new(Device::Cpu);
    let refused = |config| Bert::new(&vs.root(), config).unwrap_err().to_string();
    assert!(refused(BertConfig { n_heads: 3, ..BertConfig::tiny(9) }).contains("multiple of n_heads 3"));
    assert!(refused(BertConfig::tiny(0)).contains("at least 1"));
    let heads = BertHeads { pooler: false, ..BertHeads::ALL };
    assert!(refused(BertConfig { heads, ..BertConfig::tiny(9) }).contains("reads the pooler"));
    let bert = Bert::new(&vs.root(), BertConfig::tiny(9)).unwrap();
    assert!(BertClassifier::new(&vs.root(), bert, 1).unwrap_err().to_string().contains("at least 2"));
}

#[test]
fn rows_without_pairs_add_no_loss_for_pairs() {
    let vs = VarStore::new(Device::Cpu);
    let bert = Bert::new(&vs.root(), BertConfig::tiny(30)).expect("sizes");
    let rows = vec![(5..25).collect::<Vec<i64>>(); 4];
    let data = MaskedDataset::from_sequences(rows, 24, Corruption::new(30)).expect("rows");
    let batch = data.batches(4, 1).expect("rows").next().expect("a batch");
    let hidden = bert.forward(&batch.ids, &batch.segments, &batch.mask, false);
    let words = bert.word_loss(&hidden, &batch.targets).double_value(&[]);
    assert_eq!(bert.next_loss(&hidden, &batch.next).double_value(&[]), 0.0);
    assert_eq!(bert.loss(&batch, false).double_value(&[]), words);
}
