//! Offers and answers (RFC 9429), and which track has which section.
//!
//! Where the client offers, waiting tracks are placed on its free receiving sections when it offers again; we ask for
//! that, and for missing sections, by `media_sections_requirement`. Where we offer, each change is a new offer, one
//! outstanding at a time.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use aura_media::MediaKind;
use aura_types::TrackSid;
use livekit_protocol as proto;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, Mid};

use super::aic;
use super::channels::Channels;
use super::peer::Peer;
use super::sdp::{self, OfferedSection, SectionText};
use super::{Assignment, Role, TransportError};

/// A client that does not answer an offer within this is told to reconnect.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// One media section of the connection.
#[derive(Debug)]
struct Section {
    mid: Mid,
    kind: MediaKind,
    /// The client publishes on it.
    client_sends: bool,
    stopped: bool,
    assigned: Option<Assignment>,
}

/// Negotiation state of a connection.
#[derive(Debug, Default)]
pub(crate) struct Negotiation {
    sections: Vec<Section>,
    waiting: Vec<Assignment>,
    /// Tracks whose section is negotiated: forwarding may run.
    live: HashMap<TrackSid, Mid>,
    /// Sections (audio, video) asked of the client and not yet offered.
    asked: Option<(u32, u32)>,
    offer: Option<OutstandingOffer>,
    dirty: bool,
    next_offer_id: u32,
    opened_channels: bool,
    /// The client has answered an offer of ours.
    answered: bool,
}

struct OutstandingOffer {
    id: u32,
    pending: SdpPendingOffer,
    sent_at: Instant,
}

impl std::fmt::Debug for OutstandingOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutstandingOffer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Opus parameters the answer asks a publisher to use, by the track id in its offer.
pub(crate) type OpusParameters<'a> = &'a dyn Fn(&str) -> Vec<&'static str>;

impl Peer {
    /// Wants a section for the track. Nothing is sent yet.
    pub(crate) fn attach(&mut self, assignment: Assignment) {
        let negotiation = &mut self.negotiation;
        let known = negotiation.waiting.iter().any(|waiting| waiting.track == assignment.track)
            || negotiation.sections.iter().any(|section| section.holds(&assignment.track));
        if !known {
            negotiation.waiting.push(assignment);
            negotiation.dirty = true;
        }
    }

    /// Gives the track's section up.
    pub(crate) fn detach(&mut self, track: &TrackSid) {
        let negotiation = &mut self.negotiation;
        negotiation.waiting.retain(|waiting| waiting.track != *track);
        negotiation.live.remove(track);
        if let Some(section) = negotiation.sections.iter_mut().find(|section| section.holds(track)) {
            section.assigned = None;
            negotiation.dirty = true;
        }
    }

    /// The section a track may be sent on now.
    pub(crate) fn live_section(&self, track: &TrackSid) -> Option<Mid> {
        self.negotiation.live.get(track).copied()
    }

