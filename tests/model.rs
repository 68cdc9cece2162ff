//! `cargo course model` against a hub on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use course::model::fetch;
use hf_hub::api::sync::ApiBuilder;
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// What the hub has: files of one model, and what it says the hash of the weights is.
#[derive(Clone)]
struct Hub {
    files: Vec<(&'static str, Vec<u8>)>,
    hash: String,
}

impl Hub {
    fn new() -> Self {
        let weights = vec![7; 100_000];
        let hash = format!("{:x}", Sha256::digest(&weights));
        let files = [
            ("config.json", b"{\"model_type\": \"bert\"}".to_vec()),
            ("model.safetensors", weights),
            ("tokenizer.json", b"{}".to_vec()),
            ("1_Pooling/config.json", b"{\"pooling_mode_mean_tokens\": true}".to_vec()),
            ("pytorch_model.bin", b"a pickle".to_vec()),
        ];
        Self { files: files.to_vec(), hash }
    }

    /// Answers in another thread; its address.
    fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                self.answer(stream.unwrap());
            }
        });
        address
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let request = lines.next().unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default().to_string();
        let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let range = headers.iter().find_map(|line| line.strip_prefix("Range: bytes=")).unwrap_or("0-");
        let (status, extra, body) = self.reply(&path, range);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{extra}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).unwrap_or_default();
    }

    fn reply(&self, path: &str, range: &str) -> (&'static str, String, Vec<u8>) {
        if path == "/api/models/cats/tiny/revision/main" {
            let names: Vec<_> =
                self.files.iter().map(|(name, _)| format!("{{\"rfilename\": \"{name}\"}}")).collect();
            let list = format!("{{\"sha\": \"{COMMIT}\", \"siblings\": [{}]}}", names.join(", "));
            return ("200 OK", "Content-Type: application/json\r\n".into(), list.into_bytes());
        }
        let file = self.files.iter().find(|(name, _)| path == format!("/cats/tiny/resolve/main/{name}"));
        let Some((name, bytes)) = file else { return ("404 Not Found", String::new(), Vec::new()) };
        let (first, last) = range.split_once('-').unwrap();
        let (first, last) = (first.parse().unwrap(), last.parse().unwrap_or(bytes.len() - 1));
        let etag = if *name == "model.safetensors" {
            self.hash.clone()
        } else {
            format!("{:x}", Sha256::digest(bytes))[..40].into()
        };
        let extra = format!(
            "Content-Range: bytes {first}-{last}/{}\r\nETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\n",
            bytes.len()
        );
        ("206 Partial Content", extra, bytes[first..=last].to_vec())
    }
}

fn builder(endpoint: &str, cache: &Path) -> ApiBuilder {
    ApiBuilder::new().with_endpoint(endpoint.into()).with_cache_dir(cache.into()).with_token(None)
}

#[test]
fn a_model_comes_with_all_it_needs_and_without_its_pickle() {
    let (cache, hub) = (tempfile::tempdir().unwrap(), Hub::new());
    let address = hub.clone().start();
    let folder = fetch("cats/tiny", builder(&address, cache.path())).unwrap();
    for (name, bytes) in &hub.files {
        let found = std::fs::read(folder.join(name)).ok();
        assert_eq!(found.as_ref(), Some(bytes).filter(|_| *name != "pytorch_model.bin"), "{name}");
    }
    // Where find_model looks: the snapshot that refs/main names.
    let model = cache.path().join("models--cats--tiny");
    assert_eq!(std::fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(folder.canonicalize().unwrap(), model.join("snapshots").join(COMMIT).canonicalize().unwrap());
}

#[test]
fn weights_with_another_hash_are_refused_and_removed() {
    let cache = tempfile::tempdir().unwrap();
    let wrong = Hub { hash: "ab".repeat(32), ..Hub::new() }.start();
    let message = fetch("cats/tiny", builder(&wrong, cache.path())).unwrap_err().to_string();
    assert!(message.contains("its SHA-256 differs"), "{message}");
    let right = Hub::new().start();
    let folder = fetch("cats/tiny", builder(&right, cache.path())).unwrap();
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), vec![7; 100_000], "and comes anew");
}

#[test]
fn what_cannot_be_fetched_is_told_in_one_line() {
    let cache = tempfile::tempdir().unwrap();
    let message = |name: &str, address: &str| {
        let error = fetch(name, builder(address, cache.path())).unwrap_err();
        let text = format!("{error:#}");
        assert!(!text.contains('\n'), "{text}");
        text
    };
    let address = Hub::new().start();
    assert!(message("cats/no-such", &address).contains("no model cats/no-such that everybody may read"));
    for name in ["", "../etc", "a/b/c", "cats/tiny?x", "cats/"] {
        assert!(message(name, &address).contains("no name of a model"), "{name}");
    }
    let mut pickled = Hub::new();
    pickled.files.retain(|(name, _)| *name != "model.safetensors");
    assert!(message("cats/tiny", &pickled.start()).contains("has no model.safetensors"));
    // A port where nobody listens.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begun = std::time::Instant::now();
    let said = message("cats/tiny", &format!("http://{closed}"));
    assert!(said.contains("check the network") && said.contains("LLM_COURSE_MODELS"), "{said}");
    assert!(begun.elapsed().as_secs() < 10);
}
