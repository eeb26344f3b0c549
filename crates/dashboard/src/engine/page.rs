//! Pages of lists: newest first, continued after the last row seen (keyset, not offset).
//!
//! A cursor is opaque to clients and carries no authority: rows stay filtered by who asks.

use super::text::Invalid;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) const DEFAULT_LIMIT: i64 = 50;
pub(crate) const MAX_LIMIT: i64 = 100;

/// Position in a list ordered by creation time, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) created_at: OffsetDateTime,
    pub(crate) id: Uuid,
}

impl Cursor {
    /// Before every row: where a list begins.
    pub(crate) const START: Self =
        Self { created_at: time::macros::datetime!(9999-01-01 0:00 UTC), id: Uuid::max() };

    pub(crate) fn encode(&self) -> String {
        let micros = self.created_at.unix_timestamp_nanos() / 1000;
        let mut bytes = [0u8; 24];
        bytes[..8].copy_from_slice(&i64::try_from(micros).unwrap_or(i64::MAX).to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (micros, id) = bytes.split_at(8);
        let micros = i64::from_be_bytes(micros.try_into().ok()?);
        let created_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()?;
        Some(Self { created_at, id: Uuid::from_slice(id).ok()? })
    }
}

/// What to read: rows after `after`, at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) after: Cursor,
    pub(crate) limit: i64,
}

impl Window {
    pub(crate) fn parse(limit: Option<i64>, cursor: Option<&str>) -> Result<Self, Invalid> {
        let after = match cursor {
            None | Some("") => Cursor::START,
            Some(text) => {
                Cursor::decode(text).ok_or_else(|| Invalid::new("cursor", "is not a cursor of this list"))?
            }
        };
        Ok(Self { after, limit: limit_of(limit)? })
    }

    /// Splits `limit + 1` rows read into the page and the cursor of the next one.
    pub(crate) fn cut<T>(
        &self,
        mut rows: Vec<T>,
        position: impl Fn(&T) -> Cursor,
    ) -> (Vec<T>, Option<String>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return (rows, None);
        }
        rows.truncate(limit);
        let next = rows.last().map(|row| position(row).encode());
        (rows, next)
    }

    /// Rows to ask the database for: one more than shown tells whether there is a next page.
    pub(crate) fn fetch(&self) -> i64 {
        self.limit + 1
    }
}

pub(crate) fn limit_of(limit: Option<i64>) -> Result<i64, Invalid> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Invalid::new("limit", format!("must be 1 to {MAX_LIMIT}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_round_trip() {
        let cursor = Cursor {
            created_at: time::macros::datetime!(2026-11-21 3:04:05.678901 UTC),
            id: Uuid::from_u128(7),
        };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        assert_eq!(Cursor::decode(&Cursor::START.encode()), Some(Cursor::START));
    }

    #[test]
    fn garbage_cursors_and_limits_are_named() {
        assert_eq!(Window::parse(None, Some("nope")).unwrap_err().field, "cursor");
        for limit in [0, 101, -1] {
            assert_eq!(Window::parse(Some(limit), None).unwrap_err().field, "limit");
        }
        assert_eq!(Window::parse(None, None).unwrap().limit, DEFAULT_LIMIT);
    }

    #[test]
    fn the_extra_row_makes_a_next_page() {
        let window = Window { after: Cursor::START, limit: 2 };
        let at = |n: &u128| Cursor { created_at: OffsetDateTime::UNIX_EPOCH, id: Uuid::from_u128(*n) };
        assert_eq!(window.cut(vec![3, 2], at).1, None);
        let (rows, next) = window.cut(vec![3, 2, 1], at);
        assert_eq!((rows, next), (vec![3, 2], Some(at(&2).encode())));
    }
}
