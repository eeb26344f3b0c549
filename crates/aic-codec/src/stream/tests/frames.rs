//! 16 kHz: loss, redundancy, silence, bundles, the return from a fallback.

use super::*;
use crate::control::{Decision, Reason};

/// Sends `samples` through a channel that drops what `lost` says, and plays them out.
fn call(
    settings: Settings,
    report: Feedback,
    samples: &[f32],
    mut lost: impl FnMut() -> bool,
) -> (Vec<f32>, Vec<Played>, Vec<AicPacket>) {
    let model = model();
    let mut sender = FrameSender::new(&model, settings);
    let mut receiver = FrameReceiver::new(&model, 80);
    let (mut heard, mut played, mut packets) = (Vec::new(), Vec::new(), Vec::new());
    for (n, frame) in samples.as_chunks::<FRAME>().0.iter().enumerate() {
        let now_ms = 20 * n as u64;
        sender.feedback(now_ms, report);
        if let Some(packet) = sender.push(frame, now_ms).unwrap() {
            if !lost() {
                receiver.insert(packet.first_frame, &packet.payload).unwrap();
            }
            packets.push(packet);
        }
        let mut out = [0.0; FRAME];
        played.push(receiver.pull(&mut out));
        heard.extend(out);
    }
    (heard, played, packets)
}

const QUIET: Feedback = Feedback { loss: 0.0, mean_burst: 1.0, available_bps: None };

fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
}

#[test]
fn speech_arrives_and_costs_what_the_table_says() {
    for (name, clip) in speech_clips(3) {
        let settings = Settings { dtx: false, ..lenient() };
        let (heard, played, packets) = call(settings, QUIET, &clip, || false);
        let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        assert_eq!(bytes, 16 * packets.len());
        assert!(played[4..].iter().all(|&p| p == Played::Coded), "{name}");
        // 80 ms of buffer and the decoder's 10.
        let late = 4 * FRAME + 160;
        let whole = heard.len() - late;
        let intelligible = stoi(&clip[..whole], &heard[late..], 16_000).unwrap();
        println!("{name}: STOI {intelligible}");
        assert!(intelligible > 0.6, "{name}: {intelligible}");
    }
}

#[test]
fn redundancy_fills_the_gaps_that_it_is_made_for() {
    let samples = voice(16_000.0, 10.0, 4);
    let settings = Settings { dtx: false, ..lenient() };
    let mut concealed = Vec::new();
    for loss in [0.0, 0.03, 0.08, 0.2] {
        let mut noise = Noise::new(11);
        let report = Feedback { loss, ..QUIET };
        let (heard, played, packets) = call(settings, report, &samples, || noise.next() < -0.8);
        let depth = Payload::parse(&packets[200].payload).unwrap().header().depth;
        assert_eq!(depth, [0.0, 0.01, 0.05, 0.12].iter().filter(|&&step| loss >= step).count() as u8 - 1);
        concealed.push(played.iter().filter(|&&p| p == Played::Concealed).count());
        assert!(power(&heard) > 0.3 * power(&samples), "loss does not mute");
    }
    // A tenth of the packets is lost at random.
    assert!((30..80).contains(&concealed[0]), "{concealed:?}");
    assert!(concealed[1] * 3 < concealed[0], "{concealed:?}");
    assert!(concealed[3] <= 2, "{concealed:?}");
}

#[test]
fn a_burst_is_faded_into_the_background_and_recovered_from() {
    let mut noise = Noise::new(21);
    let samples: Vec<f32> = voice(16_000.0, 8.0, 5).iter().map(|s| s + 0.003 * noise.next()).collect();
    let mut n = 0;
    let settings = Settings { dtx: false, ..lenient() };
    let (heard, played, _) = call(settings, QUIET, &samples, || {
        n += 1;
        (250..300).contains(&n)
    });
    assert_eq!(played.iter().filter(|&&p| p == Played::Concealed).count(), 50);
    let second_half = &heard[FRAME * 280..FRAME * 300];
    let level = 10.0 * power(second_half).log10();
    assert!((-75.0..-40.0).contains(&level), "neither dead nor loud: {level} dB");
    assert!(power(&heard[FRAME * 310..]) > 0.3 * power(&samples[FRAME * 310..]));
}

