//! The plumbing of training: optimizer, learning-rate schedule, clipping, history, checkpoints, evaluation.

mod adamw;
mod checkpoint;
mod clip;
mod config;
mod evaluate;
mod history;
mod parallel;
mod precision;
mod resume;
mod trainer;

pub use adamw::AdamW;
pub use checkpoint::Checkpoint;
pub use clip::clip_grad_norm;
pub use config::TrainConfig;
pub use evaluate::{Evaluation, evaluate};
pub use history::History;
pub use parallel::two_at_a_time;
pub use precision::Precision;
pub use trainer::Trainer;
