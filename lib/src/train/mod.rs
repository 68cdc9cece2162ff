//! The plumbing of training: optimizer, learning-rate schedule, clipping, history, evaluation.

mod adamw;
mod history;

use std::time::Instant;

use tch::{Tensor, nn::VarStore, no_grad};

pub use adamw::{AdamW, clip_grad_norm};
pub use history::History;

use crate::data::Batch;
use crate::error::{Error, Result};

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct TrainConfig {
    /// Optimizer steps.
    pub steps: i64,
    /// Highest learning rate.
    pub lr: f64,
    /// The learning rate at the end, as a share of `lr`; a cosine leads there (Loshchilov & Hutter 2017).
    pub final_lr: f64,
    /// Steps in which the learning rate rises from 0 to `lr`.
    pub warmup: i64,
    /// AdamW's weight decay, on matrices only.
    pub weight_decay: f64,
    /// AdamW's decay rates of the two moments.
    pub betas: (f64, f64),
    /// Largest norm of the gradient over all parameters together; ∞ leaves it as it is.
    pub clip: f64,
    /// Steps from one validation to the next.
    pub validate_every: i64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            lr: 1e-3,
            final_lr: 0.1,
            warmup: 100,
            weight_decay: 0.01,
            betas: (0.9, 0.99),
            clip: 1.0,
            validate_every: 250,
        }
    }
}

impl TrainConfig {
    /// The learning rate of step `step` (the first is 0): linear warm-up, then a half cosine down to
    /// `final_lr` · `lr`.
    pub fn lr_at(&self, step: i64) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let progress = (step - self.warmup) as f64 / (self.steps - self.warmup).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos());
        self.lr * (self.final_lr + (1.0 - self.final_lr) * cosine)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::input(format!("TrainConfig: {what}")));
        if self.steps < 1 || self.validate_every < 1 {
            return wrong(&format!(
                "steps {} and validate_every {} must be at least 1",
                self.steps, self.validate_every
            ));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong(&format!("lr {} must be a positive number, e.g. 1e-3", self.lr));
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return wrong(&format!("clip {} must be positive; f64::INFINITY switches it off", self.clip));
        }
        Ok(())
    }
}

/// Trains the variables of a [`VarStore`] with AdamW.
#[derive(Debug)]
pub struct Trainer {
    config: TrainConfig,
    optimizer: AdamW,
}

impl Trainer {
    /// A trainer of the variables that `vs` holds now: build the model first.
    ///
    /// # Errors
    /// If `vs` has no trainable variables or a number of `config` makes no sense.
    pub fn new(vs: &VarStore, config: TrainConfig) -> Result<Self> {
        config.check()?;
        let optimizer = AdamW::new(vs.trainable_variables(), config.betas, config.weight_decay)?;
        Ok(Self { config, optimizer })
    }

    /// Trains for `config.steps` steps.
    ///
    /// `loss` receives the step and returns the mean loss of a batch in nats, a scalar with a graph.
    /// `validation` returns the validation loss in nats; it runs without gradients every `validate_every`
    /// steps and at the end, and then a line is printed.
    ///
    /// # Errors
    /// If the loss is not a finite number: the message names the step. The variables keep the last values.
    pub fn fit(
        &mut self,
        name: &str,
        mut loss: impl FnMut(i64) -> Tensor,
        mut validation: impl FnMut() -> f64,
    ) -> Result<History> {
        let mut history = History::new(name);
        let mut pending = Vec::new(); // losses not read back yet: reading makes a GPU wait
        let start = Instant::now();
        for step in 0..self.config.steps {
            let batch_loss = loss(step);
            batch_loss.backward();
            let norm = clip_grad_norm(self.optimizer.parameters(), self.config.clip);
            self.optimizer.step(self.config.lr_at(step));
            pending.push((batch_loss.detach(), norm));
            let done = step + 1;
            if done % self.config.validate_every == 0 || done == self.config.steps {
                history.read(&mut pending)?;
                history.validate(done, no_grad(&mut validation), start.elapsed());
                println!("{}", history.line(self.config.steps));
            }
        }
        Ok(history)
    }
}

/// A loss measured on data.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation {
    /// Mean loss in nats per id.
    pub loss: f64,
    /// Standard error of `loss`, from the spread between batches.
    pub standard_error: f64,
    /// Ids predicted.
    pub ids: i64,
}

/// Mean loss over `batches`, without gradients; `loss` returns the mean loss of one batch in nats.
///
/// # Panics
/// If there are no batches.
pub fn evaluate(batches: impl Iterator<Item = Batch>, mut loss: impl FnMut(&Batch) -> Tensor) -> Evaluation {
    let (mut losses, mut ids) = (Vec::new(), 0);
    no_grad(|| {
        for batch in batches {
            ids += batch.targets.numel() as i64;
            losses.push(loss(&batch).double_value(&[]));
        }
    });
    assert!(!losses.is_empty(), "nothing to evaluate: the iterator gave no batch");
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    Evaluation { loss: mean, standard_error: (variance / count).sqrt(), ids }
}
