//! The login of one service: made when it is missing, given the password of its URL, refused when it is more than a
//! plain role.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::StoreError;

const SCRAM_ROUNDS: u32 = 4096;

/// Who the service logs in as.
pub(super) struct Login {
    pub(super) name: String,
    password: Option<String>,
}

/// Without the password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Login {
    /// Reads name and password from the service's connection options.
    pub(super) fn of(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let name = options.get_username().to_owned();
        let url = options.to_url_lossy();
        let password = match url.password() {
            Some(encoded) => {
                let decoded = percent_decode_str(encoded).decode_utf8();
                let decoded = decoded.ok().filter(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b)));
                let only_ascii = || StoreError::Options(format!("the password of {name} is not plain ASCII"));
                Some(decoded.ok_or_else(only_ascii)?.into_owned())
            }
            None => None,
        };
        Ok(Self { name, password })
    }

    /// Creates the role, or checks that the one there is plain.
    pub(super) async fn ensure(&self, owner: &mut PgConnection) -> Result<(), StoreError> {
        let found: Option<Option<String>> = sqlx::query_scalar(
            "SELECT CASE WHEN rolname = current_user THEN 'migrates'
                         WHEN rolsuper THEN 'is a superuser'
                         WHEN rolbypassrls THEN 'bypasses row security'
                         WHEN rolcreaterole THEN 'may create roles'
                         WHEN rolcreatedb THEN 'may create databases'
                         WHEN rolreplication THEN 'may replicate' END
             FROM pg_roles WHERE rolname = $1",
        )
        .bind(&self.name)
        .fetch_optional(&mut *owner)
        .await?;
        match found {
            Some(None) => Ok(()),
            Some(Some(why)) => {
                let name = self.name.clone();
                Err(StoreError::PrivilegedRole { login: name.clone(), role: name, why })
            }
            None => {
                let password = self.password.as_deref().map(scram_verifier);
                let password = password.map(|verifier| format!(" PASSWORD '{verifier}'")).unwrap_or_default();
                // NOINHERIT: the login itself may do nothing, only the role it becomes.
                let sql = format!("CREATE ROLE {} LOGIN NOINHERIT{password}", self.quoted(owner).await?);
                owner.execute(AssertSqlSafe(sql)).await?;
                Ok(())
            }
        }
    }

    /// Sets the URL's password if the server does not take it: somebody changed it in the settings.
    pub(super) async fn agree_on_password(
        &self,
        owner: &mut PgConnection,
        options: &PgConnectOptions,
    ) -> Result<(), StoreError> {
        let Some(password) = &self.password else { return Ok(()) };
        let as_login = options.clone().username(&self.name).password(password);
        match PgConnection::connect_with(&as_login).await {
            Ok(connection) => {
                let _ = connection.close().await;
                return Ok(());
            }
            Err(error) if sqlstate(&error).as_deref() == Some("28P01") => {}
            // Not about the password: the server may take this login from another host only.
            Err(_) => return Ok(()),
        }
        let sql = format!("ALTER ROLE {} PASSWORD '{}'", self.quoted(owner).await?, scram_verifier(password));
        match owner.execute(AssertSqlSafe(sql)).await {
            // Made by somebody else, who keeps its password.
            Err(error) if sqlstate(&error).as_deref() == Some("42501") => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Its name as an SQL identifier.
    pub(super) async fn quoted(&self, connection: &mut PgConnection) -> Result<String, sqlx::Error> {
        sqlx::query_scalar("SELECT quote_ident($1)").bind(&self.name).fetch_one(connection).await
    }
}

pub(super) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// What PostgreSQL keeps of a password (RFC 5803). Sent in its place, so that no server log ever shows the password.
fn scram_verifier(password: &str) -> String {
    let salt: [u8; 16] = rand::random();
    scram_verifier_with(password, &salt)
}

fn scram_verifier_with(password: &str, salt: &[u8]) -> String {
    let mac = |key: &[u8], parts: &[&[u8]]| -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    // PBKDF2 for one block.
    let mut round = mac(password.as_bytes(), &[salt, &1_u32.to_be_bytes()]);
    let mut salted = round;
    for _ in 1..SCRAM_ROUNDS {
        round = mac(password.as_bytes(), &[&round]);
        salted.iter_mut().zip(round).for_each(|(sum, byte)| *sum ^= byte);
    }
    let stored = Sha256::digest(mac(&salted, &[b"Client Key"]));
    let server = mac(&salted, &[b"Server Key"]);
    let [salt, stored, server] = [salt, &stored, &server].map(|bytes| BASE64.encode(bytes));
    format!("SCRAM-SHA-256${SCRAM_ROUNDS}:{salt}${stored}:{server}")
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    /// RFC 7677's example: user, password `pencil`, 4096 rounds. The server key follows from its server signature.
    #[test]
    fn a_verifier_is_what_the_standard_says() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = scram_verifier_with("pencil", &salt);
        assert_eq!(
            verifier,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
             $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn a_url_gives_name_and_password_and_never_shows_it() {
        let options = PgConnectOptions::from_str("postgres://some%2Done:hid%27den%25@h/d").unwrap();
        let login = Login::of(&options).unwrap();
        assert_eq!((login.name.as_str(), login.password.as_deref()), ("some-one", Some("hid'den%")));
        assert!(!format!("{login:?}").contains("hid"), "{login:?}");
        let options = PgConnectOptions::from_str("postgres://u:p%C3%A4ss@h/d").unwrap();
        let error = Login::of(&options).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("ss@"), "{error:?}");
    }
}
