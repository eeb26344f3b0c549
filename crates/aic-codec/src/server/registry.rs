//! The streams open on this replica, who opened them, and the sessions imported but not yet gone on with.
//!
//! Limits are kept here: streams in all and per calling service, imports in number and age. A session is its caller's:
//! nobody else can export or resume it, or learn that it exists.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::session::{Moved, Session};

/// How long an imported session waits for its stream.
pub(crate) const IMPORT_LIFE: Duration = Duration::from_secs(30);
/// Longer than a seal lives: within it the same state is taken once.
const REPLAY_MEMORY: Duration = Duration::from_secs(120);
const MAX_REPLAY_MEMORY: usize = 100_000;

/// Answers an export: the sealed state, or that it could not be made.
pub(crate) type ExportReply = oneshot::Sender<Option<Moved>>;

/// No more of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitError {
    #[error("this replica has no room for another stream")]
    Streams,
    #[error("this service has too many streams open")]
    StreamsOfCaller,
    #[error("this service has too many calls in progress")]
    UnaryOfCaller,
    #[error("too many imported sessions wait for their stream")]
    Imports,
    #[error("this state was imported before")]
    Replayed,
    #[error("this session is open or imported already")]
    Known,
}

/// How much is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) streams: usize,
    pub(crate) streams_per_caller: usize,
    pub(crate) unary_per_caller: usize,
    pub(crate) imports: usize,
}

/// The registry; clones share it.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    inner: Mutex<Inner>,
    /// Streams and unary calls.
    busy: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    streams: HashMap<Uuid, Entry>,
    unary: HashMap<String, usize>,
    imports: HashMap<Uuid, Import>,
    seen: HashMap<[u8; 32], Instant>,
}

struct Entry {
    caller: String,
    export: mpsc::Sender<ExportReply>,
}

struct Import {
    session: Box<Session>,
    caller: String,
    expires: Instant,
}

/// Keeps a stream in the registry; gone with it.
pub(crate) struct StreamSlot {
    shared: Arc<Shared>,
    id: Uuid,
}

/// Keeps a unary call counted.
pub(crate) struct UnarySlot {
    shared: Arc<Shared>,
    caller: String,
}

impl Registry {
    pub(crate) fn new(limits: Limits) -> Self {
        let (busy, _) = watch::channel(0);
        Self { shared: Arc::new(Shared { limits, inner: Mutex::default(), busy }) }
    }

    /// Streams open now.
    pub(crate) fn open(&self) -> usize {
        self.shared.lock().streams.len()
    }

    pub(crate) fn max_streams(&self) -> usize {
        self.shared.limits.streams
    }

    /// Returns when no stream is open and no call in progress.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`.
        let _ = self.shared.busy.subscribe().wait_for(|busy| *busy == 0).await;
    }

    /// Takes a place for a stream; the receiver gets export requests.
    pub(crate) fn enter(
        &self,
        id: Uuid,
        caller: &str,
    ) -> Result<(StreamSlot, mpsc::Receiver<ExportReply>), LimitError> {
        let mut inner = self.shared.lock();
        if inner.streams.len() >= self.shared.limits.streams {
            return Err(LimitError::Streams);
        }
        let of_caller = inner.streams.values().filter(|entry| entry.caller == caller).count();
        if of_caller >= self.shared.limits.streams_per_caller {
            return Err(LimitError::StreamsOfCaller);
        }
        if inner.streams.contains_key(&id) {
            return Err(LimitError::Known);
        }
        let (export, exports) = mpsc::channel(1);
        inner.streams.insert(id, Entry { caller: caller.to_owned(), export });
        self.shared.busy.send_replace(inner.busy());
        Ok((StreamSlot { shared: Arc::clone(&self.shared), id }, exports))
    }

    /// Takes a place for a unary call.
    pub(crate) fn enter_unary(&self, caller: &str) -> Result<UnarySlot, LimitError> {
        let mut inner = self.shared.lock();
        let count = inner.unary.entry(caller.to_owned()).or_default();
        if *count >= self.shared.limits.unary_per_caller {
            return Err(LimitError::UnaryOfCaller);
        }
        *count += 1;
        self.shared.busy.send_replace(inner.busy());
        Ok(UnarySlot { shared: Arc::clone(&self.shared), caller: caller.to_owned() })
    }

    /// Asks the caller's stream `id` for its state. `None`: there is no such stream of this caller.
    pub(crate) async fn export(&self, id: Uuid, caller: &str) -> Option<Moved> {
        let export = {
            let inner = self.shared.lock();
            inner.streams.get(&id).filter(|entry| entry.caller == caller)?.export.clone()
        };
        let (reply, answer) = oneshot::channel();
        export.send(reply).await.ok()?;
        answer.await.ok()?
    }

    /// Keeps an imported session for its stream. `seal` names the state, so that it is taken once.
    pub(crate) fn import(
        &self,
        session: Box<Session>,
        seal: [u8; 32],
        now: Instant,
    ) -> Result<(), LimitError> {
        let (id, caller) = (session.id(), session.caller().to_owned());
        let mut inner = self.shared.lock();
        inner.imports.retain(|_, import| import.expires > now);
        inner.seen.retain(|_, until| *until > now);
        if inner.seen.contains_key(&seal) {
            return Err(LimitError::Replayed);
        }
        if inner.streams.contains_key(&id) || inner.imports.contains_key(&id) {
            return Err(LimitError::Known);
        }
        if inner.imports.len() >= self.shared.limits.imports || inner.seen.len() >= MAX_REPLAY_MEMORY {
            return Err(LimitError::Imports);
        }
        inner.seen.insert(seal, now + REPLAY_MEMORY);
        inner.imports.insert(id, Import { session, caller, expires: now + IMPORT_LIFE });
        Ok(())
    }

    /// The caller's imported session `id`, to go on with.
    pub(crate) fn resume(&self, id: Uuid, caller: &str, now: Instant) -> Option<Box<Session>> {
        let mut inner = self.shared.lock();
        inner.imports.retain(|_, import| import.expires > now);
        if inner.imports.get(&id)?.caller != caller {
            return None;
        }
        inner.imports.remove(&id).map(|import| import.session)
    }
}

impl Inner {
    fn busy(&self) -> usize {
        self.streams.len() + self.unary.values().sum::<usize>()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.streams.remove(&self.id);
        self.shared.busy.send_replace(inner.busy());
    }
}

impl Drop for UnarySlot {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if let Some(count) = inner.unary.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                inner.unary.remove(&self.caller);
            }
        }
        self.shared.busy.send_replace(inner.busy());
    }
}
