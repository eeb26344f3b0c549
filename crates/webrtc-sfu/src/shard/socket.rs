//! The shard's UDP socket: batched receive and send (`recvmmsg`, `sendmmsg`, UDP GSO) and a wake-up from other threads.
//!
//! Linux only, and the one place with `unsafe`: the batched calls have no safe wrapper that sends to many addresses.
#![expect(unsafe_code, reason = "recvmmsg, sendmmsg, ppoll and eventfd through libc")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::backlog::Backlog;
use super::batch::{Run, SendBatch};

/// Datagrams read per call.
pub(crate) const RECEIVE_BATCH: usize = 32;
/// Runs sent per call.
const SEND_BATCH: usize = 64;
/// Larger than any datagram a client may send (path MTU 1,500).
const MAX_DATAGRAM: usize = 2_048;
/// Kernel buffers asked for, each way.
const KERNEL_BUFFER_BYTES: usize = aura_types::MEDIA_SOCKET_BUFFER_BYTES;
/// Waiting datagrams tried per call.
const BACKLOG_BATCH: usize = 64;

/// A non-blocking UDP socket with preallocated batches.
pub(crate) struct BatchSocket {
    socket: Socket,
    wake: Arc<Wake>,
    buffers: Vec<[u8; MAX_DATAGRAM]>,
    lengths: [usize; RECEIVE_BATCH],
    sources: [Option<SocketAddr>; RECEIVE_BATCH],
    /// Which of our addresses each datagram was sent to, where the kernel says.
    targets: [Option<Ipv4Addr>; RECEIVE_BATCH],
    segmented: bool,
    is_v4: bool,
    /// What the kernel granted.
    pub(crate) granted: Buffers,
    /// What it had no room for just now.
    backlog: Backlog,
    scratch: SendBatch,
    /// Addresses asked about so far, and whether this machine has them. Behind a NAT the announced one is not ours.
    own: Vec<(Ipv4Addr, bool)>,
}

/// Wakes the shard's thread out of its wait.
#[derive(Debug)]
pub(crate) struct Wake(OwnedFd);

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers; a non-negative result is a descriptor we own.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just created and is owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes the current or next wait return at once.
    pub(crate) fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: writes eight bytes from a live buffer. A full counter (EAGAIN) means the thread is awake already.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Waits for a wake-up alone, for a shard that has no socket (ICE-TCP only).
    pub(crate) fn wait(&self, timeout: Duration) {
        if wait_for([(self.0.as_raw_fd(), libc::POLLIN)], timeout)[0] {
            self.clear();
        }
    }

    fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: reads at most eight bytes into a live buffer.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// Waits until one of the descriptors is ready for what is wanted of it or `timeout` passes; says which are.
fn wait_for<const N: usize>(fds: [(i32, libc::c_short); N], timeout: Duration) -> [bool; N] {
    let mut polls = fds.map(|(fd, events)| libc::pollfd { fd, events, revents: 0 });
    let timeout = libc::timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // SAFETY: N live pollfds, a live timespec, no signal mask.
    unsafe { libc::ppoll(polls.as_mut_ptr(), N as u64, &raw const timeout, std::ptr::null()) };
    polls.map(|poll| poll.revents != 0)
}

/// What one batched send did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) runs: u64,
    pub(crate) dropped: u64,
    /// Datagrams that had to wait.
    pub(crate) deferred: u64,
}

/// Sizes of the kernel's buffers for a socket, in bytes of datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffers {
    pub(crate) send: usize,
    pub(crate) receive: usize,
}

