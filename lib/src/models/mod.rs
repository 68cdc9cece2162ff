//! The models of the course, one file each.

mod bert;
mod char_lm;
mod decoded;
mod gpt;
mod gru;
mod lstm;
mod recurrent;
mod recurrent_state;
mod recurrent_weights;
mod rnn;
mod scheduled_sampling;
mod sentence;
mod seq2seq;
mod transformer;

pub use bert::{Bert, BertClassifier, BertConfig, BertHeads, BertTrace};
pub use char_lm::{CharLm, CharLmConfig};
pub use decoded::{Decoded, DecoderState, Translation};
pub use gpt::{Gpt, GptCache, GptConfig};
pub use gru::{GruGates, GruWeights, gru_gates, gru_step};
pub use lstm::{LstmGates, LstmWeights, lstm_gates, lstm_step};
pub use recurrent::{CellKind, Recurrent, RecurrentConfig};
pub use recurrent_state::RecurrentState;
pub use rnn::{RnnWeights, rnn_step};
pub use scheduled_sampling::TeacherForcing;
pub use sentence::{SentenceEncoder, VectorIndex, mean_pool};
pub use seq2seq::{Seq2Seq, Seq2SeqConfig};
pub use transformer::{Decoder, Encoder, Transformer, TransformerConfig, TransformerState};
