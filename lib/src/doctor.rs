//! What a notebook computes with: versions, device, threads and memory, and what is wrong with them.

use std::fmt;

use tch::{Device, Kind, Tensor};

use crate::runtime::try_device;

/// The release of libtorch that this tch is written for.
const LIBTORCH: &str = "2.11";
/// The largest amount of memory that a lesson is made to need, in bytes.
const LESSON_MEMORY: u64 = 2 << 30;

/// What [`doctor`] found; its `Display` is a table with the problems below.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// The version of this crate.
    pub crate_version: &'static str,
    /// The compiler of this crate, as `rustc --version` says it; a notebook's cells have the same.
    pub rustc: &'static str,
    /// The version of tch, the Rust interface of libtorch.
    pub tch: &'static str,
    /// The version of the libtorch that is loaded; `None` where it cannot be asked.
    pub libtorch: Option<String>,
    /// Where [`device()`](crate::device()) computes, or what is wrong with the choice.
    pub device: Result<Device, String>,
    /// Whether an NVIDIA driver was found, whatever libtorch can do with it.
    pub nvidia_driver: bool,
    /// Processor cores that this process may use.
    pub cores: usize,
    /// Threads with which libtorch computes one operation.
    pub threads: usize,
    /// Memory that this process holds, in bytes; `None` where it cannot be asked.
    pub memory_used: Option<u64>,
    /// Memory that is still free, in bytes; `None` where it cannot be asked.
    pub memory_free: Option<u64>,
    /// Whether a small matrix product on the device came out right.
    pub computes: bool,
}

/// Looks at what this process computes with. It prints nothing and changes nothing.
///
/// ```
/// let health = llm_course::doctor();
/// println!("{health}");
/// assert!(health.computes);
/// ```
pub fn doctor() -> Health {
    let device = try_device();
    Health {
        crate_version: env!("CARGO_PKG_VERSION"),
        rustc: env!("LLM_COURSE_RUSTC"),
        tch: env!("LLM_COURSE_TCH"),
        libtorch: loaded_libtorch(),
        computes: device.as_ref().is_ok_and(|device| computes(*device)),
        device,
        nvidia_driver: std::path::Path::new("/dev/nvidiactl").exists(),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        threads: tch::get_num_threads().max(0) as usize,
        memory_used: kilobytes("/proc/self/status", "VmRSS:"),
        memory_free: kilobytes("/proc/meminfo", "MemAvailable:"),
    }
}

impl Health {
    /// What is wrong, each with what to do about it; empty if all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match &self.libtorch {
            Some(version) if !is_release(version, LIBTORCH) => problems.push(format!(
                "libtorch {version} is loaded, but tch {} needs {LIBTORCH}: unset LIBTORCH and run `cargo course setup`",
                self.tch
            )),
            _ => {}
        }
        match &self.device {
            Err(advice) => problems.push(advice.clone()),
            Ok(_) if !self.computes => problems.push(
                "a small matrix product on the device failed or came out wrong: set LLM_COURSE_DEVICE=cpu and restart the kernel"
                    .into(),
            ),
            Ok(Device::Cpu) if self.nvidia_driver && std::env::var_os("LLM_COURSE_DEVICE").is_none() => problems
                .push(
                    "there is an NVIDIA driver, but this libtorch finds no card: run `cargo course setup`, which fetches the libtorch that can use it"
                        .into(),
                ),
            Ok(_) => {}
        }
        if self.threads > self.cores {
            problems.push(format!(
                "{} threads share {} cores and wait for each other: call tch::set_num_threads({})",
                self.threads, self.cores, self.cores
            ));
        }
        if let Some(free) = self.memory_free.filter(|free| *free < LESSON_MEMORY) {
            problems.push(format!(
                "{} of memory are free, a lesson may need {}: close other notebooks and programs",
                in_gib(free),
                in_gib(LESSON_MEMORY)
            ));
        }
        problems
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "cannot be asked on this system".to_owned();
        let device = match &self.device {
            Ok(Device::Cuda(index)) => format!("CUDA card {index}"),
            Ok(Device::Cpu) => "the processor (the course needs no card)".into(),
            Ok(other) => format!("{other:?}"),
            Err(_) => "none, see below".into(),
        };
        let memory = |bytes: Option<u64>| bytes.map_or_else(unknown, in_gib);
        writeln!(f, "llm_course     {}", self.crate_version)?;
        writeln!(f, "compiled by    {}", self.rustc)?;
        writeln!(f, "tch            {}", self.tch)?;
        writeln!(f, "libtorch       {}", self.libtorch.clone().unwrap_or_else(unknown))?;
        writeln!(f, "computing on   {device}")?;
        writeln!(f, "threads        {} on {} cores", self.threads, self.cores)?;
        writeln!(f, "memory held    {}", memory(self.memory_used))?;
        writeln!(f, "memory free    {}", memory(self.memory_free))?;
        let problems = self.problems();
        problems.iter().try_for_each(|problem| writeln!(f, "✗ {problem}"))?;
        if problems.is_empty() {
            write!(f, "✓ nothing is wrong")
        } else {
            write!(f, "{} to mend", problems.len())
        }
    }
}

/// Whether `version` (2.11.0) belongs to `release` (2.11).
fn is_release(version: &str, release: &str) -> bool {
    version.strip_prefix(release).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn in_gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// `[1 2; 3 4] · [1; 1]` on the device.
fn computes(device: Device) -> bool {
    let product = || -> Result<Vec<f64>, tch::TchError> {
        let left = Tensor::f_from_slice(&[1f32, 2.0, 3.0, 4.0])?.f_reshape([2, 2])?.f_to_device(device)?;
        let ones = Tensor::f_ones([2], (Kind::Float, device))?;
        Vec::<f64>::try_from(left.f_matmul(&ones)?.f_to_device(Device::Cpu)?)
    };
    product().is_ok_and(|sums| sums == [3.0, 7.0])
}

/// Asks the libtorch that is loaded, not the one that was compiled against.
fn loaded_libtorch() -> Option<String> {
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};
        let name = if cfg!(target_os = "macos") { "libtorch_cpu.dylib" } else { "libtorch_cpu.so" };
        // SAFETY: this process is linked to libtorch_cpu, so this only counts another user of it; the function
        // takes nothing and returns the version that libtorch was compiled with.
        let number = unsafe {
            let library = Library::open(Some(name), RTLD_LAZY | RTLD_LOCAL).ok()?;
            let version = library.get::<unsafe extern "C" fn() -> u64>(b"aoti_torch_abi_version\0").ok()?;
            version()
        };
        let part = |shift: u32| number >> shift & 0xff;
        Some(format!("{}.{}.{}", part(56), part(48), part(40)))
    }
    #[cfg(not(unix))]
    None
}

/// A line `name: 123 kB` of a file of the Linux kernel, in bytes.
fn kilobytes(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}
