//! One participant: identity, rights, what it publishes and what it wants to receive.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use aura_media::layer::Layer;
use aura_media::{Codec, MediaKind};
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;

use super::ParticipantFacts;
use super::data_track::DataTracks;
use super::device::DeviceRules;
use super::joiner::{ConnectionMode, Joiner};
use super::track::{PendingTrack, Track, codec_asked, kind_of};

/// What each subscriber, by identity, may have; nobody else may have anything.
pub(crate) type SubscriptionRules = HashMap<String, proto::TrackPermission>;

/// Whether somebody is to get a track, said explicitly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) subscribe: bool,
    /// The subscriber says so itself, and knows of it; otherwise an administrator does.
    pub(crate) own: bool,
}

/// What a subscriber asked of one track with `track_setting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrackSetting {
    pub(crate) disabled: bool,
    /// Tallest layer wanted by quality.
    pub(crate) quality: Layer,
    /// Height of the tile in pixels; 0 = decided by `quality`.
    pub(crate) height: u32,
}

impl Default for TrackSetting {
    fn default() -> Self {
        Self { disabled: false, quality: Layer::High, height: 0 }
    }
}

/// One participant of a room.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) sid: ParticipantSid,
    pub(crate) identity: String,
    /// Whose token it came with, see [`Joiner::holder`].
    pub(crate) holder: String,
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) kind: proto::participant_info::Kind,
    kind_details: Vec<i32>,
    pub(crate) permission: proto::ParticipantPermission,
    pub(crate) client: proto::ClientInfo,
    /// What the client's device must not do.
    pub(crate) device: DeviceRules,
    pub(crate) mode: ConnectionMode,
    pub(crate) auto_subscribe: bool,
    pub(crate) auto_subscribe_data: bool,
    pub(crate) token_allowance: usize,
    pub(crate) state: proto::participant_info::State,
    pub(crate) joined_at: Instant,
    pub(crate) joined_at_ms: i64,
    pub(crate) version: u32,
    pub(crate) pending: Vec<PendingTrack>,
    pub(crate) tracks: Vec<Track>,
    /// Names of media whose tracks were taken back. Some clients go on offering them beside what they publish next,
    /// which they must not be taken for.
    pub(crate) taken_back: VecDeque<String>,
    pub(crate) data_tracks: DataTracks,
    /// Others have not been told the latest.
    pub(crate) owes_announcement: bool,
    /// Who may subscribe to what of ours; `None` = everyone to everything.
    pub(crate) subscription_rules: Option<SubscriptionRules>,
    /// Rules that came when the allowance was used up; the latest counts.
    pub(crate) waiting_rules: Option<Option<SubscriptionRules>>,
    /// Tracks the participant was told that it may not subscribe to.
    pub(crate) told_forbidden: BTreeSet<TrackSid>,
    /// What goes before `auto_subscribe`.
    pub(crate) choices: HashMap<TrackSid, Choice>,
    /// Tracks whose present format its client cannot decode.
    pub(crate) undecodable: BTreeSet<TrackSid>,
    pub(crate) subscribed: HashMap<TrackSid, ParticipantSid>,
    pub(crate) settings: HashMap<TrackSid, TrackSetting>,
    pub(crate) last_reliable_sequence: u32,
    pub(crate) recent_nonces: VecDeque<Vec<u8>>,
    pub(crate) quality: Option<proto::ConnectionQuality>,
    /// Nothing comes from it any more, and the others know.
    pub(crate) unheard: bool,
    pub(crate) has_spoken: bool,
    /// When the signalling channel was lost; `None` while it is there.
    pub(crate) signal_lost_at: Option<Instant>,
}

impl Participant {
    pub(crate) fn new(joiner: Joiner, now: super::Moment) -> Self {
        Self {
            sid: ParticipantSid::generate(),
            identity: joiner.identity,
            holder: joiner.holder,
            name: joiner.name,
            metadata: joiner.metadata,
            attributes: joiner.attributes.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            kind: joiner.kind,
            kind_details: joiner.kind_details,
            permission: joiner.permission,
            device: DeviceRules::of(&joiner.client),
            client: joiner.client,
            mode: joiner.mode,
            auto_subscribe: joiner.auto_subscribe,
            auto_subscribe_data: joiner.auto_subscribe_data,
            token_allowance: joiner.token_allowance,
            state: proto::participant_info::State::Joined,
            joined_at: now.at,
            joined_at_ms: now.unix_ms,
            version: 0,
            pending: Vec::new(),
            tracks: Vec::new(),
            taken_back: VecDeque::new(),
            data_tracks: DataTracks::default(),
            owes_announcement: false,
            subscription_rules: None,
            waiting_rules: None,
            told_forbidden: BTreeSet::new(),
            choices: HashMap::new(),
            undecodable: BTreeSet::new(),
            subscribed: HashMap::new(),
            settings: HashMap::new(),
            last_reliable_sequence: 0,
            recent_nonces: VecDeque::new(),
            quality: None,
            unheard: false,
            has_spoken: false,
            signal_lost_at: None,
        }
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.permission.hidden
    }

