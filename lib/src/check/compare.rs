//! Random cases and the comparison of results.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::Outcome;

/// A source of random cases; independent of libtorch's, so that a check does not change what a later
/// cell draws.
#[derive(Debug)]
pub struct Cases {
    case: u64,
    rng: ChaCha8Rng,
    made: Vec<Tensor>,
}

impl Cases {
    /// Case number `case`, the same each time.
    pub fn new(case: u64) -> Self {
        Self { case, rng: ChaCha8Rng::seed_from_u64(case), made: Vec::new() }
    }

    /// `true` for every fourth case: the one to be extreme in.
    pub fn extreme(&self) -> bool {
        self.case % 4 == 3
    }

    /// A size from `low` to `high`, both included.
    pub fn size(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }

    /// A number from `low` to `high`.
    pub fn number(&mut self, low: f64, high: f64) -> f64 {
        self.rng.random_range(low..high)
    }

    /// Random ids `[count]` below `vocab_size`.
    pub fn ids(&mut self, count: i64, vocab_size: i64) -> Tensor {
        let ids: Vec<i64> = (0..count).map(|_| self.rng.random_range(0..vocab_size)).collect();
        self.keep(Tensor::from_slice(&ids))
    }

    /// Between `low` and `high` ids below `vocab_size`, as a list.
    pub fn id_list(&mut self, low: i64, high: i64, vocab_size: i64) -> Vec<i64> {
        let count = self.size(low, high);
        (0..count).map(|_| self.rng.random_range(0..vocab_size)).collect()
    }

    /// A tensor of `shape` in f64, uniform in ±`scale`, that collects a gradient.
    pub fn tensor(&mut self, shape: &[i64], scale: f64) -> Tensor {
        let count: i64 = shape.iter().product();
        let numbers: Vec<f64> = (0..count).map(|_| self.rng.random_range(-scale..scale)).collect();
        self.keep(Tensor::from_slice(&numbers).reshape(shape).set_requires_grad(true))
    }

    /// `tensor`, which an answer must leave as it is: what the case has drawn, or made of that.
    pub(super) fn keep(&mut self, tensor: Tensor) -> Tensor {
        self.made.push(tensor.shallow_clone());
        tensor
    }

    /// Whether all tensors kept hold the same numbers now as those of the same case in `other`: not if an answer has
    /// written into its arguments.
    pub(super) fn same_tensors(&self, other: &Self) -> bool {
        self.made == other.made
    }
}

/// How the name of an outcome begins that was computed backwards: "the gradient of x", but not "a clipped gradient".
pub(super) const GRADIENT: &str = "the gradient ";

/// Why a gradient is 0 and should not be.
const CUT: &str = "the graph is cut by detach, no_grad or a number that was taken out of a tensor";

/// The gradients of Σ weight · output with respect to `inputs`, where the weights vary from number to
/// number, so that a transposed or permuted result does not pass. An input that the output does not depend
/// on gets zeros.
pub fn gradients(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let weight = (Tensor::arange(output.numel() as i64, (Kind::Double, output.device())) * 0.7 + 0.3).cos();
    let sum = (output * weight.reshape(output.size())).sum(Kind::Double);
    if sum.requires_grad() {
        sum.backward();
    }
    inputs
        .iter()
        .map(|input| {
            let grad = input.grad();
            let copy = if grad.defined() { grad.copy() } else { input.detach().zeros_like() };
            input.shallow_clone().zero_grad();
            copy
        })
        .collect()
}

/// `output`, which is called `what`, and its [`gradients`] with respect to `inputs`, called by `names`.
pub(super) fn with_gradients(
    what: &'static str,
    output: Tensor,
    names: &[&'static str],
    inputs: &[&Tensor],
) -> Vec<Outcome> {
    let values = gradients(&output, inputs);
    let named = names.iter().zip(values).map(|(name, value)| Outcome::new(name, value));
    std::iter::once(Outcome::new(what, output)).chain(named).collect()
}

/// In words, what differs first between `got` and `want`; `None` if all agree to 1e-4
/// relative, which lets an answer in f32 pass and no wrong one.
pub(super) fn difference(got: &[Outcome], want: &[Outcome]) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("it returned {} tensors, expected {}", got.len(), want.len()));
    }
    got.iter().zip(want).find_map(|(got, want)| {
        let (what, got, want) = (want.what, &got.value, &want.value);
        if got.size() != want.size() {
            return Some(format!("{what} has the shape {:?}, expected {:?}", got.size(), want.size()));
        }
        if want.numel() == 0 {
            return None;
        }
        if want.kind() == Kind::Bool {
            return (got != want).then(|| what.to_string()); // a verdict: `what` says what a wrong one means
        }
        let got = got.detach().to_kind(Kind::Double);
        let want = want.detach().to_kind(Kind::Double);
        if got.isfinite() != want.isfinite() {
            return Some(format!(
                "{what} is not finite: look for an overflow, a log of 0 or a division by 0"
            ));
        }
        let [got, want] = [got, want].map(|t| t.nan_to_num(0.0, 0.0, 0.0)); // a mistake may divide by 0, too
        let off = (&got - &want).abs();
        let limit = want.abs() * 1e-4 + 1e-5;
        let agrees = off.le_tensor(&limit).all().int64_value(&[]) == 1;
        (!agrees).then(|| {
            if what.starts_with(GRADIENT) && got.abs().max().double_value(&[]) == 0.0 {
                return format!("{what} is 0: {CUT}");
            }
            let worst = off.flatten(0, -1).argmax(0, false).int64_value(&[]);
            let at = |tensor: &Tensor| tensor.flatten(0, -1).double_value(&[worst]);
            format!("{what} is off by up to {:.3}: got {:.5}, expected {:.5}", at(&off), at(&got), at(&want))
        })
    })
}
