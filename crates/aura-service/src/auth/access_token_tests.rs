//! Tests of `access_token`.

use serde_json::json;

use super::super::jwt::forge;
use super::*;

const SECRET: &str = "4f1d9c7be2a35f60f1d9c7be2a35f604";
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::days(20_000));

fn keys() -> ApiKeys {
    ApiKeys::from(&LivekitKeys::parse(&format!("APIkey: {SECRET}, other: 99{SECRET}")).unwrap())
}

fn grants() -> VideoGrants {
    VideoGrants { room_join: true, room: "room".into(), ..Default::default() }
}

#[test]
fn all_claims_survive_the_trip() {
    let token = AccessToken::new("alice")
        .name("Alice")
        .metadata("{}")
        .attributes([("hand".to_owned(), "up".to_owned())])
        .kind(Kind::Agent)
        .sha256("abc")
        .room_config(json!({"max_participants": 2}))
        .ttl(Duration::minutes(10))
        .video(grants())
        .sign("APIkey", &SECRET.into(), NOW)
        .unwrap();
    let claims = keys().verify(&token, NOW).unwrap();
    assert_eq!(
        claims,
        Claims {
            issuer: "APIkey".into(),
            identity: "alice".into(),
            exp: (NOW + Duration::minutes(10)).unix_timestamp(),
            nbf: Some(NOW.unix_timestamp()),
            name: "Alice".into(),
            metadata: "{}".into(),
            attributes: BTreeMap::from([("hand".into(), "up".into())]),
            kind: Kind::Agent,
            sha256: "abc".into(),
            room_config: Some(json!({"max_participants": 2})),
            video: grants(),
            ..Default::default()
        }
    );
}

#[test]
fn a_foreign_sdk_token_verifies() {
    // The shape livekit-server-sdk writes: iat instead of nbf, unknown claims, kind absent.
    let claims = json!({
        "iss": "APIkey", "sub": "bob", "iat": NOW.unix_timestamp(), "exp": NOW.unix_timestamp() + 60,
        "jti": "bob", "video": {"roomJoin": true, "room": "room", "newGrant": true}, "kind": "hologram",
    });
    let claims = keys().verify(&forge::signed(SECRET, json!({"alg": "HS256"}), &claims), NOW).unwrap();
    assert_eq!((claims.identity.as_str(), claims.kind), ("bob", Kind::Standard));
    assert!(claims.video.can_publish());
}

fn verified(claims: &Value, at: OffsetDateTime) -> Result<Claims, AccessError> {
    keys().verify(&forge::signed(SECRET, json!({"alg": "HS256"}), claims), at)
}

#[test]
fn claims_are_read_as_livekit_reads_them() {
    let now = NOW.unix_timestamp();
    let claims = json!({
        "iss": "APIkey", "jti": "old-sdk", "exp": now as f64 + 60.75, "nbf": now as f64 + 0.5, "kind": "Agent",
        "sub": null, "name": null, "metadata": null, "attributes": null, "kindDetails": null, "sha256": null,
        "roomPreset": null, "sip": null, "agent": null,
        "roomConfig": {"maxParticipants": 5.0, "metadata": null, "agents": null},
        "video": {"roomJoin": true, "room": "room", "canPublish": null, "canPublishSources": null, "hidden": null},
    });
    let read = verified(&claims, NOW).unwrap();
    assert_eq!((read.exp, read.nbf, read.kind), (now + 60, Some(now), Kind::Agent));
    assert_eq!((read.identity.as_str(), read.sip.clone()), ("old-sdk", None));
    assert!(read.video.can_publish() && read.video.can_publish_source("camera"));
    assert_eq!(read.room_config, Some(json!({"maxParticipants": 5})));
    // The fraction changes nothing about when it ends.
    assert!(verified(&claims, NOW + Duration::seconds(119)).is_ok());
    assert!(verified(&claims, NOW + Duration::seconds(120)).is_err());
    for (exp, ok) in
        [(json!(1e300), true), (json!(u64::MAX), true), (json!("soon"), false), (json!(null), false)]
    {
        let claims = json!({"iss": "APIkey", "sub": "a", "exp": exp});
        assert_eq!(verified(&claims, NOW).is_ok(), ok, "{exp}");
    }
}

