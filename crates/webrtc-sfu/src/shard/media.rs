//! From an incoming packet to its copies, and keyframe requests the other way.

use std::sync::Arc;
use std::time::Instant;

use aura_media::keyframe::starts_keyframe;
use aura_media::rewrite::{Numbers, Vp8Numbers};
use aura_media::{Codec, MediaKind, red};
use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket, Vp8Descriptor};

use super::fanout::{Copy, Format, OutFormat, Source, TrackId};
use super::peers::Peers;
use super::worker::Shard;
use crate::engine::aic_fit::Fitted;
use crate::engine::forward::{Incoming, Verdict};
use crate::transport::descriptor::Descriptor;
use crate::transport::{Outgoing, PeerId, SubscriberTransport, aic};
use aura_media::layer::Layer;

impl Shard {
    /// Forwards one packet that came on `from`.
    pub(crate) fn on_rtp(&mut self, from: PeerId, packet: RtpPacket) {
        self.counters.packets_in += 1;
        let Some(source) = self.source_of(from, &packet) else {
            self.counters.media_unclaimed += 1;
            return;
        };
        let Some(format) = self.format_of(from, source.track, packet.header.payload_type) else { return };
        let Some(track) = self.tracks.get_mut(source.track) else { return };
        let now = packet.timestamp;
        let ssrc = packet.header.ssrc;
        if track.layer_ssrc[source.layer.index()] != Some(ssrc) {
            if !track.may_return(source.layer, now) {
                self.counters.media_superseded += 1;
                return;
            }
            track.replace_stream(source.layer, ssrc);
        }
        if track.notes_format(&format, now)
            && let Some(host) = self.rooms.get_mut(&track.room)
        {
            host.room.format_seen(&track.publisher, &track.sid, format.codec);
            self.rooms_with_output.push(Arc::clone(&track.room));
        }
        if format.codec == Codec::Aic && !self.admits_aic(source.track, &packet) {
            return;
        }
        let Some(track) = self.tracks.get_mut(source.track) else { return };
        track.activity.observe(source.layer, now);
        track.losses[source.layer.index()].observe(*packet.seq_no);
        if !track.open {
            return;
        }
        if let Some(level) = packet.header.ext_vals.audio_level {
            let (timestamp, clock_rate) = (packet.header.timestamp, format.codec.clock_rate());
            track.level.observe(now, timestamp, clock_rate, level.unsigned_abs());
        }
        if let Some(aic) = &mut track.aic {
            aic.observe(format.codec, &packet);
        }
        if track.copies.is_empty() {
            return;
        }
        let fitted = track.aic.as_mut().map_or_else(Fitted::sealed, |aic| aic.fit(&packet, &track.copies));
        let vp8 = match format.codec {
            Codec::Vp8 => Vp8Descriptor::parse(&packet.payload).ok(),
            _ => None,
        };
        let incoming = Incoming {
            at: now,
            layer: source.layer,
            numbers: Numbers { sequence: *packet.seq_no, timestamp: packet.header.timestamp },
            vp8: vp8.map_or_else(Vp8Numbers::default, |descriptor| Vp8Numbers {
                picture_id: descriptor.picture_id(),
                tl0_picture_index: descriptor.tl0_pic_idx(),
            }),
            starts_keyframe: starts_keyframe(format.codec, &packet.payload),
            clock_rate: format.codec.clock_rate(),
        };
        let clock = self
            .rooms
            .get(&track.room)
            .and_then(|host| host.links.get(&track.publisher))
            .map(|link| link.clock.clone())
            .unwrap_or_default();
        let wallclock =
            track.capture_instant(&clock, source.layer, packet.header.timestamp, incoming.clock_rate, now);
        let forwarding = Forwarding {
            packet: &packet,
            format,
            incoming,
            wallclock,
            extensions: forwarded_extensions(&packet.header.ext_vals),
        };
        let mut shared = Shared { primary: None, fitted, refused: Vec::new() };
        let mut copies = std::mem::take(&mut track.copies);
        for copy in &mut copies {
            forwarding.send(copy, &mut self.peers, &mut shared);
        }
        self.counters.aic_truncated += shared.fitted.truncated;
        self.counters.aic_deepened += shared.fitted.deepened;
        if let Some(track) = self.tracks.get_mut(source.track) {
            track.copies = copies;
        }
        self.tell_refused(source.track, &shared.refused);
        if format.codec == Codec::Aic {
            self.transcode(source.track, &packet, now);
        }
    }

