//! Where and how a notebook runs: device, seed, budget, claims.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use tch::Device;

/// The device to compute on: CUDA if there is a card, else the CPU.
///
/// `LLM_COURSE_DEVICE` overrides the choice: `cpu`, `cuda` or `cuda:1`.
///
/// # Panics
/// If `LLM_COURSE_DEVICE` names a device that is not there.
pub fn device() -> Device {
    try_device().unwrap_or_else(|advice| panic!("{advice}"))
}

/// The same; an error says what is wrong with `LLM_COURSE_DEVICE`.
pub(crate) fn try_device() -> Result<Device, String> {
    prepare();
    match std::env::var("LLM_COURSE_DEVICE") {
        Ok(name) => named_device(&name),
        Err(_) => Ok(Device::cuda_if_available()),
    }
}

fn named_device(name: &str) -> Result<Device, String> {
    let device = match name.split_once(':') {
        None if name == "cpu" => Device::Cpu,
        None if name == "cuda" => Device::Cuda(0),
        Some(("cuda", index)) => {
            Device::Cuda(index.parse().map_err(|_| format!("LLM_COURSE_DEVICE={name}: use cuda:0"))?)
        }
        _ => return Err(format!("LLM_COURSE_DEVICE={name}: use cpu, cuda or cuda:0")),
    };
    match device {
        Device::Cuda(index) if index as i64 >= tch::Cuda::device_count() => Err(format!(
            "LLM_COURSE_DEVICE={name}: libtorch sees {} CUDA devices; unset it to use the CPU",
            tch::Cuda::device_count()
        )),
        device => Ok(device),
    }
}

/// What must come before libtorch is used.
fn prepare() {
    load_cuda();
    keep_memory();
}

/// Linkers that drop unused libraries drop libtorch_cuda, and then libtorch sees no card: load it by hand. That must come
/// before libtorch first looks for a card, which seeding does too.
fn load_cuda() {
    #[cfg(target_os = "linux")]
    {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            if !std::path::Path::new("/dev/nvidiactl").exists() {
                return;
            }
            // SAFETY: the library is libtorch's own, made to be loaded beside libtorch_cpu; its initialisers
            // only register kernels. It is never unloaded.
            if let Ok(library) = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
                std::mem::forget(library);
            }
        });
    }
}

/// Tells glibc's allocator to keep what a step frees for the next step. By default it hands the memory of large tensors back to
/// the system, which clears each page when it is asked for again: a fifth of the time of a step of seq2seq.
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        const TRIM_THRESHOLD: c_int = -1;
        const MMAP_THRESHOLD: c_int = -3;
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            // SAFETY: any thread may set the two limits at any time; they are those of malloc.h.
            unsafe {
                mallopt(MMAP_THRESHOLD, 32 << 20);
                mallopt(TRIM_THRESHOLD, 256 << 20);
            }
        });
    }
}

/// Fixes libtorch's random numbers (initial weights, dropout, sampling) from here on.
///
/// On one machine's processor, with as many threads, a seed gives the same losses again, bit for bit. Elsewhere it does not:
/// another processor, number of threads, libtorch or a card adds up in another order, and training makes
/// such last bits large. What this crate draws with a generator of its own (ChaCha8: the texts of grammars, the order
/// of pairs and reviews, hidden words) is the same on every machine.
pub fn seed(n: i64) {
    prepare();
    tch::manual_seed(n);
}

/// Where files are looked for: in the user's own folder, which `variable` names, then in `.course/<name>`.
pub(crate) fn folders(variable: &str, name: &str) -> Vec<PathBuf> {
    let own = std::env::var_os(variable).map(PathBuf::from);
    own.into_iter().chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("../.course").join(name)]).collect()
}

/// `true` when `LLM_COURSE_QUICK=1` asks for small budgets (`cargo course run --quick`): [`budget`] gives few steps,
/// a [`Trainer`](crate::train::Trainer) validates four times, [`evaluate`](crate::train::evaluate) takes eight batches.
pub fn quick() -> bool {
    std::env::var("LLM_COURSE_QUICK").is_ok_and(|value| value == "1")
}

/// `steps` in a full run; one in two hundred of them, at least two, in a quick run.
pub fn budget(steps: i64) -> i64 {
    if quick() { (steps / 200).max(2).min(steps) } else { steps }
}

/// States a claim of the text and whether it holds.
///
/// In a headless full run a claim that fails ends the cell with an error; otherwise it is only printed,
/// because quick runs train too little and another text may behave differently.
///
/// # Panics
/// In a strict (headless), full run on the lesson's own text, if the claim does not hold.
pub fn claim(text: &str, holds: bool) {
    let own_text = std::env::var_os("LLM_COURSE_TEXT").is_some();
    let strict = std::env::var("LLM_COURSE_STRICT").is_ok_and(|value| value == "1") && !own_text;
    match (holds, quick()) {
        (true, _) => println!("✅ {text}"),
        (false, true) => println!("⏩ quick run, too short to say: {text}"),
        (false, false) if strict => panic!("claim does not hold: {text}"),
        (false, false) => println!("❌ not here: {text}"),
    }
}

/// Runs `f` without recording gradients.
///
/// If `f` panics, recording is switched on again. After a panic in [`tch::no_grad`] it would stay off, and in a notebook every
/// later cell would compute without gradients.
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    let _before = tch::no_grad_guard();
    f()
}

/// The memory that this process has allocated and not freed, in MiB; `None` elsewhere than on Linux with glibc.
///
/// Memory that has been freed is first handed back to the system, so the difference of two calls is what was kept between them.
pub fn resident_mib() -> Option<f64> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(keep: usize) -> std::ffi::c_int;
        }
        // SAFETY: glibc's malloc_trim may be called at any time by any thread; it releases pages that nobody holds.
        unsafe { malloc_trim(0) };
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib / 1024.0)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

/// Shows what ends a cell: its `Debug` form, and nothing for `()`, with which `for` and `if` end.
///
/// The kernel calls `evcxr_display` on the value. Where it finds none, it compiles the cell a second time to print the
/// `Debug` form itself; so with this trait in scope such a cell answers in half the time.
pub trait CellValue {
    /// Prints the value between the marks that the kernel knows.
    fn evcxr_display(&self);
}

impl<T: Debug + ?Sized> CellValue for T {
    fn evcxr_display(&self) {
        let text = format!("{self:?}");
        if text != "()" {
            println!("EVCXR_BEGIN_CONTENT text/plain\n{text}\nEVCXR_END_CONTENT");
        }
    }
}
