//! Whatever is in a text or a file: an answer or an error, never a panic, a hang or memory beyond its size.
//!
//! `LLM_COURSE_CASES=1000000` tries a million inputs of each kind.

mod survive;

use std::path::Path;
use std::sync::LazyLock;

use llm_course::bilingual::BilingualGrammar;
use llm_course::grammar::Grammar;
use llm_course::layers::Positions;
use llm_course::models::{Bert, BertConfig, BertHeads, Gpt, GptConfig};
use llm_course::pretrained::{Layout, tensor_names};
use llm_course::rand::{Rng, SeedableRng};
use llm_course::rand_chacha::ChaCha8Rng;
use llm_course::tokenizers::{Bpe, CharTokenizer, Pretrained, Tokenizer, WordPiece, WordTokenizer};
use llm_course::train::{Checkpoint, TrainConfig, Trainer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use survive::{LITTLE, garbage, message, mutated, nearly_json, other_json, survive};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

const TEXT: &str =
    "Once upon a time there was a cat. The cat sat on the mat, and it's 12 o'clock! L'été à 東京…\n";

/// What tokenizers treat in ways of their own.
const WORDS: [&str; 24] = [
    " ",
    "\n",
    "\r\n",
    "\t",
    "the cat",
    "'s",
    "'",
    "’",
    "-",
    "12",
    "é",
    "e\u{301}",
    "\u{301}",
    "東京",
    "\u{1F469}\u{200D}\u{1F680}",
    "\u{0}",
    "\u{FFFD}",
    "\u{FEFF}",
    "[UNK]",
    "[MASK]",
    "##",
    "Ġ",
    "▁",
    "İ",
];

/// A small tokenizer of every kind.
struct Tokenizers {
    all: Vec<(&'static str, Box<dyn Tokenizer + Sync + Send>)>,
    /// Their files.
    files: Vec<Value>,
}

static TOKENIZERS: LazyLock<Tokenizers> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let bpe =
        Bpe::train(&TEXT.repeat(3), 290).expect("at least 256").with_special(&["<|endoftext|>", "<pad>"]);
    let pieces = WordPiece::train(TEXT, 100).expect("room for the characters");
    bpe.save(file("bpe.json")).expect("a folder to write in");
    pieces.save(file("pieces.json")).expect("a folder to write in");
    let names = ["bpe.json", "pieces.json"];
    let open = |name: &str| Pretrained::open(file(name)).expect("just saved");
    let unigram = Pretrained::unigram(&TEXT.repeat(3), 60).expect("enough text");
    let mut files: Vec<Value> = names
        .map(|name| std::fs::read_to_string(file(name)).expect("just saved").parse().expect("JSON"))
        .into();
    files.extend([unigram_file(), word_level_file()]);
    Tokenizers {
        all: vec![
            ("characters", Box::new(CharTokenizer::new(TEXT))),
            ("words", Box::new(WordTokenizer::most_frequent(TEXT, 20).with_special(&["<pad>", "<eos>"]))),
            ("BPE", Box::new(bpe)),
            ("WordPiece", Box::new(pieces)),
            ("Pretrained BPE", Box::new(open("bpe.json"))),
            ("Pretrained WordPiece", Box::new(open("pieces.json"))),
            ("Unigram", Box::new(unigram)),
        ],
        files,
    }
});

/// A Unigram as T5's file has it, with what else such files may ask for.
fn unigram_file() -> Value {
    json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "<pad>"},
        "added_tokens": [{"id": 0, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false,
                          "normalized": false, "special": true}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            {"type": "Prepend", "prepend": "▁"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<pad>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<pad>": {"id": "<pad>", "ids": [0], "tokens": ["<pad>"]}}},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "model": {"type": "Unigram", "unk_id": 1, "byte_fallback": false,
                  "vocab": [["<pad>", 0.0], ["<unk>", 0.0], ["▁the", -2.0], ["▁", -2.5], ["c", -3.0], ["at", -3.5]]}
    })
}

