//! The life of a call: `initiated → ringing → active → completed | declined | missed | failed`.
//!
//! Inputs are what the SFU reported, what a party asked for, and the passing of time; `now` is always passed in.
//! A party's own claim never makes a call active: only the SFU's report does. Everything the machine knows is in
//! the row, so a restarted process goes on where the last one stopped.

mod presence;
#[cfg(test)]
mod tests;

pub(crate) use presence::Presence;

use aura_types::{CallId, Coded, ErrorCode, UserId};
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Initiated,
    Ringing,
    Active,
    Completed,
    Declined,
    Missed,
    Failed,
}

impl Status {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Initiated, "initiated"),
        (Self::Ringing, "ringing"),
        (Self::Active, "active"),
        (Self::Completed, "completed"),
        (Self::Declined, "declined"),
        (Self::Missed, "missed"),
        (Self::Failed, "failed"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("failed", |(_, name)| name)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Initiated | Self::Ringing | Self::Active)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Caller,
    Callee,
}

/// How long each state may last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timings {
    /// From placing (or accepting) a call until that party is in the SFU room.
    pub(crate) join: Duration,
    /// How long a party may be away before it counts as gone.
    pub(crate) reconnect_grace: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) caller: UserId,
    pub(crate) callee: UserId,
    pub(crate) status: Status,
    pub(crate) ring_timeout: Duration,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) ringing_at: Option<OffsetDateTime>,
    pub(crate) accepted_at: Option<OffsetDateTime>,
    pub(crate) answered_at: Option<OffsetDateTime>,
    pub(crate) ended_at: Option<OffsetDateTime>,
    pub(crate) end_reason: Option<String>,
    pub(crate) hangup_at: Option<OffsetDateTime>,
    pub(crate) caller_presence: Presence,
    pub(crate) callee_presence: Presence,
}

/// What the SFU reported about a call's room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    Joined {
        party: Party,
        session: String,
    },
    Left {
        party: Party,
        session: String,
    },
    RoomEnded,
    /// Who is in the room right now, asked rather than heard.
    Snapshot {
        caller: Option<String>,
        callee: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Accept,
    Decline,
    End,
}

/// A command the call's state (or the asking party's role) does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("only the callee may do this")]
    NotCallee,
    #[error("the call is over")]
    Over,
    #[error("the call is already active")]
    Active,
}

impl Coded for Refusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotCallee => ErrorCode::PermissionDenied,
            Self::Over | Self::Active => ErrorCode::FailedPrecondition,
        }
    }

    fn safe_message(&self) -> String {
        self.to_string()
    }
}

impl Call {
    pub(crate) fn party(&self, user: UserId) -> Option<Party> {
        match user {
            user if user == self.caller => Some(Party::Caller),
            user if user == self.callee => Some(Party::Callee),
            _ => None,
        }
    }

    /// Whole seconds both parties were connected, once the call is over.
    pub(crate) fn duration_seconds(&self) -> Option<i64> {
        Some((self.ended_at? - self.answered_at?).whole_seconds().max(0))
    }

    /// Whether the SFU room must not exist (any more).
    pub(crate) fn room_must_close(&self) -> bool {
        !self.status.is_open() || self.hangup_at.is_some()
    }

    /// Applies what the SFU reported at `at`.
    pub(crate) fn observe(&mut self, fact: Fact, at: OffsetDateTime) {
        if !self.status.is_open() {
            return;
        }
        match fact {
            Fact::Joined { party, session } => self.presence_mut(party).joined(session),
            Fact::Left { party, session } => self.presence_mut(party).left(&session, at),
            Fact::Snapshot { caller, callee } => {
                self.caller_presence.seen(caller, at);
                self.callee_presence.seen(callee, at);
            }
            Fact::RoomEnded => return self.room_ended(at),
        }
        if self.status == Status::Initiated && self.caller_presence.is_present() {
            self.status = Status::Ringing;
            self.ringing_at = Some(at);
        }
        if self.status == Status::Ringing
            && self.caller_presence.is_present()
            && self.callee_presence.is_present()
        {
            self.status = Status::Active;
            self.answered_at = Some(at);
        }
    }

