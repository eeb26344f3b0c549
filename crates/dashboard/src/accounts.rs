//! Registering, logging in, and keeping a login alive.
//!
//! Access tokens are short-lived and not stored. Refresh tokens are single-use; presenting a used one means two
//! parties hold it, and ends the login it belongs to. Except at once: an answer may be lost on its way, and two
//! tabs may ask together, so for some seconds a used token leads to the very token that took its place.

mod passwords;

pub(crate) use passwords::PasswordConfig;
pub(crate) use passwords::Passwords;

use crate::engine::text::{DisplayName, Email};
use crate::engine::{aura_id, password};
use crate::notify::Notifier;
use crate::secret;
use crate::store::sessions::TokenRow;
use crate::store::users::UserRow;
use crate::store::{sessions, users};
use aura_service::auth::user::{UserClaims, UserKeys};
use aura_service::error::{Result, ServiceError};
use aura_store::{Database, StoreError};
use aura_types::{SessionId, SharedClock, UserId};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How long each kind of token lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) access: Duration,
    /// A refresh token that is not used.
    pub(crate) refresh_idle: Duration,
    /// How long after its use a refresh token still leads to its successor.
    pub(crate) refresh_grace: Duration,
    /// A login, however often refreshed.
    pub(crate) login: Duration,
}

#[derive(Clone)]
pub(crate) struct Accounts {
    db: Database,
    clock: SharedClock,
    keys: Arc<UserKeys>,
    passwords: Passwords,
    notifier: Notifier,
    lifetimes: Lifetimes,
}

/// A login as handed to a client.
pub(crate) struct Login {
    pub(crate) user: UserRow,
    pub(crate) access_token: String,
    pub(crate) access_lifetime: Duration,
    pub(crate) refresh_token: String,
    pub(crate) refresh_lifetime: Duration,
}

impl Accounts {
    pub(crate) fn new(
        db: Database,
        clock: SharedClock,
        keys: Arc<UserKeys>,
        passwords: Passwords,
        notifier: Notifier,
        lifetimes: Lifetimes,
    ) -> Self {
        Self { db, clock, keys, passwords, notifier, lifetimes }
    }

    pub(crate) async fn register(&self, email: Email, name: DisplayName, password: String) -> Result<Login> {
        password::check(&password, &[email.as_str(), name.as_str()])?;
        let hash = self.passwords.hash(password).await?;
        let now = crate::now(&self.clock);
        let mut tx = self.db.system().await?;
        let base = aura_id::base(name.as_str());
        for attempt in 0..aura_id::MAX_ATTEMPTS {
            let aura_id = aura_id::proposal(&base, attempt, secret::random_number());
            let inserted =
                users::insert(&mut tx, UserId::generate(), &email, &name, &hash, &aura_id, now).await;
            if let Some(user) = inserted.map_err(taken_email)? {
                let login = self.open_session(&mut tx, user, now).await?;
                tx.commit().await.map_err(taken_email)?;
                metrics::counter!("aura_dashboard_registrations_total").increment(1);
                return Ok(login);
            }
        }
        Err(ServiceError::internal("no free AuraID after every attempt"))
    }

    pub(crate) async fn login(&self, email: &Email, password: String) -> Result<Login> {
        let mut tx = self.db.system().await?;
        let credential = users::credentials(&mut tx, email).await?;
        // The hash takes long on purpose; no connection waits for it.
        tx.rollback().await?;
        let (user, stored) = credential.map(|row| (row.user, row.password_hash)).unzip();
        let verdict = self.passwords.verify(password.clone(), stored.clone()).await?;
        let (Some(user), Some(stored), true) = (user, stored, verdict.matches) else {
            metrics::counter!("aura_dashboard_logins_total", "result" => "refused").increment(1);
            return Err(ServiceError::unauthenticated("wrong e-mail address or password"));
        };
        let rehashed = if verdict.outdated { Some(self.passwords.hash(password).await?) } else { None };
        let now = crate::now(&self.clock);
        let mut tx = self.db.system().await?;
        if let Some(rehashed) = rehashed {
            users::replace_password_hash(&mut tx, user.id, &stored, &rehashed, now).await?;
        }
        let login = self.open_session(&mut tx, user, now).await?;
        tx.commit().await?;
        metrics::counter!("aura_dashboard_logins_total", "result" => "accepted").increment(1);
        Ok(login)
    }

