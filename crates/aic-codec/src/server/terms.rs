//! What a caller asks for, checked: formats, targets, names. Everything after this may believe its values.

use aura_proto::aic::v1 as pb;
use aura_service::{Result, ServiceError};
use uuid::Uuid;

use super::engine::preference::{Change, Preference};
use crate::Rate;
use crate::control::Mode;

/// The longest payload of a packet.
pub(crate) const MAX_PAYLOAD: usize = 1_500;

/// Samples per second of PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PcmRate {
    Wide,
    Full,
}

impl PcmRate {
    pub(crate) fn hz(self) -> u32 {
        match self {
            Self::Wide => 16_000,
            Self::Full => 48_000,
        }
    }

    /// Samples in 20 ms.
    pub(crate) fn frame(self) -> usize {
        match self {
            Self::Wide => 320,
            Self::Full => 960,
        }
    }
}

/// What comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Pcm(PcmRate),
    Opus,
    Aic,
}

/// What goes out. `frames` of 20 ms a packet: 1 to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Pcm {
        rate: PcmRate,
        frames: usize,
    },
    Opus {
        bitrate_bps: u32,
        frames: usize,
    },
    /// No frame count: the mode bundles.
    Aic {
        highest: Rate,
        frames: Option<usize>,
    },
}

impl Input {
    pub(crate) fn codec(self) -> pb::Codec {
        match self {
            Self::Pcm(_) => pb::Codec::Pcm,
            Self::Opus => pb::Codec::Opus,
            Self::Aic => pb::Codec::Aic,
        }
    }

    pub(crate) fn to_format(self) -> pb::Format {
        let hz = if let Self::Pcm(rate) = self { rate.hz() } else { 48_000 };
        pb::Format { codec: self.codec().into(), sample_rate_hz: hz, ..pb::Format::default() }
    }
}

impl Output {
    pub(crate) fn codec(self) -> pb::Codec {
        match self {
            Self::Pcm { .. } => pb::Codec::Pcm,
            Self::Opus { .. } => pb::Codec::Opus,
            Self::Aic { .. } => pb::Codec::Aic,
        }
    }

    pub(crate) fn to_format(self) -> pb::Format {
        let (hz, bps, frames) = match self {
            Self::Pcm { rate, frames } => (rate.hz(), 0, frames),
            Self::Opus { bitrate_bps, frames } => (48_000, bitrate_bps, frames),
            Self::Aic { highest, frames } => (48_000, highest.bps(), frames.unwrap_or(0)),
        };
        pb::Format {
            codec: self.codec().into(),
            sample_rate_hz: hz,
            bitrate_bps: bps,
            packet_ms: u32::try_from(frames * 20).unwrap_or(0),
        }
    }
}

/// Which operations of the contract an opening serves, and so which codecs fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Compress,
    Decompress,
    Transcode,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Compress => "compress",
            Self::Decompress => "decompress",
            Self::Transcode => "transcode",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Compress, Self::Decompress, Self::Transcode].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The input format, as asked for or implied by `kind`.
pub(crate) fn input(kind: Kind, format: Option<&pb::Format>) -> Result<Input> {
    let format = format.cloned().unwrap_or_default();
    let codec = codec("input.codec", format.codec)?;
    match (kind, codec) {
        (Kind::Compress, pb::Codec::Aic) => Err(ServiceError::invalid("input.codec", "must be PCM or OPUS")),
        (Kind::Decompress, pb::Codec::Unspecified | pb::Codec::Aic) | (_, pb::Codec::Aic) => {
            clock("input", &format)?;
            Ok(Input::Aic)
        }
        (Kind::Decompress, _) => Err(ServiceError::invalid("input.codec", "must be AIC")),
        (_, pb::Codec::Pcm) => Ok(Input::Pcm(pcm_rate("input", &format)?)),
        (_, pb::Codec::Opus) => {
            clock("input", &format)?;
            Ok(Input::Opus)
        }
        (_, pb::Codec::Unspecified) => Err(ServiceError::invalid("input.codec", "is missing")),
    }
}