    /// Tells subscribers that cannot decode the track.
    fn tell_refused(&mut self, id: TrackId, subscribers: &[PeerId]) {
        for subscriber in subscribers {
            let (Some(track), Some(slot)) = (self.tracks.get_mut(id), self.peers.get(*subscriber)) else {
                continue;
            };
            if let Some(host) = self.rooms.get_mut(&track.room) {
                host.room.codec_unsupported(&slot.peer.owner, &track.sid);
                self.rooms_with_output.push(Arc::clone(&track.room));
            }
        }
    }

    /// A subscriber lost the picture: ask the publisher, unless it was asked just now.
    pub(crate) fn on_keyframe_request(&mut self, subscriber: PeerId, mid: Mid, now: Instant) {
        let Some(copy) = self.peers.get(subscriber).and_then(|slot| slot.copies.get(&mid)).cloned() else {
            return;
        };
        let Some(track) = self.tracks.get_mut(copy.track) else { return };
        let layer =
            track.copy_mut(subscriber).and_then(|copy| copy.down.followed_layer()).unwrap_or_default();
        self.ask_keyframe(copy.track, layer, now);
    }

    /// Asks the publisher for a keyframe of one layer, throttled.
    pub(crate) fn ask_keyframe(&mut self, id: TrackId, layer: Layer, now: Instant) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        let peer = track.peer;
        if let Some(ssrc) = track.may_request_keyframe(layer, now)
            && self.peers.change(peer, |peer| Ok(peer.request_keyframe(ssrc))) == Some(true)
        {
            track.keyframe_requested(layer, now);
        }
    }

    /// Lets every copy of a track choose its layer from those alive, and asks for the keyframes that needs. Copies whose
    /// subscriber is not connected yet would make the publisher send keyframes to nobody.
    pub(crate) fn choose_layers(&mut self, id: TrackId, now: Instant) {
        self.choose_layers_of(id, None, now);
    }

    /// The same for one subscriber's copy: what it changes about itself is no matter of the others.
    pub(crate) fn choose_layer(&mut self, id: TrackId, subscriber: PeerId, now: Instant) {
        self.choose_layers_of(id, Some(subscriber), now);
    }

    fn choose_layers_of(&mut self, id: TrackId, only: Option<PeerId>, now: Instant) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        if track.kind != MediaKind::Video || !track.open {
            return;
        }
        let candidates = track.candidate_layers(now);
        let mut wanted = [false; 3];
        for copy in track.copies.iter_mut().filter(|copy| only.is_none_or(|only| only == copy.subscriber)) {
            let connected = self.peers.get(copy.subscriber).is_some_and(|slot| slot.peer.connected);
            if let Some(layer) = copy.down.choose_layer(candidates).filter(|_| connected) {
                wanted[layer.index()] = true;
            }
        }
        for layer in Layer::ALL.into_iter().filter(|layer| wanted[layer.index()]) {
            self.ask_keyframe(id, layer, now);
        }
    }

    /// A subscriber's connection came up: its pictures may begin.
    pub(crate) fn choose_layers_for(&mut self, subscriber: PeerId, now: Instant) {
        let Some(slot) = self.peers.get(subscriber) else { return };
        for copy in slot.copies.values().cloned().collect::<Vec<_>>() {
            self.choose_layer(copy.track, subscriber, now);
        }
    }

    /// A subscriber reported loss of one video, or of AIC: its cap may move, and with it every copy it gets. Of AIC it
    /// gets more of the past in each packet.
    pub(crate) fn on_downlink_loss(&mut self, subscriber: PeerId, mid: Mid, loss: f32, now: Instant) {
        let Some(slot) = self.peers.get_mut(subscriber) else { return };
        let Some(copy) = slot.copies.get(&mid) else { return };
        let Some(track) = self.tracks.get_mut(copy.track) else { return };
        let upstream_loss = track.upstream_loss;
        let Some(copy) = track.copy_mut(subscriber) else { return };
        // Gaps in what we received are forwarded as gaps; they say nothing about this subscriber's network.
        let own = (loss - upstream_loss[copy.down.followed_layer().unwrap_or_default().index()]).max(0.0);
        let age = now.duration_since(copy.since);
        copy.redundancy.report(u64::try_from(age.as_millis()).unwrap_or(u64::MAX), own, 1.0);
        if !(track.kind == MediaKind::Video || track.aic.is_some()) || !slot.downlink.report(own, now) {
            return;
        }
        let cap = slot.downlink.cap();
        tracing::debug!(room.name = %slot.peer.room, participant.sid = %slot.peer.owner, ?cap, loss, "layers capped");
        for copy in slot.copies.values().cloned().collect::<Vec<_>>() {
            if let Some(copy) = self.tracks.get_mut(copy.track).and_then(|track| track.copy_mut(subscriber)) {
                copy.down.limit(cap);
            }
            self.choose_layer(copy.track, subscriber, now);
        }
    }

    fn source_of(&mut self, from: PeerId, packet: &RtpPacket) -> Option<Source> {
        let slot = self.peers.get_mut(from)?;
        if let Some(source) = slot.sources.get(&packet.header.ssrc) {
            return Some(*source);
        }
        let (mid, rid) = slot.peer.stream_source(packet.header.ssrc)?;
        let track = *slot.published.get(&mid)?;
        let found = self.tracks.get_mut(track)?;
        let named = rid.as_deref().and_then(Layer::from_rid);
        let layer = named.or(found.layers_by_ssrc.get(&packet.header.ssrc).copied()).unwrap_or_default();
        let source = Source { track, layer };
        slot.sources.insert(packet.header.ssrc, source);
        found.replace_stream(layer, packet.header.ssrc);
        found.activity.observe(layer, packet.timestamp);
        self.choose_layers(track, packet.timestamp);
        Some(source)
    }

    fn format_of(&mut self, from: PeerId, track: TrackId, pt: Pt) -> Option<Format> {
        let published = self.tracks.get_mut(track)?;
        if let Some(format) = published.formats.iter().find(|format| format.pt == pt) {
            return Some(*format);
        }
        let config = self.peers.get(from)?.peer.rtc.codec_config();
        let params = *config.find(|params| params.pt() == pt || params.red() == Some(pt))?;
        let codec = codec_of(&params)?;
        let format = Format { pt, codec, params, red: params.red() == Some(pt) };
        published.formats.push(format);
        Some(format)
    }
}

