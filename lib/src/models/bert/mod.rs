//! BERT (Devlin et al. 2018): an encoder that reads both ways and learns from hidden words.

mod classifier;
mod config;
mod embeddings;
mod files;

use tch::{Kind, Tensor, nn};

pub use classifier::BertClassifier;
pub use config::{BertConfig, BertHeads};
use embeddings::Embeddings;

use crate::data::{IGNORE, MaskedBatch};
use crate::error::Result;
use crate::layers::{Block, LoraConfig, Mask, cross_entropy, key_mask, layer_norm, linear};

/// BERT with its heads for hidden words and for pairs of sentences; also DistilBERT (Sanh et al. 2019).
///
/// ```
/// use llm_course::models::{Bert, BertConfig};
/// use tch::{Device, Kind, Tensor, nn::VarStore};
///
/// let vs = VarStore::new(Device::Cpu);
/// let bert = Bert::new(&vs.root(), BertConfig::tiny(100))?;
/// let ids = Tensor::from_slice(&[2i64, 4, 17, 3]).unsqueeze(0); // [CLS] [MASK] … [SEP]
/// let hidden = bert.forward(&ids, &ids.zeros_like(), &ids.ne(0), false);
/// assert_eq!(bert.word_logits(&hidden).size(), [1, 4, 100]);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct Bert {
    config: BertConfig,
    embeddings: Embeddings,
    layers: Vec<Block>,
    pooler: Option<nn::Linear>,
    words: Option<WordHead>,
    next: Option<nn::Linear>,
}

/// What [`Bert::trace`] saw on the way through the layers.
#[derive(Debug)]
pub struct BertTrace {
    /// `[batch, time, d_model]` each: the embeddings, then the output of every layer.
    pub hidden: Vec<Tensor>,
    /// `[batch, head, query, key]` each: the attention weights of every layer.
    pub weights: Vec<Tensor>,
}

/// The head for hidden words: a layer, then the embedding table read backwards, with a bias for each word.
#[derive(Debug)]
struct WordHead {
    transform: nn::Linear,
    norm: nn::LayerNorm,
    bias: Tensor, // [vocab_size]
}

impl Bert {
    /// Random weights, normal with standard deviation 0.02, under `path`.
    ///
    /// To load and save files, give `vs.root()` of a VarStore that holds nothing else yet.
    ///
    /// # Errors
    /// If the sizes do not fit together.
    pub fn new(path: &nn::Path, config: BertConfig) -> Result<Self> {
        config.check()?;
        let BertConfig { vocab_size, d_model, n_layers, eps, heads, .. } = config;
        let layers = path / "layers";
        let words = path / "words";
        Ok(Self {
            config,
            embeddings: Embeddings::new(path / "embeddings", &config),
            layers: (0..n_layers).map(|layer| Block::new(&layers / layer, config.block())).collect(),
            pooler: heads.pooler.then(|| dense(path / "pooler", d_model, d_model)),
            words: heads.words.then(|| WordHead {
                transform: dense(&words / "transform", d_model, d_model),
                norm: layer_norm(&words / "norm", d_model, eps),
                bias: words.zeros("bias", &[vocab_size]),
            }),
            next: heads.next.then(|| dense(path / "next", d_model, 2)),
        })
    }

    /// Its sizes.
    pub fn config(&self) -> BertConfig {
        self.config
    }

    /// Adds a low-rank update to the matrices of its layers, with variables under `path` of another VarStore than the
    /// model's; see [`Linear::add_lora`](crate::layers::Linear::add_lora). Freeze the model's VarStore and train the
    /// other one.
    ///
    /// # Errors
    /// If the rank or α does not fit, or there is an update already.
    pub fn add_lora(&mut self, path: &nn::Path, config: LoraConfig) -> Result<()> {
        let mut blocks = (0i64..).zip(&mut self.layers);
        blocks.try_for_each(|(layer, block)| block.add_lora(&(path / layer), config))
    }

    /// Adds the updates to the weights (`true`), or takes them out again up to rounding (`false`). Save a model
    /// merged.
    pub fn set_lora_merged(&mut self, merged: bool) {
        self.layers.iter_mut().for_each(|block| block.set_lora_merged(merged));
    }

    /// The hidden states of the last layer, `[batch, time, d_model]`.
    ///
    /// `ids` and `segments` `[batch, time]`; `mask` `[batch, time]`, true (or 1) where there is an id: what
    /// is elsewhere changes nothing. A DistilBERT ignores `segments`.
    ///
    /// # Panics
    /// If the rows are longer than `block_size`, shapes differ, or an id lies outside the vocabulary.
    pub fn forward(&self, ids: &Tensor, segments: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        self.forward_from(0, &self.embed(ids, segments, mask, train), mask, train)
    }

    fn embed(&self, ids: &Tensor, segments: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let sizes = [ids, segments, mask].map(Tensor::size);
        assert!(
            sizes.iter().all(|size| *size == sizes[0]),
            "ids, segments and mask must have one shape [batch, time], got {sizes:?}: make the others of the ids, e.g. \
             ids.zeros_like() and ids.ne(0)"
        );
        self.embeddings.forward(ids, segments, train)
    }

    /// The hidden states that layer `layer` reads, `[batch, time, d_model]`, out of training: 0 reads the embeddings.
    /// As long as nothing below is trained they need to be computed only once; [`forward_from`](Self::forward_from)
    /// goes on with them.
    ///
    /// # Panics
    /// If there are fewer than `layer` layers.
    pub fn forward_until(&self, layer: usize, ids: &Tensor, segments: &Tensor, mask: &Tensor) -> Tensor {
        let embedded = self.embed(ids, segments, mask, false);
        let mask = Mask::Where(key_mask(mask));
        self.first(layer).0.iter().fold(embedded, |x, layer| layer.forward(&x, &mask, false))
    }

