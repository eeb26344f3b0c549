//! The shapes the outside sees: what replies, pushes and the OpenAPI document are made of.
//!
//! Output only, and separate from rows: a column added to a table appears nowhere by itself. Optional values are
//! always present in JSON, as null.

mod account;
mod aic;
mod call;
mod file;
mod invite;
mod join;
mod message;
mod participant;
mod room;
mod share;

pub(crate) use account::{Person, Session, User};
pub(crate) use aic::{
    AicAlert, AicConfig, AicFigures, AicKind, AicMetrics, AicModelHour, AicPoint, AicRule, AicSession,
};
pub(crate) use call::{Call, CallJoin, Media};
pub(crate) use file::File;
pub(crate) use invite::{Invite, InvitePreview};
pub(crate) use join::{Join, Role};
pub(crate) use message::Message;
pub(crate) use participant::{Participant, RemovedPerson};
pub(crate) use room::{Live, Room};
pub(crate) use share::{Share, SharePreview};

use serde::Serialize;
use utoipa::ToSchema;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Pass as `cursor` to read on; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

/// A list that always comes whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}
