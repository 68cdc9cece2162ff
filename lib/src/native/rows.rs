//! The rows of tensors as slices, cut into parts that libtorch's threads work on.

use std::sync::Mutex;

use tch::{Device, Kind, Tensor};

use super::parallel;

/// How many parts rows are cut into, whatever the number of threads: so sums over rows are always the same.
const PARTS: usize = 16;

/// A number that a matrix product reads or writes.
pub(crate) trait Element: Copy + Send + Sync {
    const KIND: Kind;

    fn get(self) -> f32;
    fn from(value: f32) -> Self;
}

impl Element for f32 {
    const KIND: Kind = Kind::Float;

    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from(value: f32) -> Self {
        value
    }
}

/// bfloat16, the upper half of an f32.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Bf16(u16);

impl Element for Bf16 {
    const KIND: Kind = Kind::BFloat16;

    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// Rounds to the nearest, ties to even.
    #[inline(always)]
    fn from(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
        Self((if value.is_nan() { bits | 0x40_0000 } else { rounded } >> 16) as u16)
    }
}

/// `$body` with `$E` for the type of numbers of `$kind`.
macro_rules! with_element {
    ($kind:expr, $E:ident => $body:expr) => {
        match $kind {
            Kind::Float => {
                type $E = f32;
                $body
            }
            Kind::BFloat16 => {
                type $E = Bf16;
                $body
            }
            kind => panic!("{kind:?}: only f32 and bf16 have fused kernels"),
        }
    };
}
pub(crate) use with_element;

/// A new tensor, its numbers not yet written.
pub(crate) fn empty(size: &[i64], kind: Kind) -> Tensor {
    Tensor::empty(size, (kind, Device::Cpu))
}

/// The numbers of a tensor.
pub(crate) fn slice<E: Element>(x: &Tensor) -> &[E] {
    // SAFETY: `numbers` has proved the type and length; the tensor is borrowed as long as the slice.
    unsafe { std::slice::from_raw_parts(numbers(x), x.numel()) }
}

/// The numbers of a tensor that nothing else shares.
pub(crate) fn slice_mut<E: Element>(x: &mut Tensor) -> &mut [E] {
    // SAFETY: as in `slice`; the callers have just made the tensor.
    unsafe { std::slice::from_raw_parts_mut(numbers(x), x.numel()) }
}

fn numbers<E: Element>(x: &Tensor) -> *mut E {
    assert!(
        x.kind() == E::KIND && x.device() == Device::Cpu && x.is_contiguous() && x.numel() > 0,
        "a fused kernel reads {:?} that lie side by side on the CPU, not {x:?}",
        E::KIND
    );
    x.data_ptr().cast()
}

/// `rows` of `width` numbers in [`PARTS`] parts, fewer if there are fewer rows.
pub(crate) fn cut<T>(rows: &[T], width: usize) -> impl Iterator<Item = &[T]> {
    rows.chunks(part_of(rows.len(), width))
}

/// [`cut`] for writing.
pub(crate) fn cut_mut<T>(rows: &mut [T], width: usize) -> impl Iterator<Item = &mut [T]> {
    rows.chunks_mut(part_of(rows.len(), width))
}

fn part_of(numbers: usize, width: usize) -> usize {
    (numbers / width).div_ceil(PARTS) * width
}

/// Room for a sum of `width` numbers in each part.
pub(crate) fn sums(width: usize) -> Vec<f32> {
    vec![0.0; PARTS * width]
}

/// The [`sums`] of all parts together, `[width]`, always added in the same order.
pub(crate) fn totals(sums: &[f32], width: usize) -> Tensor {
    let mut totals = vec![0.0; width];
    for part in sums.chunks_exact(width) {
        totals.iter_mut().zip(part).for_each(|(total, sum)| *total += sum);
    }
    Tensor::from_slice(&totals)
}

/// Rows to work on, and where to write what comes out.
///
/// `work` and all that it calls must be `inline(always)`: only then the compiler uses the vector instructions that
/// [`in_parallel`] finds.
pub(crate) trait Part: Send {
    fn work(&mut self);
}

/// Works on all parts on libtorch's threads.
pub(crate) fn in_parallel<P: Part>(parts: Vec<P>) {
    let parts: Vec<Mutex<P>> = parts.into_iter().map(Mutex::new).collect();
    parallel(parts.len(), |range| on_best(&parts[range]));
}

/// Works on all parts in this thread: for parts so small that another one would begin too late.
pub(crate) fn one_by_one<P: Part>(parts: Vec<P>) {
    on_best(&parts.into_iter().map(Mutex::new).collect::<Vec<_>>());
}

/// Whether the processor multiplies and adds several numbers at once; without that, libtorch's kernels are faster.
pub(crate) fn has_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    cfg!(target_arch = "aarch64")
}

/// Works with the vector instructions that the processor has.
fn on_best<P: Part>(parts: &[Mutex<P>]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the processor has these instructions; AVX-512 BW and VL come with F, AVX2 and FMA.
            return unsafe { on_avx512(parts) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has these instructions.
            return unsafe { on_avx2(parts) };
        }
    }
    on_any(parts);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn on_avx512<P: Part>(parts: &[Mutex<P>]) {
    on_any(parts);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn on_avx2<P: Part>(parts: &[Mutex<P>]) {
    on_any(parts);
}

#[inline(always)]
fn on_any<P: Part>(parts: &[Mutex<P>]) {
    for part in parts {
        part.lock().expect("no part panics").work();
    }
}
