//! What models are made of, one idea a file.

mod score;

pub use score::{Attention, Memory, Score};
