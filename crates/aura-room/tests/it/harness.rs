//! A server to talk to, tokens for it, and waiting for events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aura_room::{EventStream, LocalTrack, Room, RoomEvent, RoomOptions, SignalMode};
use aura_testkit::{Launch, Process, RedisServer, Scratch, binary, free_port, free_udp_port, tokens};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Nothing here takes longer on a machine that works.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    url: String,
    key: String,
    secret: String,
    /// Ours, until the test ends.
    own: Option<Own>,
}

struct Own {
    launch: Launch,
    process: Process,
    http: u16,
    scratch: Scratch,
}

impl Own {
    async fn start(launch: Launch, http: u16) -> Self {
        let scratch = Scratch::new("sfu");
        let process = launch.clone().spawn(scratch.path().join("log")).expect("the server starts");
        let mut own = Self { launch, process, http, scratch };
        own.wait_until_ready().await;
        own
    }

    async fn wait_until_ready(&mut self) {
        let http = self.http;
        let answers = || async move { tokio::net::TcpStream::connect(("127.0.0.1", http)).await.is_ok() };
        self.process.ready(LIMIT, answers).await.expect("the server is ready");
    }
}

pub(crate) async fn server() -> Server {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
    let given = |name: &str| std::env::var(name).ok();
    let key = given("AURA_ROOM_TEST_KEY").unwrap_or_else(|| "devkey".to_owned());
    let secret = given("AURA_ROOM_TEST_SECRET").unwrap_or_else(|| "secret".to_owned());
    if let Some(url) = given("AURA_ROOM_TEST_URL") {
        return Server { url, key, secret, own: None };
    }
    let http = free_port();
    let loopback = |port: u16| format!("127.0.0.1:{port}");
    let env = [
        ("AURALINK_ENV", "development".to_owned()),
        ("REDIS_URL", RedisServer::shared().url().to_owned()),
        ("LIVEKIT_KEYS", format!("{key}: {secret}")),
        ("AURALINK_SERVICE_SECRET", "a service secret of these tests, long enough".to_owned()),
        ("AURA_SFU__HTTP_ADDR", loopback(http)),
        ("AURA_SFU__GRPC_ADDR", loopback(free_port())),
        ("AURA_SFU__ADMIN_ADDR", loopback(free_port())),
        ("AURA_SFU__RTC__UDP_PORT", free_udp_port().to_string()),
        ("AURA_SFU__RTC__TCP_PORT", free_port().to_string()),
        // One UDP port: a second one could have the number of the TCP port, and the ICE agent of `webrtc` 0.21 takes
        // candidates of equal address for one another, whatever their protocol.
        ("AURA_SFU__RTC__SHARDS", "1".to_owned()),
        ("AURA_SFU__RTC__NODE_IPS", "127.0.0.1".to_owned()),
        ("AURA_SFU__RTC__ENABLE_LOOPBACK_CANDIDATE", "true".to_owned()),
    ];
    let launch = Launch::new("webrtc-sfu", binary("webrtc-sfu")).envs(env);
    let own = Own::start(launch, http).await;
    Server { url: format!("ws://127.0.0.1:{http}"), key, secret, own: Some(own) }
}

/// Options for either mode; every scenario runs in both.
pub(crate) fn options(mode: SignalMode) -> RoomOptions {
    RoomOptions { mode, ..RoomOptions::default() }
}

/// A room name nobody else uses.
pub(crate) fn room_name(test: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    /// Kills the server and brings it back; false when it is not ours.
    pub(crate) async fn crash_and_return(&mut self) -> bool {
        let Some(own) = &mut self.own else { return false };
        own.process.kill().await;
        own.process = own.launch.clone().spawn(own.scratch.path().join("log")).expect("the server starts");
        own.wait_until_ready().await;
        true
    }

    pub(crate) fn token(&self, room: &str, identity: &str, video: Value) -> String {
        let mut grants = json!({"room": room, "roomJoin": true, "canUpdateOwnMetadata": true});
        if let (Some(grants), Some(video)) = (grants.as_object_mut(), video.as_object()) {
            grants.extend(video.clone());
        }
        let claims = json!({"sub": identity, "name": identity.to_uppercase(), "video": grants});
        tokens::livekit(&self.key, &self.secret, claims)
    }

    pub(crate) async fn join(&self, room: &str, identity: &str, options: RoomOptions) -> (Room, Events) {
        let token = self.token(room, identity, json!({}));
        let (room, stream) = Room::connect(&self.url, &token, options).await.expect("joined");
        (room, Events { stream, who: identity.to_owned() })
    }

    /// Joins with a token of the test's own making, without watching events.
    pub(crate) async fn join_as(&self, token: &str, options: RoomOptions) -> Room {
        Room::connect(&self.url, token, options).await.expect("joined").0
    }

    pub(crate) async fn try_join(&self, token: &str) -> Result<(), aura_room::RoomError> {
        Room::connect(&self.url, token, RoomOptions::default()).await.map(|_| ())
    }
}

