//! `cargo course doctor`: what is there, what is missing, and whether a cell really runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use nbformat::v4::Cell;

use crate::notebook::outputs_as_text;
use crate::paths::Course;
use crate::setup::{open_and_run, prerequisites, steps};

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
    say("leftovers", Ok(format!("{} removed", prune(course)?)));
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

/// Removes what kernels left that nothing has touched for a week, and says how many folders those were.
fn prune(course: &Course) -> Result<usize> {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let old = |path: &Path| {
        let changed = path.metadata().and_then(|data| data.modified());
        path.is_dir() && changed.is_ok_and(|time| time.elapsed().unwrap_or_default() > WEEK)
    };
    let inside =
        |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let of_kernels = inside(course.home().join("tmp"));
    // Below build/<target>/debug each kernel has a record and the increments of its cells' crate `ctx`.
    let targets = inside(course.home().join("build")).map(|target| target.join("debug"));
    let kept = targets.flat_map(|debug| [debug.join("incremental"), debug.join(".fingerprint")]);
    let of_cells = kept
        .flat_map(inside)
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ctx-")));
    let leftovers: Vec<PathBuf> = of_kernels.chain(of_cells).filter(|path| old(path)).collect();
    leftovers.iter().try_for_each(std::fs::remove_dir_all)?;
    Ok(leftovers.len())
}