    /// Does what a party asked for, or says why not. Repeating a command that took effect is no error.
    pub(crate) fn command(
        &mut self,
        command: Command,
        by: Party,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        match (command, by) {
            (Command::Accept | Command::Decline, Party::Caller) => Err(Refusal::NotCallee),
            (Command::Accept, Party::Callee) => match self.status {
                Status::Initiated | Status::Ringing => {
                    self.accepted_at.get_or_insert(now);
                    Ok(())
                }
                Status::Active => Ok(()),
                _ => Err(Refusal::Over),
            },
            (Command::Decline, Party::Callee) => match self.status {
                Status::Initiated | Status::Ringing => {
                    self.end(Status::Declined, "declined", now);
                    Ok(())
                }
                Status::Declined => Ok(()),
                Status::Active => Err(Refusal::Active),
                _ => Err(Refusal::Over),
            },
            (Command::End, by) => {
                match (self.status, by) {
                    (Status::Initiated | Status::Ringing, Party::Caller) => {
                        self.end(Status::Missed, "cancelled", now);
                    }
                    (Status::Initiated | Status::Ringing, Party::Callee) => {
                        self.end(Status::Missed, "cancelled_by_callee", now);
                    }
                    // The SFU confirms: it ends the room, and that fact completes the call.
                    (Status::Active, _) => {
                        self.hangup_at.get_or_insert(now);
                    }
                    _ => {}
                }
                Ok(())
            }
        }
    }

    /// Lets time pass: ends what waited too long.
    pub(crate) fn tick(&mut self, now: OffsetDateTime, timings: &Timings) {
        let due = |at: Option<OffsetDateTime>, after: Duration| at.is_some_and(|at| at + after <= now);
        match self.status {
            Status::Initiated if due(Some(self.created_at), timings.join) => {
                self.end(Status::Failed, "caller_never_joined", now);
            }
            Status::Ringing if due(self.caller_presence.away_since(), timings.reconnect_grace) => {
                self.end(Status::Missed, "caller_left", now);
            }
            Status::Ringing if due(self.accepted_at, timings.join) => {
                self.end(Status::Failed, "callee_never_joined", now);
            }
            Status::Ringing if self.accepted_at.is_none() && due(self.ringing_at, self.ring_timeout) => {
                self.end(Status::Missed, "ring_timeout", now);
            }
            Status::Active if due(self.first_away(), timings.reconnect_grace) => {
                let left = self.first_away().unwrap_or(now);
                self.end(Status::Completed, "party_left", left);
            }
            _ => {}
        }
    }

    /// When `tick` will next have something to do. None once the call is over, or while both talk.
    pub(crate) fn next_deadline(&self, timings: &Timings) -> Option<OffsetDateTime> {
        match self.status {
            Status::Initiated => Some(self.created_at + timings.join),
            Status::Ringing => {
                let answer = match (self.accepted_at, self.ringing_at) {
                    (Some(accepted), _) => accepted + timings.join,
                    (None, Some(ringing)) => ringing + self.ring_timeout,
                    (None, None) => self.created_at + self.ring_timeout,
                };
                let back = self.caller_presence.away_since().map(|since| since + timings.reconnect_grace);
                Some(back.map_or(answer, |back| back.min(answer)))
            }
            Status::Active => self.first_away().map(|since| since + timings.reconnect_grace),
            _ => None,
        }
    }

    fn room_ended(&mut self, at: OffsetDateTime) {
        match self.status {
            Status::Ringing => self.end(Status::Missed, "room_ended", at),
            Status::Active => {
                let reason = if self.hangup_at.is_some() { "hung_up" } else { "room_ended" };
                let ended = [self.hangup_at, self.first_away()].into_iter().flatten().min().unwrap_or(at);
                self.end(Status::Completed, reason, ended);
            }
            // An empty room closed before the caller came: they may still come.
            _ => {}
        }
    }

    fn end(&mut self, status: Status, reason: &str, at: OffsetDateTime) {
        self.status = status;
        self.end_reason = Some(reason.to_owned());
        self.ended_at = Some(at.max(self.answered_at.unwrap_or(self.created_at)));
    }

    fn first_away(&self) -> Option<OffsetDateTime> {
        [&self.caller_presence, &self.callee_presence].into_iter().filter_map(Presence::away_since).min()
    }

    fn presence_mut(&mut self, party: Party) -> &mut Presence {
        match party {
            Party::Caller => &mut self.caller_presence,
            Party::Callee => &mut self.callee_presence,
        }
    }
}