fn word_level_file() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\w+|[^\\w\\s]+"}, "behavior": "Removed", "invert": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "the": 1, "cat": 2}, "unk_token": "[UNK]"}
    })
}

/// Encodes and decodes; ids must be those of the vocabulary.
fn there_and_back(what: &str, tokenizer: &dyn Tokenizer, text: &str) {
    let ids = tokenizer.encode(text);
    assert!(ids.iter().all(|id| (0..tokenizer.vocab_size()).contains(id)), "{what}: {ids:?}");
    let decoded = tokenizer.decode(&ids);
    if what == "BPE" {
        assert_eq!(decoded, text);
    }
}

#[test]
fn any_text_goes_through_every_tokenizer() {
    let make = |rng: &mut ChaCha8Rng| {
        if rng.random() { garbage(&WORDS, rng) } else { mutated(&[TEXT.into()], &WORDS, rng) }
    };
    TOKENIZERS.all.iter().for_each(|(name, tokenizer)| there_and_back(name, tokenizer.as_ref(), TEXT));
    survive("texts", 8_000, LITTLE, make, |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        TOKENIZERS.all.iter().for_each(|(name, tokenizer)| there_and_back(name, tokenizer.as_ref(), &text));
        let ids: Vec<i64> =
            bytes.chunks(2).map(|pair| i64::from(pair[0]) * 3 - 99).chain([i64::MAX, i64::MIN]).collect();
        TOKENIZERS.all.iter().for_each(|(_, tokenizer)| drop(tokenizer.decode(&ids)));
        if bytes.len() < 300 && ids[0] % 32 == 0 {
            assert!(TOKENIZERS.all.iter().all(|(_, t)| t.tokens(&text).len() == t.encode(&text).len()));
            there_and_back("BPE", &Bpe::train(&text, 270).expect("at least 256"), &text);
            there_and_back("characters", &CharTokenizer::new(&text), &text);
            there_and_back("words", &WordTokenizer::most_frequent(&text, 9), &text);
            let _ = WordPiece::train(&text, 40).map(|pieces| there_and_back("WordPiece", &pieces, &text));
        }
        std::str::from_utf8(bytes).is_ok()
    });
}

#[test]
fn any_tokenizer_file_is_opened_or_refused() {
    let files = &TOKENIZERS.files;
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "\"type\":",
        "\"BPE\"",
        "\"model\":",
        "[[",
        "\\u0000",
        "1e99",
    ];
    let make = |rng: &mut ChaCha8Rng| nearly_json(files, &words, rng);
    // A file may ask for automata up to the limit of the crate `regex`, 10 MB each.
    survive("tokenizer.json", 3_000, 64 << 20, make, |bytes, folder| {
        let file = folder.join("tokenizer.json");
        std::fs::write(&file, bytes).expect("a folder to write in");
        let own: [Option<Box<dyn Tokenizer>>; 2] = [
            Bpe::load(&file).ok().map(|bpe| Box::new(bpe) as _),
            WordPiece::load(&file).ok().map(|pieces| Box::new(pieces) as _),
        ];
        own.iter().flatten().for_each(|tokenizer| there_and_back("own", tokenizer.as_ref(), TEXT));
        let opened = Pretrained::open(folder).ok();
        let _ = opened.as_ref().map(use_it);
        opened.is_some()
    });
}

#[test]
fn a_token_with_an_absurd_id_takes_no_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokenizer.json");
    for id in [1_i64 << 40, 1 << 60, i64::MAX, i64::MIN, -1] {
        let mut file = TOKENIZERS.files[0].clone(); // the BPE's
        file["added_tokens"][1]["id"] = json!(id);
        std::fs::write(&path, file.to_string()).expect("a folder to write in");
        let (result, peak) = survive::watched(|| Bpe::load(&path).is_err());
        assert_eq!(result, Ok(true), "{id}");
        assert!(peak < LITTLE, "{id}: {peak} bytes");
    }
    println!("5 absurd ids refused");
}

