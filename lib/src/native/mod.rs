//! What tch does not reach of libtorch, through a few lines of C++ (`native.cpp`).

pub(crate) mod rows;
pub(crate) mod vector;

use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{Kind, Tensor};

/// `value`, a new tensor computed without a graph, with a gradient of its own: `backward` takes the gradient of a loss by
/// `value` and returns those by `inputs`, in their order. It runs without a graph, so there are no second derivatives.
pub(crate) fn with_gradient<F>(mut value: Tensor, inputs: &[&Tensor], backward: F) -> Tensor
where
    F: Fn(&Tensor) -> Vec<Tensor> + Send + 'static,
{
    let list = pointers(inputs.iter().copied());
    let state = Box::into_raw(Box::new(State { backward, count: inputs.len() }));
    let backward = Backward { state: state.cast(), call: call::<F>, drop: drop_state::<F> };
    // SAFETY: the pointers are live C++ tensors; `backward` takes the state over, and its functions are those of its type.
    let message =
        unsafe { course_with_gradient(value.as_mut_ptr().cast(), list.as_ptr(), list.len(), backward) };
    expect_none(message);
    value
}

/// Whether operations are recorded for a backward pass just now.
pub(crate) fn is_recording() -> bool {
    // SAFETY: reads a switch of this thread.
    unsafe { course_is_recording() }
}

/// Does `work` for all parts of `0..count` on libtorch's threads; how they are cut depends on the number of threads.
pub(crate) fn parallel<F: Fn(Range<usize>) + Sync>(count: usize, work: F) {
    extern "C" fn part<F: Fn(Range<usize>) + Sync>(state: *const c_void, begin: i64, end: i64) {
        // SAFETY: `state` is the `work` of the call below, which waits for all parts.
        let work = unsafe { &*state.cast::<F>() };
        work(begin as usize..end as usize);
    }
    // SAFETY: as above; a panic in `part` ends the process instead of passing C++.
    unsafe { course_parallel(count as i64, part::<F>, (&raw const work).cast()) };
}

/// The norm of all `tensors` together, at least one, a scalar tensor.
pub(crate) fn norm(tensors: &[Tensor]) -> Tensor {
    let mut norm = Tensor::new();
    let list = pointers(tensors);
    // SAFETY: pointers to live C++ tensors.
    expect_none(unsafe { course_norm(list.as_ptr(), list.len(), norm.as_mut_ptr().cast()) });
    norm
}

/// Multiplies each of `tensors`, at least one, by the scalar tensor `factor`, in place.
pub(crate) fn scale(tensors: &[Tensor], factor: &Tensor) {
    let list = pointers(tensors);
    // SAFETY: pointers to live C++ tensors.
    expect_none(unsafe { course_scale(list.as_ptr(), list.len(), factor.as_ptr().cast()) });
}

/// The numbers of an AdamW step.
pub(crate) struct AdamWStep {
    /// Steps done, this one included.
    pub steps: i32,
    pub lr: f64,
    pub betas: (f64, f64),
    pub weight_decay: f64,
    pub epsilon: f64,
}

/// One step of libtorch's fused AdamW in place, on tensors of one kind and device; the lists are of equal length and not empty.
pub(crate) fn adamw(
    parameters: &[&Tensor],
    gradients: &[&Tensor],
    first: &[&Tensor],
    second: &[&Tensor],
    step: &AdamWStep,
) {
    let lists = [parameters, gradients, first, second];
    assert!(lists.iter().all(|list| list.len() == parameters.len()), "lists of equal length");
    let [parameters, gradients, first, second] = lists.map(|list| pointers(list.iter().copied()));
    let AdamWStep { steps, lr, betas, weight_decay, epsilon } = *step;
    // SAFETY: pointers to live C++ tensors, as many in each list.
    expect_none(unsafe {
        course_adamw(
            parameters.as_ptr(),
            gradients.as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
            parameters.len(),
            steps.into(),
            lr,
            betas.0,
            betas.1,
            weight_decay,
            epsilon,
        )
    });
}

/// Leaves `parameters` without a gradient, as they are before the first backward pass.
pub(crate) fn clear_gradients(parameters: &[Tensor]) {
    let list = pointers(parameters);
    // SAFETY: pointers to live C++ tensors.
    unsafe { course_clear_gradients(list.as_ptr(), list.len()) };
}

