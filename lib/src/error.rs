//! One error type; its text says what happened, where, and what to do.

use std::path::{Path, PathBuf};

/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
        /// What to do.
        advice: String,
    },
    /// Text, numbers or shapes that do not fit; the message says what was expected, what came and what to do.
    #[error("{0}")]
    Input(String),
    /// Training cannot go on, e.g. because the loss is not finite.
    #[error("{0}")]
    Training(String),
    /// libtorch refused an operation.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Input`] with this message.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// An [`Error::File`]: what failed on `path`, and what to do.
    pub fn file(path: impl AsRef<Path>, source: std::io::Error, advice: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_path_buf(), source, advice: advice.into() }
    }
}
