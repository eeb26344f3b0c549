//! Is somebody speaking? Energy over a tracked noise floor, with hangover; and what the background sounds like.
//!
//! Errs towards speech: word ends are weak, a false pause is heard and a false word costs 16 bytes. Loud backgrounds
//! are never called silence.

use crate::codec::FRAME;
use crate::payload::{BAND_EDGES_HZ, BANDS, Silence};
use crate::spectrum::{Spectrum, hann};

/// Above the noise floor by this much is speech.
const MARGIN_DB: f32 = 8.0;
/// Below this nothing is speech.
const QUIET_DB: f32 = -65.0;
/// A floor above this is music or a machine, and is sent.
const LOUD_DB: f32 = -42.0;
/// The floor follows rising noise this fast, per frame; a pause pulls it down at once.
const RISE_DB: f32 = 0.03;
/// Frames after speech that still count: 300 ms.
const HANGOVER: u32 = 15;
/// Weight of a new frame in the background's spectrum.
const COLOUR: f32 = 0.1;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Speech, or something as loud.
    Speech,
    /// Shortly after speech.
    Hangover,
    /// Background: need not be sent.
    Silence,
}

/// A voice activity detector for 16 kHz frames.
#[derive(Debug)]
pub struct Detector {
    spectrum: Spectrum,
    last_sample: f32,
    floor_db: Option<f32>,
    hangover: u32,
    background: [f32; BANDS],
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            spectrum: Spectrum::new(hann(FRAME), 512),
            last_sample: 0.0,
            floor_db: None,
            hangover: 0,
            background: [0.0; BANDS],
        }
    }
}

impl Detector {
    /// Hears the next frame.
    pub fn hear(&mut self, frame: &[f32; FRAME]) -> Activity {
        let energy_db = self.energy_db(frame);
        // The very first frame may already be speech: do not take it for noise.
        let floor = self.floor_db.get_or_insert(energy_db.min(-50.0));
        if energy_db < *floor {
            *floor += 0.5 * (energy_db - *floor);
        } else {
            *floor += RISE_DB.min(energy_db - *floor);
        }
        let floor = *floor;
        if energy_db > QUIET_DB && (energy_db > floor + MARGIN_DB || floor > LOUD_DB) {
            self.hangover = HANGOVER;
            return Activity::Speech;
        }
        self.note_background(frame);
        if self.hangover > 0 {
            self.hangover -= 1;
            return Activity::Hangover;
        }
        Activity::Silence
    }

    /// The background as heard between words.
    pub fn background(&self) -> Silence {
        Silence::from_powers(self.background)
    }

    /// Of the frame with low frequencies damped, where hum and wind live.
    fn energy_db(&mut self, frame: &[f32; FRAME]) -> f32 {
        let mut energy = 0.0;
        for &sample in frame {
            let high = sample - 0.9 * self.last_sample;
            energy += high * high;
            self.last_sample = sample;
        }
        10.0 * (energy / FRAME as f32 + 1e-12).log10()
    }

    fn note_background(&mut self, frame: &[f32; FRAME]) {
        let power = self.spectrum.power(frame);
        // Parseval, for one side of the spectrum and a Hann window's mean square of 3/8.
        let scale = 2.0 / (512.0 * FRAME as f32 * 0.375);
        for (band, edges) in self.background.iter_mut().zip(BAND_EDGES_HZ.windows(2)) {
            let bin = |hz: f32| (hz / 31.25).round() as usize;
            let sum: f32 = power[bin(edges[0])..bin(edges[1])].iter().sum();
            *band += if *band == 0.0 { sum * scale } else { COLOUR * (sum * scale - *band) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Noise, speech_clips};

    fn hear(detector: &mut Detector, samples: &[f32]) -> Vec<Activity> {
        samples.as_chunks::<FRAME>().0.iter().map(|frame| detector.hear(frame)).collect()
    }

    #[test]
    fn steady_noise_is_silence_and_a_burst_is_not() {
        let mut detector = Detector::default();
        let mut noise = Noise::new(1);
        let quiet: Vec<f32> = (0..FRAME * 100).map(|_| 0.002 * noise.next()).collect();
        assert!(hear(&mut detector, &quiet)[20..].iter().all(|&a| a == Activity::Silence));
        let level = detector.background().level;
        assert!((57..=61).contains(&level), "uniform noise of 0.002 has -58.8 dB: {level}");
        let burst: Vec<f32> = (0..FRAME * 10).map(|_| 0.05 * noise.next()).collect();
        assert!(hear(&mut detector, &burst).iter().all(|&a| a == Activity::Speech));
        let after = hear(&mut detector, &quiet);
        assert!(after[..HANGOVER as usize].iter().all(|&a| a == Activity::Hangover));
        assert!(after[HANGOVER as usize..].iter().all(|&a| a == Activity::Silence));
    }

    #[test]
    fn loud_backgrounds_are_sent_and_digital_silence_is_not() {
        let mut detector = Detector::default();
        let mut noise = Noise::new(2);
        let loud: Vec<f32> = (0..FRAME * 3_000).map(|_| 0.1 * noise.next()).collect();
        assert!(hear(&mut detector, &loud).iter().all(|&a| a == Activity::Speech));
        let mut detector = Detector::default();
        assert!(hear(&mut detector, &[0.0; FRAME * 10]).iter().all(|&a| a == Activity::Silence));
        assert_eq!(detector.background(), Silence::DIGITAL);
    }

    #[test]
    fn speech_keeps_its_energy() {
        for (name, samples) in speech_clips(6) {
            let activity = hear(&mut Detector::default(), &samples);
            let energy = |frame: &[f32; FRAME]| frame.iter().map(|s| s * s).sum::<f32>();
            let frames = samples.as_chunks::<FRAME>().0;
            let total: f32 = frames.iter().map(energy).sum();
            let kept: f32 = frames
                .iter()
                .zip(&activity)
                .filter(|&(_, &a)| a != Activity::Silence)
                .map(|(frame, _)| energy(frame))
                .sum();
            assert!(kept > 0.998 * total, "{name}: {:.4} of the energy is kept", kept / total);
        }
    }
}
