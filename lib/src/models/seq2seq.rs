//! Encoder and decoder (Sutskever, Vinyals & Le 2014), with or without attention (Bahdanau, Cho & Bengio
//! 2015; Luong, Pham & Manning 2015).

use tch::{Kind, Tensor, nn};

use super::decoded::joined;
use super::{CellKind, Decoded, DecoderState, Recurrent, RecurrentConfig, RecurrentState, Translation};
use crate::decode::greedy;
use crate::error::{Error, Result};
use crate::layers::{Attention, Memory, Score, look_up};
use crate::no_grad;

/// Sizes and options of a [`Seq2Seq`].
#[derive(Clone, Copy, Debug)]
pub struct Seq2SeqConfig {
    /// Different ids of the source language.
    pub src_vocab_size: i64,
    /// Different ids of the target language.
    pub tgt_vocab_size: i64,
    /// Numbers that stand for one id.
    pub embed_dim: i64,
    /// Numbers in a hidden state.
    pub hidden_dim: i64,
    /// Layers of the encoder, and of the decoder.
    pub n_layers: i64,
    /// The recurrent cell of both.
    pub kind: CellKind,
    /// Whether half of the encoder's numbers come from cells that read backwards.
    pub bidirectional: bool,
    /// How the decoder looks at the source.
    pub score: Score,
    /// Share of numbers set to 0 in training: embeddings, between layers, before the head.
    pub dropout: f64,
}

impl Seq2SeqConfig {
    /// One LSTM layer, embeddings of 64, states of 128, one direction, no dropout.
    pub fn new(src_vocab_size: i64, tgt_vocab_size: i64, score: Score) -> Self {
        Self {
            src_vocab_size,
            tgt_vocab_size,
            embed_dim: 64,
            hidden_dim: 128,
            n_layers: 1,
            kind: CellKind::Lstm,
            bidirectional: false,
            score,
            dropout: 0.0,
        }
    }
}

/// A translator: an encoder reads the source, a decoder writes the target word by word.
///
/// The decoder's state s_t asks the attention for a context c_t, and W·tanh(W_c·\[c_t; s_t\]) are the logits
/// (Luong, Pham & Manning 2015, equations 5 and 6), whatever the score; so a known target is decoded in one
/// go. Without attention they are W·s_t.
///
/// Sources are `src` ids `[batch, src_time]` with `src_mask` `[batch, src_time]` Bool, true at real ids and
/// padding at the end. Padding changes no result.
///
/// ```
/// use llm_course::layers::Score;
/// use llm_course::models::{Seq2Seq, Seq2SeqConfig};
/// use llm_course::tch::{Device, Tensor, nn};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let model = Seq2Seq::new(&vs.root(), Seq2SeqConfig::new(9, 12, Score::Dot))?;
/// let src = Tensor::from_slice(&[3i64, 4, 5]).unsqueeze(0);
/// let tgt_in = Tensor::from_slice(&[1i64, 7, 8, 9]).unsqueeze(0); // begins with the start id, here 1
/// let tgt_out = Tensor::from_slice(&[7i64, 8, 9, 2]).unsqueeze(0); // ends with the end id, here 2
/// let decoded = model.forward(&src, &src.ge(0), &tgt_in);
/// assert_eq!(decoded.logits.size(), [1, 4, 12]);
/// decoded.loss(&tgt_out).backward();
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct Seq2Seq {
    src_embedding: nn::Embedding,
    tgt_embedding: nn::Embedding,
    encoder: Recurrent,
    decoder: Recurrent,
    attention: Option<(Attention, nn::Linear)>, // with W_c
    head: nn::Linear,
    config: Seq2SeqConfig,
}

impl Seq2Seq {
    /// Random weights under `path`.
    ///
    /// # Errors
    /// If `hidden_dim` is odd and must be shared by two directions.
    pub fn new(path: &nn::Path, config: Seq2SeqConfig) -> Result<Self> {
        let Seq2SeqConfig { embed_dim, hidden_dim, n_layers, kind, bidirectional, dropout, .. } = config;
        if bidirectional && hidden_dim % 2 == 1 {
            return Err(Error::input(format!(
                "hidden_dim {hidden_dim} is odd: the encoder's two directions have half of it each; use {}",
                hidden_dim + 1
            )));
        }
        let layers =
            RecurrentConfig { n_layers, dropout, ..RecurrentConfig::new(kind, embed_dim, hidden_dim) };
        let encoder_dim = if bidirectional { hidden_dim / 2 } else { hidden_dim };
        let encoder = RecurrentConfig { hidden_dim: encoder_dim, bidirectional, ..layers };
        let embedding = |name: &str, vocab| nn::embedding(path / name, vocab, embed_dim, Default::default());
        let linear = |name: &str, input, output| nn::linear(path / name, input, output, Default::default());
        let attention = Attention::new(&(path / "attention"), config.score, hidden_dim);
        Ok(Self {
            src_embedding: embedding("src_embedding", config.src_vocab_size),
            tgt_embedding: embedding("tgt_embedding", config.tgt_vocab_size),
            encoder: Recurrent::new(&(path / "encoder"), encoder),
            decoder: Recurrent::new(&(path / "decoder"), layers),
            attention: attention.map(|attention| (attention, linear("combine", 2 * hidden_dim, hidden_dim))),
            head: linear("head", hidden_dim, config.tgt_vocab_size),
            config,
        })
    }

