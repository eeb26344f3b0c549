//! 48 kHz: delay, changes of codec, every fallback, hostile packets.

use super::*;
use crate::control::{Decision, Mode, Reason};
use crate::resample::FRAME_48K;

/// What went over the wire, and what was heard, with the codec of every frame.
struct Call {
    heard: Vec<f32>,
    codecs: Vec<Option<Codec>>,
    played: Vec<Played>,
    packets: Vec<(usize, Packet)>,
    receiver: Receiver,
    sender: Sender,
}

/// Buffer of the tests' receivers.
const BUFFER_MS: u32 = 60;
/// What it and the codecs add to a signal: 60 ms and 12.5 ms.
const LATE: usize = 3 * FRAME_48K + 600;

/// Calls through a channel without loss, or with the loss that `lost` decides; `act` may interfere before each frame.
fn call(
    settings: Settings,
    samples: &[f32],
    mut act: impl FnMut(usize, &mut Sender),
    mut lost: impl FnMut(usize, &Packet) -> bool,
) -> Call {
    let model = model();
    let mut sender = Sender::new(&model, settings).unwrap();
    let mut receiver = Receiver::new(&model, BUFFER_MS).unwrap();
    let (mut heard, mut codecs, mut played, mut packets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut sequence = 65_000_u16;
    for (n, frame) in samples.as_chunks::<FRAME_48K>().0.iter().enumerate() {
        act(n, &mut sender);
        for packet in sender.push(frame, 20 * n as u64).unwrap() {
            sequence = sequence.wrapping_add(1);
            if !lost(n, &packet) {
                let timestamp = packet.timestamp.wrapping_add(u32::MAX - 50_000);
                receiver.insert(packet.codec, &packet.payload, timestamp, sequence).unwrap();
            }
            packets.push((n, packet));
        }
        let mut out = [0.0; FRAME_48K];
        played.push(receiver.pull(&mut out));
        codecs.push(receiver.codec());
        heard.extend(out);
    }
    Call { heard, codecs, played, packets, receiver, sender }
}

fn whole(samples: &[f32]) -> Call {
    call(Settings { dtx: false, ..lenient() }, samples, |_, _| {}, |_, _| false)
}

#[test]
fn both_codecs_are_equally_late() {
    let samples = voice(48_000.0, 4.0, 1);
    let aic = whole(&samples);
    assert_eq!(aic.codecs.last(), Some(&Some(Codec::Aic)));
    let settings = Settings { tandem: true, ..lenient() };
    let opus = call(settings, &samples, |_, _| {}, |_, _| false);
    assert_eq!(opus.codecs.last(), Some(&Some(Codec::Opus)));
    let range = LATE - 500..LATE + 500;
    let (a, o) = (lag(&samples, &aic.heard, range.clone()), lag(&samples, &opus.heard, range));
    println!("AIC {a}, Opus {o} samples late; 60 ms of buffer and 12.5 ms are {LATE}");
    assert!(a.abs_diff(LATE) <= 48 && o.abs_diff(LATE) <= 48, "AIC {a}, Opus {o}, {LATE} expected");
    assert_eq!(aic.receiver.stats().lost, 0);
    assert_eq!(aic.receiver.stats().aic_packets, 200);
}

/// An impulse through the resamplers and Opus alone: the delays the compensation rests on, to the sample.
#[test]
fn an_impulse_in_opus_is_as_late_as_calculated() {
    let mut samples = vec![0.0; 48_000];
    for n in 0..4 {
        samples[24_000 + n] = 0.8;
    }
    let heard = call(Settings { tandem: true, ..lenient() }, &samples, |_, _| {}, |_, _| false).heard;
    let peak = heard.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap().0;
    assert!(peak.abs_diff(24_001 + LATE) <= 4, "{peak}");
}

/// Largest jump from sample to sample, and power of the second difference, where clicks live.
fn roughness(samples: &[f32]) -> (f32, f32) {
    let jump = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    let sharp =
        samples.windows(3).map(|w| (w[2] - 2.0 * w[1] + w[0]).powi(2)).sum::<f32>() / samples.len() as f32;
    (jump, sharp)
}

/// Every change of codec in `call`, as the first sample of the frame that holds it.
fn changes(call: &Call) -> Vec<usize> {
    let pairs = call.codecs.windows(2).enumerate();
    pairs
        .filter(|(_, pair)| pair[0].is_some() && pair[0] != pair[1])
        .map(|(n, _)| (n + 1) * FRAME_48K)
        .collect()
}

/// Around each change nothing is rougher than in the steady signal.
fn assert_smooth(name: &str, said: &[f32], call: &Call, expected: usize) {
    let changes = changes(call);
    assert_eq!(changes.len(), expected, "{name}: changes at {changes:?}");
    let power = |samples: &[f32]| samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
    let loud = power(said);
    // What is steady: the same second of sound on either side, without the frames around the change.
    for at in changes {
        let around = &call.heard[at - FRAME_48K..at + 3 * FRAME_48K];
        let before = roughness(&call.heard[at - 30 * FRAME_48K..at - FRAME_48K]);
        let after = roughness(&call.heard[at + 3 * FRAME_48K..at + 30 * FRAME_48K]);
        let (jump, sharp) = roughness(around);
        println!("{name} at {at}: jump {jump:.4}, sharpness {sharp:.1e}; steady {before:?} {after:?}");
        assert!(
            jump <= 1.3 * before.0.max(after.0),
            "{name}: jump {jump} at {at}, steady {before:?} {after:?}"
        );
        assert!(
            sharp <= 3.0 * before.1.max(after.1),
            "{name}: sharpness {sharp} at {at}, {before:?} {after:?}"
        );
        for start in (at - FRAME_48K..at + 3 * FRAME_48K).step_by(FRAME_48K) {
            let (said, heard) =
                (power(&said[start - LATE..][..FRAME_48K]), power(&call.heard[start..][..FRAME_48K]));
            assert!(
                heard > 0.2 * said || said < 0.05 * loud,
                "{name}: a hole at {start}: {heard:.1e} of {said:.1e}"
            );
        }
    }
}

/// A sustained voice without pauses: the hardest case, since every step in it is heard.
fn vowel(seconds: f32) -> Vec<f32> {
    let mut phase = 0.0_f32;
    (0..(48_000.0 * seconds) as usize)
        .map(|n| {
            let t = n as f32 / 48_000.0;
            phase = (phase + (150.0 + 25.0 * (19.0 * t).sin()) / 48_000.0).fract();
            let sum: f32 = (1..25).map(|k| (std::f32::consts::TAU * phase * k as f32).sin() / k as f32).sum();
            0.15 * sum
        })
        .collect()
}

fn there_and_back(n: usize, sender: &mut Sender) {
    match n {
        80 => sender.block(Some(Reason::Disabled)),
        180 => sender.block(None),
        _ => {}
    }
}

#[test]
fn changing_the_codec_does_not_click() {
    let settings = Settings { dtx: false, ..lenient() };
    let mut cases = vec![("vowel".to_owned(), vowel(6.0)), ("voice".to_owned(), voice(48_000.0, 6.0, 3))];
    cases.extend(speech_clips(3).into_iter().map(|(name, clip)| {
        let mut up = crate::resample::Up::default();
        let speech: Vec<f32> =
            clip.as_chunks::<FRAME>().0.iter().flat_map(|frame| up.process(frame)).collect();
        (name, speech.into_iter().cycle().take(48_000 * 6).collect())
    }));
    for (name, samples) in cases {
        let call = call(settings, &samples, there_and_back, |_, _| false);
        assert_smooth(&name, &samples, &call, 2);
        assert!(call.played[3..].iter().all(|&p| p == Played::Coded), "{name}: no gap");
        let doubled: Vec<usize> =
            call.packets.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0).collect();
        let both: Vec<usize> = [80].into_iter().chain(180..190).collect();
        assert_eq!(doubled, both, "one frame in both codecs, ten on the way back");
        assert_eq!(call.packets[81].1.timestamp, call.packets[80].1.timestamp);
    }
}

