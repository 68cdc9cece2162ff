//! Who may attend to whom: Bool tensors that broadcast to `[batch, head, query, key]`, true = may attend.

use tch::{Device, Kind, Tensor};

/// What a query may attend to.
#[derive(Debug)]
pub enum Mask {
    /// Every key.
    Full,
    /// The keys up to its own position; as many keys as queries. The fused kernel needs no tensor for it and
    /// skips half of the work.
    Causal,
    /// The keys where this Bool tensor is true; it broadcasts to `[batch, head, query, key]`.
    Where(Tensor),
}

impl Mask {
    /// As a Bool tensor that broadcasts to `[batch, head, query, key]`; `None` if every key is open.
    pub fn to_bool(&self, query: i64, key: i64, device: Device) -> Option<Tensor> {
        match self {
            Self::Full => None,
            Self::Causal => Some(causal_mask(query, key, device)),
            Self::Where(allowed) => Some(allowed.shallow_clone()),
        }
    }

    /// The same tensor behind a second handle, without a copy.
    pub fn shallow_clone(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Causal => Self::Causal,
            Self::Where(allowed) => Self::Where(allowed.shallow_clone()),
        }
    }
}

/// The last `query` of `key` positions look back: query i may attend to keys 0 … key − query + i.
///
/// `[1, 1, query, key]`; with as many queries as keys the lower triangle (Vaswani et al. 2017, § 3.2.3).
///
/// ```
/// use llm_course::{layers::causal_mask, tch::{Device, Kind}};
/// let mask = causal_mask(2, 3, Device::Cpu).to_kind(Kind::Int64).view([-1]);
/// assert_eq!(Vec::<i64>::try_from(mask).unwrap(), [1, 1, 0, 1, 1, 1]);
/// ```
pub fn causal_mask(query: i64, key: i64, device: Device) -> Tensor {
    Tensor::ones([1, 1, query, key], (Kind::Bool, device)).tril(key - query)
}

/// The keys that are not `pad`: `ids` `[batch, key]` → `[batch, 1, 1, key]`.
pub fn padding_mask(ids: &Tensor, pad: i64) -> Tensor {
    key_mask(&ids.ne(pad))
}

/// The keys that are real: `real` `[batch, key]`, Bool or 0/1 → `[batch, 1, 1, key]`.
pub fn key_mask(real: &Tensor) -> Tensor {
    real.to_kind(Kind::Bool).unsqueeze(1).unsqueeze(1)
}
