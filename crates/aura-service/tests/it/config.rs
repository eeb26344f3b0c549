//! Configuration layers and faults.

use std::net::SocketAddr;

use aura_service::config::{
    ConfigError, DatabaseConfig, Environment, Faults, LivekitKeys, Loader, LogConfig, LogFormat, Secret,
    ServiceConfig, ShutdownConfig, TelemetryConfig, redacted,
};
use aura_service::http::{TrustedProxies, TrustedProxy};
use serde::{Deserialize, Serialize};

use crate::SECRET;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    env: Environment,
    http_addr: SocketAddr,
    #[serde(default)]
    trusted_proxies: TrustedProxies,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    telemetry: TelemetryConfig,
    #[serde(default)]
    shutdown: ShutdownConfig,
    #[serde(default)]
    database: DatabaseConfig,
    auth: Auth,
    rtc: Rtc,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    livekit_keys: LivekitKeys,
    service_secret: Secret,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rtc {
    udp_port: u16,
    node_ips: Vec<std::net::IpAddr>,
    shards: Option<usize>,
    name: String,
}

impl ServiceConfig for Config {
    fn environment(&self) -> Environment {
        self.env
    }
    fn log(&self) -> &LogConfig {
        &self.log
    }
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
    fn shutdown(&self) -> &ShutdownConfig {
        &self.shutdown
    }
    fn check(&self, faults: &mut Faults) {
        faults.secret("auth.service_secret", &self.auth.service_secret, self.env);
        faults.livekit_keys("auth.livekit_keys", &self.auth.livekit_keys, self.env);
        if self.rtc.udp_port == 1 {
            faults.add("rtc.udp_port", "must not be 1");
        }
    }
}

const DEFAULTS: &str = r#"
env = "production"
http_addr = "0.0.0.0:7880"
[log]
level = "info"
format = "json"
[rtc]
udp_port = 7882
node_ips = []
name = "node"
"#;

fn load(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Loader::new("AURA_SFU", DEFAULTS).env(env.iter().copied()).load()
}

/// The settings without which nothing starts.
fn keys() -> [(&'static str, String); 2] {
    [("LIVEKIT_KEYS", format!("APIkey: {SECRET}")), ("AURALINK_SERVICE_SECRET", format!("99{SECRET}"))]
}

fn load_with(extra: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let keys = keys();
    let env: Vec<_> =
        keys.iter().map(|(name, value)| (*name, value.as_str())).chain(extra.iter().copied()).collect();
    load(&env)
}

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sfu.toml");
    std::fs::write(&file, "http_addr = \"127.0.0.1:1\"\n[rtc]\nudp_port = 2\nshards = 4\n").unwrap();
    let config: Config = Loader::new("AURA_SFU", DEFAULTS)
        .file(&file)
        .env(keys())
        .env([("AURA_SFU__RTC__UDP_PORT", "3"), ("LOG_FORMAT", "text"), ("AURA_OTHER__X", "ignored")])
        .load()
        .unwrap();
    assert_eq!(config.http_addr, "127.0.0.1:1".parse().unwrap());
    assert_eq!((config.rtc.udp_port, config.rtc.shards), (3, Some(4)));
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Text));
}

#[test]
fn environment_text_takes_the_type_that_is_wanted() {
    let config = load_with(&[
        ("AURA_SFU__RTC__NAME", "12345"),
        ("AURA_SFU__RTC__NODE_IPS", "10.0.0.1, ::1"),
        ("AURA_SFU__RTC__SHARDS", ""),
        ("DATABASE_URL", "postgres://u:p@h/d"),
    ])
    .unwrap();
    assert_eq!(config.rtc.name, "12345");
    assert_eq!(
        config.rtc.node_ips,
        ["10.0.0.1".parse::<std::net::IpAddr>().unwrap(), "::1".parse().unwrap()]
    );
    assert_eq!(config.rtc.shards, None, "an empty variable is an unset one");
    assert_eq!(config.database.url.expose(), "postgres://u:p@h/d");
    let one = load_with(&[("AURA_SFU__RTC__NODE_IPS", "10.0.0.1")]).unwrap();
    assert_eq!(one.rtc.node_ips.len(), 1);
    let name = load_with(&[("AURA_SFU__RTC__NAME", "true")]).unwrap().rtc.name;
    assert_eq!(name, "true");
}

