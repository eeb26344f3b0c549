//! Links that let people in or hand a file out: when one works, and what may be asked of one.
//!
//! Invites and shares follow the same rules. Counting a use is the store's, atomically; this only judges.

use super::text::Invalid;
use time::{Duration, OffsetDateTime};

const MIN_LIFETIME_S: i64 = 1;
const MAX_LIFETIME_S: i64 = 366 * 24 * 3600;
const MAX_USES: i64 = 1_000_000;

/// The limits of a link, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) max_uses: Option<i32>,
}

impl Limits {
    /// Parses what a creator asked for; `uses_field` names the count in error messages.
    pub(crate) fn parse(
        expires_in_s: Option<i64>,
        max_uses: Option<i64>,
        uses_field: &'static str,
        now: OffsetDateTime,
    ) -> Result<Self, Invalid> {
        let expires_at = match expires_in_s {
            None => None,
            Some(seconds) if (MIN_LIFETIME_S..=MAX_LIFETIME_S).contains(&seconds) => {
                Some(now + Duration::seconds(seconds))
            }
            Some(_) => {
                return Err(Invalid::new(
                    "expires_in_s",
                    format!("must be {MIN_LIFETIME_S} to {MAX_LIFETIME_S} seconds"),
                ));
            }
        };
        let max_uses = match max_uses {
            None => None,
            Some(uses) if (1..=MAX_USES).contains(&uses) => i32::try_from(uses).ok(),
            Some(_) => return Err(Invalid::new(uses_field, format!("must be 1 to {MAX_USES}"))),
        };
        Ok(Self { expires_at, max_uses })
    }

    /// Whether a link with these limits still works.
    pub(crate) fn usable(&self, uses: i32, revoked: bool, now: OffsetDateTime) -> bool {
        !revoked && self.expires_at.is_none_or(|at| now < at) && self.max_uses.is_none_or(|max| uses < max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn a_link_ends_by_time_count_or_revocation() {
        let limits = Limits::parse(Some(60), Some(2), "max_uses", NOW).unwrap();
        assert!(limits.usable(1, false, NOW + Duration::seconds(59)));
        assert!(!limits.usable(1, false, NOW + Duration::seconds(60)));
        assert!(!limits.usable(2, false, NOW));
        assert!(!limits.usable(0, true, NOW));
        let open = Limits::parse(None, None, "max_uses", NOW).unwrap();
        assert!(open.usable(i32::MAX, false, NOW + Duration::days(10_000)));
    }

    #[test]
    fn silly_limits_are_refused_by_name() {
        for seconds in [0, -1, i64::MAX] {
            assert_eq!(
                Limits::parse(Some(seconds), None, "max_uses", NOW).unwrap_err().field,
                "expires_in_s"
            );
        }
        for uses in [0, -5, i64::MAX] {
            assert_eq!(
                Limits::parse(None, Some(uses), "max_downloads", NOW).unwrap_err().field,
                "max_downloads"
            );
        }
    }
}
