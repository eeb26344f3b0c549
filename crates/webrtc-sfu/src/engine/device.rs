//! What particular devices and browsers must not do, as LiveKit's client configuration has it.
//!
//! Some announce codecs that they encode badly or not at all. They are told so when they join, what they announce
//! anyway is left out of answers, and a track promised in such a codec becomes one of the codec everybody has.

use aura_media::{Codec, MediaKind};
use livekit_protocol as proto;

/// Codecs clients may publish, video first: older clients take the first as their backup.
const PUBLISHED: [&str; 6] = ["video/VP8", "video/H264", "video/VP9", "video/AV1", "audio/opus", "audio/red"];

/// Safari before this encodes VP9.
const SAFARI_WITH_VP9: [u32; 2] = [18, 3];

/// Codecs one client must not use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeviceRules {
    /// In neither direction.
    pub(crate) never: Vec<Codec>,
    /// Not towards us.
    pub(crate) not_published: Vec<Codec>,
}

impl DeviceRules {
    pub(crate) fn of(client: &proto::ClientInfo) -> Self {
        let [browser, os, device] =
            [&client.browser, &client.os, &client.device_model].map(|name| name.to_lowercase());
        let is_firefox = matches!(browser.as_str(), "firefox" | "firefox mobile");
        let is_old_encoder = os == "android" && device.ends_with("2201117ti");
        if is_old_encoder || (is_firefox && matches!(os.as_str(), "linux" | "android")) {
            return Self { never: Vec::new(), not_published: vec![Codec::H264] };
        }
        if browser != "safari" {
            return Self::default();
        }
        let not_published = match is_newer(&client.browser_version, SAFARI_WITH_VP9) {
            true => vec![Codec::Vp9],
            false => Vec::new(),
        };
        Self { never: vec![Codec::Av1], not_published }
    }

    /// Whether the client may publish in `codec`.
    pub(crate) fn lets_publish(&self, codec: Codec) -> bool {
        let is_published = PUBLISHED.contains(&codec.mime()) || codec.kind() == MediaKind::Audio;
        is_published && !self.withheld().any(|withheld| withheld == codec)
    }

    /// What the client must not publish.
    pub(crate) fn withheld(&self) -> impl Iterator<Item = Codec> + '_ {
        self.never.iter().chain(&self.not_published).copied()
    }

    /// `enabled_publish_codecs`.
    pub(crate) fn published_codecs(&self) -> Vec<proto::Codec> {
        let withheld = |mime: &str| self.withheld().any(|codec| codec.mime() == mime);
        PUBLISHED.into_iter().filter(|mime| !withheld(mime)).map(named).collect()
    }

    /// `client_configuration`.
    pub(crate) fn configuration(&self) -> proto::ClientConfiguration {
        let names = |codecs: &[Codec]| codecs.iter().map(|codec| named(codec.mime())).collect();
        let disabled = (*self != Self::default()).then(|| proto::DisabledCodecs {
            codecs: names(&self.never),
            publish: names(&self.not_published),
        });
        proto::ClientConfiguration {
            resume_connection: proto::ClientConfigSetting::Enabled as i32,
            disabled_codecs: disabled,
            ..Default::default()
        }
    }
}

/// Codecs of rooms, whatever their participants' devices are.
pub(crate) fn room_codecs() -> Vec<proto::Codec> {
    DeviceRules::default().published_codecs()
}

fn named(mime: &str) -> proto::Codec {
    proto::Codec { mime: mime.into(), ..Default::default() }
}

/// Versions compare by number; what is no version is not newer than anything.
fn is_newer(version: &str, than: [u32; 2]) -> bool {
    let parts: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
    parts.is_ok_and(|parts| {
        let known = parts.get(..2).map_or([parts[0], 0], |two| [two[0], two[1]]);
        known > than || (known == than && parts.iter().skip(2).any(|part| *part > 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(browser: &str, version: &str, os: &str, device: &str) -> DeviceRules {
        DeviceRules::of(&proto::ClientInfo {
            browser: browser.into(),
            browser_version: version.into(),
            os: os.into(),
            device_model: device.into(),
            ..Default::default()
        })
    }

    #[test]
    fn devices_withhold_what_they_encode_badly() {
        let h264 = DeviceRules { never: vec![], not_published: vec![Codec::H264] };
        let av1 = DeviceRules { never: vec![Codec::Av1], not_published: vec![] };
        let av1_vp9 = DeviceRules { never: vec![Codec::Av1], not_published: vec![Codec::Vp9] };
        let none = DeviceRules::default;
        for (client, expected) in [
            (rules("Firefox", "140.0", "Linux", ""), &h264),
            (rules("Firefox Mobile", "140.0", "Android", ""), &h264),
            (rules("", "", "Android", "Xiaomi 2201117TI"), &h264),
            (rules("Firefox", "140.0", "Windows", ""), &none()),
            (rules("Chrome", "150.0.0", "Linux", ""), &none()),
            (rules("", "", "Android", "Xiaomi 2201117TG"), &none()),
            (rules("", "", "ios", "2201117TI"), &none()),
            (rules("Safari", "17.6", "Mac OS X", ""), &av1),
            (rules("safari", "18.3", "Mac OS X", ""), &av1),
            (rules("Safari", "18.3.1", "Mac OS X", ""), &av1_vp9),
            (rules("Safari", "18.10", "Mac OS X", ""), &av1_vp9),
            (rules("Safari", "26", "Mac OS X", ""), &av1_vp9),
            (rules("Safari", "", "Mac OS X", ""), &av1),
        ] {
            assert_eq!(&client, expected);
        }
    }

    #[test]
    fn the_rules_reach_the_client_and_what_it_may_publish() {
        let firefox = rules("Firefox", "140.0", "Linux", "");
        let mimes: Vec<_> = firefox.published_codecs().into_iter().map(|codec| codec.mime).collect();
        assert_eq!(mimes, ["video/VP8", "video/VP9", "video/AV1", "audio/opus", "audio/red"]);
        assert!(!firefox.lets_publish(Codec::H264) && firefox.lets_publish(Codec::Vp8));
        assert!(!firefox.lets_publish(Codec::H265) && firefox.lets_publish(Codec::Aic));
        let disabled = firefox.configuration().disabled_codecs.unwrap();
        assert_eq!((disabled.codecs.len(), disabled.publish[0].mime.as_str()), (0, "video/H264"));
        assert_eq!(DeviceRules::default().configuration().disabled_codecs, None);
        assert_eq!(room_codecs().len(), PUBLISHED.len());
    }
}
