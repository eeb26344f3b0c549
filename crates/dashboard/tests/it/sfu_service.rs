//! The real SFU as a process, with a Redis of its own: its events reach no dashboard, as if the bus had lost them all.

use crate::stack::{LIVEKIT_SECRET, Options, SERVICE_SECRET, Stack};
use aura_testkit::{Launch, Process, RedisServer, Scratch, binary, free_port, free_tcp_port, tokens};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const READY: Duration = Duration::from_secs(60);

/// Ends with the value.
pub(crate) struct SfuService {
    _process: Process,
    _redis: RedisServer,
    _folder: Scratch,
    http: u16,
    pub(crate) grpc: u16,
    admin: u16,
}

impl SfuService {
    pub(crate) async fn start() -> Self {
        let redis = RedisServer::start();
        let [http, grpc, admin, tcp] = [(); 4].map(|()| free_tcp_port());
        let launch = Launch::new("webrtc-sfu", binary("webrtc-sfu")).envs([
            ("AURALINK_ENV", "development".to_owned()),
            ("LOG_FORMAT", "text".to_owned()),
            ("REDIS_URL", redis.url().to_owned()),
            ("LIVEKIT_KEYS", format!("key: {LIVEKIT_SECRET}")),
            ("AURALINK_SERVICE_SECRET", SERVICE_SECRET.to_owned()),
            ("AURA_SFU__HTTP_ADDR", format!("127.0.0.1:{http}")),
            ("AURA_SFU__GRPC_ADDR", format!("127.0.0.1:{grpc}")),
            ("AURA_SFU__ADMIN_ADDR", format!("127.0.0.1:{admin}")),
            ("AURA_SFU__RTC__UDP_PORT", free_port().to_string()),
            ("AURA_SFU__RTC__TCP_PORT", tcp.to_string()),
            ("AURA_SFU__RTC__NODE_IPS", "127.0.0.1".to_owned()),
            ("AURA_SFU__RTC__SHARDS", "1".to_owned()),
        ]);
        let folder = Scratch::new("sfu");
        let mut process = launch.spawn(folder.path().join("log")).expect("the SFU can be started");
        let url = format!("http://127.0.0.1:{admin}/ready");
        let answer = || async { reqwest::get(&url).await.is_ok_and(|reply| reply.status().is_success()) };
        if let Err(error) = process.ready(READY, answer).await {
            panic!("{error}\n{}", process.log_tail(40));
        }
        Self { _process: process, _redis: redis, _folder: folder, http, grpc, admin }
    }

    /// A dashboard beside it that asks often.
    pub(crate) async fn stack(&self) -> Stack {
        self.stack_with(Options::default().set("AURA_DASHBOARD__CALLS__RECONCILE_S", 1)).await
    }

    /// A dashboard beside it.
    pub(crate) async fn stack_with(&self, options: Options) -> Stack {
        let url = format!("http://127.0.0.1:{}", self.grpc);
        Stack::with(options.set("AURA_DASHBOARD__SFU__GRPC_URL", url)).await
    }

    /// The live room of this name, as the SFU shows it.
    pub(crate) async fn room(&self, name: &str) -> Option<Value> {
        let token = tokens::livekit("key", LIVEKIT_SECRET, json!({"video": {"roomList": true}}));
        let url = format!("http://127.0.0.1:{}/twirp/livekit.RoomService/ListRooms", self.http);
        let request = reqwest::Client::new().post(url).bearer_auth(token).json(&json!({"names": [name]}));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["rooms"].as_array().and_then(|rooms| rooms.first()).cloned()
    }

    /// Somebody who enters with this token, and stays while the value lives.
    pub(crate) async fn enter(&self, token: &Value) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        self.try_enter(token).await.expect("the token lets in")
    }

    pub(crate) async fn try_enter(
        &self,
        token: &Value,
    ) -> Option<WebSocketStream<MaybeTlsStream<TcpStream>>> {
        let token = token.as_str().unwrap();
        let url =
            format!("ws://127.0.0.1:{}/rtc?access_token={token}&protocol=16&auto_subscribe=1", self.http);
        connect_async(url).await.ok().map(|(socket, _)| socket)
    }

    pub(crate) async fn metrics(&self) -> String {
        reqwest::get(format!("http://127.0.0.1:{}/metrics", self.admin)).await.unwrap().text().await.unwrap()
    }
}
