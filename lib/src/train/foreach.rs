//! Operations of libtorch on many tensors at once, which tch does not have. On a card they are one kernel for all tensors,
//! where a loop over them would start several for each.

use std::ffi::c_void;

use tch::{Kind, Tensor};

/// The parameters of an AdamW step.
pub(super) struct AdamWStep {
    /// Steps done, this one included.
    pub steps: i32,
    pub lr: f64,
    pub betas: (f64, f64),
    pub weight_decay: f64,
    pub epsilon: f64,
}

/// One step of libtorch's fused AdamW in place, on tensors of one kind and device; the lists are of equal length and not empty.
pub(super) fn adamw(
    parameters: &[&Tensor],
    gradients: &[&Tensor],
    first: &[&Tensor],
    second: &[&Tensor],
    step: &AdamWStep,
) {
    let lists = [parameters, gradients, first, second].map(handles);
    assert!(lists.iter().all(|list| list.len() == parameters.len()), "lists of equal length");
    let count = Tensor::full([], f64::from(step.steps), (Kind::Float, parameters[0].device()));
    let counts = handles(&vec![&count; parameters.len()]);
    let [parameters, gradients, first, second] = lists.each_ref().map(|list| List::new(list));
    let (counts, none) = (List::new(&counts), NoTensor::default());
    let AdamWStep { lr, betas, weight_decay, epsilon, .. } = *step;
    // SAFETY: the lists point to live tensors while the call runs; it writes to none but the first four lists' tensors.
    unsafe {
        fused_adamw(
            parameters,
            gradients,
            first,
            second,
            List::new(&[]),
            counts,
            lr,
            betas.0,
            betas.1,
            weight_decay,
            epsilon,
            false,
            false,
            &none,
            &none,
        );
    }
}

/// Multiplies each of `tensors`, at least one, by the scalar tensor `factor`, in place.
pub(super) fn scale(tensors: &[Tensor], factor: &Tensor) {
    let tensors = handles(&tensors.iter().collect::<Vec<_>>());
    // SAFETY: as in `adamw`; `as_ptr` is the address of the C++ tensor.
    unsafe { foreach_mul(List::new(&tensors), factor.as_ptr().cast()) };
}

/// Fills each of `tensors`, at least one, with 0.
pub(super) fn zero(tensors: &[&Tensor]) {
    let tensors = handles(tensors);
    // SAFETY: as in `adamw`.
    unsafe { foreach_zero(List::new(&tensors)) };
}

/// What C++ keeps of a tensor: one pointer to its counted data. The count stays as it is, so the tensors must outlive these.
fn handles(tensors: &[&Tensor]) -> Vec<*mut c_void> {
    // SAFETY: `as_ptr` points to an `at::Tensor`, whose only member is that pointer.
    tensors.iter().map(|tensor| unsafe { *tensor.as_ptr().cast::<*mut c_void>() }).collect()
}

/// `c10::ArrayRef<at::Tensor>`
#[repr(C)]
#[derive(Clone, Copy)]
struct List {
    tensors: *const *mut c_void,
    length: usize,
}

impl List {
    fn new(tensors: &[*mut c_void]) -> Self {
        Self { tensors: tensors.as_ptr(), length: tensors.len() }
    }
}

/// `std::optional<at::Tensor>` without a tensor.
#[repr(C)]
#[derive(Default)]
struct NoTensor {
    tensor: usize,
    engaged: bool,
}

// Lists are passed as C passes a struct of two words, the rest are numbers and addresses, and none of these returns
// anything: C's calling convention is theirs. The names are those of the Itanium C++ ABI.
unsafe extern "C" {
    #[link_name = "_ZN2at4_ops13_fused_adamw_4callEN3c108ArrayRefINS_6TensorEEES5_S5_S5_S5_S5_dddddbbRKSt8optionalIS4_ES9_"]
    fn fused_adamw(
        parameters: List,
        gradients: List,
        first: List,
        second: List,
        max_second: List,
        counts: List,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
        amsgrad: bool,
        maximize: bool,
        gradient_scale: *const NoTensor,
        found_infinity: *const NoTensor,
    );
    #[link_name = "_ZN2at4_ops20_foreach_mul__Tensor4callEN3c108ArrayRefINS_6TensorEEERKS4_"]
    fn foreach_mul(tensors: List, factor: *const c_void);
    #[link_name = "_ZN2at4_ops14_foreach_zero_4callEN3c108ArrayRefINS_6TensorEEE"]
    fn foreach_zero(tensors: List);
}
