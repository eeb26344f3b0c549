//! At which layer a subscriber gets a track: what it shows, and how large.

use aura_media::MediaKind;
use aura_media::layer::{Layer, for_height};
use aura_types::{ParticipantSid, TrackSid};
use livekit_protocol as proto;

use super::participant::TrackSetting;
use super::room::Room;
use super::track::layer_of_quality;
use super::{Output, limit};

impl Room {
    /// `track_setting`: visibility and size of what the subscriber shows.
    pub(crate) fn update_track_settings(
        &mut self,
        sid: &ParticipantSid,
        update: &proto::UpdateTrackSettings,
    ) {
        for name in update.track_sids.iter().take(limit::TRACKS_PER_REQUEST) {
            let Some((publisher, track)) = self.find_track(name) else { continue };
            let Some(me) = self.participants.get_mut(sid) else { return };
            let setting = TrackSetting {
                disabled: update.disabled,
                quality: wished_quality(update),
                height: if update.height > 0 { update.height } else { update.width.saturating_mul(9) / 16 },
            };
            me.settings.insert(track.clone(), setting);
            self.note_opinion(sid, &publisher, &track);
            self.prefer(sid, &track);
        }
    }

    /// The layer a subscriber should get now; `None` = nothing.
    pub(crate) fn preferred_layer(&self, subscriber: &ParticipantSid, track: &TrackSid) -> Option<Layer> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        let me = self.participants.get(subscriber)?;
        let owner = self.participants.get(me.subscribed.get(track)?)?;
        let published = owner.track(track.as_str())?;
        let setting = me.settings.get(track).copied().unwrap_or_default();
        if published.kind() == MediaKind::Audio {
            return (!setting.disabled).then_some(Layer::Low);
        }
        if setting.disabled {
            return None;
        }
        let by_size = match setting.height {
            0 => Layer::High,
            height => for_height(published.layer_heights(), height),
        };
        Some(by_size.min(setting.quality))
    }

    /// Says at which layer a subscriber gets a track from now on.
    pub(crate) fn prefer(&mut self, subscriber: &ParticipantSid, track: &TrackSid) {
        let layer = self.preferred_layer(subscriber, track);
        let me = self.participants.get(subscriber);
        let Some(publisher) = me.and_then(|me| me.subscribed.get(track)).cloned() else { return };
        if let Some(published) = self.published_mut(&publisher, track) {
            published.audience.set(subscriber, layer);
            self.unreviewed.insert(track.clone());
        }
        self.outputs.push_back(Output::Prefer {
            subscriber: subscriber.clone(),
            track: track.clone(),
            layer,
        });
        // Layers nobody watched were switched off; somebody watches now.
        self.raise_subscribed_quality(&publisher, track);
    }
}

/// Clients that say how large the tile is leave `quality` at its default, which is the lowest: then it means nothing.
fn wished_quality(update: &proto::UpdateTrackSettings) -> Layer {
    if update.width > 0 || update.height > 0 {
        return Layer::High;
    }
    layer_of_quality(update.quality).unwrap_or(Layer::High)
}
