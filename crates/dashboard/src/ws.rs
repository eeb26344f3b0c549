//! `/ws`: pushes to people who are looking.
//!
//! The first message authenticates: `{"type":"auth","data":{"token":"<access token>"}}`, answered by
//! `{"type":"ready"}`. After that the server pushes and answers pings. A socket lives as long as the login its token
//! was issued in and no longer than the token; `auth` with a fresh token of the same login lets it live on. Queues
//! are bounded: a reader that does not keep up is disconnected and reads again when it returns.
//!
//! How the server closes:
//!
//! | code | why | what to do |
//! |---|---|---|
//! | 1001 | the server goes down | reconnect |
//! | 1008 | no or no valid `auth` in time | get a fresh token |
//! | 1013 | too slow, opened too often, or the database is away | reconnect a little later |
//! | 4002 | message not understood | – |
//! | 4003 | too many messages | reconnect a little later |
//! | 4401 | the token has expired | reconnect with a fresh one |
//! | 4403 | the login was ended: logged out here or elsewhere, or revoked | log in |
//! | 4408 | nothing whole was heard for too long, a pong included | reconnect |

mod hub;
mod sessions;
mod socket;

pub(crate) use hub::{Hub, Push};
pub(crate) use sessions::watch as watch_sessions;
pub(crate) use socket::upgrade;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketConfig {
    /// Between pings; a peer that sends nothing whole from one to the next is cut off.
    pub ping_s: u32,
    /// How often the database is asked which logins are over, should their event have been lost.
    pub session_check_s: u32,
}
