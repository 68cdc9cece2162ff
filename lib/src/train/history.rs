//! What happened while a model trained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// Losses over the steps of a training run, in nats. Serde writes it, e.g. as JSON for another program.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
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

    /// How many validations came after the best one; 0 without any.
    pub fn validations_since_best(&self) -> usize {
        let numbers = self.validation.iter().enumerate().filter(|(_, loss)| !loss.is_nan());
        let best = numbers.min_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(index, _)| self.validation.len() - 1 - index)
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
            let (loss, norm) = (loss.to_kind(Kind::Double).double_value(&[]), norm.double_value(&[]));
            let first = self.train.first().unwrap_or(&loss).abs().max(1.0);
            let wrong = [
                (!loss.is_finite(), "the loss is", loss),
                (!norm.is_finite(), "the norm of the gradient is", norm),
                (loss.abs() > 1e6 * first, "the loss has grown to", loss),
            ];
            if let Some((_, what, number)) = wrong.iter().find(|(wrong, ..)| *wrong) {
                return Err(Error::Training(format!(
                    "{}: {what} {number} at step {}: lower the learning rate, clip the gradient, or look for NaN in the data",
                    self.name,
                    self.train.len()
                )));
            }
            self.train.push(loss);
            self.grad_norm.push(norm);
        }
        Ok(())
    }

    pub(super) fn validate(&mut self, step: i64, loss: f64, seconds: f64) {
        self.steps.push(step);
        self.validation.push(loss);
        self.seconds.push(seconds);
    }

    /// The numbers by their names in a checkpoint; text would lose NaN.
    pub(super) fn tensors(&self) -> [(String, Tensor); 5] {
        let named = |name: &str, numbers: &[f64]| (format!("history/{name}"), Tensor::from_slice(numbers));
        [
            named("train", &self.train),
            named("grad_norm", &self.grad_norm),
            ("history/steps".into(), Tensor::from_slice(&self.steps)),
            named("validation", &self.validation),
            named("seconds", &self.seconds),
        ]
    }

    /// Takes back what [`tensors`](Self::tensors) gave.
    pub(super) fn from_tensors(tensors: &mut BTreeMap<String, Tensor>) -> Result<Self> {
        let mut take = |name: &str| {
            let taken = tensors.remove(&format!("history/{name}"));
            taken.ok_or_else(|| Error::input(format!("it has no history of {name}")))
        };
        Ok(Self {
            name: String::new(),
            train: take("train")?.try_into()?,
            grad_norm: take("grad_norm")?.try_into()?,
            steps: take("steps")?.try_into()?,
            validation: take("validation")?.try_into()?,
            seconds: take("seconds")?.try_into()?,
        })
    }

    /// Whether this is what a run has after `step` steps: a loss for each, and validations in their order.
    pub(super) fn fits(&self, step: i64) -> bool {
        let losses = [&self.train, &self.grad_norm].iter().all(|numbers| numbers.len() as i64 == step);
        let validations = [&self.validation, &self.seconds].iter().all(|n| n.len() == self.steps.len());
        let steps = std::iter::once(&0).chain(&self.steps).chain([&step]);
        losses && validations && steps.is_sorted()
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
