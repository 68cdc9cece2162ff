//! Set-up: what only the user can install is named in one line; steps resume, repeat and wait.

use std::cell::RefCell;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::time::Duration;

use course::paths::Course;
use course::setup::leftovers::prune;
use course::setup::steps::{Step, advice, carry_out, forget};

/// A checkout with nothing but what set-up looks at, and a PATH with nothing but what a test puts there.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for part in ["notebooks/source", "lib", "bin"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        std::fs::write(root.join("lib/Cargo.toml"), "").unwrap();
        std::fs::write(root.join("Cargo.lock"), "").unwrap();
        std::fs::write(root.join("rust-toolchain.toml"), "[toolchain]\nchannel = \"1.95.0\"\n").unwrap();
        Self { folder }
    }

    /// A shell script on the PATH.
    fn script(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn rustc(self, version: &str) -> Self {
        let sysroot = self.folder.path().join("sysroot");
        std::fs::create_dir_all(sysroot.join("lib/rustlib/src/rust/library/std")).unwrap();
        let text = format!(
            "case \"$1\" in --version) echo 'rustc {version} (x 2026-01-01)';; *) echo '{}';; esac",
            sysroot.display()
        );
        self.script("rustc", &text)
    }

    fn setup(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        command.arg("setup").current_dir(self.folder.path()).env_remove("LIBTORCH");
        command.env("PATH", self.folder.path().join("bin")).output().unwrap()
    }

    /// Set-up fails, and its last word is one line with these parts.
    #[track_caller]
    fn lacks(&self, parts: &[&str]) {
        let output = self.setup();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
    }
}

const PYTHON: &str = r#"case "$*" in *--version*) echo 'Python 3.11.0';; esac"#;

#[test]
fn missing_rust_is_named() {
    Machine::new().lacks(&["no rustc", "rustup"]);
}

#[test]
fn another_rust_is_named() {
    Machine::new().rustc("1.70.0").lacks(&["rustc is 1.70.0", "needs 1.95.0", "rustup"]);
}

#[test]
fn missing_compiler_is_named() {
    Machine::new().rustc("1.95.0").lacks(&["no C++ compiler", "apt install g++", "xcode-select"]);
}

#[test]
fn missing_python_is_named() {
    let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++");
    machine.lacks(&["no Python", "apt install python3"]);
}

#[test]
fn old_python_is_named() {
    let old = r#"case "$*" in *--version*) echo 'Python 3.8.1';; *version_info*) exit 1;; esac"#;
    let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++").script("python3", old);
    machine.lacks(&["Python 3.8.1 is too old", "3.10"]);
}

#[test]
fn missing_venv_is_named() {
    let bare = r#"case "$*" in *--version*) echo 'Python 3.11.0';; *version_info*) ;; *) exit 1;; esac"#;
    let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++").script("python3", bare);
    machine.lacks(&["lacks venv", "apt install python3-venv"]);
}

#[test]
fn missing_network_is_named_and_the_finished_step_stays_finished() {
    let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++").script("python3", PYTHON);
    // The environment's own Python is pip's; it has no network.
    let bin = machine.folder.path().join(".course/venv/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let offline = "#!/bin/sh\necho 'Temporary failure in name resolution'\nexit 1\n";
    std::fs::write(bin.join("python"), offline).unwrap();
    std::fs::set_permissions(bin.join("python"), std::fs::Permissions::from_mode(0o755)).unwrap();
    machine.lacks(&["no network", "cargo course setup", "goes on where it stopped"]);
    let stamps = machine.folder.path().join(".course/stamps");
    assert!(stamps.join("rust-src").is_file() && !stamps.join("jupyter").exists());
}

#[test]
fn outside_a_checkout_the_own_one_is_used() {
    // This program was built in a checkout, so that is what it finds from anywhere.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    let output = command.args(["data"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("tinyshakespeare"));
}

#[test]
fn causes_are_found_in_what_programs_say() {
    assert!(advice("x\nerror: Could not resolve host\n").starts_with("no network"));
    assert!(advice("x\nOSError: [Errno 28] No space left on device").starts_with("the disk is full"));
    assert!(advice("mkdir: Permission denied (os error 13)").starts_with("no permission"));
    assert_eq!(advice("a\nb\n\nc\nd\n"), "b | c | d");
}

// ---------------------------------------------------------------- steps

fn step<'a>(name: &'static str, text: &str, action: impl Fn() -> anyhow::Result<()> + 'a) -> Step<'a> {
    Step { name, says: name, depends_on: text.to_owned(), action: Box::new(action) }
}

#[test]
fn a_stopped_set_up_goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let done = RefCell::new(Vec::new());
    let run = |second_fails: bool, third: &str| {
        let note = |name| -> anyhow::Result<()> {
            done.borrow_mut().push(name);
            Ok(())
        };
        let steps = [
            step("one", "1", || note("one")),
            step("two", "1", || if second_fails { anyhow::bail!("stopped") } else { note("two") }),
            step("three", third, || note("three")),
        ];
        let result = carry_out(home.path(), || note("prepared"), &steps);
        (result.is_ok(), done.take())
    };
    assert_eq!(run(true, "1"), (false, vec!["prepared", "one"]));
    assert_eq!(run(false, "1"), (true, vec!["prepared", "two", "three"]));
    assert_eq!(run(false, "1"), (true, vec![]), "a second run does nothing");
    assert_eq!(run(false, "2"), (true, vec!["prepared", "three"]), "a changed step is done again");
}

