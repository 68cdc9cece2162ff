//! One step of a GRU between its matrix products.

use tch::{Kind, Tensor};

use super::can_train;
use crate::native::rows::{Part, cut, cut_mut, empty, in_parallel, slice, slice_mut};
use crate::native::vector::{sigmoid, tanh};
use crate::native::{product_kind, with_gradient};
use crate::no_grad;

/// The state after one step of a GRU layer, from `x` `[batch, input]`, the state before `[batch, hidden]` and the layer's
/// weights and biases for input and state, f32. `None` where only libtorch can do it: without a graph, on a card, in bf16.
pub(crate) fn gru_step(x: &Tensor, state: &Tensor, [w, u, b, c]: [&Tensor; 4]) -> Option<Tensor> {
    let is_f32 = product_kind() == Kind::Float && [x, state].iter().all(|t| t.kind() == Kind::Float);
    (is_f32 && can_train(&[w, u, b, c]))
        .then(|| gru_cell(&x.linear(w, Some(b)), &state.linear(u, Some(c)), state))
}

/// h' = z ⊙ h + (1 − z) ⊙ tanh(xₙ + r ⊙ hₙ) with r, z = σ(x + h): `from_x` and `from_hidden` `[batch, 3·hidden]` hold what the
/// matrices and biases give for r, z and n, `hidden` is h `[batch, hidden]`.
fn gru_cell(from_x: &Tensor, from_hidden: &Tensor, hidden: &Tensor) -> Tensor {
    let inputs = [from_x, from_hidden, hidden];
    let (next, saved) = no_grad(|| Saved::forward(inputs.map(|input| input.detach().contiguous())));
    with_gradient(next, &inputs, move |gradient| saved.backward(&gradient.contiguous()))
}

/// What the backward pass needs.
struct Saved {
    from_hidden: Tensor,
    hidden: Tensor,
    gates: Tensor, // r, z, n: [batch, 3·hidden]
}

impl Saved {
    fn forward([from_x, from_hidden, hidden]: [Tensor; 3]) -> (Tensor, Self) {
        let width = hidden.size()[1] as usize;
        let (mut gates, mut next) = (empty(&from_x.size(), Kind::Float), empty(&hidden.size(), Kind::Float));
        let inputs = cut(slice(&from_x), 3 * width)
            .zip(cut(slice(&from_hidden), 3 * width))
            .zip(cut(slice(&hidden), width));
        let outputs = cut_mut(slice_mut(&mut gates), 3 * width).zip(cut_mut(slice_mut(&mut next), width));
        let part = |(((from_x, from_hidden), hidden), (gates, next))| Forward {
            from_x,
            from_hidden,
            hidden,
            gates,
            next,
            width,
        };
        in_parallel(inputs.zip(outputs).map(part).collect());
        (next, Self { from_hidden, hidden, gates })
    }

    /// The gradients by the inputs of [`gru_cell`].
    fn backward(&self, gradient: &Tensor) -> Vec<Tensor> {
        let width = self.hidden.size()[1] as usize;
        let [mut by_x, mut by_hidden] = [(); 2].map(|()| empty(&self.gates.size(), Kind::Float));
        let mut by_state = empty(&self.hidden.size(), Kind::Float);
        let inputs = cut(slice(gradient), width).zip(cut(slice(&self.from_hidden), 3 * width));
        let inputs = inputs.zip(cut(slice(&self.hidden), width)).zip(cut(slice(&self.gates), 3 * width));
        let outputs =
            cut_mut(slice_mut(&mut by_x), 3 * width).zip(cut_mut(slice_mut(&mut by_hidden), 3 * width));
        let outputs = outputs.zip(cut_mut(slice_mut(&mut by_state), width));
        let part = |((((gradient, from_hidden), hidden), gates), ((by_x, by_hidden), by_state))| Backward {
            gradient,
            from_hidden,
            hidden,
            gates,
            by_x,
            by_hidden,
            by_state,
            width,
        };
        in_parallel(inputs.zip(outputs).map(part).collect());
        vec![by_x, by_hidden, by_state]
    }
}

struct Forward<'a> {
    from_x: &'a [f32],
    from_hidden: &'a [f32],
    hidden: &'a [f32],
    gates: &'a mut [f32],
    next: &'a mut [f32],
    width: usize,
}

impl Part for Forward<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let width = self.width;
        let inputs = self.from_x.chunks_exact(3 * width).zip(self.from_hidden.chunks_exact(3 * width));
        let states = self.hidden.chunks_exact(width).zip(self.next.chunks_exact_mut(width));
        for (((x, h), (hidden, next)), gates) in
            inputs.zip(states).zip(self.gates.chunks_exact_mut(3 * width))
        {
            let (sigmoids, candidates) = gates.split_at_mut(2 * width);
            for ((gate, x), h) in sigmoids.iter_mut().zip(x).zip(h) {
                *gate = sigmoid(x + h);
            }
            let (resets, updates) = sigmoids.split_at(width);
            for ((candidate, reset), (x, h)) in
                candidates.iter_mut().zip(resets).zip(x[2 * width..].iter().zip(&h[2 * width..]))
            {
                *candidate = tanh(reset.mul_add(*h, *x));
            }
            for ((next, hidden), (update, candidate)) in
                next.iter_mut().zip(hidden).zip(updates.iter().zip(candidates))
            {
                *next = update.mul_add(hidden - *candidate, *candidate);
            }
        }
    }
}

struct Backward<'a> {
    gradient: &'a [f32],
    from_hidden: &'a [f32],
    hidden: &'a [f32],
    gates: &'a [f32],
    by_x: &'a mut [f32],
    by_hidden: &'a mut [f32],
    by_state: &'a mut [f32],
    width: usize,
}

impl Part for Backward<'_> {
    #[inline(always)]
    fn work(&mut self) {
        let width = self.width;
        for row in 0..self.hidden.len() / width {
            let at = |i| (3 * row + i) * width;
            for i in 0..width {
                let (gradient, hidden) = (self.gradient[row * width + i], self.hidden[row * width + i]);
                let [reset, update, candidate] = [0, 1, 2].map(|gate| self.gates[at(gate) + i]);
                let by_candidate = gradient * (1.0 - update) * (1.0 - candidate * candidate);
                let by_update = gradient * (hidden - candidate) * update * (1.0 - update);
                let by_reset = by_candidate * self.from_hidden[at(2) + i] * reset * (1.0 - reset);
                let by_hidden = [by_reset, by_update, by_candidate * reset];
                for (gate, (by_x, by_hidden)) in
                    [by_reset, by_update, by_candidate].into_iter().zip(by_hidden).enumerate()
                {
                    self.by_x[at(gate) + i] = by_x;
                    self.by_hidden[at(gate) + i] = by_hidden;
                }
                self.by_state[row * width + i] = gradient * update;
            }
        }
    }
}