#[test]
fn a_change_survives_the_loss_of_its_packets() {
    let samples = vowel(6.0);
    let settings = Settings { dtx: false, ..lenient() };
    for (name, codec) in
        [("AIC lost", Some(Codec::Aic)), ("Opus lost", Some(Codec::Opus)), ("both lost", None)]
    {
        let lost = |n: usize, packet: &Packet| {
            (n == 80 || n == 180) && codec.is_none_or(|codec| packet.codec == codec)
        };
        let call = call(settings, &samples, there_and_back, lost);
        let changes = changes(&call);
        assert_eq!(changes.len(), 2, "{name}");
        for at in changes {
            let steady = roughness(&call.heard[at - 40 * FRAME_48K..at - 3 * FRAME_48K]);
            let (jump, _) = roughness(&call.heard[at - 2 * FRAME_48K..at + 3 * FRAME_48K]);
            assert!(jump < 3.0 * steady.0, "{name}: jump {jump}, steady {steady:?}");
        }
    }
}

#[test]
fn long_opus_packets_and_bundles_change_places() {
    let samples = vowel(8.0);
    let act = |n: usize, sender: &mut Sender| {
        let report = Feedback { loss: 0.0, mean_burst: 1.0, available_bps: Some(20_000) };
        sender.feedback(20 * n as u64, report);
        match n {
            101 => sender.block(Some(Reason::Disabled)),
            201 => sender.block(None),
            _ => {}
        }
    };
    for (floor, frames) in [(crate::Rate::Mid, 3), (crate::Rate::High, 5)] {
        let settings = Settings { mode: Mode::Aggressive, floor, dtx: false, ..lenient() };
        let call = call(settings, &samples, act, |_, _| false);
        assert_smooth("bundles", &samples, &call, 2);
        assert!(call.packets.iter().any(|(_, packet)| packet.codec == Codec::Opus && packet.frames == 3));
        assert!(call.packets.iter().any(|(_, packet)| packet.codec == Codec::Aic && packet.frames == frames));
        assert!(call.played[10..].iter().all(|&p| p == Played::Coded));
    }
}

