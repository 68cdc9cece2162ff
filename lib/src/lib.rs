//! Models, training, decoding, metrics, plots and checks of a course from RNN to GPT and BERT.
//!
//! | to … | look in |
//! | --- | --- |
//! | turn text into ids | [`tokenizers`]: characters, words, byte-level BPE, WordPiece, any `tokenizer.json` |
//! | get texts whose best possible loss is known | [`grammar`] (stories), [`bilingual`] (pairs with gold alignments) |
//! | get batches | [`data`]: text, sentence pairs, reviews, masked sentences |
//! | count instead of learning | [`ngram`] |
//! | build a model | [`models`]: RNN, LSTM, GRU, seq2seq, transformer, GPT, BERT; of [`layers`]: attention, masks, positions, norms, blocks |
//! | open and save Hugging Face's files | `load` and `save` of [`models::Gpt`] and [`models::Bert`]; [`pretrained`] has their machinery, [`export`] adds a model card |
//! | train | [`train`]: AdamW, warm-up and cosine, clipping, bf16, checkpoints that resume bit for bit |
//! | write text | [`decode`]: greedy, temperature, top-k, top-p, beam search; [`models::Gpt::generate`] with a cache |
//! | measure | [`metrics`]: perplexity, bits, accuracy, F1, BLEU, ROUGE, alignment error rate |
//! | see it | [`plot`]: one PNG under the cell |
//! | judge an exercise | [`check`] |
//!
//! Sizes are `i64`, masks are Bool with true = may attend, targets that are not to be predicted are
//! [`data::IGNORE`], losses are nats. What a model lesson derives stands beside the fused form that the models
//! use, and a test proves the two equal.
//!
//! ```
//! use llm_course::prelude::*;
//!
//! let data = TextDataset::stories(20_000, 2_000, 1)?;
//! seed(1);
//! let vs = nn::VarStore::new(device());
//! let gpt = Gpt::new(&vs.root(), GptConfig { n_layers: 1, d_model: 32, ..GptConfig::small(data.tokenizer.vocab_size()) })?;
//! let mut batches = data.windows(Split::Train, 8, 32)?.to_device(device());
//! let loss = |_| {
//!     let batch = batches.next().expect("endless");
//!     gpt.loss(&batch.ids, &batch.targets, true) // [batch, time] both → a scalar in nats
//! };
//! let validation = || {
//!     let streams = data.streams(Split::Validation, 8, 32).expect("long enough").to_device(device());
//!     evaluate(streams, |batch| gpt.loss(&batch.ids, &batch.targets, false)).loss
//! };
//! let config = TrainConfig { steps: 60, warmup: 10, lr: 3e-3, ..Default::default() };
//! let history = Trainer::new(&vs, config)?.fit("GPT", loss, validation)?;
//! assert!(history.final_validation() < 3.2); // it began at ln 64 = 4.2
//! let ids = gpt.generate(&data.tokenizer.encode("The "), 40, Sampling::Temperature(0.8));
//! println!("{}", data.tokenizer.decode(&ids));
//! # Ok::<(), llm_course::Error>(())
//! ```
#![deny(missing_docs)]

pub mod bilingual;
pub mod check;
pub mod data;
pub mod decode;
mod doctor;
pub mod error;
pub mod export;
pub mod grammar;
pub mod layers;
pub mod metrics;
pub mod models;
mod native;
pub mod ngram;
pub mod plot;
pub mod pretrained;
mod runtime;
pub mod tokenizers;
pub mod train;

pub use doctor::{Health, doctor};
pub use error::{Error, Result};
pub use runtime::{CellValue, budget, claim, device, no_grad, quick, resident_mib, seed};

/// What a notebook needs in scope: `use llm_course::prelude::*;`.
pub mod prelude {
    pub use crate::bilingual::{Alignment, BilingualGrammar, Pair};
    pub use crate::check;
    pub use crate::data::{
        Batch, Corruption, IGNORE, MaskedDataset, PairDataset, ReviewBatches, ReviewDataset, Split,
        TextDataset,
    };
    pub use crate::decode::{BeamSearch, Hypothesis, Sampling, beam_search, generate};
    pub use crate::export::{Export, ModelCard};
    pub use crate::grammar::Grammar;
    pub use crate::layers::{Score, cross_entropy};
    pub use crate::metrics::{self, accuracy, bits, bits_per_byte, perplexity};
    pub use crate::models::{
        Bert, BertConfig, CellKind, CharLm, CharLmConfig, Gpt, GptConfig, RnnWeights, Seq2Seq, Seq2SeqConfig,
        TeacherForcing, Transformer, TransformerConfig,
    };
    pub use crate::ngram::NGram;
    pub use crate::plot::{self, Figure};
    pub use crate::tokenizers::{Bpe, CharTokenizer, Pretrained, Tokenizer, WordPiece, WordTokenizer};
    pub use crate::train::{
        AdamW, Checkpoint, History, Precision, TrainConfig, Trainer, clip_grad_norm, evaluate, two_at_a_time,
    };
    pub use crate::{
        CellValue, Error, Result, budget, claim, device, doctor, ndarray, no_grad, quick, rand, rand_chacha,
        resident_mib, seed, tch,
    };
    pub use tch::nn::{self, Module};
    pub use tch::{Device, IndexOp, Kind, Tensor};
}

pub use {ndarray, rand, rand_chacha, serde_json, tch};
