//! The training loop.

use std::path::PathBuf;
use std::time::Instant;

use tch::{Device, Tensor, nn::VarStore};

use super::resume::Run;
use super::{AdamW, History, TrainConfig, clip_grad_norm};
use crate::error::{Error, Result};
use crate::no_grad;
use crate::runtime::quick;

/// Trains the variables of a [`VarStore`] with AdamW.
///
/// ```
/// use llm_course::train::{TrainConfig, Trainer};
/// use tch::{Device, Kind, nn};
/// let vs = nn::VarStore::new(Device::Cpu);
/// let x = vs.root().ones("x", &[1]);
/// let config = TrainConfig { steps: 50, warmup: 0, lr: 0.1, ..Default::default() };
/// let loss = || (&x - 3.0).square().sum(Kind::Float); // its minimum is at x = 3
/// let history = Trainer::new(&vs, config)?.fit("parabola", |_| loss(), || loss().double_value(&[]))?;
/// assert!(history.final_validation() < 0.1);
/// # Ok::<(), llm_course::Error>(())
/// ```
///
/// # Randomness and resuming
///
/// A run draws a seed from libtorch's generator when it starts, and seeds the generator anew before every
/// step from that seed and the step's number: dropout, and batches drawn with libtorch, depend on nothing
/// else. So a run that goes on from a checkpoint ([`resumable`](Self::resumable)) repeats the run that was
/// never interrupted, bit for bit on the same CPU with as many threads, if the loss closure takes its data by
/// the number it receives or from an iterator that was moved there
/// (`streams.endless().skip_to(trainer.next_batch())`), and if what it carries from batch to batch lies in a
/// tensor that the trainer knows ([`with_state`](Self::with_state)).
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) optimizer: AdamW,
    /// All variables by name, with those that are not trained.
    pub(super) variables: Vec<(String, Tensor)>,
    pub(super) states: Vec<(String, Tensor)>,
    pub(super) saving: Option<Saving>,
    /// Where the next `fit` begins, if not at the beginning.
    pub(super) resumed: Option<Run>,
}

/// Where to save, and how often.
#[derive(Debug)]
pub(super) struct Saving {
    pub path: PathBuf,
    pub every: i64,
}

impl Trainer {
    /// A trainer of the variables that `vs` holds now: build the model first.
    ///
    /// # Errors
    /// If `vs` has no trainable variables or a number of `config` makes no sense.
    pub fn new(vs: &VarStore, config: TrainConfig) -> Result<Self> {
        config.check()?;
        let optimizer = AdamW::new(vs.trainable_variables(), config.betas, config.weight_decay)?;
        let variables = vs.variables().into_iter().collect();
        Ok(Self { config, optimizer, variables, states: Vec::new(), saving: None, resumed: None })
    }

    /// Trains for `config.steps` steps.
    ///
    /// `loss` receives the number of the batch, counted from 0 (the step, unless gradients are accumulated),
    /// and returns its mean loss in nats, a scalar with a graph. `validation` returns the validation loss
    /// in nats; it runs without gradients every `validate_every` steps and at the end, and then a line is
    /// printed.
    ///
    /// # Errors
    /// If the loss or its gradient is not a finite number, or the loss has grown a million times: the message names the
    /// step. The variables keep the last values, and the checkpoint those of a good step.
    /// If a checkpoint cannot be written.
    ///
    /// # Panics
    /// If the loss is not one number with a graph.
    pub fn fit(
        &mut self,
        name: &str,
        mut loss: impl FnMut(i64) -> Tensor,
        mut validation: impl FnMut() -> f64,
    ) -> Result<History> {
        let mut run = self.resumed.take().unwrap_or_else(Run::begin);
        run.history.name = name.into();
        let mut pending = Vec::new(); // losses not read back yet: reading makes a GPU wait
        let (start, earlier) = (Instant::now(), run.seconds);
        let seconds = || earlier + start.elapsed().as_secs_f64();
        let validate_every = if quick() { (self.config.steps + 3) / 4 } else { self.config.validate_every };
        while !run.is_over(&self.config) {
            run.seed_step();
            pending.push(self.step(run.step, &mut loss));
            run.step += 1;
            let last = run.step == self.config.steps;
            if run.step % validate_every == 0 || last {
                run.history.read(&mut pending)?; // waits for a card
                run.seconds = seconds();
                let value = no_grad(|| self.config.precision.run(self.device(), &mut validation));
                run.history.validate(run.step, value, run.seconds);
                println!("{}", run.history.line(self.config.steps));
                self.keep_best(&mut run);
            }
            let Some(saving) = &self.saving else { continue };
            if run.step % saving.every == 0 || run.is_over(&self.config) {
                run.history.read(&mut pending)?; // waits for a card
                run.seconds = seconds();
                self.check_weights(&run)?;
                self.checkpoint(&run)?.save(&saving.path)?;
            }
        }
        self.restore_best(&run);
        Ok(run.history)
    }

    /// The number that `fit` hands to the loss closure first: 0, or where the checkpoint goes on.
    pub fn next_batch(&self) -> i64 {
        self.resumed.as_ref().map_or(0, |run| run.step) * self.config.accumulate
    }

    /// One optimizer step: the mean loss of its batches, and the norm of their gradient before clipping.
    fn step(&mut self, step: i64, loss: &mut impl FnMut(i64) -> Tensor) -> (Tensor, Tensor) {
        let TrainConfig { accumulate, precision, clip, .. } = self.config;
        let batches = step * accumulate..(step + 1) * accumulate;
        let losses = batches.map(|batch| {
            let part = precision.run(self.device(), || loss(batch)) / accumulate;
            assert!(
                part.numel() == 1 && part.requires_grad(),
                "the loss closure must give one number with a graph, got {:?}: take the mean, and do not detach it",
                part.size()
            );
            part.backward(); // measured as fast as `run_backward` into a list, and skips frozen variables
            part.detach()
        });
        let total = losses.reduce(|sum, part| sum + part).expect("at least one batch");
        let norm = clip_grad_norm(self.optimizer.parameters(), clip);
        self.optimizer.step(self.config.lr_at(step));
        (total, norm)
    }

    /// Refuses weights that the last step has spoilt: its loss was taken before, and the checkpoint must stay good.
    fn check_weights(&self, run: &Run) -> Result<()> {
        let finite = |p: &Tensor| p.isfinite().all().int64_value(&[]) == 1;
        if self.optimizer.parameters().iter().all(finite) {
            return Ok(());
        }
        Err(Error::Training(format!(
            "{}: a weight is no finite number after step {}: lower the learning rate; the last checkpoint is still good",
            run.history.name,
            run.step - 1
        )))
    }

    fn device(&self) -> Device {
        self.optimizer.parameters()[0].device()
    }

    /// Copies the parameters if the newest validation was the best and that will matter.
    fn keep_best(&self, run: &mut Run) {
        if self.config.patience.is_some() && run.history.validations_since_best() == 0 {
            run.best = self.optimizer.parameters().iter().map(|p| p.detach().copy()).collect();
        }
    }

    fn restore_best(&mut self, run: &Run) {
        let waited = run.history.validations_since_best();
        if run.best.is_empty() || waited == 0 {
            return;
        }
        no_grad(|| {
            let parameters = self.optimizer.parameters().iter();
            parameters.zip(&run.best).for_each(|(p, best)| p.shallow_clone().copy_(best));
        });
        let best = run.history.steps[run.history.steps.len() - 1 - waited];
        println!("{:>10} stopped at step {} with the values of step {best}", run.history.name, run.step);
    }
}
