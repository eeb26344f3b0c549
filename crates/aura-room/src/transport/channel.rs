//! Data out: one task numbers reliable packets and writes them, and waits when the network is slow.
//!
//! Callers wait for the task's queue, never the session. While no channel is open packets wait in the queue.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use livekit_protocol as proto;
use livekit_protocol::data_packet::{Kind, Value};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use webrtc::data_channel::DataChannel;

use crate::engine::outbox::Outbox;
use crate::error::{Result, RoomError};

/// The ordered channel.
pub(crate) const RELIABLE: &str = "_reliable";
/// The unordered channel without retransmission.
pub(crate) const LOSSY: &str = "_lossy";
/// The unordered channel of data tracks.
pub(crate) const DATA_TRACK: &str = "_data_track";
/// Largest packet clients send, in bytes.
pub(crate) const MAX_PACKET_BYTES: usize = 64_000;
/// Packets that wait for the network.
const QUEUE: usize = 256;

/// A packet to send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) value: Value,
    pub(crate) reliable: bool,
    pub(crate) destinations: Vec<String>,
}

struct Queued {
    packet: Outgoing,
    written: oneshot::Sender<Result<()>>,
}

/// What the session tells the writer.
pub(crate) enum WriterControl {
    /// Both channels are open.
    Open { reliable: Arc<dyn DataChannel>, lossy: Arc<dyn DataChannel> },
    /// The same session goes on; the server has seen reliable packets up to this number.
    Resumed { last_seen: u32 },
    /// A new session begins, without channels yet.
    Restarted,
}

/// The callers' end.
#[derive(Debug, Clone)]
pub(crate) struct DataSender {
    queue: mpsc::Sender<Queued>,
}

impl DataSender {
    /// Waits until the packet was handed to the network.
    pub(crate) async fn send(&self, packet: Outgoing) -> Result<()> {
        let (written, done) = oneshot::channel();
        self.queue.send(Queued { packet, written }).await.map_err(|_| RoomError::Closed)?;
        done.await.map_err(|_| RoomError::Closed)?
    }
}

/// The writing task.
pub(crate) struct DataWriter {
    queue: mpsc::Receiver<Queued>,
    control: mpsc::Receiver<WriterControl>,
    outbox: Outbox,
    open: Option<(Arc<dyn DataChannel>, Arc<dyn DataChannel>)>,
}

impl DataWriter {
    pub(crate) fn new() -> (Self, DataSender, mpsc::Sender<WriterControl>) {
        let (queue, queued) = mpsc::channel(QUEUE);
        // Control is a handful of messages per connection.
        let (control, controlled) = mpsc::channel(16);
        let writer = Self { queue: queued, control: controlled, outbox: Outbox::default(), open: None };
        (writer, DataSender { queue }, control)
    }

    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                control = self.control.recv() => match control {
                    Some(control) => self.control(control).await,
                    None => return,
                },
                queued = self.queue.recv(), if self.open.is_some() => match queued {
                    Some(Queued { packet, written }) => {
                        let outcome = self.write(packet).await;
                        // Whoever stopped waiting does not care.
                        let _ = written.send(outcome);
                    }
                    None => return,
                },
            }
        }
    }

    async fn control(&mut self, control: WriterControl) {
        match control {
            WriterControl::Open { reliable, lossy } => self.open = Some((reliable, lossy)),
            WriterControl::Restarted => {
                self.open = None;
                self.outbox = Outbox::default();
            }
            WriterControl::Resumed { last_seen } => {
                let Some((reliable, _)) = &self.open else { return };
                for packet in self.outbox.unseen(last_seen) {
                    if reliable.send(BytesMut::from(&packet[..])).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn write(&mut self, packet: Outgoing) -> Result<()> {
        let Some((reliable, lossy)) = &self.open else { return Err(RoomError::Closed) };
        let kind = if packet.reliable { Kind::Reliable } else { Kind::Lossy };
        #[expect(deprecated, reason = "servers before protocol 12 read `kind`")]
        let mut packet = proto::DataPacket {
            kind: kind.into(),
            destination_identities: packet.destinations,
            value: Some(packet.value),
            ..Default::default()
        };
        let size = packet.encoded_len();
        if size > MAX_PACKET_BYTES {
            return Err(RoomError::TooLarge { size, limit: MAX_PACKET_BYTES });
        }
        if kind == Kind::Lossy {
            // A full buffer loses lossy packets; that is what they are for.
            let _ = lossy.try_send(BytesMut::from(&packet.encode_to_vec()[..])).await;
            return Ok(());
        }
        packet.sequence = self.outbox.next_sequence();
        let bytes = Bytes::from(packet.encode_to_vec());
        self.outbox.keep(packet.sequence, bytes.clone());
        if reliable.send(BytesMut::from(&bytes[..])).await.is_err() {
            // Kept: a resume sends it again. After a full reconnect it is lost, as the session it belonged to.
            tracing::debug!(sequence = packet.sequence, "reliable packet not handed over");
        }
        Ok(())
    }
}
