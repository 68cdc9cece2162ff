//! A linear layer that can learn by a low-rank update alone (LoRA: Hu et al. 2021).

use tch::{Device, Tensor, nn};

use crate::error::{Error, Result};
use crate::native::is_recording;
use crate::no_grad;

/// y = x·Wᵀ + b; with [`add_lora`](Self::add_lora) y = x·Wᵀ + b + (α/r)·x·Aᵀ·Bᵀ.
///
/// ```
/// use llm_course::layers::{Linear, LoraConfig};
/// use tch::{Device, Kind, Tensor, nn::{self, Module, VarStore}};
///
/// let (base, update) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
/// let mut linear = Linear::from(nn::linear(base.root(), 8, 4, Default::default()));
/// let x = Tensor::ones([2, 8], (Kind::Float, Device::Cpu));
/// let before = linear.forward(&x);
/// linear.add_lora(&update.root(), LoraConfig::rank(2))?; // trains 2·8 + 4·2 numbers in `update`
/// assert_eq!(linear.forward(&x), before); // B starts at 0
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,       // [output, input]
    bias: Option<Tensor>, // [output]
    lora: Option<Lora>,
}

/// The update (α/r)·B·A of a weight.
#[derive(Debug)]
struct Lora {
    a: Tensor, // [rank, input]
    b: Tensor, // [output, rank]
    scale: f64,
    merged: bool,
}

/// How large the update is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraConfig {
    /// r, the most that the rank of an update can be.
    pub rank: i64,
    /// α; the update is (α/r)·B·A.
    pub alpha: f64,
    /// Update the feed-forward layers' matrices too, not only attention's.
    pub feed_forward: bool,
}

impl LoraConfig {
    /// Updates of attention's matrices with rank `rank`, and α twice that.
    pub fn rank(rank: i64) -> Self {
        Self { rank, alpha: 2.0 * rank as f64, feed_forward: false }
    }
}

impl From<nn::Linear> for Linear {
    fn from(linear: nn::Linear) -> Self {
        Self { weight: linear.ws, bias: linear.bs, lora: None }
    }
}

impl nn::Module for Linear {
    fn forward(&self, x: &Tensor) -> Tensor {
        self.product(x, Tensor::shallow_clone)
    }
}

impl Linear {
    /// Outputs `start..start + length` alone, as if the layer had only these.
    pub fn forward_rows(&self, x: &Tensor, start: i64, length: i64) -> Tensor {
        self.product(x, |matrix| matrix.narrow(0, start, length))
    }

    /// `x` times what `rows` chooses of each matrix that makes outputs.
    fn product(&self, x: &Tensor, rows: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let y = affine(x, &rows(&self.weight), self.bias.as_ref().map(&rows).as_ref());
        match &self.lora {
            Some(Lora { a, b, scale, merged: false }) => {
                y + x.linear(a, None::<Tensor>).linear(&rows(b), None::<Tensor>) * *scale
            }
            _ => y,
        }
    }

    /// Weight and bias, if that is all.
    pub(super) fn plain(&self) -> Option<(&Tensor, &Tensor)> {
        self.bias.as_ref().filter(|_| self.lora.is_none()).map(|bias| (&self.weight, bias))
    }

    /// Numbers that it takes and gives.
    pub fn sizes(&self) -> (i64, i64) {
        let (output, input) = self.weight.size2().expect("[output, input]");
        (input, output)
    }

    /// Adds an update with variables under `path`, which belongs to another VarStore than the weight: freeze that one
    /// and train this one. A is uniform in ±1/√input and B is 0, so nothing changes at first (Hu et al. 2021, § 4.1).
    ///
    /// # Errors
    /// If the rank is below 1 or above both sizes, α is not positive, or there is an update already.
    pub fn add_lora(&mut self, path: &nn::Path, config: LoraConfig) -> Result<()> {
        let (input, output) = self.sizes();
        let LoraConfig { rank, alpha, .. } = config;
        if rank < 1 || rank > input.min(output) {
            return Err(Error::input(format!(
                "LoRA of rank {rank} on a matrix [{output}, {input}]: take 1 to {}",
                input.min(output)
            )));
        }
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::input(format!("LoRA with α = {alpha}: it must be positive, such as 2·rank")));
        }
        if self.lora.is_some() {
            return Err(Error::input(
                "this layer has a LoRA update already: load the model anew for another",
            ));
        }
        let bound = 1.0 / (input as f64).sqrt();
        let a = path.var("a", &[rank, input], nn::Init::Uniform { lo: -bound, up: bound });
        let b = path.var("b", &[output, rank], nn::Init::Const(0.0));
        self.lora = Some(Lora { a, b, scale: alpha / rank as f64, merged: false });
        Ok(())
    }

    /// Adds the update to the weight (`true`), so that it costs nothing any more, or takes it out again, up to rounding
    /// (`false`). A second call changes nothing.
    pub fn set_lora_merged(&mut self, merged: bool) {
        let Some(lora) = self.lora.as_mut().filter(|lora| lora.merged != merged) else { return };
        let sign = if merged { 1.0 } else { -1.0 };
        no_grad(|| {
            let _ = self.weight.g_add_(&(lora.b.matmul(&lora.a) * (sign * lora.scale)));
        });
        lora.merged = merged;
    }
}

/// x·Wᵀ + b; for a single position on the CPU as matrix times vector, which takes two thirds of the time.
fn affine(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let single = || x.device() == Device::Cpu && x.numel() as i64 == weight.size()[1];
    match bias {
        Some(bias) if !is_recording() && single() => {
            let mut size = x.size();
            *size.last_mut().expect("numbers in a row") = weight.size()[0];
            bias.addmv(weight, &x.reshape([-1])).view(&size[..])
        }
        _ => x.linear(weight, bias),
    }
}