/// Encoding may panic for one reason only, which the documentation names: the vocabulary lacks unknown text.
fn use_it(tokenizer: &Pretrained) {
    let encode = || tokenizer.encode_pair(TEXT, Some("a cat")).0;
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(encode)) {
        Ok(ids) => drop(tokenizer.decode(&ids)),
        Err(panic) => {
            let message = message(&*panic);
            assert!(message.starts_with("this tokenizer cannot encode the text"), "{message}");
        }
    }
    drop(tokenizer.decode(&[0, 1, 2, -1, 1 << 40]));
}

/// A model with the shapes that its file must have, and a layout with every form.
fn small_model() -> (VarStore, Layout) {
    let vs = VarStore::new(Device::Cpu);
    for (name, size) in [("a", vec![4, 3]), ("b", vec![2, 5]), ("c", vec![6]), ("d", vec![6, 2])] {
        let _ = vs.root().ones(name, &size);
    }
    let layout = Layout::new().stacked("a", ["a.0", "a.1"]).transposed("b", "b.t").same("c", "c");
    (vs, layout.by_head("d", "d.heads", 2))
}

/// A file of safetensors in two parts.
struct Parts {
    header: Value,
    data: Vec<u8>,
}

fn parts(file: &[u8]) -> Parts {
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight")) as usize;
    let header = serde_json::from_slice(&file[8..8 + length]).expect("JSON");
    Parts { header, data: file[8 + length..].to_vec() }
}

/// A file of this header, whose length may be a lie, and this data.
fn joined(header: &str, data: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let length = match rng.random_range(0..12) {
        0 => rng.random(),
        1 => rng.random_range(0..400),
        _ => header.len() as u64,
    };
    [&length.to_le_bytes(), header.as_bytes(), data].concat()
}

const HEADER: [&str; 12] = [
    "{",
    "}",
    "\"",
    ",",
    "[0,0]",
    "[0,9223372036854775808]",
    "\"F32\"",
    "\"F8_E5M2\"",
    "\"BOOL\"",
    "\"data_offsets\":[0,1152921504606846976]",
    "\"shape\":[1152921504606846976]",
    "\"__metadata__\":{}",
];

/// Faults in a file of safetensors: anywhere, or in what its header says.
fn damaged_tensors(file: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let Parts { header, data } = parts(file);
    match rng.random_range(0..8) {
        0 => garbage(&HEADER, rng),
        1 | 2 => mutated(&[file.to_vec()], &HEADER, rng),
        3 => {
            let claim = json!({"dtype": "F32", "shape": [1_u64 << 60], "data_offsets": [0, 1_u64 << 62]});
            joined(&json!({"a.0": claim}).to_string(), &data, rng)
        }
        _ => joined(&other_json(&[header], rng).to_string(), &data, rng),
    }
}

#[test]
fn any_file_of_weights_is_loaded_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (vs, layout) = small_model();
    layout.save(&vs, folder.path()).expect("a folder to write in");
    let file = std::fs::read(folder.path().join("model.safetensors")).expect("just saved");
    survive(
        "model.safetensors",
        30_000,
        LITTLE,
        |rng| damaged_tensors(&file, rng),
        |bytes, folder| {
            std::fs::write(folder.join("model.safetensors"), bytes).expect("a folder to write in");
            let _ = tensor_names(folder);
            let (vs, layout) = small_model();
            let loaded = layout.load(&vs, folder, |name| Some(name.into())).is_ok();
            let untouched =
                || vs.variables().values().all(|variable| variable.eq(1.0).all().int64_value(&[]) == 1);
            assert!(loaded || untouched(), "a file that was refused changed the model");
            loaded
        },
    );
}

/// Opens the model in a folder.
type Open = fn(&Path) -> llm_course::Result<()>;

