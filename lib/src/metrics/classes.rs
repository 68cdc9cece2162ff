//! Classification: which class is taken for which, precision, recall, F1.

use ndarray::Array2;

/// Precision, recall and their harmonic mean, each from 0 to 1; 0 where the quotient is 0/0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// How much of what was predicted is right.
    pub precision: f64,
    /// How much of what is right was predicted.
    pub recall: f64,
    /// 2·precision·recall / (precision + recall) (van Rijsbergen 1979, ch. 7).
    pub f1: f64,
}

impl Scores {
    /// Scores of `hits` that `predicted` and `actual` things have in common.
    pub(super) fn new(hits: f64, predicted: f64, actual: f64) -> Self {
        let (precision, recall) = (ratio(hits, predicted), ratio(hits, actual));
        Self { precision, recall, f1: ratio(2.0 * precision * recall, precision + recall) }
    }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// How often each class was taken for each.
///
/// ```
/// use llm_course::metrics::Confusion;
/// let confusion = Confusion::new(&[0, 1, 1, 1], &[0, 0, 1, 1], 2);
/// assert_eq!(confusion.counts[[0, 1]], 1.0); // one 0 was taken for a 1
/// assert_eq!(confusion.class(0).recall, 0.5);
/// assert_eq!(confusion.accuracy(), 0.75);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    /// `[target, predicted]`
    pub counts: Array2<f64>,
}

impl Confusion {
    /// Counts predictions of `classes` classes, numbered from 0.
    ///
    /// # Panics
    /// If the lengths differ or a class is not in `0..classes`.
    pub fn new(predicted: &[i64], targets: &[i64], classes: i64) -> Self {
        let (p, t) = (predicted.len(), targets.len());
        assert!(p == t, "as many predictions as targets are needed: got {p} and {t}");
        let mut counts = Array2::zeros((classes as usize, classes as usize));
        for (&predicted, &target) in predicted.iter().zip(targets) {
            let inside = (0..classes).contains(&predicted) && (0..classes).contains(&target);
            assert!(
                inside,
                "predicted {predicted}, target {target}: with {classes} classes both must be less"
            );
            counts[[target as usize, predicted as usize]] += 1.0;
        }
        Self { counts }
    }

    /// The share of predictions that are right.
    pub fn accuracy(&self) -> f64 {
        ratio(self.counts.diag().sum(), self.counts.sum())
    }

    /// The scores of one class.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn class(&self, class: i64) -> Scores {
        let (i, classes) = (class as usize, self.counts.nrows());
        assert!(
            (0..classes as i64).contains(&class),
            "there is no class {class}: with {classes} classes it must be less"
        );
        Scores::new(self.counts[[i, i]], self.counts.column(i).sum(), self.counts.row(i).sum())
    }

    /// The mean of the classes' scores: a rare class counts as much as a frequent one. F1 is the mean of the
    /// F1s.
    pub fn macro_average(&self) -> Scores {
        let classes: Vec<Scores> = (0..self.counts.nrows() as i64).map(|class| self.class(class)).collect();
        let mean = |f: fn(&Scores) -> f64| ratio(classes.iter().map(f).sum(), classes.len() as f64);
        Scores { precision: mean(|s| s.precision), recall: mean(|s| s.recall), f1: mean(|s| s.f1) }
    }

    /// The scores of all predictions together: with one class for each example all three are the accuracy.
    pub fn micro_average(&self) -> Scores {
        let total = self.counts.sum();
        Scores::new(self.counts.diag().sum(), total, total)
    }
}
