//! Generation with and without the cache, and byte-pair encoding beside the `tokenizers` crate.

use std::sync::LazyLock;

use divan::Bencher;
use llm_course::decode::{Sampling, generate};
use llm_course::grammar::Grammar;
use llm_course::models::{Gpt, GptConfig};
use llm_course::tokenizers::{Bpe, Tokenizer};
use tch::{Device, Kind, Tensor, nn::VarStore};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

fn main() {
    divan::main();
}

/// A GPT of 4 layers, 128 wide, writes until its context of 64 is full.
#[divan::bench(sample_count = 10)]
fn generate_64(bencher: Bencher) {
    bencher.bench_local(cached(64));
}

/// The same with a context of 256.
#[divan::bench(sample_count = 10)]
fn generate_256(bencher: Bencher) {
    bencher.bench_local(cached(256));
}

/// As `generate_64`, each id from all ids before it.
#[divan::bench(sample_count = 10)]
fn generate_64_uncached(bencher: Bencher) {
    bencher.bench_local(uncached(64));
}

/// As `generate_256`, each id from all ids before it.
#[divan::bench(sample_count = 10)]
fn generate_256_uncached(bencher: Bencher) {
    bencher.bench_local(uncached(256));
}

fn cached(context: usize) -> impl FnMut() -> Vec<i64> {
    let (vs, gpt) = gpt(context);
    move || {
        let _owner = &vs;
        gpt.generate(&[1], context - 1, Sampling::Temperature(1.0))
    }
}

fn uncached(context: usize) -> impl FnMut() -> Vec<i64> {
    let (vs, gpt) = gpt(context);
    move || {
        let _owner = &vs;
        let mut seen = Tensor::empty([1, 0], (Kind::Int64, Device::Cpu));
        generate(&[1], context - 1, Sampling::Temperature(1.0), |new| {
            seen = Tensor::cat(&[&seen, new], 1);
            gpt.forward(&seen, false)
        })
    }
}

fn gpt(context: usize) -> (VarStore, Gpt) {
    let vs = VarStore::new(Device::Cpu);
    let config = GptConfig { block_size: context as i64, ..GptConfig::small(65) };
    let gpt = Gpt::new(&vs.root(), config).expect("sizes that fit");
    (vs, gpt)
}

/// 10 MB of the course's stories.
static TEXT: LazyLock<String> = LazyLock::new(|| Grammar::stories().text(10_000_000, 1));

#[divan::bench(sample_count = 3, sample_size = 1)]
fn bpe_train(bencher: Bencher) {
    let text = &*TEXT;
    bencher.bench_local(|| Bpe::train(text, 8192).expect("a vocabulary of the bytes and more"));
}

/// The same with the `tokenizers` crate.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn bpe_train_tokenizers_crate(bencher: Bencher) {
    let text = &*TEXT;
    bencher.bench_local(|| library(text));
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn bpe_encode(bencher: Bencher) {
    let text = &*TEXT;
    let bpe = Bpe::train(&text[..1_000_000], 8192).expect("a vocabulary of the bytes and more");
    bencher.bench_local(|| bpe.encode(text));
}

/// The same with the `tokenizers` crate, a line at a time on all cores.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn bpe_encode_tokenizers_crate(bencher: Bencher) {
    let text = &*TEXT;
    let library = library(&text[..1_000_000]);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    bencher.bench_local(|| library.encode_batch_fast(lines.clone(), false).expect("any text encodes"));
}

fn library(text: &str) -> tokenizers::Tokenizer {
    let mut library = tokenizers::Tokenizer::new(BPE::default());
    library.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    let alphabet = ByteLevel::alphabet().into_iter().collect();
    let trainer =
        BpeTrainer::builder().vocab_size(8192).show_progress(false).initial_alphabet(alphabet).build();
    let lines = text.split_inclusive('\n');
    library.train(&mut TrainerWrapper::from(trainer), lines).expect("a trainer of BPE");
    library
}
