//! Exported models: the folder is whole, and `transformers` makes the same of it.

use std::path::{Path, PathBuf};

use llm_course::export::{Export, ModelCard};
use llm_course::layers::Positions;
use llm_course::models::{Bert, BertConfig, Gpt, GptConfig};
use llm_course::pretrained::find_model;
use llm_course::tokenizers::{Bpe, Pretrained, Tokenizer, WordPiece};
use tch::{Device, Tensor, nn::VarStore};

mod compare;
use compare::{check_folder_in_transformers, scratch, stir};

const TEXT: &str = "the cat sat on the mat, and the dog sat on the cat.";

fn card() -> ModelCard {
    ModelCard::new("text-generation", "A GPT that has read one sentence.")
        .data("One sentence.")
        .result("nats per token", 1.5)
        .limits("It knows eight words.")
        .license("mit")
}

/// A GPT of random weights and its tokenizer, exported to `place`.
fn export_gpt(place: &Path, positions: Positions) -> llm_course::Result<(PathBuf, Tensor)> {
    let bpe = Bpe::train(TEXT, 270)?;
    let vs = VarStore::new(Device::Cpu);
    let sizes =
        GptConfig { d_model: 24, n_heads: 3, d_ff: 40, n_layers: 2, ..GptConfig::small(bpe.vocab_size()) };
    let gpt = Gpt::new(&vs.root(), GptConfig { positions, ..sizes })?;
    stir(&vs);
    let export = Export::at(place)?;
    gpt.save(&vs, export.folder())?;
    bpe.save(export.tokenizer())?;
    let ids = Tensor::from_slice(&bpe.encode(TEXT)).unsqueeze(0);
    let logits = gpt.forward(&ids, false);
    export.outputs(TEXT, &[("ids", &ids), ("logits", &logits)])?;
    Ok((export.finish(&card())?, logits))
}

#[test]
fn gpts_of_both_forms_are_the_same_in_transformers() -> llm_course::Result<()> {
    let folder = scratch("export");
    for positions in [Positions::Learned, Positions::Rotary] {
        let (place, logits) = export_gpt(&folder.join(format!("{positions:?}")), positions)?;
        let vs = VarStore::new(Device::Cpu);
        let gpt = Gpt::load(&vs, find_model(&place.display().to_string())?)?;
        let ids = Tensor::from_slice(&Pretrained::open(&place)?.encode(TEXT)).unsqueeze(0);
        assert_eq!(gpt.forward(&ids, false), logits);
        check_folder_in_transformers(&place);
    }
    Ok(())
}

#[test]
fn a_bert_with_its_heads_is_the_same_in_transformers() -> llm_course::Result<()> {
    let wordpiece = WordPiece::train(TEXT, 60)?;
    let vs = VarStore::new(Device::Cpu);
    let sizes = BertConfig { d_model: 24, n_heads: 3, d_ff: 40, ..BertConfig::tiny(wordpiece.vocab_size()) };
    let bert = Bert::new(&vs.root(), sizes)?;
    stir(&vs);
    let export = Export::at(scratch("export_bert").join("cats"))?;
    bert.save(&vs, export.folder())?;
    wordpiece.save(export.tokenizer())?;
    let ids = [&[2], &wordpiece.encode("the cat sat on the")[..], &[4, 3]].concat();
    let ids = Tensor::from_slice(&ids).unsqueeze(0);
    let (segments, mask) = (ids.zeros_like(), ids.ne(0));
    let hidden = bert.forward(&ids, &segments, &mask, false);
    let (logits, next) = (bert.word_logits(&hidden), bert.next_logits(&bert.pooled(&hidden)));
    let tensors =
        [("ids", &ids), ("segments", &segments), ("hidden", &hidden), ("logits", &logits), ("next", &next)];
    export.outputs("the cat sat on the [MASK]", &tensors)?;
    let place = export.finish(&card())?;
    let tokenizer = std::fs::read_to_string(place.join("tokenizer_config.json")).unwrap();
    for part in ["\"mask_token\": \"[MASK]\"", "\"pad_token\": \"[PAD]\"", "\"model_max_length\": 128"] {
        assert!(tokenizer.contains(part), "{part} is not in {tokenizer}");
    }
    check_folder_in_transformers(&place);
    Ok(())
}

#[test]
fn the_card_says_what_the_model_is() -> llm_course::Result<()> {
    let (place, _) = export_gpt(&scratch("export_card").join("cats"), Positions::Learned)?;
    let card = std::fs::read_to_string(place.join("README.md")).unwrap();
    let weights: usize = Tensor::read_safetensors(place.join("model.safetensors"))?
        .iter()
        .map(|(_, tensor)| tensor.numel())
        .sum();
    for part in [
        "---\nlanguage: en\nlicense: mit\n",
        "pipeline_tag: text-generation\n---\n",
        "# cats\n\nA GPT that has read one sentence.",
        &format!("It has {weights} weights."),
        "| nats per token | 1.5 |",
        "## Limits\n\nIt knows eight words.",
    ] {
        assert!(card.contains(part), "{part:?} is not in {card}");
    }
    Ok(())
}

#[test]
fn an_export_is_there_whole_or_not_at_all() -> llm_course::Result<()> {
    let folder = scratch("export_whole");
    let (place, _) = export_gpt(&folder.join("cats"), Positions::Learned)?;
    let weights = || std::fs::read(place.join("model.safetensors")).unwrap();
    let before = weights();

    // Given up half-way, and finished without its parts: the old one stays.
    drop(Export::at(&place)?);
    let message = Export::at(&place)?.finish(&card()).unwrap_err().to_string();
    assert!(
        message.contains("no config.json, model.safetensors, tokenizer.json, outputs.safetensors yet"),
        "{message}"
    );
    assert_eq!(weights(), before);

    // A newer one replaces it, files of the old one included.
    std::fs::write(place.join("old.txt"), "old").unwrap();
    let _ = export_gpt(&place, Positions::Rotary)?;
    assert_ne!(weights(), before);
    assert!(!place.join("old.txt").exists());
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cats"], "nothing else is left behind");

    for name in ["a/..", ".hidden", "two words", "ümlaut"] {
        let message = Export::at(folder.join(name)).unwrap_err().to_string();
        assert!(message.contains("cannot be a model's name"), "{name:?}: {message}");
    }
    let blocked = folder.join("file");
    std::fs::write(&blocked, "").unwrap();
    let message = Export::at(blocked.join("cats")).unwrap_err().to_string();
    assert!(message.contains("LLM_COURSE_EXPORTS"), "{message}");
    Ok(())
}
