//! The options of `auralink up`: where it listens, where it keeps things.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::bail;
use aura_service::http::TrustedProxy;
use clap::Args;

use crate::data_dir::DataDir;

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) data_dir: DataDir,
    /// Address the public ports listen on. Browsers give camera and microphone only to https or localhost, so
    /// other machines also need --public-url and --sfu-public-url behind a TLS proxy.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) listen: IpAddr,
    /// Dashboard: web app and REST.
    #[arg(long, default_value_t = 8080)]
    pub(crate) http_port: u16,
    /// SFU: LiveKit signalling and server API.
    #[arg(long, default_value_t = 7880)]
    pub(crate) sfu_port: u16,
    /// SFU: media over TCP.
    #[arg(long, default_value_t = 7881)]
    pub(crate) ice_tcp_port: u16,
    /// SFU: media over UDP, one port per shard from here.
    #[arg(long, default_value_t = 7882)]
    pub(crate) ice_udp_port: u16,
    /// SFU: internal gRPC.
    #[arg(long, default_value_t = 50054)]
    pub(crate) sfu_grpc_port: u16,
    /// Dashboard: internal gRPC.
    #[arg(long, default_value_t = 50055)]
    pub(crate) dashboard_grpc_port: u16,
    /// SFU: health and metrics.
    #[arg(long, default_value_t = 9090)]
    pub(crate) sfu_admin_port: u16,
    /// Dashboard: health and metrics.
    #[arg(long, default_value_t = 9091)]
    pub(crate) dashboard_admin_port: u16,
    /// Speech codec: internal gRPC.
    #[arg(long, default_value_t = 50052)]
    pub(crate) aic_grpc_port: u16,
    /// Speech codec: health and metrics.
    #[arg(long, default_value_t = 9093)]
    pub(crate) aic_admin_port: u16,
    /// Private PostgreSQL; any free port when absent. Unused with DATABASE_OWNER_URL.
    #[arg(long)]
    pub(crate) postgres_port: Option<u16>,
    /// Private Redis; any free port when absent. Unused with REDIS_URL.
    #[arg(long)]
    pub(crate) redis_port: Option<u16>,
    /// Address clients reach the SFU's media ports at; repeatable. Found out when absent.
    #[arg(long = "node-ip", value_name = "IP")]
    pub(crate) node_ips: Vec<IpAddr>,
    /// Address browsers open, when it is not http://localhost:PORT.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Address browsers reach the SFU at, when it is not ws://localhost:PORT.
    #[arg(long, value_name = "URL")]
    pub(crate) sfu_public_url: Option<String>,
    /// Address or block (10.0.0.0/8) of a proxy in front of the public ports, whose X-Forwarded-For is believed;
    /// repeatable. Without it everybody who comes through the proxy shares one limit per address.
    #[arg(long = "trusted-proxy", value_name = "CIDR")]
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    /// Existing PostgreSQL to use instead of a private one, as a role that may create roles and schemas. Each service
    /// gets a login of its own there.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    pub(crate) database_owner_url: Option<String>,
    /// Taken for DATABASE_OWNER_URL where that is absent.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Existing Redis to use instead of a private one.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// Make no demo accounts.
    #[arg(long)]
    pub(crate) no_demo: bool,
}

