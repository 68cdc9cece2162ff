//! The models of the course, one file each.

mod bert;
mod char_rnn;
mod gpt;
mod transformer;

pub use bert::{Bert, BertClassifier, BertConfig, BertHeads, BertTrace};
pub use char_rnn::{CharRnn, CharRnnConfig, RnnWeights, rnn_step};
pub use gpt::{Gpt, GptCache, GptConfig};
pub use transformer::{Decoder, DecoderState, Encoder, Transformer, TransformerConfig};
