//! `auralink token`: a LiveKit access token on standard output.

use anyhow::{Context, anyhow, bail};
use aura_service::auth::access_token::{AccessToken, VideoGrants};
use aura_service::config::LivekitKeys;
use aura_types::{Clock, SystemClock};
use clap::Args;
use time::Duration;

use crate::data_dir::DataDir;
use crate::secrets::Secrets;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    keys: Keys,
    /// Room the token is for.
    #[arg(long)]
    room: Option<String>,
    /// Who the holder is; unique within a room.
    #[arg(long)]
    identity: String,
    /// Name others see; the identity when absent.
    #[arg(long)]
    name: Option<String>,
    /// Metadata others see.
    #[arg(long)]
    metadata: Option<String>,
    /// How long it is valid: 90s, 15m, 6h, 2d.
    #[arg(long, default_value = "6h", value_parser = parse_ttl)]
    ttl: Duration,
    /// May create and delete rooms.
    #[arg(long)]
    create: bool,
    /// May list rooms.
    #[arg(long)]
    list: bool,
    /// May moderate the room.
    #[arg(long)]
    admin: bool,
    /// May not publish tracks.
    #[arg(long)]
    no_publish: bool,
    /// May not subscribe to others.
    #[arg(long)]
    no_subscribe: bool,
    /// May not send data packets.
    #[arg(long)]
    no_data: bool,
    /// May change its own name, metadata and attributes.
    #[arg(long)]
    update_own_metadata: bool,
    /// Others do not see it.
    #[arg(long)]
    hidden: bool,
}

/// Where the API key comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    data_dir: DataDir,
    /// "key: secret" pairs; those of the local stack when absent. The first pair is used.
    #[arg(long = "keys", env = "LIVEKIT_KEYS", hide_env_values = true, value_name = "KEY: SECRET")]
    pairs: Option<String>,
}

impl Keys {
    /// Signs `token` with the first key.
    pub(crate) fn sign(&self, token: AccessToken) -> anyhow::Result<String> {
        let pairs = match &self.pairs {
            Some(pairs) => pairs.clone(),
            None => Secrets::load(&self.data_dir)?
                .with_context(|| {
                    format!("no LIVEKIT_KEYS and no local stack in {}", self.data_dir.path().display())
                })?
                .livekit_keys(),
        };
        let keys = LivekitKeys::parse(&pairs).map_err(|fault| anyhow!("LIVEKIT_KEYS: {fault}"))?;
        let (key, secret) = keys.first().context("LIVEKIT_KEYS is empty")?;
        token.sign(key, secret, SystemClock.now()).context("cannot sign the token")
    }
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    if options.room.is_none() && !options.create && !options.list {
        bail!("a token without --room needs --create or --list, else it opens nothing");
    }
    let grants = VideoGrants {
        room_join: options.room.is_some(),
        room: options.room.clone().unwrap_or_default(),
        room_create: options.create,
        room_list: options.list,
        room_admin: options.admin,
        can_publish: options.no_publish.then_some(false),
        can_subscribe: options.no_subscribe.then_some(false),
        can_publish_data: options.no_data.then_some(false),
        can_update_own_metadata: options.update_own_metadata.then_some(true),
        hidden: options.hidden,
        ..VideoGrants::default()
    };
    let name = options.name.as_deref().unwrap_or(&options.identity);
    let mut token = AccessToken::new(&options.identity).name(name).ttl(options.ttl).video(grants);
    if let Some(metadata) = &options.metadata {
        token = token.metadata(metadata);
    }
    println!("{}", options.keys.sign(token)?);
    Ok(())
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let unit = text.chars().last().filter(char::is_ascii_alphabetic);
    let number = unit.map_or(text, |unit| &text[..text.len() - unit.len_utf8()]);
    let factor = match unit {
        Some('s') | None => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some(_) => return Err("use s, m, h or d".to_owned()),
    };
    let count: i64 = number.parse().map_err(|_| "use a number and s, m, h or d, as in 6h".to_owned())?;
    match count.checked_mul(factor) {
        Some(..=0) | None => Err("out of range".to_owned()),
        Some(seconds) => Ok(Duration::seconds(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_takes_a_number_and_a_unit() {
        assert_eq!(parse_ttl("90"), Ok(Duration::seconds(90)));
        assert_eq!(parse_ttl("6h"), Ok(Duration::seconds(21_600)));
        for wrong in ["", "h", "6w", "-1s", "0s", "99999999999999999999d", "6mm"] {
            assert!(parse_ttl(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
