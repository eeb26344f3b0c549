//! `a=fmtp` of `aic/48000`: what a side can do, written, read, and matched.
//!
//! Two sides agree only if they run the very same model: codes of one model are noise to another. Whoever does not
//! agree uses Opus, which every description offers behind AIC. Unknown parameters are ignored, as RFC 8866 wants.

use std::fmt;

use thiserror::Error;

use super::{MAX_DEPTH, MAX_FRAMES};
use crate::codec::Rate;

/// Name and clock of `a=rtpmap`.
pub const RTPMAP: &str = "aic/48000";
/// The payload type we offer.
pub const PAYLOAD_TYPE: u8 = 109;
/// Version of the payload format.
pub const VERSION: u8 = 1;
/// The longest parameter list that is read.
pub const MAX_FMTP: usize = 512;
/// The longest model id.
pub const MAX_MODEL: usize = 64;

/// The parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fmtp {
    /// Version of the payload format.
    pub version: u8,
    /// Rates that are understood, ascending, without repetition.
    pub rates: Vec<Rate>,
    /// The model, such as `aic16m-1`.
    pub model: String,
    /// Redundancy depth wanted at most, 0–3.
    pub redundancy: u8,
    /// The longest packet wanted, 20–160 ms.
    pub max_ptime_ms: u16,
}

/// What a sender must keep to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The lowest rate that is understood, and the highest.
    pub rates: (Rate, Rate),
    /// Redundancy depth at most, 0–3.
    pub redundancy: u8,
    /// The longest packet, ms.
    pub max_ptime_ms: u16,
}

/// Why parameters cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FmtpError {
    /// More than [`MAX_FMTP`] bytes.
    #[error("the parameters are longer than {MAX_FMTP} bytes")]
    TooLong,
    /// A parameter without which AIC cannot be used.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter that makes no sense.
    #[error("{0} is malformed")]
    Malformed(&'static str),
}

/// Why two sides cannot talk AIC.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Mismatch {
    /// Different payload formats.
    #[error("payload format {ours} here, {theirs} there")]
    Version {
        /// Ours.
        ours: u8,
        /// Theirs.
        theirs: u8,
    },
    /// Different models.
    #[error("model {ours} here, {theirs} there")]
    Model {
        /// Ours.
        ours: String,
        /// Theirs.
        theirs: String,
    },
    /// No rate in common.
    #[error("no rate in common")]
    Rates,
}

impl Fmtp {
    /// Everything we can do with `model`, packets of up to 100 ms.
    pub fn of(model: &str) -> Self {
        Self {
            version: VERSION,
            rates: Rate::ALL.to_vec(),
            model: model.to_owned(),
            redundancy: MAX_DEPTH,
            max_ptime_ms: 100,
        }
    }

    /// Reads what follows `a=fmtp:<payload type> `.
    ///
    /// # Errors
    /// [`FmtpError`], naming the parameter.
    pub fn parse(text: &str) -> Result<Self, FmtpError> {
        if text.len() > MAX_FMTP {
            return Err(FmtpError::TooLong);
        }
        let value = |wanted: &str| {
            text.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        let number = |name: &'static str, fallback: u16| match value(name) {
            None => Ok(fallback),
            Some(text) => text.parse().map_err(|_| FmtpError::Malformed(name)),
        };
        let version = value("ver").ok_or(FmtpError::Missing("ver"))?;
        let model = value("model").ok_or(FmtpError::Missing("model"))?;
        let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if model.is_empty() || model.len() > MAX_MODEL || !model.chars().all(known) {
            return Err(FmtpError::Malformed("model"));
        }
        let redundancy = number("red", 0)?;
        let max_ptime_ms = number("maxptime", 20)?;
        if max_ptime_ms < 20 {
            return Err(FmtpError::Malformed("maxptime"));
        }
        Ok(Self {
            version: version.parse().map_err(|_| FmtpError::Malformed("ver"))?,
            rates: rates(value("rates").ok_or(FmtpError::Missing("rates"))?)?,
            model: model.to_owned(),
            redundancy: redundancy.min(u16::from(MAX_DEPTH)) as u8,
            max_ptime_ms: max_ptime_ms.min(20 * MAX_FRAMES as u16),
        })
    }

    /// What these parameters ask of a sender; none without a rate.
    pub fn limits(&self) -> Option<Limits> {
        let rates = (*self.rates.iter().min()?, *self.rates.iter().max()?);
        Some(Limits { rates, redundancy: self.redundancy, max_ptime_ms: self.max_ptime_ms })
    }

