//! Handouts: the committed PDFs are those of their sources, and what overflows is refused.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use course::handouts::{compile, problems};
use course::paths::Course;

/// A folder with copies of the handouts' sources and pictures.
struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = Self { folder };
        let from = checkout();
        let folders = [
            (from.handouts(), "handouts"),
            (from.pictures(), "notebooks/pictures"),
            (from.results(), "notebooks/results"),
        ];
        for (from, to) in folders {
            let to = copy.folder.path().join(to);
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(from).unwrap().flatten() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        copy
    }

    fn course(&self) -> Course {
        Course { root: self.folder.path().to_path_buf() }
    }

    fn source(&self, name: &str) -> PathBuf {
        self.course().handouts().join(name)
    }

    /// Compiling the source fails, and the message has all `parts`.
    #[track_caller]
    fn is_refused(&self, name: &str, parts: &[&str]) {
        let made = self.folder.path().join("made.pdf");
        let error =
            compile(&python(), self.folder.path(), &self.source(name), &made, &[]).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!made.exists(), "nothing is written");
    }

    /// A document with one box of 40 by 10 millimetres.
    #[track_caller]
    fn refuses_in_a_box(&self, body: &str) {
        let text = format!("#import \"style.typ\": *\n#fitted(\"the box\", 40mm, 10mm, [{body}])\n");
        fs::write(self.source("box.typ"), text).unwrap();
        self.is_refused("box.typ", &["the box overflows"]);
    }
}

fn checkout() -> Course {
    Course::find().unwrap()
}

fn python() -> PathBuf {
    checkout().venv_bin("python")
}

fn edit(path: PathBuf, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "the change changes nothing");
    fs::write(path, changed).unwrap();
}

#[test]
fn committed_handouts_match_their_sources() {
    assert_eq!(problems(&checkout(), &python()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_change_is_noticed_in_what_it_changes() {
    let copy = Sandbox::new();
    edit(copy.source("talk.typ"), |text| text + "// changed\n");
    let found = problems(&copy.course(), &python()).unwrap();
    assert!(found.len() == 2 && found.iter().all(|line| line.contains("talk")), "{found:?}");
    assert!(found[0].contains("run `cargo course handouts`"));
    edit(copy.source("style.typ"), |text| text + "// changed\n");
    assert_eq!(problems(&copy.course(), &python()).unwrap().len(), 3);
}

#[test]
fn another_picture_is_noticed() {
    let copy = Sandbox::new();
    let pictures = copy.course().pictures();
    fs::copy(pictures.join("fading.png"), pictures.join("recall.png")).unwrap();
    assert_eq!(problems(&copy.course(), &python()).unwrap().len(), 2);
}

#[test]
fn other_results_are_noticed() {
    let copy = Sandbox::new();
    edit(copy.course().results().join("ladder.json"), |text| {
        let mut ladder: serde_json::Value = serde_json::from_str(&text).unwrap();
        ladder["budget"]["seconds"] = 1.into();
        ladder.to_string()
    });
    assert_eq!(problems(&copy.course(), &python()).unwrap().len(), 3);
}

#[test]
fn what_fits_is_built() {
    let copy = Sandbox::new();
    fs::write(copy.source("box.typ"), "#import \"style.typ\": *\n#fitted(\"the box\", 40mm, 10mm)[short]\n")
        .unwrap();
    let made = copy.folder.path().join("made.pdf");
    compile(&python(), copy.folder.path(), &copy.source("box.typ"), &made, &[]).unwrap();
    assert!(fs::read(made).unwrap().starts_with(b"%PDF"));
}

#[test]
fn too_much_text_is_refused() {
    Sandbox::new().refuses_in_a_box(&"more and more words ".repeat(20));
}

#[test]
fn too_wide_an_equation_is_refused() {
    Sandbox::new().refuses_in_a_box("$ a + b + c + d + e + f + g + h + i + j + k + l $");
}

#[test]
fn too_long_a_word_is_refused() {
    Sandbox::new().refuses_in_a_box("`a_name_that_is_much_too_long_for_it`");
}

#[test]
fn a_slide_that_overflows_is_refused_by_its_title() {
    let copy = Sandbox::new();
    edit(copy.source("talk.typ"), |text| text + "#slide(\"Planted\", v(400pt))\n");
    copy.is_refused("talk.typ", &["slide “Planted” overflows"]);
}

#[test]
fn a_second_page_of_the_sheet_is_refused() {
    let copy = Sandbox::new();
    edit(copy.source("cheatsheet.typ"), |text| text + "#pagebreak()\nmore\n");
    copy.is_refused("cheatsheet.typ", &["the sheet has 2 pages"]);
}

#[test]
fn a_talk_of_too_many_slides_is_refused() {
    let copy = Sandbox::new();
    edit(copy.source("talk.typ"), |text| text + &"#slide(\"More\", [], takes: 0.1)\n".repeat(5));
    copy.is_refused("talk.typ", &["the talk has 25 slides"]);
}

#[test]
fn missing_set_up_is_named() {
    let empty = tempfile::tempdir().unwrap();
    for part in ["notebooks/source", "lib", "handouts"] {
        fs::create_dir_all(empty.path().join(part)).unwrap();
    }
    fs::write(empty.path().join("lib/Cargo.toml"), "").unwrap();
    for name in ["cheatsheet.typ", "talk.typ"] {
        fs::write(empty.path().join("handouts").join(name), "").unwrap();
    }
    let mut course = Command::new(env!("CARGO_BIN_EXE_course"));
    let output = course.arg("handouts").current_dir(empty.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("run `cargo course setup`"), "{text}");
    assert_eq!(fs::read_dir(empty.path().join("handouts")).unwrap().count(), 2, "nothing half is left");
}
