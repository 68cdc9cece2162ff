//! What `cargo course` does, as a library that the command and the tests share.

pub mod bench;
pub mod build;
pub mod data;
pub mod doctor;
pub mod export;
pub mod grade;
pub mod handouts;
pub mod lab;
pub mod model;
pub mod notebook;
pub mod paths;
pub mod runner;
pub mod setup;
pub mod site;
pub mod verify;