    /// What both sides can do.
    ///
    /// # Errors
    /// [`Mismatch`]: use Opus.
    pub fn agree(&self, theirs: &Self) -> Result<Self, Mismatch> {
        if self.version != theirs.version {
            return Err(Mismatch::Version { ours: self.version, theirs: theirs.version });
        }
        if self.model != theirs.model {
            return Err(Mismatch::Model { ours: self.model.clone(), theirs: theirs.model.clone() });
        }
        let rates: Vec<_> = self.rates.iter().copied().filter(|rate| theirs.rates.contains(rate)).collect();
        if rates.is_empty() {
            return Err(Mismatch::Rates);
        }
        Ok(Self {
            version: self.version,
            rates,
            model: self.model.clone(),
            redundancy: self.redundancy.min(theirs.redundancy),
            max_ptime_ms: self.max_ptime_ms.min(theirs.max_ptime_ms),
        })
    }
}

/// Rates that this format has not heard of are skipped.
fn rates(text: &str) -> Result<Vec<Rate>, FmtpError> {
    let mut rates = Vec::new();
    for part in text.split(',') {
        let bps: u32 = part.trim().parse().map_err(|_| FmtpError::Malformed("rates"))?;
        rates.extend(Rate::ALL.into_iter().filter(|rate| rate.bps() == bps));
    }
    rates.sort_unstable();
    rates.dedup();
    Ok(rates)
}

impl fmt::Display for Fmtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ver={};rates=", self.version)?;
        for (index, rate) in self.rates.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "," }, rate.bps())?;
        }
        write!(f, ";model={};red={};maxptime={}", self.model, self.redundancy, self.max_ptime_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFER: &str = "ver=1;rates=1500,3000,6000;model=aic16m-1;red=3;maxptime=100";

    #[test]
    fn our_offer_reads_as_it_was_written() {
        let offer = Fmtp::of("aic16m-1");
        assert_eq!(offer.to_string(), OFFER);
        assert_eq!(Fmtp::parse(OFFER).unwrap(), offer);
        assert_eq!(
            Fmtp::parse(" VER = 1 ; model=aic16m-1;x;y=1; rates=6000 ,1500,48000").unwrap().rates,
            [Rate::Low, Rate::High]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("rates=6000;model=a", FmtpError::Missing("ver")),
            ("ver=1;model=a", FmtpError::Missing("rates")),
            ("ver=1;rates=6000", FmtpError::Missing("model")),
            ("ver=x;rates=6000;model=a", FmtpError::Malformed("ver")),
            ("ver=1;rates=fast;model=a", FmtpError::Malformed("rates")),
            ("ver=1;rates=6000;model=../a", FmtpError::Malformed("model")),
            ("ver=1;rates=6000;model=", FmtpError::Malformed("model")),
            ("ver=1;rates=6000;model=a;maxptime=5", FmtpError::Malformed("maxptime")),
            ("ver=1;rates=6000;model=a;red=-1", FmtpError::Malformed("red")),
        ] {
            assert_eq!(Fmtp::parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(Fmtp::parse(&"x".repeat(MAX_FMTP + 1)).unwrap_err(), FmtpError::TooLong);
    }

    #[test]
    fn both_sides_get_what_both_can() {
        let ours = Fmtp::of("aic16m-1");
        let theirs = Fmtp::parse("ver=1;rates=3000,6000;model=aic16m-1;red=1;maxptime=40").unwrap();
        assert_eq!(ours.agree(&theirs).unwrap(), theirs);
        assert_eq!(ours.agree(&theirs), theirs.agree(&ours));
        assert!(matches!(ours.agree(&Fmtp::of("aic16m-2")), Err(Mismatch::Model { .. })));
        assert!(matches!(ours.agree(&Fmtp { version: 2, ..theirs }), Err(Mismatch::Version { .. })));
        let odd = Fmtp::parse("ver=1;rates=9000;model=aic16m-1").unwrap();
        assert_eq!(ours.agree(&odd), Err(Mismatch::Rates));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_comes_back(text in ".{0,80}|((ver|rates|model|red|maxptime)=[a-z0-9,]{0,6};){0,6}") {
            if let Ok(fmtp) = Fmtp::parse(&text) {
                prop_assert_eq!(Fmtp::parse(&fmtp.to_string()), if fmtp.rates.is_empty() {
                    Err(FmtpError::Malformed("rates"))
                } else {
                    Ok(fmtp)
                });
            }
        }
    }
}
