//! What waits for one participant's signalling connection: bounded in messages and in bytes.
//!
//! A message is encoded once, however many it goes to; queues hold references to it. Whoever does not read is found out
//! by what waits, and cut off: nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use livekit_protocol as proto;
use prost::Message as _;
use tokio::sync::mpsc;

use super::command::TokenFacts;

/// Messages that may wait. A burst of joins in a full room is a few hundred.
const MAX_MESSAGES: usize = 1_024;
/// Bytes that may wait before one more message is too many.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A message to a participant's signalling connection.
#[derive(Debug)]
pub(crate) enum Outbound {
    /// An encoded `SignalResponse`.
    Message(Bytes),
    /// The next refreshed token must say this.
    Token(Box<TokenFacts>),
    /// Nothing more will come: close.
    Close,
}

impl Outbound {
    pub(crate) fn message(message: proto::signal_response::Message) -> Self {
        Self::Message(encode(message))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Message(bytes) => bytes.len(),
            Self::Token(facts) => facts.bytes(),
            Self::Close => 0,
        }
    }
}

/// A message as it goes over the wire.
pub(crate) fn encode(message: proto::signal_response::Message) -> Bytes {
    proto::SignalResponse { message: Some(message) }.encode_to_vec().into()
}

/// The client reads too slowly, or is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind;

/// Where the shard puts messages.
#[derive(Debug, Clone)]
pub(crate) struct SignalSender {
    queue: mpsc::Sender<Outbound>,
    waiting: Arc<AtomicUsize>,
}

/// Where the connection takes them from.
#[derive(Debug)]
pub(crate) struct SignalReceiver {
    queue: mpsc::Receiver<Outbound>,
    waiting: Arc<AtomicUsize>,
}

/// A queue for one connection.
pub(crate) fn signal_queue() -> (SignalSender, SignalReceiver) {
    let (sender, receiver) = mpsc::channel(MAX_MESSAGES);
    let waiting = Arc::new(AtomicUsize::new(0));
    (
        SignalSender { queue: sender, waiting: Arc::clone(&waiting) },
        SignalReceiver { queue: receiver, waiting },
    )
}

impl SignalSender {
    pub(crate) fn send(&self, message: Outbound) -> Result<(), Behind> {
        let bytes = message.bytes();
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // Whatever its size, one message always fits in front of nothing: a join to a large room is one.
        if waiting > MAX_BYTES || self.queue.try_send(message).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Behind);
        }
        Ok(())
    }
}

impl SignalReceiver {
    /// The next message; `None` when the shard has let go of the connection.
    pub(crate) async fn recv(&mut self) -> Option<Outbound> {
        let message = self.queue.recv().await?;
        self.waiting.fetch_sub(message.bytes(), Ordering::Relaxed);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_freed_by_reading() {
        let (sender, mut receiver) = signal_queue();
        let large = Bytes::from(vec![0; 512 * 1024]);
        let waiting =
            (0..MAX_MESSAGES).take_while(|_| sender.send(Outbound::Message(large.clone())).is_ok()).count();
        assert_eq!(waiting, 17, "eight mebibytes and one more message");
        assert_eq!(sender.send(Outbound::Message(Bytes::from_static(b"x"))), Err(Behind));
        assert!(receiver.recv().await.is_some());
        assert_eq!(sender.send(Outbound::Message(Bytes::from_static(b"x"))), Ok(()));
    }

    #[tokio::test]
    async fn small_messages_are_bounded_in_number_and_a_large_one_fits_in_front_of_nothing() {
        let (sender, _receiver) = signal_queue();
        let small = Bytes::from_static(b"x");
        let waiting =
            (0..2 * MAX_MESSAGES).take_while(|_| sender.send(Outbound::Message(small.clone())).is_ok());
        assert_eq!(waiting.count(), MAX_MESSAGES);
        let (sender, _receiver) = signal_queue();
        assert_eq!(sender.send(Outbound::Message(vec![0; 4 * MAX_BYTES].into())), Ok(()));
        assert_eq!(sender.send(Outbound::Message(small)), Err(Behind));
    }
}
