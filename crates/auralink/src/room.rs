//! `auralink room`: a running SFU's rooms, through the server API every LiveKit SDK uses.

use anyhow::{Context, bail};
use aura_service::auth::access_token::{AccessToken, VideoGrants};
use aura_types::{Clock as _, SystemClock};
use clap::{Args, Subcommand};
use reqwest::Client;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::token::Keys;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    keys: Keys,
    /// The SFU.
    #[arg(long, env = "LIVEKIT_URL", default_value = "http://127.0.0.1:7880")]
    url: String,
    /// Print the server's JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Rooms that are live.
    List,
    /// Create a room, or change one.
    Create {
        room: String,
        /// Seconds a room nobody joined is kept.
        #[arg(long)]
        empty_timeout: Option<u32>,
        #[arg(long)]
        max_participants: Option<u32>,
        #[arg(long)]
        metadata: Option<String>,
    },
    /// End a room for everybody in it.
    Delete { room: String },
    /// Who is in a room, and what they publish.
    Participants { room: String },
    /// Remove a participant, and refuse the tokens they have: whoever is not there cannot come with one either.
    Remove { room: String, identity: String },
    /// Mute a participant's tracks, or one of them.
    Mute {
        room: String,
        identity: String,
        /// Only this track (TR_…).
        #[arg(long)]
        track: Option<String>,
        /// Only tracks of this source: microphone, camera, screen_share, screen_share_audio.
        #[arg(long)]
        source: Option<String>,
        /// Unmute instead, where the server allows it.
        #[arg(long)]
        unmute: bool,
    },
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let url = http_url(&options.url);
    if url.starts_with("https://") {
        bail!("this tool speaks to the SFU itself, without TLS: give its http:// address behind the proxy");
    }
    let server = Server { url, keys: options.keys, client: Client::new() };
    match options.command {
        Command::List => {
            let reply = server.call("ListRooms", None, json!({})).await?;
            show(options.json, &reply, || {
                rows(&reply["rooms"], &["name", "sid", "num_participants", "num_publishers", "creation_time"])
            });
        }
        Command::Create { room, empty_timeout, max_participants, metadata } => {
            let body = json!({
                "name": room,
                "empty_timeout": empty_timeout.unwrap_or(0),
                "max_participants": max_participants.unwrap_or(0),
                "metadata": metadata.unwrap_or_default(),
            });
            let reply = server.call("CreateRoom", None, body).await?;
            show(options.json, &reply, || format!("{} {}", text(&reply["name"]), text(&reply["sid"])));
        }
        Command::Delete { room } => {
            server.call("DeleteRoom", None, json!({ "room": room })).await?;
        }
        Command::Participants { room } => {
            let reply = server.call("ListParticipants", Some(&room), json!({ "room": room })).await?;
            show(options.json, &reply, || participants(&reply["participants"]));
        }
        Command::Remove { room, identity } => {
            let body = removal(&room, &identity, SystemClock.now());
            server.call("RemoveParticipant", Some(&room), body).await?;
        }
        Command::Mute { room, identity, track, source, unmute } => {
            let tracks = match track {
                Some(sid) => vec![sid],
                None => server.tracks(&room, &identity, source.as_deref()).await?,
            };
            for sid in tracks {
                let body = json!({ "room": room, "identity": identity, "track_sid": sid, "muted": !unmute });
                server.call("MutePublishedTrack", Some(&room), body).await?;
                println!("{sid} {}", if unmute { "unmuted" } else { "muted" });
            }
        }
    }
    Ok(())
}

struct Server {
    url: String,
    keys: Keys,
    client: Client,
}

