//! Models, training, decoding, metrics, plots and checks of a course from RNN to GPT and BERT.
#![deny(missing_docs)]

pub mod error;
pub mod plot;

pub use error::{Error, Result};
