//! Reviews with a sentiment, for classification.

use std::collections::HashSet;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use super::pairs::{at, padded};
use super::read_text;
use crate::error::{Error, Result};
use crate::grammar::Grammar;

const GRAMMAR: &str = include_str!("../../../data/reviews.grammar");
const HAND_WRITTEN: &str = include_str!("../../../data/reviews_test.tsv");
/// The names of labels 0 and 1.
const LABELS: [&str; 2] = ["negative", "positive"];

/// A text and its sentiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Review {
    /// One or a few sentences.
    pub text: String,
    /// 1 positive, 0 negative.
    pub label: i64,
}

/// Reviews for training, validation and test, half of them positive.
///
/// ```
/// use llm_course::data::ReviewDataset;
/// let data = ReviewDataset::reviews(100, 20, 1)?;
/// assert_eq!(data.train.iter().filter(|r| r.label == 1).count(), 50);
/// assert_eq!(data.test.len(), 200);                 // written by hand
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReviewDataset {
    /// What the reviews are, for titles of figures.
    pub name: String,
    /// Reviews that a model may learn from.
    pub train: Vec<Review>,
    /// Reviews of the same kind, to choose settings by.
    pub validation: Vec<Review>,
    /// Reviews to report figures on: of the course's reviews, 200 that were written by hand, with words and
    /// turns that the grammar does not have.
    pub test: Vec<Review>,
}

impl ReviewDataset {
    /// The course's reviews: `train` and `validation` distinct ones from `data/reviews.grammar`, half of each
    /// positive, and the hand-written test. The same `seed` gives the same reviews everywhere.
    ///
    /// # Errors
    /// If a number is odd or 0, or larger than what the grammar gives.
    pub fn reviews(train: usize, validation: usize, seed: u64) -> Result<Self> {
        let grammar = Grammar::parse(GRAMMAR)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut seen = HashSet::new();
        let mut draw = |count: usize| {
            if count == 0 || count % 2 == 1 {
                return Err(Error::input(format!(
                    "{count} reviews: give an even number, at least 2, for half are positive"
                )));
            }
            let (mut missing, mut drawn, mut draws) = ([count / 2; 2], Vec::with_capacity(count), 0);
            while drawn.len() < count {
                draws += 1;
                if draws > 50 * (count + 1_000) {
                    let found = drawn.len();
                    return Err(Error::input(format!(
                        "{count} distinct reviews: found {found}, ask for fewer"
                    )));
                }
                let (line, _) = grammar.sample(&mut rng);
                let review = labelled(line.trim_end().split_once(": "))
                    .ok_or_else(|| Error::input(format!("the grammar gave {line:?}, which has no label")))?;
                let missing = &mut missing[review.label as usize];
                if *missing > 0 && seen.insert(review.clone()) {
                    *missing -= 1;
                    drawn.push(review);
                }
            }
            Ok(drawn)
        };
        let (validation, train) = (draw(validation)?, draw(train)?);
        let test = parse(HAND_WRITTEN, Path::new("data/reviews_test.tsv"))?;
        Ok(Self { name: "reviews".into(), train, validation, test })
    }

    /// A user's reviews: lines of `positive` or `negative`, a tab and a text. After a shuffle with `seed`
    /// 80 % are for training, 10 % for validation, 10 % for the test.
    ///
    /// # Errors
    /// If the file cannot be read or is not UTF-8, a line is not of that form (the message names it), or
    /// there are fewer than 10.
    pub fn from_file(path: impl AsRef<Path>, seed: u64) -> Result<Self> {
        let path = path.as_ref();
        let mut train = parse(&read_text(path)?, path)?;
        let count = train.len();
        if count < 10 {
            let path = path.display();
            return Err(Error::input(format!(
                "{path}: {count} reviews; a data set needs at least 10 (better 1,000)"
            )));
        }
        train.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let test = train.split_off(count - count / 10);
        let validation = train.split_off(train.len() - count / 10);
        let name =
            path.file_stem().map_or_else(|| "reviews".into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self { name, train, validation, test })
    }
}

