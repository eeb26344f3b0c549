//! One peer connection: a state machine and its own UDP socket on loopback.
//!
//! Own socket, because servers tell transports apart by the remote address.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// What a peer connection told while it was driven.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) keyframe_wanted: bool,
}

pub(super) struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    pub(super) deadline: Instant,
    pub(super) connected: bool,
    pub(super) failed: bool,
    pending: Option<SdpPendingOffer>,
    sending: Option<Mid>,
}

impl Peer {
    pub(super) fn new(registry: &Registry, token: Token, now: Instant) -> anyhow::Result<Self> {
        let mut socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_rtp_mode(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp")?).context("a host candidate")?;
        Ok(Self {
            rtc,
            socket,
            address,
            deadline: now,
            connected: false,
            failed: false,
            pending: None,
            sending: None,
        })
    }

    /// An offer to send one track called `track`.
    pub(super) fn offer(&mut self, kind: MediaKind, track: &str) -> anyhow::Result<String> {
        let mut changes = self.rtc.sdp_api();
        let (stream, track) = ("stream".to_owned(), track.to_owned());
        let mid = changes.add_media(kind, Direction::SendOnly, Some(stream), Some(track), None);
        let (offer, pending) = changes.apply().context("an offer with a track")?;
        self.pending = Some(pending);
        self.sending = Some(mid);
        Ok(offer.to_sdp_string())
    }

    pub(super) fn accept_answer(&mut self, sdp: &str) -> anyhow::Result<()> {
        let pending = self.pending.take().context("an answer to no offer")?;
        let answer = SdpAnswer::from_sdp_string(sdp)?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        Ok(())
    }

    pub(super) fn accept_offer(&mut self, sdp: &str) -> anyhow::Result<String> {
        let answer = self.rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(sdp)?)?;
        Ok(answer.to_sdp_string())
    }

    /// A candidate we cannot use, such as one over TCP, is no fault.
    pub(super) fn add_candidate(&mut self, line: &str) {
        if let Ok(candidate) = Candidate::from_sdp_string(line) {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    pub(super) fn write(
        &mut self,
        codec: Codec,
        sequence: u64,
        time: u32,
        marker: bool,
        payload: Arc<[u8]>,
        now: Instant,
    ) {
        let params = self.rtc.codec_config().params().iter().find(|params| params.spec().codec == codec);
        let (Some(mid), Some(pt)) = (self.sending, params.map(|params| params.pt())) else { return };
        let mut write = RtpWrite::new(pt, sequence.into(), time, now, payload).marker(marker);
        if codec == Codec::Opus {
            // Loud speech, so that speaker detection has its usual work.
            write = write.ext_vals(ExtensionValues {
                audio_level: Some(-20),
                voice_activity: Some(true),
                ..ExtensionValues::default()
            });
        }
        if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(mid, None) {
            stream.write_rtp(write);
        }
    }

    /// Feeds everything the socket holds. `on_media` gets every media payload and when it was read.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        clock: impl Fn() -> Instant,
        on_media: &mut impl FnMut(&[u8], Instant),
    ) -> News {
        let mut news = News::default();
        loop {
            let (length, source) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return news,
                // The server's socket is gone; ICE will find out.
                Err(_) => continue,
            };
            let now = clock();
            let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, &buffer[..length]) else {
                continue;
            };
            self.feed(Input::Receive(now, receive), now, on_media, &mut news);
        }
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant, on_media: &mut impl FnMut(&[u8], Instant)) -> News {
        let mut news = News::default();
        self.feed(Input::Timeout(now), now, on_media, &mut news);
        news
    }

    fn feed(
        &mut self,
        input: Input<'_>,
        now: Instant,
        on_media: &mut impl FnMut(&[u8], Instant),
        news: &mut News,
    ) {
        if self.rtc.handle_input(input).is_err() {
            self.failed = true;
            return;
        }
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(deadline)) => {
                    self.deadline = deadline;
                    return;
                }
                // A full socket buffer loses the packet, as a network would; the meter counts it.
                Ok(Output::Transmit(transmit)) => {
                    let _ = self.socket.send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(Event::RtpPacket(packet))) => on_media(&packet.payload, now),
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::KeyframeRequest(_))) => news.keyframe_wanted = true,
                Ok(Output::Event(_)) => {}
                Err(_) => {
                    self.failed = true;
                    return;
                }
            }
        }
    }
}
