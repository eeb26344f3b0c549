//! Connections of tests: ours, and clients built as ours are.

use std::time::Instant;

use aura_types::ParticipantSid;
use livekit_protocol as proto;
use str0m::Rtc;

use super::Role;
use super::peer::Peer;
use super::rtc_config::{PeerSettings, build};

/// Clients that are built as servers are say so; two of those do not connect.
pub(crate) const ICE_LITE: &str = "a=ice-lite\r\n";

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub(crate) fn connection(model: Option<&str>) -> Rtc {
    let certificate = str0m::crypto::from_feature_flags().dtls_provider.generate_certificate();
    let settings = PeerSettings {
        certificate: certificate.expect("a certificate"),
        udp_candidates: vec!["127.0.0.1:7882".parse().expect("an address")],
        tcp_candidates: Vec::new(),
        aic_model: model.map(Into::into),
    };
    build(&settings, Role::Single, Instant::now())
}

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
pub(crate) fn peer(role: Role, model: Option<&str>) -> Peer {
    let mut peer =
        Peer::new(connection(model), role, ParticipantSid::generate(), "room".into(), Instant::now());
    peer.aic_model = model.map(Into::into);
    peer
}

pub(crate) fn description(sdp: String) -> proto::SessionDescription {
    proto::SessionDescription { sdp, ..Default::default() }
}