#[test]
fn proxies_are_a_list_of_addresses_and_blocks() {
    let with = |text: &str| load_with(&[("AURA_SFU__TRUSTED_PROXIES", text)]);
    let list = |texts: &[&str]| {
        TrustedProxies::from(texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<TrustedProxy>>())
    };
    assert_eq!(with("").unwrap().trusted_proxies, list(&[]));
    assert_eq!(with("10.0.0.7").unwrap().trusted_proxies, list(&["10.0.0.7/32"]));
    assert_eq!(with("10.0.0.0/8, fd00::/8").unwrap().trusted_proxies, list(&["10.0.0.0/8", "fd00::/8"]));
    for bad in ["proxy.example.org", "10.0.0.7, 0.0.0.0/0", "10.0.0.0/40"] {
        let error = with(bad).unwrap_err();
        assert_eq!(error.faults()[0].key, "trusted_proxies", "{bad}: {error}");
    }
}

#[test]
fn shared_names_that_do_not_concern_this_service_are_ignored() {
    assert!(load_with(&[("AURALINK_USER_SECRET", "x"), ("REDIS_URL", "redis://h")]).is_ok());
    let own = load_with(&[("AURA_SFU__REDIS__URL", "redis://h")]).unwrap_err();
    assert_eq!(own.faults()[0].key, "redis");
}

#[test]
fn all_faults_are_reported_at_once() {
    let error = load(&[
        ("AURA_SFU__HTTP_ADDR", "nowhere"),
        ("AURA_SFU__RTC__UDP_PORT", "99999"),
        ("AURA_SFU__RTC__TYPO", "1"),
        ("AURA_SFU__NO_SUCH__SECTION", "1"),
        ("AURA_SFU_RTC", "single underscore"),
        ("LOG_FORMAT", "xml"),
        ("AURALINK_SERVICE_SECRET", "hush-hush"),
    ])
    .unwrap_err();
    let mut found: Vec<_> = error.faults().iter().map(|fault| fault.key.as_str()).collect();
    found.sort_unstable();
    let expected = [
        "AURA_SFU_RTC",
        "auth.livekit_keys",
        "auth.service_secret",
        "http_addr",
        "log.format",
        "no_such",
        "rtc.typo",
        "rtc.udp_port",
    ];
    assert_eq!(found, expected, "{error}");
    let text = error.to_string();
    assert!(text.contains("environment AURA_SFU__RTC__UDP_PORT"), "{text}");
    assert!(text.contains("set LIVEKIT_KEYS"), "{text}");
    assert!(!text.contains("hush-hush"), "{text}");
}

#[test]
fn weak_secrets_stop_production_only() {
    let weak = [("LIVEKIT_KEYS", "devkey: secret"), ("AURALINK_SERVICE_SECRET", "short")];
    let error = load(&weak).unwrap_err();
    assert_eq!(error.faults().len(), 2, "{error}");
    assert!(load(&[&weak[..], &[("AURALINK_ENV", "development")]].concat()).is_ok());
    let none =
        load(&[("LIVEKIT_KEYS", ","), ("AURALINK_ENV", "development"), ("AURALINK_SERVICE_SECRET", "s")]);
    assert!(none.unwrap_err().to_string().contains("holds no API key"));
}

#[test]
fn files_are_checked_like_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let load_file = |text: &str| {
        let file = folder.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        Loader::new("AURA_SFU", DEFAULTS).file(file).env(keys()).load::<Config>()
    };
    let error = load_file("[rtc]\nudp_prot = 1\nname = 5\nudp_port = 1\n").unwrap_err();
    let mut found: Vec<_> = error.faults().iter().map(|fault| fault.key.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["rtc.name", "rtc.udp_port", "rtc.udp_prot"], "{error}");
    assert!(
        error.faults().iter().any(|fault| fault.origin.as_deref().is_some_and(|o| o.ends_with("c.toml")))
    );
    assert!(matches!(load_file("[rtc\n"), Err(ConfigError::File { .. })));
    let absent: Result<Config, _> = Loader::new("AURA_SFU", DEFAULTS).file("/no/such/file.toml").load();
    assert!(matches!(absent, Err(ConfigError::File { .. })));
}

#[test]
fn printing_hides_secrets() {
    let config = load_with(&[("DATABASE_URL", "postgres://u:hidden@h/d")]).unwrap();
    let text = redacted(&config);
    assert!(text.contains("[redacted]") && text.contains("APIkey"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains("hidden"), "{text}");
    assert!(!format!("{config:?}").contains(SECRET));
}
