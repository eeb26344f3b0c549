//! What a client that runs the codec itself says it did.
//!
//! Nobody but the user sees these figures, and nothing is decided by them; still they must be possible: no more
//! frames than the time holds, no more bytes than frames can carry.

use super::{ClientSource, Direction, Mode, Reason};
use crate::engine::text::Invalid;
use std::collections::BTreeMap;
use uuid::Uuid;

const MAX_WINDOW_MS: u32 = 60_000;
/// Three AIC frames with threefold redundancy, and Opus at 64 kbit/s, stay well below.
const MAX_BYTES_PER_FRAME: u64 = 400;
const MAX_LATENCY_MS: f64 = 10_000.0;

/// One stream, in one direction, since its last report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) session_id: Uuid,
    /// 0, 1, 2 …: one that is not above the last changes nothing.
    pub(crate) sequence: u64,
    pub(crate) room: String,
    pub(crate) track: String,
    pub(crate) direction: Direction,
    pub(crate) source: ClientSource,
    pub(crate) mode: Mode,
    pub(crate) model: String,
    pub(crate) window_ms: u32,
    /// 20 ms each.
    pub(crate) frames: u32,
    pub(crate) fallback_frames: u32,
    pub(crate) concealed_frames: u32,
    /// Payload as sent or received, fallback included.
    pub(crate) coded_bytes: u64,
    /// What the replaced stream would have taken.
    pub(crate) native_bytes: u64,
    pub(crate) quality_mean: Option<f64>,
    pub(crate) quality_min: Option<f64>,
    pub(crate) latency_mean_ms: f64,
    pub(crate) latency_p95_ms: f64,
    /// Times, by reason.
    pub(crate) fallbacks: BTreeMap<Reason, u32>,
    pub(crate) ended: bool,
}

impl Report {
    pub(crate) fn checked(self) -> Result<Self, Invalid> {
        self.check().map(|()| self)
    }

    fn check(&self) -> Result<(), Invalid> {
        if !is_word(&self.room, 0, 64) {
            return Err(Invalid::new("room", "is not the name of a room"));
        }
        if !is_word(&self.track, 0, 128) {
            return Err(Invalid::new("track", "must have at most 128 letters, digits or `_-.`"));
        }
        if !is_word(&self.model, 1, 64) {
            return Err(Invalid::new("model", "must have 1 to 64 letters, digits or `_-.`"));
        }
        if !(1..=MAX_WINDOW_MS).contains(&self.window_ms) {
            return Err(Invalid::new("window_ms", format!("must be 1 to {MAX_WINDOW_MS}")));
        }
        // Of 20 ms; a fifth and a second more for timers that came late.
        let fitting = self.window_ms / 20 * 6 / 5 + 50;
        if self.frames > fitting {
            return Err(Invalid::new("frames", "are more than the time holds"));
        }
        if self.fallback_frames > self.frames {
            return Err(Invalid::new("fallback_frames", "are more than `frames`"));
        }
        if self.concealed_frames > fitting {
            return Err(Invalid::new("concealed_frames", "are more than the time holds"));
        }
        let carried = u64::from(self.frames) * MAX_BYTES_PER_FRAME;
        for (field, bytes) in [("coded_bytes", self.coded_bytes), ("native_bytes", self.native_bytes)] {
            if bytes > carried {
                return Err(Invalid::new(field, "are more than the frames can carry"));
            }
        }
        for (field, score) in [("quality_mean", self.quality_mean), ("quality_min", self.quality_min)] {
            if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
                return Err(Invalid::new(field, "must be 0 to 1"));
            }
        }
        for (field, latency) in
            [("latency_mean_ms", self.latency_mean_ms), ("latency_p95_ms", self.latency_p95_ms)]
        {
            if !(0.0..=MAX_LATENCY_MS).contains(&latency) {
                return Err(Invalid::new(field, format!("must be 0 to {MAX_LATENCY_MS}")));
            }
        }
        if self.fallbacks.values().any(|times| *times > fitting) {
            return Err(Invalid::new("fallbacks", "are more than the time holds"));
        }
        Ok(())
    }
}

fn is_word(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            session_id: Uuid::nil(),
            sequence: 0,
            room: "0198f000-0000-7000-8000-000000000001".to_owned(),
            track: "TR_abc".to_owned(),
            direction: Direction::Send,
            source: ClientSource::Browser,
            mode: Mode::Adaptive,
            model: "aic16m-1".to_owned(),
            window_ms: 10_000,
            frames: 500,
            fallback_frames: 50,
            concealed_frames: 3,
            coded_bytes: 7_500,
            native_bytes: 40_000,
            quality_mean: Some(0.9),
            quality_min: Some(0.86),
            latency_mean_ms: 1.5,
            latency_p95_ms: 2.5,
            fallbacks: BTreeMap::from([(Reason::Content, 1)]),
            ended: false,
        }
    }

    #[test]
    fn the_impossible_is_refused_by_name() {
        type Spoil = fn(&mut Report);
        let cases: [(&str, Spoil); 14] = [
            ("room", |r| r.room = "the lobby".to_owned()),
            ("track", |r| r.track = "<b>".to_owned()),
            ("model", |r| r.model.clear()),
            ("model", |r| r.model = "m".repeat(65)),
            ("window_ms", |r| r.window_ms = 0),
            ("window_ms", |r| r.window_ms = u32::MAX),
            ("frames", |r| r.frames = 651),
            ("fallback_frames", |r| r.fallback_frames = 501),
            ("concealed_frames", |r| r.concealed_frames = u32::MAX),
            ("coded_bytes", |r| r.coded_bytes = 200_001),
            ("native_bytes", |r| r.native_bytes = u64::MAX),
            ("quality_min", |r| r.quality_min = Some(1.2)),
            ("latency_p95_ms", |r| r.latency_p95_ms = f64::NAN),
            ("fallbacks", |r| r.fallbacks = BTreeMap::from([(Reason::Quality, u32::MAX)])),
        ];
        assert_eq!(report().checked(), Ok(report()));
        for (field, spoil) in cases {
            let mut spoilt = report();
            spoil(&mut spoilt);
            assert_eq!(spoilt.checked().unwrap_err().field, field);
        }
    }
}
