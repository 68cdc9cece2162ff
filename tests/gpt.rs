//! GPT: the cache against the whole, Hugging Face's numbers and files, initialisation, and that it learns.

mod compare;

use std::path::{Path, PathBuf};

use llm_course::data::{Split, TextDataset};
use llm_course::decode::Sampling;
use llm_course::layers::{Activation, Positions};
use llm_course::models::{Gpt, GptConfig};
use llm_course::ngram::NGram;
use llm_course::tokenizers::Tokenizer;
use llm_course::train::{AdamW, TrainConfig, Trainer};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use compare::{assert_close, check_in_transformers, difference, fixture, get, scratch, stir, tensors};

const ALL: [Positions; 3] = [Positions::Learned, Positions::Sinusoidal, Positions::Rotary];

/// Large enough weights that a mistake shows: 5 times the usual.
fn model(positions: Positions, block_size: i64) -> (VarStore, Gpt) {
    tch::manual_seed(1);
    let vs = VarStore::new(Device::Cpu);
    let sizes = GptConfig { d_model: 32, d_ff: 64, n_layers: 2, ..GptConfig::small(50) };
    let gpt = Gpt::new(&vs.root(), GptConfig { block_size, positions, dropout: 0.1, ..sizes }).unwrap();
    tch::no_grad(|| vs.trainable_variables().iter_mut().filter(|v| v.dim() == 2).for_each(|v| *v *= 5.0));
    (vs, gpt)
}

fn random_ids(shape: [i64; 2]) -> Tensor {
    Tensor::randint(50, shape, (Kind::Int64, Device::Cpu))
}

#[test]
fn cached_logits_equal_uncached_ones_at_every_length_and_past_the_context() {
    for positions in ALL {
        for block_size in [1, 2, 7, 16] {
            let (_vs, gpt) = model(positions, block_size);
            let ids = random_ids([3, 3 * block_size + 5]);
            let uncached = |seen: i64| {
                let start = gpt.cache(1).window_start(seen);
                gpt.forward(&ids.narrow(1, start, seen - start), false).select(1, -1)
            };
            for first in [1, 5, block_size, block_size + 1, 3 * block_size] {
                let mut cache = gpt.cache(3);
                let mut unseen = ids.narrow(1, 0, first);
                for seen in first..ids.size()[1] {
                    let what = format!("{positions:?}, context {block_size}, {seen} ids, first {first}");
                    assert_close(&what, &gpt.next_logits(&unseen, &mut cache), &uncached(seen), 1e-5);
                    assert_eq!(cache.seen(), seen);
                    unseen = ids.narrow(1, seen, 1);
                }
            }
            // In pieces of every size.
            let mut cache = gpt.cache(3);
            let mut seen = 0;
            for piece in 1.. {
                if seen + piece > ids.size()[1] {
                    break;
                }
                let logits = gpt.next_logits(&ids.narrow(1, seen, piece), &mut cache);
                seen += piece;
                assert_close("in growing pieces", &logits, &uncached(seen), 1e-5);
            }
        }
    }
}

#[test]
fn the_window_slides_as_documented() {
    let (_vs, gpt) = model(Positions::Learned, 8);
    let starts: Vec<i64> = (1..=18).map(|seen| gpt.cache(1).window_start(seen)).collect();
    assert_eq!(starts, [0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12]);
    let (_vs, odd) = model(Positions::Learned, 7);
    let starts: Vec<i64> = (7..=16).map(|seen| odd.cache(1).window_start(seen)).collect();
    assert_eq!(starts, [0, 4, 4, 4, 4, 8, 8, 8, 8, 12], "from 7 ids to the last 3 and a new one");
}

#[test]
fn later_ids_never_change_logits() {
    for positions in ALL {
        let (_vs, gpt) = model(positions, 12);
        let ids = random_ids([2, 12]);
        let logits = gpt.forward(&ids, false);
        for t in 1..12 {
            let changed = ids.copy();
            changed.narrow(1, t, 12 - t).copy_(&((ids.narrow(1, t, 12 - t) + 7).remainder(50)));
            let other = gpt.forward(&changed, false);
            let before = difference(&other.narrow(1, 0, t), &logits.narrow(1, 0, t));
            assert_eq!(before, 0.0, "{positions:?}: logits before {t}");
            assert!(difference(&other.narrow(1, t, 1), &logits.narrow(1, t, 1)) > 1e-3);
        }
    }
}

