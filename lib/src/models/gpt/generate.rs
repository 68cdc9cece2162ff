//! Continuing prompts, several at once.

use tch::{Kind, Tensor};

use super::Gpt;
use crate::decode::Sampling;
use crate::no_grad;

impl Gpt {
    /// Continues `prompt` by `count` ids. Past `block_size` the window slides as [`GptCache`](super::GptCache)
    /// says. Runs without gradients.
    ///
    /// # Panics
    /// If the prompt is empty.
    pub fn generate(&self, prompt: &[i64], count: usize, sampling: Sampling) -> Vec<i64> {
        self.generate_batch(&[prompt.to_vec()], count, sampling).remove(0)
    }

    /// Continues each of `prompts`, which may differ in length, by `count` ids, in the same order.
    ///
    /// All rows walk in step and none is padded: while a longer prompt is still read, shorter ones are
    /// already continued.
    ///
    /// # Panics
    /// If there is no prompt, or one is empty.
    pub fn generate_batch(&self, prompts: &[Vec<i64>], count: usize, sampling: Sampling) -> Vec<Vec<i64>> {
        let lengths = || prompts.iter().map(Vec::len);
        let shortest = lengths().min().expect("no prompt: give at least one");
        let longest = lengths().max().unwrap_or(shortest);
        assert!(shortest > 0, "a prompt is empty: give at least one id to start from");
        let device = self.embedding.table.device();
        let total = longest + count;
        let padded = |row: &Vec<i64>| {
            let mut row = row.clone();
            row.resize(total, -1);
            Tensor::from_slice(&row)
        };
        let mut cache = self.cache(prompts.len() as i64);
        let ids = Tensor::stack(&prompts.iter().map(padded).collect::<Vec<_>>(), 0).to_device(device);
        no_grad(|| {
            let mut unseen = ids.narrow(1, 0, shortest as i64);
            for t in shortest..total {
                let chosen = sampling.choose(&self.next_logits(&unseen, &mut cache)).to_kind(Kind::Int64);
                let mut column = ids.narrow(1, t as i64, 1); // [batch, 1], −1 where nothing is given
                let chosen = chosen.unsqueeze(1);
                column.copy_(&if t < longest { chosen.where_self(&column.lt(0), &column) } else { chosen });
                unseen = column;
            }
        });
        let rows = Vec::<Vec<i64>>::try_from(ids).expect("[batch, time] of ids");
        rows.iter().zip(lengths()).map(|(row, length)| row[length..length + count].to_vec()).collect()
    }
}
