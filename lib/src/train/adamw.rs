//! AdamW (Loshchilov & Hutter 2019, algorithm 2) and clipping by the global norm.

use tch::{Kind, Tensor, no_grad};

use crate::error::{Error, Result};

const EPSILON: f64 = 1e-8;

/// AdamW with weight decay on matrices only: biases and gains are left to find their size.
#[derive(Debug)]
pub struct AdamW {
    parameters: Vec<Tensor>,
    first: Vec<Tensor>,  // mean of the gradients
    second: Vec<Tensor>, // mean of their squares
    betas: (f64, f64),
    weight_decay: f64,
    steps: i32,
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

    /// One step with the gradients that the parameters hold; clears the gradients.
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
                if p.dim() >= 2 {
                    let _ = p.g_mul_scalar_(1.0 - lr * self.weight_decay);
                }
                let _ = m.lerp_(&gradient, 1.0 - beta1);
                let _ = v.lerp_(&gradient.square(), 1.0 - beta2);
                let denominator = v.sqrt() * scale + EPSILON;
                let _ = p.g_sub_(&(&*m / denominator * step_size));
                let _ = gradient.zero_();
            }
        });
    }
}

/// Scales the gradients of `parameters` so that their norm over all parameters together is at most
/// `max_norm` (Pascanu, Mikolov & Bengio 2013, algorithm 1). Returns the norm before, a scalar tensor.
pub fn clip_grad_norm(parameters: &[Tensor], max_norm: f64) -> Tensor {
    no_grad(|| {
        let mut gradients: Vec<Tensor> =
            parameters.iter().map(Tensor::grad).filter(Tensor::defined).collect();
        let norms: Vec<Tensor> = gradients.iter().map(Tensor::norm).collect();
        if norms.is_empty() {
            return Tensor::zeros([], (Kind::Float, tch::Device::Cpu));
        }
        let norm = Tensor::stack(&norms, 0).norm();
        if max_norm.is_finite() {
            let scale = (max_norm / (&norm + 1e-6)).clamp_max(1.0);
            for gradient in &mut gradients {
                let _ = gradient.g_mul_(&scale);
            }
        }
        norm
    })
}
