//! Keys and values of the ids seen so far, so that a new id costs one position's work.

use tch::{Device, Kind, Tensor};

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
        self.keys.size()[2]
    }

    /// Forgets everything; the buffers stay.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Keeps the sequences `rows` (Int64 `[batch]`), each of which may be taken more than once: what beam
    /// search does to its hypotheses.
    pub fn reorder(&mut self, rows: &Tensor) {
        for buffer in [&mut self.keys, &mut self.values] {
            let mut seen = buffer.narrow(2, 0, self.len);
            seen.copy_(&seen.index_select(0, rows));
        }
    }

    /// Appends `k` and `v` `[batch, head, time, d_head]` and returns all keys and values,
    /// `[batch, head, len, d_head]`, as views.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn append(&mut self, k: &Tensor, v: &Tensor) -> (Tensor, Tensor) {
        let time = k.size()[2];
        assert!(
            self.len + time <= self.capacity(),
            "{} positions are cached and {time} more do not fit into {}: clear the cache and give it the last \
             ids again",
            self.len,
            self.capacity()
        );
        self.keys.narrow(2, self.len, time).copy_(k);
        self.values.narrow(2, self.len, time).copy_(v);
        self.len += time;
        (self.keys.narrow(2, 0, self.len), self.values.narrow(2, 0, self.len))
    }
}
