//! What a notebook asks the process about.

use llm_course::resident_mib;
use tch::{Device, Kind, Tensor};

/// Freed memory is not counted, kept memory is: to an eighth: of an arena that is not the main thread's, glibc keeps the end.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn resident_memory_is_what_is_kept() {
    let tensors = |count| -> Vec<Tensor> {
        (0..count).map(|_| Tensor::ones([1 << 20], (Kind::Float, Device::Cpu))).collect()
    };
    drop(tensors(64));
    let before = resident_mib().expect("Linux with glibc");
    let kept = tensors(64);
    drop(tensors(64));
    let growth = resident_mib().expect("Linux with glibc") - before;
    assert!((growth - 256.0).abs() < 32.0, "{growth:.1} MiB for {}", kept.len());
}
