//! Makes both notebooks of a lesson from its source and checks committed ones, without a kernel.

use std::path::Path;

use course::build::{self, check, forms, markers, pictures, scrub};
use course::notebook;
use course::paths::Course;
use course::runner::lessons::Form;
use course::verify::{TestArgs, takes_turn};
use nbformat::v4::{Cell, MultilineString, Notebook, Output};

const LESSON: &str = r#"# Lesson

See [the solved notebook](solutions/01_test.ipynb) and [the table](../README.md).

```rust
:dep llm_course = { path = "../lib" }
```

```rust tags=["exercise"]
/// Exercise 1.1: one "step" {x}.   x [batch, input]
fn step(x: i64) -> i64 {
    // BEGIN SOLUTION
    let y = x + 1;
    y
    // END SOLUTION
}
```

```rust
println!("{}", step(1));
```

<!-- #region tags=["solution-only"] -->
How it was done.
<!-- #endregion -->
"#;

/// A checkout in a temporary folder with one lesson; jupytext is the real checkout's.
fn checkout() -> (tempfile::TempDir, Course) {
    let real = Course::find().expect("tests run in the checkout");
    assert!(real.venv_bin("jupytext").exists(), "jupytext is missing: run `cargo course setup`");
    let folder = tempfile::tempdir().unwrap();
    let course = Course { root: folder.path().to_path_buf() };
    std::fs::create_dir_all(course.sources()).unwrap();
    std::os::unix::fs::symlink(real.home(), course.home()).unwrap();
    std::fs::write(course.sources().join("01_test.md"), LESSON).unwrap();
    (folder, course)
}

/// The drafts as they would be after a run that printed `2`.
fn commit(course: &Course) {
    write_executed(build::drafts(course, &[]).unwrap());
}

fn write_executed(drafts: Vec<build::Draft>) {
    for mut draft in drafts {
        let mut count = 0;
        for cell in &mut draft.notebook.cells {
            let Cell::Code { execution_count, outputs, .. } = cell else { continue };
            count += 1;
            *execution_count = Some(count);
            outputs.push(Output::Stream { name: "stdout".into(), text: MultilineString("2\n".into()) });
        }
        notebook::write(&draft.path, &draft.notebook).unwrap();
    }
}

fn problems(course: &Course) -> Vec<String> {
    build::check(course, &[]).unwrap().into_iter().flat_map(|checked| checked.problems).collect()
}

fn texts(notebook: &Notebook) -> Vec<String> {
    notebook.cells.iter().map(notebook::source).collect()
}

#[test]
fn both_forms_are_made() {
    let (_folder, course) = checkout();
    let drafts = build::drafts(&course, &["1".to_owned()]).unwrap();
    let [learner, solved] = &drafts[..] else { panic!("two notebooks of a lesson") };
    assert!(learner.path.ends_with("notebooks/01_test.ipynb"));
    assert!(solved.path.ends_with("notebooks/solutions/01_test.ipynb"));
    let (learner, solved) = (texts(&learner.notebook), texts(&solved.notebook));
    assert_eq!(learner.len() + 1, solved.len());
    let todo = r#"    todo!("Exercise 1.1: one \"step\" {{x}}")"#;
    assert!(learner[2].ends_with(&format!("fn step(x: i64) -> i64 {{\n{todo}\n}}")), "{}", learner[2]);
    assert!(solved[2].ends_with("{\n    let y = x + 1;\n    y\n}"), "{}", solved[2]);
    assert!(solved[0].contains("](../01_test.ipynb)") && solved[0].contains("](../../README.md)"));
    assert!(learner[1].contains("\"../lib\"") && solved[1].contains("\"../../lib\""));
}

#[test]
fn each_function_of_an_exercise_says_its_own_title() {
    let function =
        |title| format!("/// Exercise 1.1: {title}\nfn f() {{\n// BEGIN SOLUTION\n1\n// END SOLUTION\n}}\n");
    let text = markers::learner(&[function("there"), function("and back")].concat()).unwrap();
    let titles: Vec<&str> = text.lines().filter(|line| line.contains("todo!")).collect();
    assert_eq!(titles, ["todo!(\"Exercise 1.1: there\")", "todo!(\"Exercise 1.1: and back\")"]);
}

#[test]
fn a_rebuild_gives_the_same_bytes() {
    let (_folder, course) = checkout();
    let json = || {
        let drafts = build::drafts(&course, &[]).unwrap();
        drafts.iter().map(|draft| notebook::to_json(&draft.notebook).unwrap()).collect::<Vec<_>>()
    };
    let first = json();
    assert_eq!(first, json());
    assert!(first[0].starts_with("{\n \"cells\": [") && first[0].ends_with("}\n"));
    assert!(!first[0].contains("jupytext"));
    let read_again = notebook::to_json(&notebook::parse(&first[0]).unwrap()).unwrap();
    assert_eq!(first[0], read_again);
}

