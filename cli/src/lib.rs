//! What `cargo course` does, as a library that the command and the tests share.

pub mod build;
pub mod notebook;
pub mod paths;
pub mod runner;
pub mod verify;
