//! Signalling of all clients, on a thread of its own so that the media thread never waits.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol as proto;
use livekit_protocol::signal_request::Message as Request;
use livekit_protocol::signal_response::Message as Response;
use mio::Waker;
use prost::Message as _;
use tokio::runtime::Builder;
use tokio::sync::mpsc as tasks;
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const PING: Duration = Duration::from_secs(5);
/// Messages of one client that wait for its socket.
const QUEUE: usize = 64;

/// Something a client's server said, or that it is gone.
pub(super) type Heard = (usize, Result<Response, String>);

/// A client's way to its server.
pub(super) struct Line {
    outgoing: tasks::Sender<Request>,
}

impl Line {
    pub(super) fn send(&self, request: Request) {
        // A client whose server does not read is reported by its own task.
        let _ = self.outgoing.try_send(request);
    }
}

struct Dial {
    client: usize,
    url: String,
    outgoing: tasks::Receiver<Request>,
}

/// All lines. Dropping it hangs up.
pub(super) struct Signalling {
    dials: tasks::UnboundedSender<Dial>,
    heard: mpsc::Receiver<Heard>,
}

impl Signalling {
    pub(super) fn start(waker: Waker) -> anyhow::Result<Self> {
        let (dials, mut to_dial) = tasks::unbounded_channel::<Dial>();
        let (report, heard) = mpsc::channel();
        let waker = Arc::new(waker);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("signalling".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let mut lines = JoinSet::new();
                while let Some(dial) = to_dial.recv().await {
                    let (report, waker) = (report.clone(), Arc::clone(&waker));
                    lines.spawn(async move {
                        let client = dial.client;
                        let tell = |what| {
                            let _ = report.send((client, what));
                            let _ = waker.wake();
                        };
                        let ended = talk(dial, &tell).await;
                        tell(Err(ended.map_or_else(|error| format!("{error:#}"), |()| "hung up".to_owned())));
                    });
                    while lines.try_join_next().is_some() {}
                }
            });
        })?;
        Ok(Self { dials, heard })
    }

    /// Connects a client; what it hears arrives at [`Self::heard`].
    pub(super) fn dial(&self, client: usize, url: String) -> Line {
        let (outgoing, requests) = tasks::channel(QUEUE);
        let _ = self.dials.send(Dial { client, url, outgoing: requests });
        Line { outgoing }
    }

    pub(super) fn heard(&self) -> impl Iterator<Item = Heard> {
        self.heard.try_iter()
    }
}

async fn talk(mut dial: Dial, tell: &impl Fn(Result<Response, String>)) -> anyhow::Result<()> {
    let (mut socket, _) = connect_async(&dial.url).await.context("signalling")?;
    let mut ping = tokio::time::interval(PING);
    loop {
        let request = tokio::select! {
            message = socket.next() => {
                match message.context("the server hung up")?? {
                    Message::Binary(bytes) => {
                        if let Some(message) = proto::SignalResponse::decode(bytes)?.message {
                            tell(Ok(message));
                        }
                    }
                    Message::Close(_) => return Ok(()),
                    _ => {}
                }
                continue;
            }
            request = dial.outgoing.recv() => match request {
                Some(request) => request,
                None => {
                    let leave = Request::Leave(proto::LeaveRequest::default());
                    let leave = proto::SignalRequest { message: Some(leave) };
                    socket.send(Message::Binary(leave.encode_to_vec().into())).await?;
                    socket.close(None).await?;
                    return Ok(());
                }
            },
            _ = ping.tick() => Request::PingReq(proto::Ping::default()),
        };
        let request = proto::SignalRequest { message: Some(request) };
        socket.send(Message::Binary(request.encode_to_vec().into())).await?;
    }
}
