//! From a request's query and token to what the room needs to know of a joiner.

use std::collections::HashMap;
use std::io::Read as _;

use aura_service::auth::access_token::{AccessError, Claims};
use aura_service::http::bearer;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use livekit_protocol as proto;
use prost::Message as _;

use super::ApiState;
use crate::engine::limit;
use crate::engine::participant::{ConnectionMode, Joiner, kind_from_name};
use crate::shard::command::JoinExtras;

/// Longest inflated join request (livekit-protocol §1).
const MAX_JOIN_REQUEST: usize = 1024 * 1024;

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

    fn bad(text: impl Into<String>) -> Self {
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
    /// The participant to resume.
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
        joiner.identity = format!("{identity}#{suffix}");
        if joiner.identity.len() > limit::NAME_BYTES {
            return Err(Refused::bad("identity must be 1 to 256 bytes"));
        }
        joiner.permission.can_subscribe = false;
    }
    fill_from_headers(&mut joiner.client, headers);
    let resume =
        (request.reconnect && !request.participant_sid.is_empty()).then_some(request.participant_sid);
    let configuration = claims
        .room_config
        .as_ref()
        .and_then(|config| serde_json::from_value::<proto::RoomConfiguration>(config.clone()).ok())
        .map(Box::new);
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
    if metadata.len() > limit::METADATA_BYTES
        || bytes > limit::ATTRIBUTES_BYTES
        || claims.name.len() > limit::NAME_BYTES
    {
        return Err(Refused::bad("name, metadata or attributes are too long"));
    }
    let settings = request.connection_settings.unwrap_or_default();
    let kind = serde_json::to_value(claims.kind).ok();
    Ok(Joiner {
        identity: claims.identity.clone(),
        name: claims.name.clone(),
        metadata: metadata.clone(),
        attributes,
        kind: kind_from_name(kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default()),
        permission: permission(claims),
        client: request.client_info.clone().unwrap_or_default(),
        mode,
        auto_subscribe: settings.auto_subscribe,
    })
}

/// The grants as clients see them.
pub(crate) fn permission(claims: &Claims) -> proto::ParticipantPermission {
    let video = &claims.video;
    let sources = [
        ("camera", proto::TrackSource::Camera),
        ("microphone", proto::TrackSource::Microphone),
        ("screen_share", proto::TrackSource::ScreenShare),
        ("screen_share_audio", proto::TrackSource::ScreenShareAudio),
    ];
    proto::ParticipantPermission {
        can_subscribe: video.can_subscribe(),
        can_publish: video.can_publish(),
        can_publish_data: video.can_publish_data(),
        can_publish_sources: sources
            .into_iter()
            .filter(|(name, _)| video.can_publish_sources.iter().any(|allowed| allowed == name))
            .map(|(_, source)| source as i32)
            .collect(),
        hidden: video.hidden,
        recorder: video.recorder,
        can_update_metadata: video.can_update_own_metadata(),
        agent: video.agent,
        can_subscribe_metrics: video.can_subscribe_metrics(),
        ..Default::default()
    }
}

/// `WrappedJoinRequest`, base64url, possibly gzipped.
pub(crate) fn decode_join_request(text: &str) -> Result<proto::JoinRequest, Refused> {
    let malformed = |_| Refused::bad("join_request is malformed");
    let bytes = decode_base64(text).ok_or_else(|| Refused::bad("join_request is not base64"))?;
    let wrapped = proto::WrappedJoinRequest::decode(bytes.as_slice()).map_err(malformed)?;
    let gzip = wrapped.compression == proto::wrapped_join_request::Compression::Gzip as i32;
    let inner = if gzip { inflate(&wrapped.join_request)? } else { wrapped.join_request };
    if inner.len() > MAX_JOIN_REQUEST {
        return Err(Refused::bad("join_request is longer than 1 MiB"));
    }
    proto::JoinRequest::decode(inner.as_slice()).map_err(malformed)
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .take(MAX_JOIN_REQUEST as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| Refused::bad("join_request is not gzip"))?;
    Ok(inflated)
}

