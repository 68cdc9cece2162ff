//! Misuse: everything that the documentation forbids is done once, and the message is read. It must be one
//! sentence that says what is wrong and what to do.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use llm_course::export::{Export, ModelCard};
use llm_course::layers::{
    AttentionConfig, Block, BlockConfig, DecoderBlock, Embedding, EmbeddingConfig, KvCache, LoraConfig,
    MultiHeadAttention, NormOrder, Positions, Rotary, WeightInit, sinusoidal, smoothed_cross_entropy,
};
use llm_course::models::{
    BertClassifier, BertHeads, Decoder, Encoder, Recurrent, RecurrentConfig, SentenceEncoder, VectorIndex,
};
use llm_course::plot::power_law;
use llm_course::prelude::*;
use llm_course::pretrained::{Layout, find_model, read_config, tensor_names, write_config};
use llm_course::rand::SeedableRng;
use llm_course::rand_chacha::ChaCha8Rng;
use llm_course::serde_json::Value;
use tch::nn::VarStore;
use tempfile::{NamedTempFile, TempDir};

/// A function, what is done to it, and the parts that its message must have, with ` … ` between them.
type Row = (&'static str, &'static str, &'static str, fn());

const CPU: Device = Device::Cpu;
/// No file can be made here.
const NOWHERE: &str = "/dev/null/here";

/// Fails with the message of a refusal.
fn no<T>(result: llm_course::Result<T>) {
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Throws away what should not have come.
fn done<T>(_: T) {}

fn ids(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, (Kind::Int64, CPU))
}

fn all(shape: &[i64]) -> Tensor {
    Tensor::ones(shape, (Kind::Bool, CPU))
}

fn floats(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, (Kind::Float, CPU))
}

fn file(text: impl AsRef<[u8]>) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    fs::write(&file, text).expect("space");
    file
}

/// A folder with a model's two files.
fn folder(config: &str, weights: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("config.json"), config).expect("space");
    fs::write(folder.path().join("model.safetensors"), weights).expect("space");
    folder
}

fn root() -> nn::Path<'static> {
    Box::leak(Box::new(VarStore::new(CPU))).root()
}

fn sizes() -> GptConfig {
    GptConfig { block_size: 8, d_model: 8, n_layers: 2, n_heads: 2, d_ff: 16, ..GptConfig::small(5) }
}

fn gpt() -> Gpt {
    Gpt::new(&root(), sizes()).expect("sizes that fit")
}

fn bert_sizes() -> BertConfig {
    BertConfig { block_size: 8, d_model: 8, n_heads: 2, d_ff: 16, ..BertConfig::tiny(5) }
}

fn bert() -> Bert {
    Bert::new(&root(), bert_sizes()).expect("sizes that fit")
}

fn headless() -> Bert {
    let heads = BertHeads { pooler: false, words: false, next: false };
    Bert::new(&root(), BertConfig { heads, ..bert_sizes() }).expect("sizes that fit")
}

fn transformer_sizes() -> TransformerConfig {
    TransformerConfig { d_model: 8, n_heads: 2, d_ff: 16, block_size: 8, ..TransformerConfig::new(5, 6) }
}

fn transformer() -> Transformer {
    Transformer::new(&root(), transformer_sizes()).expect("sizes that fit")
}

fn seq2seq() -> Seq2Seq {
    let sizes = Seq2SeqConfig { embed_dim: 4, hidden_dim: 4, ..Seq2SeqConfig::new(5, 6, Score::Dot) };
    Seq2Seq::new(&root(), sizes).expect("sizes that fit")
}

fn char_lm(kind: CellKind) -> CharLm {
    CharLm::new(&root(), CharLmConfig::new(kind, 5, 3, 4))
}

fn recurrent(kind: CellKind) -> Recurrent {
    Recurrent::new(&root(), RecurrentConfig::new(kind, 3, 4))
}

fn both_ways(kind: CellKind) -> Recurrent {
    Recurrent::new(&root(), RecurrentConfig { bidirectional: true, ..RecurrentConfig::new(kind, 3, 4) })
}

/// Two heads for three numbers.
fn uneven() -> BlockConfig {
    BlockConfig { d_model: 3, ..block() }
}

fn block() -> BlockConfig {
    let (order, activation) = (NormOrder::Pre, llm_course::layers::Activation::Relu);
    BlockConfig {
        d_model: 8,
        n_heads: 2,
        d_ff: 16,
        dropout: 0.0,
        order,
        activation,
        eps: 1e-5,
        init: WeightInit::Xavier,
    }
}

fn text() -> TextDataset {
    TextDataset::from_text("text", &"to be or not to be ".repeat(8)).expect("long enough")
}

fn reviews(ids: &[i64], batch: i64) -> llm_course::Result<ReviewBatches> {
    ReviewBatches::new(vec![(ids.to_vec(), 1)], batch, 0, 1)
}

fn masked() -> MaskedDataset {
    MaskedDataset::from_sequences(vec![vec![5, 6, 7]], 8, Corruption::new(20)).expect("a sequence")
}

fn bigram() -> NGram {
    NGram::fit(2, &[0, 1, 0], 2).expect("ids")
}

fn trainer(config: TrainConfig) -> llm_course::Result<Trainer> {
    let vs = VarStore::new(CPU);
    let _ = vs.root().ones("weight", &[2]);
    Trainer::new(&vs, config)
}

fn export(name: &str) -> (TempDir, Export) {
    let folder = tempfile::tempdir().expect("a folder");
    let export = Export::at(folder.path().join(name)).expect("a plain name");
    (folder, export)
}

/// A tokenizer that knows the word `a`, and no token for others.
fn without_unknown() -> Pretrained {
    let model = r#"{"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}"#;
    let json = format!(
        r#"{{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
            "post_processor": null, "decoder": null, "model": {model}}}"#
    );
    Pretrained::open(file(json).path()).expect("a tokenizer")
}

