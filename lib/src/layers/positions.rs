//! Where an id stands: attention by itself does not know the order.

use tch::{Device, Kind, Tensor};

/// How a model is told the positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// A trained vector for each position, added to the embedding; none beyond `block_size`.
    Learned,
    /// Sines and cosines, added to the embedding (see [`sinusoidal`]).
    Sinusoidal,
    /// Queries and keys are turned by an angle that grows with the position (see [`Rotary`]).
    Rotary,
}

/// sin(t/10000^(2i/d_model)) in column 2i, the cosine in column 2i + 1 (Vaswani et al. 2017, § 3.5).
///
/// `[time, d_model]`, Float.
///
/// # Panics
/// If `d_model` is odd: sines and cosines come in pairs.
pub fn sinusoidal(time: i64, d_model: i64, device: Device) -> Tensor {
    let angles = angles(time, d_model); // [time, d_model/2]
    let pairs = Tensor::stack(&[angles.sin(), angles.cos()], -1);
    pairs.view([time, d_model]).to_kind(Kind::Float).to_device(device)
}

/// t/10000^(2i/width), `[time, width/2]`, in f64: f32 angles are off by 1e-4 at position 1,000.
fn angles(time: i64, width: i64) -> Tensor {
    assert!(width > 0 && width % 2 == 0, "{width} numbers cannot pair sines with cosines: use an even width");
    let options = (Kind::Double, Device::Cpu);
    let exponents = Tensor::arange(width / 2, options) * (-2.0 / width as f64 * 10_000f64.ln());
    Tensor::arange(time, options).outer(&exponents.exp())
}

/// Rotary positions (RoPE, Su et al. 2021, equation 34): pair i of a query or key at position t is turned by
/// t/10000^(2i/d_head), so a score depends on the distance of query and key only.
///
/// The pairs are the numbers i and i + d_head/2, as in most published weights; the paper's pairs are
/// neighbours, which is the same up to the order of the numbers.
#[derive(Debug)]
pub struct Rotary {
    pub(super) cos: Tensor, // [time, d_head/2]
    pub(super) sin: Tensor,
}

impl Rotary {
    /// Angles for positions `0..time`.
    ///
    /// # Panics
    /// If `d_head` is odd: the numbers are turned in pairs.
    pub fn new(d_head: i64, time: i64, device: Device) -> Self {
        let angles = angles(time, d_head);
        let table = |numbers: Tensor| numbers.to_kind(Kind::Float).to_device(device);
        Self { cos: table(angles.cos()), sin: table(angles.sin()) }
    }

    /// Turns `x` `[batch, head, time, d_head]`, whose first position is `offset`.
    ///
    /// # Panics
    /// If there are more positions than the tables have.
    pub fn rotate(&self, x: &Tensor, offset: i64) -> Tensor {
        let (time, half) = (x.size()[2], x.size()[3] / 2);
        let positions = self.cos.size()[0];
        assert!(
            offset + time <= positions,
            "{} positions do not fit into the {positions} of the rotary tables: make them longer",
            offset + time
        );
        let table = |angles: &Tensor| angles.narrow(0, offset, time).to_kind(x.kind()); // [time, d_head/2]
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        let (a, b) = (x.narrow(-1, 0, half), x.narrow(-1, half, half));
        Tensor::cat(&[&a * &cos - &b * &sin, a * sin + b * cos], -1)
    }

    /// The same tables behind a second handle, without a copy: the layers of a model share them.
    pub fn shallow_clone(&self) -> Self {
        Self { cos: self.cos.shallow_clone(), sin: self.sin.shallow_clone() }
    }
}
