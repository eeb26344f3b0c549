//! A unary call: bounded audio through a session of its own, in pieces that let live packets pass.

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
    let packets = packets(input, audio, service.unary_ms)?;
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
    let outcome = run(service, &session, packets).await;

    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    let word = if outcome.is_ok() { "ended" } else { "failed" };
    if let Some(report) = session.report(service.clock.now(), Some(word)) {
        service.recorder.record(report);
    }
    let usage = to_usage(session.total());
    Ok(pb::AudioResponse { output: Some(audio_of(output, outcome?)), usage: Some(usage) })
}

async fn run(
    service: &Service,
    session: &Arc<Mutex<Session>>,
    packets: Vec<pb::Packet>,
) -> Result<Vec<pb::Packet>> {
    let max_frames = u64::from(service.unary_ms / 20);
    let mut answers = Vec::new();
    let mut done = 0;
    let mut rest = packets.into_iter();
    loop {
        let piece: Vec<_> = rest.by_ref().take(PIECE).collect();
        let last = piece.is_empty();
        let session = Arc::clone(session);
        let job = move |_| {
            let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
            if last {
                return Ok((session.finish(), 0));
            }
            let mut out = Vec::new();
            for (index, packet) in piece.iter().enumerate() {
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

/// The audio as packets of a stream; PCM is cut, its last piece filled with silence.
fn packets(input: Input, audio: pb::Audio, unary_ms: u32) -> Result<Vec<pb::Packet>> {
    let max_frames = (unary_ms / 20) as usize;
    let Input::Pcm(rate) = input else {
        if !audio.pcm.is_empty() {
            return Err(ServiceError::invalid("input.pcm", "must be empty for packets"));
        }
        if audio.packets.is_empty() {
            return Err(ServiceError::invalid("input.packets", "are missing"));
        }
        if audio.packets.len() > max_frames {
            return Err(too_long(unary_ms));
        }
        return Ok(audio.packets);
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
    Ok(cut(&audio.pcm, rate))
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

fn audio_of(output: Output, packets: Vec<pb::Packet>) -> pb::Audio {
    let format = Some(output.to_format());
    if !matches!(output, Output::Pcm { .. }) {
        return pb::Audio { format, packets, pcm: Bytes::new() };
    }
    let mut pcm = Vec::with_capacity(packets.iter().map(|packet| packet.payload.len()).sum());
    for packet in packets {
        pcm.extend_from_slice(&packet.payload);
    }
    pb::Audio { format, pcm: pcm.into(), packets: Vec::new() }
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
        let code = |audio| packets(Input::Pcm(PcmRate::Wide), audio, 1_000).map(|packets| packets.len());
        assert_eq!(code(pcm(32_000)).unwrap(), 50);
        assert_eq!(code(pcm(32_002)).unwrap_err().code(), ErrorCode::ResourceExhausted);
        assert_eq!(code(pcm(0)).unwrap_err().fields()[0].field, "input.pcm");
        assert_eq!(code(pcm(3)).unwrap_err().fields()[0].field, "input.pcm");
        let empty = packets(Input::Opus, pb::Audio::default(), 1_000);
        assert_eq!(empty.unwrap_err().fields()[0].field, "input.packets");
    }
}
