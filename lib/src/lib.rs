//! Models, training, decoding, metrics, plots and checks of a course from RNN to GPT and BERT.
#![deny(missing_docs)]

pub mod check;
pub mod data;
pub mod decode;
pub mod error;
pub mod grammar;
pub mod metrics;
pub mod models;
pub mod ngram;
mod runtime;
pub mod tokenizers;
pub mod train;

pub use error::{Error, Result};
pub use runtime::{budget, claim, device, quick, seed};
pub use {ndarray, rand, rand_chacha, tch};
