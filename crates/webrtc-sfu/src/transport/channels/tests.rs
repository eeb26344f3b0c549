//! Channels over a thin link: two connections in one process, on simulated time.
#![expect(clippy::disallowed_methods, reason = "any instant will do")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use aura_media::data_track::{self, Extensions, Header};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, RtcConfig};

use super::*;

/// What the link takes towards the client, and what its router holds before it drops.
const LINK_BYTES_PER_S: usize = 125_000;
const ROUTER_BYTES: usize = 32 * 1024;
const DELAY: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(1);

struct Datagram {
    arrives: Instant,
    source: SocketAddr,
    destination: SocketAddr,
    bytes: Vec<u8>,
}

/// A server, a client behind a thin link, and what the client heard, by channel.
struct Line {
    server: Rtc,
    client: Rtc,
    channels: Channels,
    now: Instant,
    link_free: Instant,
    flying: [VecDeque<Datagram>; 2],
    labels: HashMap<ChannelId, String>,
    heard: Vec<(Instant, String, Vec<u8>)>,
    said: u16,
}

impl Line {
    fn open() -> Self {
        let now = Instant::now();
        let rtc = |address: &str| {
            let mut rtc = RtcConfig::new().set_sctp_max_buffered_amount(1024 * 1024).build(now);
            rtc.add_local_candidate(Candidate::host(address.parse().unwrap(), "udp").unwrap());
            rtc
        };
        let (mut server, mut client) = (rtc("192.0.2.1:1000"), rtc("192.0.2.2:2000"));
        let mut change = server.sdp_api();
        for config in Channels::server_opened() {
            change.add_channel_with_config(config);
        }
        let (offer, pending) = change.apply().unwrap();
        let answer = client.sdp_api().accept_offer(offer).unwrap();
        server.sdp_api().accept_answer(pending, answer).unwrap();
        let mut line = Self {
            server,
            client,
            channels: Channels::default(),
            now,
            link_free: now,
            flying: Default::default(),
            labels: HashMap::new(),
            heard: Vec::new(),
            said: 0,
        };
        for _ in 0..5_000 {
            line.step();
            if line.labels.len() == 3
                && line.channels.data_track.is_some()
                && line.channels.reliable.is_some()
            {
                return line;
            }
        }
        panic!("the channels never opened");
    }

    /// A millisecond passes.
    fn step(&mut self) {
        self.drain(true);
        self.drain(false);
        self.now += STEP;
        for (index, rtc) in [&mut self.server, &mut self.client].into_iter().enumerate() {
            while let Some(datagram) =
                self.flying[index].pop_front_if(|datagram| datagram.arrives <= self.now)
            {
                let Datagram { source, destination, bytes, .. } = &datagram;
                let receive = Receive::new(Protocol::Udp, *source, *destination, bytes).unwrap();
                rtc.handle_input(Input::Receive(self.now, receive)).unwrap();
            }
            rtc.handle_input(Input::Timeout(self.now)).unwrap();
        }
    }