/// The output format, as asked for or implied by `kind`.
pub(crate) fn output(kind: Kind, format: Option<&pb::Format>) -> Result<Output> {
    let format = format.cloned().unwrap_or_default();
    let codec = codec("output.codec", format.codec)?;
    let frames = match format.packet_ms {
        0 => None,
        20 | 40 | 60 => Some((format.packet_ms / 20) as usize),
        _ => return Err(ServiceError::invalid("output.packet_ms", "must be 20, 40 or 60")),
    };
    match (kind, codec) {
        (Kind::Decompress, pb::Codec::Aic) => {
            Err(ServiceError::invalid("output.codec", "must be PCM or OPUS"))
        }
        (Kind::Compress, pb::Codec::Unspecified | pb::Codec::Aic) | (_, pb::Codec::Aic) => {
            clock("output", &format)?;
            let highest = match format.bitrate_bps {
                0 => Rate::High,
                bps => Rate::ALL.into_iter().find(|rate| rate.bps() == bps).ok_or_else(|| {
                    ServiceError::invalid("output.bitrate_bps", "must be 1500, 3000 or 6000 for AIC")
                })?,
            };
            Ok(Output::Aic { highest, frames })
        }
        (Kind::Compress, _) => Err(ServiceError::invalid("output.codec", "must be AIC")),
        (_, pb::Codec::Pcm) => {
            Ok(Output::Pcm { rate: pcm_rate("output", &format)?, frames: frames.unwrap_or(1) })
        }
        (_, pb::Codec::Opus) => {
            clock("output", &format)?;
            let bitrate_bps = match format.bitrate_bps {
                0 => 32_000,
                bps @ 6_000..=128_000 => bps,
                _ => {
                    return Err(ServiceError::invalid(
                        "output.bitrate_bps",
                        "must be 6000 to 128000 for Opus",
                    ));
                }
            };
            Ok(Output::Opus { bitrate_bps, frames: frames.unwrap_or(1) })
        }
        (_, pb::Codec::Unspecified) => Err(ServiceError::invalid("output.codec", "is missing")),
    }
}

fn codec(field: &str, number: i32) -> Result<pb::Codec> {
    pb::Codec::try_from(number).map_err(|_| ServiceError::invalid(field, "is not a codec"))
}

fn pcm_rate(side: &str, format: &pb::Format) -> Result<PcmRate> {
    match format.sample_rate_hz {
        0 | 48_000 => Ok(PcmRate::Full),
        16_000 => Ok(PcmRate::Wide),
        _ => Err(ServiceError::invalid(format!("{side}.sample_rate_hz"), "must be 16000 or 48000 for PCM")),
    }
}

fn clock(side: &str, format: &pb::Format) -> Result<()> {
    match format.sample_rate_hz {
        0 | 48_000 => Ok(()),
        _ => Err(ServiceError::invalid(format!("{side}.sample_rate_hz"), "must be 48000 for Opus and AIC")),
    }
}

/// `preference` narrowed by a request's targets; zero values leave it as it is.
pub(crate) fn narrowed(preference: Preference, targets: Option<&pb::Targets>) -> Result<Preference> {
    let Some(targets) = targets else { return Ok(preference) };
    let set = |value: f64| (value != 0.0).then_some(value);
    let change = Change {
        mode: mode("targets.mode", targets.mode)?,
        max_latency_ms: set(f64::from(targets.max_latency_ms)),
        min_quality_score: set(targets.min_quality_score),
        target_compression_ratio: set(targets.target_compression_ratio),
        enable_fallback: targets.enable_fallback,
        ..Change::default()
    };
    preference
        .with(&change)
        .map_err(|fault| ServiceError::invalid(format!("targets.{}", fault.field), fault.message))
}

/// `None` for unspecified.
pub(crate) fn mode(field: &str, number: i32) -> Result<Option<Mode>> {
    match pb::Mode::try_from(number) {
        Ok(pb::Mode::Unspecified) => Ok(None),
        Ok(pb::Mode::Conservative) => Ok(Some(Mode::Conservative)),
        Ok(pb::Mode::Adaptive) => Ok(Some(Mode::Adaptive)),
        Ok(pb::Mode::Aggressive) => Ok(Some(Mode::Aggressive)),
        Err(_) => Err(ServiceError::invalid(field, "is not a mode")),
    }
}

pub(crate) fn to_mode(mode: Mode) -> pb::Mode {
    match mode {
        Mode::Conservative => pb::Mode::Conservative,
        Mode::Adaptive => pb::Mode::Adaptive,
        Mode::Aggressive => pb::Mode::Aggressive,
    }
}

