//! ICE-TCP (RFC 6544): frames of a TCP connection (RFC 4571: two bytes of length) to and from the owning shard.
//!
//! The first frame must be a STUN request naming one of our connections; whoever cannot do that within seconds is
//! hung up on, and so is whoever stops reading. A reader that falls behind loses frames, as it would on UDP. Connections
//! are bounded in all and by where they come from: one address cannot take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aura_service::lifecycle::Lifecycle;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::command::{Command, ShardHandle};
use super::demux::stun_ufrag;
use super::worker::UfragDirectory;

/// Frames that may wait for a slow connection.
const WRITE_QUEUE: usize = 512;
const IDLE_LIMIT: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest frame accepted: a datagram's worth.
const MAX_FRAME: usize = 2_048;

/// What connections may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Until the first frame.
    pub(crate) proof: Duration,
    /// For taking a frame.
    pub(crate) write: Duration,
    /// Connections that have not proved anything yet: in all, and of one source.
    pub(crate) unproven: (usize, usize),
    /// All connections: in all, and of one source. An office behind one address is many people.
    pub(crate) connections: (usize, usize),
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs(10);
        Self { proof: seconds, write: seconds, unproven: (1_024, 64), connections: (16_384, 1_024) }
    }
}

/// Accepts connections until the soft stop.
pub(crate) async fn accept(
    listener: TcpListener,
    shards: Vec<ShardHandle>,
    ufrags: UfragDirectory,
    lifecycle: Lifecycle,
    limits: Limits,
) {
    let (unproven, connections) = (Slots::new(limits.unproven), Slots::new(limits.connections));
    let stop = lifecycle.soft();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of descriptors, most likely; trying again at once would spin.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (Some(slot), Some(connection)) = (unproven.take(remote.ip()), connections.take(remote.ip()))
        else {
            continue;
        };
        let (shards, ufrags, hard) = (shards.clone(), Arc::clone(&ufrags), lifecycle.hard());
        lifecycle.spawn("ice-tcp", async move {
            let proof = timeout(limits.proof, prove(stream, &shards, &ufrags)).await;
            drop(slot);
            if let Ok(Some(proven)) = proof {
                serve(remote, proven, hard, limits.write).await;
            }
            drop(connection);
        });
    }
}

type Proven = (BufReader<OwnedReadHalf>, OwnedWriteHalf, ShardHandle, Vec<u8>);

async fn prove(stream: TcpStream, shards: &[ShardHandle], ufrags: &UfragDirectory) -> Option<Proven> {
    stream.set_nodelay(true).ok()?;
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let first = read_frame(&mut reader).await?;
    let ufrag = stun_ufrag(&first)?;
    let shard = *ufrags.read().unwrap_or_else(PoisonError::into_inner).get(&ufrag)?;
    Some((reader, writer, shards.get(shard)?.clone(), first))
}