#[test]
fn silence_costs_next_to_nothing_and_sounds_like_the_room() {
    let mut noise = Noise::new(31);
    let mut samples = voice(16_000.0, 2.0, 6);
    samples.extend(vec![0.0; 16_000 * 6]);
    samples.extend(voice(16_000.0, 2.0, 7));
    for sample in &mut samples {
        *sample += 0.002 * noise.next();
    }
    let (heard, played, packets) = call(lenient(), QUIET, &samples, || false);
    let quiet = |packet: &&AicPacket| (150..380).contains(&packet.first_frame);
    let bytes: usize = packets.iter().filter(quiet).map(|packet| packet.payload.len()).sum();
    assert!(bytes <= 4 * 8, "{bytes} bytes for 4.6 s of silence");
    assert!(played[200..380].iter().all(|&p| p == Played::Silent));
    let level = |samples: &[f32]| 10.0 * power(samples).log10();
    let (room, comfort) =
        (level(&samples[FRAME * 200..FRAME * 380]), level(&heard[FRAME * 200..FRAME * 380]));
    assert!((room - comfort).abs() < 4.0, "{room} dB in the room, {comfort} dB heard");
    let again = packets.iter().find(|packet| packet.first_frame >= 400 && packet.frames > 0).unwrap();
    assert!(again.marker && again.first_frame <= 406, "speech begins in frame 400: {}", again.first_frame);
    assert!(power(&heard[FRAME * 420..]) > 0.3 * power(&samples[FRAME * 420..]));
}

#[test]
fn bundles_and_the_aggressive_mode_cut_headers() {
    let samples = voice(16_000.0, 4.0, 8);
    for (floor, frames, bytes) in [(crate::Rate::Mid, 3, 24), (crate::Rate::High, 5, 76)] {
        let settings = Settings { mode: crate::control::Mode::Aggressive, floor, dtx: false, ..lenient() };
        let (_, played, packets) = call(settings, QUIET, &samples, || false);
        assert!(packets.iter().all(|packet| packet.frames == frames && packet.payload.len() == bytes));
        assert!(
            played[10..].iter().all(|&p| p == Played::Coded),
            "80 ms of buffer carry bundles of {frames}"
        );
    }
}

#[test]
fn an_unheard_sender_is_scored_and_returns() {
    let model = model();
    let samples = voice(16_000.0, 6.0, 9);
    let mut sender = FrameSender::new(&model, lenient());
    let mut sent = Vec::new();
    for (n, frame) in samples.as_chunks::<FRAME>().0.iter().enumerate() {
        match n {
            100 => sender.block(Some(Reason::Unavailable)),
            150 => sender.block(None),
            _ => {}
        }
        let packet = sender.push(frame, 20 * n as u64).unwrap();
        sent.push(packet.is_some());
        let away = matches!(sender.state().decision, Decision::Opus { reason: Reason::Unavailable, .. });
        if n == 140 {
            assert!(away && sender.state().score.is_some());
        }
    }
    assert!(sent[60] && sent[100], "the frame of the change is still sent");
    assert!(!sent[101..235].iter().any(|&sent| sent));
    assert!(sent[235..265].iter().any(|&sent| sent), "back after two seconds without trouble");
    assert_eq!(sender.count(Reason::Unavailable), 1);
}

#[test]
fn hostile_packets_change_nothing() {
    let mut receiver = FrameReceiver::new(&model(), 40);
    let mut noise = Noise::new(41);
    let mut byte = || (noise.next() * 128.0) as i8 as u8;
    for _ in 0..3_000 {
        let length = usize::from(byte());
        let mut payload: Vec<u8> = (0..length).map(|_| byte()).collect();
        if byte() < 128
            && let Some(&first) = payload.first()
            && let Ok(header) = crate::payload::Header::from_byte(first)
        {
            payload.resize(header.payload_len(), 0x55);
        }
        let first = u32::from_le_bytes([byte(), byte(), 0, byte()]);
        let _refused_or_not = receiver.insert(first, &payload);
        if byte() < 64 {
            let mut out = [0.0; FRAME];
            receiver.pull(&mut out);
            assert!(out.iter().all(|s| s.abs() <= 1.5));
        }
    }
}
