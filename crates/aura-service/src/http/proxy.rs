//! Which proxies are believed when they say whom they speak for, and whom a request therefore comes from.
//!
//! Nobody is believed who is not named: a header is text that any client can write. `X-Real-IP`, `CF-Connecting-IP` and
//! the like are never read.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Once;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// More proxies than stand in a row anywhere.
const MAX_HOPS: usize = 16;

/// A proxy's address, or the block its address is from (`10.0.0.0/8`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustedProxy(IpNet);

/// Not an address or a block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not an address or block.
    #[error("must be an address or a block of addresses, such as 10.0.0.0/8")]
    Malformed,
    /// `0.0.0.0/0` or `::/0`.
    #[error("would let every client write its own address; name the proxies")]
    Everybody,
}

impl FromStr for TrustedProxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        let block = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse::<IpNet>().map_err(|_| ProxyError::Malformed)?,
        };
        if block.prefix_len() == 0 { Err(ProxyError::Everybody) } else { Ok(Self(block.trunc())) }
    }
}

impl TryFrom<String> for TrustedProxy {
    type Error = ProxyError;

    fn try_from(text: String) -> Result<Self, ProxyError> {
        text.parse()
    }
}

impl From<TrustedProxy> for String {
    fn from(proxy: TrustedProxy) -> Self {
        proxy.to_string()
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies of a service. Nobody by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustedProxies(Vec<TrustedProxy>);

impl From<Vec<TrustedProxy>> for TrustedProxies {
    fn from(proxies: Vec<TrustedProxy>) -> Self {
        Self(proxies)
    }
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|TrustedProxy(block)| block.contains(&address))
    }

    /// Whom a request comes from that `peer` sent: the last hop nobody trusted vouches for. Each proxy appends the
    /// address it was called from, so the list is read from its end, as long as the one who wrote the entry is trusted.
    #[must_use]
    pub fn client_of(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            mention_unknown_proxy(headers, client);
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        // Each entry by itself: bytes that a client put in front must not hide what the proxy appended.
        let hops = lines
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
            .map(|hop| std::str::from_utf8(hop).unwrap_or_default());
        for hop in hops.take(MAX_HOPS) {
            // What is no address was made up further out: whoever wrote the last good one is as far as we see.
            let Some(address) = parse_hop(hop) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    pub(super) fn address_of(&self, headers: &HeaderMap, extensions: &Extensions) -> ClientAddress {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        ClientAddress(self.client_of(headers, peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Some proxies append the port too.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// A proxy in our own network that nobody named is most likely a forgotten setting: everybody behind it then shares
/// one limit. Said once.
fn mention_unknown_proxy(headers: &HeaderMap, peer: IpAddr) {
    static ONCE: Once = Once::new();
    let near = match peer {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    if near && headers.contains_key(FORWARDED_FOR) {
        ONCE.call_once(|| {
            tracing::warn!(%peer, "X-Forwarded-For is not believed; if this is your proxy, add it to trusted_proxies");
        });
    }
}

/// Where a request came from. [`shell`](super::shell) finds it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl ClientAddress {
    /// The address in a request's extensions; all without one are the same client.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str]) -> TrustedProxies {
        list.iter().map(|text| text.parse().unwrap()).collect::<Vec<TrustedProxy>>().into()
    }

    /// One header line per element.
    fn forwarded(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn the_client_is_the_last_hop_nobody_trusted_vouches_for() {
        let ours = ["10.0.0.0/8", "2001:db8:ffff::/48", "127.0.0.1"];
        let cases: [(&[&str], &[&'static str], &str, &str); 17] = [
            // Nobody is trusted unless named, however near.
            (&[], &["203.0.113.9"], "127.0.0.1", "127.0.0.1"),
            (&[], &["203.0.113.9"], "10.0.0.5", "10.0.0.5"),
            (&ours, &["203.0.113.9"], "192.168.0.5", "192.168.0.5"),
            (&ours, &["203.0.113.9"], "198.51.100.7", "198.51.100.7"),
            // What the client wrote itself stands to the left.
            (&ours, &["6.6.6.6, 203.0.113.9"], "10.0.0.5", "203.0.113.9"),
            (&ours, &["6.6.6.6", "203.0.113.9"], "10.0.0.5", "203.0.113.9"),
            (&ours, &["6.6.6.6, 10.1.1.1, 203.0.113.9, 10.2.2.2"], "10.0.0.5", "203.0.113.9"),
            (&ours, &["203.0.113.9", "10.2.2.2, 127.0.0.1"], "::ffff:10.0.0.5", "203.0.113.9"),
            (&ours, &["2001:db8:1::7"], "2001:db8:ffff::1", "2001:db8:1::7"),
            (&ours, &["::ffff:203.0.113.9"], "10.0.0.5", "203.0.113.9"),
            // Ports, brackets.
            (&ours, &["203.0.113.9:4711"], "10.0.0.5", "203.0.113.9"),
            (&ours, &["[2001:db8:1::7]:443, [2001:db8:ffff::9]"], "10.0.0.5", "2001:db8:1::7"),
            // Everybody on the way is ours: the farthest.
            (&ours, &["10.3.3.3, 10.2.2.2"], "10.0.0.5", "10.3.3.3"),
            // Junk ends the walk at the last good hop.
            (&ours, &["junk"], "10.0.0.5", "10.0.0.5"),
            // What a client wrote in front in no language hides nothing.
            (&ours, &["\u{ff}, 203.0.113.9"], "10.0.0.5", "203.0.113.9"),
            (&ours, &["203.0.113.9, junk, 10.2.2.2"], "10.0.0.5", "10.2.2.2"),
            (&ours, &[], "10.0.0.5", "10.0.0.5"),
        ];
        for (trusted, lines, peer, client) in cases {
            let found = proxies(trusted).client_of(&forwarded(lines), peer.parse().unwrap());
            assert_eq!(found.to_string(), client, "{trusted:?} {lines:?} {peer}");
        }
    }

    #[test]
    fn other_headers_say_nothing() {
        let mut headers = HeaderMap::new();
        for name in ["x-real-ip", "cf-connecting-ip", "forwarded", "true-client-ip", "x-client-ip"] {
            headers.insert(name, http::HeaderValue::from_static("203.0.113.9"));
        }
        let client = proxies(&["127.0.0.1"]).client_of(&headers, "127.0.0.1".parse().unwrap());
        assert_eq!(client.to_string(), "127.0.0.1");
    }

    #[test]
    fn an_endless_list_is_not_followed() {
        let line: &'static str = Box::leak(["10.1.1.1"; 10_000].join(",").into_boxed_str());
        let client = proxies(&["10.0.0.0/8"]).client_of(&forwarded(&[line]), "10.0.0.1".parse().unwrap());
        assert_eq!(client.to_string(), "10.1.1.1");
    }

    #[test]
    fn blocks_are_checked() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            (" fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(text.parse::<TrustedProxy>().unwrap().to_string(), shown, "{text}");
        }
        for everybody in ["0.0.0.0/0", "::/0"] {
            assert_eq!(everybody.parse::<TrustedProxy>(), Err(ProxyError::Everybody));
        }
        for bad in ["", "proxy.example.org", "10.0.0.0/33", "10.0.0/8"] {
            assert_eq!(bad.parse::<TrustedProxy>(), Err(ProxyError::Malformed), "{bad}");
        }
    }
}
