//! Layers with their backward pass by hand, for training on a CPU: the same numbers as the plain form up to rounding
//! (`tests/layers.rs`), without what libtorch spends between many small operations.

mod additive;
mod attention;
mod cached;
mod gru;
mod kernels;
mod loss;

use tch::nn::LayerNorm;
use tch::{Device, Kind, Tensor};

pub(super) use self::additive::additive_scores;
use self::attention::{Heads, Open, join, softmax, softmax_backward, split, turn};
pub(super) use self::cached::attend_cached;
pub(crate) use self::gru::gru_step;
use self::kernels::{activate, activate_backward, add, norm, norm_backward};
pub(super) use self::loss::cross_entropy;
use super::{Activation, Linear, Mask, NormOrder, Rotary};
use crate::native::rows::has_vectors;
use crate::native::{as_it_is, is_recording, product_kind, with_gradient};
use crate::no_grad;

/// What a residual layer computes: a matrix, what stands between, a matrix.
pub(super) struct Layer<'a> {
    pub inner: &'a Linear,
    pub middle: Middle,
    pub outer: &'a Linear,
}

/// What stands between the two matrices.
pub(super) enum Middle {
    /// Attention from a sequence to itself; the inner matrix gives queries, keys and values.
    Attention { open: Open, rotary: Option<Rotary>, heads: Heads },
    /// A function of each number.
    Activation(Activation),
}

impl Middle {
    /// Attention of `x` `[batch, time, d_model]` to itself; `None` where libtorch's kernel, which keeps no weights, has to do it:
    /// beyond 512 positions, or under a mask that differs between queries.
    pub(super) fn attention(x: &Tensor, n_heads: i64, mask: &Mask, rotary: Option<&Rotary>) -> Option<Self> {
        let most = rotary.map_or(512, |rotary| rotary.cos.size()[0].min(512));
        let (batch, time, d_model) = x.size3().ok().filter(|(_, time, _)| *time <= most)?;
        let [batch, time, n_heads, d_head] =
            [batch, time, n_heads, d_model / n_heads].map(|size| size as usize);
        Some(Self::Attention {
            open: Open::new(mask, batch as i64, time as i64)?,
            rotary: rotary.map(Rotary::shallow_clone),
            heads: Heads { batch, time, n_heads, d_head },
        })
    }
}

/// norm(x) → layer → + x, or layer → + x → norm; f32 `[batch, time, d_model]` → the same. `None` where only the plain form can
/// do it: without a graph, on a card, with frozen or low-rank weights.
pub(super) fn residual(
    x: &Tensor,
    around: &LayerNorm,
    eps: f64,
    order: NormOrder,
    layer: Layer,
) -> Option<Tensor> {
    let (inner, outer) = (layer.inner.plain()?, layer.outer.plain()?);
    let inputs = [x, around.ws.as_ref()?, around.bs.as_ref()?, inner.0, inner.1, outer.0, outer.1];
    if x.dim() != 3 || !can_train(&inputs) {
        return None;
    }
    let kind = product_kind();
    let (y, saved) = no_grad(|| as_it_is(|| Saved::forward(inputs, eps, order, layer.middle, kind)));
    Some(with_gradient(y, &inputs, move |gradient| saved.backward(gradient)))
}

/// Whether a graph is recorded and leads to all of `inputs`, which are numbers in f32 on the CPU.
fn can_train(inputs: &[&Tensor]) -> bool {
    let fits = |t: &&Tensor| {
        t.kind() == Kind::Float && t.device() == Device::Cpu && t.numel() > 0 && t.requires_grad()
    };
    is_recording() && has_vectors() && inputs.iter().all(fits)
}

/// What the backward pass needs. Matrices have a row for each position of each batch; `kind` is that of products.
struct Saved {
    order: NormOrder,
    gain: Tensor,         // the norm's weight
    normed: Tensor,       // what the norm read, f32
    stats: Vec<[f32; 2]>, // mean and scale of its rows
    read: Tensor,         // what the inner matrix read, of `kind`
    inner: Tensor,        // that matrix, of `kind`
    middle: SavedMiddle,
    passed: Tensor, // what the outer matrix read, of `kind`
    outer: Tensor,  // that matrix, of `kind`
}

