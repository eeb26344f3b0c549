//! What can go wrong, for callers: never a panic, whatever the bytes.

/// An encoder, a decoder or a model refused.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A sample is infinite or not a number.
    #[error("the samples are not all finite numbers")]
    Samples,
    /// More stages than a frame has.
    #[error("{0} stages, but a frame has 12")]
    Stages(u8),
    /// A code that names no vector.
    #[error("code {code} of stage {stage} names no vector")]
    Code {
        /// Counted from 0.
        stage: usize,
        /// What was given.
        code: u16,
    },
    /// A saved state cannot be gone on with.
    #[error("saved state: {0}")]
    State(#[from] StateError),
    /// A model's files are damaged, foreign or not those of one model.
    #[error("model file {file}: {reason}")]
    Model {
        /// Name inside the model's folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The wished backend is not in this build or not on this machine.
    #[error("backend unavailable: {0}")]
    Unavailable(String),
    /// The network's runtime failed.
    #[error("backend: {0}")]
    Backend(String),
}

impl CodecError {
    pub(crate) fn model(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Model { file: file.into(), reason: reason.into() }
    }
}

/// Why a saved state was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not a saved state.
    #[error("not a saved state")]
    Format,
    /// Written by another version of this library.
    #[error("version {0} is not known")]
    Version(u8),
    /// An encoder's where a decoder's belongs, or the other way round.
    #[error("of the other side")]
    Side,
    /// Made with other weights.
    #[error("of another model")]
    Model,
    /// Cut or too long.
    #[error("wrong length")]
    Length,
    /// Damaged.
    #[error("wrong checksum")]
    Checksum,
    /// Numbers that no encoder or decoder remembers.
    #[error("impossible values")]
    Values,
}
