//! From a request's query and token to what the room needs to know of a joiner.

use std::collections::HashMap;

use aura_service::auth::access_token::{AccessError, Claims};
use aura_service::http::bearer;
use aura_service::json;
use axum::http::{HeaderMap, StatusCode};
use livekit_protocol as proto;

use super::join_request::{decode_join_request, request_from_query};
use super::{ApiState, user_agent};
use crate::engine::joiner::{ConnectionMode, Joiner};
use crate::engine::limit;
use crate::engine::metadata::token_bytes;
use crate::engine::participant::kind_from_name;
use crate::engine::track::sources_from_names;
use crate::shard::command::JoinExtras;

/// Longest token we renew. Browsers put it into an address to reconnect, together with a join request; `http` takes no
/// address of 64 KiB, whatever the server behind it would.
const RENEWED_TOKEN_BYTES: usize = 48 * 1024;
/// Its header, signature and dots, and what grants may grow by.
const AROUND_CLAIMS_BYTES: usize = 512;

/// A refusal before the upgrade: a status and plain text, as LiveKit clients expect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }
}

impl From<AccessError> for Refused {
    fn from(error: AccessError) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error.to_string())
    }
}

/// An accepted request to join or resume.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) room: String,
    pub(crate) claims: Claims,
    pub(crate) joiner: Joiner,
    pub(crate) extras: JoinExtras,
    /// The participant to resume; empty: whoever has the identity.
    pub(crate) resume: Option<String>,
    pub(crate) configuration: Option<Box<proto::RoomConfiguration>>,
}

/// Query parameters as they came.
pub(crate) type Params = HashMap<String, String>;

/// Checks the token and reads the request. `required_mode` is what the path promises.
pub(crate) fn admit(
    state: &ApiState,
    required_mode: ConnectionMode,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Admission, Refused> {
    let claims = authenticate(state, params, headers)?;
    let room = claims.ensure_join("")?.to_owned();
    let identity = claims.identity.clone();
    if room.is_empty() || room.len() > limit::NAME_BYTES {
        return Err(Refused::bad("room name must be 1 to 256 bytes"));
    }
    if identity.is_empty() || identity.len() > limit::NAME_BYTES {
        return Err(Refused::bad("identity must be 1 to 256 bytes"));
    }
    let wrapped = params.get("join_request");
    let request = match (wrapped, required_mode) {
        (Some(wrapped), _) => decode_join_request(wrapped)?,
        (None, ConnectionMode::Single) => return Err(Refused::bad("join_request is missing")),
        (None, ConnectionMode::Dual) => request_from_query(params)?,
    };
    let mode = if wrapped.is_some() { ConnectionMode::Single } else { ConnectionMode::Dual };
    let mut joiner = joiner(&claims, &request, mode)?;
    if let Some(suffix) = params.get("publish") {
        // A second, publish-only connection of the same person.
        if !claims.video.can_publish() {
            return Err(Refused::from(AccessError::PermissionDenied));
        }
        joiner.identity = format!("{identity}#{suffix}");
        if joiner.identity.len() > limit::NAME_BYTES {
            return Err(Refused::bad("identity must be 1 to 256 bytes"));
        }
        joiner.permission.can_subscribe = false;
    }
    let agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    user_agent::fill(&mut joiner.client, agent);
    let resume = request.reconnect.then_some(request.participant_sid);
    let configuration = room_configuration(&claims)?.map(Box::new);
    let extras = JoinExtras {
        add_tracks: request.add_track_requests,
        publisher_offer: request.publisher_offer,
        sync_state: request.sync_state,
    };
    Ok(Admission { room, claims, joiner, extras, resume, configuration })
}

fn authenticate(state: &ApiState, params: &Params, headers: &HeaderMap) -> Result<Claims, Refused> {
    let token = match (params.get("access_token"), headers.get("authorization")) {
        (Some(token), _) => token.as_str(),
        (None, Some(_)) => bearer(headers).ok_or_else(|| {
            Refused::new(StatusCode::UNAUTHORIZED, "invalid authorization header. Must start with Bearer ")
        })?,
        (None, None) => return Err(Refused::new(StatusCode::UNAUTHORIZED, "no access token")),
    };
    Ok(state.keys.verify(token, state.clock.now())?)
}

/// What the token says of the room. A limit that cannot be read must not become none.
fn room_configuration(claims: &Claims) -> Result<Option<proto::RoomConfiguration>, Refused> {
    let Some(configuration) = claims.room_config.clone() else { return Ok(None) };
    let read: proto::RoomConfiguration = json::from_value(configuration)
        .map_err(|_| Refused::new(StatusCode::UNAUTHORIZED, "invalid authorization token"))?;
    match read.metadata.len() > limit::METADATA_BYTES {
        true => Err(Refused::bad("room metadata is too long")),
        false => Ok(Some(read)),
    }
}

fn joiner(claims: &Claims, request: &proto::JoinRequest, mode: ConnectionMode) -> Result<Joiner, Refused> {
    let may_update = claims.video.can_update_own_metadata();
    if !request.metadata.is_empty() && !may_update {
        return Err(Refused::from(AccessError::PermissionDenied));
    }
    let mut attributes: HashMap<String, String> = claims.attributes.clone().into_iter().collect();
    let own = request.participant_attributes.iter().filter(|(_, value)| !value.is_empty());
    attributes.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    let metadata = if request.metadata.is_empty() { &claims.metadata } else { &request.metadata };
    let bytes: usize = attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    let token_allowance = token_allowance(claims);
    if metadata.len() > limit::METADATA_BYTES
        || bytes > limit::ATTRIBUTES_BYTES
        || claims.name.len() > limit::NAME_BYTES
        || token_bytes(&claims.name, metadata, pairs(&attributes)) > token_allowance
    {
        return Err(Refused::bad("name, metadata or attributes are too long"));
    }
    let own_attributes = request.participant_attributes.iter().map(|(key, value)| key.len() + value.len());
    let own_words_bytes = request.metadata.len() + own_attributes.sum::<usize>();
    let settings = request.connection_settings.unwrap_or_default();
    let kind = serde_json::to_value(claims.kind).ok();
    Ok(Joiner {
        identity: claims.identity.clone(),
        holder: claims.identity.clone(),
        issued_s: claims.nbf.unwrap_or_default(),
        name: claims.name.clone(),
        metadata: metadata.clone(),
        attributes,
        own_words_bytes,
        kind: kind_from_name(kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default()),
        kind_details: claims.kind_details.iter().filter_map(|name| kind_detail_from_name(name)).collect(),
        permission: permission(claims),
        client: request.client_info.clone().unwrap_or_default(),
        mode,
        auto_subscribe: settings.auto_subscribe,
        auto_subscribe_data: settings.auto_subscribe_data_track.unwrap_or_default(),
        token_allowance,
    })
}

/// What name, metadata and attributes may take in the renewed token beside everything else it says. Those of the token
/// that let its bearer in have found a way already, and will again.
fn token_allowance(claims: &Claims) -> usize {
    let own = token_bytes(
        &claims.name,
        &claims.metadata,
        claims.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())),
    );
    let rest = Claims {
        name: String::new(),
        metadata: String::new(),
        attributes: Default::default(),
        sha256: String::new(),
        ..claims.clone()
    };
    let rest = serde_json::to_vec(&rest).map_or(usize::MAX, |json| json.len());
    // Four characters of base64 carry three bytes.
    (RENEWED_TOKEN_BYTES / 4 * 3).saturating_sub(rest).saturating_sub(AROUND_CLAIMS_BYTES).max(own)
}

