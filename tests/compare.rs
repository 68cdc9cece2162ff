//! What the tests that compare tensors share.
#![allow(dead_code)] // each test uses a part

use std::path::{Path, PathBuf};

use tch::{Kind, Tensor, nn::VarStore};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

/// The tensors of a file, in the order of their names.
pub fn tensors(file: PathBuf) -> Vec<(String, Tensor)> {
    let mut tensors = Tensor::read_safetensors(file).unwrap();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

pub fn get(tensors: &[(String, Tensor)], name: &str) -> Tensor {
    tensors.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1.shallow_clone()
}

pub fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[track_caller]
pub fn assert_close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    let difference = difference(a, b);
    assert!(difference <= tolerance, "{what}: {difference:e} > {tolerance:e}");
}

/// Moves every weight away from where it starts, so that a wrong one shows: by up to 0.15, always the same, since
/// tests that run beside this one draw from the same random numbers.
pub fn stir(vs: &VarStore) {
    let mut count = 0;
    let mut weights: Vec<_> = vs.variables().into_iter().collect();
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    for (_, mut weight) in weights {
        let i = Tensor::arange_start(count, count + weight.numel() as i64, (Kind::Double, weight.device()));
        count += weight.numel() as i64;
        let noise = (i.square().remainder(1000.0).sin() * 0.15).to_kind(weight.kind()).view_as(&weight);
        tch::no_grad(|| weight += noise);
    }
}

/// An empty folder that no other test has.
pub fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("llm_course_{}_{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// With a Python that has `transformers`: the model saved in `folder` makes the same of the inputs in `outputs`
/// there as we did.
pub fn check_in_transformers(folder: &Path, outputs: &[(&str, &Tensor)]) {
    Tensor::write_safetensors(outputs, folder.join("outputs.safetensors")).unwrap();
    check_folder_in_transformers(folder);
}

/// The same for a folder that holds its outputs already.
pub fn check_folder_in_transformers(folder: &Path) {
    let Some(python) = std::env::var_os("LLM_COURSE_PEERS_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/src/export/check.py");
    let output = std::process::Command::new(python).arg(script).arg(folder).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}{}", text[0], text[1]);
    print!("{}", text[0]);
}
