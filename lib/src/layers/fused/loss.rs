//! Cross-entropy and its gradient in one pass over the logits.

use tch::{Device, Kind, Tensor};

use crate::data::IGNORE;
use crate::native::rows::{
    Bf16, Element, Part, cut, cut_mut, empty, has_vectors, in_parallel, slice, slice_mut, with_element,
};
use crate::native::vector::{exp, largest, sum};
use crate::native::{is_recording, with_gradient};
use crate::no_grad;

/// [`cross_entropy`](crate::layers::cross_entropy) of `logits` `[row, vocab]` and `targets` `[row]`, in f32. `None` where
/// only the plain form can do it: without a graph, on a card, in f64.
pub(in crate::layers) fn cross_entropy(logits: &Tensor, targets: &Tensor, smoothing: f64) -> Option<Tensor> {
    let on_cpu = [logits, targets].iter().all(|t| t.device() == Device::Cpu && t.numel() > 0);
    let fits = on_cpu && matches!(logits.kind(), Kind::Float | Kind::BFloat16) && logits.requires_grad();
    if !(fits && is_recording() && has_vectors()) {
        return None;
    }
    let targets = Vec::try_from(targets).expect("targets are a row of Int64");
    let (value, slope) = no_grad(|| {
        let logits = logits.detach().contiguous();
        with_element!(logits.kind(), E => value_and_slope::<E>(&logits, &targets, smoothing as f32))
    });
    Some(with_gradient(value, &[logits], move |gradient| vec![times(&slope, gradient)]))
}

/// The slope of the loss is that of a sum in which the loss stands nearly always alone, with factor 1.
fn times(slope: &Tensor, factor: &Tensor) -> Tensor {
    if factor.double_value(&[]) == 1.0 { slope.shallow_clone() } else { slope * factor.to_kind(slope.kind()) }
}

/// The mean loss, and its gradient by each logit.
fn value_and_slope<E: Element>(logits: &Tensor, targets: &[i64], smoothing: f32) -> (Tensor, Tensor) {
    let vocab = logits.size()[1] as usize;
    let is_real = |&&target: &&i64| target != IGNORE;
    if let Some(target) = targets.iter().filter(is_real).find(|&target| !(0..vocab as i64).contains(target)) {
        panic!("target {target} is outside the {vocab} logits of a row");
    }
    let share = 1.0 / targets.iter().filter(is_real).count() as f32;
    let mut slope = empty(&logits.size(), E::KIND);
    let mut losses = vec![0.0; targets.len()];
    let parts = cut(slice(logits), vocab).zip(cut(targets, 1)).zip(cut_mut(slice_mut(&mut slope), vocab));
    let part =
        |(((logits, targets), slope), losses)| Rows::<E> { logits, targets, slope, losses, smoothing, share };
    in_parallel(parts.zip(cut_mut(&mut losses, 1)).map(part).collect());
    let total: f64 = losses.iter().sum();
    (Tensor::from((total * f64::from(share)) as f32), slope)
}

struct Rows<'a, E> {
    logits: &'a [E],
    targets: &'a [i64],
    slope: &'a mut [E],
    losses: &'a mut [f64],
    smoothing: f32,
    share: f32,
}

impl<E: Element> Part for Rows<'_, E> {
    #[inline(always)]
    fn work(&mut self) {
        let vocab = self.logits.len() / self.targets.len();
        let mut row = vec![0.0; vocab];
        let rows = self.logits.chunks_exact(vocab).zip(self.targets).zip(self.slope.chunks_exact_mut(vocab));
        for (((logits, &target), slope), loss) in rows.zip(self.losses.iter_mut()) {
            if target == IGNORE {
                slope.fill(E::from(0.0));
                continue;
            }
            row.iter_mut().zip(logits).for_each(|(x, logit)| *x = logit.get());
            let (most, spread) = (largest(&row), self.smoothing / vocab as f32);
            let said = (1.0 - self.smoothing) * (row[target as usize] - most)
                + if spread > 0.0 { spread * sum(&row, |x| x - most) } else { 0.0 };
            row.iter_mut().for_each(|x| *x = exp(*x - most));
            let total = sum(&row, |x| x);
            *loss = f64::from(total.ln() - said);
            let (scale, spread) = (self.share / total, self.share * spread);
            slope.iter_mut().zip(&row).for_each(|(slope, x)| *slope = E::from(x * scale - spread));
            let at = target as usize;
            slope[at] = E::from(row[at] * scale - spread - self.share * (1.0 - self.smoothing));
        }
    }
}
