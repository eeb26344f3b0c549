//! A unary call: bounded audio through a session of its own, in pieces that let live packets pass.
//!
//! Invariant: what comes out lasts as long as what went in. Streams leave a pause to the listener's clock; here there is
//! none, so pauses that were not sent are filled by their timestamps.

use std::sync::{Arc, Mutex, PoisonError};

use aura_proto::aic::v1 as pb;
use aura_service::{Result, ServiceError};
use aura_types::ErrorCode;
use bytes::Bytes;
use uuid::Uuid;

use super::api::codec::{model_mismatch, to_usage};
use super::pool::Urgency;
use super::service::Service;
use super::session::{Opening, Session};
use super::terms::{self, Input, Kind, Output, PcmRate};

/// Packets coded before live work may pass: about as long as one live packet takes.
const PIECE: usize = 2;

const TICKS_PER_MS: u32 = 48;
/// Ticks of 20 ms.
const FRAME_TICKS: usize = 960;

/// What was asked.
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) user_id: String,
    pub(crate) input: Option<pb::Audio>,
    pub(crate) output: Option<pb::Format>,
    pub(crate) targets: Option<pb::Targets>,
    pub(crate) model: String,
}

/// Converts the audio of one call.
pub(crate) async fn convert(service: &Service, caller: String, call: Call) -> Result<pb::AudioResponse> {
    service.refuse_while_draining()?;
    let audio = call.input.ok_or_else(|| ServiceError::invalid("input", "is missing"))?;
    let user = terms::user_or_nobody(&call.user_id)?;
    let input = terms::input(call.kind, audio.format.as_ref())?;
    let output = terms::output(call.kind, call.output.as_ref())?;
    let model_mismatch = model_mismatch(&service.model, &call.model, input, output)?;
    terms::narrowed(service.defaults, call.targets.as_ref())?;
    let Cut { packets, length } = packets(input, audio, service.unary_ms)?;
    let _slot = service.registry.enter_unary(&caller)?;

    let mut preference = service.preferences.of(user).await;
    preference.enabled &= service.enabled;
    let preference = terms::narrowed(preference, call.targets.as_ref())?;
    if matches!(output, Output::Aic { .. }) && !preference.enabled {
        return Err(ServiceError::new(ErrorCode::FailedPrecondition, "AIC is switched off"));
    }
    let opening = Opening {
        id: Uuid::now_v7(),
        user,
        kind: call.kind,
        caller,
        room: String::new(),
        track: String::new(),
        direction: "",
        input,
        output,
        preference,
        model_mismatch,
    };
    let (model, instance, now) = (service.model.clone(), service.instance.clone(), service.clock.now());
    let open = move |_| Session::open(opening, &model, &instance, now);
    let session = service.pool.run(Urgency::Bulk, open).await??;
    let session = Arc::new(Mutex::new(session));
    let start = packets.first().map_or(0, |packet| packet.rtp_timestamp);
    let outcome = run(service, &session, packets, length.map(|ticks| start.wrapping_add(ticks))).await;

    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    let word = if outcome.is_ok() { "ended" } else { "failed" };
    if let Some(report) = session.report(service.clock.now(), Some(word)) {
        service.recorder.record(report);
    }
    let usage = to_usage(session.total());
    // A clock that went back on the way says nothing about the length.
    let stands = session.position().map(|position| position.wrapping_sub(start));
    let stands = stands.filter(|ticks| *ticks <= longest_ticks(service.unary_ms));
    let made = outcome?;
    Ok(pb::AudioResponse { output: Some(audio_of(output, made, length.or(stands))), usage: Some(usage) })
}

