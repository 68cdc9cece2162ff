//! Attention between its matrix products: heads side by side or one below the other, and the softmax. The weights are kept
//! for the backward pass, which for sequences of some hundred positions is faster than computing them anew.

use tch::{Kind, Tensor};

use crate::layers::{Mask, Rotary};
use crate::native::rows::{Bf16, Element, Part, empty, in_parallel, slice, slice_mut, totals, with_element};
use crate::native::vector::{self, dot, whole_lanes};

/// The keys that queries may attend to.
#[derive(Debug)]
pub(crate) enum Open {
    All,
    /// Those up to the query's own position.
    Causal,
    /// Those of each sequence that are not 0, `[batch, key]`.
    Keys(Vec<u8>),
}

impl Open {
    /// What `mask` opens to `batch` sequences of `time` positions; `None` if that has another form.
    pub(super) fn new(mask: &Mask, batch: i64, time: i64) -> Option<Self> {
        let Mask::Where(allowed) = mask else {
            return Some(if matches!(mask, Mask::Causal) { Self::Causal } else { Self::All });
        };
        let (size, shape) = (allowed.size(), [batch, 1, 1, time]);
        let keys =
            (size == shape || size == [1, 1, 1, time]).then(|| allowed.expand(shape, false).contiguous())?;
        Some(Self::Keys(keys.to_kind(Kind::Uint8).view([-1]).try_into().expect("a row of bytes")))
    }

    fn keys_of(&self, batch: usize, time: usize) -> Option<&[u8]> {
        let Self::Keys(keys) = self else { return None };
        Some(&keys[batch * time..][..time])
    }
}

/// How positions, heads and their numbers lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    pub batch: usize,
    pub time: usize,
    pub n_heads: usize,
    pub d_head: usize,
}

impl Heads {
    fn size(self) -> [i64; 3] {
        [(self.batch * self.n_heads) as i64, self.time as i64, self.d_head as i64]
    }

    /// 1/√d_head
    pub(super) fn scale(self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    fn sequence(self) -> usize {
        self.time * self.n_heads * self.d_head
    }
}

/// `x` `[batch·time, N·d_model]`, plus `bias`, if any, for each row, → N tensors `[batch·head, time, d_head]`, f32.
pub(super) fn split<const N: usize>(x: &Tensor, bias: Option<&Tensor>, heads: Heads) -> [Tensor; N] {
    with_element!(x.kind(), E => split_from::<E, N>(x, bias, heads))
}

fn split_from<E: Element, const N: usize>(x: &Tensor, bias: Option<&Tensor>, heads: Heads) -> [Tensor; N] {
    let mut out = [(); N].map(|()| empty(&heads.size(), Kind::Float));
    let mut outs = out.each_mut().map(|out| slice_mut::<f32>(out).chunks_exact_mut(heads.sequence()));
    let none = vec![0.0; N * heads.sequence() / heads.time];
    let bias = bias.map_or(&none[..], slice);
    let part =
        |x| Split::<E, N> { x, bias, heads, out: outs.each_mut().map(|out| out.next().expect("as many")) };
    let parts = slice(x).chunks_exact(N * heads.sequence()).map(part).collect();
    in_parallel(parts);
    out
}

struct Split<'a, E, const N: usize> {
    x: &'a [E],
    bias: &'a [f32],
    heads: Heads,
    out: [&'a mut [f32]; N],
}

impl<E: Element, const N: usize> Part for Split<'_, E, N> {
    #[inline(always)]
    fn work(&mut self) {
        let Heads { time, n_heads, d_head, .. } = self.heads;
        for (t, row) in self.x.chunks_exact(self.bias.len()).enumerate() {
            let pieces = row.chunks_exact(d_head).zip(self.bias.chunks_exact(d_head));
            for (i, (piece, bias)) in pieces.enumerate() {
                let out = &mut self.out[i / n_heads][(i % n_heads * time + t) * d_head..][..d_head];
                for ((out, x), bias) in out.iter_mut().zip(piece).zip(bias) {
                    *out = x.get() + bias;
                }
            }
        }
    }
}

/// Turns `x` `[batch·head, time, d_head]` by its positions as [`Rotary::rotate`] does, or `back`, in its place.
pub(super) fn turn(x: &mut Tensor, rotary: &Rotary, back: bool, heads: Heads) {
    let (cos, sin) = (slice(&rotary.cos), slice(&rotary.sin));
    let part = |x| Turn { x, cos, sin, sign: if back { -1.0 } else { 1.0 }, heads };
    in_parallel(slice_mut(x).chunks_exact_mut(heads.sequence()).map(part).collect());
}

struct Turn<'a> {
    x: &'a mut [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    sign: f32,
    heads: Heads,
}

impl Part for Turn<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let Heads { time, d_head, .. } = self.heads;
        let half = d_head / 2;
        for (i, row) in self.x.chunks_exact_mut(d_head).enumerate() {
            let at = i % time * half;
            turn_row(row, &self.cos[at..][..half], &self.sin[at..][..half], self.sign);
        }
    }
}

