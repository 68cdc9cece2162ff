//! Small trainings side by side.

use rayon::prelude::*;

use crate::{Error, Result};

/// Does all jobs, two at a time, each on one core; the results come in the order of the jobs.
///
/// A small network gains little from a second core, two small networks gain all of it. Make what depends on
/// [`seed`](crate::seed) before, in the jobs: both sides draw from one generator.
///
/// # Errors
/// The first error of a job; jobs that have not begun are left out.
pub fn two_at_a_time<J: Send, R: Send>(jobs: Vec<J>, work: impl Fn(J) -> Result<R> + Sync) -> Result<Vec<R>> {
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(2).start_handler(|_| tch::set_num_threads(1)).build();
    let pool = pool.map_err(|error| Error::input(format!("two threads cannot be started: {error}")))?;
    pool.install(|| jobs.into_par_iter().with_max_len(1).map(&work).collect())
}