/// `send`, `receive` or nothing.
pub(crate) fn direction(field: &str, number: i32) -> Result<&'static str> {
    match pb::Direction::try_from(number) {
        Ok(pb::Direction::Unspecified) => Ok(""),
        Ok(pb::Direction::Send) => Ok("send"),
        Ok(pb::Direction::Receive) => Ok("receive"),
        Err(_) => Err(ServiceError::invalid(field, "is not a direction")),
    }
}

/// A user, or nobody when the text is empty. The nil UUID is nobody's, so nobody may claim it.
pub(crate) fn user_or_nobody(text: &str) -> Result<Uuid> {
    if text.is_empty() { Ok(Uuid::nil()) } else { user(text) }
}

/// A user.
pub(crate) fn user(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text)
        .ok()
        .filter(|user| !user.is_nil())
        .ok_or_else(|| ServiceError::invalid("user_id", "must be the UUID of a user"))
}

/// Text of at most `max` bytes without NUL, which PostgreSQL cannot store.
pub(crate) fn text(field: &str, text: &str, max: usize) -> Result<String> {
    if text.len() > max {
        return Err(ServiceError::invalid(field, format!("must be at most {max} bytes")));
    }
    if text.contains('\0') {
        return Err(ServiceError::invalid(field, "must not contain NUL"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(codec: pb::Codec, hz: u32, bps: u32, ms: u32) -> pb::Format {
        pb::Format { codec: codec.into(), sample_rate_hz: hz, bitrate_bps: bps, packet_ms: ms }
    }

    #[test]
    fn formats_fill_in_what_is_implied() {
        assert_eq!(input(Kind::Decompress, None).unwrap(), Input::Aic);
        assert_eq!(output(Kind::Compress, None).unwrap(), Output::Aic { highest: Rate::High, frames: None });
        let pcm = format(pb::Codec::Pcm, 16_000, 0, 40);
        assert_eq!(input(Kind::Transcode, Some(&pcm)).unwrap(), Input::Pcm(PcmRate::Wide));
        assert_eq!(
            output(Kind::Transcode, Some(&pcm)).unwrap(),
            Output::Pcm { rate: PcmRate::Wide, frames: 2 }
        );
        let opus = output(Kind::Decompress, Some(&format(pb::Codec::Opus, 0, 0, 0))).unwrap();
        assert_eq!(opus, Output::Opus { bitrate_bps: 32_000, frames: 1 });
        assert_eq!(opus.to_format(), format(pb::Codec::Opus, 48_000, 32_000, 20));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let field = |error: ServiceError| error.fields()[0].field.clone();
        let refused_input = |kind, format: &pb::Format| field(input(kind, Some(format)).unwrap_err());
        let refused_output = |kind, format: &pb::Format| field(output(kind, Some(format)).unwrap_err());
        assert_eq!(refused_input(Kind::Compress, &format(pb::Codec::Aic, 0, 0, 0)), "input.codec");
        assert_eq!(refused_input(Kind::Transcode, &pb::Format::default()), "input.codec");
        assert_eq!(
            refused_input(Kind::Transcode, &pb::Format { codec: 77, ..Default::default() }),
            "input.codec"
        );
        assert_eq!(
            refused_input(Kind::Transcode, &format(pb::Codec::Pcm, 44_100, 0, 0)),
            "input.sample_rate_hz"
        );
        assert_eq!(
            refused_output(Kind::Transcode, &format(pb::Codec::Opus, 16_000, 0, 0)),
            "output.sample_rate_hz"
        );
        assert_eq!(
            refused_output(Kind::Transcode, &format(pb::Codec::Opus, 0, 5_999, 0)),
            "output.bitrate_bps"
        );
        assert_eq!(
            refused_output(Kind::Compress, &format(pb::Codec::Aic, 0, 6_001, 0)),
            "output.bitrate_bps"
        );
        assert_eq!(refused_output(Kind::Compress, &format(pb::Codec::Aic, 0, 0, 30)), "output.packet_ms");
        assert_eq!(refused_output(Kind::Decompress, &format(pb::Codec::Aic, 0, 0, 0)), "output.codec");
    }

    #[test]
    fn users_are_uuids_and_nil_is_nobody() {
        assert!(user("").is_err() && user("alice").is_err() && user(&Uuid::nil().to_string()).is_err());
        assert_eq!(user_or_nobody("").unwrap(), Uuid::nil());
        assert!(user_or_nobody(&Uuid::nil().to_string()).is_err());
        assert!(text("room", "a\0b", 10).is_err() && text("room", "abc", 2).is_err());
    }
}
