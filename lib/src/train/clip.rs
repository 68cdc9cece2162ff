//! Clipping of gradients by their norm over all parameters together.

use tch::{Device, Kind, Tensor};

use crate::{native, no_grad};

/// Scales the gradients of `parameters` so that their norm over all parameters together is at most
/// `max_norm` (Pascanu, Mikolov & Bengio 2013, algorithm 1). Returns the norm before, a scalar tensor.
pub fn clip_grad_norm(parameters: &[Tensor], max_norm: f64) -> Tensor {
    no_grad(|| {
        let gradients: Vec<Tensor> = parameters.iter().map(Tensor::grad).filter(Tensor::defined).collect();
        if gradients.is_empty() {
            return Tensor::zeros([], (Kind::Float, Device::Cpu));
        }
        let norm = native::norm(&gradients);
        let small = norm.device() == Device::Cpu && norm.double_value(&[]) <= max_norm; // a card would have to wait
        if max_norm.is_finite() && !small {
            native::scale(&gradients, &(max_norm / (&norm + 1e-6)).clamp_max(1.0));
        }
        norm
    })
}
