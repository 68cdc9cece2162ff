//! What stands between the matrix products of a layer, each in one pass over its rows.

use tch::{Kind, Tensor};

use crate::layers::Activation;
use crate::native::rows::{
    Bf16, Element, Part, cut, cut_mut, empty, in_parallel, slice, slice_mut, sums, totals, with_element,
};
use crate::native::vector::{dot, gelu, gelu_tanh, relu, sum};

/// Layer norm of each row of `x` f32 → numbers of `kind`; with each row's mean and 1/√(variance + ε).
pub(super) fn norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    kind: Kind,
) -> (Tensor, Vec<[f32; 2]>) {
    with_element!(kind, E => norm_to::<E>(x, weight, bias, eps as f32, kind))
}

fn norm_to<E: Element>(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f32,
    kind: Kind,
) -> (Tensor, Vec<[f32; 2]>) {
    let (weight, bias) = (slice(weight), slice(bias));
    let width = weight.len();
    let mut out = empty(&x.size(), kind);
    let mut stats = vec![[0.0; 2]; x.numel() / width];
    let parts = cut(slice(x), width).zip(cut_mut(slice_mut(&mut out), width)).zip(cut_mut(&mut stats, 1));
    let part = |((x, out), stats)| Norm::<E> { x, out, stats, weight, bias, eps };
    in_parallel(parts.map(part).collect());
    (out, stats)
}

struct Norm<'a, E> {
    x: &'a [f32],
    out: &'a mut [E],
    stats: &'a mut [[f32; 2]],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

impl<E: Element> Part for Norm<'_, E> {
    #[inline(always)]
    fn work(&mut self) {
        let Self { x, out, stats, weight, bias, eps } = self;
        let width = weight.len();
        let n = width as f32;
        for ((x, out), stats) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(stats.iter_mut())
        {
            let mean = sum(x, |x| x) / n;
            let scale = 1.0 / (sum(x, |x| (x - mean) * (x - mean)) / n + *eps).sqrt();
            *stats = [mean, scale];
            for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(*weight).zip(*bias) {
                *out = E::from((x - mean) * scale * weight + bias);
            }
        }
    }
}

/// The gradients by layer norm's input, weight and bias, from the `gradient` by its output. `residual`, the gradient that
/// passes the norm by, is added to the first. The fourth is the sum of the rows of `residual`, or else of the first: the
/// gradient by a bias that is added to the residual stream there.
pub(super) fn norm_backward(
    gradient: &Tensor,
    x: &Tensor,
    stats: &[[f32; 2]],
    weight: &Tensor,
    residual: Option<&Tensor>,
) -> [Tensor; 4] {
    with_element!(gradient.kind(), E => norm_backward_from::<E>(gradient, x, stats, weight, residual))
}

fn norm_backward_from<E: Element>(
    gradient: &Tensor,
    x: &Tensor,
    stats: &[[f32; 2]],
    weight: &Tensor,
    residual: Option<&Tensor>,
) -> [Tensor; 4] {
    let weight = slice(weight);
    let width = weight.len();
    let mut out = empty(&x.size(), Kind::Float);
    let mut sums = sums(3 * width);
    let mut residuals = residual.map(|residual| cut(slice(residual), width));
    let parts = cut(slice(gradient), width).zip(cut(slice(x), width)).zip(cut(stats, 1));
    let parts = parts.zip(cut_mut(slice_mut(&mut out), width)).zip(sums.chunks_exact_mut(3 * width));
    let part = |((((gradient, x), stats), out), sums)| {
        let residual = residuals.as_mut().and_then(Iterator::next);
        NormBackward::<E> { gradient, x, stats, residual, weight, out, sums }
    };
    in_parallel(parts.map(part).collect());
    let [by_weight, by_bias, sum] =
        <[Tensor; 3]>::try_from(totals(&sums, 3 * width).chunk(3, 0)).expect("three");
    [out, by_weight, by_bias, sum]
}

struct NormBackward<'a, E> {
    gradient: &'a [E],
    x: &'a [f32],
    stats: &'a [[f32; 2]],
    residual: Option<&'a [f32]>,
    weight: &'a [f32],
    out: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<E: Element> Part for NormBackward<'_, E> {
    #[inline(always)]
    fn work(&mut self) {
        let width = self.weight.len();
        let n = width as f32;
        let (by_weight, rest) = self.sums.split_at_mut(width);
        let (by_bias, sums) = rest.split_at_mut(width);
        let mut centred = vec![0.0; width]; // a row of the input, normalised
        let rows = self.gradient.chunks_exact(width).zip(self.x.chunks_exact(width)).zip(self.stats);
        let mut residuals = self.residual.map(|residual| residual.chunks_exact(width));
        for (((gradient, x), &[mean, scale]), out) in rows.zip(self.out.chunks_exact_mut(width)) {
            for ((centred, x), (gradient, by_weight)) in
                centred.iter_mut().zip(x).zip(gradient.iter().zip(by_weight.iter_mut()))
            {
                *centred = (x - mean) * scale;
                *by_weight = gradient.get().mul_add(*centred, *by_weight);
            }
            for ((out, weight), (gradient, by_bias)) in
                out.iter_mut().zip(self.weight).zip(gradient.iter().zip(by_bias.iter_mut()))
            {
                *out = gradient.get() * weight; // the gradient by the normalised row
                *by_bias += gradient.get();
            }
            let (mean, slope) = (sum(out, |gradient| gradient) / n, dot(out, &centred) / n);
            for (out, centred) in out.iter_mut().zip(&centred) {
                *out = (*out - mean - centred * slope) * scale;
            }
            match residuals.as_mut().and_then(Iterator::next) {
                Some(residual) => {
                    for ((out, sum), residual) in out.iter_mut().zip(sums.iter_mut()).zip(residual) {
                        *out += residual;
                        *sum += residual;
                    }
                }
                None => sums.iter_mut().zip(out).for_each(|(sum, out)| *sum += *out),
            }
        }
    }
}