/// Small models of every kind whose `config.json` is read: name, folder and what opens it.
fn models() -> Vec<(&'static str, tempfile::TempDir, Open)> {
    let folders = [(); 4].map(|()| tempfile::tempdir().expect("a folder"));
    let [bert, distilled, gpt2, neox] = &folders;
    let tiny =
        BertConfig { d_model: 8, n_heads: 2, d_ff: 16, n_layers: 1, block_size: 8, ..BertConfig::tiny(20) };
    for (folder, config) in
        [(bert, tiny), (distilled, BertConfig { segments: 0, heads: BertHeads::WORDS, ..tiny })]
    {
        let vs = VarStore::new(Device::Cpu);
        let model = Bert::new(&vs.root(), config).expect("sizes that fit");
        model.save(&vs, folder).expect("a folder to write in");
    }
    for (folder, positions) in [(gpt2, Positions::Learned), (neox, Positions::Rotary)] {
        let vs = VarStore::new(Device::Cpu);
        let config = GptConfig {
            d_model: 8,
            n_heads: 2,
            d_ff: 16,
            n_layers: 1,
            block_size: 8,
            positions,
            ..GptConfig::small(20)
        };
        let model = Gpt::new(&vs.root(), config).expect("sizes that fit");
        model.save(&vs, folder).expect("a folder to write in");
    }
    let bert: Open = |at| Bert::load(&VarStore::new(Device::Cpu), at).map(drop);
    let gpt: Open = |at| Gpt::load(&VarStore::new(Device::Cpu), at).map(drop);
    let openers = [("BERT", bert), ("DistilBERT", bert), ("GPT-2", gpt), ("GPT-NeoX", gpt)];
    openers.into_iter().zip(folders).map(|((name, open), folder)| (name, folder, open)).collect()
}

#[test]
fn any_configuration_of_a_model_is_read_or_refused() {
    for (name, sound, open) in models() {
        open(sound.path()).expect("just saved");
        let config = std::fs::read_to_string(sound.path().join("config.json")).expect("just saved");
        let files: Vec<Value> = vec![config.parse().expect("JSON")];
        survive(
            &format!("config.json of {name}"),
            4_000,
            LITTLE,
            |rng| nearly_json(&files, &["{", "}", "null", "\"model_type\"", "-1"], rng),
            |bytes, folder| {
                let weights = folder.join("model.safetensors");
                if !weights.exists() {
                    std::fs::copy(sound.path().join("model.safetensors"), weights)
                        .expect("a folder to write in");
                }
                std::fs::write(folder.join("config.json"), bytes).expect("a folder to write in");
                open(folder).is_ok()
            },
        );
    }
}

fn run() -> (Tensor, Trainer) {
    let vs = VarStore::new(Device::Cpu);
    let x = vs.root().ones("x", &[3]);
    let config = TrainConfig { steps: 4, validate_every: 2, patience: Some(2), ..Default::default() };
    (x, Trainer::new(&vs, config).expect("a variable"))
}

/// Puts the right checksum into a checkpoint, so that what comes after is tested too.
fn sign(mut bytes: Vec<u8>) -> Vec<u8> {
    let entry = b"\"sha256\":\"";
    let place = bytes.windows(entry.len()).position(|window| window == entry).map(|at| at + entry.len());
    if let Some(place) = place.filter(|place| place + 64 <= bytes.len()) {
        bytes[place..place + 64].fill(b'0');
        let digest = format!("{:x}", Sha256::digest(&bytes));
        bytes[place..place + 64].copy_from_slice(digest.as_bytes());
    }
    bytes
}

#[test]
fn any_checkpoint_is_loaded_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.ckpt");
    let (x, trainer) = run();
    let loss = |x: &Tensor| x.square().sum(Kind::Float);
    trainer.resumable(&path, 2).and_then(|mut t| t.fit("run", |_| loss(&x), || 0.0)).expect("finite");
    let file = std::fs::read(&path).expect("saved");
    let make = |rng: &mut ChaCha8Rng| {
        let bytes = damaged_tensors(&file, rng);
        if rng.random_range(0..4) == 0 { bytes } else { sign(bytes) }
    };
    survive("checkpoints", 30_000, LITTLE, make, |bytes, folder| {
        let path = folder.join("run.ckpt");
        std::fs::write(&path, bytes).expect("a folder to write in");
        let loaded = Checkpoint::load(&path).is_ok();
        if loaded {
            let (x, trainer) = run();
            match trainer.resumable(&path, 2) {
                Ok(mut trainer) => drop(trainer.fit("run", |_| loss(&x), || 0.0)),
                Err(_) => assert_eq!(x, x.ones_like(), "a file that was refused changed the model"),
            }
        }
        loaded
    });
}

