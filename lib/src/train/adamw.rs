//! AdamW (Loshchilov & Hutter 2019, algorithm 2).

use tch::Tensor;

use crate::error::{Error, Result};
use crate::native::{AdamWStep, adamw, clear_gradients};
use crate::no_grad;

const EPSILON: f64 = 1e-8;

/// AdamW with weight decay on matrices only: biases and gains are left to find their size.
#[derive(Debug)]
pub struct AdamW {
    parameters: Vec<Tensor>,
    pub(super) first: Vec<Tensor>,  // mean of the gradients
    pub(super) second: Vec<Tensor>, // mean of their squares
    pub(super) steps: i32,
    betas: (f64, f64),
    weight_decay: f64,
}

impl AdamW {
    /// An optimizer of `parameters`, with both moments 0.
    ///
    /// # Errors
    /// If there are no parameters, or a β lies outside [0, 1).
    pub fn new(parameters: Vec<Tensor>, betas: (f64, f64), weight_decay: f64) -> Result<Self> {
        if parameters.is_empty() {
            return Err(Error::input(
                "nothing to train: the VarStore has no trainable variables; build the model before the trainer",
            ));
        }
        if !(0.0..1.0).contains(&betas.0) || !(0.0..1.0).contains(&betas.1) {
            return Err(Error::input(format!("betas {betas:?}: both must lie in [0, 1)")));
        }
        let zeros = || parameters.iter().map(|p| p.detach().zeros_like()).collect();
        Ok(Self { first: zeros(), second: zeros(), parameters, betas, weight_decay, steps: 0 })
    }

    /// What is trained.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// One step with the gradients that the parameters hold; clears the gradients. Parameters without a
    /// gradient, such as frozen ones, stay as they are.
    ///
    /// θ ← θ − lr·decay·θ − lr·m̂ / (√v̂ + ε), in place.
    pub fn step(&mut self, lr: f64) {
        self.steps += 1;
        let all = self.parameters.iter().map(|p| (p, p.grad())).zip(self.first.iter().zip(&self.second));
        let (matrices, others): (Vec<_>, Vec<_>) =
            all.filter(|((_, gradient), _)| gradient.defined()).partition(|((p, _), _)| p.dim() >= 2);
        no_grad(|| {
            let groups = [(matrices, self.weight_decay), (others, 0.0)];
            for (group, weight_decay) in groups.into_iter().filter(|(group, _)| !group.is_empty()) {
                let parameters: Vec<_> = group.iter().map(|((p, _), _)| *p).collect();
                let gradients: Vec<_> = group.iter().map(|((_, gradient), _)| gradient).collect();
                let (first, second): (Vec<_>, Vec<_>) = group.iter().map(|(_, moments)| *moments).unzip();
                let step =
                    AdamWStep { steps: self.steps, lr, betas: self.betas, weight_decay, epsilon: EPSILON };
                adamw(&parameters, &gradients, &first, &second, &step);
            }
        });
        clear_gradients(&self.parameters);
    }
}
