//! Additive scores of attention (Bahdanau, Cho & Bengio 2015) in one pass.

use tch::{Kind, Tensor};

use super::can_train;
use crate::native::rows::{Part, empty, in_parallel, slice, slice_mut, totals};
use crate::native::vector::{dot, tanh};
use crate::native::with_gradient;
use crate::no_grad;

/// vᵀ·tanh(q + k) for each query q and key k: `queries` `[batch, query, dim]`, `keys` `[batch, key, dim]`, `v` `[1, dim]`, f32
/// → `[batch, query, key]`. `None` where only the plain form can do it: without a graph, or on a card.
pub(in crate::layers) fn additive_scores(queries: &Tensor, keys: &Tensor, v: &Tensor) -> Option<Tensor> {
    let inputs = [queries, keys, v];
    if !can_train(&inputs) {
        return None;
    }
    let (scores, saved) = no_grad(|| Saved::forward(inputs.map(|input| input.detach().contiguous())));
    Some(with_gradient(scores, &inputs, move |gradient| saved.backward(&gradient.contiguous())))
}

/// What the backward pass needs.
struct Saved {
    v: Tensor,
    tanhs: Tensor, // [batch, query, key, dim]
}

impl Saved {
    fn forward([queries, keys, v]: [Tensor; 3]) -> (Tensor, Self) {
        let [batch, query, dim] = queries.size()[..] else { unreachable!("three dimensions") };
        let key = keys.size()[1];
        let mut scores = empty(&[batch, query, key], Kind::Float);
        let mut tanhs = empty(&[batch, query, key, dim], Kind::Float);
        let inputs = slice(&queries)
            .chunks_exact((query * dim) as usize)
            .zip(slice(&keys).chunks_exact((key * dim) as usize));
        let outputs = slice_mut(&mut scores).chunks_exact_mut((query * key) as usize);
        let outputs = outputs.zip(slice_mut(&mut tanhs).chunks_exact_mut((query * key * dim) as usize));
        let part =
            |((queries, keys), (scores, tanhs))| Forward { queries, keys, v: slice(&v), scores, tanhs };
        in_parallel(inputs.zip(outputs).map(part).collect());
        (scores, Self { v, tanhs })
    }

    /// The gradients by queries, keys and v.
    fn backward(&self, gradient: &Tensor) -> Vec<Tensor> {
        let [batch, query, key, dim] = self.tanhs.size()[..] else { unreachable!("four dimensions") };
        let zeros = |length| Tensor::zeros([batch, length, dim], (Kind::Float, tch::Device::Cpu));
        let (mut by_queries, mut by_keys) = (zeros(query), zeros(key));
        let mut sums = vec![0.0; (batch * dim) as usize];
        let inputs = slice(gradient).chunks_exact((query * key) as usize);
        let inputs = inputs.zip(slice(&self.tanhs).chunks_exact((query * key * dim) as usize));
        let outputs = slice_mut(&mut by_queries).chunks_exact_mut((query * dim) as usize);
        let outputs = outputs.zip(slice_mut(&mut by_keys).chunks_exact_mut((key * dim) as usize));
        let part = |(((gradient, tanhs), (by_queries, by_keys)), by_v)| Backward {
            gradient,
            tanhs,
            v: slice(&self.v),
            by_queries,
            by_keys,
            by_v,
        };
        in_parallel(inputs.zip(outputs).zip(sums.chunks_exact_mut(dim as usize)).map(part).collect());
        vec![by_queries, by_keys, totals(&sums, dim as usize).view([1, dim])]
    }
}

/// The sequences of one text.
struct Forward<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    v: &'a [f32],
    scores: &'a mut [f32],
    tanhs: &'a mut [f32],
}

impl Part for Forward<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let dim = self.v.len();
        let queries = self.queries.chunks_exact(dim);
        let pairs = queries.flat_map(|query| self.keys.chunks_exact(dim).map(move |key| (query, key)));
        for (((query, key), score), tanhs) in
            pairs.zip(self.scores.iter_mut()).zip(self.tanhs.chunks_exact_mut(dim))
        {
            for ((out, query), key) in tanhs.iter_mut().zip(query).zip(key) {
                *out = tanh(query + key);
            }
            *score = dot(tanhs, self.v);
        }
    }
}

struct Backward<'a> {
    gradient: &'a [f32],
    tanhs: &'a [f32],
    v: &'a [f32],
    by_queries: &'a mut [f32],
    by_keys: &'a mut [f32],
    by_v: &'a mut [f32],
}

impl Part for Backward<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let dim = self.v.len();
        let mut pairs = self.gradient.iter().zip(self.tanhs.chunks_exact(dim));
        for by_query in self.by_queries.chunks_exact_mut(dim) {
            for (by_key, (gradient, tanhs)) in self.by_keys.chunks_exact_mut(dim).zip(&mut pairs) {
                for (((by_query, by_key), tanh), v) in by_query.iter_mut().zip(by_key).zip(tanhs).zip(self.v)
                {
                    let by_sum = gradient * v * (1.0 - tanh * tanh);
                    *by_query += by_sum;
                    *by_key += by_sum;
                }
                for (by_v, tanh) in self.by_v.iter_mut().zip(tanhs) {
                    *by_v = gradient.mul_add(*tanh, *by_v);
                }
            }
        }
    }
}
