//! Ways from samples to samples: AIC through this library, Opus 1.6 with and without NoLACE through `opusic-c`, Opus
//! 1.3 through ffmpeg. Each returns what came out in step with the input, and what it took on the way.

use std::path::Path;
use std::process::Command;

use aic_codec::{Arrived, Codes, FRAME, Model, Rate, STAGES};
use anyhow::{Context, ensure};
use opusic_c::{Application, Bandwidth, Bitrate, Channels, InbandFec, SampleRate, Signal};

use super::clips::RATE;

/// What a decoder made, and the payload bytes that it was made from.
pub struct Coded {
    /// As many samples as went in, aligned with them.
    pub samples: Vec<f32>,
    /// Payload bytes of all packets, redundancy included.
    pub bytes: usize,
}

impl Coded {
    /// Payload kbit/s.
    pub fn kbps(&self) -> f64 {
        self.bytes as f64 * 8.0 / (self.samples.len() as f64 / RATE as f64) / 1_000.0
    }
}

/// Which packets are lost: `lost[n]` for packet n.
pub type Losses<'a> = &'a [bool];

/// AIC at `rate`, one frame a packet, each repeating up to `depth` earlier ones; `beams` of the search.
///
/// # Errors
/// When the codec refuses the clip.
pub fn aic(
    model: &Model,
    samples: &[f32],
    rate: Rate,
    depth: u8,
    losses: Losses<'_>,
) -> anyhow::Result<Coded> {
    let (mut encoder, mut decoder) = (model.encoder(), model.decoder());
    encoder.set_rate(rate);
    let mut sent: Vec<Codes> = Vec::new();
    let mut bytes = 0;
    for frame in samples.as_chunks::<FRAME>().0 {
        let earlier: Vec<Codes> = sent.iter().rev().take(usize::from(depth)).copied().collect();
        sent.push(encoder.encode(frame)?);
        let newest = &sent[sent.len() - 1..];
        bytes += aic_codec::payload::build(rate, newest, &earlier, depth)?.len();
    }
    let mut out = Vec::with_capacity(samples.len() + FRAME);
    let mut pcm = [0.0; FRAME];
    for (n, codes) in sent.iter().enumerate() {
        let later = (n + 1..sent.len()).take(usize::from(depth));
        let arrived = if !lost(losses, n) {
            Arrived::Coded { codes, stages: rate.stages() }
        } else if later.into_iter().any(|m| !lost(losses, m)) {
            Arrived::Coded { codes, stages: 3.min(STAGES as u8) }
        } else {
            Arrived::Lost
        };
        decoder.decode(arrived, &mut pcm)?;
        out.extend_from_slice(&pcm);
    }
    decoder.decode(Arrived::Lost, &mut pcm)?;
    out.extend_from_slice(&pcm);
    // The decoder is half a frame late: the overlap of its transform.
    Ok(Coded { samples: out[FRAME / 2..][..samples.len()].to_vec(), bytes })
}

fn lost(losses: Losses<'_>, packet: usize) -> bool {
    losses.get(packet).copied().unwrap_or(false)
}

/// Decoder complexity from which libopus conceals with a network, below that of NoLACE.
#[cfg(feature = "opus-dnn")]
const CONCEALING: u8 = 5;
/// What libopus decodes at once: 120 ms.
#[cfg(feature = "opus-dnn")]
const DRED_FRAMES: usize = 6;

/// How Opus is set.
#[derive(Clone, Copy)]
pub struct OpusSetting {
    /// Bits per second asked for.
    pub bps: u32,
    /// Decoder complexity: from 7 on NoLACE repairs what SILK did, if it is compiled in.
    pub decoder_complexity: u8,
    /// In-band correction, told to expect this much loss in percent.
    pub fec: Option<u8>,
    /// RFC 2198: every packet carries the one before, too.
    pub red: bool,
}

/// Opus 1.6 at 16 kHz, wideband forced, speech, 20 ms, complexity 10, variable bitrate.
///
/// # Errors
/// When libopus refuses.
pub fn opus(samples: &[f32], setting: OpusSetting, losses: Losses<'_>) -> anyhow::Result<Coded> {
    let (packets, delay) = opus_packets(samples, setting.bps, |encoder| {
        let Some(expected) = setting.fec else { return Ok(()) };
        encoder.set_inband_fec(InbandFec::Mode1)?;
        encoder.set_packet_loss(expected)
    })?;
    let mut bytes: usize = packets.iter().map(Vec::len).sum();
    if setting.red {
        // The copy, its four-byte block header, and the one-byte header of the last block.
        bytes = bytes * 2 + packets.len() * 5;
    }
    let mut decoder = opusic_c::Decoder::new(Channels::Mono, SampleRate::Hz16000).map_err(refused)?;
    #[cfg(feature = "opus-dnn")]
    decoder.set_complexity(setting.decoder_complexity).map_err(refused)?;
    let (mut out, mut pcm) = (Vec::new(), vec![0.0_f32; FRAME]);
    for n in 0..packets.len() {
        let next = packets.get(n + 1).filter(|_| !lost(losses, n + 1));
        let packet: (&[u8], bool) = match (lost(losses, n), next) {
            (false, _) => (&packets[n], false),
            (true, Some(_)) if setting.red => (&packets[n], false),
            (true, Some(next)) if setting.fec.is_some() => (next, true),
            (true, _) => (&[], false),
        };
        decoder.decode_float_to_slice(packet.0, &mut pcm, packet.1).map_err(refused)?;
        out.extend_from_slice(&pcm);
    }
    Ok(Coded { samples: out[delay..][..samples.len()].to_vec(), bytes })
}