    /// Sections the client publishes on that are open, by mid.
    pub(crate) fn publishing_mids(&self) -> impl Iterator<Item = Mid> + '_ {
        self.negotiation
            .sections
            .iter()
            .filter(|section| section.client_sends && !section.stopped)
            .map(|section| section.mid)
    }

    /// Takes a client's offer and answers it. Returns the answer and what the client's sections said.
    pub(crate) fn accept_offer(
        &mut self,
        offer: &proto::SessionDescription,
        opus: OpusParameters<'_>,
    ) -> Result<(proto::SessionDescription, Vec<OfferedSection>), TransportError> {
        check_size(&offer.sdp)?;
        let offered = sdp::read_sections(&offer.sdp);
        if offered.len() > sdp::MAX_SECTIONS {
            return Err(TransportError::Limit("too many media sections"));
        }
        let text = self.read_aic(&offer.sdp);
        let parsed = SdpOffer::from_sdp_string(&text).map_err(|e| TransportError::Sdp(e.to_string()))?;
        let answer = self.rtc.sdp_api().accept_offer(parsed)?;
        self.negotiation.take_offered(&offered);
        self.negotiation.place_waiting();
        let mut texts = HashMap::new();
        let mut mid_to_track_id = HashMap::new();
        for (section, offered) in
            self.negotiation.sections.iter().zip(offered.iter().filter(|o| o.kind.is_some()))
        {
            let text = if section.client_sends {
                let track_id = offered.track_id.as_deref().unwrap_or_default();
                SectionText::Receive { opus_parameters: opus(track_id) }
            } else if let Some(assigned) = section.assigned.as_ref().filter(|_| offered.client_receives) {
                mid_to_track_id.insert(offered.mid.clone(), assigned.track.to_string());
                assigned.as_text()
            } else {
                SectionText::Idle
            };
            texts.insert(offered.mid.clone(), text);
        }
        self.negotiation.asked = None;
        self.negotiation.dirty = !self.negotiation.waiting.is_empty();
        self.negotiation.refresh_live();
        let sdp = self.name_aic(sdp::rewrite(&answer.to_sdp_string(), &texts));
        let answer =
            proto::SessionDescription { r#type: "answer".into(), sdp, id: offer.id, mid_to_track_id };
        Ok((answer, offered))
    }

    /// Where the client offers: what to ask it for so that waiting tracks find a place. `None` = nothing to ask.
    pub(crate) fn requirement(&mut self) -> Option<proto::MediaSectionsRequirement> {
        let negotiation = &mut self.negotiation;
        if self.role != Role::Single || !negotiation.dirty || negotiation.sections.is_empty() {
            return None;
        }
        let missing = |kind| {
            let wanted = negotiation.waiting.iter().filter(|waiting| waiting.kind == kind).count();
            let free = negotiation.sections.iter().filter(|section| section.is_free(kind)).count();
            u32::try_from(wanted.saturating_sub(free)).unwrap_or(u32::MAX)
        };
        let (audios, videos) = (missing(MediaKind::Audio), missing(MediaKind::Video));
        let (asked_audios, asked_videos) = match negotiation.asked {
            // A re-offer is on its way and brings enough.
            Some((a, v)) if audios <= a && videos <= v => {
                negotiation.dirty = false;
                return None;
            }
            Some(asked) => asked,
            None => (0, 0),
        };
        negotiation.asked = Some((audios.max(asked_audios), videos.max(asked_videos)));
        negotiation.dirty = false;
        Some(proto::MediaSectionsRequirement {
            num_audios: audios.saturating_sub(asked_audios),
            num_videos: videos.saturating_sub(asked_videos),
        })
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
            self.negotiation.withdraw_unconfirmed(&self.rtc);
        }
        let first = !self.negotiation.opened_channels;
        if self.negotiation.offer.is_some() || !(self.negotiation.dirty || restart || first) {
            return None;
        }
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
        for section in &self.negotiation.sections {
            if section.assigned.is_none() {
                api.set_direction(section.mid, Direction::Inactive);
            }
        }
        for assignment in std::mem::take(&mut self.negotiation.waiting) {
            let free = self.negotiation.sections.iter_mut().find(|section| section.is_free(assignment.kind));
            if let Some(section) = free {
                api.set_direction(section.mid, Direction::SendOnly);
                section.assigned = Some(assignment);
                continue;
            }
            let kind = match assignment.kind {
                MediaKind::Audio => str0m::media::MediaKind::Audio,
                MediaKind::Video => str0m::media::MediaKind::Video,
            };
            let track = assignment.track.to_string();
            let mid = api.add_media(
                kind,
                Direction::SendOnly,
                Some(assignment.stream_id.clone()),
                Some(track),
                None,
            );
            let (kind, assigned) = (assignment.kind, Some(assignment));
            self.negotiation.sections.push(Section {
                mid,
                kind,
                client_sends: false,
                stopped: false,
                assigned,
            });
        }
        self.negotiation.dirty = false;
        let (offer, pending) = api.apply()?;
        let texts = self
            .negotiation
            .sections
            .iter()
            .map(|section| {
                let text = section.assigned.as_ref().map_or(SectionText::Idle, Assignment::as_text);
                (section.mid.to_string(), text)
            })
            .collect();
        self.negotiation.next_offer_id += 1;
        let id = self.negotiation.next_offer_id;
        self.negotiation.offer = Some(OutstandingOffer { id, pending, sent_at: now });
        let sdp = self.name_aic(sdp::rewrite(&offer.to_sdp_string(), &texts));
        let mid_to_track_id = HashMap::new();
        Some(proto::SessionDescription { r#type: "offer".into(), sdp, id, mid_to_track_id })
    }

    /// Takes the client's answer. An answer to anything but the outstanding offer is ignored.
    pub(crate) fn accept_answer(&mut self, answer: &proto::SessionDescription) -> Result<(), TransportError> {
        check_size(&answer.sdp)?;
        let Some(outstanding) = self.negotiation.offer.take() else { return Ok(()) };
        // Clients that do not number their answers send 0.
        if answer.id != 0 && answer.id != outstanding.id {
            self.negotiation.offer = Some(outstanding);
            return Ok(());
        }
        let text = self.read_aic(&answer.sdp);
        let parsed = SdpAnswer::from_sdp_string(&text).map_err(|e| TransportError::Sdp(e.to_string()))?;
        self.rtc.sdp_api().accept_answer(outstanding.pending, parsed)?;
        self.negotiation.answered = true;
        self.negotiation.refresh_live();
        Ok(())
    }

    /// A client's description as the stack can read it; notes what it says about AIC.
    fn read_aic<'a>(&mut self, sdp: &'a str) -> Cow<'a, str> {
        // Without AIC the stand-in must not be negotiated either; no model has an empty name.
        let model = self.aic_model.clone();
        let (text, terms) = aic::inbound(sdp, model.as_deref().unwrap_or_default());
        if model.is_some() {
            self.aic_terms = terms;
        }
        text
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

impl Negotiation {
    /// Brings the sections in line with a client's offer, in its order.
    fn take_offered(&mut self, offered: &[OfferedSection]) {
        let mut before = std::mem::take(&mut self.sections);
        for section in offered {
            let Some(kind) = section.kind else { continue };
            let mid = Mid::from(section.mid.as_str());
            let known = before.iter().position(|known| known.mid == mid).map(|at| before.swap_remove(at));
            let mut assigned = known.and_then(|known| known.assigned);
            if section.stopped || section.client_sends || !section.client_receives {
                self.waiting.extend(assigned.take());
            }
            self.sections.push(Section {
                mid,
                kind,
                client_sends: section.client_sends,
                // An inactive section of the client's takes nothing from us, but may come back.
                stopped: section.stopped || !(section.client_sends || section.client_receives),
                assigned,
            });
        }
        self.waiting.extend(before.into_iter().filter_map(|section| section.assigned));
    }

    fn place_waiting(&mut self) {
        for assignment in std::mem::take(&mut self.waiting) {
            match self.sections.iter_mut().find(|section| section.is_free(assignment.kind)) {
                Some(section) => section.assigned = Some(assignment),
                None => self.waiting.push(assignment),
            }
        }
    }

    fn refresh_live(&mut self) {
        self.live = self
            .sections
            .iter()
            .filter_map(|section| Some((section.assigned.as_ref()?.track.clone(), section.mid)))
            .collect();
    }

    /// An offer was abandoned: sections the connection does not know yet go back to waiting.
    fn withdraw_unconfirmed(&mut self, rtc: &str0m::Rtc) {
        let (confirmed, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sections)
            .into_iter()
            .partition(|section| rtc.media(section.mid).is_some());
        self.sections = confirmed;
        self.waiting.extend(lost.into_iter().filter_map(|section| section.assigned));
    }
}

impl Section {
    fn is_free(&self, kind: MediaKind) -> bool {
        self.kind == kind && !self.client_sends && !self.stopped && self.assigned.is_none()
    }

    fn holds(&self, track: &TrackSid) -> bool {
        self.assigned.as_ref().is_some_and(|assigned| assigned.track == *track)
    }
}

impl Assignment {
    fn as_text(&self) -> SectionText {
        SectionText::Send { stream_id: self.stream_id.clone(), track_id: self.track.to_string() }
    }
}

fn check_size(sdp: &str) -> Result<(), TransportError> {
    if sdp.len() > sdp::MAX_BYTES { Err(TransportError::Limit("longer than 512 KiB")) } else { Ok(()) }
}
