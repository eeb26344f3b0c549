//! TLS handshakes side by side, so many at most. When there are too many, one that has not got anywhere makes room: the
//! oldest of whoever has the most. So nobody waits for peers that connect and say nothing, and those displace themselves.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use aura_types::address_block;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, unfold};
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::TcpIncoming;

use super::tls::Tls;

const MAX_HANDSHAKES: usize = 256;
/// Accept fails when descriptors run out; trying at once again would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that have shown their certificate.
pub(super) fn handshakes(
    incoming: TcpIncoming,
    tls: Tls,
) -> impl Stream<Item = TlsStream<TcpStream>> + Send + 'static {
    let greeting = Greeting { incoming, tls, running: FuturesUnordered::new(), waiting: Waiting::default() };
    unfold(greeting, |mut greeting| async move { greeting.next().await.map(|stream| (stream, greeting)) })
}

type Outcome = (u64, Option<io::Result<TlsStream<TcpStream>>>);

struct Greeting {
    incoming: TcpIncoming,
    tls: Tls,
    running: FuturesUnordered<BoxFuture<'static, Outcome>>,
    waiting: Waiting,
}

impl Greeting {
    async fn next(&mut self) -> Option<TlsStream<TcpStream>> {
        loop {
            tokio::select! {
                Some((id, outcome)) = self.running.next() => {
                    self.waiting.done(id);
                    match outcome {
                        Some(Ok(stream)) => return Some(stream),
                        Some(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                        None => tracing::debug!("a TLS handshake made room for others"),
                    }
                }
                accepted = self.incoming.next() => match accepted? {
                    Ok(stream) => self.greet(stream),
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn greet(&mut self, stream: TcpStream) {
        // Whoever has hung up again.
        let Ok(peer) = stream.peer_addr() else { return };
        let (handle, registration) = AbortHandle::new_pair();
        let id = self.waiting.add(address_block(peer.ip()), handle);
        let tls = self.tls.clone();
        let handshake = Abortable::new(async move { tls.accept(stream).await }, registration);
        self.running.push(handshake.map(move |outcome| (id, outcome.ok())).boxed());
    }
}

/// Whose handshakes are running, by age.
#[derive(Default)]
struct Waiting {
    next: u64,
    running: BTreeMap<u64, (IpAddr, AbortHandle)>,
}

impl Waiting {
    /// Adds one; of too many another ends.
    fn add(&mut self, from: IpAddr, handle: AbortHandle) -> u64 {
        if self.running.len() >= MAX_HANDSHAKES
            && let Some((_, handle)) = self.least_hopeful().and_then(|id| self.running.remove(&id))
        {
            handle.abort();
        }
        self.next += 1;
        self.running.insert(self.next, (from, handle));
        self.next
    }

    fn done(&mut self, id: u64) {
        self.running.remove(&id);
    }

    /// The oldest of the address that has the most.
    fn least_hopeful(&self) -> Option<u64> {
        let mut of = HashMap::new();
        for (from, _) in self.running.values() {
            *of.entry(*from).or_insert(0) += 1;
        }
        let most = of.values().copied().max()?;
        self.running.iter().find(|(_, (from, _))| of[from] == most).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_most_makes_room_the_oldest_first() {
        let mut waiting = Waiting::default();
        let address = |host: u8| IpAddr::from([203, 0, 113, host]);
        let mut add = |host| {
            let handle = AbortHandle::new_pair().0;
            (waiting.add(address(host), handle.clone()), handle)
        };
        let honest = add(1).1;
        let silent: Vec<_> = (1..MAX_HANDSHAKES).map(|_| add(2).1).collect();
        assert!(silent.iter().all(|handle| !handle.is_aborted()), "as many as fit");
        let another = add(3).1;
        let (last, _) = add(2);
        let ended: Vec<_> = silent.iter().map(AbortHandle::is_aborted).collect();
        assert_eq!((ended[0], ended[1], ended[2]), (true, true, false));
        assert!(!honest.is_aborted() && !another.is_aborted());
        waiting.done(last);
        assert_eq!(waiting.running.len(), MAX_HANDSHAKES - 1);
    }
}