#[test]
fn a_step_that_undoes_a_later_one_has_it_done_again() {
    let home = tempfile::tempdir().unwrap();
    let done = RefCell::new(Vec::new());
    let run = |first| {
        let undo = || {
            done.borrow_mut().push("first");
            forget(home.path(), "second");
            Ok(())
        };
        let again = || {
            done.borrow_mut().push("second");
            Ok(())
        };
        carry_out(home.path(), || Ok(()), &[step("first", first, undo), step("second", "1", again)]).unwrap();
        done.take()
    };
    assert_eq!(run("1"), ["first", "second"]);
    assert!(run("1").is_empty());
    assert_eq!(run("2"), ["first", "second"], "the second is not left undone");
}

#[test]
fn two_set_ups_at_once_wait_for_each_other() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (begun, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        let first = scope.spawn(move || {
            let slow = step("slow", "1", || {
                begun.send(())?;
                std::thread::sleep(Duration::from_millis(300));
                Ok(std::fs::write(home.join("made"), "whole")?)
            });
            carry_out(home, || Ok(()), &[slow]).unwrap();
        });
        wait.recv().unwrap();
        let again = step("slow", "1", || anyhow::bail!("done twice"));
        carry_out(home, || Ok(()), &[again]).unwrap();
        assert_eq!(std::fs::read_to_string(home.join("made")).unwrap(), "whole");
        first.join().unwrap();
    });
}

/// Set-up's child processes do not outlive it, and what it was killed in is done again.
#[test]
#[cfg(target_os = "linux")]
fn a_killed_set_up_leaves_no_process_and_no_stamp() {
    let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++");
    let folder = machine.folder.path().to_path_buf();
    let sleep = which("sleep");
    symlink(&sleep, folder.join("bin/sleep")).unwrap();
    let slow = r#"case "$*" in *--version*) echo 'Python 3.11.0';; *"-m venv"*) echo $$ > "$PWD/id"; exec sleep 60;; esac"#;
    let machine = machine.script("python3", slow);
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command.arg("setup").current_dir(&folder).env("PATH", folder.join("bin")).env_remove("LIBTORCH");
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let id = wait_for(|| std::fs::read_to_string(folder.join("id")).ok().filter(|id| id.ends_with('\n')));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(|| (!is_running(id.trim())).then_some(()));
    assert!(!machine.folder.path().join(".course/stamps/jupyter").exists());
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file()).unwrap()
}

fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(id).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[track_caller]
fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = what() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it did not happen within 10 s");
}

/// Each kernel's cells are compiled under a name of their own, and only the newest are kept.
#[test]
fn what_ended_kernels_left_is_bounded() {
    let root = tempfile::tempdir().unwrap();
    let course = Course { root: root.path().into() };
    let hour = Duration::from_secs(3600);
    let folder = |path: String, age: Duration| {
        let path = course.home().join(path);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::File::open(&path).unwrap().set_modified(std::time::SystemTime::now() - age).unwrap();
        path
    };
    let increments = "build/x86_64-unknown-linux-gnu/debug/incremental";
    let cells: Vec<PathBuf> = (1..=40).map(|n| folder(format!("{increments}/ctx-{n}"), hour * n)).collect();
    let busy: Vec<PathBuf> =
        (50..80).map(|n| folder(format!("{increments}/ctx-{n}"), Duration::ZERO)).collect();
    let course_crate = folder(format!("{increments}/llm_course-1"), hour * 5000);
    let (recent, forgotten) =
        (folder("tmp/kernel-1".into(), hour), folder("tmp/kernel-2".into(), hour * 200));

    assert_eq!(prune(&course), 41, "the 30 busy ones are the newest: all 40 ended ones go, and kernel-2");
    assert!(busy.iter().chain([&course_crate, &recent]).all(|path| path.is_dir()));
    assert!(!forgotten.exists() && cells.iter().all(|path| !path.exists()));

    let cells: Vec<PathBuf> = (1..=40).map(|n| folder(format!("{increments}/ctx-{n}"), hour * n)).collect();
    busy.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    assert_eq!(prune(&course), 24);
    assert!(cells[..16].iter().all(|path| path.is_dir()), "the newest 16 stay");
}