async fn run(
    service: &Service,
    session: &Arc<Mutex<Session>>,
    packets: Vec<pb::Packet>,
    end: Option<u32>,
) -> Result<Vec<pb::Packet>> {
    let max_frames = u64::from(service.unary_ms / 20);
    let longest = longest_ticks(service.unary_ms);
    let mut answers = Vec::new();
    let mut done = 0;
    let mut rest = packets.into_iter();
    loop {
        let piece: Vec<_> = rest.by_ref().take(PIECE).collect();
        let last = piece.is_empty();
        let session = Arc::clone(session);
        let job = move |_| {
            let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
            let mut out = Vec::new();
            if last {
                let ahead = |end: &u32| session.position().is_some_and(|at| end.wrapping_sub(at) <= longest);
                if let Some(end) = end.filter(ahead) {
                    out.extend(session.pause_until(end).map_err(|refusal| (0, refusal))?);
                }
                out.extend(session.finish());
                return Ok((out, 0));
            }
            for (index, packet) in piece.iter().enumerate() {
                out.extend(session.pause_before(packet).map_err(|refusal| (index, refusal))?);
                // Waiting is not lateness here: nobody plays this while it is made.
                let made = session.take(packet, std::time::Duration::ZERO);
                out.extend(made.map_err(|refusal| (index, refusal))?);
            }
            Ok((out, session.total().frames))
        };
        let (made, frames) = service.pool.run(Urgency::Bulk, job).await?.map_err(|(index, refusal)| {
            ServiceError::invalid(format!("input.packets[{}]", done + index), refusal.to_string())
        })?;
        answers.extend(made);
        if last {
            return Ok(answers);
        }
        if frames > max_frames {
            return Err(too_long(service.unary_ms));
        }
        done += PIECE;
    }
}

/// Audio as packets of a stream.
#[derive(Debug)]
struct Cut {
    packets: Vec<pb::Packet>,
    /// Ticks of 48 kHz, if it is known before all is decoded.
    length: Option<u32>,
}

/// The audio as packets of a stream; PCM is cut, its last piece filled with silence.
fn packets(input: Input, audio: pb::Audio, unary_ms: u32) -> Result<Cut> {
    let max_frames = (unary_ms / 20) as usize;
    let max_ticks = unary_ms.saturating_mul(TICKS_PER_MS);
    let Input::Pcm(rate) = input else {
        if !audio.pcm.is_empty() {
            return Err(ServiceError::invalid("input.pcm", "must be empty for packets"));
        }
        if audio.packets.is_empty() {
            return Err(ServiceError::invalid("input.packets", "are missing"));
        }
        if audio.packets.len() > max_frames
            || span(&audio.packets) > max_ticks
            || audio.length_ticks > max_ticks
        {
            return Err(too_long(unary_ms));
        }
        let length = (audio.length_ticks > 0).then_some(audio.length_ticks);
        return Ok(Cut { packets: audio.packets, length });
    };
    if !audio.packets.is_empty() {
        return Err(ServiceError::invalid("input.packets", "must be empty for PCM"));
    }
    if audio.pcm.is_empty() || !audio.pcm.len().is_multiple_of(2) {
        return Err(ServiceError::invalid("input.pcm", "must hold whole 16-bit samples"));
    }
    let bytes = rate.frame() * 2;
    if audio.pcm.len().div_ceil(bytes) > max_frames {
        return Err(too_long(unary_ms));
    }
    let length = u32::try_from(audio.pcm.len() / 2 * (FRAME_TICKS / rate.frame())).ok();
    Ok(Cut { packets: cut(&audio.pcm, rate), length })
}

/// From the first packet's time to the last's. A clock that goes back begins anew.
fn span(packets: &[pb::Packet]) -> u32 {
    packets
        .windows(2)
        .map(|pair| pair[1].rtp_timestamp.wrapping_sub(pair[0].rtp_timestamp))
        .filter(|ticks| *ticks < 0x8000_0000)
        .fold(0, u32::saturating_add)
}

fn cut(pcm: &Bytes, rate: PcmRate) -> Vec<pb::Packet> {
    let bytes = rate.frame() * 2;
    (0..pcm.len().div_ceil(bytes))
        .map(|index| {
            let start = index * bytes;
            let payload = if start + bytes <= pcm.len() {
                pcm.slice(start..start + bytes)
            } else {
                let mut padded = pcm[start..].to_vec();
                padded.resize(bytes, 0);
                padded.into()
            };
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            pb::Packet {
                payload,
                rtp_timestamp: number.wrapping_mul(960),
                sequence: number & 0xffff,
                ..pb::Packet::default()
            }
        })
        .collect()
}

