//! Whatever is in a notebook's file: cells or an error, never a panic, a hang or memory beyond its size.
//!
//! `LLM_COURSE_CASES=1000000` tries a million.

mod survive;

use course::notebook;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use survive::{LITTLE, nearly_json, survive};

/// Notebooks of every format that Jupyter has written, with every kind of cell and output.
fn notebooks() -> Vec<Value> {
    let code = json!({"cell_type": "code", "id": "a-1", "metadata": {"tags": ["training", "skip-execution"]},
        "execution_count": 3, "source": ["let x = 1;\n", "x\n"], "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["\u{1b}[31mred\u{1b}[0m\n", "é\n"]},
            {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "x", "image/png": "aGk="}},
            {"output_type": "execute_result", "execution_count": 3, "metadata": {"a": [1]},
             "data": {"text/html": ["<b>", "</b>"], "application/json": {"b": null}, "image/svg+xml": "<svg/>"}},
            {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["\u{1b}[0;31mE", "e"]}]});
    let markdown = json!({"cell_type": "markdown", "id": "a-2", "metadata": {}, "source": "# Title",
                          "attachments": {"a.png": {"image/png": "aGk="}}});
    let raw =
        json!({"cell_type": "raw", "id": "a-3", "metadata": {"format": "text/latex"}, "source": ["$x$"]});
    let metadata = json!({"kernelspec": {"name": "rust", "display_name": "Rust", "language": "rust"},
                          "language_info": {"name": "rust", "version": "1", "file_extension": ".rs"}});
    let mut old = [code.clone(), markdown.clone()];
    old.iter_mut().for_each(|cell| drop(cell.as_object_mut().map(|cell| cell.remove("id"))));
    let ancient = json!({"cell_type": "code", "language": "python", "collapsed": false, "input": ["1"], "prompt_number": 2,
        "metadata": {}, "outputs": [{"output_type": "pyout", "prompt_number": 2, "text": ["1"], "metadata": {}},
                                    {"output_type": "stream", "stream": "stderr", "text": "s"},
                                    {"output_type": "pyerr", "ename": "E", "evalue": "e", "traceback": []}]});
    vec![
        json!({"cells": [code, markdown, raw], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}),
        json!({"cells": old, "metadata": {}, "nbformat": 4, "nbformat_minor": 2}),
        json!({"metadata": {"name": "n"}, "nbformat": 3, "nbformat_minor": 0,
               "worksheets": [{"metadata": {}, "cells": [ancient, {"cell_type": "heading", "level": 1, "metadata": {},
                                                                   "source": "T"}]}]}),
    ]
}

#[test]
fn any_notebook_is_read_or_refused() {
    let notebooks = notebooks();
    for notebook in &notebooks {
        let cells = notebook::parse(&notebook.to_string()).expect("a notebook").cells;
        assert!(cells.len() >= 2);
    }
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "\"cells\":",
        "\"source\":",
        "\\u001b[",
        "\\ud800",
        "[[",
    ];
    let make = |rng: &mut ChaCha8Rng| nearly_json(&notebooks, &words, rng);
    survive("notebooks", 20_000, LITTLE, make, |bytes, folder| {
        let file = folder.join("any.ipynb");
        std::fs::write(&file, bytes).expect("a folder to write in");
        let Ok(notebook) = notebook::read(&file) else { return false };
        for cell in &notebook.cells {
            let _ = (notebook::source(cell), notebook::is_executed(cell));
            if let nbformat::v4::Cell::Code { outputs, .. } = cell {
                let _ = notebook::outputs_as_text(outputs);
            }
        }
        let _ = notebook::to_json(&notebook).map(|text| notebook::parse(&text));
        true
    });
}
