//! The stack's default ports. A taken one is no fault of the machine: `up` has an option for each.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use super::{Check, Finding};

const TCP: [(u16, &str); 9] = [
    (8080, "--http-port"),
    (7880, "--sfu-port"),
    (7881, "--ice-tcp-port"),
    (50052, "--aic-grpc-port"),
    (50054, "--sfu-grpc-port"),
    (50055, "--dashboard-grpc-port"),
    (9090, "--sfu-admin-port"),
    (9091, "--dashboard-admin-port"),
    (9093, "--aic-admin-port"),
];
const UDP: (u16, &str) = (7882, "--ice-udp-port");

pub(super) fn check() -> Vec<Check> {
    let tcp = TCP.map(|(port, option)| {
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        report(format!("port {port}"), is_free, option)
    });
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, UDP.0)).is_ok();
    tcp.into_iter().chain([report(format!("udp port {}", UDP.0), udp, UDP.1)]).collect()
}

fn report(name: String, is_free: bool, option: &str) -> Check {
    let finding = if is_free {
        Finding::Ok("free".to_owned())
    } else {
        Finding::Warn {
            what: "in use (by a running stack, perhaps)".to_owned(),
            fix: format!("auralink up {option} OTHER"),
        }
    };
    Check { name, finding }
}
