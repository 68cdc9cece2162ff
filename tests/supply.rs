//! What comes in from elsewhere: pinned, checked, and never run by being opened.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use course::data::{SOURCES, Source, fetch, fetch_by};
use course::lab::{self, LabArgs};
use course::paths::Course;
use regex::Regex;
use serde_json::Value;

fn course() -> Course {
    Course::find().expect("tests run in the checkout")
}

/// All files below a folder of the checkout with one of these extensions.
fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![course().root.join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|own| extensions.iter().any(|wanted| own == *wanted)) {
                found.push(path);
            }
        }
    }
    found
}

// ---------------------------------------------------------------- pins

#[test]
fn every_crate_has_its_version_and_checksum_in_the_lock_file() {
    let root = course().root;
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let field = |package: &str, name: &str| {
        let line =
            package.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")).map(str::to_owned));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let mut own = BTreeSet::new();
    let mut pinned = 0;
    for package in lock.split("[[package]]").skip(1) {
        let name = field(package, "name").unwrap();
        match field(package, "source") {
            Some(source) => {
                assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "{name}");
                assert_eq!(field(package, "checksum").expect(&name).len(), 64, "{name}");
                pinned += 1;
            }
            None => drop(own.insert(name)),
        }
    }
    let members = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members =
        members.lines().find(|line| line.starts_with("members = ")).unwrap().matches(',').count() + 1;
    assert!(
        own.contains("course") && own.len() == members,
        "nothing but the workspace comes from a folder: {own:?}"
    );
    let toolchain = fs::read_to_string(root.join("rust-toolchain.toml")).unwrap();
    assert!(Regex::new(r#"channel = "\d+\.\d+\.\d+""#).unwrap().is_match(&toolchain), "{toolchain}");
    println!("{pinned} crates pinned by version and checksum");
}

#[test]
fn every_python_package_has_its_version_and_hash_in_a_list() {
    let pin = Regex::new(r"^[\w.-]+==[\w.+!]+( ?;.*?)?(\s+\\?\s*--hash=sha256:[0-9a-f]{64})+$").unwrap();
    let mut pinned = 0;
    for path in files("cli/requirements", &["txt"]) {
        let text = fs::read_to_string(&path).unwrap().replace("\\\n", "");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for line in lines {
            assert!(pin.is_match(line), "{}: {line}", path.display());
            pinned += 1;
        }
    }
    assert!(pinned > 200, "{pinned}");
    // One place calls pip, and there it takes nothing without a hash.
    let sources: String =
        files("cli/src", &["rs"]).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(sources.matches("\"pip\"").count(), 1);
    assert!(sources.contains("\"--no-deps\", \"--require-hashes\""));
    println!("{pinned} Python packages pinned by version and hash");
}

#[test]
fn unsafe_code_needs_a_comment_that_proves_it() {
    let root = course().root;
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let lint = "[workspace.lints.clippy]\nundocumented_unsafe_blocks = \"deny\"";
    assert!(read("Cargo.toml").contains(lint), "clippy, which CI runs, refuses the others");
    for member in ["lib", "cli"] {
        assert!(read(&format!("{member}/Cargo.toml")).contains("[lints]\nworkspace = true\n"), "{member}");
        for path in files(member, &["rs"]) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("allow(clippy::undocumented_unsafe_blocks"), "{}", path.display());
        }
    }
}

// ---------------------------------------------------------------- downloads

/// `printf right | sha256sum`
const RIGHT: &str = "27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9";

/// Answers one request with these bytes, after a promise of `length`.
fn serve(bytes: &'static [u8], length: usize) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}/text", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(bytes));
    });
    address
}

fn text_at(url: &str) -> Source<'_> {
    Source { name: "text", file: "text.txt", says: "", url, sha256: RIGHT }
}

/// Without encryption, as no download of the course is.
fn plain(url: &str) -> anyhow::Result<Vec<u8>> {
    ureq::get(url).call()?.body_mut().read_to_vec().context("cut off")
}

