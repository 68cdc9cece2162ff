//! One id at a time without computing the ones before it again.

use tch::{Kind, Tensor};

use super::{Gpt, GptConfig};
use crate::layers::KvCache;
use crate::no_grad;

/// Keys and values of the ids that a [`Gpt`] has read, in buffers of `block_size` positions, allocated once.
///
/// *Past the context.* When the buffers are full and another id comes, all but the last ⌊block_size/2⌋ ids are
/// forgotten; the remaining ones get the positions 0, 1, … and are computed anew. So the model sees between
/// block_size/2 and block_size ids, [`window_start`](Self::window_start) says which, and an id costs on average
/// two positions' work. In how many pieces the ids came makes no difference.
#[derive(Debug)]
pub struct GptCache {
    layers: Vec<KvCache>,
    window: Tensor, // [batch, block_size]: the ids that the layers hold
    block_size: i64,
    seen: i64,
}

impl GptCache {
    /// Ids read so far, forgotten ones included.
    pub fn seen(&self) -> i64 {
        self.seen
    }

    /// The first id, counted from 0, that the model sees when `seen` ids were read: 0 up to `block_size`, then
    /// it jumps by ⌈block_size/2⌉ whenever the window is full.
    pub fn window_start(&self, seen: i64) -> i64 {
        let jump = self.block_size - self.block_size / 2;
        ((seen - self.block_size).max(0) + jump - 1) / jump * jump
    }

    /// Adds `ids` `[batch, time]`; returns those to compute, after the ones that the layers still hold.
    fn push(&mut self, ids: &Tensor) -> Tensor {
        let held = self.layers[0].len();
        let before = self.seen - held; // the first id that is held
        self.seen += ids.size()[1];
        let start = self.window_start(self.seen);
        let unseen = if start == before {
            ids.shallow_clone()
        } else {
            self.layers.iter_mut().for_each(KvCache::clear);
            let all = Tensor::cat(&[&self.window.narrow(1, 0, held), ids], 1);
            all.narrow(1, start - before, self.seen - start)
        };
        self.window.narrow(1, self.layers[0].len(), unseen.size()[1]).copy_(&unseen);
        unseen
    }
}

impl Gpt {
    /// An empty cache for `batch` sequences.
    pub fn cache(&self, batch: i64) -> GptCache {
        let GptConfig { block_size, n_heads, n_layers, d_model, .. } = self.config;
        let (kind, device) = (self.embedding.table.kind(), self.embedding.table.device());
        let shape = [batch, n_heads, block_size, d_model / n_heads];
        GptCache {
            layers: (0..n_layers).map(|_| KvCache::new(shape, kind, device)).collect(),
            window: Tensor::empty([batch, block_size], (Kind::Int64, device)),
            block_size,
            seen: 0,
        }
    }

    /// Reads more `ids` `[batch, time]`, at least one, after those in `cache` → logits `[batch, vocab]` of the
    /// next one. Runs without gradients.
    ///
    /// # Panics
    /// If `ids` are of another shape or batch, or outside the vocabulary.
    pub fn next_logits(&self, ids: &Tensor, cache: &mut GptCache) -> Tensor {
        let (size, batch) = (ids.size(), cache.window.size()[0]);
        assert!(
            size.len() == 2 && size[0] == batch && size[1] > 0,
            "the cache reads ids [{batch}, time], at least one, got {size:?}: make a cache for as many rows as there are"
        );
        no_grad(|| {
            let ids = cache.push(ids);
            let mut x = self.embedding.forward(&ids, cache.layers[0].len(), false);
            for (block, layer) in self.blocks.iter().zip(&mut cache.layers) {
                x = block.forward_cached(&x, layer);
            }
            self.logits(&x.select(1, -1))
        })
    }
}
