//! What can go wrong while a private server is started or stopped.

use std::io;
use std::path::PathBuf;

/// Failure of a private PostgreSQL or Redis.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A program is not installed.
    #[error("{program} is not installed (Debian/Ubuntu: apt-get install {package})")]
    Missing {
        /// Name of the executable.
        program: &'static str,
        /// Debian package that holds it.
        package: &'static str,
    },
    /// PostgreSQL refuses to run as root and there is nobody else to run it.
    #[error("PostgreSQL will not run as root and the user `postgres` does not exist")]
    NoPostgresUser,
    /// A file or folder could not be prepared.
    #[error("{path}")]
    File {
        /// What was being prepared.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be executed at all.
    #[error("cannot run {program}")]
    Run {
        /// Name of the executable.
        program: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program ran and failed; `log` is the end of what it said.
    #[error("{program} failed:\n{log}")]
    Failed {
        /// Name of the executable.
        program: String,
        /// Last lines of its log.
        log: String,
    },
    /// A server did not become ready in time; `log` is the end of what it said.
    #[error("{program} was not ready after {seconds} s:\n{log}")]
    NotReady {
        /// Name of the executable.
        program: String,
        /// How long it was given.
        seconds: u64,
        /// Last lines of its log.
        log: String,
    },
}

impl LocalError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