/// Clients differ in alphabet and padding.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    [URL_SAFE, URL_SAFE_NO_PAD, STANDARD, STANDARD_NO_PAD].iter().find_map(|engine| engine.decode(text).ok())
}

/// The older form: everything in the query of `/rtc`.
fn request_from_query(params: &Params) -> Result<proto::JoinRequest, Refused> {
    let text = |key: &str| params.get(key).cloned().unwrap_or_default();
    let number = |key: &str| params.get(key).and_then(|value| value.parse().ok()).unwrap_or_default();
    let flag = |key: &str, default: bool| {
        params.get(key).map_or(default, |value| matches!(value.as_str(), "1" | "true"))
    };
    let attributes = match params.get("attributes").filter(|value| !value.is_empty()) {
        Some(encoded) => decode_base64(encoded)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Refused::bad("attributes must be base64url JSON of strings"))?,
        None => HashMap::new(),
    };
    Ok(proto::JoinRequest {
        client_info: Some(proto::ClientInfo {
            sdk: sdk_from_name(&text("sdk")) as i32,
            version: text("version"),
            protocol: number("protocol"),
            os: text("os"),
            os_version: text("os_version"),
            device_model: text("device_model"),
            browser: text("browser"),
            browser_version: text("browser_version"),
            network: text("network"),
            other_sdks: text("other_sdks"),
            client_protocol: number("client_protocol"),
            capabilities: text("capabilities").split(',').filter_map(capability_from_name).collect(),
            ..Default::default()
        }),
        connection_settings: Some(proto::ConnectionSettings {
            auto_subscribe: flag("auto_subscribe", true),
            adaptive_stream: flag("adaptive_stream", false),
            ..Default::default()
        }),
        participant_attributes: attributes,
        reconnect: flag("reconnect", false),
        participant_sid: text("sid"),
        ..Default::default()
    })
}

fn sdk_from_name(name: &str) -> proto::client_info::Sdk {
    let name = if name == "reactnative" { "REACT_NATIVE".to_owned() } else { name.to_uppercase() };
    let name = if name == "UNITYWEB" { "UNITY_WEB".to_owned() } else { name };
    proto::client_info::Sdk::from_str_name(&name).unwrap_or(proto::client_info::Sdk::Unknown)
}

fn capability_from_name(name: &str) -> Option<i32> {
    proto::client_info::Capability::from_str_name(name).map(|capability| capability as i32)
}

fn fill_from_headers(client: &mut proto::ClientInfo, headers: &HeaderMap) {
    let agent = headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if client.browser.is_empty() {
        let known = [("Firefox/", "firefox"), ("Edg/", "edge"), ("Chrome/", "chrome"), ("Safari/", "safari")];
        if let Some((_, name)) = known.into_iter().find(|(mark, _)| agent.contains(mark)) {
            client.browser = name.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn wrap(request: &proto::JoinRequest, gzip: bool) -> String {
        let bytes = request.encode_to_vec();
        let wrapped = if gzip {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            proto::WrappedJoinRequest {
                compression: proto::wrapped_join_request::Compression::Gzip as i32,
                join_request: encoder.finish().unwrap(),
            }
        } else {
            proto::WrappedJoinRequest { join_request: bytes, ..Default::default() }
        };
        URL_SAFE_NO_PAD.encode(wrapped.encode_to_vec())
    }

    #[test]
    fn join_requests_are_read_plain_and_gzipped() {
        let request = proto::JoinRequest { metadata: "hello".into(), ..Default::default() };
        assert_eq!(decode_join_request(&wrap(&request, false)), Ok(request.clone()));
        assert_eq!(decode_join_request(&wrap(&request, true)), Ok(request));
    }

    #[test]
    fn an_inflation_bomb_is_refused() {
        let bomb = proto::JoinRequest { metadata: "a".repeat(MAX_JOIN_REQUEST * 8), ..Default::default() };
        let refused = decode_join_request(&wrap(&bomb, true)).unwrap_err();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }

    proptest! {
        #[test]
        fn hostile_join_requests_are_refused_without_panic(text in "[A-Za-z0-9_=-]{0,300}") {
            let _ = decode_join_request(&text);
        }
    }
}
