//! People who speak over AIC, and how well they are heard.
//!
//! Speech is real and comes from the data folder; who hears it is judged by energy and intelligibility against what was
//! sent, never by counting packets alone.

mod judge;
mod person;
mod service;
mod speech;

pub use judge::{Heard, judge};
pub use person::{AicPerson, PersonOptions};
pub use service::CodecService;
pub use speech::{Clip, chords, speech};
