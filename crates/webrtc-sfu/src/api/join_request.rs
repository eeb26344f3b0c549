//! What a client says of itself and its wishes: a `JoinRequest`, or the older form in the query of `/rtc`.

use std::collections::HashMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use livekit_protocol as proto;
use prost::Message as _;

use super::join::{Params, Refused};

/// Longest inflated join request (livekit-protocol §1).
const MAX_JOIN_REQUEST: usize = 1024 * 1024;

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
pub(crate) fn request_from_query(params: &Params) -> Result<proto::JoinRequest, Refused> {
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
            auto_subscribe_data_track: Some(flag("auto_subscribe_data_track", false)),
            ..Default::default()
        }),
        participant_attributes: attributes,
        reconnect: flag("reconnect", false),
        participant_sid: text("sid"),
        ..Default::default()
    })
}

fn sdk_from_name(name: &str) -> proto::client_info::Sdk {
    let name = match name {
        "reactnative" => "REACT_NATIVE".to_owned(),
        "unityweb" => "UNITY_WEB".to_owned(),
        "ios" => "SWIFT".to_owned(),
        name => name.to_uppercase(),
    };
    proto::client_info::Sdk::from_str_name(&name).unwrap_or(proto::client_info::Sdk::Unknown)
}

fn capability_from_name(name: &str) -> Option<i32> {
    proto::client_info::Capability::from_str_name(name).map(|capability| capability as i32)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::http::StatusCode;
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