impl Options {
    pub(crate) fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}:{}", self.public_host(), self.http_port))
    }

    pub(crate) fn sfu_public_url(&self) -> String {
        self.sfu_public_url
            .clone()
            .unwrap_or_else(|| format!("ws://{}:{}", self.public_host(), self.sfu_port))
    }

    /// Whether browsers reach the stack through a proxy that it does not know of.
    pub(crate) fn has_unnamed_proxy(&self) -> bool {
        let is_tls = self.public_url().starts_with("https://") || self.sfu_public_url().starts_with("wss://");
        is_tls && self.trusted_proxies.is_empty()
    }

    /// The name a browser on this machine uses: a secure context only as `localhost`.
    fn public_host(&self) -> String {
        if self.listen.is_loopback() || self.listen.is_unspecified() {
            "localhost".to_owned()
        } else if self.listen.is_ipv6() {
            format!("[{}]", self.listen)
        } else {
            self.listen.to_string()
        }
    }

    /// Where clients send media: what was asked for, else loopback and, unless only loopback listens, this
    /// machine's address on its default route.
    pub(crate) fn media_ips(&self) -> Vec<IpAddr> {
        if !self.node_ips.is_empty() {
            return self.node_ips.clone();
        }
        let mut ips = Vec::new();
        if self.listen.is_unspecified() {
            ips.extend(default_route_ip());
        } else {
            ips.push(self.listen);
        }
        if !ips.iter().any(IpAddr::is_loopback) {
            ips.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        ips
    }

    /// Refuses ports that are taken, naming the option that moves each.
    pub(crate) fn check_ports(&self) -> anyhow::Result<()> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let tcp = [
            ("--http-port", self.listen, self.http_port),
            ("--sfu-port", self.listen, self.sfu_port),
            ("--ice-tcp-port", self.listen, self.ice_tcp_port),
            ("--sfu-grpc-port", loopback, self.sfu_grpc_port),
            ("--dashboard-grpc-port", loopback, self.dashboard_grpc_port),
            ("--sfu-admin-port", loopback, self.sfu_admin_port),
            ("--dashboard-admin-port", loopback, self.dashboard_admin_port),
            ("--aic-grpc-port", loopback, self.aic_grpc_port),
            ("--aic-admin-port", loopback, self.aic_admin_port),
        ];
        let mut taken: Vec<String> = tcp
            .into_iter()
            .filter(|(_, ip, port)| TcpListener::bind(SocketAddr::new(*ip, *port)).is_err())
            .map(|(option, _, port)| format!("port {port} is in use; choose another with {option}"))
            .collect();
        if UdpSocket::bind(SocketAddr::new(self.listen, self.ice_udp_port)).is_err() {
            taken.push(format!(
                "UDP port {} is in use; choose another with --ice-udp-port",
                self.ice_udp_port
            ));
        }
        if taken.is_empty() {
            return Ok(());
        }
        bail!("{}", taken.join("\n          "));
    }
}

/// Asks the routing table; connecting a UDP socket sends nothing.
fn default_route_ip() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        options: Options,
    }

    fn parse(args: &[&str]) -> Options {
        Only::parse_from([&["test"], args].concat()).options
    }

    #[test]
    fn by_default_everything_is_local() {
        let options = parse(&[]);
        assert_eq!(options.public_url(), "http://localhost:8080");
        assert_eq!(options.sfu_public_url(), "ws://localhost:7880");
        assert_eq!(options.media_ips(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn asked_for_addresses_win() {
        let options =
            parse(&["--listen", "0.0.0.0", "--node-ip", "203.0.113.7", "--public-url", "https://a.example"]);
        assert_eq!(options.media_ips(), ["203.0.113.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(options.public_url(), "https://a.example");
    }

    #[test]
    fn a_proxy_is_asked_for_and_checked() {
        let tls = ["--public-url", "https://a.example"];
        assert!(!parse(&[]).has_unnamed_proxy());
        assert!(parse(&tls).has_unnamed_proxy());
        let named =
            parse(&[&tls[..], &["--trusted-proxy", "127.0.0.1", "--trusted-proxy", "fd00::/8"]].concat());
        assert!(!named.has_unnamed_proxy());
        assert_eq!(named.trusted_proxies.len(), 2);
        assert!(Only::try_parse_from(["test", "--trusted-proxy", "0.0.0.0/0"]).is_err());
    }

    #[test]
    fn a_taken_port_names_its_option() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let free = aura_local::free_ports(10);
        let numbers: Vec<String> = (free..free + 9).map(|port| port.to_string()).collect();
        let options = parse(&[
            "--http-port",
            &numbers[0],
            "--sfu-port",
            &port,
            "--ice-tcp-port",
            &numbers[1],
            "--ice-udp-port",
            &numbers[2],
            "--sfu-grpc-port",
            &numbers[3],
            "--dashboard-grpc-port",
            &numbers[4],
            "--sfu-admin-port",
            &numbers[5],
            "--dashboard-admin-port",
            &numbers[6],
            "--aic-grpc-port",
            &numbers[7],
            "--aic-admin-port",
            &numbers[8],
        ]);
        let message = options.check_ports().unwrap_err().to_string();
        assert_eq!(message, format!("port {port} is in use; choose another with --sfu-port"));
    }
}
