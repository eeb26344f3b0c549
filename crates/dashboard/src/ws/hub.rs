//! Who listens: the open sockets of each user on this instance.
//!
//! `push` never waits. The lock is held for a map lookup only.

use aura_types::{SessionId, UserId};
use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::OffsetDateTime;
use tokio::sync::{Notify, mpsc, oneshot};

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
pub(crate) struct Hub(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Word of ended logins may have been missed.
    check_wanted: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    sockets: HashMap<UserId, Vec<Socket>>,
}

/// Why the hub gives up on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Too many messages wait for its reader.
    TooSlow,
    /// Its user opened more of them than may be.
    Displaced,
    /// The login it belongs to was ended.
    SessionEnded,
}

struct Socket {
    number: u64,
    session: SessionId,
    queue: mpsc::Sender<Push>,
    close: Option<oneshot::Sender<Reason>>,
}

impl Socket {
    fn close(&mut self, reason: Reason) {
        if let Some(close) = self.close.take() {
            let _ = close.send(reason);
        }
    }
}

/// One socket's place in the hub; dropping it leaves.
pub(crate) struct Subscription {
    hub: Hub,
    user: UserId,
    number: u64,
    pub(crate) queue: mpsc::Receiver<Push>,
    /// The hub gave up on this socket.
    pub(crate) closed: oneshot::Receiver<Reason>,
}

impl Hub {
    pub(crate) fn subscribe(&self, user: UserId, session: SessionId) -> Subscription {
        let (sender, queue) = mpsc::channel(QUEUE);
        let (close, closed) = oneshot::channel();
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        let sockets = state.sockets.entry(user).or_default();
        if sockets.len() >= SOCKETS_PER_USER {
            sockets.remove(0).close(Reason::Displaced);
        }
        sockets.push(Socket { number, session, queue: sender, close: Some(close) });
        metrics::gauge!("aura_dashboard_websockets").increment(1);
        Subscription { hub: self.clone(), user, number, queue, closed }
    }

    pub(crate) fn push(&self, user: UserId, push: &Push) {
        let mut state = self.lock();
        let Some(sockets) = state.sockets.get_mut(&user) else { return };
        sockets.retain_mut(|socket| {
            let delivered = socket.queue.try_send(push.clone()).is_ok();
            if !delivered {
                metrics::counter!("aura_dashboard_websockets_slow_total").increment(1);
                socket.close(Reason::TooSlow);
            }
            delivered
        });
    }

    /// Closes the sockets of a login that is over.
    pub(crate) fn end_session(&self, user: UserId, session: SessionId) {
        let mut state = self.lock();
        let Some(sockets) = state.sockets.get_mut(&user) else { return };
        for socket in sockets.iter_mut().filter(|socket| socket.session == session) {
            socket.close(Reason::SessionEnded);
        }
        sockets.retain(|socket| socket.session != session);
    }

    /// The logins that have a socket here.
    pub(crate) fn sessions(&self) -> Vec<(UserId, SessionId)> {
        let state = self.lock();
        let all = state.sockets.iter();
        let each: HashSet<_> =
            all.flat_map(|(user, sockets)| sockets.iter().map(|socket| (*user, socket.session))).collect();
        each.into_iter().collect()
    }

    /// Ask soon which logins are over.
    pub(crate) fn request_check(&self) {
        self.0.check_wanted.notify_one();
    }

    pub(super) async fn check_wanted(&self) {
        self.0.check_wanted.notified().await;
    }

    pub(crate) fn is_listening(&self, user: UserId) -> bool {
        self.lock().sockets.contains_key(&user)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn subscribe(hub: &Hub, user: UserId) -> Subscription {
        hub.subscribe(user, SessionId::generate())
    }

    fn closed(subscription: &mut Subscription) -> Option<Reason> {
        subscription.closed.try_recv().ok()
    }

    #[test]
    fn pushes_reach_the_user_and_nobody_else() {
        let hub = Hub::default();
        let (alice, bob) = (UserId::generate(), UserId::generate());
        let (mut first, mut second, mut other) =
            (subscribe(&hub, alice), subscribe(&hub, alice), subscribe(&hub, bob));
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
        let mut slow = subscribe(&hub, user);
        for _ in 0..QUEUE {
            hub.push(user, &push());
        }
        assert_eq!(closed(&mut slow), None);
        hub.push(user, &push());
        assert_eq!(closed(&mut slow), Some(Reason::TooSlow));
    }

    #[test]
    fn the_oldest_of_too_many_sockets_is_closed() {
        let hub = Hub::default();
        let user = UserId::generate();
        let mut sockets: Vec<_> = (0..=SOCKETS_PER_USER).map(|_| subscribe(&hub, user)).collect();
        let closed: Vec<_> = sockets.iter_mut().map(closed).collect();
        assert_eq!(closed[0], Some(Reason::Displaced));
        assert!(closed[1..].iter().all(Option::is_none), "{closed:?}");
    }

    #[test]
    fn the_end_of_a_login_closes_its_sockets_and_no_others() {
        let hub = Hub::default();
        let (user, over) = (UserId::generate(), SessionId::generate());
        let mut ended = [hub.subscribe(user, over), hub.subscribe(user, over)];
        let mut other = subscribe(&hub, user);
        assert_eq!(hub.sessions().len(), 2);
        hub.end_session(user, over);
        assert_eq!(ended.each_mut().map(closed), [Some(Reason::SessionEnded); 2]);
        assert_eq!(closed(&mut other), None);
        hub.push(user, &push());
        assert!(ended[0].queue.try_recv().is_err() && other.queue.try_recv().is_ok());
    }
}
