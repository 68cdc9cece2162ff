//! Models, training, decoding, metrics, plots and checks of a course from RNN to GPT and BERT.
#![deny(missing_docs)]

pub mod bilingual;
pub mod check;
pub mod data;
pub mod decode;
mod doctor;
pub mod error;
pub mod grammar;
pub mod layers;
pub mod metrics;
pub mod models;
pub mod ngram;
pub mod plot;
pub mod pretrained;
mod runtime;
pub mod tokenizers;
pub mod train;

pub use doctor::{Health, doctor};
pub use error::{Error, Result};
pub use runtime::{budget, claim, device, quick, seed};

/// What a notebook needs in scope: `use llm_course::prelude::*;`.
pub mod prelude {
    pub use crate::bilingual::{Alignment, BilingualGrammar, Pair};
    pub use crate::check;
    pub use crate::data::{
        Batch, Corruption, IGNORE, MaskedDataset, PairDataset, ReviewBatches, ReviewDataset, Split,
        TextDataset,
    };
    pub use crate::decode::{BeamSearch, Hypothesis, Sampling, beam_search, generate};
    pub use crate::grammar::Grammar;
    pub use crate::layers::Score;
    pub use crate::metrics::{self, accuracy, bits, bits_per_byte, perplexity};
    pub use crate::models::{
        Bert, BertConfig, CellKind, CharLm, CharLmConfig, Gpt, GptConfig, RnnWeights, Seq2Seq, Seq2SeqConfig,
        TeacherForcing, Transformer, TransformerConfig,
    };
    pub use crate::ngram::NGram;
    pub use crate::plot::{self, Figure};
    pub use crate::tokenizers::{Bpe, CharTokenizer, Pretrained, Tokenizer, WordPiece, WordTokenizer};
    pub use crate::train::{
        AdamW, Checkpoint, History, Precision, TrainConfig, Trainer, clip_grad_norm, evaluate,
    };
    pub use crate::{
        Error, Result, budget, claim, device, doctor, ndarray, quick, rand, rand_chacha, seed, tch,
    };
    pub use tch::nn::{self, Module};
    pub use tch::{Device, IndexOp, Kind, Tensor, no_grad};
}

pub use {ndarray, rand, rand_chacha, tch};