#[rustfmt::skip]
const DATA: &[Row] = &[
    ("TextDataset::open", "a name without a text", "no text \"nothing\" … cargo course data",
     || no(TextDataset::open("nothing"))),
    ("TextDataset::from_file", "no file", "check the path", || no(TextDataset::from_file("no/such.txt"))),
    ("TextDataset::from_file", "Latin-1", "not UTF-8 at byte 3 … iconv",
     || no(TextDataset::from_file(file(b"caf\xe9").path()))),
    ("TextDataset::from_file", "an empty file", "0 characters … at least 100",
     || no(TextDataset::from_file(file("").path()))),
    ("TextDataset::from_text", "an empty text", "0 characters … at least 100",
     || no(TextDataset::from_text("t", ""))),
    ("TextDataset::from_text", "one character", "1 characters … at least 100",
     || no(TextDataset::from_text("t", "a"))),
    ("TextDataset::from_text", "99 characters of two bytes", "99 characters … at least 100",
     || no(TextDataset::from_text("t", &"é".repeat(99)))),
    ("TextDataset::stories", "no validation text", "0 validation characters … 100_000",
     || no(TextDataset::stories(100, 0, 1))),
    ("TextDataset::streams", "batch 0", "batch 0 … at least 1", || no(text().streams(Split::Train, 0, 5))),
    ("TextDataset::streams", "time 0", "time 0 … at least 1", || no(text().streams(Split::Train, 5, 0))),
    ("TextDataset::streams", "a context longer than the text", "too few for 1 streams of 500 … shorter time",
     || no(text().streams(Split::Train, 1, 500))),
    ("TextDataset::streams", "no training text", "0 characters are too few … longer text",
     || no(TextDataset::stories(0, 100, 1).and_then(|data| data.streams(Split::Train, 1, 1)))),
    ("TextDataset::windows", "batch 0", "0 windows … at least 1", || no(text().windows(Split::Train, 0, 5))),
    ("TextDataset::windows", "time −1", "windows of -1 … at least 1",
     || no(text().windows(Split::Train, 5, -1))),
    ("TextDataset::windows", "a context longer than the text", "windows of 500 … text longer than a window",
     || no(text().windows(Split::Train, 5, 500))),
    ("PairDataset::translation", "no training pairs", "0 training pairs … at least 1",
     || no(PairDataset::translation(0, 5, 5, 1))),
    ("PairDataset::from_file", "no file", "check the path", || no(PairDataset::from_file("no/such.tsv", 1))),
    ("PairDataset::from_file", "not UTF-8", "not UTF-8 at byte 2 … iconv",
     || no(PairDataset::from_file(file(b"a\t\xff").path(), 1))),
    ("PairDataset::from_file", "a line without a tab", "line 2 … one tab",
     || no(PairDataset::from_file(file("a\tb\na b\n").path(), 1))),
    ("PairDataset::from_file", "an empty side", "line 1 … each side",
     || no(PairDataset::from_file(file("a\t \n").path(), 1))),
    ("PairDataset::from_file", "one pair", "1 pairs … at least 10",
     || no(PairDataset::from_file(file("a\tb\n").path(), 1))),
    ("PairDataset::batches", "batch 0", "batch 0 … at least 1",
     || no(PairDataset::translation(5, 5, 5, 1).and_then(|data| data.batches(&data.train, 0, 1)))),
    ("PairDataset::batches", "no pairs", "0 pairs … at least 1",
     || no(PairDataset::translation(5, 5, 5, 1).and_then(|data| data.batches(&[], 4, 1)))),
    ("ReviewDataset::reviews", "an odd number", "3 reviews … even", || no(ReviewDataset::reviews(3, 2, 1))),
    ("ReviewDataset::reviews", "none", "0 reviews … even", || no(ReviewDataset::reviews(2, 0, 1))),
    ("ReviewDataset::from_file", "no file", "check the path",
     || no(ReviewDataset::from_file("no/such.tsv", 1))),
    ("ReviewDataset::from_file", "not UTF-8", "not UTF-8 at byte 0 … iconv",
     || no(ReviewDataset::from_file(file(b"\xff").path(), 1))),
    ("ReviewDataset::from_file", "another label", "line 1 … `positive` or `negative`",
     || no(ReviewDataset::from_file(file("good\ta film\n").path(), 1))),
    ("ReviewDataset::from_file", "one review", "1 reviews … at least 10",
     || no(ReviewDataset::from_file(file("positive\ta film\n").path(), 1))),
    ("ReviewBatches::new", "batch 0", "batch 0 … at least 1", || no(reviews(&[1], 0))),
    ("ReviewBatches::new", "a review without ids", "review 0 has no ids … leave it out",
     || no(reviews(&[], 1))),
    ("ReviewBatches::new", "no reviews", "0 reviews … at least 1",
     || no(ReviewBatches::new(vec![], 1, 0, 1))),
    ("MaskedDataset::from_sequences", "nothing", "no words to hide",
     || no(MaskedDataset::from_sequences(vec![], 8, Corruption::new(20)))),
    ("MaskedDataset::from_sequences", "an unknown id", "id 99 … vocab_size",
     || no(MaskedDataset::from_sequences(vec![vec![99]], 8, Corruption::new(20)))),
    ("MaskedDataset::from_sequences", "a short block", "block_size 4 … at least 5",
     || no(MaskedDataset::from_sequences(vec![vec![7]], 4, Corruption::new(20)))),
    ("MaskedDataset::from_sequences", "share NaN", "share NaN … (0, 1]",
     || no(MaskedDataset::from_sequences(vec![vec![7]], 8, Corruption { share: f64::NAN,
         ..Corruption::new(20) }))),
    ("MaskedDataset::from_sequences", "a vocabulary of special ids", "vocab_size 2 … words",
     || no(MaskedDataset::from_sequences(vec![vec![1]], 8, Corruption::new(2)))),
    ("MaskedDataset::from_paragraphs", "one paragraph", "at least two paragraphs … from_sequences",
     || no(MaskedDataset::from_paragraphs(&[vec![vec![7], vec![8]]], 8, Corruption::new(20)))),
    ("MaskedDataset::batches", "batch 0", "batch 0 … at least 1", || no(masked().batches(0, 1))),
    ("BilingualGrammar::parse", "an empty text", "no rule `sentence`", || no(BilingualGrammar::parse(""))),
    ("BilingualGrammar::parse", "an unknown name", "line 1 … no rule `b`",
     || no(BilingualGrammar::parse("sentence = <b>"))),
    ("BilingualGrammar::parse", "a rule that reaches itself", "line 1 … `sentence` can reach itself",
     || no(BilingualGrammar::parse("sentence = a <sentence>"))),
    ("BilingualGrammar::from_file", "no file", "give the path",
     || no(BilingualGrammar::from_file("no/such"))),
    ("BilingualGrammar::distinct", "five of one sentence", "found 1 … ask for fewer", || {
        let small = BilingualGrammar::parse("sentence = one two three").expect("a grammar");
        no(small.distinct(5, false, &mut HashSet::new(), &mut ChaCha8Rng::seed_from_u64(0)))
    }),
    ("Grammar::parse", "an empty text", "story", || no(Grammar::parse(""))),
    ("Grammar::parse", "an unknown name", "line 1 … `b`", || no(Grammar::parse("story = <b>"))),
    ("Grammar::parse", "an ambiguity", "line 1", || no(Grammar::parse("story = [a|a]"))),
    ("Grammar::from_file", "no file", "give the path", || no(Grammar::from_file("no/such"))),
    ("Grammar::log_prob", "another text", "character",
     || no(Grammar::stories().log_prob("Once upon a time"))),
    ("Grammar::char_log_probs", "another text", "character", || no(Grammar::stories().char_log_probs("€"))),
];

#[rustfmt::skip]
const TOKENIZERS: &[Row] = &[
    ("Bpe::train", "fewer ids than bytes", "vocab_size 255 … 256", || no(Bpe::train("text", 255))),
    ("Bpe::from_merges", "an id that is not there yet", "merge 0 joins 1 and 300 … less than 256",
     || no(Bpe::from_merges(&[(1, 300)]))),
    ("Bpe::from_merges", "a pair twice", "merge 1 joins 1 and 2 … once",
     || no(Bpe::from_merges(&[(1, 2), (1, 2)]))),
    ("Bpe::save", "no such place", "folder exists",
     || no(Bpe::from_merges(&[]).and_then(|bpe| bpe.save(NOWHERE)))),
    ("Bpe::load", "no file", "check the path", || no(Bpe::load("no/such"))),
    ("Bpe::load", "no JSON", "not a tokenizer.json … again", || no(Bpe::load(file("{").path()))),
    ("Bpe::load", "another tokenizer", "Pretrained::open", || no(Bpe::load(file("{}").path()))),
    ("WordPiece::from_vocab", "no [UNK]", "needs the token [UNK]",
     || no(WordPiece::from_vocab(vec!["a".into()]))),
    ("WordPiece::from_vocab", "a token twice", "twice … once",
     || no(WordPiece::from_vocab(vec!["[UNK]".into(), "[UNK]".into()]))),
    ("WordPiece::train", "no room", "vocab_size 6 … 1000 more", || no(WordPiece::train("abc", 6))),
    ("WordPiece::save", "no such place", "folder exists",
     || no(WordPiece::train("abc", 90).and_then(|pieces| pieces.save(NOWHERE)))),
    ("WordPiece::load", "no file", "check the path", || no(WordPiece::load("no/such"))),
    ("WordPiece::load", "another tokenizer", "Pretrained::open", || no(WordPiece::load(file("{}").path()))),
    ("Pretrained::open", "no file", "give a tokenizer.json", || no(Pretrained::open("no/such"))),
    ("Pretrained::open", "an empty file", "no tokenizer in this file … again",
     || no(Pretrained::open(file("").path()))),
    ("Pretrained::unigram", "an empty text", "more text", || no(Pretrained::unigram("", 100))),
    ("Pretrained::unigram", "spaces", "more text", || no(Pretrained::unigram(" \n", 100))),
    ("Pretrained::unigram", "more characters than ids", "vocab_size above",
     || no(Pretrained::unigram("abcdefgh", 3))),
    ("Pretrained::encode", "an unknown word", "cannot encode … token for unknown",
     || done(without_unknown().encode("b"))),
    ("Pretrained::encode_pair", "an unknown word", "cannot encode … token for unknown",
     || done(without_unknown().encode_pair("b", None))),
];