/// The reason of the first fallback, and whether AIC was back at the end.
fn provoked(
    settings: Settings,
    seconds: f32,
    mut act: impl FnMut(usize, &mut Sender),
) -> (Vec<Reason>, Codec) {
    let samples = voice(48_000.0, seconds, 5);
    let mut sender = Sender::new(&model(), settings).unwrap();
    for (n, frame) in samples.as_chunks::<FRAME_48K>().0.iter().enumerate() {
        act(n, &mut sender);
        let sent = sender.push(frame, 20 * n as u64).unwrap();
        // Where Opus saves, its packets are longer than a frame.
        let bundles =
            matches!(sender.state().decision, Decision::Opus { setting, .. } if setting.ptime_ms > 20);
        assert!(!sent.is_empty() || settings.dtx || bundles);
    }
    let reasons = Reason::ALL.into_iter().filter(|&reason| sender.count(reason) > 0).collect();
    let meta = sender.stats();
    assert_eq!(meta.frames, (seconds * 50.0) as u64);
    (reasons, if matches!(sender.state().decision, Decision::Aic { .. }) { Codec::Aic } else { Codec::Opus })
}

#[test]
fn every_reason_is_provoked_counted_and_left() {
    let settings = Settings { dtx: false, ..lenient() };
    for reason in [Reason::Disabled, Reason::ModelMismatch, Reason::Unavailable, Reason::Overload] {
        let act = |n: usize, sender: &mut Sender| match n {
            50 => sender.block(Some(reason)),
            100 => sender.block(None),
            _ => {}
        };
        assert_eq!(provoked(settings, 14.0, act), (vec![reason], Codec::Aic));
    }
    let strict = Settings { min_quality: 0.999, ..settings };
    let relax = |n: usize, sender: &mut Sender| {
        if n == 600 {
            sender.set(settings);
        }
    };
    // Five seconds of speech speak against AIC, ten for it; pauses say nothing, so both take longer.
    assert_eq!(provoked(strict, 12.0, relax), (vec![Reason::Quality], Codec::Opus));
    assert_eq!(provoked(strict, 35.0, relax), (vec![Reason::Quality], Codec::Aic));
    let slow = |n: usize, sender: &mut Sender| sender.took(20 * n as u64, if n < 150 { 40.0 } else { 2.0 });
    let limited = Settings { max_latency_ms: 30.0, ..settings };
    assert_eq!(provoked(limited, 4.0, slow), (vec![Reason::Latency], Codec::Opus));
    assert_eq!(provoked(limited, 22.0, slow), (vec![Reason::Latency], Codec::Aic));
}