    /// Teacher-forced logits without dropout: `tgt_in` `[batch, tgt_time]` holds the right previous words,
    /// beginning with the start id; padding at its end may be any id.
    pub fn forward(&self, src: &Tensor, src_mask: &Tensor, tgt_in: &Tensor) -> Decoded {
        self.forward_t(src, src_mask, tgt_in, 1.0, false)
    }

    /// [`forward`](Self::forward) with dropout if `train`, and with scheduled sampling (Bengio et al. 2015):
    /// at each step after the first, each text's previous word is the right one with probability
    /// `teacher_forcing`, else the one that the model itself finds most probable. At 0 the model runs free.
    ///
    /// # Panics
    /// If ids or mask are of another shape, or an id lies outside its vocabulary.
    pub fn forward_t(
        &self,
        src: &Tensor,
        src_mask: &Tensor,
        tgt_in: &Tensor,
        teacher_forcing: f64,
        train: bool,
    ) -> Decoded {
        let mut state = self.start_t(src, src_mask, train);
        if teacher_forcing >= 1.0 {
            let (logits, weights, _) = self.decode(tgt_in, &state, train);
            return Decoded { logits, weights };
        }
        let (mut logits, mut weights) = (Vec::new(), Vec::new());
        let mut ids = tgt_in.narrow(1, 0, 1); // [batch, 1]
        for t in 0..tgt_in.size()[1] {
            if t > 0 {
                let own = Tensor::argmax(&logits[logits.len() - 1], -1, false); // [batch, 1]
                let coin = Tensor::rand(own.size(), (Kind::Float, own.device()));
                let taught = coin.lt(teacher_forcing);
                ids = tgt_in.narrow(1, t, 1).where_self(&taught, &own);
            }
            let (step, seen, recurrent) = self.decode(&ids, &state, train);
            logits.push(step);
            weights.extend(seen);
            state.recurrent = recurrent;
        }
        Decoded { logits: Tensor::cat(&logits, 1), weights: joined(&weights) }
    }

    /// Reads the sources: the state before the first word.
    pub fn start(&self, src: &Tensor, src_mask: &Tensor) -> DecoderState {
        self.start_t(src, src_mask, false)
    }

    /// One word further: the previous words' `ids` `[batch]` → logits `[batch, vocab]` of the next words, and
    /// the state after. Beam search reorders states with [`DecoderState::select`].
    pub fn step(&self, ids: &Tensor, state: &DecoderState) -> (Tensor, DecoderState) {
        let (logits, weights, recurrent) = self.decode(&ids.unsqueeze(1), state, false);
        let memory = state.memory.as_ref().map(Memory::shallow_clone);
        let weights = weights.map(|weights| weights.squeeze_dim(1));
        (logits.squeeze_dim(1), DecoderState { recurrent, weights, memory })
    }

    /// The most probable word at each step, from `start_id` until every text has said `end_id` or has
    /// `max_length` words. Runs without gradients.
    pub fn translate(
        &self,
        src: &Tensor,
        src_mask: &Tensor,
        start_id: i64,
        end_id: i64,
        max_length: usize,
    ) -> Translation {
        no_grad(|| {
            let mut state = self.start(src, src_mask);
            let mut weights = Vec::new();
            let start = Tensor::full([src.size()[0]], start_id, (Kind::Int64, src.device()));
            let ids = greedy(&start, end_id, max_length, |last| {
                let (logits, next) = self.step(last, &state);
                state = next;
                weights.extend(state.weights.as_ref().map(|weights| weights.unsqueeze(1)));
                logits
            });
            Translation { ids, weights: joined(&weights) }
        })
    }

    fn start_t(&self, src: &Tensor, src_mask: &Tensor, train: bool) -> DecoderState {
        let x = look_up(&self.src_embedding.ws, src, "source ids").dropout(self.config.dropout, train);
        let (states, last) = self.encoder.forward_masked(&x, src_mask, train);
        let recurrent = if self.config.bidirectional { last.join_directions() } else { last };
        let memory = self.attention.as_ref().map(|(attention, _)| attention.memory(&states, src_mask));
        DecoderState { recurrent, weights: None, memory }
    }

    /// `ids` `[batch, time]` → logits `[batch, time, vocab]`, weights `[batch, time, src_time]`, state after.
    fn decode(
        &self,
        ids: &Tensor,
        state: &DecoderState,
        train: bool,
    ) -> (Tensor, Option<Tensor>, RecurrentState) {
        let x = look_up(&self.tgt_embedding.ws, ids, "target ids").dropout(self.config.dropout, train);
        let (mut states, last) = self.decoder.forward_t(&x, &state.recurrent, train);
        let mut weights = None;
        if let (Some((attention, combine)), Some(memory)) = (&self.attention, &state.memory) {
            let (context, seen) = attention.forward(&states, memory);
            states = Tensor::cat(&[context, states], -1).apply(combine).tanh();
            weights = Some(seen);
        }
        (states.dropout(self.config.dropout, train).apply(&self.head), weights, last)
    }
}