#[rustfmt::skip]
const MEASURES: &[Row] = &[
    ("alignment_error_rate", "another number of sentences", "same sentences",
     || done(metrics::alignment_error_rate::<i64>(&[vec![]], &[], &[vec![]]))),
    ("alignment_error_rate", "no links", "give a sentence with links",
     || done(metrics::alignment_error_rate::<i64>(&[vec![]], &[vec![]], &[vec![]]))),
    ("bits_per_byte", "no bytes", "not empty", || done(bits_per_byte(1.0, 1, 0))),
    ("accuracy", "no predictions", "at least one: got 0 and 0", || done(accuracy(&[], &[]))),
    ("accuracy", "fewer predictions", "as many predictions as targets … 1 and 2",
     || done(accuracy(&[1], &[1, 2]))),
    ("rouge_n", "n 0", "use 1 or 2", || done(metrics::rouge_n(&["a"], &["a"], 0))),
    ("bleu", "no reference", "one reference for each output … 1 outputs and 0",
     || done(metrics::bleu(&[vec!["a"]], &[], metrics::Smoothing::Exp))),
    ("Confusion::new", "another number", "as many predictions … 1 and 0",
     || done(metrics::Confusion::new(&[1], &[], 2))),
    ("Confusion::new", "class 2 of 2", "with 2 classes both must be less",
     || done(metrics::Confusion::new(&[2], &[0], 2))),
    ("Confusion::class", "class 2 of 2", "no class 2 … must be less",
     || done(metrics::Confusion::new(&[1], &[0], 2).class(2))),
    ("NGram::fit", "order 0", "order 0 … at least 1", || no(NGram::fit(0, &[1], 2))),
    ("NGram::fit", "no ids", "0 ids … at least 1", || no(NGram::fit(1, &[], 2))),
    ("NGram::fit", "an unknown id", "id 2 is outside … vocab_size", || no(NGram::fit(1, &[2], 2))),
    ("NGram::shortened", "a larger order", "order 3 from an n-gram of order 2 … 1 to 2",
     || done(bigram().shortened(3))),
    ("NGram::shortened", "order 0", "order 0 … 1 to 2", || done(bigram().shortened(0))),
    ("NGram::cross_entropy", "no ids", "not empty", || done(bigram().cross_entropy(&[]))),
    ("NGram::cross_entropy", "an unknown id", "id 2 is outside … encode",
     || done(bigram().cross_entropy(&[0, 2]))),
    ("Figure::png", "fewer y than x", "as many of one",
     || no(Figure::lines("f").line("l", [0, 1], [1.0]).png())),
    ("Figure::svg", "fewer y than x", "as many of one",
     || no(Figure::lines("f").line("l", [0, 1], [1.0]).svg())),
    ("Figure::save", "another extension", ".png or .svg",
     || no(Figure::lines("f").line("l", [0], [1.0]).save("f.jpeg"))),
    ("Figure::save", "no such place", "folder",
     || no(Figure::lines("f").line("l", [0], [1.0]).save("/dev/null/f.svg"))),
    ("power_law", "fewer y than x", "as many x values as y values: got 2 and 1",
     || done(power_law([1.0, 2.0], [1.0]))),
];

#[rustfmt::skip]
const DECODING: &[Row] = &[
    ("generate", "an empty prompt", "prompt is empty … at least one",
     || done(generate(&[], 1, Sampling::Greedy, |ids| ids.shallow_clone()))),
    ("beam_search", "an empty prompt", "prompt is empty … <bos>",
     || done(beam_search(&[], BeamSearch { width: 1, max_ids: 1, alpha: 0.0, eos: None }, |ids|
         ids.shallow_clone()))),
    ("beam_search", "width 0", "width 0 … use 1",
     || done(beam_search(&[1], BeamSearch { width: 0, max_ids: 1, alpha: 0.0, eos: None }, |ids|
         ids.shallow_clone()))),
    ("Sampling::distribution", "temperature 0", "temperature 0 … Sampling::Greedy",
     || done(Sampling::Temperature(0.0).distribution(&floats(&[1, 3])))),
    ("Sampling::distribution", "temperature NaN", "temperature NaN … positive",
     || done(Sampling::Temperature(f64::NAN).distribution(&floats(&[1, 3])))),
    ("Sampling::distribution", "k 0", "k 0 … at least one",
     || done(Sampling::TopK { k: 0, temperature: 1.0 }.distribution(&floats(&[1, 3])))),
    ("Sampling::distribution", "p 1.5", "p 1.5 … (0, 1]",
     || done(Sampling::TopP { p: 1.5, temperature: 1.0 }.distribution(&floats(&[1, 3])))),
    ("Sampling::choose", "temperature −1", "temperature -1 … positive",
     || done(Sampling::Temperature(-1.0).choose(&floats(&[1, 3])))),
    ("Sampling::choose", "logits of a network that diverged", "NaN … lower learning rate",
     || done(Sampling::Temperature(1.0).choose(&(floats(&[1, 3]) * f64::NAN)))),
];

#[rustfmt::skip]
const LAYERS: &[Row] = &[
    ("Block::new", "heads that do not divide", "d_model 3 … multiple of n_heads",
     || done(Block::new(root(), uneven()))),
    ("Block::add_lora", "rank 0", "rank 0 … take 1 to 8",
     || no(Block::new(root(), block()).add_lora(&root(), LoraConfig::rank(0)))),
    ("DecoderBlock::new", "heads that do not divide", "d_model 3 … multiple of n_heads",
     || done(DecoderBlock::new(root(), uneven()))),
    ("MultiHeadAttention::new", "no heads", "0 heads … multiple of n_heads",
     || done(MultiHeadAttention::new(root(), AttentionConfig { d_model: 8, n_heads: 0, dropout: 0.0,
         init: WeightInit::Xavier }))),
    ("Embedding::forward", "a long sequence", "9 positions … block_size 8",
     || done(embedding().forward(&ids(&[1, 9]), 0, false))),
    ("Embedding::forward", "an unknown id", "from 5 to 5 … 0 to 4 … vocab_size",
     || done(embedding().forward(&(ids(&[1, 2]) + 5), 0, false))),
    ("KvCache::append", "more than fits", "1 positions … 2 more do not fit into 2 … clear", || {
        let mut cache = KvCache::new([1, 1, 2, 4], Kind::Float, CPU);
        let _ = cache.append(&floats(&[1, 1, 1, 4]), &floats(&[1, 1, 1, 4]));
        done(cache.append(&floats(&[1, 1, 2, 4]), &floats(&[1, 1, 2, 4])));
    }),
    ("Linear::add_lora", "rank 9 of 8", "rank 9 … take 1 to 8",
     || no(linear().add_lora(&root(), LoraConfig::rank(9)))),
    ("Linear::add_lora", "α 0", "α = 0 … positive",
     || no(linear().add_lora(&root(), LoraConfig { alpha: 0.0, ..LoraConfig::rank(2) }))),
    ("Linear::add_lora", "a second time", "already … anew", || {
        let mut linear = linear();
        linear.add_lora(&root(), LoraConfig::rank(2)).expect("the first");
        no(linear.add_lora(&root(), LoraConfig::rank(2)))
    }),
    ("cross_entropy", "another shape", "targets [3] for logits [2, 4] … one for each row", || {
        done(cross_entropy(&floats(&[2, 4]), &Tensor::from_slice(&[1i64, 2, 3])));
    }),
    ("cross_entropy", "a target that is no id", "target 4 is outside the 4 logits", || {
        done(cross_entropy(&floats(&[2, 4]).set_requires_grad(true), &Tensor::from_slice(&[1i64, 4])));
    }),
    ("smoothed_cross_entropy", "another shape", "targets [3] for logits [2, 4] … one for each row", || {
        done(smoothed_cross_entropy(&floats(&[2, 4]), &Tensor::from_slice(&[1i64, 2, 3]), 0.1));
    }),
    ("sinusoidal", "an odd width", "even width", || done(sinusoidal(4, 3, CPU))),
    ("Rotary::new", "an odd width", "even width", || done(Rotary::new(3, 4, CPU))),
    ("Rotary::rotate", "more positions", "5 positions … longer",
     || done(Rotary::new(4, 4, CPU).rotate(&floats(&[1, 1, 5, 4]), 0))),
];

