//! The models of the course, one file each.

mod bert;
mod char_rnn;

pub use bert::{Bert, BertClassifier, BertConfig, BertHeads, BertTrace};
pub use char_rnn::{CharRnn, CharRnnConfig, RnnWeights, rnn_step};