fn pairs(attributes: &HashMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// The grants as clients see them.
pub(crate) fn permission(claims: &Claims) -> proto::ParticipantPermission {
    let video = &claims.video;
    let sources = sources_from_names(&video.can_publish_sources);
    proto::ParticipantPermission {
        can_subscribe: video.can_subscribe(),
        can_publish: video.can_publish() && sources.is_some(),
        can_publish_data: video.can_publish_data(),
        can_publish_sources: sources.unwrap_or_default(),
        hidden: video.hidden,
        recorder: video.recorder,
        can_update_metadata: video.can_update_own_metadata(),
        agent: video.agent,
        can_subscribe_metrics: video.can_subscribe_metrics(),
        can_manage_agent_session: video.can_manage_agent_session.unwrap_or_default(),
    }
}

/// In any letter case.
fn kind_detail_from_name(name: &str) -> Option<i32> {
    proto::participant_info::KindDetail::from_str_name(&name.to_ascii_uppercase()).map(|detail| detail as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sources: serde_json::Value) -> Claims {
        json::from_value(serde_json::json!({ "exp": 0, "video": { "canPublishSources": sources } })).unwrap()
    }

    #[test]
    fn a_list_of_sources_never_allows_what_it_does_not_name() {
        use crate::engine::publish::may_publish;
        use proto::TrackSource::{Camera, Microphone, ScreenShare, Unknown};
        let allowed = |sources| {
            let permission = permission(&claims(sources));
            [Unknown, Camera, Microphone, ScreenShare].map(|source| may_publish(&permission, source as i32))
        };
        let (all, none) = ([true; 4], [false; 4]);
        for (sources, expected) in [
            (serde_json::json!([]), all),
            (serde_json::json!(null), all),
            (serde_json::json!(["camera"]), [false, true, false, false]),
            (serde_json::json!(["CAMERA", "Screen_Share"]), [false, true, false, true]),
            (serde_json::json!(["camera", "hologram"]), [false, true, false, false]),
            (serde_json::json!(["hologram"]), none),
            (serde_json::json!(["screenShare"]), none),
            (serde_json::json!([""]), none),
        ] {
            assert_eq!(allowed(sources.clone()), expected, "{sources}");
        }
        assert!(permission(&claims(serde_json::json!(["hologram"]))).can_publish_data, "data is no source");
    }
}