#[test]
fn a_renewed_token_says_the_same_for_as_long_and_ten_minutes_at_least() {
    let now = NOW.unix_timestamp();
    for (left_s, renewed_s) in [(86_400, 86_400), (601, 601), (60, 600), (-30, 600)] {
        let original = json!({
            "iss": "APIkey", "sub": "alice", "exp": now + left_s, "nbf": 0, "name": "Alice", "metadata": "m",
            "attributes": {"a": "b"}, "kind": "sip", "kindDetails": ["connector_twilio"], "roomPreset": "big",
            "roomConfig": {"maxParticipants": 2}, "sip": {"call": true}, "inference": {"perform": true},
            "sha256": "abc", "video": {"roomJoin": true, "room": "room", "canPublishSources": ["camera"]},
        });
        let original = verified(&original, NOW).unwrap();
        let token = AccessToken::renewing(&original, NOW).sign("APIkey", &SECRET.into(), NOW).unwrap();
        let renewed = keys().verify(&token, NOW).unwrap();
        assert_eq!(renewed.exp, now + renewed_s, "{left_s} s left");
        let (exp, nbf) = (renewed.exp, renewed.nbf);
        assert_eq!(renewed, Claims { exp, nbf, sha256: String::new(), ..original });
    }
    let endless = Claims { exp: i64::MAX, ..Default::default() };
    assert!(AccessToken::renewing(&endless, NOW).sign("APIkey", &SECRET.into(), NOW).is_ok(), "no overflow");
}

#[test]
fn a_minute_of_clock_difference_is_forgiven_and_no_more() {
    let token = AccessToken::new("a").ttl(Duration::minutes(1)).sign("APIkey", &SECRET.into(), NOW).unwrap();
    for (offset_s, ok) in [(-61, false), (-60, true), (0, true), (119, true), (120, false)] {
        let verdict = keys().verify(&token, NOW + Duration::seconds(offset_s));
        assert_eq!(verdict.is_ok(), ok, "{offset_s} s");
    }
}

#[test]
fn mutations_get_the_documented_texts() {
    let exp = NOW.unix_timestamp() + 600;
    let good = json!({"iss": "APIkey", "sub": "a", "exp": exp, "video": {"roomJoin": true, "room": "room"}});
    let hs256 = json!({"alg": "HS256"});
    let token = forge::signed(SECRET, hs256.clone(), &good);
    assert!(keys().verify(&token, NOW).is_ok());
    let invalid = "invalid authorization token";
    let sign = |claims| forge::signed(SECRET, hs256.clone(), &claims);
    let cases = [
        ("alg none", forge::unsigned("none", &good), invalid),
        ("alg HS384", forge::unsigned("HS384", &good), invalid),
        ("changed claims", forge::with_claims(&token, &json!({"iss": "APIkey", "exp": exp})), invalid),
        ("another key's secret", forge::signed(&format!("99{SECRET}"), hs256.clone(), &good), invalid),
        ("unknown issuer", sign(json!({"iss": "nobody", "exp": exp})), "invalid API key"),
        ("no issuer", sign(json!({"exp": exp})), "invalid API key"),
        ("no expiry", sign(json!({"iss": "APIkey"})), invalid),
        ("expired", sign(json!({"iss": "APIkey", "exp": 1})), invalid),
        ("not yet valid", sign(json!({"iss": "APIkey", "exp": exp, "nbf": exp})), invalid),
        ("wrong types", sign(json!({"iss": "APIkey", "exp": exp, "video": "all"})), invalid),
        ("oversized", sign(json!({"iss": "APIkey", "exp": exp, "metadata": "x".repeat(70_000)})), invalid),
        ("no token", "abc".to_owned(), invalid),
    ];
    for (name, token, text) in cases {
        assert_eq!(keys().verify(&token, NOW).unwrap_err().to_string(), text, "{name}");
    }
}

#[test]
fn grants_are_for_one_room() {
    let claims = Claims { video: grants(), ..Default::default() };
    assert_eq!(claims.ensure_join("room"), Ok("room"));
    assert_eq!(claims.ensure_join(""), Ok("room"));
    let denied = claims.ensure_join("other").unwrap_err();
    assert_eq!(denied.to_string(), "permissions denied");
    assert!(claims.ensure_admin("room").is_err(), "joining is not administering");
    let admin = Claims {
        video: VideoGrants { room_admin: true, room: "room".into(), ..Default::default() },
        ..Default::default()
    };
    assert!(admin.ensure_admin("room").is_ok());
    assert!(admin.ensure_admin("other").is_err() && admin.ensure_admin("").is_err());
    assert!(admin.ensure_create().is_err() && admin.ensure_list().is_err());
}
