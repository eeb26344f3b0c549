//! Who is calling, as far as headers tell.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, header};

/// The token of an `Authorization: Bearer` header.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The client's address. `X-Forwarded-For` is believed only from a proxy at a private or loopback address,
/// and then only its last entry: the one that proxy wrote itself.
#[must_use]
pub fn client_ip(headers: &HeaderMap, peer: SocketAddr) -> IpAddr {
    let peer = peer.ip().to_canonical();
    let trusted = match peer {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    if !trusted {
        return peer;
    }
    headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .and_then(|entry| entry.trim().parse::<IpAddr>().ok())
        .map_or(peer, |ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn bearer_tokens() {
        assert_eq!(bearer(&headers("authorization", "Bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers("authorization", "bearer abc")), Some("abc"));
        for bad in ["abc", "Basic abc", "Bearer ", "Bearer"] {
            assert_eq!(bearer(&headers("authorization", bad)), None, "{bad}");
        }
    }

    #[test]
    fn forwarded_addresses_are_believed_from_our_own_proxy_only() {
        let forwarded = headers("x-forwarded-for", "6.6.6.6, 203.0.113.9");
        let ip = |peer: &str| client_ip(&forwarded, peer.parse().unwrap()).to_string();
        assert_eq!(ip("10.0.0.5:1"), "203.0.113.9");
        assert_eq!(ip("[::ffff:127.0.0.1]:1"), "203.0.113.9");
        assert_eq!(ip("198.51.100.7:1"), "198.51.100.7");
        assert_eq!(client_ip(&HeaderMap::new(), "127.0.0.1:1".parse().unwrap()).to_string(), "127.0.0.1");
        let junk = headers("x-forwarded-for", "junk");
        assert_eq!(client_ip(&junk, "127.0.0.1:1".parse().unwrap()).to_string(), "127.0.0.1");
    }
}