fn embedding() -> Embedding {
    let positions = Positions::Learned;
    Embedding::new(
        root(),
        EmbeddingConfig {
            vocab_size: 5,
            d_model: 8,
            block_size: 8,
            positions,
            std: 1.0,
            scale: 1.0,
            dropout: 0.0,
        },
    )
}

fn linear() -> llm_course::layers::Linear {
    nn::linear(root(), 8, 8, Default::default()).into()
}

#[rustfmt::skip]
const RECURRENT: &[Row] = &[
    ("CharLm::forward_t", "a text without a batch", "Int64 [batch, time] … got Int64 [3] … unsqueeze(0)",
     || done(read(CellKind::Rnn, &ids(&[3])))),
    ("CharLm::forward_t", "an empty text", "not empty, got Int64 [1, 0] … encode some text",
     || done(read(CellKind::Rnn, &ids(&[1, 0])))),
    ("CharLm::forward_t", "a batch of 0", "not empty, got Int64 [0, 3]",
     || done(read(CellKind::Rnn, &ids(&[0, 3])))),
    ("CharLm::forward_t", "floats", "got Float [1, 3]", || done(read(CellKind::Rnn, &floats(&[1, 3])))),
    ("CharLm::forward_t", "an id below 0", "from -1 to -1 … 0 to 4 … vocab_size",
     || done(read(CellKind::Gru, &(ids(&[1, 3]) - 1)))),
    ("CharLm::forward_t", "the state of another batch", "[1, 2, 4], not [1, 1, 4] … zero_state(1)",
     || done(char_lm(CellKind::Lstm).forward(&ids(&[1, 3]), &char_lm(CellKind::Lstm).zero_state(2)))),
    ("CharLm::lstm_gates", "an RNN", "kind Rnn, not Lstm",
     || done(char_lm(CellKind::Rnn).lstm_gates(&ids(&[1, 3]), &char_lm(CellKind::Rnn).zero_state(1)))),
    ("Recurrent::forward_t", "another kind's state", "another kind's state … zero_state",
     || done(recurrent(CellKind::Lstm).forward(&floats(&[1, 2, 3]),
         &recurrent(CellKind::Gru).zero_state(1)))),
    ("Recurrent::forward_t", "another width", "[batch, time, 3] … got [1, 2, 5] … input_dim",
     || done(recurrent(CellKind::Gru).forward(&floats(&[1, 2, 5]), &recurrent(CellKind::Gru).zero_state(1)))),
    ("Recurrent::forward_t", "no batch", "[batch, time, 3] … got [2, 3]",
     || done(recurrent(CellKind::Rnn).forward(&floats(&[2, 3]), &recurrent(CellKind::Rnn).zero_state(1)))),
    ("Recurrent::forward_masked", "padding first", "move padding to the end",
     || done(recurrent(CellKind::Rnn).forward_masked(&floats(&[1, 2, 3]), &Tensor::from_slice(&[false,
         true]).unsqueeze(0), false))),
    ("Recurrent::forward_masked", "an empty text", "no real step: leave it out",
     || done(recurrent(CellKind::Rnn).forward_masked(&floats(&[1, 2, 3]), &all(&[1, 2]).logical_not(),
         false))),
    ("Recurrent::forward_masked", "a mask of another shape", "Bool [1, 2] … got Bool [1, 3]",
     || done(recurrent(CellKind::Rnn).forward_masked(&floats(&[1, 2, 3]), &all(&[1, 3]), false))),
    ("Recurrent::rnn_weights", "an LSTM", "kind Lstm, not Rnn",
     || done(recurrent(CellKind::Lstm).rnn_weights(0))),
    ("Recurrent::rnn_weights", "a second cell of one", "no cell 1 … 0 to 0",
     || done(recurrent(CellKind::Rnn).rnn_weights(1))),
    ("Recurrent::lstm_weights", "a GRU", "kind Gru, not Lstm",
     || done(recurrent(CellKind::Gru).lstm_weights(0))),
    ("Recurrent::gru_weights", "an RNN", "kind Rnn, not Gru",
     || done(recurrent(CellKind::Rnn).gru_weights(0))),
    ("Recurrent::lstm_gates", "a GRU", "kind Gru, not Lstm",
     || done(recurrent(CellKind::Gru).lstm_gates(&floats(&[1, 2, 3]),
         &recurrent(CellKind::Gru).zero_state(1)))),
    ("Recurrent::lstm_gates", "two directions", "one direction: build",
     || done(both_ways(CellKind::Lstm).lstm_gates(&floats(&[1, 2, 3]),
         &both_ways(CellKind::Lstm).zero_state(1)))),
    ("Recurrent::gru_gates", "an LSTM", "kind Lstm, not Gru",
     || done(recurrent(CellKind::Lstm).gru_gates(&floats(&[1, 2, 3]),
         &recurrent(CellKind::Lstm).zero_state(1)))),
    ("Recurrent::gru_gates", "two directions", "one direction: build",
     || done(both_ways(CellKind::Gru).gru_gates(&floats(&[1, 2, 3]),
         &both_ways(CellKind::Gru).zero_state(1)))),
    ("Seq2Seq::new", "an odd width for two directions", "hidden_dim 5 is odd … use 6",
     || no(Seq2Seq::new(&root(), Seq2SeqConfig { hidden_dim: 5, bidirectional: true, ..Seq2SeqConfig::new(5,
         5, Score::Dot) }))),
    ("Seq2Seq::forward_t", "a source without a batch", "source ids must be … got Int64 [3]",
     || done(seq2seq().forward(&ids(&[3]), &all(&[3]), &ids(&[1, 2])))),
    ("Seq2Seq::forward_t", "a target of another language", "target ids from 6 to 6 … 0 to 5",
     || done(seq2seq().forward(&ids(&[1, 3]), &all(&[1, 3]), &(ids(&[1, 2]) + 6)))),
    ("Seq2Seq::forward_t", "a target of another batch", "[1, 1, 4], not [1, 2, 4]",
     || done(seq2seq().forward(&ids(&[1, 3]), &all(&[1, 3]), &ids(&[2, 2])))),
    ("Seq2Seq::forward_t", "a mask of numbers", "Bool [1, 3] … got Int64 [1, 3] … ids.ne(0)",
     || done(seq2seq().forward(&ids(&[1, 3]), &ids(&[1, 3]), &ids(&[1, 2])))),
    ("Decoded::loss", "other targets", "targets [1, 3] for logits [1, 2, 6]",
     || done(seq2seq().forward(&ids(&[1, 3]), &all(&[1, 3]), &ids(&[1, 2])).loss(&ids(&[1, 3])))),
];

fn read(kind: CellKind, ids: &Tensor) -> Tensor {
    let model = char_lm(kind);
    model.forward(ids, &model.zero_state(1)).0
}

