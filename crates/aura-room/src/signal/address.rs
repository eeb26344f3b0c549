//! Where to dial, with everything the server must know before the first message.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use livekit_protocol as proto;
use prost::Message as _;
use url::Url;

use crate::error::{Result, RoomError};
use crate::options::{RoomOptions, SignalMode};

/// Protocol whose features we have: everything up to moving rooms.
pub(crate) const PROTOCOL: i32 = 16;

/// A session to resume.
#[derive(Debug, Clone)]
pub(crate) struct Resume {
    pub(crate) participant_sid: String,
}

/// One attempt to reach the server.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub(crate) url: Url,
    pub(crate) token: String,
}

impl Dial {
    /// `address` may be `ws`, `wss`, `http` or `https`, with or without a path.
    pub(crate) fn new(
        address: &str,
        token: &str,
        options: &RoomOptions,
        resume: Option<&Resume>,
    ) -> Result<Self> {
        let bad = |why: &str| RoomError::BadUrl(format!("{address}: {why}"));
        let mut url = Url::parse(address).map_err(|error| bad(&error.to_string()))?;
        let scheme = match url.scheme() {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            _ => return Err(bad("scheme is none of ws, wss, http, https")),
        };
        url.set_scheme(scheme).map_err(|()| bad("has no host"))?;
        let path = match options.mode {
            SignalMode::Dual => "rtc",
            SignalMode::Single => "rtc/v1",
        };
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url.set_query(None);
        match options.mode {
            SignalMode::Dual => dual(&mut url, options, resume),
            SignalMode::Single => single(&mut url, options, resume),
        }
        Ok(Self { url, token: token.to_owned() })
    }
}

fn dual(url: &mut Url, options: &RoomOptions, resume: Option<&Resume>) {
    let flag = |on: bool| if on { "1" } else { "0" };
    let mut query = url.query_pairs_mut();
    query
        .append_pair("sdk", "rust")
        .append_pair("version", env!("CARGO_PKG_VERSION"))
        .append_pair("protocol", &PROTOCOL.to_string())
        .append_pair("os", std::env::consts::OS)
        .append_pair("auto_subscribe", flag(options.auto_subscribe))
        .append_pair("adaptive_stream", flag(options.adaptive_stream));
    if !options.attributes.is_empty() {
        let json = serde_json::to_vec(&options.attributes).expect("a map of strings is JSON");
        query.append_pair("attributes", &URL_SAFE.encode(json));
    }
    if let Some(resume) = resume {
        query.append_pair("reconnect", "1").append_pair("sid", &resume.participant_sid);
    }
}

fn single(url: &mut Url, options: &RoomOptions, resume: Option<&Resume>) {
    let request = proto::JoinRequest {
        client_info: Some(proto::ClientInfo {
            sdk: proto::client_info::Sdk::Rust.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            os: std::env::consts::OS.to_owned(),
            ..Default::default()
        }),
        connection_settings: Some(proto::ConnectionSettings {
            auto_subscribe: options.auto_subscribe,
            adaptive_stream: options.adaptive_stream,
            ..Default::default()
        }),
        participant_attributes: options.attributes.clone(),
        reconnect: resume.is_some(),
        participant_sid: resume.map(|resume| resume.participant_sid.clone()).unwrap_or_default(),
        ..Default::default()
    };
    let wrapped = proto::WrappedJoinRequest { join_request: request.encode_to_vec(), ..Default::default() };
    url.query_pairs_mut().append_pair("join_request", &URL_SAFE.encode(wrapped.encode_to_vec()));
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn options(mode: SignalMode) -> RoomOptions {
        RoomOptions { mode, attributes: HashMap::from([("a".into(), "ü".into())]), ..RoomOptions::default() }
    }

    #[test]
    fn dual_tells_everything_in_the_query() {
        let resume = Resume { participant_sid: "PA_x".into() };
        let dial = Dial::new("https://host:1/base/?x=1", "t", &options(SignalMode::Dual), Some(&resume))
            .expect("ok");
        assert_eq!((dial.url.scheme(), dial.url.path()), ("wss", "/base/rtc"));
        let query: HashMap<_, _> = dial.url.query_pairs().into_owned().collect();
        assert_eq!((query["reconnect"].as_str(), query["sid"].as_str()), ("1", "PA_x"));
        assert_eq!(query["auto_subscribe"], "1");
        assert!(!query.contains_key("x"), "foreign parameters must not reach the server");
        let attributes = URL_SAFE.decode(&query["attributes"]).expect("base64url");
        assert_eq!(attributes, "{\"a\":\"ü\"}".as_bytes());
    }

    #[test]
    fn single_tells_everything_in_the_join_request() {
        let dial = Dial::new("ws://host", "t", &options(SignalMode::Single), None).expect("ok");
        assert_eq!(dial.url.path(), "/rtc/v1");
        let query: HashMap<_, _> = dial.url.query_pairs().into_owned().collect();
        let wrapped = URL_SAFE.decode(&query["join_request"]).expect("base64url");
        let wrapped = proto::WrappedJoinRequest::decode(&wrapped[..]).expect("wrapped");
        let request = proto::JoinRequest::decode(&wrapped.join_request[..]).expect("request");
        assert!(request.connection_settings.expect("settings").auto_subscribe);
        assert!(!request.reconnect);
    }

    #[test]
    fn other_addresses_are_refused() {
        for address in ["ftp://host", "host", "data:x"] {
            assert!(matches!(
                Dial::new(address, "t", &options(SignalMode::Dual), None),
                Err(RoomError::BadUrl(_))
            ));
        }
    }
}
