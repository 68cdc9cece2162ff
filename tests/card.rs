//! On a CUDA card: every family computes and learns there what it does on the processor.
//!
//! `cargo test --test card -- --ignored`, where there is a card.

mod compare;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use llm_course::data::{Split, TextDataset};
use llm_course::decode::Sampling;
use llm_course::layers::{Positions, Score};
use llm_course::models::{
    Bert, BertConfig, BertHeads, CellKind, CharLm, CharLmConfig, Gpt, GptConfig, Seq2Seq, Seq2SeqConfig,
    Transformer, TransformerConfig,
};
use llm_course::tokenizers::Tokenizer;
use llm_course::train::{AdamW, History, Precision, TrainConfig, Trainer, clip_grad_norm, evaluate};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

/// cuDNN's recurrent layers multiply in TF32, with 10 bits of precision.
const TOLERANCE: f64 = 5e-3;

/// libtorch's generator belongs to the whole process: tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn card() -> Device {
    llm_course::seed(1); // libtorch must find the card also if this comes first
    match llm_course::device() {
        Device::Cpu => panic!("no card: these tests need one"),
        card => card,
    }
}

/// What `build` makes from a VarStore has the same losses over ten training steps on the processor and on the card, from the same
/// weights on.
fn agrees<M>(what: &str, build: impl Fn(&VarStore) -> M, loss: impl Fn(&M, Device) -> Tensor) {
    let [mut here, mut there] = [Device::Cpu, card()].map(VarStore::new);
    let models = [build(&here), build(&there)];
    there.copy(&here).unwrap();
    let mut optimizers =
        [&mut here, &mut there].map(|vs| AdamW::new(vs.trainable_variables(), (0.9, 0.99), 0.1).unwrap());
    for step in 0..10 {
        let devices = [Device::Cpu, card()];
        let losses: Vec<f64> = (models.iter().zip(devices).zip(&mut optimizers))
            .map(|((model, device), optimizer)| {
                let loss = loss(model, device);
                loss.backward();
                let _ = clip_grad_norm(optimizer.parameters(), 1.0);
                optimizer.step(3e-3);
                loss.double_value(&[])
            })
            .collect();
        println!("{what}, step {step}: {losses:?}");
        assert!((losses[0] / losses[1] - 1.0).abs() < TOLERANCE, "{what}, step {step}: {losses:?}");
    }
}

/// `[batch, time]` ids that are the same on every device.
fn ids(vocab_size: i64, shape: [i64; 2], device: Device) -> Tensor {
    let count = shape[0] * shape[1];
    let numbers = Tensor::arange(count, (Kind::Int64, Device::Cpu)).square().remainder(vocab_size);
    numbers.view(shape).to_device(device)
}

fn ones(device: Device) -> Tensor {
    Tensor::ones([8, 16], (Kind::Bool, device))
}

#[test]
#[ignore = "needs a CUDA card"]
fn every_family_learns_there_what_it_learns_here() {
    let _turn = alone();
    for kind in [CellKind::Rnn, CellKind::Gru, CellKind::Lstm] {
        let build = |vs: &VarStore| CharLm::new(&vs.root(), CharLmConfig::new(kind, 50, 32, 64));
        agrees(&format!("{kind:?}"), build, |model, device| {
            let logits = model.forward(&ids(50, [8, 16], device), &model.zero_state(8)).0;
            logits.flatten(0, 1).cross_entropy_for_logits(&ids(50, [1, 128], device).flatten(0, 1))
        });
    }
    for score in [Score::None, Score::Additive, Score::ScaledDot] {
        let build = |vs: &VarStore| {
            Seq2Seq::new(&vs.root(), Seq2SeqConfig::new(50, 60, score)).expect("sizes that fit")
        };
        agrees(&format!("Seq2Seq, {score:?}"), build, |model, device| {
            let (src, tgt) = (ids(50, [8, 16], device), ids(60, [8, 16], device));
            model.forward(&src, &ones(device), &tgt).loss(&tgt)
        });
    }
    let build = |vs: &VarStore| {
        let sizes = TransformerConfig { dropout: 0.0, ..TransformerConfig::new(50, 60) };
        Transformer::new(&vs.root(), sizes).expect("sizes that fit")
    };
    agrees("Transformer", build, |model, device| {
        let (src, tgt) = (ids(50, [8, 16], device), ids(60, [8, 16], device));
        let logits = model.forward(&src, &ones(device), &tgt, true);
        logits.flatten(0, 1).cross_entropy_for_logits(&tgt.flatten(0, 1))
    });
    for positions in [Positions::Learned, Positions::Sinusoidal, Positions::Rotary] {
        let sizes = GptConfig { positions, ..GptConfig::small(50) };
        let build = |vs: &VarStore| Gpt::new(&vs.root(), sizes).expect("sizes that fit");
        agrees(&format!("Gpt, {positions:?}"), build, |model, device| {
            model.loss(&ids(50, [8, 64], device), &ids(50, [64, 8], device).view([8, 64]), true)
        });
    }
    let build = |vs: &VarStore| {
        let sizes = BertConfig { dropout: 0.0, heads: BertHeads::WORDS, ..BertConfig::tiny(50) };
        Bert::new(&vs.root(), sizes).expect("sizes that fit")
    };
    agrees("Bert", build, |model, device| {
        let hidden =
            model.forward(&ids(50, [8, 16], device), &ones(device).to_kind(Kind::Int64), &ones(device), true);
        model.word_loss(&hidden, &ids(50, [8, 16], device))
    });
}

