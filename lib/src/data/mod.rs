//! Text, sentence pairs and reviews as batches of ids.

mod corruption;
mod glossary;
mod masked;
mod masked_batches;
mod pairs;
mod reviews;

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::grammar::Grammar;
use crate::runtime::folders;
use crate::tokenizers::{CharTokenizer, Tokenizer};

pub use self::corruption::{Corruption, SpecialIds};
pub use self::glossary::{Term, glossary};
pub use self::masked::MaskedDataset;
pub use self::masked_batches::{MaskedBatch, MaskedBatches};
pub(crate) use self::pairs::padded;
pub use self::pairs::{BOS, EOS, PAD, PairBatch, PairBatches, PairDataset, UNK};
pub use self::reviews::{Review, ReviewBatch, ReviewBatches, ReviewDataset};

/// The target where there is nothing to predict, such as padding: losses leave it out.
pub const IGNORE: i64 = -100;

/// The two parts of a data set: models learn from one and are judged on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What a model may learn from.
    Train,
    /// What a model never sees while it learns.
    Validation,
}

/// Ids and the ids that follow them.
#[derive(Debug)]
pub struct Batch {
    /// `[batch, time]`
    pub ids: Tensor,
    /// `[batch, time]`: `targets[b, t]` is the id after `ids[b, t]`.
    pub targets: Tensor,
    /// Whether the text starts here: a model that carries a state from batch to batch begins anew.
    pub first: bool,
}

/// A text for character models, split into training and validation.
///
/// ```
/// use llm_course::data::{Split, TextDataset};
/// let data = TextDataset::from_text("greeting", &"hello world. ".repeat(20))?;
/// let batch = data.streams(Split::Train, 2, 5)?.next().unwrap();
/// assert_eq!(batch.ids.size(), [2, 5]);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct TextDataset {
    /// What the text is, for titles of figures.
    pub name: String,
    /// Characters of the training text ↔ ids.
    pub tokenizer: CharTokenizer,
    /// Mean bits per character that the text's own grammar needs for the validation text: no model can do
    /// better except by luck. `None` for a text without a known grammar.
    pub floor: Option<f64>,
    train: String,
    validation: String,
}

impl TextDataset {
    /// The data set `name`: `stories` (the course's own), a path to a text file, or the name of a set that
    /// `cargo course data` has downloaded.
    ///
    /// # Errors
    /// If there is no such text; the message says where it was looked for.
    pub fn open(name: &str) -> Result<Self> {
        if name == "stories" {
            return Self::stories(1_000_000, 100_000, 1);
        }
        let folders = folders("LLM_COURSE_DATA", "data");
        let candidates = std::iter::once(PathBuf::from(name))
            .chain(folders.iter().map(|folder| folder.join(format!("{name}.txt"))));
        match candidates.into_iter().find(|path| path.is_file()) {
            Some(path) => Self::from_file(path),
            None => Err(Error::input(format!(
                "no text {name:?}: it is neither `stories`, nor a file (paths start at the notebook's \
                 folder), nor a downloaded set; `cargo course data` lists what can be downloaded, and \
                 LLM_COURSE_DATA names a folder of your own"
            ))),
        }
    }

    /// Any UTF-8 text file: the first 90 % for training, the rest for validation.
    ///
    /// # Errors
    /// If the file cannot be read, is not UTF-8, or holds fewer than 100 characters.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let name = path.file_stem().map_or_else(|| "text".into(), |stem| stem.to_string_lossy().into_owned());
        Self::from_text(&name, &text)
    }

    /// Any text: the first 90 % for training, the rest for validation.
    ///
    /// # Errors
    /// If it holds fewer than 100 characters.
    pub fn from_text(name: &str, text: &str) -> Result<Self> {
        let count = text.chars().count();
        if count < 100 {
            return Err(Error::input(format!(
                "the text {name:?} has {count} characters; a model needs at least 100 (better 100,000)"
            )));
        }
        let cut = text.char_indices().nth(count * 9 / 10).map_or(text.len(), |(byte, _)| byte);
        Ok(Self::new(name, text[..cut].into(), text[cut..].into(), None))
    }

    /// Stories of the course's grammar: two independent draws, so that training says nothing about the
    /// validation text but its grammar. The same `seed` gives the same text everywhere.
    ///
    /// # Errors
    /// If `validation_chars` is 0.
    pub fn stories(train_chars: usize, validation_chars: usize, seed: u64) -> Result<Self> {
        if validation_chars == 0 {
            return Err(Error::input("0 validation characters: nothing to judge a model by; use 100_000"));
        }
        let grammar = Grammar::stories();
        let validation = grammar.text(validation_chars, seed + 1_000_000);
        let nats = -grammar.log_prob(&validation)? / validation.chars().count() as f64;
        let floor = Some(crate::metrics::bits(nats));
        Ok(Self::new("stories", grammar.text(train_chars, seed), validation, floor))
    }

    fn new(name: &str, train: String, validation: String, floor: Option<f64>) -> Self {
        Self { name: name.into(), tokenizer: CharTokenizer::new(&train), floor, train, validation }
    }

    /// The text of a split.
    pub fn text(&self, split: Split) -> &str {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
        }
    }

    /// The ids of a split, `[characters]`.
    pub fn ids(&self, split: Split) -> Vec<i64> {
        self.tokenizer.encode(self.text(split))
    }

    /// The split as `batch` parallel streams, `time` characters at a time, one after the other: the state
    /// that a recurrent model ends a batch with is the state to begin the next one with.
    ///
    /// # Errors
    /// If the split is too short, or a size is not positive; the message names the sizes.
    pub fn streams(&self, split: Split, batch: i64, time: i64) -> Result<Streams> {
        Streams::new(&self.ids(split), batch, time)
    }

    /// `batch` windows of `time` characters at random places of the split, again and again: training data for
    /// models without a state, such as a GPT. The places come from libtorch's generator.
    ///
    /// # Errors
    /// If the split is too short, or a size is not positive; the message names the sizes.
    pub fn windows(&self, split: Split, batch: i64, time: i64) -> Result<Windows> {
        let ids = self.ids(split);
        if batch < 1 || time < 1 || ids.len() as i64 <= time {
            return Err(Error::input(format!(
                "{} characters, {batch} windows of {time}: sizes must be at least 1 and the text longer than a \
                 window",
                ids.len()
            )));
        }
        let offsets = Tensor::arange(time, (Kind::Int64, Device::Cpu));
        Ok(Windows { ids: Tensor::from_slice(&ids), offsets, batch })
    }
}