/// The most probable continuation without any cache.
fn greedy_uncached(gpt: &Gpt, prompt: &[i64], count: usize) -> Vec<i64> {
    let mut ids = prompt.to_vec();
    for _ in 0..count {
        let start = gpt.cache(1).window_start(ids.len() as i64) as usize;
        let logits = gpt.forward(&Tensor::from_slice(&ids[start..]).unsqueeze(0), false);
        ids.push(logits.select(1, -1).argmax(-1, false).int64_value(&[0]));
    }
    ids[prompt.len()..].to_vec()
}

#[test]
fn prompts_are_continued_together_as_each_alone() {
    for positions in ALL {
        let (_vs, gpt) = model(positions, 10);
        let prompts = [vec![1i64, 2, 3], vec![4], (5..30).collect(), vec![6, 7, 8]];
        let together = gpt.generate_batch(&prompts, 25, Sampling::Greedy);
        for (prompt, row) in prompts.iter().zip(&together) {
            assert_eq!(*row, greedy_uncached(&gpt, prompt, 25), "{positions:?}");
            assert_eq!(*row, gpt.generate(prompt, 25, Sampling::Greedy));
        }
        assert!(gpt.generate(&[1], 0, Sampling::Greedy).is_empty());
        tch::manual_seed(5);
        let sampled = gpt.generate_batch(&vec![vec![1i64]; 20], 30, Sampling::Temperature(1.0));
        assert!(sampled.iter().any(|row| row != &sampled[0]), "rows are drawn independently");
    }
}

#[test]
fn sampling_follows_the_models_distribution() {
    let (_vs, gpt) = model(Positions::Learned, 10);
    tch::manual_seed(6);
    let draws = 20_000;
    let sampled = gpt.generate_batch(&vec![vec![3i64, 4]; draws], 1, Sampling::Temperature(0.8));
    let logits = gpt.forward(&Tensor::from_slice(&[3i64, 4]).unsqueeze(0), false).select(1, -1);
    let expected = (logits / 0.8).softmax(-1, Kind::Double);
    for id in 0..50 {
        let p = expected.double_value(&[0, id]);
        let share = sampled.iter().filter(|row| row[0] == id).count() as f64 / draws as f64;
        let error = (p * (1.0 - p) / draws as f64).sqrt();
        assert!((share - p).abs() < 5.0 * error + 1e-4, "id {id}: {share} drawn, {p} expected");
    }
}

#[test]
fn weights_start_as_gpt_2s() {
    tch::manual_seed(2);
    let vs = VarStore::new(Device::Cpu);
    Gpt::new(&vs.root(), GptConfig { d_model: 256, d_ff: 1024, ..GptConfig::small(1000) }).unwrap();
    for (name, tensor) in vs.variables() {
        let (std, mean) = (tensor.std(false).double_value(&[]), tensor.mean(Kind::Float).double_value(&[]));
        if tensor.dim() == 1 {
            let value = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
            assert_eq!((mean, std), (value, 0.0), "{name}");
            continue;
        }
        let residual = name.ends_with("attention.out.weight") || name.ends_with("feed_forward.down.weight");
        let want = if residual { 0.02 / 8f64.sqrt() } else { 0.02 };
        assert!((std / want - 1.0).abs() < 0.03, "{name}: {std}, not {want}");
    }
    let count: usize = vs.variables().values().map(Tensor::numel).sum();
    let layer = 12 * 256 * 256 + 13 * 256;
    assert_eq!(count, 1000 * 256 + 64 * 256 + 4 * layer + 2 * 256, "the head has no parameters of its own");
}

#[test]
fn an_optimizer_decays_matrices_only() {
    let (vs, gpt) = model(Positions::Learned, 8);
    let before: Vec<Tensor> = vs.trainable_variables().iter().map(Tensor::copy).collect();
    let ids = random_ids([1, 8]);
    (gpt.loss(&ids, &ids, false) * 0.0).backward();
    AdamW::new(vs.trainable_variables(), (0.9, 0.99), 0.5).unwrap().step(0.1);
    for (old, new) in before.iter().zip(vs.trainable_variables()) {
        let want = if old.dim() == 2 { old * (1.0 - 0.1 * 0.5) } else { old.copy() };
        assert_close("decayed", &new, &want, 1e-7);
    }
}