#[test]
fn a_download_is_what_it_should_be_or_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data");
    let cases: [(&[u8], usize, &str); 5] = [
        (b"wrong", 5, "its SHA-256 is"),
        (b"right ", 6, "its SHA-256 is"),
        (b"righ", 4, "its SHA-256 is"),
        (b"", 0, "its SHA-256 is"),
        (b"rig", 5, "cannot be downloaded"),
    ];
    for (bytes, length, says) in cases {
        let url = serve(bytes, length);
        let error = fetch_by(plain, &text_at(&url), std::slice::from_ref(&folder)).unwrap_err();
        assert!(format!("{error:#}").contains(says), "{bytes:?}: {error:#}");
        assert!(!folder.exists(), "nothing is left of {bytes:?}");
    }
    let url = serve(b"right", 5);
    let arrives = |url: &str| {
        let bytes = plain(url);
        assert!(!folder.exists(), "no file before it is whole and checked");
        bytes
    };
    let path = fetch_by(arrives, &text_at(&url), std::slice::from_ref(&folder)).unwrap();
    assert_eq!((fs::read(&path).unwrap(), fs::read_dir(&folder).unwrap().count()), (b"right".to_vec(), 1));
    fs::write(&path, "right, but changed since").unwrap();
    let never = |_: &str| panic!("it is there");
    let error = fetch_by(never, &text_at(&url), std::slice::from_ref(&folder)).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("remove it and try again"), "{error}");
    println!("{} wrong answers and a changed file refused, the right one placed whole", cases.len());
}

#[test]
fn a_download_without_encryption_is_refused_before_anything_is_sent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/text", listener.local_addr().unwrap());
    let place = tempfile::tempdir().unwrap();
    let error = fetch(&text_at(&url), &[place.path().into()]).unwrap_err();
    assert!(format!("{error:#}").contains("https"), "{error:#}");
    assert!(listener.accept().is_err(), "nobody connected");
    for source in SOURCES {
        assert!(source.url.starts_with("https://") && source.sha256.len() == 64, "{source:?}");
    }
}

// ---------------------------------------------------------------- JupyterLab

/// Ends JupyterLab with the test.
struct Lab(Child);

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        );
        let _ = self.0.wait();
    }
}

#[test]
fn jupyterlab_listens_on_this_machine_only_and_lets_nobody_in_without_its_token() {
    let course = course();
    assert!(course.venv_bin("jupyter").is_file(), "JupyterLab is missing: run `cargo course setup`");
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut args = LabArgs::default();
    (args.no_browser, args.port) = (true, Some(port));
    let mut command = lab::command(&course, &args);
    let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    assert!(words.contains(&"--ip=127.0.0.1".to_owned()), "{words:?}");
    let weak = ["token", "password", "allow_origin", "allow_remote", "xsrf", "unauthenticated"];
    assert!(!words.iter().any(|word| weak.iter().any(|weak| word.contains(weak))), "{words:?}");

    let own = tempfile::tempdir().unwrap();
    let log = fs::File::create(own.path().join("log")).unwrap();
    command.env_remove("JUPYTER_TOKEN").env("JUPYTER_CONFIG_DIR", own.path().join("config"));
    command.env("JUPYTER_RUNTIME_DIR", own.path().join("runtime"));
    let _lab = Lab(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let address =
        Regex::new(&format!(r"http://127\.0\.0\.1:{port}/lab\S*\?token=([0-9a-f]{{32,}})")).unwrap();
    let token = (0..1200).find_map(|_| {
        thread::sleep(Duration::from_millis(50));
        let log = fs::read_to_string(own.path().join("log")).unwrap();
        address.captures(&log).map(|found| found[1].to_owned())
    });
    let token = token.expect("JupyterLab says its address with a token");
    let listens = |_| {
        thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    };
    assert!((0..200).any(listens), "it says its address a little before it listens");

    let status = |path: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.get(format!("http://127.0.0.1:{port}{path}")).call().unwrap().status().as_u16()
    };
    let places = ["/api/contents", "/api/kernels", "/api/sessions", "/api/terminals", "/files/README.md"];
    for path in places {
        assert!(matches!(status(path), 302 | 403) || path.starts_with("/files"), "{path}: {}", status(path));
        assert_eq!(status(&format!("{path}?token=0{}", &token[1..])), status(path), "{path}: a wrong token");
    }
    assert_eq!(status("/api/contents"), 403);
    assert_eq!(status(&format!("/api/contents?token={token}")), 200);
    let mut closed = vec!["127.0.0.2".parse().unwrap()];
    closed.extend(outer_address());
    for address in &closed {
        assert!(
            TcpStream::connect_timeout(&(*address, port).into(), Duration::from_secs(2)).is_err(),
            "{address}"
        );
    }
    println!("{} places closed without the token, {} other addresses closed", places.len(), closed.len());
}

/// By which others would reach this machine; asking sends nothing.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

// ---------------------------------------------------------------- notebooks