    fn drain(&mut self, is_server: bool) {
        loop {
            let rtc = if is_server { &mut self.server } else { &mut self.client };
            match rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    let bytes = transmit.contents.to_vec();
                    let mut leaves = self.now;
                    if is_server {
                        let waiting = self.link_free.saturating_duration_since(self.now);
                        if waiting.as_secs_f64() * LINK_BYTES_PER_S as f64 > ROUTER_BYTES as f64 {
                            continue;
                        }
                        let takes = Duration::from_secs_f64(bytes.len() as f64 / LINK_BYTES_PER_S as f64);
                        self.link_free = self.link_free.max(self.now) + takes;
                        leaves = self.link_free;
                    }
                    let (source, destination) = (transmit.source, transmit.destination);
                    let datagram = Datagram { arrives: leaves + DELAY, source, destination, bytes };
                    self.flying[usize::from(is_server)].push_back(datagram);
                }
                Output::Event(Event::ChannelOpen(id, label)) if is_server => self.channels.opened(id, &label),
                Output::Event(Event::ChannelBufferedAmountLow(_)) if is_server => {
                    self.channels.flush(&mut self.server, self.now);
                }
                Output::Event(Event::ChannelOpen(id, label)) => {
                    self.labels.insert(id, label);
                }
                Output::Event(Event::ChannelData(data)) => {
                    let label = self.labels.get(&data.id).cloned().unwrap_or_default();
                    self.heard.push((self.now, label, data.data));
                }
                Output::Event(_) => {}
            }
        }
    }

    /// Sends a frame of a data track in packets of `sizes` that say when they were sent.
    fn say(&mut self, start: Instant, sizes: &[usize]) {
        let at = u32::try_from(self.now.duration_since(start).as_millis()).unwrap();
        self.said = self.said.wrapping_add(1);
        for (index, size) in sizes.iter().enumerate() {
            let header = Header {
                first: index == 0,
                last: index + 1 == sizes.len(),
                handle: 1,
                sequence: 0,
                frame: self.said,
                timestamp: at,
            };
            let mut packet = Vec::new();
            data_track::write(&header, &Extensions::default(), &mut packet);
            packet.resize(*size, 0);
            self.channels.send_track(&mut self.server, &packet, self.now);
        }
    }

    /// The frames of which every one of `count` packets was heard.
    fn whole(&self, count: usize) -> usize {
        let mut packets: HashMap<u16, usize> = HashMap::new();
        for (_, label, packet) in &self.heard {
            if label == DATA_TRACK {
                *packets.entry(Packet::parse(packet).unwrap().header.frame).or_default() += 1;
            }
        }
        packets.values().filter(|heard| **heard == count).count()
    }

    /// How old each data-track packet was when it was heard, in order.
    fn ages(&self, start: Instant) -> Vec<Duration> {
        let tracks = self.heard.iter().filter(|(_, label, _)| label == DATA_TRACK);
        let age = |(heard, _, packet): &(Instant, String, Vec<u8>)| {
            let said = Packet::parse(packet).unwrap().header.timestamp;
            heard.duration_since(start) - Duration::from_millis(said.into())
        };
        tracks.map(age).collect()
    }
}

#[test]
fn a_flood_behind_a_thin_link_is_heard_near_the_present() {
    let mut line = Line::open();
    let start = line.now;
    // Ten seconds of five times what the link takes.
    for _ in 0..10_000 {
        line.say(start, &[LINK_BYTES_PER_S / 200]);
        line.step();
    }
    let ages = line.ages(start);
    let settled = &ages[ages.len() / 2..];
    let oldest = settled.iter().max().unwrap();
    assert!(*oldest < Duration::from_secs(1), "{oldest:?}");
    let heard = ages.len() * LINK_BYTES_PER_S / 200;
    assert!(heard > 3 * LINK_BYTES_PER_S, "the link is used: {heard} bytes in 10 s");
    assert!(line.channels.tracks.dropped > 1_000, "what does not fit is dropped");
}

#[test]
fn large_frames_behind_a_thin_link_arrive_whole_or_not_at_all() {
    let mut line = Line::open();
    let start = line.now;
    // Ten seconds of frames of 48 kB, four times what the link takes.
    for ms in 0..10_000 {
        if ms % 100 == 0 {
            line.say(start, &[16_000; 3]);
        }
        line.step();
    }
    let whole = line.whole(3);
    assert!(whole >= 6, "{whole} of the 26 frames the link could take");
    let latest = *line.ages(start).iter().max().unwrap();
    assert!(latest < Duration::from_secs(2), "{latest:?}");
}

#[test]
fn a_file_on_its_way_does_not_silence_a_voice() {
    let mut line = Line::open();
    let start = line.now;
    let piece: Arc<[u8]> = vec![7; 1_000].into();
    for _ in 0..7_000 {
        line.channels.send(&mut line.server, DataChannel::Reliable, Arc::clone(&piece));
    }
    let mut said = 0;
    for ms in 0..10_000 {
        if ms % 20 == 0 {
            line.say(start, &[40]);
            said += 1;
        }
        line.step();
    }
    let ages = line.ages(start);
    // What the link loses under load is lost; nothing else is.
    assert!(ages.len() * 10 > said * 7, "{} of {said}", ages.len());
    let late = ages.iter().filter(|age| **age > Duration::from_secs(1)).count();
    assert!(late * 10 < ages.len(), "{late} of {} late", ages.len());
    assert!(line.channels.queued_bytes > 0, "the file still waits");
    let file = line.heard.iter().filter(|(_, label, _)| label == RELIABLE).count();
    assert!(file > 100, "and makes its way: {file} pieces");
}
