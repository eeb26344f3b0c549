//! Stands between a dashboard and another service, and keeps what is sent, or lets nothing through at all.

use aura_service::Lifecycle;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const SOON: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Passing,
    /// What the dashboard sends waits here.
    Holding,
    Cut,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    state: watch::Sender<State>,
    held: watch::Sender<Vec<u8>>,
    life: Lifecycle,
}

impl Relay {
    /// To a port of this machine. Ends with the value.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let life = Lifecycle::new(Duration::ZERO);
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            state: watch::Sender::new(State::Passing),
            held: watch::Sender::new(Vec::new()),
            life: life.clone(),
        };
        let (state, held) = (this.state.clone(), this.held.clone());
        life.clone().spawn("relay", async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                life.spawn("relayed", carry(client, server, state.clone(), held.clone()));
            }
        });
        this
    }

    pub(crate) fn pass(&self) {
        self.state.send_replace(State::Passing);
    }

    pub(crate) fn hold(&self) {
        self.held.send_replace(Vec::new());
        self.state.send_replace(State::Holding);
    }

    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Waits until something with this in it waits here.
    pub(crate) async fn holds(&self, text: &str) {
        let mut held = self.held.subscribe();
        let seen = held.wait_for(|held| held.windows(text.len()).any(|part| part == text.as_bytes()));
        tokio::time::timeout(SOON, seen).await.expect("it is sent in time").unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.life.shutdown("test");
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    state: watch::Sender<State>,
    held: watch::Sender<Vec<u8>>,
) {
    let (mut up, mut down, mut waiting) = ([0; 16 * 1024], [0; 16 * 1024], Vec::new());
    let mut changes = state.subscribe();
    loop {
        let now = *changes.borrow_and_update();
        if now == State::Cut {
            return;
        }
        if now == State::Passing && server.write_all(&std::mem::take(&mut waiting)).await.is_err() {
            return;
        }
        tokio::select! {
            changed = changes.changed() => changed.expect("the sender is here"),
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                waiting.extend_from_slice(&up[..count]);
                held.send_modify(|held| held.extend_from_slice(&up[..count]));
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