/// Everything about one packet that all its copies share.
struct Forwarding<'a> {
    packet: &'a RtpPacket,
    format: Format,
    incoming: Incoming,
    wallclock: Instant,
    extensions: ExtensionValues,
}

impl Forwarding<'_> {
    fn send(&self, copy: &mut Copy, peers: &mut Peers, shared: &mut Shared) {
        let Some(slot) = peers.get_mut(copy.subscriber).filter(|slot| slot.peer.connected) else { return };
        let out = match copy.formats.iter().find(|(pt, _)| *pt == self.format.pt) {
            Some((_, out)) => *out,
            None => {
                let out = out_format(&slot.peer, copy, self.format);
                copy.formats.push((self.format.pt, out));
                if out == OutFormat::Unsupported && self.format.codec != Codec::Aic {
                    shared.refused.push(copy.subscriber);
                }
                out
            }
        };
        let (pt, payload) = match out {
            OutFormat::Unsupported => return,
            OutFormat::Same(pt) => (pt, Arc::clone(&self.packet.payload)),
            OutFormat::StripRed(pt) => {
                if shared.primary.is_none() {
                    shared.primary = red::primary(&self.packet.payload).map(|(_, block)| block.into());
                }
                let Some(block) = &shared.primary else { return };
                (pt, Arc::clone(block))
            }
            OutFormat::Aic(pt) => {
                let (cap, depth) = (slot.downlink.cap(), copy.redundancy.depth());
                (pt, shared.fitted.to(cap, depth, &self.packet.payload))
            }
        };
        if std::mem::take(&mut copy.transcoded) {
            // The publisher's own Opus after the transcoder's: other numbers, the same stream.
            copy.down.resync();
        }
        let Verdict::Forward(numbers, vp8) = copy.down.forward(&self.incoming) else { return };
        let renumbered = vp8 != self.incoming.vp8;
        let peer = copy.subscriber;
        peers.change(peer, |peer| {
            peer.push(Outgoing {
                ssrc: copy.ssrc,
                pt,
                numbers,
                vp8: renumbered.then_some(vp8),
                marker: self.packet.header.marker,
                extensions: &self.extensions,
                payload,
                wallclock: self.wallclock,
                retransmit: self.format.codec.kind() == MediaKind::Video,
            });
            Ok(())
        });
    }
}

