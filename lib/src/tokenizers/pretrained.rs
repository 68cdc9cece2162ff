//! Tokenizers of pretrained models, through the `tokenizers` crate.

use std::path::Path;

use ::tokenizers::models::unigram::{Unigram, UnigramTrainer};
use ::tokenizers::pre_tokenizers::metaspace::Metaspace;
use ::tokenizers::{AddedToken, Tokenizer as Library, models::TrainerWrapper};
use serde::de::IgnoredAny;

use super::{OUTSIDE, Tokenizer};
use crate::error::{Error, Result};

/// The tokenizer of a pretrained model, read from its `tokenizer.json`: BPE, WordPiece, Unigram and others.
///
/// Cutting to a length and padding, which such files may ask for, are switched off: both belong to batches.
#[derive(Clone, Debug)]
pub struct Pretrained {
    library: Library,
}

impl Pretrained {
    /// Opens a `tokenizer.json`, or the one in a model's folder.
    ///
    /// # Errors
    /// If there is no such file or it holds no tokenizer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let path = if path.is_dir() { path.join("tokenizer.json") } else { path.into() };
        let bytes = std::fs::read(&path).map_err(|source| {
            Error::file(&path, source, "give a tokenizer.json or the folder of a model that has one")
        })?;
        let library = parse(&bytes).map_err(|error| {
            Error::input(format!("{}: no tokenizer in this file: {error}; download it again", path.display()))
        })?;
        Ok(Self::new(library))
    }

    /// Learns a Unigram vocabulary (Kudo 2018) as SentencePiece does, with spaces written `▁`: it begins with
    /// many pieces and drops those that the text's likelihood misses least.
    ///
    /// # Errors
    /// If the text has more different characters than `vocab_size`, or too little to learn from.
    pub fn unigram(text: &str, vocab_size: i64) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(Error::input("no Unigram vocabulary from a text without words: give more text"));
        }
        let mut library = Library::new(Unigram::default());
        library.with_pre_tokenizer(Some(Metaspace::default()));
        library.with_decoder(Some(Metaspace::default()));
        let mut trainer = UnigramTrainer::default();
        trainer.vocab_size = u32::try_from(vocab_size).unwrap_or(0);
        trainer.show_progress = false;
        trainer.unk_token = Some("<unk>".into());
        trainer.special_tokens = vec![AddedToken::from("<unk>", true)];
        library.train(&mut TrainerWrapper::from(trainer), text.lines()).map_err(|error| {
            Error::input(format!(
                "no Unigram vocabulary of {vocab_size} from this text: {error}; give more text, or a vocab_size \
                 above its number of different characters"
            ))
        })?;
        Ok(Self::new(library))
    }

    fn new(mut library: Library) -> Self {
        library.with_truncation(None).expect("no truncation fits every tokenizer");
        library.with_padding(None);
        Self { library }
    }

    /// The ids of a text or of a pair of texts as the model was trained on them, with special tokens such as
    /// `[CLS]` and `[SEP]`, and for each id its segment (0 for the first text, 1 for the second).
    ///
    /// # Panics
    /// If the file's vocabulary lacks the token for unknown text.
    pub fn encode_pair(&self, first: &str, second: Option<&str>) -> (Vec<i64>, Vec<i64>) {
        let encoding = guarded(|| match second {
            Some(second) => self.library.encode((first, second), true),
            None => self.library.encode(first, true),
        });
        let encoding = encoding.unwrap_or_else(|error| lacks_unknown(error));
        let wide = |numbers: &[u32]| numbers.iter().map(|&n| n.into()).collect();
        (wide(encoding.get_ids()), wide(encoding.get_type_ids()))
    }
}

impl Tokenizer for Pretrained {
    /// The ids of `text` without special tokens.
    ///
    /// # Panics
    /// If the file's vocabulary lacks the token for unknown text.
    fn encode(&self, text: &str) -> Vec<i64> {
        let encoding = guarded(|| self.library.encode_fast(text, false)).unwrap_or_else(|e| lacks_unknown(e));
        encoding.get_ids().iter().map(|&id| id.into()).collect()
    }

    fn decode(&self, ids: &[i64]) -> String {
        let known = |&id: &i64| u32::try_from(id).is_ok_and(|id| self.library.id_to_token(id).is_some());
        let runs = ids.split(|id| !known(id)).map(|run| {
            let run: Vec<u32> = run.iter().map(|&id| id as u32).collect();
            guarded(|| self.library.decode(&run, false)).unwrap_or_else(|_| OUTSIDE.into())
        });
        runs.collect::<Vec<_>>().join(OUTSIDE)
    }

    fn vocab_size(&self) -> i64 {
        self.library.get_vocab_size(true) as i64
    }

    /// The token as the vocabulary spells it, e.g. `Ġthe` or `##ing`.
    fn token(&self, id: i64) -> String {
        let token = u32::try_from(id).ok().and_then(|id| self.library.id_to_token(id));
        token.unwrap_or_else(|| OUTSIDE.into())
    }

    fn id(&self, token: &str) -> Option<i64> {
        self.library.token_to_id(token).map(i64::from)
    }
}

/// The library panics on some files, e.g. on half of one: they are refused like all others.
fn parse(bytes: &[u8]) -> std::result::Result<Library, String> {
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| error.to_string())?;
    guarded(|| Library::from_bytes(bytes))
}

/// What the library does with a file's parts; a panic of theirs becomes an error.
fn guarded<T>(work: impl FnOnce() -> ::tokenizers::Result<T>) -> std::result::Result<T, String> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    result.map_err(|_| "its parts do not fit together".to_string())?.map_err(|error| error.to_string())
}

fn lacks_unknown(error: impl std::fmt::Display) -> ! {
    panic!(
        "this tokenizer cannot encode the text: {error}; use one with a token for unknown text, or drop such text"
    )
}