/// x + y + bias, f32; `x` f32, `y` of either kind, `bias` for each row.
pub(super) fn add(x: &Tensor, y: &Tensor, bias: &Tensor) -> Tensor {
    with_element!(y.kind(), E => add_from::<E>(x, y, bias))
}

fn add_from<E: Element>(x: &Tensor, y: &Tensor, bias: &Tensor) -> Tensor {
    let bias = slice(bias);
    let mut out = empty(&x.size(), Kind::Float);
    let parts = cut(slice(x), bias.len()).zip(cut(slice(y), bias.len()));
    let parts = parts.zip(cut_mut(slice_mut(&mut out), bias.len()));
    in_parallel(parts.map(|((x, y), out)| Add::<E> { x, y, out, bias }).collect());
    out
}

struct Add<'a, E> {
    x: &'a [f32],
    y: &'a [E],
    out: &'a mut [f32],
    bias: &'a [f32],
}

impl<E: Element> Part for Add<'_, E> {
    #[inline(always)]
    fn work(&mut self) {
        let Self { x, y, out, bias } = self;
        let width = bias.len();
        let rows = x.chunks_exact(width).zip(y.chunks_exact(width)).zip(out.chunks_exact_mut(width));
        for ((x, y), out) in rows {
            for (((out, x), y), bias) in out.iter_mut().zip(x).zip(y).zip(*bias) {
                *out = x + y.get() + bias;
            }
        }
    }
}

/// The activation of x + bias, in the kind of `x`, which becomes the activation's slope there.
pub(super) fn activate(activation: Activation, x: &mut Tensor, bias: &Tensor) -> Tensor {
    with_element!(x.kind(), E => activate_from::<E>(activation, x, bias))
}

fn activate_from<E: Element>(activation: Activation, x: &mut Tensor, bias: &Tensor) -> Tensor {
    let bias = slice(bias);
    let mut out = empty(&x.size(), E::KIND);
    let parts = cut_mut(slice_mut(x), bias.len()).zip(cut_mut(slice_mut(&mut out), bias.len()));
    in_parallel(parts.map(|(x, out)| Activate::<E> { activation, x, out, bias }).collect());
    out
}

struct Activate<'a, E> {
    activation: Activation,
    x: &'a mut [E],
    out: &'a mut [E],
    bias: &'a [f32],
}

impl<E: Element> Part for Activate<'_, E> {
    #[inline(always)]
    fn work(&mut self) {
        match self.activation {
            Activation::Relu => self.by(relu),
            Activation::Gelu => self.by(gelu),
            Activation::GeluTanh => self.by(gelu_tanh),
        }
    }
}

impl<E: Element> Activate<'_, E> {
    #[inline(always)]
    fn by(&mut self, f: impl Fn(f32) -> (f32, f32)) {
        let width = self.bias.len();
        for (x, out) in self.x.chunks_exact_mut(width).zip(self.out.chunks_exact_mut(width)) {
            for ((out, x), bias) in out.iter_mut().zip(x).zip(self.bias) {
                let (value, slope) = f(x.get() + bias);
                *out = E::from(value);
                *x = E::from(slope);
            }
        }
    }
}

/// `gradient` · `slope`, in its place, and the sum of its rows f32: the gradients by what [`activate`] took, and by its bias.
pub(super) fn activate_backward(gradient: &mut Tensor, slope: &Tensor) -> Tensor {
    with_element!(slope.kind(), E => activate_backward_from::<E>(gradient, slope))
}

fn activate_backward_from<E: Element>(gradient: &mut Tensor, slope: &Tensor) -> Tensor {
    let width = slope.size()[1] as usize;
    let mut sums = sums(width);
    let parts =
        cut_mut(slice_mut(gradient), width).zip(cut(slice(slope), width)).zip(sums.chunks_exact_mut(width));
    in_parallel(
        parts.map(|((gradient, slope), sums)| ActivateBackward::<E> { gradient, slope, sums }).collect(),
    );
    totals(&sums, width)
}

struct ActivateBackward<'a, E> {
    gradient: &'a mut [E],
    slope: &'a [E],
    sums: &'a mut [f32],
}

impl<E: Element> Part for ActivateBackward<'_, E> {
    #[inline(always)]
    fn work(&mut self) {
        let width = self.sums.len();
        let rows = self.gradient.chunks_exact_mut(width).zip(self.slope.chunks_exact(width));
        for (gradient, slope) in rows {
            for ((gradient, slope), sum) in gradient.iter_mut().zip(slope).zip(self.sums.iter_mut()) {
                let product = gradient.get() * slope.get();
                *sum += product;
                *gradient = E::from(product);
            }
        }
    }
}
