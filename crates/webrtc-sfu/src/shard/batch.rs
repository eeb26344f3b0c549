//! What a turn of the loop wants to send: datagrams back to back in one buffer.
//!
//! Because they lie back to back, a run of equally long datagrams to one address can go to the kernel as a single
//! segmented send (UDP GSO).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::backlog::{Backlog, Worth};

/// Datagrams and ICE-TCP frames waiting for the end of the turn.
#[derive(Debug, Default)]
pub(crate) struct SendBatch {
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
    pub(crate) frames: Vec<(SocketAddr, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy)]
struct Datagram {
    source: IpAddr,
    destination: SocketAddr,
    start: usize,
    len: usize,
    worth: Worth,
}

/// A run of datagrams for one address: all `segment` bytes long, except the last, which may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Our address the client knows: answers must come from where it sent to.
    pub(crate) source: IpAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) segment: usize,
    pub(crate) count: usize,
}

/// Kernel limits of one segmented send (`UDP_MAX_SEGMENTS`, IP datagram size).
const MAX_SEGMENTS: usize = 64;
const MAX_RUN_BYTES: usize = 65_000;

impl SendBatch {
    /// A frame of an ICE-TCP stream.
    pub(crate) fn push_tcp(&mut self, destination: SocketAddr, contents: &[u8]) {
        self.frames.push((destination, contents.to_vec()));
    }

    pub(crate) fn push_udp(
        &mut self,
        source: IpAddr,
        destination: SocketAddr,
        worth: Worth,
        contents: &[u8],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(contents);
        self.datagrams.push(Datagram { source, destination, start, len: contents.len(), worth });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Datagrams in it.
    pub(crate) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Puts everything after the first `sent` datagrams into the backlog.
    pub(crate) fn defer(&self, sent: usize, backlog: &mut Backlog, now: Instant) {
        for datagram in self.datagrams.iter().skip(sent) {
            let bytes = &self.bytes[datagram.start..datagram.start + datagram.len];
            backlog.push(datagram.worth, datagram.source, datagram.destination, bytes, now);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }

    /// The batch as runs. With `segmented` false every run is one datagram.
    pub(crate) fn runs(&self, segmented: bool) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::with_capacity(self.datagrams.len());
        for datagram in &self.datagrams {
            if segmented
                && let Some(run) = runs.last_mut()
                && run.takes(datagram)
            {
                run.len += datagram.len;
                run.count += 1;
                continue;
            }
            runs.push(Run {
                source: datagram.source,
                destination: datagram.destination,
                start: datagram.start,
                len: datagram.len,
                segment: datagram.len,
                count: 1,
            });
        }
        runs
    }
}

impl Run {
    /// The same datagrams, each by itself.
    pub(crate) fn singles(self) -> Vec<Self> {
        (0..self.count)
            .map(|index| {
                let offset = index * self.segment;
                let len = self.segment.min(self.len - offset);
                Self { start: self.start + offset, len, segment: len, count: 1, ..self }
            })
            .collect()
    }

    fn takes(&self, next: &Datagram) -> bool {
        let all_full = self.len == self.segment * self.count;
        self.destination == next.destination
            && self.source == next.source
            && all_full
            && next.len > 0
            && next.len <= self.segment
            && self.count < MAX_SEGMENTS
            && self.len + next.len <= MAX_RUN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn equal_neighbours_for_one_address_form_a_run_and_a_shorter_one_ends_it() {
        let mut batch = SendBatch::default();
        for (port, len) in [(1, 100), (1, 100), (1, 40), (1, 100), (2, 100), (2, 120)] {
            batch.push_udp(address(9).ip(), address(port), Worth::Video, &vec![0; len]);
        }
        let counts: Vec<_> = batch.runs(true).iter().map(|run| (run.count, run.len)).collect();
        assert_eq!(counts, [(3, 240), (1, 100), (1, 100), (1, 120)]);
        assert_eq!(batch.runs(false).len(), 6);
        let singles: Vec<_> = batch.runs(true).into_iter().flat_map(Run::singles).collect();
        assert_eq!(singles, batch.runs(false));
    }
}
