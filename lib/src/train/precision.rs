//! What matrix products are computed in (Micikevicius et al. 2018, with bf16 instead of f16).

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

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
        let device_type = match (self, device) {
            (Self::Auto, _) => return Self::fastest(device).run(device, f),
            (Self::Bf16, Device::Cpu) => CPU,
            (Self::Bf16, Device::Cuda(_)) => CUDA,
            _ => return f(),
        };
        let _autocast = Autocast::enter(device_type, true);
        f()
    }
}

/// Runs `f` on the CPU in the kinds that its tensors have, also inside [`Precision::run`].
pub(crate) fn as_it_is<T>(f: impl FnOnce() -> T) -> T {
    let _autocast = Autocast::enter(CPU, false);
    f()
}

/// Autocast is on, or off, while this lives; then, also after a panic, it is as it was before.
struct Autocast {
    device_type: i8,
    enabled_before: bool,
    kind_before: i8,
}

impl Autocast {
    fn enter(device_type: i8, enabled: bool) -> Self {
        // SAFETY: `device_type` is c10::DeviceType's CPU or CUDA; the switches belong to this thread.
        unsafe {
            let enabled_before = is_autocast_enabled(device_type);
            let before = Self { device_type, enabled_before, kind_before: autocast_kind(device_type) };
            set_autocast_enabled(device_type, enabled);
            set_autocast_kind(device_type, BFLOAT16);
            increment_nesting();
            before
        }
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: as in `enter`. The cache holds rounded weights, which the next step changes.
        unsafe {
            if decrement_nesting() == 0 {
                clear_cache();
            }
            set_autocast_kind(self.device_type, self.kind_before);
            set_autocast_enabled(self.device_type, self.enabled_before);
        }
    }
}

// c10::DeviceType and c10::ScalarType
const CPU: i8 = 0;
const CUDA: i8 = 1;
const BFLOAT16: i8 = 15;

// `tch::autocast` reaches CUDA only, and there f16. These functions of libtorch (ATen/autocast_mode.h) take
// and return one-byte enums and integers, so C's calling convention is theirs; the names are those of the
// Itanium C++ ABI, which Linux and macOS share.
unsafe extern "C" {
    #[link_name = "_ZN2at8autocast19is_autocast_enabledEN3c1010DeviceTypeE"]
    fn is_autocast_enabled(device_type: i8) -> bool;
    #[link_name = "_ZN2at8autocast20set_autocast_enabledEN3c1010DeviceTypeEb"]
    fn set_autocast_enabled(device_type: i8, enabled: bool);
    #[link_name = "_ZN2at8autocast18get_autocast_dtypeEN3c1010DeviceTypeE"]
    fn autocast_kind(device_type: i8) -> i8;
    #[link_name = "_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE"]
    fn set_autocast_kind(device_type: i8, kind: i8);
    #[link_name = "_ZN2at8autocast17increment_nestingEv"]
    fn increment_nesting() -> i32;
    #[link_name = "_ZN2at8autocast17decrement_nestingEv"]
    fn decrement_nesting() -> i32;
    #[link_name = "_ZN2at8autocast11clear_cacheEv"]
    fn clear_cache();
}
