//! Functions of rows and numbers that compile to vector instructions, which [`f32::exp`] and plain sums do not.

/// eˣ to 2e-7 of itself, x held within ±87: a power of 2, which is the exponent's bits, times a polynomial.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const TO_WHOLE: f32 = 12_582_912.0; // 1.5·2²³: a sum with it has no bits behind the point
    let x = x.clamp(-87.0, 87.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, TO_WHOLE);
    let whole = shifted - TO_WHOLE;
    let rest = whole.mul_add(-std::f32::consts::LN_2, x);
    let series = [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let value = series.iter().fold(1.0 / 720.0f32, |value, &coefficient| value.mul_add(rest, coefficient));
    value * f32::from_bits(shifted.to_bits().wrapping_sub(TO_WHOLE.to_bits()).wrapping_add(127) << 23)
}

/// σ(x) = 1/(1 + e⁻ˣ)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x to 2e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// x·Φ(x) and its slope, with Φ to 2e-7 (Abramowitz & Stegun 1964, 7.1.26).
#[inline(always)]
pub(crate) fn gelu(x: f32) -> (f32, f32) {
    let density = exp(-0.5 * x * x);
    let t = 1.0 / x.abs().mul_add(0.231_641_88, 1.0);
    let series = [-1.453_152_1, 1.421_413_8, -0.284_496_74, 0.254_829_6];
    let tail = 0.5
        * t
        * density
        * series.iter().fold(1.061_405_4f32, |value, &coefficient| value.mul_add(t, coefficient));
    let below = if x < 0.0 { tail } else { 1.0 - tail }; // Φ(x); the tail is Φ(−|x|)
    (x * below, (x * density).mul_add(0.398_942_3, below)) // 1/√(2π)
}

/// x·(1 + tanh y)/2 = x·σ(2y) with y = √(2/π)·(x + 0.044715·x³), and its slope.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> (f32, f32) {
    let (c, d) = (1.595_769, 0.044_715); // 2·√(2/π)
    let sigmoid = sigmoid(c * (d * x * x).mul_add(x, x));
    (x * sigmoid, (x * sigmoid * (1.0 - sigmoid) * c).mul_add((3.0 * d * x).mul_add(x, 1.0), sigmoid))
}

/// max(0, x) and its slope.
#[inline(always)]
pub(crate) fn relu(x: f32) -> (f32, f32) {
    (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 })
}

/// The softmax of scale · `row`, in its place: 0 where it was −∞, and everywhere if it was nothing else.
#[inline(always)]
pub(crate) fn softmax(row: &mut [f32], scale: f32) {
    let most = largest(row);
    for score in row.iter_mut() {
        *score = if *score == f32::NEG_INFINITY { 0.0 } else { exp((*score - most) * scale) };
    }
    let total = sum(row, |weight| weight);
    let share = if total == 0.0 { 0.0 } else { 1.0 / total };
    row.iter_mut().for_each(|weight| *weight *= share);
}

/// The sum of f over a row.
#[inline(always)]
pub(crate) fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    fold(row, 0.0, |total, x| total + f(x)).iter().sum()
}

/// The largest number of a row, −∞ if it has none.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    fold(row, f32::NEG_INFINITY, |most, x| if x > most { x } else { most })
        .into_iter()
        .fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of the products of two rows.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (left, right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (lane, (a, b)) in lanes.iter_mut().zip(left.remainder().iter().zip(right.remainder())) {
        *lane = a * b;
    }
    for (a, b) in left.zip(right) {
        for ((lane, a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(b, *lane);
        }
    }
    lanes.iter().sum()
}

const LANES: usize = 16;

/// `length`, rounded up so that no number of a row is left over when it is read 16 at a time.
#[inline(always)]
pub(crate) fn whole_lanes(length: usize) -> usize {
    length.next_multiple_of(LANES)
}

/// Folds every 16th number of a row.
#[inline(always)]
fn fold(row: &[f32], from: f32, f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut lanes = [from; LANES];
    let chunks = row.chunks_exact(LANES);
    for (lane, &x) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = f(*lane, x);
    }
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = f(*lane, x);
        }
    }
    lanes
}
