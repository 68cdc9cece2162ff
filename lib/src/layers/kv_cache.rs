//! Keys and values of the ids seen so far, so that a new id costs one position's work.

use tch::{Device, Kind, Tensor};

use crate::no_grad;

/// The cache of one attention layer: buffers as long as the context, allocated once.
#[derive(Debug)]
pub struct KvCache {
    keys: Tensor, // [batch, head, block_size, d_head]
    values: Tensor,
    len: i64,
}

impl KvCache {
    /// An empty cache; `shape` is `[batch, head, block_size, d_head]`.
    pub fn new(shape: [i64; 4], kind: Kind, device: Device) -> Self {
        let buffer = || Tensor::empty(shape, (kind, device));
        Self { keys: buffer(), values: buffer(), len: 0 }
    }

    /// Positions in the cache.
    pub fn len(&self) -> i64 {
        self.len
    }

    /// Whether nothing has been seen yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that fit.
    pub fn capacity(&self) -> i64 {
        self.shape()[2]
    }

    /// Forgets everything; the buffers stay.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// A cache of the sequences `rows` (Int64 `[n]`), each of which may be taken more than once: what beam
    /// search does to its hypotheses.
    pub fn select(&self, rows: &Tensor) -> Self {
        let [keys, values] = [&self.keys, &self.values].map(|buffer| buffer.index_select(0, rows));
        Self { keys, values, len: self.len }
    }

    /// Appends `k` and `v` `[batch, head, time, d_head]` and returns all keys and values,
    /// `[batch, head, len, d_head]`, as views without gradients.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn append(&mut self, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let time = k.size()[2];
        self.grow(time);
        no_grad(|| {
            self.keys.narrow(2, self.len - time, time).copy_(k);
            self.values.narrow(2, self.len - time, time).copy_(v);
        });
        (self.keys.narrow(2, 0, self.len), self.values.narrow(2, 0, self.len))
    }

    /// `[batch, head, block_size, d_head]`
    pub(super) fn shape(&self) -> [i64; 4] {
        self.keys.size().try_into().expect("four dimensions")
    }

    /// Room for `time` more positions: both buffers, and how many positions they hold then.
    ///
    /// # Panics
    /// If they do not fit.
    pub(super) fn grow(&mut self, time: i64) -> (&mut Tensor, &mut Tensor, i64) {
        assert!(
            self.len + time <= self.capacity(),
            "{} positions are cached and {time} more do not fit into {}: clear the cache and give it the last \
             ids again",
            self.len,
            self.capacity()
        );
        self.len += time;
        (&mut self.keys, &mut self.values, self.len)
    }
}
