//! Set-up: what only the user can install is named in one line; steps resume, repeat and wait.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use course::paths::Course;
use course::setup::leftovers::prune;
use course::setup::steps::{Step, advice, carry_out, forget};
use sha2::{Digest, Sha256};

mod cases;
use cases::cases;

/// A checkout with nothing but what set-up looks at, and a PATH with nothing but what a test puts there.
struct Machine {
    root: PathBuf,
    /// The only folder on the PATH.
    bin: PathBuf,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self::named("course")
    }

    /// The checkout's folder has this name.
    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().canonicalize().unwrap();
        let (root, bin) = (above.join("checkout").join(name), above.join("bin"));
        for part in [root.join("notebooks/source"), root.join("lib"), bin.clone()] {
            std::fs::create_dir_all(part).unwrap();
        }
        std::fs::write(root.join("lib/Cargo.toml"), "").unwrap();
        std::fs::write(root.join("Cargo.lock"), "").unwrap();
        std::fs::write(root.join("rust-toolchain.toml"), "[toolchain]\nchannel = \"1.95.0\"\n").unwrap();
        Self { root, bin, _folder: folder }
    }

    /// A shell script on the PATH.
    fn script(self, name: &str, text: &str) -> Self {
        let path = self.bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn rustc(self, version: &str) -> Self {
        let sysroot = self.bin.with_file_name("sysroot");
        std::fs::create_dir_all(sysroot.join("lib/rustlib/src/rust/library/std")).unwrap();
        let text = format!(
            "case \"$1\" in --version) echo 'rustc {version} (x 2026-01-01)';; *) echo '{}';; esac",
            sysroot.display()
        );
        self.script("rustc", &text)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
        command.arg("setup").current_dir(&self.root).env_remove("LIBTORCH");
        command.env("PATH", &self.bin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The PATH with the system's programs after the machine's own.
    fn long_path(&self) -> std::ffi::OsString {
        std::env::join_paths([self.bin.clone(), "/usr/bin".into(), "/bin".into()]).unwrap()
    }

    fn setup(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Set-up fails, and its last word is one line with these parts.
    #[track_caller]
    fn lacks(&self, parts: &[&str]) {
        refuses(&self.setup(), parts);
    }
}

/// Set-up failed, and its last word is one line with these parts.
#[track_caller]
fn refuses(output: &Output, parts: &[&str]) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
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
    let bin = machine.root.join(".course/venv/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let offline = "#!/bin/sh\necho 'Temporary failure in name resolution'\nexit 1\n";
    std::fs::write(bin.join("python"), offline).unwrap();
    std::fs::set_permissions(bin.join("python"), std::fs::Permissions::from_mode(0o755)).unwrap();
    machine.lacks(&["no network", "cargo course setup", "goes on where it stopped"]);
    let stamps = machine.root.join(".course/stamps");
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
    assert!(advice("touch: Read-only file system (os error 30)").starts_with("no permission"));
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
    let folder = machine.root.to_path_buf();
    let sleep = which("sleep");
    symlink(&sleep, machine.bin.join("sleep")).unwrap();
    let slow = r#"case "$*" in *--version*) echo 'Python 3.11.0';; *"-m venv"*) echo $$ > "$PWD/id"; exec sleep 60;; esac"#;
    let machine = machine.script("python3", slow);
    let mut command = Command::new(env!("CARGO_BIN_EXE_course"));
    command.arg("setup").current_dir(&folder).env("PATH", &machine.bin).env_remove("LIBTORCH");
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let id = wait_for(|| std::fs::read_to_string(folder.join("id")).ok().filter(|id| id.ends_with('\n')));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(|| (!is_running(id.trim())).then_some(()));
    assert!(!machine.root.join(".course/stamps/jupyter").exists());
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

// ---------------------------------------------------------------- a whole set-up

/// Stands for `python3` and for the environment's own Python. What it makes is half done for a while.
const QUICK_PYTHON: &str = r#"PATH=/usr/bin:/bin
case "$*" in
*--version*) echo 'Python 3.11.0' ;;
*"-m venv"*)
    echo "$*" >> "$PWD/did"
    for folder; do :; done
    rm -rf "$folder" && sleep 0.02 && mkdir -p "$folder/bin" "$folder/lib/python3.11/site-packages" && sleep 0.02
    cp "$0" "$folder/bin/python" ;;
*"-m pip install"*)
    for list; do :; done
    echo "pip $(basename "$list")" >> "$PWD/did"
    made=$(dirname "$0")/../lib/python3.11/site-packages
    mkdir -p "$made/torch" && echo half > "$made/$(basename "$list")" && sleep 0.02
    echo whole > "$made/$(basename "$list")"
    echo "__version__ = '2.11.0'" > "$made/torch/version.py" ;;
esac"#;

/// Stands for `cargo install` and `cargo vendor`.
const QUICK_CARGO: &str = r#"PATH=/usr/bin:/bin
echo "cargo $1" >> "$PWD/did"
for folder; do :; done
[ "$1" = install ] && folder=$folder/bin
mkdir -p "$folder" && echo half > "$folder/made" && sleep 0.03 && echo whole > "$folder/made""#;

/// Set-up takes moments here: all its steps but the last, which needs a kernel and counts as done.
fn quick_machine(name: &str) -> Machine {
    let machine = Machine::named(name).rustc("1.95.0").script("c++", "echo c++");
    let machine = machine.script("python3", QUICK_PYTHON).script("cargo", QUICK_CARGO);
    machine.has_done(|step| step == "warm");
    machine
}

impl Machine {
    /// The stamp of a step that depends on this.
    fn stamp(&self, step: &str, depends_on: &str) {
        let stamps = self.root.join(".course/stamps");
        std::fs::create_dir_all(&stamps).unwrap();
        std::fs::write(stamps.join(step), format!("{:x}", Sha256::digest(depends_on))).unwrap();
    }

    /// The stamps of these steps, made with its own libtorch.
    fn has_done(&self, these: impl Fn(&str) -> bool) {
        self.has_done_with(&self.root.join(".course/libtorch"), these);
    }

    fn has_done_with(&self, libtorch: &Path, these: impl Fn(&str) -> bool) {
        let course = Course { root: self.root.clone() };
        for step in course::setup::steps(&course).unwrap().iter().filter(|step| these(step.name)) {
            // The test itself may run with another LIBTORCH.
            let of_test = course.libtorch();
            let depends_on = step.depends_on.replace(of_test.to_str().unwrap(), libtorch.to_str().unwrap());
            self.stamp(step.name, &depends_on);
        }
    }

    /// All that set-up has made, but for logs.
    fn made(&self) -> BTreeMap<PathBuf, String> {
        let mut made = BTreeMap::new();
        let mut folders = vec![self.root.join(".course")];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.strip_prefix(&self.root).unwrap().to_path_buf();
                if name.ends_with("log") || name.ends_with("stamps") {
                    continue;
                }
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    let content = std::fs::read_link(&path).map(|to| to.display().to_string());
                    let content = content.or_else(|_| std::fs::read_to_string(&path)).unwrap();
                    made.insert(name, content.replace(self.bin.parent().unwrap().to_str().unwrap(), "HERE"));
                }
            }
        }
        made
    }

    fn did(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.root.join("did")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[track_caller]
fn is_ready(output: &Output) {
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success() && text.ends_with("ready: cargo course\n"), "{text}");
}

