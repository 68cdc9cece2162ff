//! Byte-level BPE as a `tokenizer.json`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use super::split::{BYTE_IDS, byte_char};
use super::{Bpe, FIRST};
use crate::error::{Error, Result};
use crate::tokenizers::{OUTSIDE, json};

pub(super) fn save(bpe: &Bpe, path: &Path) -> Result<()> {
    let spell = |bytes: &[u8]| -> String {
        bytes.iter().map(|&byte| byte_char(BYTE_IDS[byte as usize] as usize)).collect()
    };
    let tokens: Vec<String> = bpe.bytes.iter().map(|bytes| spell(bytes)).collect();
    let vocab: HashMap<&String, usize> = tokens.iter().zip(0..).collect();
    let merges: Vec<[&String; 2]> =
        bpe.merges.iter().map(|&(left, right)| [&tokens[left as usize], &tokens[right as usize]]).collect();
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let special = bpe.special.iter().map(String::as_str);
    json::write(
        path,
        &json!({
            "version": "1.0",
            "added_tokens": json::added_tokens((tokens.len() as i64..).zip(special)),
            "pre_tokenizer": byte_level,
            "post_processor": byte_level,
            "decoder": byte_level,
            "model": {"type": "BPE", "vocab": vocab, "merges": merges},
        }),
    )
}

pub(super) fn load(path: &Path) -> Result<Bpe> {
    let value = json::read(path)?;
    parse(&value).ok_or_else(|| {
        Error::input(format!(
            "{}: not a byte-level BPE whose ids are 256 bytes in GPT-2's order, then the merges, then special \
             tokens; Pretrained::open opens other tokenizers",
            path.display()
        ))
    })
}

/// `None` for any other layout.
fn parse(value: &Value) -> Option<Bpe> {
    let model = &value["model"];
    if model["type"] != "BPE" || value["pre_tokenizer"]["type"] != "ByteLevel" {
        return None;
    }
    let vocab = model["vocab"].as_object()?;
    let id = |token: &str| vocab.get(token)?.as_i64();
    let mut merges = Vec::new();
    for (merge, rank) in model["merges"].as_array()?.iter().zip(FIRST..) {
        let (left, right) = match merge {
            Value::String(line) => line.split_once(' ')?, // files written before 2024
            pair => (pair[0].as_str()?, pair[1].as_str()?),
        };
        if id(&format!("{left}{right}"))? != rank {
            return None;
        }
        merges.push((id(left)?, id(right)?));
    }
    if (0..FIRST).any(|byte| id(&byte_char(byte as usize).to_string()) != Some(byte)) {
        return None;
    }
    let added = value["added_tokens"].as_array()?;
    let mut special = vec![OUTSIDE; added.len()]; // not up to the largest id: a file may say any number
    for token in added {
        let index = token["id"].as_i64()?.checked_sub(FIRST + merges.len() as i64)?;
        *special.get_mut(usize::try_from(index).ok()?)? = token["content"].as_str()?;
    }
    Some(Bpe::from_merges(&merges).ok()?.with_special(&special))
}