/// A label's name and a text → a review.
fn labelled(parts: Option<(&str, &str)>) -> Option<Review> {
    let (name, text) = parts?;
    let label = LABELS.iter().position(|label| *label == name)?;
    (!text.trim().is_empty()).then(|| Review { text: text.trim().to_string(), label: label as i64 })
}

fn parse(text: &str, path: &Path) -> Result<Vec<Review>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let review = |(i, line): (usize, &str)| {
        labelled(line.split_once('\t'))
            .ok_or_else(|| at(path, i, "write `positive` or `negative`, a tab, and the text"))
    };
    lines.map(review).collect()
}

/// A batch of encoded reviews.
#[derive(Debug)]
pub struct ReviewBatch {
    /// `[batch, time]`, padded with the id that was asked for.
    pub ids: Tensor,
    /// `[batch, time]`, Bool: where a token stands, which may be attended.
    pub mask: Tensor,
    /// `[batch]`: 1 positive, 0 negative.
    pub labels: Tensor,
}

/// An iterator over batches of reviews that any tokenizer has encoded; each walk is in another order.
///
/// ```
/// use llm_course::data::{ReviewBatches, ReviewDataset};
/// use llm_course::tokenizers::{CharTokenizer, Tokenizer};
/// let data = ReviewDataset::reviews(100, 20, 1)?;
/// let tokenizer = CharTokenizer::new(&data.train[0].text);
/// let encoded = data.train.iter().map(|r| (tokenizer.encode(&r.text), r.label)).collect();
/// let batch = ReviewBatches::new(encoded, 16, 0, 1)?.next().unwrap();
/// assert_eq!(batch.labels.size(), [16]);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct ReviewBatches {
    reviews: Vec<(Vec<i64>, i64)>,
    size: usize,
    pad: i64,
    rng: ChaCha8Rng,
    endless: bool,
    device: Device,
    position: usize,
}

impl ReviewBatches {
    /// Batches of `batch` reviews (ids, label), filled up with `pad`, in an order that `seed` decides.
    ///
    /// # Errors
    /// If there are no reviews, one has no ids, or `batch` is less than 1.
    pub fn new(mut reviews: Vec<(Vec<i64>, i64)>, batch: i64, pad: i64, seed: u64) -> Result<Self> {
        let size = usize::try_from(batch).ok().filter(|&size| size > 0 && !reviews.is_empty());
        let size = size.ok_or_else(|| {
            Error::input(format!("batch {batch} of {} reviews: both must be at least 1", reviews.len()))
        })?;
        if let Some(empty) = reviews.iter().position(|(ids, _)| ids.is_empty()) {
            return Err(Error::input(format!(
                "review {empty} has no ids: leave it out, or encode it otherwise"
            )));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        reviews.shuffle(&mut rng);
        Ok(Self { reviews, size, pad, rng, endless: false, device: Device::Cpu, position: 0 })
    }

    /// Begins another walk, in another order, after the last batch.
    pub fn endless(self) -> Self {
        Self { endless: true, ..self }
    }

    /// Puts batches on `device`.
    pub fn to_device(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// Batches in one walk through the reviews.
    pub fn batches(&self) -> i64 {
        self.reviews.len().div_ceil(self.size) as i64
    }
}

impl Iterator for ReviewBatches {
    type Item = ReviewBatch;

    fn next(&mut self) -> Option<ReviewBatch> {
        if self.position >= self.reviews.len() && self.endless {
            self.reviews.shuffle(&mut self.rng);
            self.position = 0;
        }
        let rows = self.reviews[self.position..].chunks(self.size).next()?;
        self.position += rows.len();
        let lengths: Vec<i64> = rows.iter().map(|(ids, _)| ids.len() as i64).collect();
        let labels: Vec<i64> = rows.iter().map(|(_, label)| *label).collect();
        let ids = padded(rows.iter().map(|(ids, _)| ids.clone()).collect(), self.pad);
        let places = Tensor::arange(ids.size()[1], (tch::Kind::Int64, Device::Cpu));
        let mask = places.unsqueeze(0).lt_tensor(&Tensor::from_slice(&lengths).unsqueeze(1));
        Some(ReviewBatch {
            ids: ids.to_device(self.device),
            mask: mask.to_device(self.device),
            labels: Tensor::from_slice(&labels).to_device(self.device),
        })
    }
}
