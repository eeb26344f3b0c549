//! Speech, or something the model was not made for: tones, alarms, music.
//!
//! Two features of a 64 ms spectrum: how much of the power lies in at most two narrow peaks (tones, DTMF, sirens), and
//! how much lies in partials that keep their pitch for a quarter of a second (music: a speaking voice glides). Drums
//! alone are not recognised; the quality score is what catches them.

use crate::codec::FRAME;
use crate::spectrum::{Spectrum, hann};

const SIZE: usize = 1_024;
const HZ_PER_BIN: f32 = 16_000.0 / SIZE as f32;
/// Bins looked at: 100 Hz to 6 kHz.
const BINS: std::ops::Range<usize> = 6..384;
/// Peaks followed at once.
const PEAKS: usize = 12;
/// A peak this far below the strongest is not followed: 35 dB.
const PEAK_FLOOR: f32 = 3e-4;
/// Frames below −58 dB say nothing.
const QUIET: f32 = 1.6e-6;

/// Share of the power in two peaks that makes a tone.
const TONE_SHARE: f32 = 0.9;
/// Below this a strong peak may be the fundamental of a dark vowel.
const TONE_HZ: f32 = 300.0;
/// And below this the first formant of one ("moon"): only a pitch that has been steady for 100 ms is a tone there.
const VOWEL_HZ: f32 = 600.0;
const VOWEL_FRAMES: u32 = 5;
/// Tonal frames that decide: 300 ms.
const TONE_FRAMES: u32 = 15;
/// Frames with a pair of dialling tones that decide.
const DIAL_FRAMES: u32 = 3;
/// Frames of something else that end it: 1.5 s.
const CLEAR_FRAMES: u32 = 75;

/// A partial is steady from this age on: 240 ms.
const STEADY_FRAMES: u32 = 12;
/// And strays no more than this from where it began, in bins.
const STRAY_BINS: f32 = 0.45;
/// Weight of a frame in the sliding share, a time constant of 2 s.
const SLIDE: f32 = 0.01;
/// Share of steady power that makes music, and that ends it.
const MUSIC_SHARE: (f32, f32) = (0.25, 0.12);

/// What is heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Speech, silence, noise.
    Speech,
    /// Tones: dialling, ringing, alarms.
    Tones,
    /// Music.
    Music,
}

#[derive(Clone, Copy, Debug)]
struct Partial {
    first_bin: f32,
    bin: f32,
    power: f32,
    age: u32,
}

/// Listens to 16 kHz frames.
#[derive(Debug)]
pub struct Classifier {
    spectrum: Spectrum,
    recent: Box<[f32; SIZE]>,
    partials: Vec<Partial>,
    content: Content,
    tonal: u32,
    dialling: u32,
    clear: u32,
    steady: f32,
    heard: u32,
}

impl Default for Classifier {
    fn default() -> Self {
        Self {
            spectrum: Spectrum::new(hann(SIZE), SIZE),
            recent: Box::new([0.0; SIZE]),
            partials: Vec::new(),
            content: Content::Speech,
            tonal: 0,
            dialling: 0,
            clear: 0,
            steady: 0.0,
            heard: 0,
        }
    }
}

impl Classifier {
    /// Hears the next frame.
    pub fn hear(&mut self, frame: &[f32; FRAME]) -> Content {
        self.recent.copy_within(FRAME.., 0);
        self.recent[SIZE - FRAME..].copy_from_slice(frame);
        if frame.iter().map(|s| s * s).sum::<f32>() / (FRAME as f32) < QUIET {
            self.partials.clear();
            self.tonal = 0;
            return self.content;
        }
        let power = self.spectrum.power(&*self.recent);
        let total: f32 = power[BINS].iter().sum();
        let peaks = peaks(power);
        self.follow(&peaks);
        self.hear_tones(&peaks, total);
        self.hear_music(total);
        self.content
    }

    /// Share of the power in steady partials, sliding.
    #[cfg(test)]
    fn steadiness(&self) -> f32 {
        self.steady
    }

