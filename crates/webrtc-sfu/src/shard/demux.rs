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
}

impl Demux {
    pub(crate) fn by_path(&self, path: Path) -> Option<PeerId> {
        self.by_path.get(&path).copied()
    }

    /// The connection a STUN request names, without checking that it is genuine.
    pub(crate) fn by_stun(&self, bytes: &[u8]) -> Option<PeerId> {
        self.by_ufrag.get(&stun_ufrag(bytes)?).copied()
    }

    pub(crate) fn learn_path(&mut self, path: Path, peer: PeerId) {
        self.by_path.insert(path, peer);
    }

    pub(crate) fn add_ufrag(&mut self, ufrag: String, peer: PeerId) {
        self.by_ufrag.insert(ufrag, peer);
    }

    pub(crate) fn forget(&mut self, peer: PeerId) -> Vec<String> {
        self.by_path.retain(|_, owner| *owner != peer);
        let names: Vec<_> =
            self.by_ufrag.iter().filter(|(_, owner)| **owner == peer).map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.by_ufrag.remove(name);
        }
        names
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
