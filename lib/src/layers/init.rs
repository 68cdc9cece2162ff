//! Random weights to start from.

use tch::nn;

/// How the matrices of a block start; biases start at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightInit {
    /// Uniform in ±√(6 / (in + out)) (Glorot & Bengio 2010).
    Xavier,
    /// Normal with standard deviation `std`; `residual` for the two matrices of a block whose output is added
    /// to the residual stream.
    Normal {
        /// Standard deviation of the other matrices.
        std: f64,
        /// Standard deviation of attention's and the feed-forward layer's last matrix.
        residual: f64,
    },
}

impl WeightInit {
    /// 0.02, and 0.02/√(2·n_layers) for what is added to the residual stream, which 2·n_layers terms
    /// accumulate in (Radford et al. 2019, § 2.3).
    pub fn gpt2(n_layers: i64) -> Self {
        Self::Normal { std: 0.02, residual: 0.02 / (2.0 * n_layers as f64).sqrt() }
    }

    /// For a matrix from `input` to `output` numbers.
    pub(crate) fn inner(self, input: i64, output: i64) -> nn::Init {
        match self {
            Self::Xavier => {
                let bound = (6.0 / (input + output) as f64).sqrt();
                nn::Init::Uniform { lo: -bound, up: bound }
            }
            Self::Normal { std, .. } => nn::Init::Randn { mean: 0.0, stdev: std },
        }
    }

    /// For a matrix whose output is added to the residual stream.
    pub(super) fn residual(self, input: i64, output: i64) -> nn::Init {
        match self {
            Self::Xavier => self.inner(input, output),
            Self::Normal { residual, .. } => nn::Init::Randn { mean: 0.0, stdev: residual },
        }
    }
}

/// A linear layer, weight `[output, input]`, with bias 0.
pub(crate) fn linear(path: nn::Path, input: i64, output: i64, weight: nn::Init) -> nn::Linear {
    let config = nn::LinearConfig { ws_init: weight, bs_init: Some(nn::Init::Const(0.0)), bias: true };
    nn::linear(path, input, output, config)
}
