//! Fine-tuning: a pretrained BERT with one new layer that names the class of a text.

use tch::{Tensor, nn};

use super::{Bert, dense};
use crate::error::{Error, Result};

/// A [`Bert`] that sorts texts into classes (Devlin et al. 2018, §4.1).
///
/// ```
/// use llm_course::models::{Bert, BertClassifier, BertConfig};
/// use tch::{Device, Tensor, nn::VarStore};
///
/// let vs = VarStore::new(Device::Cpu);
/// let bert = Bert::new(&vs.root(), BertConfig::tiny(100))?; // or Bert::load(&vs, folder)
/// let model = BertClassifier::new(&vs.root(), bert, 3)?;
/// let ids = Tensor::from_slice(&[2i64, 40, 17, 3]).unsqueeze(0);
/// assert_eq!(model.logits(&ids, &ids.zeros_like(), &ids.ne(0), false).size(), [1, 3]);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct BertClassifier {
    /// The encoder.
    pub bert: Bert,
    pub(super) pooler: Option<nn::Linear>, // of its own if the encoder has none
    pub(super) head: nn::Linear,
}

impl BertClassifier {
    /// Puts a new layer under `path`, which must be the one that `bert` was made with.
    ///
    /// Without a pooler in `bert` it gets a new one too, which in a DistilBERT has ReLU in the place of tanh.
    ///
    /// # Errors
    /// If there are fewer than two classes.
    pub fn new(path: &nn::Path, bert: Bert, classes: i64) -> Result<Self> {
        if classes < 2 {
            return Err(Error::input(format!("{classes} classes: a choice needs at least 2")));
        }
        let d_model = bert.config.d_model;
        let pooler = bert.pooler.is_none().then(|| dense(path / "classifier_pooler", d_model, d_model));
        Ok(Self { pooler, head: dense(path / "classifier", d_model, classes), bert })
    }

    /// Classes.
    pub fn classes(&self) -> i64 {
        self.head.ws.size()[0]
    }

    /// Logits `[batch, classes]`; see [`Bert::forward`] for the arguments.
    pub fn logits(&self, ids: &Tensor, segments: &Tensor, mask: &Tensor, train: bool) -> Tensor {
        let hidden = self.bert.forward(ids, segments, mask, train);
        let pooled = match &self.pooler {
            None => self.bert.pooled(&hidden),
            Some(pooler) => {
                let x = hidden.select(1, 0).apply(pooler); // [batch, d_model]
                if self.bert.config.is_distilled() { x.relu() } else { x.tanh() }
            }
        };
        pooled.dropout(self.bert.config.dropout, train).apply(&self.head)
    }
}
