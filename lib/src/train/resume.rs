//! Checkpoints of a training run: what they hold, and how a run goes on from one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::trainer::Saving;
use super::{Checkpoint, History, TrainConfig, Trainer};
use crate::error::{Error, Result};
use crate::no_grad;

/// How far a run has come. With the variables and the optimizer's moments, all that its next step depends on.
#[derive(Debug)]
pub(super) struct Run {
    /// Steps done.
    pub step: i64,
    /// The random numbers of every step follow from it.
    pub seed: i64,
    pub seconds: f64,
    pub history: History,
    /// The parameters at the best validation; empty without `patience`.
    pub best: Vec<Tensor>,
}

impl Run {
    /// A run at its beginning, with a seed from libtorch's generator.
    pub fn begin() -> Self {
        let seed = Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]);
        Self { step: 0, seed, seconds: 0.0, history: History::default(), best: Vec::new() }
    }

    pub fn is_over(&self, config: &TrainConfig) -> bool {
        let out_of_patience =
            config.patience.is_some_and(|limit| self.history.validations_since_best() as i64 >= limit);
        self.step >= config.steps || out_of_patience
    }

    /// Seeds libtorch for the next step. Neighbouring seeds must not give similar streams, and libtorch's
    /// generator for the CPU looks at 32 bits only, so the number is mixed first (SplitMix64, Steele et al.
    /// 2014).
    pub fn seed_step(&self) {
        let mut z =
            (self.seed as u64).wrapping_add((self.step as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        tch::manual_seed((z ^ (z >> 31)) as i64);
    }
}

/// The numbers of a [`Run`] and its optimizer, as JSON in the file's header.
#[derive(Deserialize, Serialize)]
struct Numbers {
    step: i64,
    seed: i64,
    seconds: f64,
    optimizer_steps: i32,
    config: String,
}

impl Trainer {
    /// Registers a tensor that the loss closure changes in place from batch to batch, such as a recurrent
    /// state: checkpoints hold it, and [`resumable`](Self::resumable), which comes after, puts it back.
    ///
    /// The backward pass needs the state as it was, so the model gets a copy:
    ///
    /// ```
    /// # use llm_course::prelude::*;
    /// # let vs = nn::VarStore::new(Device::Cpu);
    /// # let model = CharLm::new(&vs.root(), CharLmConfig::new(CellKind::Rnn, 9, 4, 5));
    /// # let ids = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
    /// let mut state = model.zero_state(2);
    /// let trainer = Trainer::new(&vs, TrainConfig::default())?.with_state("hidden", &state.hidden);
    /// let mut loss = |_: i64| {
    ///     let (logits, next) = model.forward(&ids, &state.copy());
    ///     state.replace(&next);
    ///     logits.reshape([-1, 9]).cross_entropy_for_logits(&ids.reshape([-1]))
    /// };
    /// # loss(0).backward();
    /// # Ok::<(), llm_course::Error>(())
    /// ```
    pub fn with_state(mut self, name: &str, state: &Tensor) -> Self {
        self.states.push((name.into(), state.detach()));
        self
    }

    /// Saves a checkpoint at `path` every `every` steps and at the end, and goes on from the one that is
    /// there, if there is one; a finished run is not trained again. The file also opens with
    /// [`VarStore::load`](tch::nn::VarStore::load).
    ///
    /// See [`Trainer`] for what makes the continued run repeat the uninterrupted one.
    ///
    /// # Errors
    /// If `every` is less than 1, or the checkpoint is damaged (and so is the one before it) or comes from
    /// another model or configuration.
    pub fn resumable(mut self, path: impl AsRef<Path>, every: i64) -> Result<Self> {
        let path = path.as_ref();
        if every < 1 {
            return Err(Error::input(format!("a checkpoint every {every} steps: it must be at least 1")));
        }
        if let Some(checkpoint) = Checkpoint::latest(path)? {
            let run = self.restore(checkpoint).map_err(|error| {
                let advice = "give this run another path, or delete the file and its .previous to start anew";
                Error::input(format!("{} does not fit this run: {error}; {advice}", path.display()))
            })?;
            let file = path.file_name().unwrap_or_default().display();
            println!("{file}: going on after step {} of {}", run.step, self.config.steps);
            self.resumed = Some(run);
        }
        self.saving = Some(Saving { path: path.into(), every });
        Ok(self)
    }

    pub(super) fn checkpoint(&self, run: &Run) -> Result<Checkpoint> {
        let mut tensors: BTreeMap<_, _> = run.history.tensors().into();
        for (name, tensor) in self.named(&run.best) {
            tensors.insert(name, tensor.detach());
        }
        let numbers = Numbers {
            step: run.step,
            seed: run.seed,
            seconds: run.seconds,
            optimizer_steps: self.optimizer.steps,
            config: format!("{:?}", self.config),
        };
        let numbers = serde_json::to_string(&numbers).map_err(|error| Error::input(error.to_string()))?;
        Ok(Checkpoint { tensors, metadata: [("run".to_string(), numbers)].into() })
    }

    /// Everything that training changes, by its name in a checkpoint.
    fn named<'a>(&'a self, best: &'a [Tensor]) -> impl Iterator<Item = (String, &'a Tensor)> {
        let numbered = |group: &'static str, tensors: &'a [Tensor]| {
            tensors.iter().enumerate().map(move |(number, tensor)| (format!("{group}/{number}"), tensor))
        };
        let named = |prefix: &'static str, tensors: &'a [(String, Tensor)]| {
            tensors.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
        };
        named("", &self.variables)
            .chain(named("state/", &self.states))
            .chain(numbered("adamw/first", &self.optimizer.first))
            .chain(numbered("adamw/second", &self.optimizer.second))
            .chain(numbered("best", best))
    }

    /// Takes everything over from a checkpoint, or nothing.
    fn restore(&mut self, mut checkpoint: Checkpoint) -> Result<Run> {
        let text = checkpoint.metadata.get("run").ok_or_else(|| Error::input("it holds no training run"))?;
        let numbers: Numbers = serde_json::from_str(text).map_err(|error| Error::input(error.to_string()))?;
        let config = format!("{:?}", self.config);
        if numbers.config != config {
            return Err(Error::input(format!("it was made with {}, and this is {config}", numbers.config)));
        }
        let history = History::from_tensors(&mut checkpoint.tensors)?;
        if !(0..=self.config.steps).contains(&numbers.step) || !history.fits(numbers.step) {
            return Err(Error::input(format!("its history does not fit its step {}", numbers.step)));
        }
        let like_parameters = || self.optimizer.parameters().iter().map(|p| p.detach().empty_like());
        let has_best = checkpoint.tensors.contains_key("best/0");
        let best: Vec<Tensor> = if has_best { like_parameters().collect() } else { Vec::new() };
        let mut pairs = Vec::new();
        for (name, tensor) in self.named(&best) {
            let saved = checkpoint.tensors.remove(&name);
            let fits = |saved: &Tensor| saved.size() == tensor.size() && saved.kind() == tensor.kind();
            let saved = saved.filter(fits).ok_or_else(|| {
                Error::input(format!("it has no {name} {:?} {:?}", tensor.size(), tensor.kind()))
            })?;
            pairs.push((tensor.shallow_clone(), saved));
        }
        if let Some(name) = checkpoint.tensors.keys().next() {
            return Err(Error::input(format!("this run has no {name} (states are registered first)")));
        }
        no_grad(|| pairs.iter_mut().for_each(|(tensor, saved)| tensor.copy_(saved)));
        self.optimizer.steps = numbers.optimizer_steps;
        Ok(Run { step: numbers.step, seed: numbers.seed, seconds: numbers.seconds, history, best })
    }
}