/// What matrix products on the CPU are computed in just now: bf16 under [`Autocast`].
pub(crate) fn product_kind() -> Kind {
    // SAFETY: reads a switch of this thread.
    if unsafe { course_autocast(false) } { Kind::BFloat16 } else { Kind::Float }
}

/// Runs `f` on the CPU in the kinds that its tensors have, also under [`Autocast`].
pub(crate) fn as_it_is<T>(f: impl FnOnce() -> T) -> T {
    let _autocast = Autocast::enter(false, false);
    f()
}

/// Autocast to bf16 is on, or off, while this lives; then, also after a panic, it is as it was before.
pub(crate) struct Autocast {
    cuda: bool,
    enabled_before: bool,
}

impl Autocast {
    /// For a card (`cuda`) or the CPU.
    pub(crate) fn enter(cuda: bool, enabled: bool) -> Self {
        // SAFETY: switches of this thread.
        unsafe {
            let enabled_before = course_autocast(cuda);
            course_begin_autocast(cuda, enabled);
            Self { cuda, enabled_before }
        }
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: as in `enter`.
        unsafe { course_end_autocast(self.cuda, self.enabled_before) };
    }
}

fn pointers<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Vec<*const c_void> {
    tensors.into_iter().map(|tensor| tensor.as_ptr().cast()).collect()
}

/// Panics with the text that C++ has returned, if any.
fn expect_none(message: *const c_char) {
    // SAFETY: null, or a text that lives until the next call in this thread.
    assert!(message.is_null(), "{}", unsafe { CStr::from_ptr(message) }.to_string_lossy());
}

struct State<F> {
    backward: F,
    count: usize,
}

extern "C" fn call<F: Fn(&Tensor) -> Vec<Tensor>>(
    state: *mut c_void,
    gradient: *mut c_void,
    results: *mut *mut c_void,
) -> bool {
    // SAFETY: C++ passes the state it was given, a new tensor that is ours now, and a list with a place for each input.
    let (state, gradient) = unsafe { (&*state.cast::<State<F>>(), Tensor::from_ptr(gradient.cast())) };
    let done = catch_unwind(AssertUnwindSafe(|| {
        let gradients = (state.backward)(&gradient);
        assert_eq!(gradients.len(), state.count, "a gradient for each input");
        gradients
    }));
    let Ok(gradients) = done else { return false };
    for (i, gradient) in gradients.into_iter().enumerate() {
        let mut gradient = std::mem::ManuallyDrop::new(gradient); // C++ deletes it
        // SAFETY: i is below the number of inputs.
        unsafe { *results.add(i) = gradient.as_mut_ptr().cast() };
    }
    true
}

extern "C" fn drop_state<F>(state: *mut c_void) {
    // SAFETY: C++ drops the state once, and does not use it afterwards.
    drop(unsafe { Box::from_raw(state.cast::<State<F>>()) });
}

#[repr(C)]
struct Backward {
    state: *mut c_void,
    call: extern "C" fn(*mut c_void, *mut c_void, *mut *mut c_void) -> bool,
    drop: extern "C" fn(*mut c_void),
}

unsafe extern "C" {
    fn course_with_gradient(
        value: *mut c_void,
        inputs: *const *const c_void,
        count: usize,
        backward: Backward,
    ) -> *const c_char;
    fn course_is_recording() -> bool;
    fn course_norm(tensors: *const *const c_void, count: usize, norm: *mut c_void) -> *const c_char;
    fn course_scale(tensors: *const *const c_void, count: usize, factor: *const c_void) -> *const c_char;
    fn course_adamw(
        parameters: *const *const c_void,
        gradients: *const *const c_void,
        first: *const *const c_void,
        second: *const *const c_void,
        count: usize,
        step: f64,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
    ) -> *const c_char;
    fn course_clear_gradients(parameters: *const *const c_void, count: usize);
    fn course_autocast(cuda: bool) -> bool;
    fn course_begin_autocast(cuda: bool, enabled: bool);
    fn course_end_autocast(cuda: bool, enabled_before: bool);
    fn course_parallel(count: i64, work: extern "C" fn(*const c_void, i64, i64), state: *const c_void);
}
