//! Attention between a decoder and an encoder behind one enum of scores: additive, dot, scaled dot product.

use tch::{Tensor, nn};

use super::fused::additive_scores;

/// How well a query (the decoder's state s) fits a key (an encoder's state h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// No attention: the decoder sees nothing of the source but the state it starts from (Sutskever, Vinyals
    /// & Le 2014).
    None,
    /// vᵀ·tanh(W·s + U·h) (Bahdanau, Cho & Bengio 2015, appendix A.1.2).
    Additive,
    /// sᵀ·h (Luong, Pham & Manning 2015, equation 8).
    Dot,
    /// sᵀ·h / √dim (Vaswani et al. 2017, equation 1).
    ScaledDot,
}

/// What a decoder may look at: an encoded source.
#[derive(Debug)]
pub struct Memory {
    values: Tensor, // [batch, key, dim]
    keys: Tensor,   // [batch, key, dim]: what scores need of the values, made once for all queries
    closed: Tensor, // [batch, 1, key] Bool: where attention may not go
}

impl Memory {
    /// The memories of `rows` `[n]` of the batch, in that order; a row may come several times.
    pub fn select(&self, rows: &Tensor) -> Self {
        self.map(|tensor| tensor.index_select(0, rows))
    }

    /// The same tensors behind a second handle, without a copy.
    pub fn shallow_clone(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }

    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { values: f(&self.values), keys: f(&self.keys), closed: f(&self.closed) }
    }
}

/// Attention from a decoder to an encoder of the same width.
///
/// ```
/// use llm_course::layers::{Attention, Score};
/// use llm_course::tch::{Device, Kind, Tensor, nn};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let attention = Attention::new(&vs.root(), Score::Additive, 8).unwrap();
/// let states = Tensor::randn([1, 3, 8], (Kind::Float, Device::Cpu));
/// let real = Tensor::from_slice(&[true, true, false]).unsqueeze(0);
/// let (_, weights) = attention.forward(&states.narrow(1, 0, 2), &attention.memory(&states, &real));
/// assert_eq!((weights.size(), weights.double_value(&[0, 0, 2])), (vec![1, 2, 3], 0.0));
/// ```
#[derive(Debug)]
pub struct Attention(Scorer);

#[derive(Debug)]
enum Scorer {
    Additive { query: nn::Linear, key: nn::Linear, score: nn::Linear },
    Dot { scale: f64 },
}

impl Attention {
    /// Random weights under `path`: `query` (W), `key` (U) and `score` (v) for [`Score::Additive`], none for
    /// the dot products. `None` for [`Score::None`].
    pub fn new(path: &nn::Path, score: Score, dim: i64) -> Option<Self> {
        let linear = |name: &str, out: i64| {
            nn::linear(path / name, dim, out, nn::LinearConfig { bias: false, ..Default::default() })
        };
        let scorer = match score {
            Score::None => return None,
            Score::Additive => Scorer::Additive {
                query: linear("query", dim),
                key: linear("key", dim),
                score: linear("score", 1),
            },
            Score::Dot => Scorer::Dot { scale: 1.0 },
            Score::ScaledDot => Scorer::Dot { scale: 1.0 / (dim as f64).sqrt() },
        };
        Some(Self(scorer))
    }

    /// Prepares an encoder's `states` `[batch, key, dim]`; `mask` `[batch, key]` Bool, true where attention
    /// may go.
    pub fn memory(&self, states: &Tensor, mask: &Tensor) -> Memory {
        let keys = match &self.0 {
            Scorer::Additive { key, .. } => states.apply(key),
            Scorer::Dot { .. } => states.shallow_clone(),
        };
        Memory { values: states.shallow_clone(), keys, closed: mask.logical_not().unsqueeze(1) }
    }

    /// `queries` `[batch, query, dim]` → contexts `[batch, query, dim]`, the means of the values under the
    /// weights, and the weights `[batch, query, key]`: at least 0, summing to 1 over the keys, and 0 where
    /// the mask is false.
    pub fn forward(&self, queries: &Tensor, memory: &Memory) -> (Tensor, Tensor) {
        let scores = self.scores(queries, &memory.keys);
        let weights = scores.masked_fill(&memory.closed, f64::NEG_INFINITY).softmax(-1, None);
        (weights.matmul(&memory.values), weights)
    }

    fn scores(&self, queries: &Tensor, keys: &Tensor) -> Tensor {
        match &self.0 {
            Scorer::Additive { query, score, .. } => {
                let queries = queries.apply(query);
                additive_scores(&queries, keys, &score.ws).unwrap_or_else(|| {
                    let sums = queries.unsqueeze(2) + keys.unsqueeze(1); // [batch, query, key, dim]
                    sums.tanh().apply(score).squeeze_dim(-1)
                })
            }
            Scorer::Dot { scale } => queries.matmul(&keys.transpose(1, 2)) * *scale,
        }
    }
}
