//! Exercise cells: solutions between markers, and what a learner sees in their place.

use std::sync::LazyLock;

use anyhow::{Result, bail, ensure};
use regex::Regex;

const BEGIN: &str = "// BEGIN SOLUTION";
const END: &str = "// END SOLUTION";

/// Whether a text holds a marker.
pub fn has_marker(text: &str) -> bool {
    text.lines().any(|line| matches!(line.trim(), BEGIN | END))
}

/// The exercise that a cell's doc comment `/// Exercise 1.1: one RNN step` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exercise {
    /// Lesson and place in it, e.g. `1.1`.
    pub number: String,
    /// The rest of the line, up to a gap of two spaces where shapes begin.
    pub title: String,
}

impl Exercise {
    /// The exercise of a cell.
    ///
    /// # Errors
    /// If no doc comment of the cell begins with `Exercise`, a number and a colon.
    pub fn of(text: &str) -> Result<Self> {
        static TITLE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?m)^\s*/// Exercise (\d+\.\d+): *(.*?)(?: {2,}.*)?$").expect("a fixed pattern")
        });
        match TITLE.captures(text) {
            Some(found) => {
                Ok(Self { number: found[1].to_owned(), title: found[2].trim_end_matches('.').into() })
            }
            None => bail!("an exercise cell needs a doc comment `/// Exercise 1.1: what to do`"),
        }
    }

    fn todo(&self) -> String {
        let title = match self.title.is_empty() {
            true => format!("Exercise {}", self.number),
            false => format!("Exercise {}: {}", self.number, self.title),
        };
        // `todo!` takes a format string.
        let escaped = title.replace('\\', r"\\").replace('"', "\\\"").replace('{', "{{").replace('}', "}}");
        format!("todo!(\"{escaped}\")")
    }
}

/// The learner's text of an exercise cell: each marked part becomes one `todo!(…)` with the title before it.
pub fn learner(text: &str) -> Result<String> {
    let mut exercise = Exercise::of(text)?;
    let mut learners = String::new();
    for part in parts(text)? {
        if let Ok(title) = Exercise::of(&part.lines.concat()) {
            exercise = title;
        }
        learners += &part.learner(&exercise);
    }
    Ok(learners)
}

/// The solved text of an exercise cell: the lines without the markers.
pub fn solved(text: &str) -> Result<String> {
    let parts = parts(text)?;
    Ok(parts.iter().flat_map(|part| part.lines.iter().map(|line| line.as_str())).collect())
}

/// Consecutive lines, between markers or not.
struct Part {
    /// The indentation of the marker, if it is a solution.
    solution: Option<String>,
    /// Lines with their ends.
    lines: Vec<String>,
}

impl Part {
    fn learner(&self, exercise: &Exercise) -> String {
        match &self.solution {
            Some(indentation) => format!("{indentation}{}\n", exercise.todo()),
            None => self.lines.concat(),
        }
    }
}

fn parts(text: &str) -> Result<Vec<Part>> {
    let mut parts = vec![Part { solution: None, lines: Vec::new() }];
    let mut solutions = 0;
    for line in text.split_inclusive('\n') {
        let last = parts.last_mut().expect("it begins with one part");
        match (line.trim(), &last.solution) {
            (BEGIN, None) => {
                solutions += 1;
                let indentation = line[..line.len() - line.trim_start().len()].to_owned();
                parts.push(Part { solution: Some(indentation), lines: Vec::new() });
            }
            (END, Some(_)) => parts.push(Part { solution: None, lines: Vec::new() }),
            (BEGIN, Some(_)) => bail!("`{BEGIN}` inside a solution: `{END}` is missing"),
            (END, None) => bail!("`{END}` without `{BEGIN}`"),
            _ => last.lines.push(line.to_owned()),
        }
    }
    ensure!(parts.last().is_some_and(|part| part.solution.is_none()), "`{BEGIN}` without `{END}`");
    ensure!(solutions > 0, "an exercise cell needs `{BEGIN}` … `{END}`");
    Ok(parts)
}