const STORY: &str = "# A small grammar.
class person ~: name they
  2: Ann | she
  1: Bob | he
class food: name
  tea
  bread
var a b: person
var x: food
story =~
  3: {a} met {b}.[| ^{a.they} <ran>.] <end>
  ^<sky>, and [~{b} slept|no one slept[|, <sky>]].
ran = ran [to|from] \\
  {b}[| with {x}]
sky = [2: the sun shone|the rain fell]
end =
  The end.
  3: They ate {x}
";

const PAIRS: &str = "# A small grammar of pairs.
ending er: e es
class verb: i she fr-i fr-she
  sing | sings | chant:er
  2: go | goes | vais | va
class noun: en fr
  song | chanson
  opera | opérette
class colour: en fr
  red | rouge
  blue | bleue
vowels fr: aeéiou
elide fr: la=l'
contract fr: de+le=du
held-out 2: object
sentence = <clause she>
clause a =
  3: she:who {verb.$a} <object> <object#2> => elle:who {verb.fr-$a} <object> <object#2>
  she:who does?verb {verb.i} <object> => elle:who ne:no {verb.fr-$a} pas:no <object>
object = the:the {colour.en} {noun.en} => la:the {noun.fr} {colour.fr}
";

/// Text that is nearly `grammar`: garbage, the grammar with garbage behind it, or with changed bytes.
fn nearly_grammar(grammar: &str, words: &[&str], rng: &mut ChaCha8Rng) -> Vec<u8> {
    match rng.random_range(0..8) {
        0 => garbage(words, rng),
        1 => [grammar.as_bytes(), b"  ", &garbage(words, rng)[..]].concat(),
        _ => mutated(&[grammar.into()], words, rng),
    }
}

#[test]
fn any_grammar_is_read_or_refused() {
    let words = [
        "[",
        "]",
        "|",
        "[|",
        "{a}",
        "{b.they}",
        "<ran>",
        "<sky>",
        "^",
        "\n",
        "\n  ",
        " =",
        " =~\n  ",
        "class c: f\n  1: x\n",
        "var v: person\n",
        "3: ",
        "1e308: ",
        "1e-308: ",
        "\\\n",
        "#",
        "[[",
        "]]",
        "[|a]",
        "é",
        "\u{0}",
    ];
    let make = |rng: &mut ChaCha8Rng| nearly_grammar(STORY, &words, rng);
    assert_eq!(Grammar::parse(STORY).map(|_| ()).map_err(|error| error.to_string()), Ok(()));
    survive("grammars", 20_000, LITTLE, make, |bytes, _| {
        let Ok(grammar) = Grammar::parse(&String::from_utf8_lossy(bytes)) else { return false };
        let (story, log_prob) = grammar.sample(&mut ChaCha8Rng::seed_from_u64(bytes.len() as u64));
        assert!(log_prob.is_finite() && grammar.entropy().is_finite(), "{}", grammar.entropy());
        assert!(grammar.mean_chars() >= 1.0 && grammar.bits_per_char() >= 0.0);
        let again = grammar.log_prob(&story).expect("it told this story");
        assert!((again - log_prob).abs() < 1e-6, "{again} and {log_prob}: {story:?}");
        true
    });
}