/// Opus 1.6 at `bps` in all, every packet with up to a second of its past (DRED, draft-ietf-mlcodec-opus-dred), told to
/// expect `expected` percent of loss; the first packet after a gap brings back up to 120 ms of it.
///
/// # Errors
/// When libopus refuses.
#[cfg(feature = "opus-dnn")]
pub fn opus_dred(samples: &[f32], bps: u32, expected: u8, losses: Losses<'_>) -> anyhow::Result<Coded> {
    let (packets, delay) = opus_packets(samples, bps, |encoder| {
        encoder.set_packet_loss(expected)?;
        // In 10 ms.
        encoder.set_dred_duration(100)
    })?;
    let mut decoder = opusic_c::Decoder::new(Channels::Mono, SampleRate::Hz16000).map_err(refused)?;
    decoder.set_complexity(CONCEALING).map_err(refused)?;
    let mut dred = opusic_c::dred::Dred::new(decoder).map_err(refused)?;
    let (mut out, mut pcm, mut gap) = (Vec::new(), vec![0.0_f32; FRAME], 0);
    for (n, packet) in packets.iter().enumerate() {
        if lost(losses, n) {
            gap += 1;
            continue;
        }
        // What is older than a packet can bring back is concealed.
        for _ in DRED_FRAMES..gap {
            dred.decoder_mut().decode_float_to_slice(&[], &mut pcm, false).map_err(refused)?;
            out.extend_from_slice(&pcm);
        }
        if gap > 0 {
            let mut past = vec![0.0; gap.min(DRED_FRAMES) * FRAME];
            dred.decode_float_to_slice(packet, &mut past).map_err(refused)?;
            out.extend_from_slice(&past);
        }
        gap = 0;
        dred.decoder_mut().decode_float_to_slice(packet, &mut pcm, false).map_err(refused)?;
        out.extend_from_slice(&pcm);
    }
    out.resize(packets.len() * FRAME, 0.0);
    let bytes = packets.iter().map(Vec::len).sum();
    Ok(Coded { samples: out[delay..][..samples.len()].to_vec(), bytes })
}

/// Packets of 20 ms, and how many samples late what they decode to is.
fn opus_packets(
    samples: &[f32],
    bps: u32,
    more: impl Fn(&mut opusic_c::Encoder) -> Result<(), opusic_c::ErrorCode>,
) -> anyhow::Result<(Vec<Vec<u8>>, usize)> {
    let mut encoder =
        opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz16000, Application::Voip).map_err(refused)?;
    encoder.set_bitrate(Bitrate::Value(bps)).map_err(refused)?;
    encoder.set_bandwidth(Bandwidth::Wide).map_err(refused)?;
    encoder.set_signal(Signal::Voice).map_err(refused)?;
    encoder.set_complexity(10).map_err(refused)?;
    more(&mut encoder).map_err(refused)?;
    let delay = encoder.get_look_ahead().map_err(refused)? as usize;
    let mut padded = samples.to_vec();
    padded.resize(samples.len() + (delay.next_multiple_of(FRAME)), 0.0);
    let mut packets = Vec::new();
    let mut buffer = vec![0; 1_500];
    for frame in padded.as_chunks::<FRAME>().0 {
        let length = encoder.encode_float_to_slice(frame, &mut buffer).map_err(refused)?;
        packets.push(buffer[..length].to_vec());
    }
    Ok((packets, delay))
}

fn refused(code: opusic_c::ErrorCode) -> anyhow::Error {
    anyhow::anyhow!("opus: {code:?}")
}

/// The libopus inside this machine's ffmpeg (1.3.1 on Debian 12), through files in `folder`.
///
/// # Errors
/// When ffmpeg is missing or fails.
pub fn opus_of_ffmpeg(samples: &[f32], bps: u32, folder: &Path) -> anyhow::Result<Coded> {
    let (input, coded, output) = (folder.join("in.wav"), folder.join("coded.ogg"), folder.join("out.wav"));
    crate::speech::write_wav(&input, samples)?;
    let ffmpeg = |arguments: &[&str], from: &Path, to: &Path| {
        let run = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(from)
            .args(arguments)
            .arg(to)
            .status()
            .context("ffmpeg is needed")?;
        ensure!(run.success(), "ffmpeg failed");
        Ok(())
    };
    let rate = bps.to_string();
    let encode = ["-c:a", "libopus", "-b:a", &rate, "-application", "voip", "-frame_duration", "20"];
    ffmpeg(&encode, &input, &coded)?;
    ffmpeg(&["-ar", "16000", "-ac", "1"], &coded, &output)?;
    let listing = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0"])
        .arg(&coded)
        .output()?;
    let bytes = String::from_utf8(listing.stdout)?
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse::<usize>().ok())
        .sum();
    let wav = std::fs::read(&output)?;
    let start = wav.windows(4).position(|four| four == b"data").context("a WAV file has data")? + 8;
    let mut out: Vec<f32> = wav[start..]
        .as_chunks::<2>()
        .0
        .iter()
        .map(|two| f32::from(i16::from_le_bytes(*two)) / 32_768.0)
        .collect();
    out.resize(samples.len(), 0.0);
    Ok(Coded { samples: out, bytes })
}