#[test]
fn dropout_is_on_in_training_only() {
    let (_vs, gpt) = model(Positions::Learned, 8);
    let ids = random_ids([2, 8]);
    let run = |train| gpt.forward(&ids, train);
    assert_eq!(run(false), run(false));
    assert!(difference(&run(true), &run(true)) > 1e-2);
}

#[test]
fn attention_weights_are_causal_and_sum_to_one() {
    let (_vs, gpt) = model(Positions::Rotary, 8);
    let weights = gpt.attention_weights(&random_ids([2, 8]));
    assert_eq!(weights.len(), 2);
    for layer in weights {
        assert_eq!(layer.size(), [2, 4, 8, 8]);
        assert_eq!(layer.triu(1).abs().max().double_value(&[]), 0.0);
        assert_close(
            "sums",
            &layer.sum_dim_intlist(-1, false, Kind::Float),
            &Tensor::ones([2, 4, 8], (Kind::Float, Device::Cpu)),
            1e-6,
        );
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused_with_advice() {
    let vs = VarStore::new(Device::Cpu);
    let refused = |config| Gpt::new(&vs.root(), config).unwrap_err().to_string();
    let config = GptConfig::small(50);
    assert!(refused(GptConfig { n_heads: 3, ..config }).contains("multiple of n_heads"));
    assert!(refused(GptConfig { block_size: 0, ..config }).contains("at least 1"));
    assert!(refused(GptConfig { dropout: 1.5, ..config }).contains("[0, 1)"));
    let odd = GptConfig { d_model: 12, n_heads: 4, positions: Positions::Rotary, ..config };
    assert!(refused(odd).contains("pairs"));
    assert!(vs.is_empty(), "nothing is made of a wrong size");
}

fn load(folder: &Path) -> (VarStore, Gpt) {
    let vs = VarStore::new(Device::Cpu);
    let gpt = Gpt::load(&vs, folder).unwrap();
    (vs, gpt)
}

#[test]
fn gpt_2_gives_hugging_faces_numbers() {
    let (_vs, gpt) = load(&fixture("gpt2"));
    let outputs = tensors(fixture("gpt2/outputs.safetensors"));
    for name in ["batch", "full", "single"] {
        let ids = get(&outputs, &format!("{name}.ids"));
        let want = get(&outputs, &format!("{name}.logits"));
        assert_close(name, &gpt.forward(&ids, false), &want, 1e-5);
        let last = gpt.next_logits(&ids, &mut gpt.cache(ids.size()[0]));
        assert_close("cached", &last, &want.select(1, -1), 1e-5);
    }
    let ids = get(&outputs, "batch.ids");
    let weights = Tensor::stack(&gpt.attention_weights(&ids), 0);
    assert_close("weights", &weights, &get(&outputs, "batch.weights"), 1e-5);
    let prompts = Vec::<Vec<i64>>::try_from(ids).unwrap();
    let greedy = Vec::<Vec<i64>>::try_from(get(&outputs, "batch.greedy")).unwrap();
    assert_eq!(gpt.generate_batch(&prompts, greedy[0].len(), Sampling::Greedy), greedy);
}

#[test]
fn what_we_save_has_hugging_faces_names_and_shapes_and_loads_there() {
    let (vs, gpt) = load(&fixture("gpt2"));
    tch::no_grad(|| vs.trainable_variables().iter_mut().for_each(|v| *v += 0.01));
    let folder = scratch("save");
    gpt.save(&vs, &folder).unwrap();
    let shapes = |folder: PathBuf| -> Vec<_> {
        let of = |(name, tensor): (String, Tensor)| (name, tensor.size(), tensor.kind());
        tensors(folder.join("model.safetensors")).into_iter().map(of).collect()
    };
    assert_eq!(shapes(folder.clone()), shapes(fixture("gpt2")));
    let (_vs, again) = load(&folder);
    assert_eq!(again.config(), gpt.config());
    let ids = get(&tensors(fixture("gpt2/outputs.safetensors")), "full.ids");
    let logits = gpt.forward(&ids, false);
    assert_eq!(again.forward(&ids, false), logits, "saved and loaded");
    check_in_transformers(&folder, &[("ids", &ids), ("logits", &logits)]);

    // One of our own making, with another size of feed-forward layer and another activation.
    let vs = VarStore::new(Device::Cpu);
    let sizes = GptConfig { d_model: 24, n_heads: 3, d_ff: 40, n_layers: 3, ..GptConfig::small(60) };
    let gpt = Gpt::new(&vs.root(), GptConfig { activation: Activation::Gelu, ..sizes }).unwrap();
    stir(&vs);
    let folder = scratch("own");
    gpt.save(&vs, &folder).unwrap();
    let ids = random_ids([2, 40]);
    let logits = gpt.forward(&ids, false);
    assert_eq!(load(&folder).1.forward(&ids, false), logits);
    check_in_transformers(&folder, &[("ids", &ids), ("logits", &logits)]);
}

#[test]
fn rotary_positions_are_saved_as_gpt_neox_and_load_there() {
    let vs = VarStore::new(Device::Cpu);
    let positions = Positions::Rotary;
    let sizes =
        GptConfig { d_model: 24, n_heads: 3, d_ff: 40, n_layers: 3, positions, ..GptConfig::small(60) };
    let gpt = Gpt::new(&vs.root(), sizes).unwrap();
    stir(&vs);
    let folder = scratch("neox");
    gpt.save(&vs, &folder).unwrap();
    let (_vs, again) = load(&folder);
    assert_eq!(again.config(), gpt.config());
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let longer = |positions: &str| {
        let long = scratch("neox_longer");
        let (from, to) =
            ("\"max_position_embeddings\": 64", format!("\"max_position_embeddings\": {positions}"));
        assert!(config.contains(from));
        std::fs::write(long.join("config.json"), config.replace(from, &to)).unwrap();
        std::fs::copy(folder.join("model.safetensors"), long.join("model.safetensors")).unwrap();
        Gpt::load(&VarStore::new(Device::Cpu), long).map(|gpt| gpt.config().block_size)
    };
    assert_eq!(longer("65536").unwrap(), 65_536, "positions that are computed need no room in the file");
    let message = longer("1048577").unwrap_err().to_string();
    assert!(message.contains("1048577 positions: models of up to 1048576"), "{message}");
    let ids = random_ids([2, 40]);
    let logits = gpt.forward(&ids, false);
    assert_eq!(again.forward(&ids, false), logits, "saved and loaded");
    // Each head has its queries, keys and values together.
    let file = tensors(folder.join("model.safetensors"));
    let theirs = get(&file, "gpt_neox.layers.1.attention.query_key_value.bias").view([3, 3, 8]);
    let ours = vs.variables()["blocks.1.attention.qkv.bias"].view([3, 3, 8]);
    assert_eq!(theirs.transpose(0, 1), ours);
    check_in_transformers(&folder, &[("ids", &ids), ("logits", &logits)]);
}

/// Writes the fixture's weights, renamed or changed by `change`, with its configuration.
fn altered(name: &str, change: impl Fn(String, Tensor) -> Vec<(String, Tensor)>) -> PathBuf {
    let folder = scratch(name);
    std::fs::copy(fixture("gpt2/config.json"), folder.join("config.json")).unwrap();
    let weights = tensors(fixture("gpt2/model.safetensors"));
    let changed: Vec<(String, Tensor)> = weights.into_iter().flat_map(|(n, t)| change(n, t)).collect();
    let named: Vec<(&str, &Tensor)> = changed.iter().map(|(n, t)| (n.as_str(), t)).collect();
    Tensor::write_safetensors(&named, folder.join("model.safetensors")).unwrap();
    folder
}

#[test]
fn files_of_older_versions_load() {
    let outputs = tensors(fixture("gpt2/outputs.safetensors"));
    let folder = altered("old", |name, tensor| {
        let short = name.strip_prefix("transformer.").unwrap().to_string();
        let causal = Tensor::ones([1, 1, 32, 32], (Kind::Bool, Device::Cpu)).tril(0);
        match short.as_str() {
            "wte.weight" => vec![("lm_head.weight".into(), tensor.copy()), (short, tensor)],
            "h.0.ln_1.bias" => vec![("h.0.attn.bias".into(), causal), (short, tensor)],
            _ => vec![(short, tensor)],
        }
    });
    let logits = load(&folder).1.forward(&get(&outputs, "batch.ids"), false);
    assert_close("old names", &logits, &get(&outputs, "batch.logits"), 1e-5);
}

#[test]
fn wrong_files_are_refused_tensor_by_tensor() {
    let refused = |folder: &Path| {
        let vs = VarStore::new(Device::Cpu);
        Gpt::load(&vs, folder).unwrap_err().to_string()
    };
    let folder = altered("wrong", |name, tensor| match name.as_str() {
        "transformer.h.1.mlp.c_fc.bias" => vec![],
        "transformer.h.0.mlp.c_fc.weight" => vec![(name, tensor.tr().contiguous())],
        "transformer.wpe.weight" => vec![(name.clone(), tensor.copy()), ("transformer.rope".into(), tensor)],
        _ => vec![(name, tensor)],
    });
    let message = refused(&folder);
    for part in [
        "transformer.h.1.mlp.c_fc.bias [128] is missing",
        "transformer.h.0.mlp.c_fc.weight is [128, 32], not [32, 128]",
        "transformer.rope [32, 32] is extra",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!message.contains("wte"), "what fits is not named: {message}");

    let empty = scratch("empty");
    assert!(refused(&empty).contains("config.json"));
    std::fs::copy(fixture("gpt2/config.json"), empty.join("config.json")).unwrap();
    std::fs::write(empty.join("pytorch_model.bin"), "a pickle").unwrap();
    assert!(refused(&empty).contains("only safetensors are read"));
    std::fs::write(empty.join("config.json"), "{\"model_type\": \"gpt2\"}").unwrap();
    assert!(refused(&empty).contains("missing field `vocab_size`"));
    let bert = std::fs::read_to_string(fixture("gpt2/config.json")).unwrap().replace("\"gpt2\"", "\"bert\"");
    std::fs::write(empty.join("config.json"), bert).unwrap();
    assert!(refused(&empty).contains("not a plain GPT-2"));

    let (vs, sinusoidal) = model(Positions::Sinusoidal, 8);
    let message = sinusoidal.save(&vs, scratch("sinusoidal")).unwrap_err().to_string();
    assert!(message.contains("Positions::Learned or Positions::Rotary"), "{message}");
    let (vs, rotary) = model(Positions::Rotary, 8);
    let folder = scratch("parallel");
    rotary.save(&vs, &folder).unwrap();
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config = config.replace("residual\": false", "residual\": true");
    std::fs::write(folder.join("config.json"), config).unwrap();
    assert!(refused(&folder).contains("use_parallel_residual false"));
}

#[test]
fn a_tiny_gpt_learns_more_than_pairs_of_characters() {
    tch::manual_seed(1);
    let data = TextDataset::stories(300_000, 20_000, 1).unwrap();
    let vs = VarStore::new(Device::Cpu);
    let sizes =
        GptConfig { d_model: 64, d_ff: 256, n_layers: 2, ..GptConfig::small(data.tokenizer.vocab_size()) };
    let gpt = Gpt::new(&vs.root(), sizes).unwrap();
    let steps = 400;
    let config = TrainConfig { steps, lr: 3e-3, warmup: 40, validate_every: 100, ..Default::default() };
    let mut batches = data.streams(Split::Train, 24, 64).unwrap().endless();
    let validation = || {
        let batches = data.streams(Split::Validation, 24, 64).unwrap();
        llm_course::train::evaluate(batches, |batch| gpt.loss(&batch.ids, &batch.targets, false)).loss
    };
    let loss = |_| {
        let batch = batches.next().unwrap();
        gpt.loss(&batch.ids, &batch.targets, true)
    };
    let history = Trainer::new(&vs, config).unwrap().fit("GPT", loss, validation).unwrap();
    let vocab_size = data.tokenizer.vocab_size();
    let bigram = NGram::fit(2, &data.ids(Split::Train), vocab_size).unwrap();
    let bigram = bigram.cross_entropy(&data.ids(Split::Validation));
    let gpt = history.final_validation();
    println!("{gpt:.3} nats, bigram {bigram:.3}");
    assert!(gpt < bigram - 0.15, "{gpt} nats; the bigram model, which sees one character, has {bigram}");
}
