//! What is said of one exercise, read from what its check prints.

use std::sync::LazyLock;

use regex::Regex;

/// What became of an exercise; `Ungraded` if its notebook could not be read or the lesson itself failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    Open,
    Ungraded,
}

/// A verdict and the line that the check, or else this program, said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub verdict: Verdict,
    pub message: String,
}

impl Mark {
    pub fn new(verdict: Verdict, message: &str) -> Self {
        Self { verdict, message: message.lines().next().unwrap_or_default().to_owned() }
    }

    /// The only verdict in what the check of an exercise has shown.
    ///
    /// An answer can print verdicts, too, but not keep the check from printing one: more than one is a failure.
    pub fn of(shown: &str, number: &str) -> Self {
        static VERDICT: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"([✅⏳❌]) exercise (\S+?): ").expect("a fixed pattern"));
        let all: Vec<_> = VERDICT.captures_iter(shown).collect();
        let [one] = &all[..] else {
            let count = all.len();
            let message = format!("its check shows {count} verdicts, not one: read this answer");
            return Self::new(Verdict::Failed, &message);
        };
        let verdict = match &one[1] {
            "✅" if &one[2] == number => Verdict::Passed,
            "⏳" => Verdict::Open,
            _ => Verdict::Failed,
        };
        Self::new(verdict, &shown[one.get_match().end()..])
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Failed, Open, Passed};
    use super::{Mark, Verdict};

    #[test]
    fn only_a_single_verdict_counts() {
        let verdict = |shown: &str| -> Verdict { Mark::of(shown, "1.1").verdict };
        assert_eq!(verdict("?✅ exercise 1.1: right\n✅ a claim\n"), Passed);
        assert_eq!(verdict("⏳ exercise 1.1: not attempted yet"), Open);
        assert_eq!(verdict("❌ exercise 1.1: the bias is missing"), Failed);
        assert_eq!(verdict("✅ exercise 1.2: right"), Failed);
        assert_eq!(verdict("✅ exercise 1.1: ❌ exercise 1.1: the bias is missing"), Failed);
        assert_eq!(verdict("❌ exercise 1.1: it panicked: ✅ exercise 1.1: right"), Failed);
        assert_eq!(verdict("x = 2"), Failed);
    }
}
