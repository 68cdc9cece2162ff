//! From logits to text.

use tch::{Kind, Tensor, no_grad};

/// How to choose the next id from the model's distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most probable id.
    Greedy,
    /// Drawn from softmax(logits / temperature); 1 is the model's own distribution, towards 0 is greedy.
    Temperature(f64),
}

impl Sampling {
    /// One id for each row of `logits` `[batch, vocab]` → `[batch]`.
    ///
    /// # Panics
    /// If a temperature is not a positive number.
    pub fn choose(&self, logits: &Tensor) -> Tensor {
        match *self {
            Self::Greedy => logits.argmax(-1, false),
            Self::Temperature(temperature) => {
                assert!(
                    temperature > 0.0 && temperature.is_finite(),
                    "temperature {temperature}: use a positive number, or Sampling::Greedy"
                );
                (logits.to_kind(Kind::Float) / temperature)
                    .softmax(-1, Kind::Float)
                    .multinomial(1, true)
                    .squeeze_dim(-1)
            }
        }
    }
}

/// Continues `prompt` by `count` ids.
///
/// `logits` receives the ids it has not seen yet, `[1, time]` (first the prompt, then one id at a time),
/// and returns logits `[1, time, vocab]`; a recurrent model keeps its hidden state between the calls.
/// Runs without gradients.
///
/// # Panics
/// If the prompt is empty: a model needs at least one id to start from.
pub fn generate(
    prompt: &[i64],
    count: usize,
    sampling: Sampling,
    mut logits: impl FnMut(&Tensor) -> Tensor,
) -> Vec<i64> {
    assert!(!prompt.is_empty(), "the prompt is empty: give at least one character to start from");
    no_grad(|| {
        let mut unseen = Tensor::from_slice(prompt).unsqueeze(0);
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let last = logits(&unseen).select(1, -1); // [1, vocab]
            unseen = sampling.choose(&last).unsqueeze(0); // [1, 1]
            ids.push(unseen.int64_value(&[0, 0]));
        }
        ids
    })
}
