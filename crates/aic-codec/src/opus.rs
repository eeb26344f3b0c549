//! Opus at 48 kHz, mono: what AIC falls back to, and what a transcoder speaks to everybody else.
//!
//! libopus is compiled in, optimised in every profile. An encoder can start over so that a fresh decoder follows it
//! from its first packet; [`Encoder::prime`] and [`Decoder::prime`] take a stream over from elsewhere.

use bytes::Bytes;
use opusic_c::{Application, Bandwidth, Bitrate, Channels, ErrorCode, InbandFec, SampleRate, Signal};
use thiserror::Error;

use crate::control::ladder::Opus;
use crate::resample::FRAME_48K;

/// The output is this much later than the input: the encoder's look-ahead, 6.5 ms.
pub const DELAY: usize = 312;
/// Samples of the longest packet, 120 ms.
pub const MAX_SAMPLES: usize = 6 * FRAME_48K;
/// The longest packet that is made or read.
const MAX_BYTES: usize = 1_275 * 3 + 7;

/// Why Opus did not work.
#[derive(Debug, Error)]
#[error("opus: {what}: {code:?}")]
pub struct OpusError {
    what: &'static str,
    code: ErrorCode,
}

fn wrap(what: &'static str) -> impl Fn(ErrorCode) -> OpusError {
    move |code| OpusError { what, code }
}

/// One stream's encoder.
pub struct Encoder {
    inner: opusic_c::Encoder,
    setting: Opus,
    packet: Vec<u8>,
}

/// One stream's decoder.
pub struct Decoder {
    inner: opusic_c::Decoder,
}

impl Encoder {
    /// For speech first, music allowed; variable bitrate.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses, for lack of memory.
    pub fn new(setting: Opus) -> Result<Self, OpusError> {
        let mut inner = opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip)
            .map_err(wrap("new encoder"))?;
        inner.set_signal(Signal::Auto).map_err(wrap("signal"))?;
        inner.set_complexity(9).map_err(wrap("complexity"))?;
        let mut encoder = Self { inner, setting, packet: vec![0; MAX_BYTES] };
        encoder.apply()?;
        Ok(encoder)
    }

    /// Changes bitrate and protection from the next packet on.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses the values.
    pub fn set(&mut self, setting: Opus) -> Result<(), OpusError> {
        if self.setting != setting {
            self.setting = setting;
            self.apply()?;
        }
        Ok(())
    }

    fn apply(&mut self) -> Result<(), OpusError> {
        let Opus { bitrate_bps, fec, expected_loss, .. } = self.setting;
        self.inner.set_bitrate(Bitrate::Value(bitrate_bps)).map_err(wrap("bitrate"))?;
        // Left to itself Opus narrows the band below 9 kbit/s, and that is the first thing people hear.
        let band = if bitrate_bps <= 12_000 { Bandwidth::Wide } else { Bandwidth::Auto };
        self.inner.set_bandwidth(band).map_err(wrap("bandwidth"))?;
        let fec = if fec { InbandFec::Mode1 } else { InbandFec::Off };
        self.inner.set_inband_fec(fec).map_err(wrap("fec"))?;
        self.inner.set_packet_loss(expected_loss).map_err(wrap("loss"))
    }

    /// One packet of `pcm`: 10, 20, 40 or 60 ms at 48 kHz, full scale ±1.
    ///
    /// # Errors
    /// [`OpusError`] for other lengths.
    pub fn encode(&mut self, pcm: &[f32]) -> Result<Bytes, OpusError> {
        let length = self.inner.encode_float_to_slice(pcm, &mut self.packet).map_err(wrap("encode"))?;
        Ok(Bytes::copy_from_slice(&self.packet[..length]))
    }

    /// Starts over: the next packet can be decoded without those before.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.inner.reset().map_err(wrap("reset"))
    }

    /// Hears `recent`, the input before the next packet, without sending it: for a stream taken over from elsewhere.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses.
    pub fn prime(&mut self, recent: &[f32]) -> Result<(), OpusError> {
        for frame in recent.as_chunks::<FRAME_48K>().0 {
            self.encode(frame)?;
        }
        Ok(())
    }
}

impl Decoder {
    /// At the start of a stream.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses, for lack of memory.
    pub fn new() -> Result<Self, OpusError> {
        let inner =
            opusic_c::Decoder::new(Channels::Mono, SampleRate::Hz48000).map_err(wrap("new decoder"))?;
        Ok(Self { inner })
    }

    /// Samples in `packet`, at 48 kHz.
    ///
    /// # Errors
    /// [`OpusError`] for what is no Opus packet.
    pub fn samples(&self, packet: &[u8]) -> Result<usize, OpusError> {
        if packet.is_empty() || packet.len() > MAX_BYTES {
            return Err(OpusError { what: "packet", code: ErrorCode::InvalidPacket });
        }
        self.inner.get_nb_samples(packet).map_err(wrap("packet"))
    }

