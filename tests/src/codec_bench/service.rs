//! The codec service under load: the time from sending a 20 ms packet of samples to having its AIC packet back, over
//! gRPC on this machine, with several streams that each send in real time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::aic_codec_client::AicCodecClient;
use aura_proto::aic::v1::stream_request::Message as Asked;
use aura_proto::aic::v1::stream_response::Message as Answer;
use aura_types::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::transport::Channel;

use super::latency::Spread;

/// Samples of a packet at 16 kHz.
const FRAME: usize = 320;
const PERIOD: Duration = Duration::from_millis(20);

/// What came back of the packets of all streams.
pub struct Load {
    /// Round trips of the packets that were answered.
    pub times: Spread,
    /// Packets sent, after the first second of each stream.
    pub sent: usize,
    /// Of those, answered with AIC; silence is not sent, and what falls back to Opus is not AIC.
    pub answered: usize,
}

/// `streams` streams of `samples` (16 kHz) for `seconds` each, against the service at `url`; `token` is a service's.
///
/// # Errors
/// When the service refuses.
pub async fn load(
    url: &str,
    token: &str,
    samples: &[f32],
    streams: usize,
    seconds: usize,
) -> anyhow::Result<Load> {
    let channel = Channel::from_shared(url.to_owned())?.connect().await?;
    let pcm: Arc<Vec<Vec<u8>>> = Arc::new(
        samples
            .as_chunks::<FRAME>()
            .0
            .iter()
            .map(|frame| frame.iter().flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes()).collect())
            .collect(),
    );
    let mut running = JoinSet::new();
    for number in 0..streams {
        let stream = one(channel.clone(), token.to_owned(), Arc::clone(&pcm), number, streams, seconds * 50);
        running.spawn(stream);
    }
    let (mut times, mut sent, mut answered) = (Vec::new(), 0, 0);
    while let Some(done) = running.join_next().await {
        let (some, count) = done??;
        sent += count;
        answered += some.len();
        times.extend(some);
    }
    ensure!(answered > 0, "the service answered nothing with AIC");
    Ok(Load { times: Spread::of(times), sent, answered })
}

async fn one(
    channel: Channel,
    token: String,
    pcm: Arc<Vec<Vec<u8>>>,
    number: usize,
    streams: usize,
    packets: usize,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let clock = SystemClock;
    let (requests, receiver) = mpsc::channel(16);
    let format = |codec: pb::Codec, rate| pb::Format {
        codec: codec.into(),
        sample_rate_hz: rate,
        ..Default::default()
    };
    // Nothing but the codec is measured: no quality below which it would stop, no budget that would end it.
    let targets = pb::Targets {
        mode: pb::Mode::Conservative.into(),
        max_latency_ms: 1_000,
        min_quality_score: 0.0,
        enable_fallback: Some(false),
        ..Default::default()
    };
    let open = pb::StreamOpen {
        room: "bench".into(),
        track: format!("track-{number}"),
        direction: pb::Direction::Send.into(),
        input: Some(format(pb::Codec::Pcm, 16_000)),
        output: Some(format(pb::Codec::Aic, 0)),
        targets: Some(targets),
        ..Default::default()
    };
    requests.send(pb::StreamRequest { message: Some(Asked::Open(open)) }).await?;
    let mut request = Request::new(ReceiverStream::new(receiver));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let mut answers = AicCodecClient::new(channel).compress_stream(request).await?.into_inner();
    let opened = answers.message().await?.and_then(|answer| answer.message).context("an answer")?;
    ensure!(matches!(opened, Answer::Opened(_)), "not opened: {opened:?}");

    let pending: Arc<Mutex<HashMap<u32, Instant>>> = Arc::default();
    let waiting = Arc::clone(&pending);
    let sender = async move {
        // Streams of real people do not tick together.
        tokio::time::sleep(PERIOD * number as u32 / streams as u32).await;
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 0..packets {
            tick.tick().await;
            let timestamp = n as u32 * 960;
            if n >= 50 {
                waiting.lock().expect("nobody panics with it").insert(timestamp, clock.monotonic());
            }
            let packet = pb::Packet {
                payload: pcm[(n + number * 17) % pcm.len()].clone().into(),
                rtp_timestamp: timestamp,
                sequence: n as u32 % 65_536,
                ..Default::default()
            };
            requests.send(pb::StreamRequest { message: Some(Asked::Packet(packet)) }).await?;
        }
        drop(requests);
        anyhow::Ok(packets.saturating_sub(50))
    };
    let receiver = async move {
        let clock = SystemClock;
        let mut times = Vec::new();
        while let Some(answer) = answers.message().await? {
            let Some(Answer::Packet(packet)) = answer.message else { continue };
            let now = clock.monotonic();
            if let Some(at) = pending.lock().expect("nobody panics with it").remove(&packet.rtp_timestamp) {
                times.push(now.saturating_duration_since(at));
            }
        }
        anyhow::Ok(times)
    };
    let (count, times) = tokio::try_join!(sender, receiver)?;
    Ok((times, count))
}
