//! The codecs rooms forward, by the names SDP and LiveKit use for them.

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A codec as it appears in RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// AuraLink's speech codec, `aic/48000` (docs: `aic-codec`). Always negotiated with Opus behind it.
    Aic,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AOMedia AV1 RTP payload.
    Av1,
}

impl Codec {
    /// Every codec, in the order a server offers them.
    pub const ALL: [Self; 9] = [
        Self::Opus,
        Self::Aic,
        Self::Pcmu,
        Self::Pcma,
        Self::Vp8,
        Self::H264,
        Self::Vp9,
        Self::Av1,
        Self::H265,
    ];

    /// The MIME type, spelt as LiveKit clients expect it.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Aic => "audio/aic",
            Self::Pcmu => "audio/PCMU",
            Self::Pcma => "audio/PCMA",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
            Self::H264 => "video/H264",
            Self::H265 => "video/H265",
            Self::Av1 => "video/AV1",
        }
    }

    /// The name after the slash, lower case, as in `subscribed_quality_update`.
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Aic => "aic",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Av1 => "av1",
        }
    }

    /// Reads a MIME type (`video/VP8`) or a bare name (`vp8`), in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let bare = name.rsplit('/').next().unwrap_or(name);
        Self::ALL.into_iter().find(|codec| codec.short_name().eq_ignore_ascii_case(bare))
    }

    /// Whether servers and clients of ours exchange it. H.265 is known by name only.
    #[must_use]
    pub const fn is_negotiated(self) -> bool {
        !matches!(self, Self::H265)
    }

    /// Audio or video.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Aic | Self::Pcmu | Self::Pcma => MediaKind::Audio,
            _ => MediaKind::Video,
        }
    }

    /// RTP clock rate in Hz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::Aic => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
            _ => 90_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_types_round_trip_in_any_case() {
        for codec in Codec::ALL {
            assert_eq!(Codec::parse(codec.mime()), Some(codec));
            assert_eq!(Codec::parse(&codec.mime().to_uppercase()), Some(codec));
            assert_eq!(Codec::parse(codec.short_name()), Some(codec));
        }
        assert_eq!(Codec::parse("video/theora"), None);
    }
}
