//! Attention from one new position to a cache.

use tch::{Device, Kind, Tensor};

use super::attention::turn_row;
use crate::layers::{KvCache, Rotary};
use crate::native::is_recording;
use crate::native::rows::{Part, empty, has_vectors, one_by_one, slice, slice_mut};
use crate::native::vector::{dot, softmax};

/// Adds the key and value of a new position of each sequence to `cache` and attends to all that it holds then: `qkv`
/// `[batch, 1, 3·d_model]`, f32 → `[batch, 1, d_model]`. `None` where only the plain form can do it: with a graph, on a card.
pub(in crate::layers) fn attend_cached(
    qkv: &Tensor,
    rotary: Option<&Rotary>,
    cache: &mut KvCache,
) -> Option<Tensor> {
    let [batch, heads, capacity, d_head] = cache.shape();
    let on_cpu =
        qkv.kind() == Kind::Float && qkv.device() == Device::Cpu && qkv.is_contiguous() && has_vectors();
    let known = rotary.is_none_or(|rotary| cache.len() < rotary.cos.size()[0]);
    if !on_cpu || !known || is_recording() || qkv.size() != [batch, 1, 3 * heads * d_head] {
        return None;
    }
    let (keys, values, len) = cache.grow(1);
    let mut out = empty(&[batch, 1, heads * d_head], Kind::Float);
    let [heads, capacity, d_head, last] = [heads, capacity, d_head, len - 1].map(|size| size as usize);
    let keys = slice_mut(keys).chunks_exact_mut(capacity * d_head);
    let values = slice_mut(values).chunks_exact_mut(capacity * d_head);
    let outs = slice_mut(&mut out).chunks_exact_mut(d_head);
    let qkv = slice(qkv);
    let half = d_head / 2;
    let turn =
        rotary.map(|rotary| [&rotary.cos, &rotary.sin].map(|table| &slice(table)[last * half..][..half]));
    let part = |(i, ((keys, values), out))| {
        let (row, head) = (i / heads, i % heads);
        let [q, k, v] = [0, 1, 2].map(|part| &qkv[((3 * row + part) * heads + head) * d_head..][..d_head]);
        Head { q, k, v, keys, values, turn, last, out }
    };
    one_by_one(keys.zip(values).zip(outs).enumerate().map(part).collect());
    Some(out)
}

/// One head of one sequence.
struct Head<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    keys: &'a mut [f32],
    values: &'a mut [f32],
    turn: Option<[&'a [f32]; 2]>, // cosines and sines of the new position
    last: usize,                  // where it goes
    out: &'a mut [f32],
}

impl Part for Head<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let d_head = self.q.len();
        let mut q = self.q.to_vec();
        self.keys[self.last * d_head..][..d_head].copy_from_slice(self.k);
        self.values[self.last * d_head..][..d_head].copy_from_slice(self.v);
        if let Some([cos, sin]) = self.turn {
            turn_row(&mut q, cos, sin, 1.0);
            turn_row(&mut self.keys[self.last * d_head..][..d_head], cos, sin, 1.0);
        }
        let mut weights = vec![0.0; self.last + 1];
        for (weight, key) in weights.iter_mut().zip(self.keys.chunks_exact(d_head)) {
            *weight = dot(&q, key);
        }
        softmax(&mut weights, 1.0 / (d_head as f32).sqrt());
        self.out.fill(0.0);
        for (weight, value) in weights.iter().zip(self.values.chunks_exact(d_head)) {
            for (out, value) in self.out.iter_mut().zip(value) {
                *out = weight.mul_add(*value, *out);
            }
        }
    }
}
