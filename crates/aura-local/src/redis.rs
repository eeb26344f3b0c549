//! A private Redis on loopback with a password.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{Launch, Process, create_folder, tail, write_private};
use crate::{LocalError, find_program, free_port};

const READY: Duration = Duration::from_secs(20);

/// How a private Redis is to run.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Folder for configuration, data and log; created when absent.
    pub dir: PathBuf,
    /// Loopback port; a free one when `None`.
    pub port: Option<u16>,
    /// Password every client must give, URL-safe.
    pub password: String,
    /// Whether writes are kept in an append-only file. Without it a restart begins empty.
    pub durable: bool,
}

/// A running private Redis; ends with this value.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    options: RedisOptions,
}

impl Redis {
    /// Starts the server and waits until it answers PING.
    pub async fn start(options: RedisOptions) -> Result<Self, LocalError> {
        let server = find_program("redis-server")
            .ok_or(LocalError::Missing { program: "redis-server", package: "redis-server" })?;
        create_folder(&options.dir)?;
        let port = options.port.unwrap_or_else(free_port);
        // A file, not arguments: the process list shows arguments to everybody.
        let config = options.dir.join("redis.conf");
        write_private(&config, &configuration(&options, port))?;
        let mut process = Launch::new("redis-server", server)
            .args([config.display().to_string()])
            .on_drop(Signal::SIGTERM)
            .spawn(log_path(&options.dir))?;
        process.ready(READY, || answers(port)).await?;
        Ok(Self { process, port, options })
    }

    /// The loopback port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Connection URL.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/", self.options.password, self.port)
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&log_path(&self.options.dir), lines)
    }

    /// Kills the server as a crash would (SIGKILL); `restart` brings it back.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on the same port, killing it first if it still runs.
    pub async fn restart(&mut self) -> Result<(), LocalError> {
        self.process.kill().await;
        let options = RedisOptions { port: Some(self.port), ..self.options.clone() };
        let fresh = Self::start(options).await?;
        self.process = fresh.process;
        Ok(())
    }

    /// Orderly shutdown.
    pub async fn stop(mut self) {
        self.process.stop(Signal::SIGTERM).await;
    }
}

fn configuration(options: &RedisOptions, port: u16) -> String {
    let RedisOptions { dir, password, durable, .. } = options;
    let append = if *durable { "yes" } else { "no" };
    format!(
        "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir \"{}\"\nsave \"\"\nappendonly {append}\ndaemonize no\n",
        dir.display()
    )
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("redis.log")
}

/// Whether something on `port` speaks Redis and has finished loading; the password is not needed to learn that.
async fn answers(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut reply = [0_u8; 16];
        let length = stream.read(&mut reply).await?;
        Ok::<bool, std::io::Error>(
            reply[..length].starts_with(b"+PONG") || reply[..length].starts_with(b"-NOAUTH"),
        )
    };
    ask.await.unwrap_or(false)
}