#[rustfmt::skip]
const TRANSFORMERS: &[Row] = &[
    ("Transformer::new", "an odd share", "d_model 6 must be a multiple of 2·n_heads",
     || no(Transformer::new(&root(), TransformerConfig { d_model: 6, ..transformer_sizes() }))),
    ("Transformer::new", "no layers", "at least 1",
     || no(Transformer::new(&root(), TransformerConfig { n_layers: 0, ..transformer_sizes() }))),
    ("Transformer::new", "dropout 1", "dropout 1 … [0, 1)",
     || no(Transformer::new(&root(), TransformerConfig { dropout: 1.0, ..transformer_sizes() }))),
    ("Transformer::forward", "a long source", "9 positions … block_size 8",
     || done(transformer().forward(&ids(&[1, 9]), &all(&[1, 9]), &ids(&[1, 2]), false))),
    ("Transformer::forward", "a long target", "9 positions … block_size 8",
     || done(transformer().forward(&ids(&[1, 2]), &all(&[1, 2]), &ids(&[1, 9]), false))),
    ("Transformer::forward", "a target of another batch", "Some(2), Some(1) and Some(1) rows … same batch",
     || done(transformer().forward(&ids(&[1, 2]), &all(&[1, 2]), &ids(&[2, 2]), false))),
    ("Transformer::forward", "a source of another language", "from 5 to 5 … 0 to 4",
     || done(transformer().forward(&(ids(&[1, 2]) + 5), &all(&[1, 2]), &ids(&[1, 2]), false))),
    ("Transformer::loss", "other targets", "ids [1, 2] and targets [1, 3] … one shape",
     || done(transformer().loss(&ids(&[1, 2]), &all(&[1, 2]), &ids(&[1, 2]), &ids(&[1, 3]), 0.0, false))),
    ("Transformer::encode", "a long source", "9 positions … block_size 8",
     || done(transformer().encode(&ids(&[1, 9]), &all(&[1, 9])))),
    ("Transformer::decode_step", "a ninth id", "9 positions … block_size 8", || {
        let model = transformer();
        let mut state = model.encode(&ids(&[1, 2]), &all(&[1, 2]));
        (0..9).for_each(|_| done(model.decode_step(&ids(&[1]), &mut state)));
    }),
    ("Encoder::new", "heads that do not divide", "d_model 3 … multiple of n_heads",
     || done(Encoder::new(&root(), &TransformerConfig { d_model: 3, positions: Positions::Learned,
         ..transformer_sizes() }))),
    ("Encoder::forward", "a long source", "9 positions … block_size 8",
     || done(transformer().encoder.forward(&ids(&[1, 9]), &all(&[1, 9]), false))),
    ("Encoder::forward", "a mask of another shape", "mask is [1, 3] and the ids [1, 2] … ids.ne(0)",
     || done(transformer().encoder.forward(&ids(&[1, 2]), &all(&[1, 3]), false))),
    ("Encoder::attention_weights", "a long source", "9 positions … block_size 8",
     || done(transformer().encoder.attention_weights(&ids(&[1, 9]), &all(&[1, 9])))),
    ("Decoder::new", "heads that do not divide", "d_model 3 … multiple of n_heads",
     || done(Decoder::new(&root(), &TransformerConfig { d_model: 3, positions: Positions::Learned,
         ..transformer_sizes() }))),
    ("Decoder::forward", "a long target", "9 positions … block_size 8",
     || done(transformer().decoder.forward(&ids(&[1, 9]), &floats(&[1, 2, 8]), &all(&[1, 2]), false))),
    ("Decoder::attention_weights", "a long target", "9 positions … block_size 8",
     || done(transformer().decoder.attention_weights(&ids(&[1, 9]), &floats(&[1, 2, 8]), &all(&[1, 2])))),
    ("Decoder::step", "ids with a time", "got Int64 [1, 1, 1]", || {
        let decoder = transformer().decoder;
        let _ = decoder.step(&ids(&[1, 1]), &mut decoder.start(&floats(&[1, 2, 8]), &all(&[1, 2])));
    }),
    ("Gpt::new", "heads that do not divide", "d_model 8 does not divide into 3 heads … multiple",
     || no(Gpt::new(&root(), GptConfig { n_heads: 3, ..sizes() }))),
    ("Gpt::new", "no ids", "at least 1", || no(Gpt::new(&root(), GptConfig { vocab_size: 0, ..sizes() }))),
    ("Gpt::new", "dropout NaN", "dropout NaN … [0, 1)",
     || no(Gpt::new(&root(), GptConfig { dropout: f64::NAN, ..sizes() }))),
    ("Gpt::add_lora", "α −1", "α = -1 … positive",
     || no(gpt().add_lora(&root(), LoraConfig { alpha: -1.0, ..LoraConfig::rank(2) }))),
    ("Gpt::forward", "a context longer than block_size", "9 positions … block_size 8 … larger one",
     || done(gpt().forward(&ids(&[1, 9]), false))),
    ("Gpt::forward", "an empty text", "not empty, got Int64 [1, 0]",
     || done(gpt().forward(&ids(&[1, 0]), false))),
    ("Gpt::forward", "an unknown id", "from 5 to 5 … 0 to 4 … vocab_size",
     || done(gpt().forward(&(ids(&[1, 2]) + 5), false))),
    ("Gpt::forward", "floats", "Int64 [batch, time] … got Float [1, 2]",
     || done(gpt().forward(&floats(&[1, 2]), false))),
    ("Gpt::forward", "three dimensions", "got Int64 [1, 2, 3]",
     || done(gpt().forward(&ids(&[1, 2, 3]), false))),
    ("Gpt::loss", "other targets", "ids [1, 3] and targets [1, 2] … one after it",
     || done(gpt().loss(&ids(&[1, 3]), &ids(&[1, 2]), false))),
    ("Gpt::attention_weights", "a context longer than block_size", "9 positions … block_size 8",
     || done(gpt().attention_weights(&ids(&[1, 9])))),
    ("Gpt::next_logits", "another batch than the cache's", "ids [2, time] … got [1, 3]",
     || done(gpt().next_logits(&ids(&[1, 3]), &mut gpt().cache(2)))),
    ("Gpt::next_logits", "no ids", "at least one, got [1, 0]",
     || done(gpt().next_logits(&ids(&[1, 0]), &mut gpt().cache(1)))),
    ("Gpt::generate", "an empty prompt", "prompt is empty … at least one",
     || done(gpt().generate(&[], 1, Sampling::Greedy))),
    ("Gpt::generate", "an id of another tokenizer", "from 9 to 9 … 0 to 4",
     || done(gpt().generate(&[9], 1, Sampling::Greedy))),
    ("Gpt::generate_batch", "no prompts", "no prompt: give at least one",
     || done(gpt().generate_batch(&[], 1, Sampling::Greedy))),
    ("Gpt::generate_batch", "an empty one", "a prompt is empty … at least one",
     || done(gpt().generate_batch(&[vec![1], vec![]], 1, Sampling::Greedy))),
    ("Bert::new", "heads that do not divide", "multiple of n_heads 3",
     || no(Bert::new(&root(), BertConfig { n_heads: 3, ..bert_sizes() }))),
    ("Bert::new", "no positions", "at least 1",
     || no(Bert::new(&root(), BertConfig { block_size: 0, ..bert_sizes() }))),
    ("Bert::new", "a head for pairs without a pooler", "switch `pooler` on",
     || no(Bert::new(&root(), BertConfig { heads: BertHeads { pooler: false, ..BertHeads::ALL },
         ..bert_sizes() }))),
    ("Bert::add_lora", "rank 9 of 8", "rank 9 … take 1 to 8",
     || no(bert().add_lora(&root(), LoraConfig::rank(9)))),
    ("Bert::forward", "long rows", "9 positions … block_size 8",
     || done(bert().forward(&ids(&[1, 9]), &ids(&[1, 9]), &all(&[1, 9]), false))),
    ("Bert::forward", "segments of another shape", "one shape [batch, time], got [[1, 3], [1, 2], [1, 3]]",
     || done(bert().forward(&ids(&[1, 3]), &ids(&[1, 2]), &all(&[1, 3]), false))),
    ("Bert::forward", "a third segment", "segments from 2 to 2 … 0 to 1",
     || done(bert().forward(&ids(&[1, 3]), &(ids(&[1, 3]) + 2), &all(&[1, 3]), false))),
    ("Bert::forward_until", "layer 3 of 2", "layer 3 of a BERT with 2: ask for 0 to 2",
     || done(bert().forward_until(3, &ids(&[1, 2]), &ids(&[1, 2]), &all(&[1, 2])))),
    ("Bert::forward_from", "layer 3 of 2", "layer 3 of a BERT with 2: ask for 0 to 2",
     || done(bert().forward_from(3, &floats(&[1, 2, 8]), &all(&[1, 2]), false))),
    ("Bert::pooled", "no pooler", "no pooler: take the mean",
     || done(headless().pooled(&floats(&[1, 2, 8])))),
    ("Bert::word_logits", "no head", "no head for words: it was saved without one",
     || done(headless().word_logits(&floats(&[1, 2, 8])))),
    ("Bert::next_logits", "no head", "no head for pairs: use data without pairs",
     || done(headless().next_logits(&floats(&[1, 8])))),
    ("BertClassifier::new", "one class", "1 classes … at least 2",
     || no(BertClassifier::new(&root(), bert(), 1))),
    ("VectorIndex::search", "another length", "a vector of 2 numbers",
     || done(VectorIndex::new(&floats(&[3, 2])).search(&floats(&[3]), 1))),
];