impl Buffers {
    /// Asks for what the shard counts on, past the system's limits where the process may, and reads what came of it.
    fn ask(socket: &Socket) -> io::Result<Self> {
        for (forced, plain) in
            [(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF), (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)]
        {
            let bytes = libc::c_int::try_from(KERNEL_BUFFER_BYTES).unwrap_or(libc::c_int::MAX);
            if set_option(socket, libc::SOL_SOCKET, forced, bytes).is_err() {
                // Best effort: a small buffer is told, not refused.
                let _ = set_option(socket, libc::SOL_SOCKET, plain, bytes);
            }
        }
        // The kernel doubles what is asked for, for its own bookkeeping, and reports that.
        Ok(Self { send: socket.send_buffer_size()? / 2, receive: socket.recv_buffer_size()? / 2 })
    }

    /// Whether both are as large as asked for.
    pub(crate) fn are_full(self) -> bool {
        self.send.min(self.receive) >= KERNEL_BUFFER_BYTES
    }
}

impl BatchSocket {
    /// Binds `address` (port 0 = any).
    pub(crate) fn bind(address: SocketAddr, wake: Arc<Wake>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let granted = Buffers::ask(&socket)?;
        if address.is_ipv4() {
            set_option(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        }
        socket.bind(&address.into())?;
        Ok(Self {
            socket,
            wake,
            buffers: vec![[0; MAX_DATAGRAM]; RECEIVE_BATCH],
            lengths: [0; RECEIVE_BATCH],
            sources: [None; RECEIVE_BATCH],
            targets: [None; RECEIVE_BATCH],
            segmented: true,
            is_v4: address.is_ipv4(),
            granted,
            backlog: Backlog::default(),
            scratch: SendBatch::default(),
            own: Vec::new(),
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an IP socket"))
    }

    /// Waits until there is something to read, room for what waits to be sent, someone wakes us, or `timeout` passes.
    pub(crate) fn wait(&self, timeout: Duration) {
        let room = if self.backlog.is_empty() { 0 } else { libc::POLLOUT };
        let fds = [(self.socket.as_raw_fd(), libc::POLLIN | room), (self.wake.0.as_raw_fd(), libc::POLLIN)];
        if wait_for(fds, timeout)[1] {
            self.wake.clear();
        }
    }

    /// Reads what is there, up to a batch. Returns how many datagrams; see [`datagram`](Self::datagram).
    pub(crate) fn receive(&mut self) -> usize {
        // SAFETY: all-zero is a valid value of these C structs.
        let mut names: [libc::sockaddr_storage; RECEIVE_BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut iovecs: [libc::iovec; RECEIVE_BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; RECEIVE_BATCH] = unsafe { zeroed() };
        let mut controls = [ReceivedControl::default(); RECEIVE_BATCH];
        for index in 0..RECEIVE_BATCH {
            iovecs[index].iov_base = self.buffers[index].as_mut_ptr().cast();
            iovecs[index].iov_len = MAX_DATAGRAM;
            let header = &mut messages[index].msg_hdr;
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut iovecs[index];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut controls[index]).cast();
            header.msg_controllen = size_of::<ReceivedControl>();
        }
        // SAFETY: every header points at its own name, iovec and buffer, all alive until the call returns.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                RECEIVE_BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for index in 0..count {
            let truncated = messages[index].msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.lengths[index] = if truncated { 0 } else { messages[index].msg_len as usize };
            self.sources[index] = to_address(&names[index]);
            self.targets[index] = controls[index].target();
        }
        count
    }

    /// One datagram of the last receive: source, the address of ours it was sent to if known, and bytes.
    pub(crate) fn datagram(&self, index: usize) -> Option<(SocketAddr, Option<IpAddr>, &[u8])> {
        let bytes = self.buffers.get(index)?.get(..self.lengths[index])?;
        Some((self.sources[index]?, self.targets[index].map(IpAddr::V4), bytes))
    }

    /// Sends the whole batch and empties it. What the kernel has no room for waits a moment, see [`Backlog`]; nothing
    /// waits for it.
    pub(crate) fn send(&mut self, batch: &mut SendBatch, now: Instant) -> Sent {
        let mut sent = Sent::default();
        let gone = if self.backlog.is_empty() { self.transmit(batch, &mut sent) } else { 0 };
        if gone < batch.len() {
            sent.deferred = (batch.len() - gone) as u64;
            batch.defer(gone, &mut self.backlog, now);
        }
        batch.clear();
        if !self.backlog.is_empty() {
            self.retry(now, &mut sent);
        }
        sent.dropped += self.backlog.take_dropped();
        sent
    }

    fn retry(&mut self, now: Instant, sent: &mut Sent) {
        self.backlog.expire(now);
        let mut scratch = std::mem::take(&mut self.scratch);
        loop {
            scratch.clear();
            self.backlog.fill(&mut scratch, BACKLOG_BATCH);
            let gone = self.transmit(&scratch, sent);
            self.backlog.pop(gone);
            if gone < scratch.len() || scratch.is_empty() {
                break;
            }
        }
        self.scratch = scratch;
    }

    /// Hands a batch to the kernel until it has no more room. Returns how many of its datagrams are done with.
    fn transmit(&mut self, batch: &SendBatch, sent: &mut Sent) -> usize {
        let mut runs = batch.runs(self.segmented && self.is_v4);
        let (mut next, mut done) = (0, 0);
        while next < runs.len() {
            let end = (next + SEND_BATCH).min(runs.len());
            match self.send_runs(batch.bytes(), &runs[next..end]) {
                Ok(count) => {
                    let datagrams = runs[next..next + count].iter().map(|run| run.count).sum::<usize>();
                    sent.datagrams += datagrams as u64;
                    sent.runs += count as u64;
                    done += datagrams;
                    next += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The kernel does not segment this run: send it one by one, and all others where it never does.
                Err(error) if runs[next].count > 1 => {
                    if matches!(error.raw_os_error(), Some(libc::EIO | libc::ENOPROTOOPT)) {
                        self.segmented = false;
                    }
                    let singles = runs[next].singles();
                    runs.splice(next..=next, singles);
                }
                // This destination does not work (unreachable, refused), or the machine is out of memory (ENOBUFS, which
                // no readiness of the socket ends): skip it alone.
                Err(_) => {
                    sent.dropped += runs[next].count as u64;
                    done += runs[next].count;
                    next += 1;
                }
            }
        }
        done
    }

    /// The destination in the socket's own family.
    fn name_of(&self, destination: SocketAddr) -> socket2::SockAddr {
        match destination {
            SocketAddr::V4(v4) if !self.is_v4 => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()).into()
            }
            other => other.into(),
        }
    }

    /// The address, if this machine has it; else "any", and the kernel chooses. It refuses to send from others.
    fn own_or_any(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        let known = self.own.iter().find(|(known, _)| *known == address).map(|(_, own)| *own);
        let own = known.unwrap_or_else(|| {
            let own = std::net::UdpSocket::bind((address, 0)).is_ok();
            self.own.push((address, own));
            own
        });
        if own { address } else { Ipv4Addr::UNSPECIFIED }
    }

    fn send_runs(&mut self, bytes: &[u8], runs: &[Run]) -> io::Result<usize> {
        // SAFETY: all-zero is a valid value of these C structs.
        let mut iovecs: [libc::iovec; SEND_BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; SEND_BATCH] = unsafe { zeroed() };
        let mut controls = [SendControl::default(); SEND_BATCH];
        let names: Vec<socket2::SockAddr> = runs.iter().map(|run| self.name_of(run.destination)).collect();
        for (index, run) in runs.iter().enumerate() {
            let slice = &bytes[run.start..run.start + run.len];
            iovecs[index].iov_base = slice.as_ptr().cast_mut().cast();
            iovecs[index].iov_len = slice.len();
            let header = &mut messages[index].msg_hdr;
            header.msg_name = names[index].as_ptr().cast_mut().cast();
            header.msg_namelen = names[index].len();
            header.msg_iov = &raw mut iovecs[index];
            header.msg_iovlen = 1;
            if let (IpAddr::V4(source), true) = (run.source, self.is_v4) {
                controls[index] = SendControl::new(self.own_or_any(source), run.segment as u16);
                header.msg_control = (&raw mut controls[index]).cast();
                // The segment size is the second message, left out where there is nothing to segment.
                header.msg_controllen =
                    if run.count > 1 { size_of::<SendControl>() } else { size_of::<PacketInfo>() };
            }
        }
        // SAFETY: headers point at live names, iovecs into `bytes`, and control messages laid out as cmsg(3) wants.
        let count = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                runs.len() as u32,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }
}

/// `struct cmsghdr` with an `in_pktinfo`: which of our addresses a datagram came to or leaves from. 8-byte aligned.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct PacketInfo {
    len: usize,
    level: libc::c_int,
    kind: libc::c_int,
    info: libc::in_pktinfo,
}

