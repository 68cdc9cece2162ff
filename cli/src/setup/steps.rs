//! Steps that are done once: a lock against two at a time, a stamp for each that is finished.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

/// A step: what it does, how long that usually takes, what it depends on, and how to do it.
pub struct Step<'a> {
    /// The stamp's name.
    pub name: &'static str,
    /// What the user reads.
    pub says: &'static str,
    /// When this text changes, the step is done again.
    pub depends_on: String,
    /// Must succeed again after it was stopped at any point.
    pub action: Box<dyn Fn() -> Result<()> + 'a>,
}

impl Step<'_> {
    fn hash(&self) -> String {
        format!("{:x}", Sha256::digest(self.depends_on.as_bytes()))
    }

    /// Whether the stamp below `home` says that nothing is to be done.
    pub fn is_done(&self, home: &Path) -> bool {
        fs::read_to_string(stamp(home, self.name)).is_ok_and(|done| done == self.hash())
    }
}

/// Does the steps that have no stamp below `home`, in order; `prepare` runs before the first of them.
///
/// # Errors
/// The first error; what was done before it keeps its stamp.
pub fn carry_out(home: &Path, prepare: impl FnOnce() -> Result<()>, steps: &[Step]) -> Result<()> {
    fs::create_dir_all(home.join("stamps")).with_context(|| unwritable(home))?;
    let _lock = lock(home)?;
    if steps.iter().any(|step| !step.is_done(home)) {
        prepare()?;
    }
    for step in steps {
        // Asked at its turn: an earlier step may have made it undone.
        if step.is_done(home) {
            continue;
        }
        perform(step)?;
        fs::write(stamp(home, step.name), step.hash()).with_context(|| unwritable(home))?;
    }
    Ok(())
}

fn unwritable(home: &Path) -> String {
    format!("{} cannot be written: give yourself the right to", home.display())
}

/// Makes a step count as not done.
pub fn forget(home: &Path, name: &str) {
    let _ = fs::remove_file(stamp(home, name));
}

fn stamp(home: &Path, name: &str) -> std::path::PathBuf {
    home.join("stamps").join(name)
}

/// Waits until no other set-up runs; the lock ends with this process, however that ends.
fn lock(home: &Path) -> Result<fs::File> {
    let lock = fs::File::create(home.join("setup.lock")).with_context(|| unwritable(home))?;
    if lock.try_lock().is_err() {
        println!("another set-up is running; waiting for it");
        lock.lock().context("waiting for the other set-up failed")?;
    }
    Ok(lock)
}

fn perform(step: &Step) -> Result<()> {
    let start = Instant::now();
    if !std::io::stderr().is_terminal() {
        println!("        {} …", step.says);
    }
    let bar = ProgressBar::new_spinner().with_message(step.says);
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").expect("a valid template"));
    bar.enable_steady_tick(Duration::from_millis(200));
    let result = (step.action)();
    bar.finish_and_clear();
    result.with_context(|| format!("set-up stopped at: {}", step.says))?;
    println!("{:>5.0} s {}", start.elapsed().as_secs_f64(), step.says);
    Ok(())
}

/// Runs a program with its output in `<home>/log/<name>.log`; the program ends when this one does.
///
/// # Errors
/// What to do, if the output tells; else its last lines.
pub fn run(home: &Path, name: &str, command: &mut Command) -> Result<()> {
    fs::create_dir_all(home.join("log"))?;
    let path = home.join("log").join(format!("{name}.log"));
    let log = fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    end_with_this_thread(command);
    // By default pip and cargo wait ever longer for a network that is not there, for more than 10 s in all.
    for (variable, tries) in [("PIP_RETRIES", "3"), ("CARGO_NET_RETRY", "2")] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, tries);
        }
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("{program} does not start"))?;
    if !status.success() {
        bail!("{}; all that it said is in {}", advice(&fs::read_to_string(&path)?), path.display());
    }
    Ok(())
}

/// What to do about a program that failed with this output.
pub fn advice(output: &str) -> String {
    const NETWORK: [&str; 9] = [
        "name resolution",
        "Name or service not known",
        "Could not resolve",
        "nodename nor servname",
        "unreachable",
        "onnection refused",
        "onnection timed out",
        "ConnectTimeout",
        "Could not connect",
    ];
    if NETWORK.iter().any(|sign| output.contains(sign)) {
        return "no network: connect, then run `cargo course setup` again; it goes on where it stopped"
            .into();
    }
    if output.contains("DO NOT MATCH THE HASHES") {
        let package =
            output.lines().skip_while(|line| !line.contains("DO NOT MATCH")).nth(1).unwrap_or_default();
        let package = package.trim().split(" from ").next().unwrap_or_default();
        return format!(
            "{package} was not installed, for its bytes are not those that the course was tested with: try again, or \
             from another network"
        );
    }
    if output.contains("No space left") {
        return "the disk is full: make room for 8 GB, then run `cargo course setup` again".into();
    }
    if output.contains("Permission denied") || output.contains("Read-only file system") {
        return "no permission to write: give yourself the right to, then run `cargo course setup` again"
            .into();
    }
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" | ")
}

#[cfg(target_os = "linux")]
fn end_with_this_thread(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let parent = rustix::process::getpid();
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
            // The parent may have ended before it asked for the signal.
            let orphaned = rustix::process::getppid() != Some(parent);
            if orphaned { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_this_thread(_command: &mut Command) {}
