//! Trains one model on the translation pairs and prints how well it translates:
//! `cargo run --release -p llm_course --example translation -- none|additive|dot|scaled|transformer SEED [NAME=VALUE …]`.
//!
//! NAME is one of pairs, steps, batch, lr, embed, hidden, layers, gru (1: GRU cells), both (1: the encoder reads both
//! ways), dropout, teacher (share of right previous words at the end), d_model, d_ff, heads, tied (0: a matrix of its
//! own before the softmax), rotary (1: rotary positions), decay, warmup, final, every, threads.

use std::collections::HashMap;
use std::time::Instant;

use llm_course::bilingual::length_fifth;
use llm_course::data::{BOS, EOS, PairBatch};
use llm_course::layers::Positions;
use llm_course::metrics::{Smoothing, alignment_error_rate, bleu};
use llm_course::models::Decoded;
use llm_course::prelude::*;

/// One of the two translators.
enum Model {
    Seq2Seq(Seq2Seq),
    Transformer(Transformer),
}

impl Model {
    /// Mean loss of a batch in nats per word; `teacher` is the share of right previous words.
    fn loss(&self, batch: &PairBatch, teacher: f64, train: bool) -> Tensor {
        match self {
            Self::Seq2Seq(model) => model
                .forward_t(&batch.src, &batch.src_mask, &batch.tgt_in, teacher, train)
                .loss(&batch.tgt_out),
            Self::Transformer(model) => {
                model.loss(&batch.src, &batch.src_mask, &batch.tgt_in, &batch.tgt_out, 0.0, train)
            }
        }
    }

    /// The loss when each previous word is the one that the model itself found most probable.
    fn free_running_loss(&self, batch: &PairBatch) -> Tensor {
        match self {
            Self::Seq2Seq(_) => self.loss(batch, 0.0, false),
            Self::Transformer(model) => {
                let mut state = model.encode(&batch.src, &batch.src_mask);
                let mut ids = batch.tgt_in.select(1, 0);
                let steps: Vec<Tensor> = (0..batch.tgt_in.size()[1])
                    .map(|_| {
                        let logits = model.decode_step(&ids, &mut state);
                        ids = logits.argmax(-1, false);
                        logits
                    })
                    .collect();
                Decoded { logits: Tensor::stack(&steps, 1), weights: None }.loss(&batch.tgt_out)
            }
        }
    }

    fn translate(&self, batch: &PairBatch) -> Vec<Vec<i64>> {
        match self {
            Self::Seq2Seq(model) => model.translate(&batch.src, &batch.src_mask, BOS, EOS, 60).ids,
            Self::Transformer(model) => model.translate(&batch.src, &batch.src_mask, BOS, EOS, 60),
        }
    }

    /// Attention weights `[batch, tgt_time, src_time]` for the right target.
    fn weights(&self, batch: &PairBatch) -> Option<Tensor> {
        match self {
            Self::Seq2Seq(model) => model.forward(&batch.src, &batch.src_mask, &batch.tgt_in).weights,
            Self::Transformer(_) => None,
        }
    }
}

/// Mean of `loss` over the words of `pairs`.
fn per_word(data: &PairDataset, pairs: &[Pair], loss: impl Fn(&PairBatch) -> Tensor) -> Result<f64> {
    no_grad(|| {
        let (mut total, mut words) = (0.0, 0.0);
        for batch in data.batches(pairs, 64, 0)? {
            let count = batch.tgt_out.ne(IGNORE).sum(Kind::Int64).double_value(&[]);
            total += loss(&batch).double_value(&[]) * count;
            words += count;
        }
        Ok(total / words)
    })
}

/// Greedy translations and references of `pairs`, in ids, in the order of `pairs`.
fn translations(data: &PairDataset, pairs: &[Pair], model: &Model) -> Result<Vec<(Vec<i64>, Vec<i64>)>> {
    let mut said = vec![Vec::new(); pairs.len()];
    for batch in data.batches(pairs, 64, 0)? {
        batch.rows.iter().zip(model.translate(&batch)).for_each(|(&row, ids)| said[row] = ids);
    }
    Ok(said.into_iter().zip(pairs.iter().map(|pair| data.encode_tgt(&pair.tgt))).collect())
}

fn score(translations: &[(Vec<i64>, Vec<i64>)]) -> f64 {
    let (said, wanted): (Vec<_>, Vec<_>) = translations.iter().cloned().unzip();
    bleu(&said, &wanted, Smoothing::Exp).score
}