/// `struct cmsghdr` with a GSO segment size.
#[repr(C, align(8))]
#[derive(Clone, Copy, Default)]
struct Segment {
    len: usize,
    level: libc::c_int,
    kind: libc::c_int,
    bytes: u16,
}

/// Control messages of a run: its source, then its segment size.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SendControl {
    source: PacketInfo,
    segment: Segment,
}

/// `size_of::<cmsghdr>()`: what precedes the data of a control message.
const CONTROL_HEADER: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();

impl Default for PacketInfo {
    fn default() -> Self {
        Self {
            len: 0,
            level: 0,
            kind: 0,
            info: libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: 0 },
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
        }
    }
}

impl SendControl {
    fn new(source: Ipv4Addr, segment: u16) -> Self {
        let mut control = Self::default();
        control.source.len = CONTROL_HEADER + size_of::<libc::in_pktinfo>();
        control.source.level = libc::IPPROTO_IP;
        control.source.kind = libc::IP_PKTINFO;
        control.source.info.ipi_spec_dst.s_addr = u32::from(source).to_be();
        control.segment.len = CONTROL_HEADER + size_of::<u16>();
        control.segment.level = libc::SOL_UDP;
        control.segment.kind = libc::UDP_SEGMENT;
        control.segment.bytes = segment;
        control
    }
}