#[rustfmt::skip]
const FILES: &[Row] = &[
    ("Gpt::load", "no folder", "name a folder with config.json",
     || no(Gpt::load(&VarStore::new(CPU), "no/such"))),
    ("Gpt::load", "another model's configuration", "config.json … another model",
     || no(Gpt::load(&VarStore::new(CPU), folder("{}", "").path()))),
    ("Gpt::save", "no such place", "choose a folder",
     || saved(|vs, place| Gpt::new(&vs.root(), sizes())?.save(vs, place))),
    ("Gpt::save", "sinusoidal positions", "Sinusoidal … Positions::Rotary",
     || saved(|vs, place| Gpt::new(&vs.root(), GptConfig { positions: Positions::Sinusoidal,
         ..sizes() })?.save(vs, place))),
    ("Bert::save", "a DistilBERT with a pooler", "no place for the heads … BertHeads::WORDS",
     || saved(|vs, place| Bert::new(&vs.root(), BertConfig { segments: 0, ..bert_sizes() })?.save(vs, place))),
    ("Bert::load", "no folder", "name a folder with config.json",
     || no(Bert::load(&VarStore::new(CPU), "no/such"))),
    ("Bert::load", "more weights than the file has bytes", "0 bytes are too few … belong to the same model", || {
        let sizes = r#"{"model_type": "bert", "vocab_size": 1000000000000, "hidden_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 128, "max_position_embeddings": 64, "type_vocab_size": 2,
            "hidden_dropout_prob": 0.1, "hidden_act": "gelu"}"#;
        no(Bert::load(&VarStore::new(CPU), folder(sizes, "").path()))
    }),
    ("Bert::load", "a GPT", "gpt2, not bert",
     || no(Bert::load(&VarStore::new(CPU), folder(r#"{"model_type": "gpt2"}"#, "").path()))),
    ("Bert::save", "no such place", "choose a folder",
     || saved(|vs, place| Bert::new(&vs.root(), bert_sizes())?.save(vs, place))),
    ("Bert::save", "other variables beside it", "not in the layout … VarStore of its own",
     || saved(|vs, place| {
        let _ = vs.root().ones("mine", &[1]);
        Bert::new(&vs.root(), bert_sizes())?.save(vs, place)
    })),
    ("BertClassifier::load", "no folder", "name a folder with config.json",
     || no(BertClassifier::load(&VarStore::new(CPU), "no/such"))),
    ("BertClassifier::save", "no such place", "choose a folder",
     || saved(|vs, place| BertClassifier::new(&vs.root(), Bert::new(&vs.root(), bert_sizes())?, 2)?.save(vs,
         place))),
    ("SentenceEncoder::open", "no folder", "name a folder with config.json",
     || no(SentenceEncoder::open("no/such", CPU))),
    ("find_model", "no such model", "no model \"nothing\" … LLM_COURSE_MODELS", || no(find_model("nothing"))),
    ("read_config", "no file", "name a folder with config.json", || no(read_config::<Value>("no/such"))),
    ("read_config", "no JSON", "config.json … another model",
     || no(read_config::<Value>(folder("{", "").path()))),
    ("write_config", "no such place", "choose a folder", || no(write_config(NOWHERE, &1))),
    ("tensor_names", "no file", "name a folder with model.safetensors", || no(tensor_names("no/such"))),
    ("tensor_names", "a damaged file", "no safetensors file … again",
     || no(tensor_names(folder("{}", "not safetensors at all").path()))),
    ("Layout::load", "no file", "only safetensors are read",
     || no(Layout::new().load(&VarStore::new(CPU), "no/such", |name| Some(name.into())))),
    ("Layout::load", "a name that the model lacks", "which the model does not have",
     || no(Layout::new().same("a", "b").load(&VarStore::new(CPU), weights().path(), |name|
         Some(name.into())))),
    ("Layout::load", "a tensor too many", "b [2] is extra … same model",
     || no(Layout::new().load(&VarStore::new(CPU), weights().path(), |name| Some(name.into())))),
    ("Layout::save", "a variable without a name", "a is not in the layout … add the name",
     || saved(|vs, place| {
        let _ = vs.root().ones("a", &[1]);
        Layout::new().save(vs, place)
    })),
    ("Layout::save", "no such place", "choose a folder", || saved(|vs, place| {
        let _ = vs.root().ones("a", &[1]);
        Layout::new().same("a", "b").save(vs, place)
    })),
    ("Export::new", "no plain name", "cannot be a model's name … letters", || no(Export::new("my model"))),
    ("Export::at", "a hidden name", "\".hidden\" cannot be a model's name … letters",
     || no(Export::at(".hidden"))),
    ("Export::at", "no such place", "folder", || no(Export::at("/dev/null/model"))),
    ("Export::outputs", "a folder that is gone", "folder", || {
        let (_place, export) = export("model");
        fs::remove_dir_all(export.folder()).expect("it is there");
        no(export.outputs("text", &[]))
    }),
    ("Export::finish", "nothing in it", "model has no config.json … before finish",
     || no(export("model").1.finish(&ModelCard::new("text-generation", "A model.")))),
    ("Checkpoint::save", "no such place", "is there space left?", || no(checkpoint().save(NOWHERE))),
    ("Checkpoint::save", "no tensors", "without tensors", || no(Checkpoint::default().save(NOWHERE))),
    ("Checkpoint::load", "no file", "check the path", || no(Checkpoint::load("no/such"))),
    ("Checkpoint::load", "an empty file", "damaged", || no(Checkpoint::load(file("").path()))),
    ("Checkpoint::latest", "a damaged file", "damaged … delete", || no(Checkpoint::latest(file("x").path()))),
];

/// Saves a model where no file can be.
fn saved(save: impl Fn(&VarStore, &str) -> llm_course::Result<()>) {
    no(save(&VarStore::new(CPU), NOWHERE));
}

/// A folder whose weights are one tensor `b` `[2]`.
fn weights() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    Tensor::write_safetensors(&[("b", floats(&[2]))], folder.path().join("model.safetensors"))
        .expect("space");
    folder
}

fn checkpoint() -> Checkpoint {
    Checkpoint { tensors: [("a".to_string(), floats(&[2]))].into(), ..Checkpoint::default() }
}

#[rustfmt::skip]
const TRAINING: &[Row] = &[
    ("AdamW::new", "nothing to train", "nothing to train … build the model before",
     || no(AdamW::new(vec![], (0.9, 0.99), 0.0))),
    ("AdamW::new", "β 1", "betas (0.9, 1.0) … [0, 1)",
     || no(AdamW::new(vec![floats(&[1])], (0.9, 1.0), 0.0))),
    ("Trainer::new", "no model", "nothing to train … build the model before",
     || no(Trainer::new(&VarStore::new(CPU), TrainConfig::default()))),
    ("Trainer::new", "no steps", "steps 0 must be at least 1",
     || no(trainer(TrainConfig { steps: 0, ..Default::default() }))),
    ("Trainer::new", "no batches", "accumulate 0 must be at least 1",
     || no(trainer(TrainConfig { accumulate: 0, ..Default::default() }))),
    ("Trainer::new", "no validation", "validate_every 0 must be at least 1",
     || no(trainer(TrainConfig { validate_every: 0, ..Default::default() }))),
    ("Trainer::new", "no patience", "patience 0 must be at least 1",
     || no(trainer(TrainConfig { patience: Some(0), ..Default::default() }))),
    ("Trainer::new", "learning rate NaN", "lr NaN must be a positive number",
     || no(trainer(TrainConfig { lr: f64::NAN, ..Default::default() }))),
    ("Trainer::new", "decay NaN", "weight_decay NaN must not be … 0 switches it off",
     || no(trainer(TrainConfig { weight_decay: f64::NAN, ..Default::default() }))),
    ("Trainer::new", "warm-up −1", "warmup -1 must not be negative",
     || no(trainer(TrainConfig { warmup: -1, ..Default::default() }))),
    ("Trainer::new", "clip 0", "clip 0 must be positive … INFINITY",
     || no(trainer(TrainConfig { clip: 0.0, ..Default::default() }))),
    ("Trainer::resumable", "every 0 steps", "every 0 steps … at least 1",
     || no(trainer(TrainConfig::default()).and_then(|trainer| trainer.resumable(NOWHERE, 0)))),
    ("Trainer::resumable", "no training run", "holds no training run … another path", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run");
        checkpoint().save(&path).expect("space");
        no(trainer(TrainConfig::default()).and_then(|trainer| trainer.resumable(&path, 1)))
    }),
    ("Trainer::fit", "a loss for each id", "one number with a graph, got [2] … mean", || {
        let mut trainer = trainer(TrainConfig::default()).expect("a model");
        no(trainer.fit("m", |_| floats(&[2]).set_requires_grad(true) * 1, || 0.0))
    }),
    ("Trainer::fit", "a loss without a graph", "one number with a graph … do not detach", || {
        let mut trainer = trainer(TrainConfig::default()).expect("a model");
        no(trainer.fit("m", |_| floats(&[]), || 0.0))
    }),
    ("Trainer::fit", "a checkpoint that cannot be written", "is there space left?", || {
        let _turn = alone();
        let trainer = trainer(TrainConfig { steps: 1, ..Default::default() }).expect("a model");
        let mut trainer = trainer.resumable(NOWHERE, 1).expect("nothing to resume");
        no(trainer.fit("m", |_| floats(&[]).set_requires_grad(true) * 1, || 0.0))
    }),
    ("evaluate", "no batches", "nothing to evaluate … more text",
     || done(evaluate(std::iter::empty(), |_| floats(&[])))),
    ("History::final_validation", "no training", "no validation yet: train first",
     || done(History::default().final_validation())),
    ("two_at_a_time", "a job that fails", "job 1: write it anew",
     || no(two_at_a_time(vec![0, 1], |job|
         if job == 1 { Err(Error::input("job 1: write it anew")) } else { Ok(()) }))),
];

/// Their message depends on the environment, which belongs to the whole process: a child breaks them.
const ENVIRONMENT: &[(&str, &str, &str, &str)] = &[
    ("device", "LLM_COURSE_DEVICE", "tpu", "LLM_COURSE_DEVICE=tpu: use cpu"),
    ("device", "LLM_COURSE_DEVICE", "cuda:99", "LLM_COURSE_DEVICE=cuda:99: libtorch sees … unset it"),
    ("claim", "LLM_COURSE_STRICT", "1", "claim does not hold: two is one"),
];

/// What no program can break, and why.
const UNBROKEN: &[(&str, &str)] = &[("glossary", "it reads one fixed file of the checkout")];

fn tables() -> impl Iterator<Item = &'static Row> {
    let tables = [DATA, TOKENIZERS, MEASURES, DECODING, LAYERS, RECURRENT, TRANSFORMERS, FILES, TRAINING];
    tables.into_iter().flatten()
}