/// `LLM_COURSE_CASES` sets how many set-ups are interrupted.
#[test]
fn a_set_up_interrupted_at_any_moment_ends_well_when_it_is_run_again() {
    use rustix::process::{Pid, Signal, kill_process};
    let cases = cases(20);
    let whole = quick_machine("course");
    let begun = Instant::now();
    is_ready(&whole.setup());
    let takes = begun.elapsed();
    let expected = whole.made();
    assert!(expected.len() > 12 && !expected.values().any(|content| content == "half\n"), "{expected:?}");

    let mut stopped = 0;
    for case in 0..cases {
        let machine = quick_machine("course");
        let mut child = machine.command().spawn().unwrap();
        let random = RandomState::new().hash_one(case) as f64 / u64::MAX as f64;
        std::thread::sleep(takes.mul_f64(random));
        let signal = [Signal::KILL, Signal::TERM, Signal::INT][case % 3];
        kill_process(Pid::from_child(&child), signal).unwrap();
        stopped += usize::from(!child.wait().unwrap().success());
        is_ready(&machine.setup());
        let made = machine.made();
        let names: std::collections::BTreeSet<_> = made.keys().chain(expected.keys()).collect();
        let differ: Vec<_> =
            names.into_iter().filter(|name| made.get(*name) != expected.get(*name)).collect();
        assert!(differ.is_empty(), "after {random} of a set-up by {signal:?}: {differ:?}");
    }
    assert!(stopped * 3 > cases * 2, "only {stopped} were stopped before their end");
    println!(
        "{cases} set-ups interrupted at random, {stopped} of them before their end, run again: all ready"
    );
}

#[test]
fn two_whole_set_ups_at_once_do_each_step_once() {
    let machine = quick_machine("course");
    let children = [(); 2].map(|()| machine.command().spawn().unwrap());
    let outputs = children.map(|child| child.wait_with_output().unwrap());
    outputs.iter().for_each(is_ready);
    let waited = |output: &&Output| String::from_utf8_lossy(&output.stdout).contains("waiting for it");
    assert_eq!(outputs.iter().filter(waited).count(), 1, "{outputs:?}");
    let mut did = machine.did();
    did.sort();
    did.dedup();
    assert_eq!((did.len(), machine.did().len()), (7, 7), "{did:?}");
    println!("2 set-ups at once: {} actions, each done once", did.len());
}