#[test]
fn same_cells_get_different_ids() {
    let source = notebook::parse(
        r#"{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "same"},
        {"cell_type": "markdown", "id": "b", "metadata": {}, "source": "same"}]}"#,
    );
    let made = forms::make(&source.unwrap(), Form::Learner).unwrap();
    assert_ne!(made.cells[0].id(), made.cells[1].id());
    notebook::parse(&notebook::to_json(&made).unwrap()).unwrap();
}

#[test]
fn wrong_markers_are_told() {
    let title = "/// Exercise 1.1: a\n";
    let wrong = [
        ("// BEGIN SOLUTION\n1\n// END SOLUTION", "doc comment"),
        (&format!("{title}// BEGIN SOLUTION\n1"), "without `// END"),
        (&format!("{title}1\n// END SOLUTION"), "without `// BEGIN"),
        (&format!("{title}// BEGIN SOLUTION\n// BEGIN SOLUTION\n// END SOLUTION"), "inside"),
        (&format!("{title}fn f() {{}}"), "needs `// BEGIN"),
    ];
    for (text, cause) in wrong {
        let error = markers::learner(text).unwrap_err().to_string();
        assert!(error.contains(cause), "{cause:?} is not in {error:?}");
    }
}

#[test]
fn wrong_lessons_are_told_with_their_cell() {
    let wrong = [
        (LESSON.replace(" tags=[\"exercise\"]", ""), "tag `exercise`"),
        (LESSON.replace("println!(\"{}\", step(1));", "// BEGIN SOLUTION"), "tag `exercise`"),
        (format!("{LESSON}\n{}", &LESSON[LESSON.find("```rust tags").unwrap()..]), "is also cell"),
    ];
    for (text, cause) in wrong {
        let (_folder, course) = checkout();
        std::fs::write(course.sources().join("01_test.md"), text).unwrap();
        let error = format!("{:#}", build::drafts(&course, &[]).err().expect("must be refused"));
        assert!(error.contains("notebooks/source/01_test.md: cell ") && error.contains(cause), "{error}");
    }
}

#[test]
fn check_accepts_what_a_build_gives() {
    let (_folder, course) = checkout();
    commit(&course);
    assert_eq!(problems(&course), [""; 0]);
}

#[test]
fn check_sees_an_edit_of_the_source() {
    let (_folder, course) = checkout();
    commit(&course);
    std::fs::write(course.sources().join("01_test.md"), LESSON.replace("step(1)", "step(2)")).unwrap();
    let found = problems(&course);
    assert!(found.len() == 2 && found[0].contains("does not match its source from cell 4"), "{found:?}");
}

#[test]
fn new_texts_keep_the_outputs_and_new_code_is_refused() {
    let (_folder, course) = checkout();
    commit(&course);
    let edit = |from: &str, to: &str| {
        std::fs::write(course.sources().join("01_test.md"), LESSON.replace(from, to)).unwrap();
        build::write_texts(&course, build::drafts(&course, &[]).unwrap())
    };
    edit("and [the table]", "or [the table]").unwrap();
    assert_eq!(problems(&course), [""; 0], "texts are new, outputs are there");
    let error = format!("{:#}", edit("step(1)", "step(2)").unwrap_err());
    assert!(error.contains("01_test.ipynb: its code has changed"), "{error}");
    let learner = notebook::read(&course.notebooks().join("01_test.ipynb")).unwrap();
    assert!(texts(&learner).concat().contains("or [the table]"), "and nothing is written");
}

#[test]
fn check_sees_a_missing_notebook_and_one_without_source() {
    let (_folder, course) = checkout();
    commit(&course);
    std::fs::rename(course.notebooks().join("01_test.ipynb"), course.notebooks().join("02_test.ipynb"))
        .unwrap();
    let found = problems(&course);
    assert!(
        found.len() == 2 && found[0].contains("cannot be read") && found[1].contains("no source"),
        "{found:?}"
    );
}

