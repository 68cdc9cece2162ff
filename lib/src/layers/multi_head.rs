//! Multi-head attention (Vaswani et al. 2017, § 3.2.2), from a sequence to itself or to another one.

use tch::{Tensor, nn};

use super::fused::{Layer, Middle, attend_cached};
use super::init::linear;
use super::{
    KvCache, Linear, Mask, Rotary, WeightInit, attention_by_hand, causal_mask, scaled_dot_product_attention,
};
use crate::native::is_recording;

/// Sizes of a [`MultiHeadAttention`].
#[derive(Clone, Copy, Debug)]
pub struct AttentionConfig {
    /// Numbers that stand for one position.
    pub d_model: i64,
    /// Heads; each works on d_model/n_heads numbers.
    pub n_heads: i64,
    /// Probability with which a weight is dropped in training.
    pub dropout: f64,
    /// How the matrices start.
    pub init: WeightInit,
}

/// Several attentions side by side, each on its own projection of the input.
#[derive(Debug)]
pub struct MultiHeadAttention {
    qkv: Linear, // [3·d_model, d_model]: rows of queries, keys, values
    out: Linear, // [d_model, d_model]
    n_heads: i64,
    dropout: f64,
    rotary: Option<Rotary>,
}

impl MultiHeadAttention {
    /// Weights `qkv` and `out` under `path`.
    ///
    /// # Panics
    /// If `n_heads` does not divide `d_model`.
    pub fn new(path: nn::Path, config: AttentionConfig) -> Self {
        let AttentionConfig { d_model, n_heads, dropout, init } = config;
        assert!(
            n_heads > 0 && d_model % n_heads == 0,
            "d_model {d_model} does not divide into {n_heads} heads: make it a multiple of n_heads"
        );
        let qkv = linear(&path / "qkv", d_model, 3 * d_model, init.inner(d_model, d_model));
        let out = linear(&path / "out", d_model, d_model, init.residual(d_model, d_model));
        Self { qkv: qkv.into(), out: out.into(), n_heads, dropout, rotary: None }
    }

    /// Turns queries and keys by their positions; for attention from a sequence to itself.
    pub fn with_rotary(self, rotary: &Rotary) -> Self {
        Self { rotary: Some(rotary.shallow_clone()), ..self }
    }

    /// Attention from `x` `[batch, time, d_model]` to itself → `[batch, time, d_model]`.
    pub fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let [q, k, v] = self.project(x, 0);
        self.attend(&q, &k, &v, mask, train)
    }

    /// [`forward`](Self::forward) out of training, with the weights `[batch, head, query, key]` for a plot.
    pub fn forward_with_weights(&self, x: &Tensor, mask: &Mask) -> (Tensor, Tensor) {
        let [q, k, v] = self.project(x, 0);
        self.attend_with_weights(&q, &k, &v, mask)
    }

    /// Attention from new positions `x` `[batch, time, d_model]` to themselves and all positions before, which
    /// `cache` holds and to which they are added; causal, out of training → `[batch, time, d_model]`.
    pub fn forward_cached(&self, x: &Tensor, cache: &mut KvCache) -> Tensor {
        let qkv = x.apply(&self.qkv);
        if let Some(heads) = attend_cached(&qkv, self.rotary.as_ref(), cache) {
            return heads.apply(&self.out);
        }
        let [q, k, v] = self.heads(&qkv, cache.len());
        let time = q.size()[2];
        let mask = match (time, cache.len()) {
            (1, _) => Mask::Full,
            (_, 0) => Mask::Causal,
            (_, len) => Mask::Where(causal_mask(time, len + time, x.device())),
        };
        let (k, v) = cache.append(&k, &v);
        self.attend(&q, &k, &v, &mask, false)
    }

    /// Keys and values of `memory` `[batch, key, d_model]`, the sequence that [`cross`](Self::cross) attends
    /// to, `[batch, head, key, d_head]` each; a decoder computes them once.
    pub fn keys_values(&self, memory: &Tensor) -> (Tensor, Tensor) {
        let d_model = self.out.sizes().0;
        let mut both = self.split(&self.qkv.forward_rows(memory, d_model, 2 * d_model), 2);
        let v = both.pop().expect("values");
        (both.pop().expect("keys"), v)
    }

    /// Attention from `x` `[batch, query, d_model]` to the keys and values of another sequence →
    /// `[batch, query, d_model]`.
    pub fn cross(&self, x: &Tensor, keys_values: &(Tensor, Tensor), mask: &Mask, train: bool) -> Tensor {
        self.attend(&self.queries(x), &keys_values.0, &keys_values.1, mask, train)
    }

    /// [`cross`](Self::cross) out of training, with the weights `[batch, head, query, key]` for a plot.
    pub fn cross_with_weights(
        &self,
        x: &Tensor,
        keys_values: &(Tensor, Tensor),
        mask: &Mask,
    ) -> (Tensor, Tensor) {
        self.attend_with_weights(&self.queries(x), &keys_values.0, &keys_values.1, mask)
    }

    /// Queries, keys and values of `x` from one product, `[batch, head, time, d_head]` each.
    fn project(&self, x: &Tensor, offset: i64) -> [Tensor; 3] {
        self.heads(&x.apply(&self.qkv), offset)
    }

    /// The three parts of `qkv` `[batch, time, 3·d_model]`, whose first position has the number `offset`.
    fn heads(&self, qkv: &Tensor, offset: i64) -> [Tensor; 3] {
        let parts = self.split(qkv, 3);
        let [q, k, v]: [Tensor; 3] = parts.try_into().expect("three parts");
        match &self.rotary {
            None => [q, k, v],
            Some(rotary) => [rotary.rotate(&q, offset), rotary.rotate(&k, offset), v],
        }
    }

    fn queries(&self, x: &Tensor) -> Tensor {
        let d_model = self.out.sizes().0;
        self.split(&self.qkv.forward_rows(x, 0, d_model), 1).remove(0)
    }

    /// `[batch, time, parts·d_model]` → `parts` views `[batch, head, time, d_head]`.
    fn split(&self, x: &Tensor, parts: i64) -> Vec<Tensor> {
        let (batch, time, width) = x.size3().expect("[batch, time, parts·d_model]");
        let d_head = width / parts / self.n_heads;
        x.view([batch, time, parts, self.n_heads, d_head]).permute([2, 0, 3, 1, 4]).unbind(0)
    }

    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let dropout = if train { self.dropout } else { 0.0 };
        self.merge(&scaled_dot_product_attention(q, k, v, mask, dropout))
    }

    fn attend_with_weights(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask) -> (Tensor, Tensor) {
        let mask = mask.to_bool(q.size()[2], k.size()[2], q.device());
        let (out, weights) = attention_by_hand(q, k, v, mask.as_ref());
        (self.merge(&out), weights)
    }

    /// `[batch, head, time, d_head]` → heads side by side → `[batch, time, d_model]`.
    fn merge(&self, heads: &Tensor) -> Tensor {
        heads.transpose(1, 2).flatten(2, 3).apply(&self.out)
    }

    /// The fused form of [`forward`](Self::forward), if there is one.
    pub(super) fn fused(&self, x: &Tensor, mask: &Mask, train: bool) -> Option<Layer<'_>> {
        let trains = is_recording() && !(train && self.dropout > 0.0);
        let middle = trains.then(|| Middle::attention(x, self.n_heads, mask, self.rotary.as_ref()))??;
        Some(Layer { inner: &self.qkv, middle, outer: &self.out })
    }

    /// The matrices of queries, keys and values and of the output.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 2] {
        [&mut self.qkv, &mut self.out]
    }
}
