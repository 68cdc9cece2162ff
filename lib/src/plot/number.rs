//! Which values a figure accepts.

/// A number that can be drawn: floats and integers, by value or by reference.
///
/// ```
/// use llm_course::plot::Figure;
///
/// let losses = vec![2.1_f32, 1.7, 1.5];
/// let figure = Figure::lines("Loss falls").line("train", 0..3, &losses).line("validation", [0, 2], [2.2, 1.6]);
/// assert!(figure.png().is_ok());
/// ```
pub trait Number {
    /// The value as `f64`; integers beyond 2⁵³ are rounded.
    fn number(self) -> f64;
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl Number for $kind {
            fn number(self) -> f64 {
                self as f64
            }
        }
    )*};
}

numbers!(f64 f32 i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl<T: Number + Copy> Number for &T {
    fn number(self) -> f64 {
        (*self).number()
    }
}

/// Numbers that can be drawn: vectors, slices, arrays, ranges and iterators of them.
pub trait Values {
    /// The values as `f64`.
    fn values(self) -> Vec<f64>;
}

impl<I: IntoIterator<Item: Number>> Values for I {
    fn values(self) -> Vec<f64> {
        self.into_iter().map(Number::number).collect()
    }
}