/// What of a text would run, load or send something when it is shown as HTML.
fn active(html: &str) -> Option<String> {
    let signs = Regex::new(
        r"(?i)<\s*/?\s*(script|iframe|frame|object|embed|applet|form|link|meta|base|foreignobject|use|animate|set)\b|<[^>]*[\s/\x22']on\w+\s*=|javascript\s*:|vbscript\s*:|data\s*:\s*text/html|srcdoc\s*=",
    );
    signs.unwrap().find(html).map(|found| found.as_str().to_owned())
}

/// The first thing in a notebook that JupyterLab would only show if the notebook were trusted, or should not show.
fn trusted_only(notebook: &Value) -> Option<String> {
    if notebook["metadata"].get("widgets").is_some() {
        return Some("widgets".into());
    }
    let joined = |text: &Value| match text {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        text => text.as_str().unwrap_or_default().to_owned(),
    };
    let code = Regex::new(r"(?s)```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$").unwrap();
    for cell in notebook["cells"].as_array().unwrap() {
        if cell["metadata"].get("trusted").is_some() {
            return Some("a cell that says it is trusted".into());
        }
        if cell["cell_type"] == "markdown"
            && let Some(found) = active(&code.replace_all(&joined(&cell["source"]), ""))
        {
            return Some(found);
        }
        for output in cell["outputs"].as_array().into_iter().flatten() {
            for (kind, content) in output["data"].as_object().into_iter().flatten() {
                let found = match kind.as_str() {
                    "text/plain" | "image/png" => None,
                    "text/html" | "image/svg+xml" => active(&joined(content)),
                    other => Some(other.to_owned()),
                };
                if found.is_some() {
                    return found;
                }
            }
        }
    }
    None
}

#[test]
fn committed_notebooks_need_no_trust() {
    let mut notebooks = Vec::new();
    for folder in [course().notebooks(), course().solutions()] {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        notebooks.extend(entries.filter(|path| path.extension().is_some_and(|own| own == "ipynb")));
    }
    let read = |path: &Path| serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap();
    for path in &notebooks {
        assert_eq!(trusted_only(&read(path)), None, "{}", path.display());
    }
    assert_eq!(notebooks.len(), 24);

    let output = |kind: &str, content: &str| {
        serde_json::json!({"cells": [{"cell_type": "code", "metadata": {},
        "outputs": [{"output_type": "display_data", "data": {kind: [content]}}]}], "metadata": {}})
    };
    let markdown = |text: &str| {
        serde_json::json!({"cells": [{"cell_type": "markdown", "metadata": {}, "source": text}],
        "metadata": {}})
    };
    let active = [
        "<script>1</script>",
        "<SCRIPT src=x>",
        "<iframe src=x>",
        "<b onclick='1'>",
        "<img src=x onerror=alert(1)>",
        "<img/onload=1>",
        "<a href='javascript:1'>",
        "<svg onload=\"1\">",
        "<object data=x>",
        "<foreignObject>",
    ];
    for text in active {
        assert!(trusted_only(&output("text/html", text)).is_some(), "{text}");
        assert!(trusted_only(&output("image/svg+xml", text)).is_some(), "{text}");
        assert!(trusted_only(&markdown(text)).is_some(), "{text}");
    }
    for kind in
        ["application/javascript", "application/vnd.jupyter.widget-view+json", "text/markdown", "text/latex"]
    {
        assert!(trusted_only(&output(kind, "x")).is_some(), "{kind}");
    }
    let passive = ["<table><tr><td>one = 1</td></tr></table>", "<b style='color: red'>x</b> once = 2"];
    assert!(passive.iter().all(|text| trusted_only(&output("text/html", text)).is_none()));
    println!("{} notebooks need no trust; {} active texts found out", notebooks.len(), 3 * active.len());
}

// ---------------------------------------------------------------- weights

#[test]
fn nothing_calls_what_reads_pickles() {
    // libtorch's own readers, which open `.pt` and `.ot`, and those of Python in what the course ships.
    let readers = Regex::new(
        r"load_multi|loadz_multi|load_from_stream|Tensor::load\b|\bvs\.load|load_partial|CModule|tch::jit|torch\.load|pickle\.load|read_npz",
    );
    let readers = readers.unwrap();
    let mut files_read = 0;
    let own = [
        ("lib", ["rs", "py"]),
        ("cli", ["rs", "py"]),
        ("notebooks/source", ["md", "md"]),
        ("scaling", ["py", "rs"]),
    ];
    for path in own.iter().flat_map(|(folder, extensions)| files(folder, extensions)) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let found = code.filter(|line| readers.is_match(line)).collect::<Vec<_>>();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
        files_read += 1;
    }
    println!("{files_read} files call no reader of pickles");
}
