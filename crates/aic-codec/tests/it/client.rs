//! A calling service: generated clients with a token, and a stream that is easy to talk on.

use std::net::SocketAddr;
use std::time::Duration;

use aura_proto::aic::v1 as pb;
use aura_proto::aic::v1::aic_codec_client::AicCodecClient;
use aura_proto::aic::v1::aic_console_client::AicConsoleClient;
use aura_proto::aic::v1::stream_request::Message as Asked;
use aura_proto::aic::v1::stream_response::Message as Answer;
use aura_testkit::tokens;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::server::SECRET;

/// Longer than anything here takes on a busy machine; what waits for it has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Auth(Option<AsciiMetadataValue>);

impl Interceptor for Auth {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) codec: AicCodecClient<InterceptedService<Channel, Auth>>,
    pub(crate) console: AicConsoleClient<InterceptedService<Channel, Auth>>,
}

impl Client {
    pub(crate) async fn of(addr: SocketAddr, service: &str) -> Self {
        Self::with_token(addr, Some(&tokens::service(SECRET, service, 120))).await
    }

    pub(crate) async fn with_token(addr: SocketAddr, token: Option<&str>) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let auth = Auth(token.map(|token| format!("Bearer {token}").parse().unwrap()));
        Self {
            codec: AicCodecClient::with_interceptor(channel.clone(), auth.clone())
                .max_decoding_message_size(16 << 20),
            console: AicConsoleClient::with_interceptor(channel, auth),
        }
    }

    /// A transcoding stream, opened and answered.
    pub(crate) async fn open(&mut self, open: pb::StreamOpen) -> Result<Call, Status> {
        let mut call = self.connect().await?;
        call.ask(Asked::Open(open)).await;
        match call.answer().await? {
            Some(Answer::Opened(opened)) => call.opened = opened,
            other => panic!("not opened: {other:?}"),
        }
        Ok(call)
    }

    /// A transcoding stream on which nothing was said.
    pub(crate) async fn connect(&mut self) -> Result<Call, Status> {
        let (requests, receiver) = mpsc::channel(16);
        let answers = self.codec.transcode_stream(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Call { requests: Some(requests), answers, opened: pb::StreamOpened::default() })
    }
}

/// One side of a stream.
pub(crate) struct Call {
    requests: Option<mpsc::Sender<pb::StreamRequest>>,
    answers: Streaming<pb::StreamResponse>,
    pub(crate) opened: pb::StreamOpened,
}

/// Everything a stream said until it closed.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) packets: Vec<pb::Packet>,
    pub(crate) refused: Vec<pb::PacketRefused>,
    pub(crate) closed: Option<pb::StreamClosed>,
}

impl Heard {
    pub(crate) fn closed(&self) -> &pb::StreamClosed {
        self.closed.as_ref().expect("the stream was closed in order")
    }

    pub(crate) fn payloads(&self) -> Vec<&[u8]> {
        self.packets.iter().map(|packet| &packet.payload[..]).collect()
    }
}

impl Call {
    /// False when the other side is gone.
    pub(crate) async fn ask(&self, message: Asked) -> bool {
        let requests = self.requests.as_ref().expect("not half-closed");
        requests.send(pb::StreamRequest { message: Some(message) }).await.is_ok()
    }

    pub(crate) async fn answer(&mut self) -> Result<Option<Answer>, Status> {
        let answer = timeout(LIMIT, self.answers.message()).await.expect("an answer comes in time")?;
        Ok(answer.map(|answer| answer.message.expect("answers say something")))
    }

    pub(crate) fn half_close(&mut self) {
        self.requests = None;
    }

    /// Sends `packets` and half-closes, reading all the while; answers what was heard until the end.
    pub(crate) async fn finish(mut self, packets: &[pb::Packet]) -> Result<Heard, Status> {
        let requests = self.requests.take().expect("not half-closed");
        let send = async move {
            for packet in packets {
                let message = Some(Asked::Packet(packet.clone()));
                if requests.send(pb::StreamRequest { message }).await.is_err() {
                    break;
                }
            }
        };
        let (heard, ()) = tokio::join!(self.rest(), send);
        heard
    }

    /// What is said until the end.
    pub(crate) async fn rest(&mut self) -> Result<Heard, Status> {
        let mut heard = Heard::default();
        while let Some(answer) = self.answer().await? {
            match answer {
                Answer::Packet(packet) => heard.packets.push(packet),
                Answer::Refused(refused) => heard.refused.push(refused),
                Answer::Closed(closed) => heard.closed = Some(closed),
                Answer::Opened(_) => panic!("opened twice"),
            }
        }
        Ok(heard)
    }
}

pub(crate) fn format(codec: pb::Codec, hz: u32) -> pb::Format {
    pb::Format { codec: codec.into(), sample_rate_hz: hz, ..pb::Format::default() }
}

/// Opens from one codec to another; AIC is sent at its highest rate whatever it sounds like.
pub(crate) fn opening(input: pb::Format, output: pb::Format) -> pb::StreamOpen {
    pb::StreamOpen {
        room: "standup".to_owned(),
        track: "TR_1".to_owned(),
        direction: pb::Direction::Receive.into(),
        input: Some(input),
        output: Some(output),
        targets: Some(steady()),
        ..pb::StreamOpen::default()
    }
}

/// Targets that leave nothing to decide.
pub(crate) fn steady() -> pb::Targets {
    pb::Targets {
        mode: pb::Mode::Conservative.into(),
        enable_fallback: Some(false),
        ..pb::Targets::default()
    }
}

/// `pcm` in packets of 20 ms.
pub(crate) fn packets_of(pcm: &[u8], hz: u32) -> Vec<pb::Packet> {
    let bytes = hz as usize / 50 * 2;
    numbered(pcm.chunks_exact(bytes).map(<[u8]>::to_vec))
}

/// Payloads of 20 ms each as a stream's packets.
pub(crate) fn numbered(payloads: impl IntoIterator<Item = Vec<u8>>) -> Vec<pb::Packet> {
    payloads
        .into_iter()
        .enumerate()
        .map(|(index, payload)| pb::Packet {
            payload: payload.into(),
            rtp_timestamp: index as u32 * 960,
            sequence: index as u32,
            ..pb::Packet::default()
        })
        .collect()
}