#[test]
fn check_sees_bad_outputs() {
    let bad = [
        (r#"{"output_type": "error", "ename": "Error", "evalue": "x", "traceback": []}"#, "has an error"),
        (r#"{"output_type": "stream", "name": "stderr", "text": "x\n"}"#, "output on stderr"),
        (r#"{"output_type": "stream", "name": "stdout", "text": "in /home/me/course\n"}"#, "/home/me/course"),
        (
            r#"{"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": "<svg/>"}}"#,
            "image/svg+xml",
        ),
    ];
    let (_folder, course) = checkout();
    let drafts = build::drafts(&course, &[]).unwrap();
    for (output, cause) in bad {
        write_executed(vec![build::Draft {
            path: drafts[0].path.clone(),
            notebook: drafts[0].notebook.clone(),
        }]);
        edit(&drafts[0].path, |cell| {
            let Cell::Code { outputs, .. } = cell else { return };
            *outputs = vec![serde_json::from_str(output).unwrap()];
        });
        let found = check::problems(&drafts[0].path, &drafts[0].notebook, None);
        assert!(found.len() == 3 && found.iter().all(|line| line.contains(cause)), "{cause:?}: {found:?}");
    }
}

#[test]
fn check_sees_cells_that_were_not_executed() {
    let (_folder, course) = checkout();
    commit(&course);
    edit(&course.solutions().join("01_test.ipynb"), |cell| {
        let Cell::Code { execution_count, .. } = cell else { return };
        *execution_count = execution_count.map(|count| count + 1);
    });
    let found = problems(&course);
    assert!(found.len() == 1 && found[0].contains("not executed in full"), "{found:?}");
}

#[test]
fn check_sees_large_notebooks() {
    let (_folder, course) = checkout();
    commit(&course);
    let path = course.notebooks().join("01_test.ipynb");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + &" ".repeat(check::LARGEST as usize)).unwrap();
    assert!(problems(&course)[0].contains("MiB"));
}

#[test]
fn pictures_are_written_and_checked() {
    let (folder, course) = checkout();
    let png = r#"{"output_type": "display_data", "metadata": {}, "data": {"image/png": "iVBORw0K\n"}}"#;
    let text = format!(
        r#"{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": [{{"cell_type": "code", "id": "a",
        "metadata": {{"tags": ["picture:face"]}}, "execution_count": 1, "source": "x", "outputs": [{png}]}}]}}"#
    );
    let notebook = notebook::parse(&text).unwrap();
    assert_eq!(pictures::problems(&notebook, &course.pictures()).len(), 1, "no such file");
    pictures::write(&notebook, &course.pictures()).unwrap();
    let path = folder.path().join("notebooks/pictures/face.png");
    assert_eq!(std::fs::read(&path).unwrap(), b"\x89PNG\r\n");
    assert_eq!(pictures::problems(&notebook, &course.pictures()), Vec::<String>::new());
    std::fs::write(path, "another").unwrap();
    assert!(pictures::problems(&notebook, &course.pictures())[0].contains("cargo course build"));
    let bare = notebook::parse(&text.replace(png, "")).unwrap();
    assert!(pictures::problems(&bare, &course.pictures())[0].contains("shows no picture"));
}

#[test]
fn machine_paths_are_replaced() {
    let (_folder, course) = checkout();
    commit(&course);
    let path = course.notebooks().join("01_test.ipynb");
    let mut notebook = notebook::read(&path).unwrap();
    let Cell::Code { outputs, .. } = &mut notebook.cells[1] else { panic!("code") };
    let text = format!("{}/data/x.txt\n", course.root.display());
    outputs[0] = Output::Stream { name: "stdout".into(), text: MultilineString(text) };
    scrub::scrub(&mut notebook, &course.root).unwrap();
    let Cell::Code { outputs, .. } = &notebook.cells[1] else { panic!("code") };
    assert_eq!(notebook::outputs_as_text(outputs), "./data/x.txt\n");
}

fn edit(path: &Path, change: impl Fn(&mut Cell)) {
    let mut notebook = notebook::read(path).unwrap();
    notebook.cells.iter_mut().for_each(change);
    notebook::write(path, &notebook).unwrap();
}

#[test]
fn cargo_results_are_counted() {
    let line =
        "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
    let counts = course::verify::counted(line);
    assert_eq!((counts.passed, counts.failed), (12, 3));
    assert_eq!(course::verify::counted("test a ... ok"), course::verify::Counts::default());
}

#[test]
fn twelve_days_run_every_solved_notebook_in_full_once() {
    let args = |filter: Option<&str>, full, quick| TestArgs {
        filter: filter.map(String::from),
        full,
        quick,
        timeout: 1,
    };
    let runs = [(Form::Learner, true), (Form::Solved, true), (Form::Learner, false), (Form::Solved, false)];
    let by_turns = args(None, false, false);
    for number in 0..12 {
        let name = format!("{number:02}_lesson");
        // Of twelve days: learner's and solved with small budgets, learner's and solved in full.
        let days = |args: &TestArgs| {
            runs.map(|(form, quick)| {
                (20_000..20_012).filter(|day| takes_turn(args, &name, *day, form, quick)).count()
            })
        };
        assert_eq!(days(&by_turns), [5, 6, 0, 1], "{name}");
        assert_eq!(days(&args(None, true, false)), [12, 0, 0, 12], "--full");
        assert_eq!(days(&args(Some("lesson"), false, false)), [12, 0, 0, 12], "asked for by name");
        assert_eq!(days(&args(Some("lesson"), false, true)), [12, 12, 0, 0], "--quick");
    }
    let in_full = |day| {
        (0..12)
            .filter(|number| takes_turn(&by_turns, &format!("{number:02}_lesson"), day, Form::Solved, false))
            .count()
    };
    assert_eq!((0..12).map(in_full).collect::<Vec<_>>(), [1; 12]);
}
