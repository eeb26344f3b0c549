//! The edge transcoder's streams: AIC of one track goes to the aic-codec service, Opus comes back.
//!
//! One gRPC stream per track and node, however many listen. A stream is opened when a shard asks and ends when the
//! shard drops its end, the service ends it, or it breaks; each end is reported to the shard exactly once, which decides
//! what follows. Packets the shard has no room for are dropped: it is never waited for with media in hand.

use std::convert::Infallible;
use std::time::Duration;

use aura_proto::aic::v1 as proto;
use aura_service::Lifecycle;
use aura_service::auth::service::ServiceKeys;
use aura_service::grpc::{Channel, Client, Tls};
use aura_service::resilience::BreakerConfig;
use aura_types::SharedClock;
use futures_util::stream::{self, StreamExt as _};
use proto::aic_codec_client::AicCodecClient;
use proto::stream_closed::Reason;
use proto::stream_request::Message as Request;
use proto::stream_response::Message as Response;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::shard::aic::{CodedPacket, OpenStream, StreamKey, Transcoded, TranscodedSender};

/// Streams the shards may ask for at once.
const OPENINGS: usize = 1_024;
/// How long opening a stream may take.
const OPEN_LIMIT: Duration = Duration::from_secs(2);
/// Rate of the Opus that listeners without AIC get.
const OPUS_BPS: u32 = 24_000;

/// Starts the task that opens streams; `None` when no service is configured.
pub(crate) fn start(
    config: &Config,
    lifecycle: &Lifecycle,
    clock: SharedClock,
) -> anyhow::Result<Option<mpsc::Sender<OpenStream>>> {
    if !config.aic.enabled || config.aic.grpc_url.is_empty() {
        return Ok(None);
    }
    let tls = config.grpc_tls.as_ref().map(Tls::load).transpose()?;
    let keys = ServiceKeys::new(&config.auth.service_secret)?;
    let channel = Client::new("webrtc-sfu", config.aic.grpc_url.as_str(), keys, clock)
        .tls(tls, "aic-codec")
        .timeout(OPEN_LIMIT)
        // Every stream has its own retries, and hears at once that the service is away.
        .breaker(BreakerConfig { failures: u32::MAX, ..BreakerConfig::default() })
        .connect_lazy()?;
    let (sender, openings) = mpsc::channel(OPENINGS);
    let model = config.aic.model.clone();
    let life = lifecycle.clone();
    lifecycle.spawn_critical("aic-transcoder", async move {
        accept(openings, channel, model, life).await;
        Ok::<_, Infallible>(())
    });
    Ok(Some(sender))
}

async fn accept(
    mut openings: mpsc::Receiver<OpenStream>,
    channel: Channel,
    model: String,
    lifecycle: Lifecycle,
) {
    let stop = lifecycle.soft();
    loop {
        let open = tokio::select! {
            () = stop.cancelled() => return,
            open = openings.recv() => match open {
                Some(open) => open,
                None => return,
            },
        };
        let (channel, model, stop) = (channel.clone(), model.clone(), stop.clone());
        lifecycle.spawn("aic-stream", async move {
            let (key, answers) = (open.key, open.answers.clone());
            let orderly = tokio::select! {
                () = stop.cancelled() => return,
                orderly = run(open, channel, model) => orderly,
            };
            answers.tell(Transcoded::Ended { key, orderly }).await;
        });
    }
}

/// Serves one stream. Returns whether it ended in order.
async fn run(open: OpenStream, channel: Channel, model: String) -> bool {
    let OpenStream { key, room, track, packets, answers } = open;
    let first = request(Request::Open(opening(room, track, model)));
    let packets = stream::unfold(packets, async |mut packets| {
        let packet: CodedPacket = packets.recv().await?;
        Some((request(Request::Packet(coded(packet))), packets))
    });
    let mut client = AicCodecClient::new(channel);
    let opening = client.transcode_stream(stream::once(async { first }).chain(packets));
    let mut responses = match tokio::time::timeout(OPEN_LIMIT, opening).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => {
            tracing::debug!(code = ?status.code(), "transcoder not opened: {}", status.message());
            return false;
        }
        Err(_) => return false,
    };
    let mut numbering = Numbering::default();
    loop {
        let response = match responses.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return false,
            Err(status) => {
                tracing::info!(code = ?status.code(), "transcoder stream broke: {}", status.message());
                return false;
            }
        };
        match response.message {
            Some(Response::Opened(_)) => answers.tell(Transcoded::Opened { key }).await,
            Some(Response::Packet(packet)) => answers.offer(numbering.answer(key, packet)),
            Some(Response::Refused(refused)) => {
                tracing::debug!(refused.sequence, refused.reason, "transcoder refused a packet");
            }
            Some(Response::Closed(closed)) => return matches!(closed.reason(), Reason::Idle | Reason::Ended),
            None => {}
        }
    }
}

fn request(message: Request) -> proto::StreamRequest {
    proto::StreamRequest { message: Some(message) }
}

fn opening(room: String, track: String, model: String) -> proto::StreamOpen {
    proto::StreamOpen {
        room,
        track,
        direction: proto::Direction::Receive.into(),
        input: Some(proto::Format { codec: proto::Codec::Aic.into(), ..Default::default() }),
        output: Some(proto::Format {
            codec: proto::Codec::Opus.into(),
            bitrate_bps: OPUS_BPS,
            packet_ms: 20,
            ..Default::default()
        }),
        model,
        ..Default::default()
    }
}

fn coded(packet: CodedPacket) -> proto::Packet {
    proto::Packet {
        payload: packet.payload,
        rtp_timestamp: packet.timestamp,
        sequence: packet.sequence.into(),
        codec: proto::Codec::Aic.into(),
        meta: None,
    }
}

/// Extends the stream's 16-bit sequence numbers, as forwarding wants them.
#[derive(Debug, Default)]
struct Numbering {
    last: Option<u64>,
}

impl Numbering {
    fn answer(&mut self, key: StreamKey, packet: proto::Packet) -> Transcoded {
        let sequence = self.extend(packet.sequence as u16);
        Transcoded::Packet {
            key,
            payload: packet.payload[..].into(),
            timestamp: packet.rtp_timestamp,
            sequence,
        }
    }

    fn extend(&mut self, sequence: u16) -> u64 {
        let extended = match self.last {
            // Starts above zero, so that an early packet does not fall below it.
            None => u64::from(sequence) + (1 << 16),
            Some(last) => {
                let step = sequence.wrapping_sub(last as u16).cast_signed();
                last.saturating_add_signed(i64::from(step))
            }
        };
        self.last = Some(self.last.map_or(extended, |last| last.max(extended)));
        extended
    }
}

impl TranscodedSender {
    /// News of the stream, which must arrive.
    async fn tell(&self, news: Transcoded) {
        if self.queue.send(news).await.is_ok() {
            self.wake.wake();
        }
    }

    /// Media, which may be dropped.
    fn offer(&self, packet: Transcoded) {
        if self.queue.try_send(packet).is_ok() {
            self.wake.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_go_on_over_the_wrap_and_back_a_little() {
        let mut numbering = Numbering::default();
        let extended: Vec<_> = [65_534, 65_535, 0, 2, 1, 3].map(|n| numbering.extend(n)).to_vec();
        let first = extended[0];
        let steps: Vec<_> = extended.iter().map(|n| n - first).collect();
        assert_eq!(steps, [0, 1, 2, 4, 3, 5]);
    }
}
