//! How a test fails: in place, while what it started is still there to be asked.
//!
//! `?` on an [`Outcome`] panics at its own line instead of returning, so the processes a test holds see a panic
//! when they are dropped and print what they said last.

use std::convert::Infallible;
use std::fmt::Display;

/// What a test returns.
pub type Outcome<T = ()> = Result<T, Failure>;

/// Never exists: making one is the failure.
#[derive(Debug)]
pub struct Failure(Infallible);

impl<E: Display> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        panic!("{error:#}");
    }
}