    pub(crate) fn is_publisher(&self) -> bool {
        !self.tracks.is_empty() || !self.data_tracks.is_empty()
    }

    /// By its kind or by its grant.
    pub(crate) fn is_agent(&self) -> bool {
        self.kind == proto::participant_info::Kind::Agent || self.permission.agent
    }

    /// By its kind or by its grant.
    pub(crate) fn is_recorder(&self) -> bool {
        self.kind == proto::participant_info::Kind::Egress || self.permission.recorder
    }

    /// Counts towards emptiness, numbers and limits: everyone but agents and recorders.
    pub(crate) fn is_occupant(&self) -> bool {
        !self.is_agent() && !self.is_recorder()
    }

    pub(crate) fn track(&self, sid: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.sid.as_str() == sid)
    }

    pub(crate) fn track_mut(&mut self, sid: &str) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.sid.as_str() == sid)
    }

    /// Opus parameters the publisher of `cid` should use (livekit-protocol §4 "Audio").
    pub(crate) fn opus_parameters(&self, cid: &str) -> Vec<&'static str> {
        let pending =
            self.pending.iter().find(|pending| pending.answers_to(cid)).map(|pending| &pending.info);
        let info =
            pending.or_else(|| self.tracks.iter().find(|track| track.cid == cid).map(|track| &track.info));
        let mut parameters = Vec::new();
        if !info.is_some_and(|info| info.disable_dtx) {
            parameters.push("usedtx=1");
        }
        if info.is_some_and(|info| info.stereo) {
            parameters.extend(["stereo=1", "maxaveragebitrate=510000"]);
        }
        parameters
    }

    /// The video codec to send media called `cid` as; `None` = its publisher did not ask for one.
    pub(crate) fn asked_video_codec(&self, cid: &str) -> Option<Codec> {
        let is_video = |info: &&proto::TrackInfo| kind_of(info) == MediaKind::Video;
        let pending = || self.pending.iter().map(|pending| &pending.info).filter(is_video);
        let named = self.pending.iter().find(|pending| pending.answers_to(cid)).map(|pending| &pending.info);
        let published = || self.tracks.iter().find(|track| track.cid == cid).map(|track| &track.info);
        // Media under another name than was promised is the first that waits, as in `claim_media`.
        let info = named.or_else(published).filter(is_video).or_else(|| pending().next())?;
        codec_asked(info, cid)
    }

    /// Firefox on these systems sends what it likes of an answer, not the first (as LiveKit knows it).
    pub(crate) fn heeds_codec_order(&self) -> bool {
        let says = |field: &str, name: &str| field.to_ascii_lowercase().contains(name);
        let (browser, os) = (&self.client.browser, &self.client.os);
        !(says(browser, "firefox") && (says(os, "linux") || says(os, "android")))
    }

    /// Whether the publisher's own rules let `subscriber` have `track`. Recorders do not know whom to ask.
    pub(crate) fn allows(&self, subscriber: &Self, track: impl AsRef<str>) -> bool {
        let Some(rules) = &self.subscription_rules else { return true };
        subscriber.is_recorder()
            || rules.get(&subscriber.identity).is_some_and(|rule| {
                let track = track.as_ref();
                rule.all_tracks || rule.track_sids.iter().any(|sid| sid == track)
            })
    }

    /// The message everyone sees. Does not change the version.
    pub(crate) fn info(&self) -> proto::ParticipantInfo {
        proto::ParticipantInfo {
            sid: self.sid.to_string(),
            identity: self.identity.clone(),
            state: self.state as i32,
            tracks: self.tracks.iter().map(|track| track.info.clone()).collect(),
            metadata: self.metadata.clone(),
            joined_at: self.joined_at_ms / 1000,
            joined_at_ms: self.joined_at_ms,
            name: self.name.clone(),
            version: self.version,
            permission: Some(self.permission.clone()),
            is_publisher: self.is_publisher(),
            kind: self.kind as i32,
            kind_details: self.kind_details.clone(),
            attributes: self.attributes.clone().into_iter().collect(),
            client_protocol: self.client.client_protocol,
            capabilities: self.client.capabilities.clone(),
            data_tracks: self.data_tracks.infos(),
            ..Default::default()
        }
    }

    pub(crate) fn facts(&self) -> ParticipantFacts {
        ParticipantFacts {
            sid: self.sid.to_string(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            kind: kind_name(self.kind),
        }
    }
}

/// Access-token spelling of a participant kind.
pub(crate) fn kind_name(kind: proto::participant_info::Kind) -> &'static str {
    use proto::participant_info::Kind;
    match kind {
        Kind::Ingress => "ingress",
        Kind::Egress => "egress",
        Kind::Sip => "sip",
        Kind::Agent => "agent",
        Kind::Connector => "connector",
        Kind::Bridge => "bridge",
        _ => "standard",
    }
}

/// The kind an access token names; unknown names are standard participants.
pub(crate) fn kind_from_name(name: &str) -> proto::participant_info::Kind {
    use proto::participant_info::Kind;
    [Kind::Ingress, Kind::Egress, Kind::Sip, Kind::Agent, Kind::Connector, Kind::Bridge]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
        .unwrap_or(Kind::Standard)
}
