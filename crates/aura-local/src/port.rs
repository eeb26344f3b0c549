//! Free ports for servers that must be told their port before they start.
//!
//! Ports come from below the kernel's ephemeral range, so an outgoing connection cannot take one between the
//! probe and the server's bind; processes that probe at the same time start from different places.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 18_000;
const LAST: u16 = 32_000;
const LONGEST_RUN: u16 = 64;
const STARTS: u16 = LAST - FIRST - LONGEST_RUN;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that is free for TCP and UDP on loopback.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` consecutive ports that are all free for TCP and UDP; no port is offered twice.
///
/// # Panics
/// When no such run is free in 18000–32000, which means the machine is exhausted; or for more than 64 ports.
pub fn free_ports(count: u16) -> u16 {
    assert!(count <= LONGEST_RUN, "at most {LONGEST_RUN} ports at once");
    let start = ((process::id().wrapping_mul(2_654_435_761) >> 16) % u32::from(STARTS)) as u16;
    for _ in 0..STARTS {
        let offset = NEXT.fetch_add(count, Ordering::Relaxed).wrapping_add(start) % STARTS;
        let first = FIRST + offset;
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} free ports between {FIRST} and {LAST}");
}

fn is_free(port: u16) -> bool {
    [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED]
        .into_iter()
        .all(|address| TcpListener::bind((address, port)).is_ok() && UdpSocket::bind((address, port)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_distinct() {
        let first = free_ports(3);
        let next = free_port();
        assert!(next < first || next >= first + 3);
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, first + 2)).is_ok());
    }

    #[test]
    fn a_taken_port_is_not_offered() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
    }
}
