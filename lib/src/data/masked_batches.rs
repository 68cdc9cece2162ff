//! The rows of a [`MaskedDataset`] as tensors.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::{IGNORE, MaskedDataset};

/// Rows for a masked language model, as wide as the longest of them.
#[derive(Debug)]
pub struct MaskedBatch {
    /// `[batch, time]`: `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]` with words hidden, then `[PAD]`.
    pub ids: Tensor,
    /// `[batch, time]`: 0 up to the first `[SEP]`, 1 from there to the second, 0 on padding.
    pub segments: Tensor,
    /// `[batch, time]`, Bool: true where there is an id, false on padding.
    pub mask: Tensor,
    /// `[batch, time]`: the word where it must be predicted, else [`IGNORE`].
    pub targets: Tensor,
    /// `[batch]`: 0 if b really follows a, 1 if it is a random sentence ([`IGNORE`] without pairs).
    pub next: Tensor,
}

/// One row before padding.
pub(super) struct Row {
    pub(super) ids: Vec<i64>,
    pub(super) targets: Vec<i64>,
    pub(super) border: usize, // where segment 1 begins
    pub(super) next: i64,
}

/// An owned iterator over the batches of a [`MaskedDataset`].
///
/// A batch depends on nothing but the seed and its number: `starting_at(n)` gives what an interrupted run
/// would have seen from batch n on.
#[derive(Debug)]
pub struct MaskedBatches {
    data: MaskedDataset,
    batch: i64,
    seed: u64,
    number: i64, // of the next batch, over all epochs
    endless: bool,
    device: Device,
    order: Option<(i64, Vec<usize>)>, // an epoch and its rows
}

impl MaskedBatches {
    pub(super) fn new(data: MaskedDataset, batch: i64, seed: u64) -> Self {
        Self { data, batch, seed, number: 0, endless: false, device: Device::Cpu, order: None }
    }

    /// Goes on with the next epoch, for training: another order, other hidden words, other random pairs.
    pub fn endless(self) -> Self {
        Self { endless: true, ..self }
    }

    /// Begins with batch `number`, counted from 0 over all epochs.
    pub fn starting_at(self, number: i64) -> Self {
        Self { number: number.max(0), ..self }
    }

    /// Puts every batch on `device`.
    pub fn to_device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// Batches in an epoch.
    pub fn per_epoch(&self) -> i64 {
        (self.data.rows() + self.batch - 1) / self.batch
    }

    /// The rows of an epoch in their order.
    fn order(&mut self, epoch: i64) -> &[usize] {
        if self.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let mut order: Vec<usize> = (0..self.data.rows() as usize).collect();
            order.shuffle(&mut random_numbers(self.seed, 2 * epoch));
            self.order = Some((epoch, order));
        }
        self.order.as_ref().map_or(&[], |(_, order)| order)
    }
}

impl Iterator for MaskedBatches {
    type Item = MaskedBatch;

    fn next(&mut self) -> Option<MaskedBatch> {
        let (epoch, place) = (self.number / self.per_epoch(), self.number % self.per_epoch());
        if epoch > 0 && !self.endless {
            return None;
        }
        let mut rng = random_numbers(self.seed, 2 * self.number + 1);
        let (from, batch, data) = ((place * self.batch) as usize, self.batch as usize, self.data.clone());
        let order = self.order(epoch).iter().enumerate().skip(from).take(batch);
        // Every second row of an epoch gets a random partner: exactly half of them, in any order.
        let rows: Vec<Row> = order.map(|(i, &row)| data.row(row, i % 2 == 1, &mut rng)).collect();
        self.number += 1;
        Some(collate(&rows, data.corruption().special.pad).to_device(self.device))
    }
}

impl MaskedBatch {
    /// The same batch on `device`.
    pub fn to_device(&self, device: Device) -> Self {
        Self {
            ids: self.ids.to_device(device),
            segments: self.segments.to_device(device),
            mask: self.mask.to_device(device),
            targets: self.targets.to_device(device),
            next: self.next.to_device(device),
        }
    }
}

fn collate(rows: &[Row], pad: i64) -> MaskedBatch {
    let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let table = |fill: i64, cell: &dyn Fn(&Row, usize) -> i64| {
        let at = |row: &Row, i: usize| if i < row.ids.len() { cell(row, i) } else { fill };
        let numbers: Vec<i64> = rows.iter().flat_map(|row| (0..width).map(move |i| at(row, i))).collect();
        Tensor::from_slice(&numbers).view([rows.len() as i64, width as i64])
    };
    MaskedBatch {
        ids: table(pad, &|row, i| row.ids[i]),
        segments: table(0, &|row, i| i64::from(i >= row.border)),
        mask: table(0, &|_, _| 1).ne(0),
        targets: table(IGNORE, &|row, i| row.targets[i]),
        next: Tensor::from_slice(&rows.iter().map(|row| row.next).collect::<Vec<_>>()),
    }
}

/// Random numbers of one batch (odd `stream`) or one epoch (even).
fn random_numbers(seed: u64, stream: i64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}