#[test]
fn tones_go_through_opus_and_speech_comes_back_to_aic() {
    let mut samples = voice(48_000.0, 2.0, 1);
    samples.extend((0..96_000).map(|n| 0.2 * (std::f32::consts::TAU * 1_000.0 * n as f32 / 48_000.0).sin()));
    samples.extend(voice(48_000.0, 12.0, 2));
    let call = call(Settings { dtx: false, ..lenient() }, &samples, |_, _| {}, |_, _| false);
    let codec = |seconds: f32| call.codecs[(seconds * 50.0) as usize + 3].unwrap();
    assert_eq!(
        [codec(1.9), codec(3.0), codec(3.9), codec(15.8)],
        [Codec::Aic, Codec::Opus, Codec::Opus, Codec::Aic]
    );
    assert_eq!(call.sender.count(Reason::Content), 1);
    // The tone itself is heard as a tone.
    let tone = &call.heard[48_000 * 3..48_000 * 3 + 4_800];
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in tone.iter().enumerate() {
        let (sin, cos) = (std::f32::consts::TAU * n as f32 / 48.0).sin_cos();
        re += sample * cos;
        im += sample * sin;
    }
    let amplitude = 2.0 * (re * re + im * im).sqrt() / 4_800.0;
    assert!((amplitude - 0.2).abs() < 0.03, "{amplitude}");
}

#[test]
fn packets_carry_level_voice_and_meta() {
    let samples = voice(48_000.0, 3.0, 4);
    let call = call(Settings { dtx: false, ..lenient() }, &samples, there_and_back, |_, _| false);
    let metas: Vec<_> = call
        .packets
        .iter()
        .filter_map(|(n, packet)| Some((*n, crate::payload::meta::Meta::from_bytes(&packet.meta?).unwrap())))
        .collect();
    assert!((3..=4).contains(&metas.len()), "{metas:?}");
    let at_change = metas.iter().find(|(n, _)| *n == 80).unwrap().1;
    assert_eq!((at_change.rate, at_change.reason), (None, Some(Reason::Disabled)));
    assert!(call.packets.iter().any(|(_, packet)| packet.voice && packet.level < 40));
    let stats = call.sender.stats();
    assert_eq!((stats.aic_packets, stats.opus_packets), (81, 70));
    assert_eq!(stats.aic_bytes, 16 * 81);
}

#[test]
fn hostile_packets_are_refused_or_concealed() {
    let mut receiver = Receiver::new(&model(), 40).unwrap();
    let mut noise = Noise::new(77);
    let mut byte = || (noise.next() * 128.0) as i8 as u8;
    for n in 0..2_000_u16 {
        let payload: Vec<u8> = (0..byte()).map(|_| byte()).collect();
        let codec = if byte() < 128 { Codec::Aic } else { Codec::Opus };
        let timestamp = u32::from_le_bytes([byte(), byte(), byte() & 3, 0]);
        drop(receiver.insert(codec, &payload, timestamp, n));
        let mut out = [0.0; FRAME_48K];
        receiver.pull(&mut out);
        assert!(out.iter().all(|s| s.abs() <= 1.0));
    }
    assert!(receiver.stats().refused > 500);
}

#[test]
fn at_loss_opus_packets_repeat_the_one_before_and_nothing_else() {
    let samples = voice(48_000.0, 6.0, 9);
    let act = |n: usize, sender: &mut Sender| match n {
        50 => sender.feedback(1_000, Feedback { loss: 0.15, mean_burst: 1.0, available_bps: None }),
        100 => sender.block(Some(Reason::Disabled)),
        200 => sender.block(None),
        _ => {}
    };
    let sent = call(Settings { dtx: false, ..lenient() }, &samples, act, |_, _| false).packets;
    let mut before: Option<&Packet> = None;
    for (n, packet) in &sent {
        let expected = before.filter(|before| before.codec == Codec::Opus && packet.codec == Codec::Opus);
        let expected = expected.map(|before| Earlier {
            ticks_back: packet.timestamp.wrapping_sub(before.timestamp) as u16,
            payload: before.payload.clone(),
        });
        assert_eq!(packet.copy, expected, "frame {n}");
        before = Some(packet);
    }
    assert!(sent.iter().filter(|(_, packet)| packet.copy.is_some()).count() > 80);
}