impl Server {
    /// One RoomService call. Rights on a room are asked for by name; without one, those over all rooms.
    async fn call(&self, method: &str, room: Option<&str>, body: Value) -> anyhow::Result<Value> {
        let grants = VideoGrants {
            room_create: room.is_none(),
            room_list: room.is_none(),
            room_admin: room.is_some(),
            room: room.unwrap_or_default().to_owned(),
            ..VideoGrants::default()
        };
        let token = self.keys.sign(AccessToken::new("auralink").ttl(Duration::minutes(1)).video(grants))?;
        let reply = self
            .client
            .post(format!("{}/twirp/livekit.RoomService/{method}", self.url))
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .with_context(|| format!("the SFU at {} does not answer", self.url))?;
        let status = reply.status();
        let answer = reply.text().await?;
        if status.is_success() {
            return serde_json::from_str(&answer).context("the SFU's answer is not JSON");
        }
        let error: Value = serde_json::from_str(&answer).unwrap_or_default();
        match error["msg"].as_str() {
            Some(message) => bail!("{message} ({})", text(&error["code"])),
            None => bail!("{status}: {}", answer.trim()),
        }
    }

    async fn tracks(&self, room: &str, identity: &str, source: Option<&str>) -> anyhow::Result<Vec<String>> {
        let body = json!({ "room": room, "identity": identity });
        let participant = self.call("GetParticipant", Some(room), body).await?;
        let sids: Vec<String> = items(&participant["tracks"])
            .filter(|track| source.is_none_or(|source| text(&track["source"]).eq_ignore_ascii_case(source)))
            .map(|track| text(&track["sid"]))
            .collect();
        if sids.is_empty() {
            bail!("{identity} publishes no such track");
        }
        Ok(sids)
    }
}

/// Without `revoke_token_ts` who is removed comes back with the token they have. It refuses those issued before, in whole
/// seconds: one of this very second, or of a clock that is a little ahead, is meant too.
fn removal(room: &str, identity: &str, now: OffsetDateTime) -> Value {
    json!({ "room": room, "identity": identity, "revoke_token_ts": now.unix_timestamp() + 2 })
}

/// LiveKit's tools give the server as ws:// or wss://; the API is on the same port.
fn http_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => url.to_owned(),
    }
}

fn show(as_json: bool, reply: &Value, table: impl FnOnce() -> String) {
    let text = if as_json { format!("{reply:#}") } else { table() };
    println!("{}", text.trim_end());
}

fn participants(list: &Value) -> String {
    let mut out = rows(list, &["identity", "name", "state", "sid"]);
    for participant in items(list) {
        for track in items(&participant["tracks"]) {
            let muted = if track["muted"] == json!(true) { "muted" } else { "" };
            let cells = ["sid", "type", "source", "mime_type"].map(|field| text(&track[field]));
            out.push_str(&format!("  {}: {} {muted}\n", text(&participant["identity"]), cells.join(" ")));
        }
    }
    out
}

/// A table of the named fields, each column as wide as its widest cell.
fn rows(list: &Value, fields: &[&str]) -> String {
    let mut table = vec![fields.iter().map(|field| field.replace('_', " ")).collect::<Vec<_>>()];
    table.extend(items(list).map(|item| fields.iter().map(|field| text(&item[*field])).collect()));
    let widths: Vec<usize> = (0..fields.len())
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    table.iter().map(line).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signalling_addresses_become_api_addresses() {
        assert_eq!(http_url("ws://localhost:7880/"), "http://localhost:7880");
        assert_eq!(http_url("wss://sfu.example"), "https://sfu.example");
        assert_eq!(http_url("http://127.0.0.1:1"), "http://127.0.0.1:1");
    }

    #[test]
    fn a_removal_revokes_the_tokens_issued_until_now() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::seconds(1_800_000_000);
        let body = removal("hall", "eve", now);
        assert_eq!((&body["room"], &body["identity"]), (&json!("hall"), &json!("eve")));
        assert!(body["revoke_token_ts"].as_i64() > Some(now.unix_timestamp()), "{body}");
    }

    #[test]
    fn columns_line_up() {
        let list = json!([{ "name": "long name", "sid": "RM_1" }, { "name": "b", "sid": "RM_2" }]);
        assert_eq!(rows(&list, &["name", "sid"]), "name       sid\nlong name  RM_1\nb          RM_2\n");
    }
}