    /// What [`forward`](Self::forward) makes of the states `hidden` `[batch, time, d_model]` that layer `layer` reads.
    ///
    /// # Panics
    /// If there are fewer than `layer` layers.
    pub fn forward_from(&self, layer: usize, hidden: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let mask = Mask::Where(key_mask(mask));
        self.first(layer).1.iter().fold(hidden.shallow_clone(), |x, layer| layer.forward(&x, &mask, train))
    }

    /// The first `count` layers, and the others.
    fn first(&self, count: usize) -> (&[Block], &[Block]) {
        let layers = self.layers.len();
        self.layers
            .split_at_checked(count)
            .unwrap_or_else(|| panic!("layer {count} of a BERT with {layers}: ask for 0 to {layers}"))
    }

    /// [`forward`](Self::forward) out of training, with everything on the way for a plot.
    pub fn trace(&self, ids: &Tensor, segments: &Tensor, mask: &Tensor) -> BertTrace {
        let mut trace =
            BertTrace { hidden: vec![self.embed(ids, segments, mask, false)], weights: Vec::new() };
        let mask = Mask::Where(key_mask(mask));
        for (i, layer) in self.layers.iter().enumerate() {
            let (hidden, weights) = layer.forward_with_weights(&trace.hidden[i], &mask);
            trace.hidden.push(hidden);
            trace.weights.push(weights);
        }
        trace
    }

    /// A summary of each row, tanh(W·h + b) of its first position's `hidden` state: `[batch, time, d_model]` →
    /// `[batch, d_model]`.
    ///
    /// # Panics
    /// If there is no pooler, as in a DistilBERT.
    pub fn pooled(&self, hidden: &Tensor) -> Tensor {
        let pooler = self.pooler.as_ref().expect("this BERT has no pooler: take the mean over the positions");
        hidden.select(1, 0).apply(pooler).tanh()
    }

    /// Logits of every word, from hidden states `[…, d_model]` → `[…, vocab_size]`. The matrix is the
    /// embedding table (Press & Wolf 2017).
    ///
    /// # Panics
    /// If there is no head for words.
    pub fn word_logits(&self, hidden: &Tensor) -> Tensor {
        let head = self.words.as_ref().expect("this BERT has no head for words: it was saved without one");
        let transformed = self.config.activation.apply(&hidden.apply(&head.transform)).apply(&head.norm);
        transformed.linear(&self.embeddings.words.table, Some(&head.bias))
    }

    /// Logits of "the second segment follows" and "it does not", from [`pooled`](Self::pooled)
    /// `[batch, d_model]` → `[batch, 2]`.
    ///
    /// # Panics
    /// If there is no head for pairs.
    pub fn next_logits(&self, pooled: &Tensor) -> Tensor {
        let head = self.next.as_ref().expect("this BERT has no head for pairs: use data without pairs");
        pooled.apply(head)
    }

    /// The mean loss in nats over the hidden words of a batch, plus, with a head for pairs, the mean over its
    /// pairs (Devlin et al. 2018, §A.2): a scalar.
    pub fn loss(&self, batch: &MaskedBatch, train: bool) -> Tensor {
        let hidden = self.forward(&batch.ids, &batch.segments, &batch.mask, train);
        let words = self.word_loss(&hidden, &batch.targets);
        if self.next.is_some() { words + self.next_loss(&hidden, &batch.next) } else { words }
    }

    /// The mean loss in nats over the hidden words. `hidden` `[batch, time, d_model]`, `targets`
    /// `[batch, time]`, [`IGNORE`] where nothing is to be predicted; logits are computed for the others only.
    pub fn word_loss(&self, hidden: &Tensor, targets: &Tensor) -> Tensor {
        let (hidden, targets) = hidden_words(hidden, targets);
        cross_entropy(&self.word_logits(&hidden), &targets)
    }

    /// The mean loss in nats over pairs, 0 without any; `next` `[batch]` is 0 for sentences that follow, 1 for others,
    /// [`IGNORE`] for a row that is no pair.
    pub fn next_loss(&self, hidden: &Tensor, next: &Tensor) -> Tensor {
        let logits = self.next_logits(&self.pooled(hidden));
        let sum = logits.cross_entropy_loss::<Tensor>(next, None, tch::Reduction::Sum, IGNORE, 0.0);
        sum / next.ne(IGNORE).sum(Kind::Float).clamp_min(1.0)
    }

    /// The most likely word for each hidden word of a batch, and the right one.
    pub fn predict_words(&self, batch: &MaskedBatch) -> (Vec<i64>, Vec<i64>) {
        crate::no_grad(|| {
            let hidden = self.forward(&batch.ids, &batch.segments, &batch.mask, false);
            let (hidden, targets) = hidden_words(&hidden, &batch.targets);
            let predicted = self.word_logits(&hidden).argmax(-1, false);
            let list = |ids: Tensor| Vec::try_from(ids).expect("one dimension of Int64");
            (list(predicted), list(targets))
        })
    }
}

/// States `[words, d_model]` and targets `[words]` of the positions that have a target.
fn hidden_words(hidden: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
    let targets = targets.flatten(0, 1);
    let places = targets.ne(IGNORE).nonzero().squeeze_dim(1);
    (hidden.flatten(0, 1).index_select(0, &places), targets.index_select(0, &places))
}

fn dense(path: nn::Path, input: i64, output: i64) -> nn::Linear {
    linear(path, input, output, nn::Init::Randn { mean: 0.0, stdev: config::STD })
}
