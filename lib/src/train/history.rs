//! What happened while a model trained.

use std::time::Duration;

use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// Losses over the steps of a training run, in nats.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The model's name, for legends.
    pub name: String,
    /// Training loss of each step.
    pub train: Vec<f64>,
    /// Norm of the gradient at each step, before clipping.
    pub grad_norm: Vec<f64>,
    /// Steps done at each validation.
    pub steps: Vec<i64>,
    /// Validation loss, one for each of `steps`.
    pub validation: Vec<f64>,
    /// Seconds since the start, one for each of `steps`.
    pub seconds: Vec<f64>,
}

impl History {
    /// An empty history.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The last validation loss in nats.
    ///
    /// # Panics
    /// If there was none.
    pub fn final_validation(&self) -> f64 {
        *self.validation.last().expect("no validation yet: train first")
    }

    /// Mean training loss of the steps between one validation and the next, one for each of `steps`.
    pub fn smoothed_train(&self) -> Vec<f64> {
        let starts = std::iter::once(0).chain(self.steps.iter().copied());
        let mean = |(from, to): (i64, &i64)| {
            let part = &self.train[from as usize..*to as usize];
            part.iter().sum::<f64>() / part.len() as f64
        };
        starts.zip(&self.steps).map(mean).collect()
    }

    pub(super) fn read(&mut self, pending: &mut Vec<(Tensor, Tensor)>) -> Result<()> {
        for (loss, norm) in pending.drain(..) {
            let loss = loss.to_kind(Kind::Double).double_value(&[]);
            if !loss.is_finite() {
                return Err(Error::Training(format!(
                    "{}: the loss is {loss} at step {}: lower the learning rate, clip the gradient, or look \
                     for NaN in the data",
                    self.name,
                    self.train.len()
                )));
            }
            self.train.push(loss);
            self.grad_norm.push(norm.double_value(&[]));
        }
        Ok(())
    }

    pub(super) fn validate(&mut self, step: i64, loss: f64, elapsed: Duration) {
        self.steps.push(step);
        self.validation.push(loss);
        self.seconds.push(elapsed.as_secs_f64());
    }

    /// The newest validation as a line of text.
    pub(super) fn line(&self, of: i64) -> String {
        let (step, seconds) = (self.steps[self.steps.len() - 1], self.seconds[self.seconds.len() - 1]);
        let train = *self.smoothed_train().last().expect("validated");
        format!(
            "{:>10} step {step:>5}/{of}  train {train:.3}  validation {:.3} nats  {seconds:>4.0} s",
            self.name,
            self.final_validation()
        )
    }
}
