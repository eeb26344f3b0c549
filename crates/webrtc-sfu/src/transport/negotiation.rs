//! Offers and answers (RFC 9429), and which track has which section.
//!
//! Where the client offers, waiting tracks are placed on its free receiving sections when it offers again; we ask for
//! that, and for missing sections, by `media_sections_requirement`. Where we offer, each change is a new offer, one
//! outstanding at a time.

mod sections;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use aura_media::MediaKind;
use aura_types::TrackSid;
use livekit_protocol as proto;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, Mid};

use self::sections::Sections;
use super::aic;
use super::channels::Channels;
use super::peer::Peer;
use super::sdp::{self, OfferedSection, PublishWish, SectionText};
use super::{Assignment, Role, TransportError};
use crate::engine::device::DeviceRules;

/// A client that does not answer an offer within this is told to reconnect.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long sections of tracks that are over may wait to be described as free.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);

/// Negotiation state of a connection.
#[derive(Debug, Default)]
pub(crate) struct Negotiation {
    sections: Sections,
    /// The size of the client's last offer, be it of data channels alone.
    offered: Option<OfferSize>,
    /// Sections (audio, video) asked of the client and not yet offered.
    asked: Option<(usize, usize)>,
    offer: Option<OutstandingOffer>,
    dirty: bool,
    /// Since when sections of tracks that are over await a description.
    releases_since: Option<Instant>,
    next_offer_id: u32,
    opened_channels: bool,
    /// The client has answered an offer of ours.
    answered: bool,
}

/// How much a client's offer was, in bytes.
#[derive(Debug, Clone, Copy)]
struct OfferSize {
    whole: usize,
    longest_section: usize,
}

impl OfferSize {
    /// What a section of media takes at least to reckon with, where none was seen yet.
    const SECTION_BYTES: usize = 4 * 1024;

    fn of(sdp: &str) -> Self {
        let longest_section = sdp::longest_section_bytes(sdp).max(Self::SECTION_BYTES);
        Self { whole: sdp.len(), longest_section }
    }

    /// How many sections more still make an offer that we take.
    fn room_left(self) -> usize {
        sdp::MAX_BYTES.saturating_sub(self.whole) / self.longest_section
    }
}

struct OutstandingOffer {
    id: u32,
    pending: SdpPendingOffer,
    /// The sections on which it says we send.
    sending: HashSet<Mid>,
    sent_at: Instant,
}

impl std::fmt::Debug for OutstandingOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutstandingOffer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the answer asks of a publisher, by what its section offers.
pub(crate) type PublishWishes<'a> = &'a dyn Fn(&OfferedSection) -> PublishWish;

impl Peer {
    /// Wants a section for the track. Nothing is sent yet.
    pub(crate) fn attach(&mut self, assignment: Assignment) {
        self.negotiation.dirty |= self.negotiation.sections.attach(assignment);
    }

    /// Gives the track's section up.
    pub(crate) fn detach(&mut self, track: &TrackSid) {
        self.negotiation.dirty |= self.negotiation.sections.detach(track);
    }

    /// Gives the section of a track up that is over. The client knows by signalling, so the description follows with
    /// the next change, or [`RELEASE_PATIENCE`] later: when many leave a hall, those who stay negotiate once.
    pub(crate) fn detach_ended(&mut self, track: &TrackSid, now: Instant) {
        if self.negotiation.sections.detach(track) {
            self.negotiation.releases_since.get_or_insert(now);
        }
    }

    /// Whether sections of tracks that are over have waited long enough to be described; says so once.
    pub(crate) fn releases_due(&mut self, now: Instant) -> bool {
        let negotiation = &mut self.negotiation;
        let due =
            negotiation.releases_since.is_some_and(|since| now.duration_since(since) >= RELEASE_PATIENCE);
        if due {
            (negotiation.releases_since, negotiation.dirty) = (None, true);
        }
        due
    }

    /// Each section carries one track and no other after it: Safari mixes them up.
    pub(crate) fn never_reuse_sections(&mut self) {
        self.negotiation.sections.reuse = false;
    }

    /// The section a track may be sent on now.
    pub(crate) fn live_section(&self, track: &TrackSid) -> Option<Mid> {
        self.negotiation.sections.live(track)
    }

