//! AdamW (Loshchilov & Hutter 2019, algorithm 2).

use tch::{Tensor, no_grad};

use crate::error::{Error, Result};

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
    /// θ ← θ − lr·decay·θ − lr·m̂ / (√v̂ + ε), in place: `tch` exposes neither libtorch's fused step nor its
    /// foreach operations.
    pub fn step(&mut self, lr: f64) {
        self.steps += 1;
        let (beta1, beta2) = self.betas;
        let step_size = lr / (1.0 - beta1.powi(self.steps));
        let scale = 1.0 / (1.0 - beta2.powi(self.steps)).sqrt();
        no_grad(|| {
            for ((p, m), v) in self.parameters.iter_mut().zip(&mut self.first).zip(&mut self.second) {
                let mut gradient = p.grad();
                if !gradient.defined() {
                    continue;
                }
                let _ = m.lerp_(&gradient, 1.0 - beta1);
                let _ = v.lerp_(&gradient.square(), 1.0 - beta2);
                let _ = gradient.zero_();
                if step_size <= 0.0 {
                    continue;
                }
                if p.dim() >= 2 && self.weight_decay != 0.0 {
                    let _ = p.g_mul_scalar_(1.0 - lr * self.weight_decay);
                }
                // −(√v̂ + ε) / step size, so that one more pass adds the whole update
                let mut divisor = v.sqrt();
                let _ = divisor.g_mul_scalar_(-scale / step_size);
                let _ = divisor.g_add_scalar_(-EPSILON / step_size);
                let _ = p.addcdiv_(m, &divisor);
            }
        });
    }
}
