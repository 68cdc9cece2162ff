//! What matrix products are computed in (Micikevicius et al. 2018, with bf16 instead of f16).

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use crate::native::Autocast;

/// What matrix products are computed in. The variables, their gradients and the optimizer are f32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 24 bits of precision.
    #[default]
    F32,
    /// 8 bits of precision, the same range: linear layers and convolutions, on a card attention too, round their
    /// inputs and weights to bf16. Fast where the processor multiplies bf16 matrices (AVX-512 BF16, AMX, CUDA cards).
    /// Elsewhere slow, and an LSTM or GRU fails: oneDNN has none for such processors.
    Bf16,
    /// [`Precision::fastest`]: what the device at hand is faster with.
    Auto,
}

impl Precision {
    /// [`Precision::Bf16`] where `device` multiplies matrices at least a fifth faster with it, else
    /// [`Precision::F32`]. Measured at the first call, which takes some milliseconds.
    ///
    /// A card is measured with a batch that occupies it. A network or batch so small that the card waits for the program to
    /// start its kernels is faster in [`Precision::F32`]: bf16 has more of them.
    pub fn fastest(device: Device) -> Self {
        static FASTEST: [OnceLock<Precision>; 2] = [OnceLock::new(), OnceLock::new()];
        let measure = || {
            let [f32, bf16] = [Self::F32, Self::Bf16].map(|precision| precision.time_of_a_layer(device));
            if bf16 < f32.mul_f64(0.8) { Self::Bf16 } else { Self::F32 }
        };
        *FASTEST[usize::from(device.is_cuda())].get_or_init(measure)
    }

    /// The shortest of five times of a linear layer, forward and backward, as large as a small transformer's, or large enough
    /// to occupy a card.
    fn time_of_a_layer(self, device: Device) -> Duration {
        let tensor = |size: [i64; 2]| Tensor::ones(size, (Kind::Float, device)).set_requires_grad(true);
        let rows = if device.is_cuda() { 16_384 } else { 512 };
        let (x, w) = (tensor([rows, 256]), tensor([1024, 256]));
        let once = || {
            let begun = Instant::now();
            let sum = self.run(device, || x.linear(&w, None::<Tensor>)).sum(Kind::Float);
            Tensor::run_backward(&[&sum], &[&x, &w], false, false)[1].get(0).get(0).double_value(&[]); // waits for a card
            begun.elapsed()
        };
        once(); // the first time, kernels are chosen and memory is fetched
        (0..5).map(|_| once()).min().unwrap_or_default()
    }

    /// Runs `f` in this precision: under libtorch's autocast for [`Precision::Bf16`] on a CPU or CUDA
    /// device, as it is for [`Precision::F32`]. Backward passes belong outside.
    ///
    /// ```
    /// use llm_course::train::Precision;
    /// use tch::{Device, Kind, Tensor};
    /// let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
    /// let product = Precision::Bf16.run(Device::Cpu, || x.matmul(&x));
    /// assert_eq!(product.kind(), Kind::BFloat16);
    /// ```
    pub fn run<T>(self, device: Device, f: impl FnOnce() -> T) -> T {
        match (self, device) {
            (Self::Auto, _) => Self::fastest(device).run(device, f),
            (Self::Bf16, Device::Cpu | Device::Cuda(_)) => {
                let _autocast = Autocast::enter(device.is_cuda(), true);
                f()
            }
            _ => f(),
        }
    }
}
