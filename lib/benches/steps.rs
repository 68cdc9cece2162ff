//! Training steps: batch, forward, backward, clipping and AdamW, on random ids. What has a peer of the same
//! name in `tests/peers/` has its sizes. On a card, if there is one; `LLM_COURSE_DEVICE=cpu` decides otherwise.

use divan::Bencher;
use llm_course::device;
use llm_course::layers::{Activation, Score};
use llm_course::models::{
    Bert, BertConfig, BertHeads, CellKind, CharLm, CharLmConfig, Gpt, GptConfig, Seq2Seq, Seq2SeqConfig,
};
use llm_course::train::{AdamW, Precision, clip_grad_norm};
use tch::{Kind, Tensor, nn::VarStore};

fn main() {
    divan::main();
}

/// 32 × 64 characters, embedding 64, hidden 384: lesson 01's network.
#[divan::bench]
fn rnn_step(bencher: Bencher) {
    char_lm_step(bencher, CharLmConfig::new(CellKind::Rnn, 65, 64, 384), 64);
}

/// 32 × 100 characters, embedding 128, 2 layers of 256.
#[divan::bench]
fn lstm_step(bencher: Bencher) {
    let config = CharLmConfig { n_layers: 2, ..CharLmConfig::new(CellKind::Lstm, 65, 128, 256) };
    char_lm_step(bencher, config, 100);
}

fn char_lm_step(bencher: Bencher, config: CharLmConfig, time: i64) {
    let vs = VarStore::new(device());
    let model = CharLm::new(&vs.root(), config);
    let state = model.zero_state(32);
    training_step(bencher, &vs, || {
        let (ids, targets) = (random_ids(65, [32, time]), random_ids(65, [32, time]));
        let logits = model.forward(&ids, &state).0;
        logits.flatten(0, 1).cross_entropy_for_logits(&targets.flatten(0, 1))
    });
}

/// GRUs, additive attention, vocabularies of 400, embedding 64, hidden 128, 32 pairs of 16 words; the decoder reads the
/// target in one go.
#[divan::bench]
fn seq2seq_step(bencher: Bencher) {
    seq2seq_steps(bencher, 1.0);
}

/// The same, but the decoder goes word by word, for half of the words that it reads are its own.
#[divan::bench]
fn seq2seq_stepwise_step(bencher: Bencher) {
    seq2seq_steps(bencher, 0.5);
}

fn seq2seq_steps(bencher: Bencher, teacher_forcing: f64) {
    let vs = VarStore::new(device());
    let config = Seq2SeqConfig { kind: CellKind::Gru, ..Seq2SeqConfig::new(400, 400, Score::Additive) };
    let model = Seq2Seq::new(&vs.root(), config).expect("sizes that fit");
    let mask = Tensor::ones([32, 16], (Kind::Bool, device()));
    training_step(bencher, &vs, || {
        let ids = || random_ids(400, [32, 16]);
        model.forward_t(&ids(), &mask, &ids(), teacher_forcing, true).loss(&ids())
    });
}

/// nanoGPT's configuration for the CPU: 4 layers, 4 heads, 128 wide, 12 × 64 ids; GELU without approximation.
#[divan::bench]
fn gpt_step(bencher: Bencher) {
    gpt_steps(bencher, small(), 12, Precision::F32);
}

/// The same with [`Precision::Auto`].
#[divan::bench]
fn gpt_auto_step(bencher: Bencher) {
    gpt_steps(bencher, small(), 12, Precision::Auto);
}

/// 6 layers, 6 heads, 384 wide, 8 × 256 ids.
#[divan::bench]
fn gpt_large_step(bencher: Bencher) {
    gpt_steps(bencher, large(), 8, Precision::F32);
}

/// The same with [`Precision::Auto`].
#[divan::bench]
fn gpt_large_auto_step(bencher: Bencher) {
    gpt_steps(bencher, large(), 8, Precision::Auto);
}

/// The GPT of lesson 07: 2 layers, 3 heads, 192 wide, vocabulary 4,608, 8 × 128 ids.
#[divan::bench]
fn gpt_tokens_step(bencher: Bencher) {
    let sizes = GptConfig {
        vocab_size: 4608,
        block_size: 128,
        d_model: 192,
        n_layers: 2,
        n_heads: 3,
        d_ff: 768,
        ..small()
    };
    gpt_steps(bencher, sizes, 8, Precision::F32);
}

fn small() -> GptConfig {
    GptConfig { activation: Activation::Gelu, ..GptConfig::small(65) }
}

fn large() -> GptConfig {
    GptConfig { block_size: 256, d_model: 384, n_layers: 6, n_heads: 6, d_ff: 1536, ..small() }
}

fn gpt_steps(bencher: Bencher, sizes: GptConfig, batch: i64, precision: Precision) {
    let vs = VarStore::new(device());
    let gpt = Gpt::new(&vs.root(), sizes).expect("sizes that fit");
    let ids = || random_ids(sizes.vocab_size, [batch, sizes.block_size]);
    training_step(bencher, &vs, || precision.run(device(), || gpt.loss(&ids(), &ids(), true)));
}

/// 4 layers, 4 heads, 256 wide, vocabulary 2,000, 16 × 128 ids of which 15 % are predicted.
#[divan::bench]
fn bert_step(bencher: Bencher) {
    let vs = VarStore::new(device());
    let widths = BertConfig { d_model: 256, d_ff: 1024, n_layers: 4, n_heads: 4, ..BertConfig::tiny(2000) };
    let sizes = BertConfig { dropout: 0.0, block_size: 128, heads: BertHeads::WORDS, ..widths };
    let bert = Bert::new(&vs.root(), sizes).expect("sizes that fit");
    let shape = [16, 128];
    let (segments, mask) =
        (Tensor::zeros(shape, (Kind::Int64, device())), Tensor::ones(shape, (Kind::Bool, device())));
    training_step(bencher, &vs, || {
        let ids = random_ids(2000, shape);
        let chosen = Tensor::rand(shape, (Kind::Float, device())).lt(0.15);
        let hidden = bert.forward(&ids.masked_fill(&chosen, 4), &segments, &mask, true);
        bert.word_loss(&hidden, &ids.masked_fill(&chosen.logical_not(), llm_course::data::IGNORE))
    });
}

fn training_step(bencher: Bencher, vs: &VarStore, loss: impl Fn() -> Tensor) {
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
    Tensor::randint(vocab_size, shape, (Kind::Int64, device()))
}
