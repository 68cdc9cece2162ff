//! Choosing the next id.

use tch::{Kind, Tensor};

/// How to choose the next id from the model's distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most probable id.
    Greedy,
    /// Drawn from softmax(logits / temperature); 1 is the model's own distribution, towards 0 is greedy.
    Temperature(f64),
    /// Drawn from the k most probable ids only (Fan, Lewis & Dauphin 2018, §5); ids as probable as the k-th
    /// stay too.
    TopK {
        /// How many ids remain.
        k: i64,
        /// Divides the logits first.
        temperature: f64,
    },
    /// Drawn from the nucleus: the fewest most probable ids that together reach probability p (Holtzman et al.
    /// 2020, eq. 2–3).
    TopP {
        /// The probability to reach, 0 < p ≤ 1.
        p: f64,
        /// Divides the logits first.
        temperature: f64,
    },
}

impl Sampling {
    /// One id for each row of `logits` `[batch, vocab]` → `[batch]`.
    ///
    /// # Panics
    /// As [`Sampling::distribution`], or if the logits hold NaN.
    pub fn choose(&self, logits: &Tensor) -> Tensor {
        match self {
            Self::Greedy => logits.argmax(-1, false),
            _ => {
                let drawn = self.distribution(logits).f_multinomial(1, true).unwrap_or_else(|_| {
                    panic!("no id can be drawn, the logits hold NaN or infinity: train anew with a lower learning rate")
                });
                drawn.squeeze_dim(-1)
            }
        }
    }

    /// The distribution that [`Sampling::choose`] draws from, `[batch, vocab]` → `[batch, vocab]`; rows sum to 1.
    ///
    /// ```
    /// use llm_course::decode::Sampling;
    /// use tch::Tensor;
    /// let logits = Tensor::from_slice(&[0.5f64, 0.3, 0.2]).log().unsqueeze(0);
    /// let nucleus = Sampling::TopP { p: 0.6, temperature: 1.0 }.distribution(&logits); // [0.625, 0.375, 0]
    /// assert!((nucleus.double_value(&[0, 0]) - 0.625).abs() < 1e-6);
    /// ```
    ///
    /// # Panics
    /// If a temperature is not a positive number, k is less than 1, or p is not in (0, 1].
    pub fn distribution(&self, logits: &Tensor) -> Tensor {
        match *self {
            Self::Greedy => {
                let best = logits.argmax(-1, true);
                logits.zeros_like().to_kind(Kind::Float).scatter_value(-1, &best, 1.0)
            }
            Self::Temperature(temperature) => softmax(logits, temperature),
            Self::TopK { k, temperature } => {
                assert!(k >= 1, "top-k with k {k}: at least one id must remain");
                let p = softmax(logits, temperature);
                let (largest, _) = p.topk(k.min(p.size()[p.dim() - 1]), -1, true, true);
                keep(&p, &p.ge_tensor(&largest.narrow(-1, -1, 1)))
            }
            Self::TopP { p: reach, temperature } => {
                assert!(reach > 0.0 && reach <= 1.0, "top-p with p {reach}: use a number in (0, 1]");
                let p = softmax(logits, temperature);
                let (sorted, order) = p.sort(-1, true);
                let before = sorted.cumsum(-1, Kind::Float) - &sorted; // what the more probable ids add up to
                let kept = before.lt(reach);
                keep(&p, &kept.zeros_like().scatter(-1, &order, &kept))
            }
        }
    }
}

fn softmax(logits: &Tensor, temperature: f64) -> Tensor {
    assert!(
        temperature > 0.0 && temperature.is_finite(),
        "temperature {temperature}: use a positive number, or Sampling::Greedy"
    );
    (logits.to_kind(Kind::Float) / temperature).softmax(-1, Kind::Float)
}

/// `p` where `mask` is true, 0 elsewhere, scaled to sum to 1.
fn keep(p: &Tensor, mask: &Tensor) -> Tensor {
    let kept = p * mask;
    &kept / kept.sum_dim_intlist(-1, true, Kind::Float)
}
