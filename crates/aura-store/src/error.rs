//! What storage can answer, sorted by what the caller can do about it.

use aura_types::{Coded, ErrorCode};
use sqlx::error::DatabaseError;

/// An error of Postgres or Redis.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server is away, starting, or has no connection to spare; the same call may succeed later.
    #[error("storage is not available")]
    Unavailable(#[source] Source),
    /// The statement took longer than it may.
    #[error("storage took too long")]
    TimedOut(#[source] Source),
    /// A unique constraint refused the row.
    #[error("already exists ({constraint})")]
    AlreadyExists {
        /// The constraint's name: map it to the field it stands for.
        constraint: String,
    },
    /// No row, or none that the tenant may see.
    #[error("no such row")]
    NotFound,
    /// A foreign key refused the row: what it points to is gone, or what points to it is not.
    #[error("a related row is missing or in use ({constraint})")]
    ForeignKey {
        /// The constraint's name.
        constraint: String,
    },
    /// A check, not-null or length constraint refused the value.
    #[error("a value is not acceptable ({constraint})")]
    Check {
        /// The constraint's or column's name.
        constraint: String,
    },
    /// The role or a row policy forbids it. Seen in production this is a bug of ours.
    #[error("the database forbids this")]
    PermissionDenied(#[source] Source),
    /// A concurrent transaction won; running the whole transaction again may succeed.
    #[error("a concurrent change got in the way")]
    Conflict(#[source] Source),
    /// The login can do more than its service needs. Start-up must refuse it.
    #[error(
        "the login {login} may do too much: {role} {why}; use the login `auralink migrate` makes for the service"
    )]
    PrivilegedRole {
        /// The login.
        login: String,
        /// The login itself, or a role it may become.
        role: String,
        /// What that role may do.
        why: String,
    },
    /// Somebody besides the service's login may become one of its roles, and the migrating login cannot end that.
    #[error("{member} may become {role}; run as superuser: {remedy}")]
    ForeignMember {
        /// The service's role.
        role: String,
        /// Who may become it.
        member: String,
        /// The statement that ends it.
        remedy: String,
    },
    /// Options that cannot be used: a malformed URL or role name.
    #[error("storage options: {0}")]
    Options(String),
    /// Migrations could not be applied.
    #[error("migrations of {service} failed")]
    Migration {
        /// Whose.
        service: &'static str,
        /// Why.
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// Anything else: a bug in a query, a value that does not decode.
    #[error("storage failed")]
    Internal(#[source] Source),
}

// Spelled out in the documentation: an alias of a public type.
type Source = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// The constraint that refused, if one did.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::AlreadyExists { constraint }
            | Self::ForeignKey { constraint }
            | Self::Check { constraint } => Some(constraint),
            _ => None,
        }
    }

    /// Whether running the whole transaction again may succeed at once.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// Whether the server is away.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Coded for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) | Self::Conflict(_) => ErrorCode::Unavailable,
            Self::TimedOut(_) => ErrorCode::DeadlineExceeded,
            Self::AlreadyExists { .. } => ErrorCode::AlreadyExists,
            Self::NotFound => ErrorCode::NotFound,
            Self::ForeignKey { .. } => ErrorCode::FailedPrecondition,
            Self::Check { .. } => ErrorCode::InvalidArgument,
            Self::PermissionDenied(_) => ErrorCode::PermissionDenied,
            Self::PrivilegedRole { .. }
            | Self::ForeignMember { .. }
            | Self::Options(_)
            | Self::Migration { .. }
            | Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn safe_message(&self) -> String {
        match self.code() {
            ErrorCode::Unavailable => "temporarily not available; try again",
            ErrorCode::DeadlineExceeded => "the request took too long",
            ErrorCode::AlreadyExists => "already exists",
            ErrorCode::NotFound => "not found",
            ErrorCode::FailedPrecondition => "something this refers to is missing or in use",
            ErrorCode::InvalidArgument => "a value is not acceptable",
            ErrorCode::PermissionDenied => "not allowed",
            _ => "something went wrong on our side",
        }
        .to_owned()
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            sqlx::Error::Database(ref database) => match classify(&**database) {
                Some(known) => known,
                None => Self::from_sqlstate(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.into()),
            _ => Self::Internal(error.into()),
        }
    }
}

/// Constraint violations, which carry a name instead of a cause.
fn classify(error: &dyn DatabaseError) -> Option<StoreError> {
    let code = error.code()?;
    let postgres = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    let constraint = || {
        postgres
            .and_then(|error| error.constraint().or_else(|| error.column()))
            .unwrap_or_default()
            .to_owned()
    };
    match &*code {
        "23505" => Some(StoreError::AlreadyExists { constraint: constraint() }),
        "23503" => Some(StoreError::ForeignKey { constraint: constraint() }),
        // check, not null, exclusion, value too long, number out of range, a character text cannot hold (NUL)
        "23514" | "23502" | "23P01" | "22001" | "22003" | "22021" => {
            Some(StoreError::Check { constraint: constraint() })
        }
        _ => None,
    }
}

impl StoreError {
    fn from_sqlstate(error: sqlx::Error) -> Self {
        let database = error.as_database_error();
        let code = database.and_then(|error| error.code()).unwrap_or_default().into_owned();
        let message = database.map(|error| error.message()).unwrap_or_default().to_owned();
        let source: Source = error.into();
        match (code.get(..2).unwrap_or_default(), code.as_str()) {
            (_, "57014" | "55P03" | "25P03" | "25P04") => Self::TimedOut(source),
            // connection trouble, no resources, operator intervention (restart), system error
            ("08" | "53" | "57" | "58", _) => Self::Unavailable(source),
            (_, "42501") => {
                alarm(&message);
                Self::PermissionDenied(source)
            }
            (_, "40001" | "40P01") => Self::Conflict(source),
            _ => Self::Internal(source),
        }
    }
}

/// The database has refused what our own checks let through: a bug of ours, or somebody who got past them. Never
/// silent. The surrounding spans say whose request it was.
fn alarm(message: &str) {
    let table = denied_table(message);
    metrics::counter!("auralink_database_denied_total", "table" => table.clone()).increment(1);
    tracing::error!(db.table = table, db.message = message, "the database denied what the service allowed");
}

/// PostgreSQL names the table in the message alone: `permission denied for table x`, `new row violates row-level security
/// policy for table "x"` (or `policy "p" for table "x"`). Anything else is `other`.
fn denied_table(message: &str) -> String {
    let named = message.rsplit_once(" for table ").map(|(_, table)| table.trim_matches('"'));
    named.filter(|table| crate::postgres::check_identifier(table).is_ok()).unwrap_or("other").to_owned()
}

impl From<::redis::RedisError> for StoreError {
    fn from(error: ::redis::RedisError) -> Self {
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
            Self::Unavailable(error.into())
        } else {
            Self::Internal(error.into())
        }
    }
}

impl From<deadpool_redis::PoolError> for StoreError {
    fn from(error: deadpool_redis::PoolError) -> Self {
        Self::Unavailable(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_its_table_and_nothing_from_outside_becomes_a_label() {
        for (message, table) in [
            ("permission denied for table users", "users"),
            ("new row violates row-level security policy for table \"messages\"", "messages"),
            ("new row violates row-level security policy \"p\" for table \"files\"", "files"),
            ("permission denied for schema dashboard", "other"),
            ("permission denied for table Some Thing", "other"),
        ] {
            assert_eq!(denied_table(message), table);
        }
    }
}
