//! One running kernel: start, execute, end without leaving a process behind.

use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jupyter_protocol::{
    ConnectionInfo, ExecuteRequest, InterruptRequest, JupyterKernelspec, JupyterMessage, KernelInfoRequest,
};
use jupyter_zmq_client as zmq;
use rustix::process::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::messages::{connection, is_idle, read};
use super::outputs::Collected;
use super::process::{EndGroup, end_with_this_thread, kernel_folder, peak_memory};
use super::strict::GRACE;

/// How long a kernel may take to answer for the first time: it compiles a first cell on its own, for
/// which it may have to wait for another cargo's lock.
const START: Duration = Duration::from_secs(120);
/// Another kernel can take a port between choosing and binding it; then the start is tried again.
const STARTS: usize = 3;
/// An interrupted kernel is idle after 0.1 s, unless it was still compiling the cell.
const INTERRUPT: Duration = Duration::from_secs(3);

/// A kernel in a process group of its own, with a temporary folder of its own.
pub struct Kernel {
    child: Child,
    group: Pid,
    shell: zmq::DealerSendConnection,
    control: zmq::ClientControlConnection,
    iopub: zmq::ClientIoPubConnection,
    replies: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

/// How the execution of a cell ended.
pub enum Ended {
    /// The kernel is idle again.
    Idle,
    /// The time was over; the cell has been interrupted, and the variables of all cells are gone.
    TimeOut,
    /// The kernel's process is gone.
    Died(ExitStatus),
}

impl Kernel {
    /// Starts the kernel of a `kernel.json` in a working directory and waits until it answers.
    ///
    /// # Errors
    /// If the kernelspec is missing (`cargo course setup` makes it) or the kernel does not answer.
    pub async fn start(kernelspec: &Path, folder: &Path, env: &[(&str, Option<&str>)]) -> Result<Self> {
        let text = std::fs::read_to_string(kernelspec)
            .with_context(|| format!("no kernel at {}: run `cargo course setup`", kernelspec.display()))?;
        let spec: JupyterKernelspec = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged: run `cargo course setup`", kernelspec.display()))?;
        let mut tried = 1;
        loop {
            match Self::try_start(&spec, folder, env).await {
                Err(_) if tried < STARTS => tried += 1,
                result => return result.context("the kernel does not start: run `cargo course doctor`"),
            }
        }
    }

    async fn try_start(spec: &JupyterKernelspec, cwd: &Path, env: &[(&str, Option<&str>)]) -> Result<Self> {
        let above = spec.env.as_ref().and_then(|env| env.get("TMPDIR")).map(Path::new);
        let above = above.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = kernel_folder(&above)?;
        let (info, ports) = connection().await?;
        let file = folder.path().join("connection.json");
        std::fs::write(&file, serde_json::to_string(&info)?)?;
        let log = std::fs::File::create(folder.path().join("kernel.log"))?;
        let named =
            zmq::KernelspecDir { kernel_name: "rust".into(), path: cwd.into(), kernelspec: spec.clone() };
        let mut command = named.command(&file, Some(log.into()), None)?;
        command.current_dir(cwd).env("TMPDIR", folder.path()).process_group(0).kill_on_drop(true);
        for (name, value) in env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        end_with_this_thread(&mut command);
        let child = command.spawn().with_context(|| format!("{} cannot be started", spec.argv[0]))?;
        drop(ports);
        let group = child.id().and_then(|id| Pid::from_raw(id as i32)).context("the kernel has no id")?;
        let guard = EndGroup(group);
        let kernel = timeout(START, Self::connect(child, group, folder, &info)).await;
        let kernel = kernel.context("the kernel does not answer")??;
        std::mem::forget(guard);
        Ok(kernel)
    }

