//! Whom an address stands for when tries are counted.

use std::net::{IpAddr, Ipv6Addr};

/// The block of addresses one holder has at their disposal, by its first address: an IPv4 address stands for
/// itself, an IPv6 address for its /64, which is the least a network hands to a single customer (RFC 6177). An
/// IPv4 address written as IPv6 is IPv4.
///
/// Limits by address count blocks: whoever counted IPv6 addresses one by one would count nobody.
#[must_use]
pub fn address_block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The largest block one holder commonly has, by its first address: of an IPv6 address its /48, a site's (RFC 6177);
/// none of an IPv4 address. Several holders may share one.
///
/// A limit by [`address_block`] alone is 65,536 times as high for whoever has a /48.
#[must_use]
pub fn site_block(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80))),
        IpAddr::V4(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_many_blocks_and_ipv4_has_none() {
        let site = |text: &str| site_block(text.parse().unwrap()).map(|block| block.to_string());
        assert_eq!(site("2001:db8:1:2:3:4:5:6").as_deref(), Some("2001:db8:1::"));
        assert_eq!(site("2001:db8:1:ffff::1").as_deref(), Some("2001:db8:1::"));
        assert_eq!(site("2001:db8:2::1").as_deref(), Some("2001:db8:2::"));
        assert_eq!([site("203.0.113.9"), site("::ffff:203.0.113.9")], [None, None]);
    }

    #[test]
    fn one_holder_is_one_block() {
        for (address, block) in [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("::1", "::"),
        ] {
            let parse = |text: &str| text.parse::<IpAddr>().unwrap();
            assert_eq!(address_block(parse(address)), parse(block), "{address}");
        }
    }
}
