//! A running SFU and a minimal signalling client.

use std::net::SocketAddr;
use std::time::Duration;

use aura_service::Lifecycle;
use aura_service::config::Loader;
use aura_testkit::{RedisServer, free_port, free_udp_port, tokens};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as proto;
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub(crate) const KEY: &str = "APItesttesttest";
pub(crate) const SECRET: &str = "a-secret-only-tests-use-0123456789abcdef";
pub(crate) const SERVICE_SECRET: &str = "a-service-secret-only-tests-use-0123456789";
/// Nothing a test waits for takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Sfu {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    lifecycle: Lifecycle,
}

impl Sfu {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(more: &[(&str, &str)]) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let [http, grpc, admin, tcp] = [(); 4].map(|()| local(free_port()));
        let udp = local(free_udp_port());
        let mut env = vec![
            ("AURALINK_ENV", "development".to_owned()),
            ("REDIS_URL", RedisServer::shared().url().to_owned()),
            ("LIVEKIT_KEYS", format!("{KEY}: {SECRET}")),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURA_SFU__HTTP_ADDR", http.to_string()),
            ("AURA_SFU__GRPC_ADDR", grpc.to_string()),
            ("AURA_SFU__ADMIN_ADDR", admin.to_string()),
            ("AURA_SFU__RTC__UDP_PORT", udp.port().to_string()),
            ("AURA_SFU__RTC__TCP_PORT", tcp.port().to_string()),
            ("AURA_SFU__RTC__NODE_IPS", "127.0.0.1".to_owned()),
            ("AURA_SFU__RTC__SHARDS", "1".to_owned()),
        ];
        env.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let config = Loader::new("AURA_SFU", webrtc_sfu::DEFAULT_CONFIG).env(env).load().unwrap();
        let lifecycle = Lifecycle::new(Duration::from_secs(5));
        webrtc_sfu::run(config, lifecycle.clone()).await.unwrap();
        let waiting = lifecycle.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "stands for the process's main, which waits outside the lifecycle"
        )]
        tokio::spawn(async move { waiting.wait().await });
        Self { http, grpc, udp, tcp, lifecycle }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// Connects by the older path; the first message has not been read.
    pub(crate) async fn connect(&self, token: &str) -> Result<Client, tungstenite::Error> {
        self.open(&format!("/rtc?access_token={token}&protocol=16&sdk=rust")).await
    }

    /// Connects to any path.
    pub(crate) async fn open(&self, path: &str) -> Result<Client, tungstenite::Error> {
        self.open_with(path, &[]).await
    }

    pub(crate) async fn open_with(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Client, tungstenite::Error> {
        let mut request = format!("ws://{}{path}", self.http).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Client { socket })
    }

    /// Joins and returns the join response.
    pub(crate) async fn join(&self, room: &str, identity: &str) -> (Client, proto::JoinResponse) {
        let mut client = self.connect(&join_token(room, identity)).await.unwrap();
        let Some(proto::signal_response::Message::Join(join)) = client.next().await else {
            panic!("the first message is join");
        };
        (client, join)
    }

    /// Calls RoomService by Twirp JSON.
    pub(crate) async fn twirp(
        &self,
        method: &str,
        token: &str,
        body: serde_json::Value,
    ) -> (u16, serde_json::Value) {
        let reply = reqwest::Client::new()
            .post(self.url(&format!("/twirp/livekit.RoomService/{method}")))
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
    }
}

impl Drop for Sfu {
    fn drop(&mut self) {
        self.lifecycle.shutdown("test over");
    }
}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    /// The next signalling message; `None` when the server closed.
    pub(crate) async fn next(&mut self) -> Option<proto::signal_response::Message> {
        loop {
            let frame =
                tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a message in time")?;
            if let Message::Binary(bytes) = frame.ok()? {
                return proto::SignalResponse::decode(bytes).unwrap().message;
            }
        }
    }

    /// Reads on until `wanted` says yes.
    pub(crate) async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(proto::signal_response::Message) -> Option<T>,
    ) -> T {
        loop {
            let message = self.next().await.expect("the server closed while something was awaited");
            if let Some(found) = wanted(message) {
                return found;
            }
        }
    }

    pub(crate) async fn send(&mut self, message: proto::signal_request::Message) {
        assert!(self.try_send(message).await, "the server takes messages");
    }

    /// False when the server hung up meanwhile.
    pub(crate) async fn try_send(&mut self, message: proto::signal_request::Message) -> bool {
        let request = proto::SignalRequest { message: Some(message) };
        self.socket.send(Message::Binary(request.encode_to_vec().into())).await.is_ok()
    }

    /// The close code the server ends with.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("closed in time")?;
            match frame {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

/// The next answer to a request.
pub(crate) async fn request_response(client: &mut Client) -> proto::RequestResponse {
    client
        .until(|message| match message {
            proto::signal_response::Message::RequestResponse(response) => Some(response),
            _ => None,
        })
        .await
}

pub(crate) fn join_token(room: &str, identity: &str) -> String {
    tokens::join(KEY, SECRET, room, identity)
}

/// A token for the server API with these grants.
pub(crate) fn api_token(grants: serde_json::Value) -> String {
    tokens::livekit(KEY, SECRET, json!({ "video": grants }))
}
