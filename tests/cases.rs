//! How much a test does.

use std::str::FromStr;

/// As many cases as `LLM_COURSE_CASES` says, else `default`.
pub fn cases<T: FromStr>(default: T) -> T {
    let Ok(cases) = std::env::var("LLM_COURSE_CASES") else { return default };
    cases.parse().unwrap_or_else(|_| panic!("LLM_COURSE_CASES={cases} is no number"))
}
