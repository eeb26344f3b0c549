//! Fading: the network continues a voice over a gap, and nothing bounds how long it would. After 100 ms of loss its
//! output fades, at 300 ms it is silent, and with the next frame it comes back over 20 ms. Samples leave within ±1.

use crate::codec::FRAME;

/// Lost frames played at full level.
const HOLD: u16 = 5;
/// Frames from full level to silence.
const FADE: u16 = 10;

/// How far a stream has faded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fade {
    /// Frames lost in a row, up to now.
    pub(crate) lost: u16,
    /// Gain at the end of the last frame, 0 to 1.
    pub(crate) gain: f32,
}

impl Default for Fade {
    fn default() -> Self {
        Self { lost: 0, gain: 1.0 }
    }
}

impl Fade {
    /// Takes the next frame, lost or not, and sets its level.
    pub(crate) fn apply(&mut self, lost: bool, pcm: &mut [f32; FRAME]) {
        self.lost = if lost { self.lost.saturating_add(1) } else { 0 };
        let faded = self.lost.saturating_sub(HOLD).min(FADE);
        let target = 1.0 - f32::from(faded) / f32::from(FADE);
        let step = (target - self.gain) / FRAME as f32;
        for (n, sample) in pcm.iter_mut().enumerate() {
            *sample = (*sample * (self.gain + step * (n + 1) as f32)).clamp(-1.0, 1.0);
        }
        self.gain = target;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_fades_and_the_voice_returns_without_a_step() {
        let mut fade = Fade::default();
        let mut last = 1.0_f32;
        let mut levels = Vec::new();
        for frame in 0..40 {
            let mut pcm = [1.0; FRAME];
            fade.apply((5..30).contains(&frame), &mut pcm);
            for sample in pcm {
                assert!((sample - last).abs() < 0.01, "frame {frame}");
                last = sample;
            }
            levels.push(last);
        }
        assert_eq!(levels[9], 1.0);
        assert!((levels[14] - 0.5).abs() < 1e-6);
        assert_eq!(levels[19], 0.0);
        assert_eq!(levels[29], 0.0);
        assert_eq!(levels[30], 1.0);
    }

    #[test]
    fn samples_stay_within_full_scale() {
        let mut pcm = [7.0; FRAME];
        pcm[3] = f32::NEG_INFINITY;
        Fade::default().apply(false, &mut pcm);
        assert!(pcm.iter().all(|sample| sample.abs() <= 1.0));
    }
}