pub(crate) struct Events {
    stream: EventStream,
    who: String,
}

impl Events {
    /// The first event `pick` wants; others are passed over.
    pub(crate) async fn expect<T>(&mut self, what: &str, mut pick: impl FnMut(RoomEvent) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(LIMIT, async {
            while let Some(event) = self.stream.next().await {
                seen.push(format!("{event:?}").chars().take(60).collect::<String>());
                if let Some(found) = pick(event) {
                    return Some(found);
                }
            }
            None
        });
        match found.await {
            Ok(Some(found)) => found,
            Ok(None) => panic!("{}: room over while waiting for {what}; saw {seen:#?}", self.who),
            Err(_) => panic!("{}: waited in vain for {what}; saw {seen:#?}", self.who),
        }
    }
}

/// Waits for `future`, within reason.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Writes audio every 20 ms until dropped. Every frame says which one it is.
pub(crate) fn speak(track: &LocalTrack) -> Playing {
    play(track.clone(), Duration::from_millis(20), |number| frame(b'a', number, 40))
}

/// Writes 25 VP8 frames a second until dropped; a keyframe first and whenever one is wanted.
pub(crate) fn film(track: &LocalTrack) -> Playing {
    let wanted = track.clone();
    let track = track.clone();
    let (progress, written) = watch::channel(0);
    let task = background(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(40));
        let mut key = true;
        for number in 0.. {
            tokio::select! {
                _ = tick.tick() => {}
                () = wanted.keyframe_wanted() => { key = true; tick.tick().await; }
            }
            let mut data = vec![0; if key { 6_000 } else { 1_500 }];
            data[0] = u8::from(!key);
            data[1..9].copy_from_slice(&u64::to_be_bytes(number));
            let written = track.write(data.into(), Duration::from_millis(40)).await.expect("a frame");
            if written == aura_room::Written::Sent {
                key = false;
            }
            progress.send_replace(number);
        }
    });
    Playing { _task: task, written }
}

fn play(track: LocalTrack, pace: Duration, frame: impl Fn(u64) -> Bytes + Send + 'static) -> Playing {
    let (progress, written) = watch::channel(0);
    let task = background(async move {
        let mut tick = tokio::time::interval(pace);
        for number in 0.. {
            tick.tick().await;
            track.write_audio(frame(number), pace, 10, true).await.expect("a frame");
            progress.send_replace(number);
        }
    });
    Playing { _task: task, written }
}

/// `kind`, the number, and padding.
fn frame(kind: u8, number: u64, size: usize) -> Bytes {
    let mut data = vec![kind; size];
    data[1..9].copy_from_slice(&number.to_be_bytes());
    data.into()
}

/// The number inside a frame.
pub(crate) fn number(frame: &aura_room::Frame) -> u64 {
    u64::from_be_bytes(frame.data[1..9].try_into().expect("eight bytes"))
}

/// A task that ends with the test.
pub(crate) struct Playing {
    _task: Background,
    written: watch::Receiver<u64>,
}

impl Playing {
    /// Waits until some more frames were written.
    pub(crate) async fn some_more(&mut self) {
        let now = *self.written.borrow();
        soon("writing", self.written.wait_for(|written| *written >= now + 5)).await.expect("still playing");
    }
}

/// A task that ends with the value.
pub(crate) struct Background(tokio::task::JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn background(task: impl Future<Output = ()> + Send + 'static) -> Background {
    #[expect(clippy::disallowed_methods, reason = "a test's task ends with the test")]
    Background(tokio::spawn(task))
}

/// Runs a scenario in both modes.
#[macro_export]
macro_rules! in_both_modes {
    ($($name:ident),+ $(,)?) => {
        $(
            mod $name {
                #[tokio::test(flavor = "multi_thread")]
                async fn dual() {
                    super::scenario::$name(aura_room::SignalMode::Dual).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                async fn single() {
                    super::scenario::$name(aura_room::SignalMode::Single).await;
                }
            }
        )+
    };
}
