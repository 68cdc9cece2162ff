//! Training steps: batch, forward, backward, clipping and AdamW, on random ids. What has a peer of the same
//! name in `tests/peers/` has its sizes.

use divan::Bencher;
use llm_course::models::{CharRnn, CharRnnConfig};
use llm_course::train::{AdamW, clip_grad_norm};
use tch::nn::{self, RNN};
use tch::{Device, Kind, Tensor};

fn main() {
    divan::main();
}

// One function for each model; still to come: seq2seq_step, gpt_step, bert_step.

/// 32 × 64 characters, embedding 64, hidden 384: lesson 01's network.
#[divan::bench]
fn char_rnn_step(bencher: Bencher) {
    let vs = nn::VarStore::new(Device::Cpu);
    let model = CharRnn::new(&vs.root(), CharRnnConfig { vocab_size: 65, embed_dim: 64, hidden_dim: 384 });
    let state = model.zero_state(32);
    training_step(bencher, &vs, || {
        let (ids, targets) = (random_ids(65, [32, 64]), random_ids(65, [32, 64]));
        cross_entropy(&model.forward(&ids, &state).0, &targets)
    });
}

/// 32 × 64 characters, embedding 128, hidden 256.
#[divan::bench]
fn lstm_step(bencher: Bencher) {
    let vs = nn::VarStore::new(Device::Cpu);
    let embedding = nn::embedding(vs.root() / "embedding", 65, 128, Default::default());
    let lstm = nn::lstm(vs.root() / "lstm", 128, 256, Default::default());
    let head = nn::linear(vs.root() / "head", 256, 65, Default::default());
    training_step(bencher, &vs, || {
        let (ids, targets) = (random_ids(65, [32, 64]), random_ids(65, [32, 64]));
        let (states, _) = lstm.seq(&ids.apply(&embedding));
        cross_entropy(&states.apply(&head), &targets)
    });
}

fn training_step(bencher: Bencher, vs: &nn::VarStore, loss: impl Fn() -> Tensor) {
    let mut optimizer = AdamW::new(vs.trainable_variables(), (0.9, 0.99), 0.1).expect("a model");
    bencher.bench_local(|| {
        let loss = loss();
        loss.backward();
        let _norm = clip_grad_norm(optimizer.parameters(), 1.0);
        optimizer.step(1e-3);
        loss.double_value(&[])
    });
}

fn random_ids(vocab_size: i64, shape: [i64; 2]) -> Tensor {
    Tensor::randint(vocab_size, shape, (Kind::Int64, Device::Cpu))
}

fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    logits.flatten(0, 1).cross_entropy_for_logits(&targets.flatten(0, 1))
}