    /// Exchanges a refresh token for a new pair.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Login> {
        let now = crate::now(&self.clock);
        let refused = || ServiceError::unauthenticated("log in again");
        let mut tx = self.db.system().await?;
        let row = sessions::lock_token(&mut tx, &secret::token_hash(token)).await?.ok_or_else(refused)?;
        let (user, family) = (UserId::from_uuid(row.user_id), SessionId::from_uuid(row.family_id));
        if row.used_at.is_some_and(|used| now - used >= self.lifetimes.refresh_grace) {
            sessions::revoke_family(&mut tx, row.user_id, row.family_id, "reuse", now).await?;
            tx.commit().await?;
            self.notifier.session_ended(user, family);
            metrics::counter!("aura_dashboard_refresh_reuse_total").increment(1);
            tracing::warn!(user.id = %user, session.id = %family, "a used refresh token came back");
            return Err(refused());
        }
        if !is_live(&row, now) {
            return Err(refused());
        }
        let refresh = if row.used_at.is_some() {
            metrics::counter!("aura_dashboard_refresh_repeated_total").increment(1);
            latest(&mut tx, token, row).await?.ok_or_else(refused)?
        } else {
            let seed = secret::random_seed();
            sessions::mark_used(&mut tx, &secret::token_hash(token), &seed, now).await?;
            let successor = secret::successor(token, &seed);
            self.store_token(&mut tx, successor, user, family, row.family_expires_at, now).await?
        };
        let user = users::find(&mut tx, user).await?.ok_or_else(refused)?;
        let login = self.sign(user, family, refresh, now)?;
        tx.commit().await?;
        Ok(login)
    }

    /// Ends the login a refresh token belongs to. Unknown tokens are none of anybody's business.
    pub(crate) async fn logout(&self, token: &str) -> Result<()> {
        let now = crate::now(&self.clock);
        let mut tx = self.db.system().await?;
        let row = sessions::lock_token(&mut tx, &secret::token_hash(token)).await?;
        let Some(row) = row else { return Ok(()) };
        sessions::revoke_family(&mut tx, row.user_id, row.family_id, "logout", now).await?;
        tx.commit().await?;
        self.notifier.session_ended(UserId::from_uuid(row.user_id), SessionId::from_uuid(row.family_id));
        Ok(())
    }

    /// Whether a login still goes on: neither logged out, nor revoked, nor past its end.
    pub(crate) async fn is_open(&self, user: UserId, session: SessionId) -> Result<bool> {
        let mut tx = self.db.system().await?;
        let ended = sessions::ended_among(&mut tx, &[(user, session)], crate::now(&self.clock)).await?;
        tx.rollback().await?;
        Ok(ended.is_empty())
    }

    async fn open_session(
        &self,
        tx: &mut sqlx::PgConnection,
        user: UserRow,
        now: OffsetDateTime,
    ) -> Result<Login> {
        let (owner, family) = (UserId::from_uuid(user.id), SessionId::generate());
        let ends = now + self.lifetimes.login;
        sessions::open_family(tx, owner, family, now, ends).await?;
        let refresh = self.store_token(tx, secret::random_token(), owner, family, ends, now).await?;
        self.sign(user, family, refresh, now)
    }

    async fn store_token(
        &self,
        tx: &mut sqlx::PgConnection,
        token: String,
        user: UserId,
        family: SessionId,
        family_ends: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<RefreshToken> {
        let expires_at = family_ends.min(now + self.lifetimes.refresh_idle);
        sessions::insert_token(tx, &secret::token_hash(&token), user, family, now, expires_at).await?;
        Ok(RefreshToken { token, expires_at })
    }

    fn sign(
        &self,
        user: UserRow,
        family: SessionId,
        refresh: RefreshToken,
        now: OffsetDateTime,
    ) -> Result<Login> {
        let claims = UserClaims::new(user.id.to_string(), family.to_string(), now, self.lifetimes.access);
        Ok(Login {
            access_token: self.keys.sign(&claims).map_err(ServiceError::internal)?,
            access_lifetime: self.lifetimes.access,
            refresh_token: refresh.token,
            refresh_lifetime: refresh.expires_at - now,
            user,
        })
    }
}

/// A refresh token nobody has used yet.
struct RefreshToken {
    token: String,
    expires_at: OffsetDateTime,
}

/// The unused token that `token`, used a moment ago, has led to. None for a token used before successors were kept.
async fn latest(tx: &mut sqlx::PgConnection, token: &str, mut row: TokenRow) -> Result<Option<RefreshToken>> {
    let mut token = token.to_owned();
    while let Some(seed) = row.successor_seed.take() {
        token = secret::successor(&token, &seed);
        let Some(next) = sessions::lock_token(tx, &secret::token_hash(&token)).await? else {
            return Ok(None);
        };
        row = next;
    }
    Ok(row.used_at.is_none().then_some(RefreshToken { token, expires_at: row.expires_at }))
}

/// The limited token of somebody without an account: this room's messages and files, nothing else.
pub(crate) fn guest_claims(guest: UserId, room: Uuid, now: OffsetDateTime, lifetime: Duration) -> UserClaims {
    UserClaims::new(crate::sfu::guest_identity(guest), guest.to_string(), now, lifetime)
        .with_scope(format!("room:{room}"))
}

fn is_live(row: &TokenRow, now: OffsetDateTime) -> bool {
    row.revoked_at.is_none() && now < row.expires_at && now < row.family_expires_at
}

fn taken_email(error: StoreError) -> ServiceError {
    if error.constraint() == Some("users_email_key") {
        return ServiceError::already_exists("email", "is already registered");
    }
    error.into()
}
