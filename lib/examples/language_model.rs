//! Trains a language model on a text and prints its loss over the whole validation text:
//!
//! `cargo run --release --example language_model -- FAMILY [TEXT] [SEED]`
//!
//! FAMILY is rnn, gru, lstm, gpt, or gpt-bf16 (the same with bf16 products); TEXT is `stories`, a file, or a set
//! of `cargo course data`. The GPT has nanoGPT's configuration for the CPU: 4 layers, 4 heads, 128 wide, 2,000
//! steps of 12 windows of 64 characters, learning rate 1e-3 → 1e-4, decay 0.1, clipping at norm 1.

use llm_course::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument =
        |index: usize, default: &str| arguments.get(index).map_or(default, String::as_str).to_owned();
    let (family, text) = (argument(0, "gpt"), argument(1, "tinyshakespeare"));
    let number = argument(2, "1").parse().map_err(|_| Error::input("SEED must be a whole number"))?;
    let data = TextDataset::open(&text)?;
    seed(number);
    let start = std::time::Instant::now();
    let result = match family.as_str() {
        "rnn" => recurrent(&data, CellKind::Rnn, 2000)?,
        "gru" => recurrent(&data, CellKind::Gru, 1200)?,
        "lstm" => recurrent(&data, CellKind::Lstm, 1200)?,
        "gpt" => gpt(&data, Precision::F32)?,
        "gpt-bf16" => gpt(&data, Precision::Bf16)?,
        _ => return Err(Error::input(format!("family {family:?}: use rnn, gru, lstm, gpt or gpt-bf16"))),
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

fn gpt(data: &TextDataset, precision: Precision) -> Result<llm_course::train::Evaluation> {
    let vs = nn::VarStore::new(device());
    let gpt = Gpt::new(&vs.root(), GptConfig::small(data.tokenizer.vocab_size()))?;
    let config = TrainConfig {
        steps: 2000,
        lr: 1e-3,
        final_lr: 0.1,
        warmup: 100,
        weight_decay: 0.1,
        betas: (0.9, 0.99),
        clip: 1.0,
        precision,
        validate_every: 500,
        ..Default::default()
    };
    let mut batches = data.windows(Split::Train, 12, 64)?.to_device(device());
    let loss = |_| {
        let batch = batches.next().expect("endless");
        gpt.loss(&batch.ids, &batch.targets, true)
    };
    let validation = || {
        let streams = data.streams(Split::Validation, 48, 64).expect("long enough").to_device(device());
        evaluate(streams, |batch| gpt.loss(&batch.ids, &batch.targets, false))
    };
    Trainer::new(&vs, config)?.fit("GPT", loss, || validation().loss)?;
    Ok(validation())
}