/// Turns the pairs of a row, whose halves hold the first and the second numbers.
#[inline(always)]
pub(super) fn turn_row(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let (first, second) = row.split_at_mut(cos.len());
    for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
        let sin = sign * sin;
        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
    }
}

/// The inverse of [`split`] without a bias, to numbers of `kind`; and the sum of the rows, f32.
pub(super) fn join<const N: usize>(x: [&Tensor; N], heads: Heads, kind: Kind) -> (Tensor, Tensor) {
    with_element!(kind, E => join_to::<E, N>(x, heads))
}

fn join_to<E: Element, const N: usize>(x: [&Tensor; N], heads: Heads) -> (Tensor, Tensor) {
    let Heads { batch, time, n_heads, d_head } = heads;
    let width = N * n_heads * d_head;
    let mut out = empty(&[(batch * time) as i64, width as i64], E::KIND);
    let mut sums = vec![0.0; batch * width];
    let x = x.map(slice::<f32>);
    let parts =
        slice_mut(&mut out).chunks_exact_mut(time * width).zip(sums.chunks_exact_mut(width)).enumerate();
    let part = |(b, (out, sums))| Join::<E, N> {
        x: x.map(|x| &x[b * heads.sequence()..][..heads.sequence()]),
        heads,
        out,
        sums,
    };
    in_parallel(parts.map(part).collect());
    (out, totals(&sums, width))
}

struct Join<'a, E, const N: usize> {
    x: [&'a [f32]; N],
    heads: Heads,
    out: &'a mut [E],
    sums: &'a mut [f32],
}

impl<E: Element, const N: usize> Part for Join<'_, E, N> {
    #[inline(always)]
    fn work(&mut self) {
        let Heads { time, n_heads, d_head, .. } = self.heads;
        for (t, row) in self.out.chunks_exact_mut(self.sums.len()).enumerate() {
            let pieces = row.chunks_exact_mut(d_head).zip(self.sums.chunks_exact_mut(d_head));
            for (i, (piece, sums)) in pieces.enumerate() {
                let x = &self.x[i / n_heads][(i % n_heads * time + t) * d_head..][..d_head];
                for ((out, sum), &x) in piece.iter_mut().zip(sums).zip(x) {
                    *out = E::from(x);
                    *sum += x;
                }
            }
        }
    }
}

/// The softmax of scale · `scores` `[batch·head, query, key]` over the open keys, in place; a query without any gets zeros.
pub(super) fn softmax(scores: &mut Tensor, open: &Open, scale: f32, heads: Heads) {
    let causal = matches!(open, Open::Causal);
    let rows = slice_mut(scores).chunks_exact_mut(heads.n_heads * heads.time * heads.time);
    let part =
        |(b, rows)| Softmax { rows, keys: open.keys_of(b, heads.time), causal, scale, time: heads.time };
    in_parallel(rows.enumerate().map(part).collect());
}

struct Softmax<'a> {
    rows: &'a mut [f32],
    keys: Option<&'a [u8]>,
    causal: bool,
    scale: f32,
    time: usize,
}

impl Part for Softmax<'_> {
    #[inline(always)]
    fn work(&mut self) {
        for (i, row) in self.rows.chunks_exact_mut(self.time).enumerate() {
            let open = if self.causal { i % self.time + 1 } else { self.time };
            let (row, closed) = row.split_at_mut(whole_lanes(open).min(self.time));
            closed.fill(0.0);
            row[open..].fill(f32::NEG_INFINITY);
            if let Some(keys) = self.keys {
                for (score, &key) in row.iter_mut().zip(keys) {
                    *score = if key == 0 { f32::NEG_INFINITY } else { *score };
                }
            }
            vector::softmax(row, self.scale);
        }
    }
}

/// The gradient by the scores from that by the `weights`, both `[batch·head, query, key]`, in its place.
pub(super) fn softmax_backward(
    gradient: &mut Tensor,
    weights: &Tensor,
    open: &Open,
    scale: f32,
    heads: Heads,
) {
    let causal = matches!(open, Open::Causal);
    let length = heads.n_heads * heads.time * heads.time;
    let rows = slice_mut(gradient).chunks_exact_mut(length).zip(slice(weights).chunks_exact(length));
    let part = |(gradient, weights)| SoftmaxBackward { gradient, weights, causal, scale, time: heads.time };
    in_parallel(rows.map(part).collect());
}

struct SoftmaxBackward<'a> {
    gradient: &'a mut [f32],
    weights: &'a [f32],
    causal: bool,
    scale: f32,
    time: usize,
}

impl Part for SoftmaxBackward<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let rows = self.gradient.chunks_exact_mut(self.time).zip(self.weights.chunks_exact(self.time));
        for (i, (gradient, weights)) in rows.enumerate() {
            let open = if self.causal { i % self.time + 1 } else { self.time };
            let (gradient, closed) = gradient.split_at_mut(whole_lanes(open).min(self.time)); // closed weights are 0
            closed.fill(0.0);
            let mean = dot(gradient, &weights[..gradient.len()]);
            for (gradient, weight) in gradient.iter_mut().zip(weights) {
                *gradient = weight * (*gradient - mean) * self.scale;
            }
        }
    }
}
