//! A span of time, cut into buckets.

use crate::engine::text::Invalid;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const DEFAULT_SPAN: Duration = Duration::HOUR;
const MAX_SPAN: Duration = Duration::days(31);
const MAX_POINTS: i64 = 2000;
const BUCKET_S: std::ops::RangeInclusive<u32> = 5..=86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: OffsetDateTime,
    pub(crate) to: OffsetDateTime,
    /// 0: as the service sees fit.
    pub(crate) bucket_s: u32,
}

impl Span {
    /// The last hour, unless said otherwise.
    pub(crate) fn parse(
        from: Option<&str>,
        to: Option<&str>,
        bucket_s: Option<u32>,
        now: OffsetDateTime,
    ) -> Result<Self, Invalid> {
        let to = to.map_or(Ok(now), |text| instant("to", text))?;
        let from = from.map_or(Ok(to - DEFAULT_SPAN), |text| instant("from", text))?;
        if from >= to {
            return Err(Invalid::new("from", "must be before `to`"));
        }
        if to - from > MAX_SPAN {
            return Err(Invalid::new("from", "must be at most 31 days before `to`"));
        }
        if let Some(seconds) = bucket_s {
            if !BUCKET_S.contains(&seconds) {
                return Err(Invalid::new("bucket_s", "must be 5 to 86400"));
            }
            if (to - from).whole_seconds() > i64::from(seconds) * MAX_POINTS {
                return Err(Invalid::new("bucket_s", format!("makes more than {MAX_POINTS} points")));
            }
        }
        Ok(Self { from, to, bucket_s: bucket_s.unwrap_or(0) })
    }
}

fn instant(field: &'static str, text: &str) -> Result<OffsetDateTime, Invalid> {
    let fault = || Invalid::new(field, "must be a time like 2026-11-21T06:30:00Z");
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| fault())?;
    // Years a database and a browser both know.
    if (2000..=9000).contains(&at.year()) { Ok(at) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-21 06:30 UTC);

    #[test]
    fn it_is_the_last_hour_unless_said_otherwise() {
        let span = Span::parse(None, None, None, NOW).unwrap();
        assert_eq!((span.from, span.to, span.bucket_s), (NOW - Duration::HOUR, NOW, 0));
        let day = Span::parse(Some("2026-11-20T06:30:00Z"), None, Some(300), NOW).unwrap();
        assert_eq!((day.to - day.from, day.bucket_s), (Duration::DAY, 300));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let fault = |from, to, bucket| Span::parse(from, to, bucket, NOW).unwrap_err().field;
        assert_eq!(fault(Some("yesterday"), None, None), "from");
        assert_eq!(fault(Some("0001-01-01T00:00:00Z"), None, None), "from");
        assert_eq!(fault(None, Some(""), None), "to");
        assert_eq!(fault(Some("2026-11-21T07:00:00Z"), None, None), "from");
        assert_eq!(fault(Some("2026-10-01T00:00:00Z"), None, None), "from");
        for bucket in [0, 4, 86_401] {
            assert_eq!(fault(None, None, Some(bucket)), "bucket_s");
        }
        assert_eq!(fault(Some("2026-11-01T00:00:00Z"), None, Some(5)), "bucket_s");
    }
}