#[test]
fn any_bilingual_grammar_is_read_or_refused() {
    let words = [
        "{verb.$a}",
        "{noun#2.en}",
        "<object>",
        "<clause $a$a>",
        "<clause $a $a>",
        "=>",
        " = ",
        "\n",
        "\n  ",
        "$a",
        "$",
        ":",
        "?",
        "|",
        "class c: f\n  1: x\n",
        "ending e: - s\n",
        "forms f: a b\n",
        "*",
        "/",
        "_",
        "3: ",
        "#",
        "é",
        "\u{0}",
        "+",
        "-",
    ];
    let make = |rng: &mut ChaCha8Rng| nearly_grammar(PAIRS, &words, rng);
    assert_eq!(BilingualGrammar::parse(PAIRS).map(|_| ()).map_err(|error| error.to_string()), Ok(()));
    // Words that share a tag have a link from each to each.
    survive("grammars of pairs", 20_000, 64 << 20, make, |bytes, _| {
        let Ok(grammar) = BilingualGrammar::parse(&String::from_utf8_lossy(bytes)) else { return false };
        if bytes.len() < 1_500 {
            let (_, log_prob) = grammar.sample(&mut ChaCha8Rng::seed_from_u64(bytes.len() as u64));
            assert!(log_prob.is_finite(), "{log_prob}");
        }
        true
    });
}

/// A few lines in which every rule, group or variable doubles what a reader has to do, or takes it one level deeper.
#[test]
fn small_files_that_ask_for_too_much_are_refused_at_once() {
    let rules = |count: usize, body: &dyn Fn(usize) -> String| {
        let rules: String = (0..count).map(|n| format!("r{n} = {}\n", body(n))).collect();
        format!("story = <r0>\n{rules}r{count} = a\n")
    };
    let person: String = (0..60).map(|n| format!("  p{n}\n")).collect();
    let variables: Vec<String> = (0..40).map(|n| format!("v{n}")).collect();
    let variables = format!("class p: name\n{person}var {}: p\n", variables.join(" "));
    let optional: String = (0..40).map(|n| format!("[|{{v{n}}} ]")).collect();
    let classes: String = (0..40).map(|n| format!("class c{n}: name\n  a\n  b\nvar v{n}: c{n}\n")).collect();
    let grammars = [
        ("groups", format!("story = {}a{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("open groups", format!("story = {}", "[a|".repeat(50_000))),
        ("rules", rules(20_000, &|n| format!("<r{}>", n + 1))),
        ("long stories", rules(60, &|n| format!("<r{0}> <r{0}>", n + 1))),
        ("empty groups", format!("story = {} a", "[|]".repeat(60))),
        ("empty parts", format!("story = {} a", "[|b|]".repeat(60))),
        ("groups in a row", format!("story = {} a", "[|b]".repeat(20_000))),
        ("variables drawn or not", format!("{classes}story = {optional}")),
        ("many of one class", format!("{variables}story = {}", optional.replace(['|', '[', ']'], ""))),
        ("weights", "story =\n  1e308: a\n  1e308: b\n  1e-308: c\n".into()),
    ];
    for (what, text) in &grammars {
        let start = std::time::Instant::now();
        let (result, peak) = survive::watched(|| Grammar::parse(text).expect_err(what).to_string());
        let error = result.expect("no panic");
        println!("{what}: {:?}, {} MB: {}", start.elapsed(), peak >> 20, &error[..error.len().min(150)]);
        assert!(start.elapsed().as_secs() < 10 && peak < 300 << 20, "{what}: {:?}, {peak}", start.elapsed());
    }
    let pairs = [
        ("arguments that grow", "sentence = <a 1>\na x = w <a $x$x>\n".to_string()),
        ("arguments without end", "sentence = <a 1>\na x = w <a $x-1>\n".into()),
        ("two calls each", "sentence = <a 1>\na x = <a $x-0> <a $x-1>\n".into()),
        ("long sentences", rules(60, &|n| format!("<r{0}> <r{0}#2>", n + 1)).replace("story", "sentence")),
        ("too few entries", "class c: w\n  a\nsentence = {c.w} {c#2.w}\n".into()),
    ];
    for (what, text) in &pairs {
        let start = std::time::Instant::now();
        let (result, peak) = survive::watched(|| BilingualGrammar::parse(text).expect_err(what).to_string());
        let error = result.expect("no panic");
        println!("{what}: {:?}, {} MB: {}", start.elapsed(), peak >> 20, &error[..error.len().min(150)]);
        assert!(start.elapsed().as_secs() < 10 && peak < 300 << 20, "{what}: {:?}, {peak}", start.elapsed());
    }
}
