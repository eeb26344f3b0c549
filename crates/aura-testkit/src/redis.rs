//! A throw-away Redis.

use std::sync::OnceLock;

use crate::keeper::Keeper;
use crate::scratch::Scratch;

struct Server {
    redis: aura_local::Redis,
    // After the server: its files go last.
    _scratch: Scratch,
}

/// A Redis server.
#[derive(Debug)]
pub struct RedisServer {
    keeper: Keeper<Server>,
    url: String,
    port: u16,
}

impl RedisServer {
    /// The server all tests of this process share: use keys and channels no other test uses.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, to kill and bring back.
    #[must_use]
    pub fn start() -> Self {
        let (send_address, address) = std::sync::mpsc::channel();
        let keeper = Keeper::start("test-redis", move |runtime| {
            let scratch = Scratch::new("redis");
            let options = aura_local::RedisOptions {
                dir: scratch.path().to_owned(),
                port: None,
                password: "throwaway".to_owned(),
                durable: false,
            };
            let redis = runtime
                .block_on(aura_local::Redis::start(options))
                .unwrap_or_else(|error| panic!("cannot start Redis: {error:?}"));
            let _ = send_address.send((redis.url(), redis.port()));
            Server { redis, _scratch: scratch }
        });
        let (url, port) = address.recv().expect("sent before the keeper reported the start");
        Self { keeper, url, port }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server as a crash would; what it held is lost.
    pub async fn kill9(&self) {
        self.keeper.with(|server, runtime| runtime.block_on(server.redis.kill())).await;
    }

    /// Brings it back, empty, on the same port.
    pub async fn restart(&self) {
        let outcome = self.keeper.with(|server, runtime| runtime.block_on(server.redis.restart())).await;
        outcome.unwrap_or_else(|error| panic!("cannot restart Redis: {error:?}"));
    }
}
