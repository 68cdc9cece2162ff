//! How to train: budgets, learning rate, regularisation.

use super::Precision;
use crate::error::{Error, Result};

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainConfig {
    /// Optimizer steps.
    pub steps: i64,
    /// Batches whose gradients are averaged in one step: a large batch in the memory of a small one.
    pub accumulate: i64,
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
    /// What matrix products are computed in.
    pub precision: Precision,
    /// Steps from one validation to the next.
    pub validate_every: i64,
    /// Validations in a row without a better loss after which training stops and the variables get back
    /// their values of the best one (Prechelt 1998); `None` trains for all `steps`.
    pub patience: Option<i64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 1000,
            accumulate: 1,
            lr: 1e-3,
            final_lr: 0.1,
            warmup: 100,
            weight_decay: 0.01,
            betas: (0.9, 0.99),
            clip: 1.0,
            precision: Precision::F32,
            validate_every: 250,
            patience: None,
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

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::input(format!("TrainConfig: {what}")));
        let counts = [
            ("steps", self.steps),
            ("accumulate", self.accumulate),
            ("validate_every", self.validate_every),
            ("patience", self.patience.unwrap_or(1)),
        ];
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count < 1) {
            return wrong(&format!("{name} {count} must be at least 1"));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return wrong(&format!("lr {} must be a positive number, e.g. 1e-3", self.lr));
        }
        let shares = [
            ("final_lr", self.final_lr),
            ("weight_decay", self.weight_decay),
            ("warmup", self.warmup as f64),
        ];
        if let Some((name, share)) = shares.iter().find(|(_, share)| !(0.0..f64::INFINITY).contains(share)) {
            return wrong(&format!("{name} {share} must not be negative or NaN; 0 switches it off"));
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return wrong(&format!("clip {} must be positive; f64::INFINITY switches it off", self.clip));
        }
        Ok(())
    }
}