/// libtorch's generator belongs to the whole process: tests that train take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The message that `f` fails with.
fn message(f: fn()) -> Option<String> {
    let panic = catch_unwind(f).err()?;
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}

/// Their messages have more than one line: a list of folders.
const OF_SEVERAL_LINES: &[&str] = &["find_model"];

/// What is wrong with a message, if anything.
fn fault(message: Option<&str>, words: &str) -> Option<String> {
    let Some(message) = message else { return Some("nothing was said".into()) };
    let missing: Vec<&str> = words.split(" … ").filter(|part| !message.contains(part)).collect();
    let trace =
        ["Exception raised from", "called `", "assertion `", "index out of", "out of range for slice"];
    if !missing.is_empty() {
        Some(format!("{missing:?} is not in: {message}"))
    } else if trace.iter().any(|raw| message.contains(raw)) || message.lines().count() > 1 {
        Some(format!("no sentence for a reader: {message}"))
    } else {
        None
    }
}

#[test]
fn what_the_documentation_forbids_is_refused_with_a_sentence() {
    let mut faults = Vec::new();
    for (function, done, words, f) in tables() {
        let message = message(*f);
        println!("{function}, {done}: {}", message.as_deref().unwrap_or("-"));
        let several = OF_SEVERAL_LINES.contains(function);
        let message = message.map(|text| if several { text.replace(['\n', '`'], " ") } else { text });
        faults.extend(fault(message.as_deref(), words).map(|fault| format!("{function}, {done}: {fault}")));
    }
    let (rows, environment) = (tables().count(), ENVIRONMENT.len());
    println!("{} preconditions broken, {environment} of them by the environment", rows + environment);
    assert!(faults.is_empty(), "{} messages:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn what_the_environment_must_not_say_is_refused_with_a_sentence() {
    const CHILD: &str = "LLM_COURSE_TEST_MISUSE";
    match std::env::var(CHILD).as_deref() {
        Ok("device") => done(device()),
        Ok("claim") => claim("two is one", false),
        _ => (),
    }
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    for (function, variable, value, words) in ENVIRONMENT {
        let mut child = Command::new(std::env::current_exe().expect("this test"));
        child.args([
            "--exact",
            "what_the_environment_must_not_say_is_refused_with_a_sentence",
            "--nocapture",
        ]);
        child.env_remove("LLM_COURSE_QUICK").env_remove("LLM_COURSE_TEXT").env_remove("RUST_BACKTRACE");
        let output = child.env(CHILD, function).env(variable, value).output().expect("this test starts");
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().find(|line| words.split(" … ").all(|part| line.contains(part)));
        assert!(!output.status.success() && line.is_some(), "{function}, {variable}={value}: {said}");
    }
}

/// The public functions whose documentation has a section of errors or panics, as `Type::function`, but for
/// those that never fail. The checks have tests of their own.
fn documented() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()) {
            if path.is_dir() && !path.ends_with("src/check") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.extend(documented_in(&fs::read_to_string(path).expect("UTF-8")));
            }
        }
    }
    found
}

