//! How much may be stored, for whom. A room's files count for the room and for its owner, whoever uploaded them.
//!
//! How large a file is shows when it has come: it is held against what is left while it comes, and not taken to its end
//! when it does not fit.

use aura_types::{Coded, ErrorCode};
use std::fmt;

/// Least a file counts: its row and its place on disk are no smaller however few bytes it has.
pub(crate) const LEAST_BYTES: i64 = 4096;

/// Zero is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quotas {
    /// A user's own files and those in all rooms they own.
    pub(crate) user_bytes: u64,
    pub(crate) room_bytes: u64,
}

/// What is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) owner_bytes: u64,
    /// In the room an upload goes to, if it goes to one.
    pub(crate) room_bytes: Option<u64>,
}

/// A file that does not fit any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("the room's storage is full: {} of {} are used, and this file has {}; delete files of the room first", bytes(.used), bytes(.limit), .wanted)]
    Room { used: u64, limit: u64, wanted: Wanted },
    #[error("your storage is full: {} of {} are used, and this file has {}; delete files first", bytes(.used), bytes(.limit), .wanted)]
    Own { used: u64, limit: u64, wanted: Wanted },
    /// To others than the owner, who need not know how much the owner keeps elsewhere.
    #[error("the storage of the room's owner is full: it holds {}, and this file has {}; ask the owner to delete files", bytes(.limit), .wanted)]
    Owners { limit: u64, wanted: Wanted },
}

/// The size of what does not fit, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Exactly(u64),
    /// It was not received to its end.
    AtLeast(u64),
}

impl Wanted {
    fn bytes(self) -> u64 {
        let (Self::Exactly(bytes) | Self::AtLeast(bytes)) = self;
        bytes
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(size) => f.write_str(&bytes(size)),
            Self::AtLeast(size) => write!(f, "at least {}", bytes(size)),
        }
    }
}

impl Coded for Full {
    fn code(&self) -> ErrorCode {
        ErrorCode::FailedPrecondition
    }

    fn safe_message(&self) -> String {
        self.to_string()
    }

    fn field(&self) -> Option<&str> {
        Some("file")
    }
}

impl Quotas {
    /// Whether a file of this size fits beside what is there.
    pub(crate) fn check(&self, usage: Usage, wanted: Wanted, by_owner: bool) -> Result<(), Full> {
        let fits = |used: u64, limit: u64| limit == 0 || used.saturating_add(wanted.bytes()) <= limit;
        if let Some(used) = usage.room_bytes
            && !fits(used, self.room_bytes)
        {
            return Err(Full::Room { used, limit: self.room_bytes, wanted });
        }
        let (used, limit) = (usage.owner_bytes, self.user_bytes);
        if fits(used, limit) {
            Ok(())
        } else if by_owner {
            Err(Full::Own { used, limit, wanted })
        } else {
            Err(Full::Owners { limit, wanted })
        }
    }
}

/// A size as people read it.
fn bytes(size: &u64) -> String {
    let mut size = *size as f64;
    let mut units = ["bytes", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while size >= 1024.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1024.0, next);
    }
    let decimals = usize::from(size.fract() >= 0.05 && size < 100.0);
    format!("{size:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const QUOTAS: Quotas = Quotas { user_bytes: 10 * MIB, room_bytes: 4 * MIB };

    fn usage(owner: u64, room: Option<u64>) -> Usage {
        Usage { owner_bytes: owner, room_bytes: room }
    }

    #[test]
    fn what_is_full_is_named_with_its_sizes() {
        let full = |usage, wanted, by_owner| QUOTAS.check(usage, wanted, by_owner).unwrap_err().to_string();
        let exactly = Wanted::Exactly;
        assert_eq!(QUOTAS.check(usage(0, Some(3 * MIB)), exactly(MIB), true), Ok(()));
        assert_eq!(
            full(usage(0, Some(3 * MIB + 512 * 1024)), exactly(MIB), true),
            "the room's storage is full: 3.5 MiB of 4 MiB are used, and this file has 1 MiB; \
             delete files of the room first"
        );
        assert_eq!(
            full(usage(10 * MIB, None), exactly(5), true),
            "your storage is full: 10 MiB of 10 MiB are used, and this file has 5 bytes; delete files first"
        );
        assert_eq!(
            full(usage(10 * MIB, Some(0)), Wanted::AtLeast(2048), false),
            "the storage of the room's owner is full: it holds 10 MiB, and this file has at least 2 KiB; \
             ask the owner to delete files"
        );
    }

    #[test]
    fn zero_is_no_limit() {
        let none = Quotas { user_bytes: 0, room_bytes: 0 };
        let wanted = Wanted::Exactly(u64::MAX);
        assert_eq!(none.check(usage(u64::MAX, Some(u64::MAX)), wanted, true), Ok(()));
    }
}
