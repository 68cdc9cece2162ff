//! Trains a language model on a text and prints its loss over the whole validation text:
//!
//! `cargo run --release --example language_model -- FAMILY [TEXT] [SEED]`
//!
//! FAMILY is rnn, gru, lstm, gpt, gpt-bf16 (the same with bf16 products) or gpt-card; TEXT is `stories`, a file, or
//! a set of `cargo course data`. The GPT has nanoGPT's configuration for the CPU: 4 layers, 4 heads, 128 wide, 2,000
//! steps of 12 windows of 64 characters, learning rate 1e-3 → 1e-4, decay 0.1, clipping at norm 1. `gpt-card` has the
//! one for a card: 6 layers, 6 heads, 384 wide, dropout 0.2, 5,000 steps of 64 windows of 256 characters; the values
//! of the best validation are kept.

use llm_course::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |index: usize, default: &str| arguments.get(index).map_or(default, String::as_str).to_owned();
    let (family, text) = (argument(0, "gpt"), argument(1, "tinyshakespeare"));
    let number = argument(2, "1").parse().map_err(|_| Error::input("SEED must be a whole number"))?;
    let data = TextDataset::open(&text)?;
    seed(number);
    let small = GptConfig::small(data.tokenizer.vocab_size());
    let card = GptConfig {
        block_size: 256,
        d_model: 384,
        n_layers: 6,
        n_heads: 6,
        d_ff: 1536,
        dropout: 0.2,
        ..small
    };
    let training = TrainConfig {
        steps: 2000,
        lr: 1e-3,
        final_lr: 0.1,
        warmup: 100,
        weight_decay: 0.1,
        betas: (0.9, 0.99),
        clip: 1.0,
        precision: Precision::Auto,
        validate_every: 250,
        ..Default::default()
    };
    let start = std::time::Instant::now();
    let result = match family.as_str() {
        "rnn" => recurrent(&data, CellKind::Rnn, 2000)?,
        "gru" => recurrent(&data, CellKind::Gru, 1200)?,
        "lstm" => recurrent(&data, CellKind::Lstm, 1200)?,
        "gpt" => gpt(&data, small, 12, TrainConfig { precision: Precision::F32, ..training })?,
        "gpt-bf16" => gpt(&data, small, 12, TrainConfig { precision: Precision::Bf16, ..training })?,
        "gpt-card" => gpt(&data, card, 64, TrainConfig { steps: 5000, patience: Some(20), ..training })?,
        _ => {
            let families = "rnn, gru, lstm, gpt, gpt-bf16 or gpt-card";
            return Err(Error::input(format!("family {family:?}: use {families}")));
        }
    };
    let (loss, error, seconds) = (result.loss, result.standard_error, start.elapsed().as_secs_f64());
    println!(
        "{family} on {}, seed {number}: {loss:.4} ± {error:.4} nats, {:.4} bits per character over {} characters; \
         {seconds:.0} s with validations; floor {:.4?} bits",
        data.name,
        bits(loss),
        result.ids,
        data.floor
    );
    Ok(())
}

/// Two layers of 256 numbers, streams of 64 characters whose state goes from batch to batch.
fn recurrent(data: &TextDataset, kind: CellKind, steps: i64) -> Result<llm_course::train::Evaluation> {
    let vs = nn::VarStore::new(device());
    let vocab_size = data.tokenizer.vocab_size();
    let hidden_dim = if kind == CellKind::Rnn { 512 } else { 256 };
    let sizes = CharLmConfig::new(kind, vocab_size, 128, hidden_dim);
    let model = CharLm::new(&vs.root(), CharLmConfig { n_layers: 2, dropout: 0.1, ..sizes });
    let mut batches = data.streams(Split::Train, 64, 64)?.to_device(device()).endless();
    let mut state = model.zero_state(64);
    let config = TrainConfig {
        steps,
        lr: 4e-3,
        final_lr: 0.02,
        clip: 1.0,
        validate_every: steps / 8,
        ..Default::default()
    };
    let validation = || {
        let mut state = model.zero_state(32);
        let streams = data.streams(Split::Validation, 32, 64).expect("long enough").to_device(device());
        evaluate(streams, |batch| {
            let (logits, next) = model.forward(&batch.ids, &state);
            state.replace(&next);
            cross_entropy(&logits, &batch.targets)
        })
    };
    let loss = |_| {
        let batch = batches.next().expect("endless");
        if batch.first {
            state.zero();
        }
        let (logits, next) = model.forward_t(&batch.ids, &state.copy(), true);
        state.replace(&next);
        cross_entropy(&logits, &batch.targets)
    };
    Trainer::new(&vs, config)?.fit(&format!("{kind:?}"), loss, || validation().loss)?;
    Ok(validation())
}

fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    logits.flatten(0, 1).cross_entropy_for_logits(&targets.flatten(0, 1))
}

fn gpt(
    data: &TextDataset,
    sizes: GptConfig,
    batch: i64,
    training: TrainConfig,
) -> Result<llm_course::train::Evaluation> {
    let vs = nn::VarStore::new(device());
    let gpt = Gpt::new(&vs.root(), sizes)?;
    let mut batches = data.windows(Split::Train, batch, sizes.block_size)?.to_device(device());
    let loss = |_| {
        let batch = batches.next().expect("endless");
        gpt.loss(&batch.ids, &batch.targets, true)
    };
    let validation = || {
        let streams = data.streams(Split::Validation, 48, sizes.block_size).expect("long enough");
        evaluate(streams.to_device(device()), |batch| gpt.loss(&batch.ids, &batch.targets, false))
    };
    let start = std::time::Instant::now();
    let history = Trainer::new(&vs, training)?.fit("GPT", loss, || validation().loss)?;
    let ids = history.train.len() as f64 * (batch * sizes.block_size) as f64;
    println!("{:.0} tokens per second, validations included", ids / start.elapsed().as_secs_f64());
    Ok(validation())
}
