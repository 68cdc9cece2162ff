//! `cargo course doctor`: what is there, what is missing, and whether a cell really runs.

use anyhow::{Result, bail};
use nbformat::v4::Cell;

use crate::notebook::outputs_as_text;
use crate::paths::Course;
use crate::setup::{leftovers, open_and_run, prerequisites, steps};

/// Prints a line for each part; nothing is installed. Removes what ended kernels have left behind.
///
/// # Errors
/// If a part is missing or broken.
pub fn doctor(course: &Course) -> Result<()> {
    let mut well = true;
    let mut say = |part: &str, found: Result<String>| match found {
        Ok(found) => println!("✓ {part:<12} {found}"),
        Err(error) => {
            println!("✗ {part:<12} {error:#}");
            well = false;
        }
    };
    say("rustc", prerequisites::rustc(course));
    say("C++", prerequisites::compiler());
    say("Python", prerequisites::python());
    say("disk", prerequisites::disk(course));
    let missing: Vec<_> =
        steps(course)?.iter().filter(|s| !s.is_done(&course.home())).map(|s| s.name).collect();
    if !missing.is_empty() {
        say("set-up", Err(anyhow::anyhow!("not done: {}; run `cargo course setup`", missing.join(", "))));
        bail!("something is missing; the lines above say what to do");
    }
    say("set-up", Ok("complete".into()));
    say("libtorch", prerequisites::libtorch(course));
    let card =
        if prerequisites::nvidia_driver() { "driver found" } else { "none found; the course needs none" };
    say("NVIDIA", Ok(card.into()));
    say("leftovers", Ok(format!("{} removed", leftovers::prune(course))));
    say("a cell", cell(course));
    if !well {
        bail!("something is broken; the lines above say what to do");
    }
    Ok(())
}

/// Executes the opening cell of a lesson.
fn cell(course: &Course) -> Result<String> {
    let report = open_and_run(course)?;
    if let Some(failure) = &report.failure {
        bail!("{failure}");
    }
    let said: String = report.notebook.cells.iter().map(printed).collect();
    Ok(format!("ran on {}, ready after {:.1} s", said.trim(), report.ready_after().as_secs_f64()))
}

fn printed(cell: &Cell) -> String {
    match cell {
        Cell::Code { outputs, .. } => outputs_as_text(outputs),
        _ => String::new(),
    }
}