/// Room for the one control message we ask the kernel for.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ReceivedControl(PacketInfo);

impl ReceivedControl {
    fn target(&self) -> Option<Ipv4Addr> {
        let message = &self.0;
        let is_info = message.level == libc::IPPROTO_IP
            && message.kind == libc::IP_PKTINFO
            && message.len >= CONTROL_HEADER + size_of::<libc::in_pktinfo>();
        is_info.then(|| Ipv4Addr::from(u32::from_be(message.info.ipi_addr.s_addr)))
    }
}

fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: passes a live c_int and its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The kernel's address; IPv4-mapped IPv6 becomes IPv4, so that one client has one name.
fn to_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer: *const libc::sockaddr_storage = storage;
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says the storage holds a sockaddr_in.
            let v4 = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says the storage holds a sockaddr_in6.
            let v6 = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical();
            Some(SocketAddr::new(ip, u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::net::UdpSocket;

    use super::super::backlog::Worth;
    use super::*;

    #[test]
    fn the_kernel_grants_what_the_shard_counts_on_or_says_so() {
        let wake = Arc::new(Wake::new().unwrap());
        let socket = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), wake).unwrap();
        let limit = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap();
            text.trim().parse::<usize>().unwrap()
        };
        // Past the limits only with CAP_NET_ADMIN; without, exactly up to them.
        let up_to = |limit: usize| limit.min(KERNEL_BUFFER_BYTES)..=KERNEL_BUFFER_BYTES;
        let Buffers { send, receive } = socket.granted;
        assert!(up_to(limit("wmem_max")).contains(&send), "{send}");
        assert!(up_to(limit("rmem_max")).contains(&receive), "{receive}");
        assert_eq!(socket.granted.are_full(), send.min(receive) >= KERNEL_BUFFER_BYTES);
    }

    #[test]
    fn what_waited_is_sent_first_and_best_first_when_there_is_room() {
        let wake = Arc::new(Wake::new().unwrap());
        let mut socket = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), wake).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (here, there) = (Ipv4Addr::LOCALHOST.into(), receiver.local_addr().unwrap());
        let now = Instant::now();
        // As if the kernel had just refused these.
        socket.backlog.push(Worth::Video, here, there, b"stale", now - Duration::from_secs(1));
        socket.backlog.push(Worth::Video, here, there, b"picture", now);
        socket.backlog.push(Worth::Control, here, there, b"check", now);
        // There is room, so waiting for it ends at once.
        socket.wait(Duration::from_secs(60));
        let mut batch = SendBatch::default();
        batch.push_udp(here, there, Worth::Audio, b"voice");
        let sent = socket.send(&mut batch, now);
        assert_eq!((sent.datagrams, sent.dropped, sent.deferred), (3, 1, 1));
        let heard = || {
            let mut buffer = [0; 16];
            let len = receiver.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..len]).into_owned()
        };
        assert_eq!([heard(), heard(), heard()], ["check", "voice", "picture"]);
        assert!(socket.backlog.is_empty());
    }

    #[test]
    fn an_announced_address_of_a_nat_is_not_sent_from() {
        let wake = Arc::new(Wake::new().unwrap());
        let mut socket = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), wake).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut batch = SendBatch::default();
        // TEST-NET-3 (RFC 5737): nobody's address.
        let destination = receiver.local_addr().unwrap();
        batch.push_udp(Ipv4Addr::new(203, 0, 113, 9).into(), destination, Worth::Control, b"hello");
        assert_eq!(socket.send(&mut batch, Instant::now()).datagrams, 1);
        assert_eq!(receiver.recv(&mut [0; 16]).unwrap(), 5);
    }

    #[test]
    fn a_socket_of_both_families_reaches_ipv4() {
        let wake = Arc::new(Wake::new().unwrap());
        let mut socket = BatchSocket::bind("[::]:0".parse().unwrap(), wake).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut batch = SendBatch::default();
        for _ in 0..3 {
            let destination = receiver.local_addr().unwrap();
            batch.push_udp(Ipv4Addr::LOCALHOST.into(), destination, Worth::Control, b"hello");
        }
        assert_eq!(socket.send(&mut batch, Instant::now()).datagrams, 3);
        let (len, from) = receiver.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(len, 5);
        receiver.send_to(b"back", from).unwrap();
        socket.wait(Duration::from_secs(5));
        assert_eq!(socket.receive(), 1);
        let source = socket.datagram(0).map(|(source, _, _)| source);
        assert_eq!(source, Some(receiver.local_addr().unwrap()), "one client, one name");
    }

    #[test]
    fn a_segmented_batch_arrives_as_single_datagrams() {
        let wake = Arc::new(Wake::new().unwrap());
        let mut socket = BatchSocket::bind("127.0.0.1:0".parse().unwrap(), wake).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut batch = SendBatch::default();
        for byte in 0..5_u8 {
            batch.push_udp(
                Ipv4Addr::LOCALHOST.into(),
                receiver.local_addr().unwrap(),
                Worth::Video,
                &vec![byte; if byte == 4 { 10 } else { 700 }],
            );
        }
        let sent = socket.send(&mut batch, Instant::now());
        assert_eq!((sent.datagrams, sent.dropped), (5, 0));
        let mut buffer = [0; 2_000];
        for byte in 0..5_u8 {
            let len = receiver.recv(&mut buffer).unwrap();
            assert_eq!((buffer[0], len), (byte, if byte == 4 { 10 } else { 700 }));
        }
        receiver.send_to(b"hello", socket.local_addr().unwrap()).unwrap();
        socket.wait(Duration::from_secs(5));
        assert_eq!(socket.receive(), 1);
        let local = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_eq!(socket.datagram(0), Some((receiver.local_addr().unwrap(), local, &b"hello"[..])));
    }
}
