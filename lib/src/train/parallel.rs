//! Small trainings side by side.

use rayon::prelude::*;

use crate::{Error, Result};

/// Does all jobs in their order, two at a time, each on one core; the results come in the order of the jobs.
///
/// A small network gains little from a second core, two small networks gain all of it. The last of an odd number of
/// jobs, which would be left with an idle core beside it, computes on both. Make what depends on
/// [`seed`](crate::seed) before, in the jobs: both sides draw from one generator.
///
/// # Errors
/// The first error of a job; jobs that have not begun are left out.
pub fn two_at_a_time<J: Send, R: Send>(jobs: Vec<J>, work: impl Fn(J) -> Result<R> + Sync) -> Result<Vec<R>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = pool.map_err(|error| Error::input(format!("two threads cannot be started: {error}")))?;
    let count = jobs.len();
    let one = |(i, job)| {
        tch::set_num_threads(if count % 2 == 1 && i + 1 == count { 2 } else { 1 });
        Ok((i, work(job)?))
    };
    let mut done: Vec<(usize, R)> =
        pool.install(|| jobs.into_iter().enumerate().par_bridge().map(one).collect::<Result<_>>())?;
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