fn documented_in(source: &str) -> Vec<String> {
    let (mut owner, mut of_trait, mut doc, mut found) = (String::new(), false, String::new(), Vec::new());
    for line in source.lines() {
        let code = line.trim_start();
        if let Some(text) = code.strip_prefix("///") {
            doc += text;
            doc.push('\n');
            continue;
        }
        if let Some(rest) = line.strip_prefix("impl") {
            of_trait = rest.contains(" for ");
            let rest = if rest.starts_with('<') {
                rest.split_once("> ").map_or(rest, |(_, rest)| rest)
            } else {
                rest
            };
            let target = rest.rsplit(" for ").next().unwrap_or(rest).trim();
            owner = target.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().into();
        }
        let method = line.starts_with(' ');
        let public = code.strip_prefix("pub ").or((method && of_trait).then_some(code));
        let name =
            public.and_then(|rest| rest.split_once("fn ")).filter(|(before, _)| !before.contains(['(', '=']));
        if let Some((_, rest)) = name
            && may_fail(&doc)
        {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            found.push(if method { format!("{owner}::{name}") } else { name.into() });
        }
        if !code.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

fn may_fail(doc: &str) -> bool {
    let sections = doc.split(" # ").filter(|part| part.starts_with("Errors") || part.starts_with("Panics"));
    let said =
        |part: &str| part.lines().skip(1).map(str::trim).find(|line| !line.is_empty()).map(String::from);
    sections.filter_map(said).any(|line| !line.starts_with("Never"))
}

#[test]
fn every_documented_refusal_has_a_row() {
    let example = "impl<T> Tr for A<T> {\n/// # Panics\n/// If.\n    #[inline]\n    fn a() {\n\
                   impl B {\n/// # Errors\n///\n/// If.\n    pub fn b() {\n\
                   /// # Panics\n/// If.\n    fn own() {\n\
                   }\n/// # Panics\n/// Never.\npub fn c() {\n\
                   /// # Errors\n/// If.\npub(crate) fn d() {\n\
                   /// One # Errors\npub fn e() {\n\
                   /// # Panics\n/// If.\npub fn f<T>() {\n";
    assert_eq!(documented_in(example), ["A::a", "B::b", "f"]);
    let rows = tables().map(|row| row.0).chain(ENVIRONMENT.iter().map(|row| row.0));
    let rows: BTreeSet<String> = rows.chain(UNBROKEN.iter().map(|row| row.0)).map(String::from).collect();
    let documented = documented();
    let without: Vec<_> = documented.difference(&rows).collect();
    assert!(
        without.is_empty(),
        "add a row to tests/misuse.rs that does what the documentation forbids: {without:?}"
    );
    let unknown: Vec<_> = rows.difference(&documented).collect();
    assert!(unknown.is_empty(), "document with # Errors or # Panics, or drop the row: {unknown:?}");
    println!(
        "{} public functions that may refuse, {} unbroken: {UNBROKEN:?}",
        documented.len(),
        UNBROKEN.len()
    );
}

// ---------------------------------------------------------------- through the trainer

/// Trains a small model on the numbers of `data`, one a step, with a checkpoint every five steps.
fn fit(data: &[f32], path: &Path) -> llm_course::Result<(History, Tensor)> {
    tch::manual_seed(1);
    let vs = VarStore::new(CPU);
    let weight = vs.root().ones("weight", &[2, 2]);
    let config = TrainConfig { steps: data.len() as i64, warmup: 0, validate_every: 7, ..Default::default() };
    let loss = |step: i64| (&weight * f64::from(data[step as usize])).square().mean(Kind::Float);
    let history = Trainer::new(&vs, config)?.resumable(path, 5)?.fit("model", loss, || 0.0)?;
    Ok((history, weight.detach().copy()))
}

fn steps_saved(path: &Path) -> i64 {
    let run: Value =
        llm_course::serde_json::from_str(&Checkpoint::load(path).expect("whole").metadata["run"])
            .expect("JSON");
    run["step"].as_i64().expect("a number")
}

fn is_finite(path: &Path) -> bool {
    let tensors = Checkpoint::load(path).expect("whole").tensors;
    tensors.values().all(|tensor| bool::try_from(tensor.isfinite().all()).expect("one truth"))
}

#[test]
fn nan_in_the_data_stops_training_and_the_mended_run_goes_on_from_the_last_good_checkpoint() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let data: Vec<f32> = (0..30).map(|step| (step as f32).sin()).collect();
    let whole = fit(&data, &folder.path().join("whole")).expect("finite");
    let mut count = 0;
    for wrong in [f32::NAN, f32::INFINITY] {
        for at in [0, 4, 5, 6, 13, 14, 24, 29] {
            let path = folder.path().join(format!("{wrong}{at}"));
            let mut damaged = data.clone();
            damaged[at] = wrong;
            let error = fit(&damaged, &path).expect_err("NaN");
            let words = format!("model: … {} at step {at}: … learning rate … NaN in the data", wrong);
            assert_eq!(fault(Some(&error.to_string()), &words), None);
            assert!(matches!(error, Error::Training(_)), "{error:?}");
            if at >= 5 {
                assert_eq!(steps_saved(&path), at as i64 / 5 * 5, "the last good one stays");
                assert!(is_finite(&path));
            }
            let mended = fit(&data, &path).expect("finite");
            assert_eq!((&mended.0.train, &mended.1), (&whole.0.train, &whole.1), "{wrong} at {at}");
            count += 1;
        }
    }
    println!(
        "{count} runs with a number that is none stopped, and repeated the whole run once it was mended"
    );
}

/// A gradient may be NaN where the loss is not: √x at 0. The loss would tell one step later, after the
/// checkpoint.
#[test]
fn a_gradient_that_is_nan_stops_training_before_the_checkpoint() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run");
    let vs = VarStore::new(CPU);
    let weight = vs.root().ones("weight", &[2, 2]);
    let loss = |step: i64| {
        let x = if step == 9 { &weight * 0.0 } else { weight.shallow_clone() };
        (&x * 0.0 + x.square().sqrt() * 0.1).mean(Kind::Float)
    };
    let config = TrainConfig { steps: 20, warmup: 0, ..Default::default() };
    let mut trainer =
        Trainer::new(&vs, config).and_then(|trainer| trainer.resumable(&path, 5)).expect("a model");
    let error = trainer.fit("model", loss, || 0.0).expect_err("NaN").to_string();
    assert_eq!(fault(Some(&error), "gradient … NaN at step 9 … learning rate"), None);
    assert_eq!(steps_saved(&path), 5);
    assert!(is_finite(&path));
}

/// A model of a family and the loss of its 8 rows.
fn family(name: &str, vs: &VarStore) -> Box<dyn Fn(i64) -> Tensor> {
    let rows = Tensor::randint(5, [8, 8], (Kind::Int64, CPU));
    match name {
        "GPT" => {
            let model = Gpt::new(&vs.root(), sizes()).expect("sizes that fit");
            Box::new(move |_| model.loss(&rows, &rows, true))
        }
        _ => {
            let kind = if name == "LSTM" { CellKind::Lstm } else { CellKind::Rnn };
            let model = CharLm::new(&vs.root(), CharLmConfig::new(kind, 5, 3, 4));
            Box::new(move |_| {
                let (logits, _) = model.forward(&rows, &model.zero_state(8));
                logits.flatten(0, 1).cross_entropy_for_logits(&rows.flatten(0, 1))
            })
        }
    }
}

#[test]
fn a_learning_rate_of_a_billion_stops_training_and_spoils_no_checkpoint() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    for (number, (name, weight_decay, clip)) in ["RNN", "LSTM", "GPT"]
        .into_iter()
        .flat_map(|name| [(name, 0.01, 1.0), (name, 0.0, 1.0), (name, 0.01, f64::INFINITY)])
        .enumerate()
    {
        tch::manual_seed(1);
        let vs = VarStore::new(CPU);
        let loss = family(name, &vs);
        let path = folder.path().join(number.to_string());
        let config = TrainConfig { steps: 200, lr: 1e9, weight_decay, clip, ..Default::default() };
        let mut trainer =
            Trainer::new(&vs, config).and_then(|trainer| trainer.resumable(&path, 1)).expect("a model");
        let error = trainer.fit(name, loss, || 0.0).expect_err("it diverges").to_string();
        println!("{name}, decay {weight_decay}, clip {clip}: {error}");
        assert_eq!(fault(Some(&error), &format!("{name}: … at step … lower the learning rate")), None);
        assert!(is_finite(&path), "{error}: the checkpoint of step {} is not finite", steps_saved(&path));
    }
}

/// What a tokenizer does not know becomes its id for that, so a model reads any text.
#[test]
fn unknown_characters_and_short_texts_are_read() {
    let model = gpt();
    let tokenizer = CharTokenizer::new("abcd");
    for text in ["a", "€", "\u{0}", "ab€", "a\u{301}"] {
        let written = model.generate(&tokenizer.encode(text), 9, Sampling::Greedy);
        assert_eq!(written.len(), 9, "{text:?}");
    }
    assert!(tokenizer.encode("").is_empty());
    let vocabulary = Bpe::train("", 300).and_then(|_| Bpe::train("a", 300)).expect("bytes are always there");
    assert_eq!(vocabulary.decode(&vocabulary.encode("€")), "€");
}
