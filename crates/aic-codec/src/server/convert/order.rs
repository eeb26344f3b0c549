//! The order of a stream's packets: what is late, what is missing, what was silence. Pure.
//!
//! RTP's rules: sequence numbers say what was lost, timestamps how long it was. A gap in time without one in sequence
//! is silence that nobody sent. Nothing here believes a number further than it can be bounded.

/// Ticks of 20 ms on the 48 kHz clock.
pub(super) const FRAME_TICKS: u32 = 960;
/// Frames concealed in one gap at most; a longer one is cut, as a person would have heard silence by then.
pub(super) const MAX_CONCEALED: u32 = 25;

/// Where the next packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
}

/// What lies between the last packet and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    None,
    /// So many frames were lost and are worth concealing.
    Lost {
        frames: u32,
    },
    /// In sequence, but its time has been played: said again in another codec, or a clock that started anew.
    Back,
    /// Nobody spoke, or too much is missing: time jumps.
    Jump,
}

/// The packet comes after one that has been played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

/// Judges a packet.
pub(super) fn judge(expected: Option<Expected>, sequence: u16, timestamp: u32) -> Result<Gap, Late> {
    let Some(expected) = expected else { return Ok(Gap::None) };
    let lost = sequence.wrapping_sub(expected.sequence);
    if lost >= 0x8000 {
        return Err(Late);
    }
    let ticks = timestamp.wrapping_sub(expected.timestamp);
    if ticks >= 0x8000_0000 {
        let back = expected.timestamp.wrapping_sub(timestamp);
        return Ok(if back <= 3 * FRAME_TICKS { Gap::Back } else { Gap::Jump });
    }
    let frames = ticks / FRAME_TICKS;
    Ok(match (lost, frames) {
        (_, 0) => Gap::None,
        (0, _) => Gap::Jump,
        (_, frames) if frames <= MAX_CONCEALED => Gap::Lost { frames },
        _ => Gap::Jump,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(sequence: u16, timestamp: u32) -> Result<Gap, Late> {
        judge(Some(Expected { sequence: 65_535, timestamp: u32::MAX - 959 }), sequence, timestamp)
    }

    #[test]
    fn numbers_wrap() {
        assert_eq!(judge(None, 7, 7), Ok(Gap::None));
        assert_eq!(judged(65_535, u32::MAX - 959), Ok(Gap::None));
        assert_eq!(judged(0, 0), Ok(Gap::Lost { frames: 1 }));
        assert_eq!(judged(2, 1_920), Ok(Gap::Lost { frames: 3 }));
        assert_eq!(judged(65_534, u32::MAX - 1_919), Err(Late));
    }

    #[test]
    fn silence_and_long_gaps_jump() {
        assert_eq!(judged(65_535, 96_000), Ok(Gap::Jump), "silence");
        assert_eq!(judged(0, 960 * 100), Ok(Gap::Jump), "too long to conceal");
        assert_eq!(judged(1, 0x7000_0000), Ok(Gap::Jump));
        assert_eq!(judged(0, u32::MAX - 100_000), Ok(Gap::Jump), "the clock started anew");
        assert_eq!(judged(65_535, u32::MAX - 1_919), Ok(Gap::Back));
        assert_eq!(judged(3, u32::MAX - 959), Ok(Gap::None), "lost packets that held nothing");
    }
}