    /// Decodes `packet` into the front of `out`, which holds [`MAX_SAMPLES`]; returns how many samples it had.
    ///
    /// # Errors
    /// [`OpusError`] for what is no Opus packet.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32; MAX_SAMPLES]) -> Result<usize, OpusError> {
        self.samples(packet)?;
        self.inner.decode_float_to_slice(packet, out, false).map_err(wrap("decode"))
    }

    /// The frame before `next`, which was lost, from the correction inside `next`; concealed if there is none.
    ///
    /// # Errors
    /// [`OpusError`] for what is no Opus packet.
    pub fn recover(&mut self, next: &[u8], out: &mut [f32; FRAME_48K]) -> Result<(), OpusError> {
        self.samples(next)?;
        self.inner.decode_float_to_slice(next, out, true).map_err(wrap("recover")).map(drop)
    }

    /// Conceals 20 ms that did not come.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses.
    pub fn conceal(&mut self, out: &mut [f32; FRAME_48K]) -> Result<(), OpusError> {
        self.inner.decode_float_to_slice(&[], out, false).map_err(wrap("conceal")).map(drop)
    }

    /// Starts over.
    ///
    /// # Errors
    /// [`OpusError`] if libopus refuses.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.inner.reset().map_err(wrap("reset"))
    }

    /// Hears the packets before the next one: for a stream taken over from elsewhere. What is no packet is skipped.
    pub fn prime<'a>(&mut self, recent: impl IntoIterator<Item = &'a [u8]>) {
        let mut out = Box::new([0.0; MAX_SAMPLES]);
        for packet in recent {
            drop(self.decode(packet, &mut out));
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("setting", &self.setting).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Noise, voice};

    const SETTING: Opus = Opus { bitrate_bps: 32_000, ptime_ms: 20, fec: false, red: 0, expected_loss: 0 };

    #[test]
    fn speech_comes_through_312_samples_late() {
        let voice = voice(48_000.0, 3.0, 1);
        let (mut encoder, mut decoder) = (Encoder::new(SETTING).unwrap(), Decoder::new().unwrap());
        let mut out = Box::new([0.0; MAX_SAMPLES]);
        let mut heard = Vec::new();
        for frame in voice.as_chunks::<FRAME_48K>().0 {
            let packet = encoder.encode(frame).unwrap();
            assert_eq!(decoder.samples(&packet).unwrap(), FRAME_48K);
            let samples = decoder.decode(&packet, &mut out).unwrap();
            heard.extend_from_slice(&out[..samples]);
        }
        let match_at = |lag: usize| -> f32 {
            voice[9_600..100_000].iter().zip(&heard[9_600 + lag..]).map(|(a, b)| a * b).sum()
        };
        let best = (0..1_000).max_by(|&a, &b| match_at(a).total_cmp(&match_at(b))).unwrap();
        assert!(best.abs_diff(DELAY) <= 8, "{best}");
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_next() {
        let setting = Opus { fec: true, expected_loss: 20, ..SETTING };
        let voice = voice(48_000.0, 3.0, 2);
        let mut encoder = Encoder::new(setting).unwrap();
        let packets: Vec<Bytes> =
            voice.as_chunks::<FRAME_48K>().0.iter().map(|frame| encoder.encode(frame).unwrap()).collect();
        let mut errors = [0.0_f32; 2];
        for (fec, error) in [false, true].into_iter().zip(&mut errors) {
            let (mut decoder, mut whole) = (Decoder::new().unwrap(), Decoder::new().unwrap());
            let (mut out, mut good) = (Box::new([0.0; MAX_SAMPLES]), Box::new([0.0; MAX_SAMPLES]));
            for (n, packet) in packets.iter().enumerate() {
                whole.decode(packet, &mut good).unwrap();
                if n % 5 != 4 || n + 1 == packets.len() {
                    decoder.decode(packet, &mut out).unwrap();
                    continue;
                }
                let mut frame = [0.0; FRAME_48K];
                if fec {
                    decoder.recover(&packets[n + 1], &mut frame).unwrap();
                } else {
                    decoder.conceal(&mut frame).unwrap();
                }
                *error += frame.iter().zip(&good[..]).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
            }
        }
        assert!(errors[1] < 0.5 * errors[0], "{errors:?}");
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        let mut decoder = Decoder::new().unwrap();
        let mut noise = Noise::new(3);
        let mut out = Box::new([0.0; MAX_SAMPLES]);
        assert!(decoder.decode(&[], &mut out).is_err());
        assert!(decoder.decode(&[0; MAX_BYTES + 1], &mut out).is_err());
        for length in 1..300 {
            let junk: Vec<u8> = (0..length).map(|_| (noise.next() * 128.0) as i8 as u8).collect();
            if let Ok(samples) = decoder.decode(&junk, &mut out) {
                assert!(samples <= MAX_SAMPLES);
            }
        }
        assert!(Encoder::new(SETTING).unwrap().encode(&[0.0; 961]).is_err());
    }

    #[test]
    fn every_rung_encodes_its_packet_length() {
        for (bitrate_bps, ptime_ms) in [(32_000, 20), (20_000, 40), (6_000, 60)] {
            let setting = Opus { bitrate_bps, ptime_ms, ..SETTING };
            let mut encoder = Encoder::new(SETTING).unwrap();
            encoder.set(setting).unwrap();
            let voice = voice(48_000.0, 6.0, 3);
            let packet_samples = usize::from(ptime_ms) * 48;
            let bytes: usize =
                voice.chunks_exact(packet_samples).map(|pcm| encoder.encode(pcm).unwrap().len()).sum();
            let bps = bytes as f32 * 8.0 / 6.0;
            assert!((0.5..1.2).contains(&(bps / bitrate_bps as f32)), "{bitrate_bps}: {bps}");
        }
    }
}
