//! Weights come from safetensors only: a pickle, which can run any code when it is opened, is not opened.

mod compare;

use std::fs;
use std::path::Path;

use llm_course::models::{Bert, BertClassifier, Gpt, SentenceEncoder};
use llm_course::train::{Checkpoint, TrainConfig, Trainer};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use compare::fixture;

/// How PyTorch's and libtorch's own files are called.
const NAMES: [&str; 6] = ["pytorch_model.bin", "model.bin", "model.pt", "model.pth", "model.ot", "model.pkl"];

/// Opens one kind of model in a folder; gives the message of its refusal.
type Open = fn(&Path) -> Option<String>;

fn refusal<T>(opened: llm_course::Result<T>) -> Option<String> {
    opened.err().map(|error| error.to_string())
}

const OPENERS: [(&str, Open); 4] = [
    ("gpt2", |folder| refusal(Gpt::load(&VarStore::new(Device::Cpu), folder))),
    ("bert", |folder| refusal(Bert::load(&VarStore::new(Device::Cpu), folder))),
    ("distilbert", |folder| refusal(BertClassifier::load(&VarStore::new(Device::Cpu), folder))),
    ("bert", |folder| refusal(SentenceEncoder::open(folder, Device::Cpu))),
];

/// A pickle that makes the file `opened` as soon as it is unpickled.
fn pickle(opened: &Path) -> Vec<u8> {
    format!("cos\nsystem\n(S'touch {}'\ntR.", opened.display()).into_bytes()
}

/// What libtorch reads with its own unpickler: tensors by name, as `VarStore::save("model.ot")` writes them.
fn of_libtorch(path: &Path) -> Vec<u8> {
    let ones = Tensor::ones([2], (Kind::Float, Device::Cpu));
    Tensor::save_multi(&[("wte.weight", ones)], path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn pickles_are_refused_under_any_name() {
    let place = tempfile::tempdir().unwrap();
    let opened = place.path().join("opened");
    let contents = [pickle(&opened), of_libtorch(&place.path().join("own.ot"))];
    let mut refused = 0;
    for (model, open) in OPENERS {
        for name in NAMES {
            for (case, content) in contents.iter().enumerate() {
                let folder = place.path().join(format!("{refused}-{case}"));
                fs::create_dir(&folder).unwrap();
                fs::copy(fixture(&format!("{model}/config.json")), folder.join("config.json")).unwrap();
                fs::write(folder.join(name), content).unwrap();
                let message = open(&folder).expect(name);
                assert!(message.contains("safetensors"), "{model}, {name}: {message}");
                // Named instead of its folder.
                let message = open(&folder.join(name)).expect(name);
                assert!(
                    message.contains("config.json and model.safetensors in it"),
                    "{model}, {name}: {message}"
                );
                // Called what it is not.
                fs::rename(folder.join(name), folder.join("model.safetensors")).unwrap();
                let message = open(&folder).expect(name);
                assert!(message.contains("model.safetensors"), "{model}, {name}: {message}");
                refused += 3;
            }
        }
    }
    for name in NAMES {
        for content in &contents {
            let path = place.path().join(name);
            fs::write(&path, content).unwrap();
            let vs = VarStore::new(Device::Cpu);
            let _ = vs.root().zeros("w", &[2]);
            let resumed = Trainer::new(&vs, TrainConfig::default()).unwrap().resumable(&path, 1);
            for message in [refusal(Checkpoint::load(&path)), refusal(resumed)] {
                let message = message.expect(name);
                assert!(message.contains("no checkpoint of this crate"), "{name}: {message}");
                refused += 1;
            }
        }
    }
    assert!(!opened.exists(), "no pickle was opened");
    println!("{refused} pickles refused");
}