#[test]
fn folders_that_the_kernel_cannot_work_in_are_refused_and_letters_of_any_alphabet_are_not() {
    let names = ["My Course", "no\u{a0}break", "a:b", "a;b", "it's", "a\"b", "a$b", "a`b", "a\\b", "a%b"];
    for name in names {
        let machine = quick_machine(name);
        machine.lacks(&["cannot work below", name, "move the course's folder"]);
        assert!(!machine.root.join("did").exists(), "nothing is installed first");
    }
    let fine = ["Übung-für-später", "курс", "講座_(2)", "a.b,c+d@e~f#g&i"];
    for name in fine {
        is_ready(&quick_machine(name).setup());
    }
    println!("{} folders refused, {} not", names.len(), fine.len());
}

#[test]
fn a_wrong_libtorch_is_named_before_anything_is_installed() {
    let libtorch = tempfile::tempdir().unwrap();
    let cases = [
        ("version.py", "__version__ = '2.5.1+cu124'\n", "is libtorch 2.5.1+cu124, the course needs 2.11.0"),
        ("build-version", "2.12.0\n", "is libtorch 2.12.0, the course needs 2.11.0"),
        ("build-version", "2.1\n", "is libtorch 2.1, the course needs 2.11.0"),
    ];
    let machine = quick_machine("course");
    let setup = |folder: &Path| machine.command().env("LIBTORCH", folder).output().unwrap();
    for (file, text, says) in cases {
        std::fs::write(libtorch.path().join(file), text).unwrap();
        refuses(&setup(libtorch.path()), &[says, "unset LIBTORCH"]);
    }
    refuses(&setup(Path::new("/nowhere")), &["no libtorch at /nowhere", "unset LIBTORCH"]);
    assert!(!machine.root.join("did").exists());
    std::fs::write(libtorch.path().join("build-version"), "2.11.0+cpu\n").unwrap();
    machine.has_done_with(libtorch.path(), |step| step == "warm");
    is_ready(&setup(libtorch.path()));
    println!("{} wrong folders in LIBTORCH named, the right one taken", cases.len() + 1);
}

/// Root may write everywhere but on a read-only mount.
#[test]
#[cfg(target_os = "linux")]
fn a_read_only_folder_is_named() {
    let mount =
        r#"mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD" && exec "$0" "$@""#;
    for begun in [false, true] {
        let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++").script("python3", PYTHON);
        if begun {
            machine.stamp("rust-src", "another toolchain");
        }
        let mut command = Command::new("unshare");
        command.args([
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            mount,
            env!("CARGO_BIN_EXE_course"),
            "setup",
        ]);
        let path = machine.long_path();
        let output = command.current_dir(&machine.root).env("PATH", path).env_remove("LIBTORCH").output();
        let output = output.unwrap();
        if String::from_utf8_lossy(&output.stderr).starts_with("unshare:") {
            return println!("not tested: this system lets nobody make a mount");
        }
        refuses(&output, &[".course cannot be written: give yourself the right to", "ead-only"]);
    }
    println!("2 read-only folders named");
}

/// Real pip and real cargo in a namespace that has no network.
#[test]
#[cfg(target_os = "linux")]
fn without_network_pip_and_cargo_give_up_within_10_seconds() {
    let cases = [("jupyter", ".course/jupyter.txt"), ("kernel", ".course/log/kernel.log")];
    for (step, begins) in cases {
        let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++");
        for program in ["python3", if step == "kernel" { "cargo" } else { "true" }] {
            symlink(which(program), machine.bin.join(program)).unwrap();
        }
        if step == "kernel" {
            machine.has_done(|other| other != step);
        }
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", env!("CARGO_BIN_EXE_course"), "setup"]);
        command.current_dir(&machine.root).env_remove("LIBTORCH").env_remove("PIP_FIND_LINKS");
        let output = command.env("PATH", machine.long_path()).output().unwrap();
        if String::from_utf8_lossy(&output.stderr).starts_with("unshare:") {
            return println!("not tested: this system lets nobody cut off the network");
        }
        let end = SystemTime::now();
        refuses(&output, &["no network: connect, then run `cargo course setup` again"]);
        let begun = machine.root.join(begins).metadata().unwrap().created().unwrap();
        let took = end.duration_since(begun).unwrap();
        assert!(took < Duration::from_secs(10), "{step}: {took:?}");
        println!("no network: {step} says so after {:.1} s", took.as_secs_f64());
    }
}

/// A mirror serves another file under the name of a package.
#[test]
fn a_package_with_other_bytes_is_not_installed() {
    let machine = Machine::new().rustc("1.95.0").script("c++", "echo c++");
    symlink(which("python3"), machine.bin.join("python3")).unwrap();
    machine.has_done(|step| step != "typst");
    let (venv, mirror) = (machine.root.join(".course/venv"), machine.root.join("mirror"));
    let made = Command::new(which("python3")).args(["-m", "venv"]).arg(&venv).status().unwrap();
    assert!(made.success());
    std::fs::create_dir(&mirror).unwrap();
    std::fs::write(mirror.join("typst-0.15.2-py3-none-any.whl"), "other bytes").unwrap();
    let output = machine
        .command()
        .env("PATH", machine.long_path())
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", &mirror)
        .output()
        .unwrap();
    refuses(&output, &["typst==0.15.2 was not installed", "its bytes are not those"]);
    assert!(!machine.root.join(".course/stamps/typst").exists());
}