/// `length_ticks`: how long the input lasts, where it says so.
fn audio_of(output: Output, packets: Vec<pb::Packet>, length_ticks: Option<u32>) -> pb::Audio {
    let format = Some(output.to_format());
    let Output::Pcm { rate, .. } = output else {
        return pb::Audio {
            format,
            packets,
            pcm: Bytes::new(),
            length_ticks: length_ticks.unwrap_or_default(),
        };
    };
    let mut pcm = Vec::new();
    for packet in packets {
        pcm.extend_from_slice(&packet.payload);
    }
    // A last bundle may have been filled up, and a pause ends with whole frames: here are the samples.
    if let Some(length) = length_ticks {
        pcm.resize(length as usize * rate.frame() / FRAME_TICKS * 2, 0);
    }
    let lasts = u32::try_from(pcm.len() / 2 / rate.frame() * FRAME_TICKS).unwrap_or(u32::MAX);
    pb::Audio { format, pcm: pcm.into(), packets: Vec::new(), length_ticks: length_ticks.unwrap_or(lasts) }
}

/// The longest audio accepted, and what the last bundle may fill up, in ticks of 48 kHz.
fn longest_ticks(unary_ms: u32) -> u32 {
    unary_ms.saturating_mul(48).saturating_add(5 * 960)
}

fn too_long(unary_ms: u32) -> ServiceError {
    ServiceError::new(ErrorCode::ResourceExhausted, format!("input: must be at most {unary_ms} ms of audio"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pcm_is_cut_into_whole_frames() {
        let pcm = Bytes::from(vec![1; 320 * 2 + 10]);
        let packets = cut(&pcm, PcmRate::Wide);
        assert_eq!(packets.len(), 2);
        assert_eq!((packets[1].payload.len(), packets[1].rtp_timestamp, packets[1].sequence), (640, 960, 1));
        assert_eq!((packets[1].payload[9], packets[1].payload[10]), (1, 0));
    }

    #[test]
    fn too_much_and_nonsense_are_refused() {
        let pcm = |bytes: usize| pb::Audio { pcm: vec![0; bytes].into(), ..pb::Audio::default() };
        let code = |audio| packets(Input::Pcm(PcmRate::Wide), audio, 1_000).map(|cut| cut.packets.len());
        assert_eq!(code(pcm(32_000)).unwrap(), 50);
        assert_eq!(code(pcm(32_002)).unwrap_err().code(), ErrorCode::ResourceExhausted);
        assert_eq!(code(pcm(0)).unwrap_err().fields()[0].field, "input.pcm");
        assert_eq!(code(pcm(3)).unwrap_err().fields()[0].field, "input.pcm");
        let empty = packets(Input::Opus, pb::Audio::default(), 1_000);
        assert_eq!(empty.unwrap_err().fields()[0].field, "input.packets");
        let long = pb::Audio { length_ticks: 48_001, ..coded(&[0]) };
        assert_eq!(packets(Input::Aic, long, 1_000).unwrap_err().code(), ErrorCode::ResourceExhausted);
    }

    fn coded(timestamps: &[u32]) -> pb::Audio {
        let packet = |timestamp: &u32| pb::Packet { rtp_timestamp: *timestamp, ..Default::default() };
        pb::Audio { packets: timestamps.iter().map(packet).collect(), ..pb::Audio::default() }
    }

    #[test]
    fn two_packets_far_apart_are_long_audio() {
        let code = |timestamps: &[u32]| {
            packets(Input::Aic, coded(timestamps), 1_000).map(drop).map_err(|error| error.code())
        };
        assert_eq!(code(&[u32::MAX - 900, 47_000]), Ok(()), "numbers wrap");
        assert_eq!(code(&[0, 48_001]), Err(ErrorCode::ResourceExhausted));
        assert_eq!(code(&[0, 0x7fff_ffff]), Err(ErrorCode::ResourceExhausted));
        assert_eq!(code(&[0x9000_0000, 0]), Err(ErrorCode::ResourceExhausted), "forward, however far");
        assert_eq!(code(&[0x8000_0000, 960]), Ok(()), "a clock that began anew");
    }
}