    /// Sections the client publishes on that are open, by mid.
    pub(crate) fn publishing_mids(&self) -> impl Iterator<Item = Mid> + '_ {
        let sections = self.negotiation.sections.list.iter();
        sections.filter(|section| section.client_sends && !section.stopped).map(|section| section.mid)
    }

    /// Takes a client's offer and answers it. Returns the answer and what the client's sections said.
    pub(crate) fn accept_offer(
        &mut self,
        offer: &proto::SessionDescription,
        wishes: PublishWishes<'_>,
    ) -> Result<(proto::SessionDescription, Vec<OfferedSection>), TransportError> {
        check_bounds(&offer.sdp)?;
        let offered = sdp::read_sections(&offer.sdp);
        let text = sdp::without_unused_extensions(&self.readable(&offer.sdp));
        let parsed = SdpOffer::from_sdp_string(&text).map_err(|e| TransportError::Sdp(e.to_string()))?;
        self.renew_streams();
        let answer = self.rtc.sdp_api().accept_offer(parsed)?;
        self.note_formats();
        let sections = &mut self.negotiation.sections;
        sections.take_offered(&offered);
        sections.place_waiting();
        let mut texts = HashMap::new();
        let mut mid_to_track_id = HashMap::new();
        let mut sending = HashSet::new();
        for (section, offered) in sections.list.iter().zip(offered.iter().filter(|o| o.kind.is_some())) {
            let text =
                if section.client_sends { SectionText::Receive(wishes(offered)) } else { section.text() };
            if let SectionText::Send { track_id, .. } = &text {
                mid_to_track_id.insert(offered.mid.clone(), track_id.clone());
                sending.insert(section.mid);
            }
            texts.insert(offered.mid.clone(), text);
        }
        sections.announce(&sending);
        sections.refresh_live();
        self.negotiation.offered = Some(OfferSize::of(&offer.sdp));
        self.negotiation.asked = None;
        self.negotiation.releases_since = None;
        self.negotiation.dirty = !self.negotiation.sections.waiting.is_empty();
        let sdp = self.finish(sdp::rewrite(&answer.to_sdp_string(), &texts));
        let answer =
            proto::SessionDescription { r#type: "answer".into(), sdp, id: offer.id, mid_to_track_id };
        Ok((answer, offered))
    }

    /// Where the client offers: what to ask it for so that waiting tracks find a place and released sections are
    /// described as such. `None` = nothing to ask.
    pub(crate) fn requirement(&mut self) -> Option<proto::MediaSectionsRequirement> {
        let negotiation = &mut self.negotiation;
        let offered = negotiation.offered.filter(|_| self.role == Role::Single)?;
        if !std::mem::take(&mut negotiation.dirty) {
            return None;
        }
        let sections = &negotiation.sections;
        let (asked_audios, asked_videos) = negotiation.asked.unwrap_or_default();
        // More than a description may have is never asked for: it would be refused.
        let room_left =
            sections.room_left().min(offered.room_left()).saturating_sub(asked_audios + asked_videos);
        let audios = sections.missing(MediaKind::Audio).saturating_sub(asked_audios).min(room_left);
        let videos = sections.missing(MediaKind::Video).saturating_sub(asked_videos).min(room_left - audios);
        // An offer that is on its way anyway brings what needs no further section.
        let offer_needed = negotiation.asked.is_none() && sections.awaits_description();
        if audios + videos == 0 && !offer_needed {
            return None;
        }
        negotiation.asked = Some((asked_audios + audios, asked_videos + videos));
        let count = |sections| u32::try_from(sections).unwrap_or(u32::MAX);
        Some(proto::MediaSectionsRequirement { num_audios: count(audios), num_videos: count(videos) })
    }

    /// Where we offer: the next offer, if something changed and none is outstanding. `restart` renews ICE and
    /// replaces an outstanding offer.
    pub(crate) fn make_offer(&mut self, now: Instant, restart: bool) -> Option<proto::SessionDescription> {
        if self.role != Role::Subscriber {
            return None;
        }
        if restart && let Some(lost) = self.negotiation.offer.take() {
            // Channels offered for the first time were lost with it.
            self.negotiation.opened_channels = self.negotiation.answered;
            drop(lost);
            let rtc = &self.rtc;
            self.negotiation.sections.withdraw_unconfirmed(|mid| rtc.media(mid).is_some());
        }
        let first = !self.negotiation.opened_channels;
        if self.negotiation.offer.is_some() || !(self.negotiation.dirty || restart || first) {
            return None;
        }
        self.renew_streams();
        let sections = &mut self.negotiation.sections;
        let mut api = self.rtc.sdp_api();
        if first {
            for config in Channels::server_opened() {
                api.add_channel_with_config(config);
            }
            self.negotiation.opened_channels = true;
        }
        if restart {
            api.ice_restart(true);
        }
        for mid in sections.place_waiting() {
            api.set_direction(mid, Direction::SendOnly);
        }
        for section in sections.list.iter().filter(|section| section.assigned.is_none()) {
            api.set_direction(section.mid, Direction::Inactive);
        }
        let more = sections.waiting.len().min(sections.room_left());
        for assignment in sections.waiting.drain(..more).collect::<Vec<_>>() {
            let kind = match assignment.kind {
                MediaKind::Audio => str0m::media::MediaKind::Audio,
                MediaKind::Video => str0m::media::MediaKind::Video,
            };
            let (stream, track) = (assignment.stream_id.clone(), assignment.track.to_string());
            let mid = api.add_media(kind, Direction::SendOnly, Some(stream), Some(track), None);
            sections.add(mid, assignment);
        }
        (self.negotiation.dirty, self.negotiation.releases_since) = (false, None);
        let (offer, pending) = api.apply()?;
        let mut sending = HashSet::new();
        let mut texts = HashMap::new();
        for section in &mut sections.list {
            if section.assigned.is_some() {
                // The client may see this offer, even if it is replaced before it answers.
                section.announced = true;
                sending.insert(section.mid);
            }
            texts.insert(section.mid.to_string(), section.text());
        }
        self.negotiation.next_offer_id += 1;
        let id = self.negotiation.next_offer_id;
        self.negotiation.offer = Some(OutstandingOffer { id, pending, sending, sent_at: now });
        let sdp = self.finish(sdp::rewrite(&offer.to_sdp_string(), &texts));
        let mid_to_track_id = HashMap::new();
        Some(proto::SessionDescription { r#type: "offer".into(), sdp, id, mid_to_track_id })
    }

    /// Takes the client's answer. An answer to anything but the outstanding offer is ignored.
    pub(crate) fn accept_answer(&mut self, answer: &proto::SessionDescription) -> Result<(), TransportError> {
        check_bounds(&answer.sdp)?;
        let Some(outstanding) = self.negotiation.offer.take() else { return Ok(()) };
        // Clients that do not number their answers send 0.
        if answer.id != 0 && answer.id != outstanding.id {
            self.negotiation.offer = Some(outstanding);
            return Ok(());
        }
        let text = self.readable(&answer.sdp);
        let parsed = SdpAnswer::from_sdp_string(&text).map_err(|e| TransportError::Sdp(e.to_string()))?;
        self.rtc.sdp_api().accept_answer(outstanding.pending, parsed)?;
        self.note_formats();
        self.negotiation.answered = true;
        let sections = &mut self.negotiation.sections;
        sections.announce(&outstanding.sending);
        sections.refresh_live();
        // Sections that this answer freed may take tracks that found none.
        self.negotiation.dirty |= sections.awaits_description();
        Ok(())
    }

    /// Gives released sections a stream of their own for the next track.
    fn renew_streams(&mut self) {
        for mid in self.negotiation.sections.take_stale() {
            if self.rtc.media(mid).is_none() {
                continue;
            }
            let mut api = self.rtc.direct_api();
            let Some((ssrc, repair)) = api.stream_tx_by_mid(mid, None).map(|old| (old.ssrc(), old.rtx()))
            else {
                continue;
            };
            let repair = repair.map(|_| api.new_ssrc());
            api.remove_stream_tx(ssrc);
            let fresh = api.new_ssrc();
            api.declare_stream_tx(fresh, repair, mid, None);
        }
    }

    /// A client's description as the stack is to read it; notes what it says about AIC.
    fn readable(&mut self, sdp: &str) -> String {
        // Without AIC the stand-in must not be negotiated either; no model has an empty name.
        let model = self.aic_model.clone();
        let (text, terms) = aic::inbound(sdp, model.as_deref().unwrap_or_default());
        if model.is_some() {
            self.aic_terms = terms;
        }
        sdp::without_candidates(&text)
    }

    /// A description of ours as the client may see it: with our names, and without what its device must not use.
    fn finish(&self, sdp: String) -> String {
        if self.device == DeviceRules::default() {
            return self.name_aic(sdp);
        }
        let publishes = |mid: &str| {
            let section = self.negotiation.sections.list.iter().find(|section| *section.mid == *mid);
            section.is_some_and(|section| section.client_sends)
        };
        let refused = |mid: &str| match publishes(mid) {
            true => self.device.withheld().collect(),
            false => self.device.never.clone(),
        };
        self.name_aic(sdp::without(&sdp, refused))
    }

    fn name_aic(&self, sdp: String) -> String {
        match &self.aic_model {
            Some(model) => aic::outbound(&sdp, model).into_owned(),
            None => sdp,
        }
    }

    /// Whether an offer of ours has gone unanswered for too long.
    pub(crate) fn answer_overdue(&self, now: Instant) -> bool {
        self.negotiation
            .offer
            .as_ref()
            .is_some_and(|offer| now.duration_since(offer.sent_at) > ANSWER_TIMEOUT)
    }
}

fn check_bounds(sdp: &str) -> Result<(), TransportError> {
    sdp::excess(sdp).map_or(Ok(()), |excess| Err(TransportError::Limit(excess)))
}