impl Saved {
    fn forward(
        inputs: [&Tensor; 7],
        eps: f64,
        order: NormOrder,
        middle: Middle,
        kind: Kind,
    ) -> (Tensor, Self) {
        let [x, gain, shift, inner, inner_bias, outer, outer_bias] = inputs.map(|t| t.detach().contiguous());
        let size = x.size();
        let x = x.view([-1, size[2]]);
        let [inner, outer] = [inner, outer].map(|matrix| matrix.to_kind(kind));
        let (read, stats) = match order {
            NormOrder::Pre => norm(&x, &gain, &shift, eps, kind),
            NormOrder::Post => (x.to_kind(kind), Vec::new()),
        };
        let (passed, middle) = middle.forward(read.mm(&inner.tr()), &inner_bias);
        let sum = add(&x, &passed.mm(&outer.tr()), &outer_bias);
        let (y, normed, stats) = match order {
            NormOrder::Pre => (sum, x, stats),
            NormOrder::Post => {
                let (y, stats) = norm(&sum, &gain, &shift, eps, Kind::Float);
                (y, sum, stats)
            }
        };
        (y.view(&size[..]), Self { order, gain, normed, stats, read, inner, middle, passed, outer })
    }

    /// The gradients by the inputs of [`forward`](Self::forward), in their order.
    fn backward(&self, gradient: &Tensor) -> Vec<Tensor> {
        let size = gradient.size();
        let gradient = gradient.contiguous().view([-1, size[2]]);
        let normed = |gradient: &Tensor, residual| {
            norm_backward(gradient, &self.normed, &self.stats, &self.gain, residual)
        };
        let ([by_x, gain, shift, outer_bias], [inner, inner_bias, outer]) = match self.order {
            NormOrder::Pre => {
                let (by_read, rest) = self.layer_backward(&gradient);
                (normed(&by_read, Some(&gradient)), rest)
            }
            NormOrder::Post => {
                let mut by_inputs = normed(&gradient, None);
                let (by_read, rest) = self.layer_backward(&by_inputs[0]);
                by_inputs[0] += by_read;
                (by_inputs, rest)
            }
        };
        vec![by_x.view(&size[..]), gain, shift, inner, inner_bias, outer, outer_bias]
    }

    /// The gradient by what the layer read, and those by the inner matrix, its bias and the outer matrix.
    fn layer_backward(&self, gradient: &Tensor) -> (Tensor, [Tensor; 3]) {
        let gradient = gradient.to_kind(self.read.kind());
        let outer = gradient.tr().mm(&self.passed).to_kind(Kind::Float);
        let (by_given, inner_bias) = self.middle.backward(gradient.mm(&self.outer));
        let inner = by_given.tr().mm(&self.read).to_kind(Kind::Float);
        (by_given.mm(&self.inner), [inner, inner_bias, outer])
    }
}

/// What the backward pass of [`Middle`] needs.
enum SavedMiddle {
    Attention { qkv: [Tensor; 3], weights: Tensor, open: Open, rotary: Option<Rotary>, heads: Heads },
    Activation { slope: Tensor },
}

impl Middle {
    /// What the outer matrix reads, from what the inner one gives without its bias.
    fn forward(self, mut given: Tensor, bias: &Tensor) -> (Tensor, SavedMiddle) {
        match self {
            Self::Activation(activation) => {
                let passed = activate(activation, &mut given, bias);
                (passed, SavedMiddle::Activation { slope: given })
            }
            Self::Attention { open, rotary, heads } => {
                let [mut q, mut k, v] = split(&given, Some(bias), heads);
                if let Some(rotary) = &rotary {
                    [&mut q, &mut k].into_iter().for_each(|x| turn(x, rotary, false, heads));
                }
                let mut weights = q.bmm(&k.transpose(1, 2));
                softmax(&mut weights, &open, heads.scale(), heads);
                let (passed, _) = join([&weights.bmm(&v)], heads, given.kind());
                (passed, SavedMiddle::Attention { qkv: [q, k, v], weights, open, rotary, heads })
            }
        }
    }
}

impl SavedMiddle {
    /// The gradients by what the inner matrix gave and by its bias, from that by what the outer one read.
    fn backward(&self, mut gradient: Tensor) -> (Tensor, Tensor) {
        match self {
            Self::Activation { slope } => {
                let by_bias = activate_backward(&mut gradient, slope);
                (gradient, by_bias)
            }
            Self::Attention { qkv: [q, k, v], weights, open, rotary, heads } => {
                let [by_out] = split(&gradient, None, *heads);
                let mut scores = by_out.bmm(&v.transpose(1, 2));
                softmax_backward(&mut scores, weights, open, heads.scale(), *heads);
                let by_v = weights.transpose(1, 2).bmm(&by_out);
                let (mut by_q, mut by_k) = (scores.bmm(k), scores.transpose(1, 2).bmm(q));
                if let Some(rotary) = rotary {
                    [&mut by_q, &mut by_k].into_iter().for_each(|x| turn(x, rotary, true, *heads));
                }
                join([&by_q, &by_k, &by_v], *heads, gradient.kind())
            }
        }
    }
}
