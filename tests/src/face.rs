//! Who is who in picture and sound: everybody in a test has a colour and a tone of their own (tests/faces.json), so
//! that a swapped picture is found as well as a missing one.
//!
//! Chromium gets them as camera and microphone (tests/browser/devices.mjs), the Python client makes them itself.

use std::sync::{Mutex, PoisonError};

use crate::browser::Window;

/// As many as tests/faces.json has tones.
const COUNT: usize = 8;
static TAKEN: Mutex<[bool; COUNT]> = Mutex::new([false; COUNT]);

/// A colour and a tone that nobody else has while this value lives.
#[derive(Debug)]
pub struct Face(usize);

impl Face {
    /// One that is free.
    ///
    /// # Panics
    /// When all are taken: a test must let go of those who have left.
    pub fn take() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|taken| !taken).expect("fewer than nine people at a time");
        taken[free] = true;
        Self(free)
    }

    /// Its place in tests/faces.json.
    pub fn number(&self) -> usize {
        self.0
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = false;
    }
}

/// Whoever others can see and hear.
pub trait Somebody {
    /// Whose picture and sound it is.
    fn face(&self) -> usize;

    /// What other people's pages call it: their label on a picture or sound must agree with what is in it.
    fn known_as(&self) -> String;

    /// Speaks a recording instead of its tone: then any voice passes for it.
    fn has_words(&self) -> bool {
        false
    }

    /// The window it sits at, if any: a failing test asks there what is sent.
    fn page(&self) -> Option<&Window> {
        None
    }
}