async fn serve(
    remote: SocketAddr,
    (mut reader, writer, shard, first): Proven,
    hard: CancellationToken,
    write_limit: Duration,
) {
    let (frames, queue) = mpsc::channel(WRITE_QUEUE);
    let reading = async {
        shard.send(Command::TcpOpened { remote, writer: frames }).await.ok()?;
        shard.send(Command::TcpFrame { remote, bytes: first }).await.ok()?;
        // ICE consent checks come every few seconds: a silent connection is a dead one.
        while let Ok(Some(bytes)) = timeout(IDLE_LIMIT, read_frame(&mut reader)).await {
            shard.send(Command::TcpFrame { remote, bytes }).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        _ = reading => {}
        () = write_frames(writer, queue, write_limit) => {}
        () = hard.cancelled() => {}
    }
    let _ = shard.send(Command::TcpClosed { remote }).await;
}

async fn read_frame(reader: &mut BufReader<OwnedReadHalf>) -> Option<Vec<u8>> {
    let len = usize::from(reader.read_u16().await.ok()?);
    if len == 0 || len > MAX_FRAME {
        return None;
    }
    let mut bytes = vec![0; len];
    reader.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

/// Writes until the connection is done with, or takes nothing for too long.
async fn write_frames(writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>, limit: Duration) {
    let mut writer = BufWriter::new(writer);
    while let Some(frame) = queue.recv().await {
        let written = write_waiting(&mut writer, frame, &mut queue, limit).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// This frame and what waits behind it, each within the limit.
async fn write_waiting(
    writer: &mut BufWriter<OwnedWriteHalf>,
    frame: Vec<u8>,
    queue: &mut mpsc::Receiver<Vec<u8>>,
    limit: Duration,
) -> Result<std::io::Result<()>, Elapsed> {
    let mut next = Some(frame);
    while let Some(frame) = next {
        let Ok(len) = u16::try_from(frame.len()) else { break };
        let write = async {
            writer.write_u16(len).await?;
            writer.write_all(&frame).await
        };
        if let Err(error) = timeout(limit, write).await? {
            return Ok(Err(error));
        }
        next = queue.try_recv().ok();
    }
    timeout(limit, writer.flush()).await
}

/// Places for connections, in all and by source: an address, of IPv6 the network a customer is given (a /64).
#[derive(Debug, Clone)]
struct Slots {
    taken: Arc<Mutex<Taken>>,
    all: usize,
    per_source: usize,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One place; free again when dropped.
#[derive(Debug)]
struct Slot {
    slots: Slots,
    source: IpAddr,
}

impl Slots {
    fn new((all, per_source): (usize, usize)) -> Self {
        Self { taken: Arc::default(), all, per_source }
    }

    fn take(&self, address: IpAddr) -> Option<Slot> {
        let source = source_of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = taken.by_source.get(&source).copied().unwrap_or_default();
        if taken.in_all >= self.all || of_source >= self.per_source {
            return None;
        }
        taken.in_all += 1;
        taken.by_source.insert(source, of_source + 1);
        Some(Slot { slots: self.clone(), source })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all -= 1;
        if let Some(count) = taken.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.by_source.remove(&self.source);
            }
        }
    }
}

fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;

    struct Acceptor {
        address: SocketAddr,
        life: Lifecycle,
    }

    impl Acceptor {
        async fn with(limits: Limits) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (address, life) = (listener.local_addr().unwrap(), Lifecycle::new(Duration::from_secs(1)));
            life.spawn(
                "accept",
                accept(listener, Vec::new(), UfragDirectory::default(), life.clone(), limits),
            );
            Self { address, life }
        }

        /// Connects from an address of this machine.
        async fn connect(&self, from: [u8; 4]) -> TcpStream {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from((from, 0))).unwrap();
            socket.connect(self.address).await.unwrap()
        }
    }

    impl Drop for Acceptor {
        fn drop(&mut self) {
            self.life.soft().cancel();
        }
    }

    /// Waits for the server to hang up.
    async fn closed(mut stream: TcpStream) {
        let end = timeout(Duration::from_secs(10), stream.read(&mut [0])).await;
        assert!(matches!(end.expect("closed in time"), Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn silence_garbage_and_half_a_frame_are_hung_up_on() {
        let limits = Limits { proof: Duration::from_millis(200), ..Limits::default() };
        let acceptor = Acceptor::with(limits).await;
        closed(acceptor.connect([127, 0, 0, 1]).await).await;
        for bytes in [&b"\0"[..], b"\0\x20half", b"\0\x04none", b"\xff\xfftoo long"] {
            let mut stream = acceptor.connect([127, 0, 0, 1]).await;
            stream.write_all(bytes).await.unwrap();
            closed(stream).await;
        }
    }

    #[tokio::test]
    async fn one_address_cannot_take_every_place() {
        let limits = Limits { proof: Duration::from_secs(60), unproven: (6, 4), ..Limits::default() };
        let acceptor = Acceptor::with(limits).await;
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(acceptor.connect([127, 0, 0, 2]).await);
        }
        closed(acceptor.connect([127, 0, 0, 2]).await).await;
        let other = acceptor.connect([127, 0, 0, 3]).await;
        let another = acceptor.connect([127, 0, 0, 4]).await;
        closed(acceptor.connect([127, 0, 0, 5]).await).await;
        for stream in open.iter().chain([&other, &another]) {
            let error = stream.try_read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
        }
        drop(open.pop());
        // The place is free once the server has seen it.
        let mut place = acceptor.connect([127, 0, 0, 2]).await;
        while timeout(Duration::from_millis(50), place.read(&mut [0])).await.is_ok() {
            place = acceptor.connect([127, 0, 0, 2]).await;
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
