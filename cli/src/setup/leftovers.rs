//! What ended kernels leave behind.

use std::cmp::Reverse;
use std::fs::{read_dir, remove_dir_all};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::paths::Course;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longer than a cell takes to compile.
const BUILD: Duration = Duration::from_secs(600);
/// Kernels whose records are kept.
const KEPT: usize = 16;

/// Removes temporary folders that nothing has touched for a week, and from the shared build folder what was
/// compiled of the cells of all but the newest kernels; returns how many folders that were.
///
/// A kernel that is still open only compiles its next cell from scratch.
pub fn prune(course: &Course) -> usize {
    let old = |folder: &PathBuf, than: Duration| changed(folder).elapsed().is_ok_and(|age| age > than);
    let temporary = folders(&course.home().join("tmp")).into_iter().filter(|folder| old(folder, WEEK));
    // build/<target>/debug has a record of each kernel's crate, which is called ctx; earlier versions left increments too.
    let targets = folders(&course.home().join("build")).into_iter().map(|target| target.join("debug"));
    let of_cells = targets.flat_map(|debug| ["incremental", ".fingerprint"].map(|part| debug.join(part)));
    let of_cells = of_cells.flat_map(|part| {
        let mut cells = folders(&part);
        cells.retain(|folder| {
            folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ctx-"))
        });
        cells.sort_by_key(|folder| Reverse(changed(folder)));
        cells.into_iter().skip(KEPT).filter(|folder| old(folder, BUILD))
    });
    temporary.chain(of_cells).filter(|folder| remove_dir_all(folder).is_ok()).count()
}

fn folders(above: &Path) -> Vec<PathBuf> {
    let entries = read_dir(above).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// When something was last made or removed in it; now, if it is gone.
fn changed(folder: &Path) -> SystemTime {
    folder.metadata().and_then(|data| data.modified()).unwrap_or_else(|_| SystemTime::now())
}
