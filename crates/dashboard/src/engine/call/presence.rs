//! Whether a party is in the SFU room, and through which session.
//!
//! A reconnect replaces the session before the old one's departure is reported; only the current session can leave.

use time::OffsetDateTime;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Presence {
    #[default]
    Never,
    Present {
        session: String,
    },
    Away {
        session: String,
        since: OffsetDateTime,
    },
}

impl Presence {
    /// From the two columns that store it.
    pub(crate) fn from_columns(session: Option<String>, left_at: Option<OffsetDateTime>) -> Self {
        match (session, left_at) {
            (None, _) => Self::Never,
            (Some(session), None) => Self::Present { session },
            (Some(session), Some(since)) => Self::Away { session, since },
        }
    }

    pub(crate) fn columns(&self) -> (Option<&str>, Option<OffsetDateTime>) {
        match self {
            Self::Never => (None, None),
            Self::Present { session } => (Some(session), None),
            Self::Away { session, since } => (Some(session), Some(*since)),
        }
    }

    pub(crate) fn is_present(&self) -> bool {
        matches!(self, Self::Present { .. })
    }

    pub(crate) fn away_since(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Away { since, .. } => Some(*since),
            _ => None,
        }
    }

    pub(super) fn joined(&mut self, session: String) {
        // A report of the session that already left is late, not a return: sessions never come back.
        if !matches!(self, Self::Away { session: gone, .. } if *gone == session) {
            *self = Self::Present { session };
        }
    }

    pub(super) fn left(&mut self, session: &str, at: OffsetDateTime) {
        match self {
            Self::Present { session: current } if current == session => {
                *self = Self::Away { session: session.to_owned(), since: at };
            }
            // Gone before the arrival was reported.
            Self::Never => *self = Self::Away { session: session.to_owned(), since: at },
            _ => {}
        }
    }

    /// The SFU was asked and said who is there.
    pub(super) fn seen(&mut self, session: Option<String>, at: OffsetDateTime) {
        match (session, &mut *self) {
            (Some(session), _) => *self = Self::Present { session },
            (None, Self::Present { session }) => {
                *self = Self::Away { session: std::mem::take(session), since: at };
            }
            (None, _) => {}
        }
    }
}
