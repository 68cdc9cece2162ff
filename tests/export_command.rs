//! `cargo course export`: which models it opens, and what it says if it cannot.

use std::path::PathBuf;

use course::export::{ExportArgs, check, export, models};
use course::paths::Course;

/// A checkout without anything in it.
fn empty() -> (tempfile::TempDir, Course) {
    let folder = tempfile::tempdir().unwrap();
    let course = Course { root: folder.path().to_path_buf() };
    (folder, course)
}

fn message(course: &Course, names: &[&str]) -> String {
    export(course, &ExportArgs { models: names.iter().map(PathBuf::from).collect() }).unwrap_err().to_string()
}

#[test]
fn what_is_missing_is_named() {
    let (_folder, course) = empty();
    assert!(message(&course, &[]).contains("lessons 07, 08 and 09"), "nothing is exported");
    assert!(message(&course, &["no-such"]).contains("no model no-such"));
    let model = course.exports().join("cats");
    std::fs::create_dir_all(&model).unwrap();
    assert!(message(&course, &[]).contains("nothing is exported"), "a folder without a model");
    std::fs::write(model.join("config.json"), "{}").unwrap();
    for names in [&[][..], &["cats"]] {
        assert!(message(&course, names).contains("cargo course setup --peers"), "{names:?}");
    }
    std::fs::create_dir(course.exports().join(".dogs-1")).unwrap();
    std::fs::write(course.exports().join(".dogs-1/config.json"), "{}").unwrap();
    assert_eq!(models(&course.exports()).unwrap(), [model], "one that is being written is none yet");
}

#[test]
fn a_model_that_differs_is_red() {
    let real = Course::find().unwrap();
    if real.peers_python().is_none() {
        println!("skipped: `cargo course setup --peers` installs transformers");
        return;
    }
    let (folder, _) = empty();
    let fixture = real.root.join("tests/fixtures/gpt2");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture.join(file), folder.path().join(file)).unwrap();
    }
    // Logits of 0 for one id, which this model does not give: 8 bytes of ids and 97 times 4 of logits.
    let header = r#"{"ids": {"dtype": "I64", "shape": [1, 1], "data_offsets": [0, 8]},
                     "logits": {"dtype": "F32", "shape": [1, 1, 97], "data_offsets": [8, 396]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 396]].concat();
    std::fs::write(folder.path().join("outputs.safetensors"), bytes).unwrap();
    let error = check(&real, &[folder.path().to_path_buf()]).unwrap_err();
    assert!(error.to_string().contains("not the same in transformers"), "{error}");
}