/// What copies that need it share.
struct Shared {
    /// The primary block of RED.
    primary: Option<Arc<[u8]>>,
    fitted: Fitted,
    /// Subscribers found unable to decode what came. Those of AIC get Opus instead.
    refused: Vec<PeerId>,
}

/// Extensions that mean the same to the receiver. Stream names and transport numbers are each connection's own.
fn forwarded_extensions(received: &ExtensionValues) -> ExtensionValues {
    let mut forwarded = ExtensionValues {
        audio_level: received.audio_level,
        voice_activity: received.voice_activity,
        video_orientation: received.video_orientation,
        abs_capture_time: received.abs_capture_time,
        play_delay_min: received.play_delay_min,
        play_delay_max: received.play_delay_max,
        ..ExtensionValues::default()
    };
    if let Some(meta) = received.user_values.get_arc::<aic::Meta>() {
        forwarded.user_values.set_arc(meta);
    }
    if let Some(descriptor) = received.user_values.get_arc::<Descriptor>() {
        forwarded.user_values.set_arc(descriptor);
    }
    forwarded
}

fn out_format(peer: &crate::transport::peer::Peer, copy: &Copy, format: Format) -> OutFormat {
    if (format.codec == Codec::Aic && !copy.takes_aic) || peer.device.never.contains(&format.codec) {
        return OutFormat::Unsupported;
    }
    let Some(params) = peer.rtc.codec_config().match_params(format.params) else {
        return OutFormat::Unsupported;
    };
    let negotiated = peer.rtc.media(copy.mid).is_some_and(|media| media.remote_pts().contains(&params.pt()));
    match (negotiated, format.red, params.red()) {
        (false, ..) => OutFormat::Unsupported,
        (true, false, _) if format.codec == Codec::Aic => OutFormat::Aic(params.pt()),
        (true, false, _) => OutFormat::Same(params.pt()),
        (true, true, Some(red)) => OutFormat::Same(red),
        (true, true, None) => OutFormat::StripRed(params.pt()),
    }
}

fn codec_of(params: &str0m::format::PayloadParams) -> Option<Codec> {
    use str0m::format::Codec as Negotiated;
    Some(match params.spec().codec {
        Negotiated::Opus => Codec::Opus,
        _ if aic::is_aic(params) => Codec::Aic,
        Negotiated::PCMU => Codec::Pcmu,
        Negotiated::PCMA => Codec::Pcma,
        Negotiated::Vp8 => Codec::Vp8,
        Negotiated::Vp9 => Codec::Vp9,
        Negotiated::H264 => Codec::H264,
        Negotiated::H265 => Codec::H265,
        Negotiated::Av1 => Codec::Av1,
        _ => return None,
    })
}