#[test]
#[ignore = "needs a CUDA card"]
fn generation_chooses_there_what_it_chooses_here() {
    let _turn = alone();
    for positions in [Positions::Learned, Positions::Rotary] {
        let sizes = GptConfig { positions, block_size: 32, ..GptConfig::small(50) };
        let [here, mut there] = [Device::Cpu, card()].map(VarStore::new);
        let models = [&here, &there].map(|vs| Gpt::new(&vs.root(), sizes).unwrap());
        tch::no_grad(|| here.trainable_variables().iter_mut().for_each(|weight| *weight *= 5.0));
        there.copy(&here).unwrap();
        let texts = models.map(|gpt| gpt.generate_batch(&[vec![1, 2, 3], vec![4]], 60, Sampling::Greedy));
        assert_eq!(texts[0], texts[1], "{positions:?}");
    }
}

/// Trains a small GPT on the stories.
fn train(device: Device, config: TrainConfig, file: Option<&Path>, stop: Option<i64>) -> History {
    llm_course::seed(1);
    let data = TextDataset::stories(200_000, 20_000, 1).unwrap();
    let vs = VarStore::new(device);
    let sizes = GptConfig { dropout: 0.1, ..GptConfig::small(data.tokenizer.vocab_size()) };
    let gpt = Gpt::new(&vs.root(), sizes).unwrap();
    let mut trainer = Trainer::new(&vs, config).unwrap();
    if let Some(file) = file {
        trainer = trainer.resumable(file, 20).unwrap();
    }
    let mut batches = data.windows(Split::Train, 32, 64).unwrap().to_device(device);
    let loss = |number| {
        assert!(stop != Some(number), "stopped as asked");
        let batch = batches.next().expect("endless");
        gpt.loss(&batch.ids, &batch.targets, true)
    };
    let validation = || {
        let streams = data.streams(Split::Validation, 32, 64).unwrap().to_device(device);
        evaluate(streams, |batch| gpt.loss(&batch.ids, &batch.targets, false)).loss
    };
    trainer.fit("GPT", loss, validation).unwrap()
}

#[test]
#[ignore = "needs a CUDA card"]
fn bf16_learns_what_f32_learns_and_auto_is_one_of_them() {
    let _turn = alone();
    let steps = TrainConfig { steps: 400, lr: 2e-3, validate_every: 200, ..Default::default() };
    let losses = [Precision::F32, Precision::Bf16, Precision::Auto].map(|precision| {
        let history = train(card(), TrainConfig { precision, ..steps }, None, None);
        println!("{precision:?}: {:.4} in {:.1} s", history.final_validation(), history.seconds[1]);
        history.final_validation()
    });
    println!("faster: {:?}", Precision::fastest(card()));
    assert!(losses.iter().all(|loss| (loss / losses[0] - 1.0).abs() < 0.05), "{losses:?}");
}

#[test]
#[ignore = "needs a CUDA card"]
fn an_interrupted_run_goes_on_there() {
    let _turn = alone();
    let config = TrainConfig { steps: 60, validate_every: 30, ..Default::default() };
    let whole = train(card(), config, None, None);
    let file = compare::scratch("card").join("run.ckpt");
    let stopped = std::panic::catch_unwind(|| train(card(), config, Some(&file), Some(45)));
    assert!(stopped.is_err());
    let resumed = train(card(), config, Some(&file), None);
    for (step, (a, b)) in whole.train.iter().zip(&resumed.train).enumerate() {
        assert!((a - b).abs() < 1e-3, "step {step}: {a} and {b}");
    }
    assert_eq!(resumed.train.len(), 60);
}