    async fn connect(
        mut child: Child,
        group: Pid,
        folder: tempfile::TempDir,
        info: &ConnectionInfo,
    ) -> Result<Self> {
        let session = uuid::Uuid::new_v4().to_string();
        // The kernel binds iopub last: when it accepts, all accept. The client would wait ever longer
        // between its tries, so each is cut off early.
        let iopub = loop {
            let tried = zmq::create_client_iopub_connection(info, "", &session);
            if let Ok(Ok(iopub)) = timeout(Duration::from_millis(40), tried).await {
                break iopub;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the kernel ended while starting ({status})");
            }
        };
        let control = zmq::create_client_control_connection(info, &session).await?;
        let identity = zmq::peer_identity_for_session(&session)?;
        let shell = zmq::create_client_shell_connection_with_identity(info, &session, identity).await?;
        let (shell, mut replies) = shell.split();
        // Everything needed comes on iopub; replies (which carry no reason of an error) are only drained.
        let replies = tokio::spawn(async move {
            loop {
                if replies.read().await.is_err() {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let mut kernel = Self { child, group, shell, control, iopub, replies, folder };
        kernel.wait_until_heard().await?;
        Ok(kernel)
    }

    /// Asks for the kernel's info until an answer is seen on iopub, where a subscription takes time.
    async fn wait_until_heard(&mut self) -> Result<()> {
        let mut asked = Vec::new();
        loop {
            let request = JupyterMessage::from(KernelInfoRequest {});
            asked.push(request.header.msg_id.clone());
            self.shell.send(request).await?;
            let heard = timeout(Duration::from_millis(500), async {
                loop {
                    let message = read(&mut self.iopub).await;
                    if asked.iter().any(|id| is_idle(&message, id)) {
                        break;
                    }
                }
            });
            if heard.await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the kernel ended while starting ({status})");
            }
        }
    }

    /// Executes code and collects its outputs, also those that come up to [`GRACE`] after its end.
    pub async fn execute(
        &mut self,
        code: &str,
        execution_count: usize,
        limit: Duration,
    ) -> Result<(Collected, Ended)> {
        let mut request = ExecuteRequest::new(code.to_owned());
        request.allow_stdin = false;
        let request = JupyterMessage::from(request);
        let id = request.header.msg_id.clone();
        let mut collected = Collected::default();
        if let Some(status) = self.child.try_wait()? {
            return Ok((collected, Ended::Died(status)));
        }
        self.shell.send(request).await?;
        let begun = Instant::now();
        let end = begun + limit;
        let ended = loop {
            tokio::select! {
                message = read(&mut self.iopub) => {
                    if is_idle(&message, &id) { break Ended::Idle; }
                    collected.add(message.content, execution_count);
                }
                status = self.child.wait() => break Ended::Died(status?),
                () = tokio::time::sleep_until(end.into()) => break Ended::TimeOut,
            }
        };
        collected.took = begun.elapsed();
        if matches!(ended, Ended::TimeOut) {
            self.interrupt(&id, &mut collected, execution_count).await;
        }
        self.listen(&mut collected, execution_count, GRACE).await;
        collected.cut_libtorch_frames();
        Ok((collected, ended))
    }

    /// Adds what arrives until a line is on stderr, at most for a while; says whether it came.
    pub async fn listen_for(&mut self, line: &str, collected: &mut Collected, longest: Duration) -> bool {
        let heard = timeout(longest, async {
            while !collected.stderr().contains(line) {
                collected.add(read(&mut self.iopub).await.content, 0);
            }
        });
        heard.await.is_ok()
    }

    /// Does what *Interrupt Kernel* does and waits until the cell has ended: evcxr ends the process that runs the
    /// cells; what it has printed so far still arrives.
    async fn interrupt(&mut self, cell: &str, collected: &mut Collected, execution_count: usize) {
        let _ = self.control.send(JupyterMessage::from(InterruptRequest {})).await;
        let idle = timeout(INTERRUPT, async {
            loop {
                let message = read(&mut self.iopub).await;
                if is_idle(&message, cell) {
                    break;
                }
                collected.add(message.content, execution_count);
            }
        });
        let _ = idle.await;
    }

    /// Adds what arrives until nothing has arrived for a while.
    async fn listen(&mut self, collected: &mut Collected, execution_count: usize, quiet: Duration) {
        while let Ok(message) = timeout(quiet, read(&mut self.iopub)).await {
            collected.add(message.content, execution_count);
        }
    }

    /// The most memory that the kernel and the process of its cells have held, in bytes, if the system tells.
    pub fn peak_memory(&self) -> Option<u64> {
        peak_memory(self.group)
    }

    /// The last line that the kernel itself wrote to its log.
    pub fn last_words(&self) -> Option<String> {
        let log = std::fs::read_to_string(self.folder.path().join("kernel.log")).ok()?;
        log.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.replies.abort();
        drop(EndGroup(self.group));
        // Collect the kernel's own exit, then wait until its children are gone too.
        for _ in 0..100 {
            let reaped = !matches!(self.child.try_wait(), Ok(None));
            if reaped && rustix::process::test_kill_process_group(self.group).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
