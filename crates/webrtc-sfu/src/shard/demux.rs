//! Which connection a datagram belongs to: by address, or for STUN from a new address by the user name it carries.
//!
//! An address is learnt only after a connection accepted a STUN request from it, so nobody can send DTLS or media
//! before proving knowledge of the connection's password.

use std::collections::HashMap;
use std::net::SocketAddr;

use str0m::ice::StunMessage;

use crate::transport::PeerId;

/// A client's address; the same pair of address and port is another path over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    pub(crate) tcp: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_path: HashMap<Path, PeerId>,
    by_ufrag: HashMap<String, PeerId>,
    /// What each connection is known by, so that forgetting one does not walk the others.
    names: HashMap<PeerId, Names>,
}

#[derive(Debug, Default)]
struct Names {
    paths: Vec<Path>,
    ufrags: Vec<String>,
}

/// Paths kept per connection: a client that roams further loses its oldest.
const MAX_PATHS: usize = 16;

impl Demux {
    pub(crate) fn by_path(&self, path: Path) -> Option<PeerId> {
        self.by_path.get(&path).copied()
    }

    /// The connection a STUN request names, without checking that it is genuine.
    pub(crate) fn by_stun(&self, bytes: &[u8]) -> Option<PeerId> {
        self.by_ufrag.get(&stun_ufrag(bytes)?).copied()
    }

    pub(crate) fn learn_path(&mut self, path: Path, peer: PeerId) {
        if let Some(before) = self.by_path.insert(path, peer)
            && let Some(names) = self.names.get_mut(&before)
        {
            names.paths.retain(|known| *known != path);
        }
        let names = self.names.entry(peer).or_default();
        names.paths.push(path);
        if names.paths.len() > MAX_PATHS {
            self.by_path.remove(&names.paths.remove(0));
        }
    }

    pub(crate) fn add_ufrag(&mut self, ufrag: &str, peer: PeerId) {
        if self.by_ufrag.insert(ufrag.to_owned(), peer) != Some(peer) {
            self.names.entry(peer).or_default().ufrags.push(ufrag.to_owned());
        }
    }

    /// Forgets a connection; returns the user names it had.
    pub(crate) fn forget(&mut self, peer: PeerId) -> Vec<String> {
        let Some(names) = self.names.remove(&peer) else { return Vec::new() };
        for path in names.paths {
            self.by_path.remove(&path);
        }
        for ufrag in &names.ufrags {
            self.by_ufrag.remove(ufrag);
        }
        names.ufrags
    }
}

/// Our part of the user name in a STUN binding request (RFC 8445 §7.2.2: `ours:theirs`).
pub(crate) fn stun_ufrag(bytes: &[u8]) -> Option<String> {
    // STUN's first byte is 0–3 (RFC 7983); everything else never gets as far as parsing.
    if *bytes.first()? > 3 {
        return None;
    }
    let message = StunMessage::parse(bytes).ok()?;
    let (ours, _theirs) = message.is_binding_request().then(|| message.split_username()).flatten()?;
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path { address: SocketAddr::from(([192, 0, 2, 1], port)), tcp: false }
    }

    #[test]
    fn a_forgotten_connection_leaves_nothing_and_takes_nothing_from_others() {
        let mut demux = Demux::default();
        let (old, new) = (PeerId(1), PeerId(2));
        demux.add_ufrag("old", old);
        demux.learn_path(path(1), old);
        demux.learn_path(path(1), new);
        assert_eq!(demux.forget(old), ["old"]);
        assert_eq!(demux.by_path(path(1)), Some(new), "the address had moved on");
        demux.forget(new);
        assert!(demux.by_path.is_empty() && demux.by_ufrag.is_empty() && demux.names.is_empty());
    }

    #[test]
    fn a_roaming_client_keeps_its_latest_addresses() {
        let mut demux = Demux::default();
        for port in 0..100 {
            demux.learn_path(path(port), PeerId(1));
        }
        assert_eq!(demux.by_path.len(), MAX_PATHS);
        assert_eq!(demux.by_path(path(99)), Some(PeerId(1)));
    }
}
