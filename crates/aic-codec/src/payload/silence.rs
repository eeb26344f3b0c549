//! What a packet says of silence: how loud the background is, and its colour in four bands.

/// Bands of a silence descriptor.
pub const BANDS: usize = 4;
/// Where the bands begin and end.
pub const BAND_EDGES_HZ: [f32; BANDS + 1] = [80.0, 500.0, 1500.0, 4000.0, 8000.0];
/// Bytes on the wire.
pub(super) const LEN: usize = 3;

/// Background noise, to be imitated until speech returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Silence {
    /// Its level below full scale in dB, 0–127; 127 is digital silence. Full scale is a square wave's power.
    pub level: u8,
    /// Per band, how many steps of 3 dB its power lies below the loudest band's: 0–15.
    pub bands: [u8; BANDS],
}

impl Silence {
    /// Nothing at all.
    pub const DIGITAL: Self = Self { level: 127, bands: [0; BANDS] };

    /// From the powers of the four bands, mean square of samples in ±1.
    pub fn from_powers(powers: [f32; BANDS]) -> Self {
        let total: f32 = powers.iter().sum();
        let loudest = powers.iter().copied().fold(0.0, f32::max);
        if loudest < 1e-13 {
            return Self::DIGITAL;
        }
        let level = (-10.0 * total.log10()).round().clamp(0.0, 127.0) as u8;
        let steps = |power: f32| (-10.0 / 3.0 * (power / loudest).max(1e-6).log10()).round().min(15.0);
        Self { level, bands: powers.map(|power| steps(power) as u8) }
    }

    /// The powers of the four bands.
    pub fn powers(self) -> [f32; BANDS] {
        if self.level >= 127 {
            return [0.0; BANDS];
        }
        let relative = self.bands.map(|steps| 10_f32.powf(-0.3 * f32::from(steps)));
        let scale = 10_f32.powf(-0.1 * f32::from(self.level)) / relative.iter().sum::<f32>();
        relative.map(|power| power * scale)
    }

    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let [a, b, c, d] = self.bands.map(|steps| steps & 15);
        [self.level & 0x7f, a << 4 | b, c << 4 | d]
    }

    pub(super) fn from_bytes(bytes: [u8; LEN]) -> Self {
        let [level, low, high] = bytes;
        Self { level: level & 0x7f, bands: [low >> 4, low & 15, high >> 4, high & 15] }
    }
}