/// Alignment error rate of each target word's strongest weight, for right targets.
fn alignment_errors(data: &PairDataset, pairs: &[Pair], model: &Model) -> Result<Option<f64>> {
    let mut found = vec![Vec::new(); pairs.len()];
    for batch in data.batches(pairs, 64, 0)? {
        let Some(weights) = no_grad(|| model.weights(&batch)) else { return Ok(None) };
        let strongest = weights.argmax(-1, false);
        for (i, &row) in batch.rows.iter().enumerate() {
            let link = |t: usize| (strongest.int64_value(&[i as i64, t as i64]) as usize, t);
            found[row] = (0..pairs[row].tgt.len()).map(link).collect();
        }
    }
    let sure: Vec<_> = pairs.iter().map(|pair| pair.alignment.sure.clone()).collect();
    let possible: Vec<_> = pairs.iter().map(|pair| pair.alignment.possible.clone()).collect();
    Ok(Some(alignment_error_rate(&found, &sure, &possible)))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, number, options @ ..] = arguments.as_slice() else {
        return Err(Error::Input(
            "give a model (none, additive, dot, scaled, transformer) and a seed".into(),
        ));
    };
    let options: HashMap<&str, f64> = options
        .iter()
        .filter_map(|o| o.split_once('='))
        .filter_map(|(k, v)| Some((k, v.parse().ok()?)))
        .collect();
    let option = |name: &str, default: f64| options.get(name).copied().unwrap_or(default);
    let size = |name: &str, default: i64| option(name, default as f64) as i64;
    tch::set_num_threads(size("threads", 1) as i32);

    let (plain, attends) = (name == "none", ["additive", "dot", "scaled"].contains(&name.as_str()));
    let lr = if plain {
        8e-3
    } else if attends {
        4e-3
    } else {
        3e-3
    };
    let data = PairDataset::translation(size("pairs", 20_000) as usize, 200, 500, 1)?;
    seed(number.parse().unwrap_or(1));
    let vs = nn::VarStore::new(device());
    let (src, tgt) = (data.src_vocab_size(), data.tgt_vocab_size());
    let recurrent = |score: Score| -> Result<Model> {
        let config = Seq2SeqConfig {
            embed_dim: size("embed", 64),
            hidden_dim: size("hidden", if plain { 192 } else { 128 }),
            n_layers: size("layers", 1),
            bidirectional: size("both", 1) == 1,
            dropout: option("dropout", 0.0),
            kind: if size("gru", i64::from(plain)) == 1 { CellKind::Gru } else { CellKind::Lstm },
            ..Seq2SeqConfig::new(src, tgt, score)
        };
        Ok(Model::Seq2Seq(Seq2Seq::new(&vs.root(), config)?))
    };
    let model = match name.as_str() {
        "none" => recurrent(Score::None)?,
        "additive" => recurrent(Score::Additive)?,
        "dot" => recurrent(Score::Dot)?,
        "scaled" => recurrent(Score::ScaledDot)?,
        "transformer" => {
            let config = TransformerConfig {
                d_model: size("d_model", 96),
                d_ff: size("d_ff", 192),
                n_heads: size("heads", 4),
                n_layers: size("layers", 2),
                dropout: option("dropout", 0.0),
                tied: size("tied", 1) == 1,
                positions: if size("rotary", 0) == 1 { Positions::Rotary } else { Positions::Sinusoidal },
                ..TransformerConfig::new(src, tgt)
            };
            Model::Transformer(Transformer::new(&vs.root(), config)?)
        }
        other => {
            return Err(Error::Input(format!(
                "no model {other:?}: none, additive, dot, scaled, transformer"
            )));
        }
    };
    let parameters: usize = vs.trainable_variables().iter().map(Tensor::numel).sum();
    let config = TrainConfig {
        steps: size("steps", if attends { 1500 } else { 2000 }),
        lr: option("lr", lr),
        warmup: size("warmup", 100),
        final_lr: option("final", 0.02),
        weight_decay: option("decay", 0.01),
        validate_every: size("every", 250),
        ..Default::default()
    };
    let teacher = TeacherForcing::Linear { end: option("teacher", 1.0), steps: config.steps };
    let mut batches = data.batches(&data.train, size("batch", 32), 1)?.endless();
    let start = Instant::now();
    Trainer::new(&vs, config)?.fit(
        name,
        |step| model.loss(&batches.next().expect("endless"), teacher.ratio(step), true),
        || per_word(&data, &data.validation, |batch| model.loss(batch, 1.0, false)).expect("pairs"),
    )?;
    println!("{name}, seed {number}: {parameters} parameters, {:.0} s", start.elapsed().as_secs_f64());
    for (part, pairs) in [("test", &data.test), ("held out", &data.held_out)] {
        let forced = per_word(&data, pairs, |batch| model.loss(batch, 1.0, false))?;
        let free = per_word(&data, pairs, |batch| model.free_running_loss(batch))?;
        let all = translations(&data, pairs, &model)?;
        let exact = all.iter().filter(|(said, wanted)| said == wanted).count() as f64 / all.len() as f64;
        let fifths: Vec<String> = (0..5)
            .map(|fifth| {
                let of = pairs.iter().zip(&all).filter(|(pair, _)| length_fifth(pair.words()) == Some(fifth));
                format!("{:.1}", score(&of.map(|(_, both)| both.clone()).collect::<Vec<_>>()))
            })
            .collect();
        println!(
            "{part}: perplexity {:.2} teacher-forced, {:.1} free-running",
            perplexity(forced),
            perplexity(free)
        );
        println!("  BLEU {:.1}; by length fifth {}; exact {:.3}", score(&all), fifths.join(" "), exact);
        if let Some(rate) = alignment_errors(&data, pairs, &model)? {
            println!("  alignment error rate {rate:.3}");
        }
    }
    println!("{:.0} s with the tests", start.elapsed().as_secs_f64());
    Ok(())
}
