//! The processes of a run: what they hold, and their end, which none may outlive.

use std::path::Path;

use anyhow::Result;
use rustix::process::{Pid, Signal};

/// Ends a process group when dropped.
pub struct EndGroup(pub Pid);

impl Drop for EndGroup {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process_group(self.0, Signal::KILL);
    }
}

/// Asks Linux to end the kernel when this thread ends, even by SIGKILL.
pub fn end_with_this_thread(command: &mut tokio::process::Command) {
    #[cfg(target_os = "linux")]
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Into::into)
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// The most memory that each process of a group has held, added up, in bytes; only Linux tells.
pub fn peak_memory(group: Pid) -> Option<u64> {
    let read = |folder: &Path, file| std::fs::read_to_string(folder.join(file)).ok();
    let is_member = |folder: &Path| {
        let stat = read(folder, "stat")?;
        let fields = stat.rsplit_once(") ")?.1; // state, parent, group, …
        Some(fields.split(' ').nth(2)? == group.to_string())
    };
    let folders = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let kibibytes = folders.filter(|folder| is_member(folder) == Some(true)).filter_map(|folder| {
        let status = read(&folder, "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(1024 * kibibytes.sum::<u64>()).filter(|&bytes| bytes > 0)
}

/// A temporary folder for one kernel, below `above`; those of runs that were killed are removed first.
///
/// evcxr makes its folders in TMPDIR and, being killed, leaves them, so each kernel gets one of its own.
pub fn kernel_folder(above: &Path) -> Result<tempfile::TempDir> {
    std::fs::create_dir_all(above)?;
    for folder in std::fs::read_dir(above)?.flatten().map(|entry| entry.path()) {
        if runner_of(&folder).is_some_and(has_ended) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
    let prefix = format!("llm-course-{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(above)?)
}

/// The process whose kernel works in a folder `llm-course-<id>-…`.
fn runner_of(folder: &Path) -> Option<Pid> {
    let name = folder.file_name()?.to_str()?;
    Pid::from_raw(name.strip_prefix("llm-course-")?.split('-').next()?.parse().ok()?)
}

fn has_ended(process: Pid) -> bool {
    rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH)
}