/// An endless iterator over windows at random places of a text; see [`TextDataset::windows`].
#[derive(Debug)]
pub struct Windows {
    ids: Tensor,     // [characters]
    offsets: Tensor, // 0, 1, … time − 1
    batch: i64,
}

impl Windows {
    /// Moves the text to `device` once, so that batches need no copy.
    pub fn to_device(self, device: Device) -> Self {
        Self { ids: self.ids.to_device(device), offsets: self.offsets.to_device(device), ..self }
    }
}

impl Iterator for Windows {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let time = self.offsets.size()[0];
        let places = (Kind::Int64, self.ids.device());
        let starts = Tensor::randint(self.ids.size()[0] - time, [self.batch, 1], places);
        let at = (starts + &self.offsets).flatten(0, 1);
        let window = |at: &Tensor| self.ids.index_select(0, at).view([self.batch, time]);
        Some(Batch { ids: window(&at), targets: window(&(&at + 1)), first: true })
    }
}

/// An iterator that walks once through a text in parallel streams; see [`TextDataset::streams`].
///
/// `streams.endless()` starts over at the end of the text, for training.
#[derive(Debug)]
pub struct Streams {
    ids: Tensor, // [batch, length + 1]: each row also holds the first id of the next one
    time: i64,
    position: i64,
    endless: bool,
}

impl Streams {
    fn new(ids: &[i64], batch: i64, time: i64) -> Result<Self> {
        if batch < 1 || time < 1 {
            return Err(Error::input(format!("batch {batch}, time {time}: both must be at least 1")));
        }
        let length = (ids.len() as i64 - 1) / batch; // characters to predict in each stream
        if length < time {
            return Err(Error::input(format!(
                "{} characters are too few for {batch} streams of {time}: use a smaller batch, a shorter \
                 time or a longer text",
                ids.len()
            )));
        }
        let rows = Tensor::from_slice(ids).unfold(0, length + 1, length).narrow(0, 0, batch);
        Ok(Self { ids: rows.contiguous(), time, position: 0, endless: false })
    }

    /// Starts over at the end of the text.
    pub fn endless(self) -> Self {
        Self { endless: true, ..self }
    }

    /// Moves the text to `device` once, so that batches need no copy.
    pub fn to_device(self, device: Device) -> Self {
        Self { ids: self.ids.to_device(device), ..self }
    }

    /// Goes on with batch number `number`, counted from 0, as if those before had been taken: to continue an
    /// interrupted training. Call it after [`endless`](Self::endless).
    pub fn skip_to(self, number: i64) -> Self {
        let batches = self.batches();
        let number = if self.endless { number % batches } else { number.min(batches) };
        Self { position: number * self.time, ..self }
    }

    /// Batches in one walk through the text.
    pub fn batches(&self) -> i64 {
        (self.ids.size()[1] - 1) / self.time
    }
}

impl Iterator for Streams {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let end = self.batches() * self.time;
        if self.position == end && self.endless {
            self.position = 0;
        }
        if self.position == end {
            return None;
        }
        let batch = Batch {
            ids: self.ids.narrow(1, self.position, self.time),
            targets: self.ids.narrow(1, self.position + 1, self.time),
            first: self.position == 0,
        };
        self.position += self.time;
        Some(batch)
    }
}

/// The text of a file, or what is wrong with it.
fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path)
        .map_err(|source| Error::file(path, source, "check the path; it starts at the notebook's folder"))?;
    String::from_utf8(bytes).map_err(|error| {
        Error::input(format!(
            "{}: not UTF-8 at byte {}; convert it, e.g. iconv -f latin1 -t utf8",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
}
