//! How often a decoder in training is told the right previous word (Bengio et al. 2015).

/// The share of steps whose input is the right word, falling while training goes on: at first the model is
/// taught, at the end it lives with its own words. Bengio et al. 2015, §2.4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TeacherForcing {
    /// The same share at all steps; 1 is teacher forcing (Williams & Zipser 1989).
    Constant(f64),
    /// From 1 down to `end` in `steps` steps.
    Linear {
        /// The last share, 0 … 1.
        end: f64,
        /// Steps until there.
        steps: i64,
    },
    /// `k` to the power of the step, `k` < 1.
    Exponential {
        /// Base.
        k: f64,
    },
    /// k / (k + exp(step / k)), `k` ≥ 1: 1 for long, then a fall around step k · ln k.
    InverseSigmoid {
        /// Slowness.
        k: f64,
    },
}

impl TeacherForcing {
    /// The share at `step`, which counts from 0.
    ///
    /// ```
    /// use llm_course::models::TeacherForcing;
    /// let falling = TeacherForcing::Linear { end: 0.5, steps: 100 };
    /// assert_eq!([0, 50, 100, 900].map(|step| falling.ratio(step)), [1.0, 0.75, 0.5, 0.5]);
    /// ```
    pub fn ratio(&self, step: i64) -> f64 {
        let step = step as f64;
        match *self {
            Self::Constant(share) => share,
            Self::Linear { end, steps } => 1.0 - (1.0 - end) * (step / steps as f64).min(1.0),
            Self::Exponential { k } => k.powf(step),
            Self::InverseSigmoid { k } => k / (k + (step / k).exp()),
        }
    }
}