    fn follow(&mut self, peaks: &[Partial]) {
        let before = std::mem::take(&mut self.partials);
        self.partials = peaks
            .iter()
            .map(|peak| {
                let nearest = before
                    .iter()
                    .filter(|old| (peak.bin - old.first_bin).abs() < STRAY_BINS)
                    .min_by(|a, b| (peak.bin - a.bin).abs().total_cmp(&(peak.bin - b.bin).abs()));
                nearest.map_or(*peak, |old| Partial { first_bin: old.first_bin, age: old.age + 1, ..*peak })
            })
            .collect();
    }

    fn hear_tones(&mut self, peaks: &[Partial], total: f32) {
        let [first, rest @ ..] = peaks else { return };
        let second = rest.first();
        let share = (first.power + second.map_or(0.0, |peak| peak.power)) / total;
        let hz = first.bin * HZ_PER_BIN;
        let steady = self.partials.first().is_some_and(|partial| partial.age >= VOWEL_FRAMES);
        let tonal = share > TONE_SHARE && hz > TONE_HZ && (hz > VOWEL_HZ || steady);
        let dialling = tonal && second.is_some_and(|second| is_dtmf(first, second));
        self.tonal = if tonal { self.tonal + 1 } else { self.tonal.saturating_sub(5) };
        self.dialling = if dialling { self.dialling + 1 } else { 0 };
        self.clear = if tonal { 0 } else { self.clear + 1 };
        if self.tonal >= TONE_FRAMES || self.dialling >= DIAL_FRAMES {
            self.content = Content::Tones;
        } else if self.content == Content::Tones && self.clear >= CLEAR_FRAMES {
            self.content = Content::Speech;
        }
    }

    fn hear_music(&mut self, total: f32) {
        let steady: f32 = self.partials.iter().filter(|p| p.age >= STEADY_FRAMES).map(|p| p.power).sum();
        self.heard += 1;
        // The first second counts fully, so that music is known after one second and not after three.
        let weight = (1.0 / self.heard as f32).clamp(SLIDE, 0.02);
        self.steady += weight * ((steady / total).min(1.0) - self.steady);
        match self.content {
            Content::Speech if self.steady > MUSIC_SHARE.0 => self.content = Content::Music,
            Content::Music if self.steady < MUSIC_SHARE.1 => self.content = Content::Speech,
            _ => {}
        }
    }
}

/// The strongest local maxima, strongest first, with the power of their main lobes.
fn peaks(power: &[f32]) -> Vec<Partial> {
    let loudest = power[BINS].iter().copied().fold(0.0, f32::max);
    let mut found: Vec<Partial> = BINS
        .filter(|&k| power[k] > PEAK_FLOOR * loudest && power[k] > power[k - 1] && power[k] >= power[k + 1])
        .map(|k| {
            // A parabola through the logarithms: within a twentieth of a bin for a Hann window.
            let [low, mid, high] = [power[k - 1], power[k], power[k + 1]].map(|p| (p + 1e-20).ln());
            let curve = low - 2.0 * mid + high;
            let offset = if curve < 0.0 { 0.5 * (low - high) / curve } else { 0.0 };
            let bin = k as f32 + offset.clamp(-0.5, 0.5);
            Partial { first_bin: bin, bin, power: power[k - 2..=k + 2].iter().sum(), age: 0 }
        })
        .collect();
    found.sort_unstable_by(|a, b| b.power.total_cmp(&a.power));
    found.truncate(PEAKS);
    found
}

/// A pair of ITU-T Q.23, within 1.8 % and 10 dB.
fn is_dtmf(a: &Partial, b: &Partial) -> bool {
    const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    let near =
        |peak: &Partial, grid: &[f32]| grid.iter().any(|&hz| (peak.bin * HZ_PER_BIN - hz).abs() < 0.018 * hz);
    b.power > 0.1 * a.power && ((near(a, &LOW) && near(b, &HIGH)) || (near(b, &LOW) && near(a, &HIGH)))
}

#[cfg(test)]
mod tests;
