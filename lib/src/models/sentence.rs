//! Texts as vectors: an encoder of sentences, and a search among vectors.

use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind, Tensor, nn::VarStore};

use super::Bert;
use crate::data::padded;
use crate::error::{Error, Result};
use crate::no_grad;
use crate::pretrained::read_json;
use crate::tokenizers::Pretrained;

/// Rows that are computed at a time.
const BATCH: usize = 32;

/// A BERT that turns a text into one vector of length 1, so that the inner product of two vectors is the cosine of
/// their angle (Reimers & Gurevych 2019).
///
/// ```no_run
/// use llm_course::models::SentenceEncoder;
/// use llm_course::pretrained::find_model;
/// use tch::Device;
///
/// let encoder = SentenceEncoder::open(find_model("all-MiniLM-L6-v2")?, Device::Cpu)?;
/// let vectors = encoder.encode(&["The cat sleeps.", "A cat is sleeping.", "Stocks fell."]); // [3, 384]
/// let cosines = vectors.matmul(&vectors.tr()); // [3, 3]
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct SentenceEncoder {
    /// The encoder.
    pub bert: Bert,
    /// Its own tokenizer.
    pub tokenizer: Pretrained,
    /// The weights of `bert`.
    pub vs: VarStore,
    max_tokens: usize,
}

impl SentenceEncoder {
    /// Opens a folder with a BERT's `config.json` and `model.safetensors`, its `tokenizer.json`, and, where
    /// sentence-transformers wrote it, `sentence_bert_config.json` with the most tokens of a text.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the model pools in another way than by the mean.
    pub fn open(folder: impl AsRef<Path>, device: Device) -> Result<Self> {
        let folder = folder.as_ref();
        let mut vs = VarStore::new(device);
        let bert = Bert::load(&vs, folder)?;
        vs.freeze();
        let pooling = folder.join("1_Pooling/config.json");
        if pooling.is_file() && read_json::<Value>(&pooling)?["pooling_mode_mean_tokens"] != true {
            return Err(Error::input(format!(
                "{}: this model does not take the mean over its tokens; use one that does, such as \
                 all-MiniLM-L6-v2",
                pooling.display()
            )));
        }
        let limits = folder.join("sentence_bert_config.json");
        let limit =
            if limits.is_file() { read_json::<Value>(&limits)?["max_seq_length"].as_u64() } else { None };
        let longest = bert.config().block_size as usize;
        let max_tokens = limit.map_or(longest, |limit| longest.min(limit as usize));
        Ok(Self { tokenizer: Pretrained::open(folder)?, bert, vs, max_tokens })
    }

    /// `[texts, d_model]`, each row of length 1. A text longer than the model's limit loses its end.
    pub fn encode<S: AsRef<str>>(&self, texts: &[S]) -> Tensor {
        let mut rows: Vec<(usize, Vec<i64>)> =
            texts.iter().map(|text| self.ids(text.as_ref())).enumerate().collect();
        rows.sort_by_key(|(_, ids)| ids.len()); // texts of a batch are about equally long
        let vectors: Vec<Tensor> = rows.chunks(BATCH).map(|batch| self.encode_batch(batch)).collect();
        if vectors.is_empty() {
            return Tensor::zeros([0, self.bert.config().d_model], (Kind::Float, self.vs.device()));
        }
        let mut places = vec![0i64; rows.len()];
        rows.iter().zip(0..).for_each(|((place, _), row)| places[*place] = row);
        Tensor::cat(&vectors, 0).index_select(0, &Tensor::from_slice(&places).to_device(self.vs.device()))
    }

    /// `[CLS]` text `[SEP]`.
    fn ids(&self, text: &str) -> Vec<i64> {
        let (mut ids, _) = self.tokenizer.encode_pair(text, None);
        if ids.len() > self.max_tokens {
            let last = ids[ids.len() - 1];
            ids.truncate(self.max_tokens - 1);
            ids.push(last);
        }
        ids
    }

    fn encode_batch(&self, rows: &[(usize, Vec<i64>)]) -> Tensor {
        let columns = |of: fn(&Vec<i64>) -> Vec<i64>| {
            padded(rows.iter().map(|(_, ids)| of(ids)).collect(), 0).to_device(self.vs.device())
        };
        let (ids, mask) = (columns(Vec::clone), columns(|ids| vec![1; ids.len()]));
        no_grad(|| {
            let hidden = self.bert.forward(&ids, &ids.zeros_like(), &mask, false);
            let pooled = mean_pool(&hidden, &mask);
            &pooled / pooled.norm_scalaropt_dim(2, [-1], true).clamp_min(1e-12)
        })
    }
}

/// The mean of the hidden states `[batch, time, d_model]` over the places where `mask` `[batch, time]` is 1 or true →
/// `[batch, d_model]`.
pub fn mean_pool(hidden: &Tensor, mask: &Tensor) -> Tensor {
    let mask = mask.to_kind(hidden.kind()).unsqueeze(-1); // [batch, time, 1]
    (hidden * &mask).sum_dim_intlist(1, false, None::<Kind>)
        / mask.sum_dim_intlist(1, false, None::<Kind>).clamp_min(1.0)
}

/// Vectors to search in, by inner product with each of them: exact, and fast up to some hundred thousand.
///
/// ```
/// use llm_course::models::VectorIndex;
/// use tch::Tensor;
///
/// let index = VectorIndex::new(&Tensor::from_slice2(&[[1.0f32, 0.0], [0.6, 0.8]]));
/// let found = index.search(&Tensor::from_slice(&[0.0f32, 1.0]), 1);
/// assert_eq!(found[0].0, 1);
/// assert!((found[0].1 - 0.8).abs() < 1e-6);
/// ```
#[derive(Debug)]
pub struct VectorIndex {
    vectors: Tensor, // [count, dim]
}

impl VectorIndex {
    /// An index of the rows of `vectors` `[count, dim]`.
    pub fn new(vectors: &Tensor) -> Self {
        Self { vectors: vectors.detach().copy() }
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.vectors.size()[0] as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `k` rows with the largest inner product with `query` `[dim]`, and that product, the best first; fewer if
    /// there are fewer.
    ///
    /// # Panics
    /// If `query` has another length than the rows.
    pub fn search(&self, query: &Tensor, k: usize) -> Vec<(usize, f64)> {
        let dim = self.vectors.size()[1];
        let size = query.size();
        assert!(
            size == [dim],
            "a query must be a vector of {dim} numbers, as the index holds them, got {size:?}"
        );
        let scores = self.vectors.matmul(&query.to_device(self.vectors.device()));
        let (values, rows) = scores.topk(k.min(self.len()) as i64, 0, true, true);
        let rows = Vec::<i64>::try_from(rows).expect("one dimension of Int64");
        let values = Vec::<f64>::try_from(values.to_kind(Kind::Double)).expect("one dimension of Double");
        rows.into_iter().map(|row| row as usize).zip(values).collect()
    }
}
