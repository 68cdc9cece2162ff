//! The models of the course, one file each.

mod char_rnn;

pub use char_rnn::{CharRnn, CharRnnConfig, RnnWeights, rnn_step};
