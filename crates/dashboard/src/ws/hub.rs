//! Who listens: the open sockets of each user on this instance.
//!
//! `push` never waits. The lock is held for a map lookup only.

use aura_types::UserId;
use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages a slow reader may be behind.
const QUEUE: usize = 64;
/// Sockets of one user; the oldest is closed for the newest.
const SOCKETS_PER_USER: usize = 10;

/// A message, serialized once for everyone.
#[derive(Debug, Clone)]
pub(crate) struct Push(Utf8Bytes);

impl Push {
    pub(crate) fn new(kind: &str, data: &impl Serialize, now: OffsetDateTime) -> Self {
        #[derive(Serialize)]
        struct Envelope<'a, T> {
            r#type: &'a str,
            data: &'a T,
            timestamp: i64,
        }
        let timestamp = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let text =
            serde_json::to_string(&Envelope { r#type: kind, data, timestamp }).expect("models serialize");
        Self(text.into())
    }

    pub(crate) fn into_text(self) -> Utf8Bytes {
        self.0
    }
}

#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    sockets: HashMap<UserId, Vec<Socket>>,
}

struct Socket {
    number: u64,
    queue: mpsc::Sender<Push>,
    closed: CancellationToken,
}

/// One socket's place in the hub; dropping it leaves.
pub(crate) struct Subscription {
    hub: Hub,
    user: UserId,
    number: u64,
    pub(crate) queue: mpsc::Receiver<Push>,
    /// The hub gave up on this socket.
    pub(crate) closed: CancellationToken,
}

impl Hub {
    pub(crate) fn subscribe(&self, user: UserId) -> Subscription {
        let (sender, queue) = mpsc::channel(QUEUE);
        let closed = CancellationToken::new();
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        let sockets = state.sockets.entry(user).or_default();
        if sockets.len() >= SOCKETS_PER_USER {
            sockets.remove(0).closed.cancel();
        }
        sockets.push(Socket { number, queue: sender, closed: closed.clone() });
        metrics::gauge!("aura_dashboard_websockets").increment(1);
        Subscription { hub: self.clone(), user, number, queue, closed }
    }

    pub(crate) fn push(&self, user: UserId, push: &Push) {
        let mut state = self.lock();
        let Some(sockets) = state.sockets.get_mut(&user) else { return };
        sockets.retain(|socket| {
            let delivered = socket.queue.try_send(push.clone()).is_ok();
            if !delivered {
                metrics::counter!("aura_dashboard_websockets_slow_total").increment(1);
                socket.closed.cancel();
            }
            delivered
        });
    }

    pub(crate) fn is_listening(&self, user: UserId) -> bool {
        self.lock().sockets.contains_key(&user)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if let Some(sockets) = state.sockets.get_mut(&self.user) {
            sockets.retain(|socket| socket.number != self.number);
            if sockets.is_empty() {
                state.sockets.remove(&self.user);
            }
        }
        metrics::gauge!("aura_dashboard_websockets").decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push() -> Push {
        Push::new("test", &1, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn pushes_reach_the_user_and_nobody_else() {
        let hub = Hub::default();
        let (alice, bob) = (UserId::generate(), UserId::generate());
        let (mut first, mut second, mut other) =
            (hub.subscribe(alice), hub.subscribe(alice), hub.subscribe(bob));
        hub.push(alice, &push());
        assert_eq!(
            first.queue.try_recv().unwrap().into_text().as_str(),
            r#"{"type":"test","data":1,"timestamp":0}"#
        );
        assert!(second.queue.try_recv().is_ok());
        assert!(other.queue.try_recv().is_err());
        drop((first, second));
        assert!(!hub.is_listening(alice) && hub.is_listening(bob));
    }

    #[test]
    fn a_reader_that_falls_behind_is_closed() {
        let hub = Hub::default();
        let user = UserId::generate();
        let slow = hub.subscribe(user);
        for _ in 0..QUEUE {
            hub.push(user, &push());
        }
        assert!(!slow.closed.is_cancelled());
        hub.push(user, &push());
        assert!(slow.closed.is_cancelled());
    }

    #[test]
    fn the_oldest_of_too_many_sockets_is_closed() {
        let hub = Hub::default();
        let user = UserId::generate();
        let sockets: Vec<_> = (0..=SOCKETS_PER_USER).map(|_| hub.subscribe(user)).collect();
        assert_eq!(sockets.iter().filter(|socket| socket.closed.is_cancelled()).count(), 1);
        assert!(sockets[0].closed.is_cancelled());
    }
}
