//! Clipping of gradients by their norm over all parameters together.

use tch::{Device, Kind, Tensor, no_grad};

/// Scales the gradients of `parameters` so that their norm over all parameters together is at most
/// `max_norm` (Pascanu, Mikolov & Bengio 2013, algorithm 1). Returns the norm before, a scalar tensor.
pub fn clip_grad_norm(parameters: &[Tensor], max_norm: f64) -> Tensor {
    no_grad(|| {
        let mut gradients: Vec<Tensor> =
            parameters.iter().map(Tensor::grad).filter(Tensor::defined).collect();
        let norms: Vec<Tensor> = gradients.iter().map(Tensor::norm).collect();
        if norms.is_empty() {
            return Tensor::zeros([], (Kind::Float, Device::Cpu));
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
