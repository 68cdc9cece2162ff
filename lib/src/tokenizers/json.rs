//! What the tokenizers' `tokenizer.json` files have in common.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Special tokens as such a file lists them.
pub(super) fn added_tokens<'a>(tokens: impl Iterator<Item = (i64, &'a str)>) -> Value {
    let entry = |(id, content)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    tokens.map(entry).collect()
}

pub(super) fn write(path: &Path, value: &Value) -> Result<()> {
    std::fs::write(path, format!("{value:#}\n"))
        .map_err(|source| Error::file(path, source, "check that the folder exists and may be written to"))
}

pub(super) fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::file(path, source, "check the path; it starts at the notebook's folder"))?;
    serde_json::from_str(&text).map_err(|error| {
        Error::input(format!("{}: not a tokenizer.json: {error}; download or save it again", path.display()))
    })
}

/// The tokens of a `{token: id}` table in the order of their ids, which must be 0, 1, 2, …
pub(super) fn vocabulary(table: &Value) -> Option<Vec<String>> {
    let mut tokens: Vec<(i64, String)> = Vec::new();
    for (token, id) in table.as_object()? {
        tokens.push((id.as_i64()?, token.clone()));
    }
    tokens.sort_unstable();
    tokens.into_iter().zip(0..).map(|((id, token), expected)| (id == expected).then_some(token)).collect()
}
