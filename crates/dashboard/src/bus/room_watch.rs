//! `room_updated` pushes: when people come and go, whoever watches the room's card learns the new count.
//!
//! Changes of one room within a moment are told once, with the count the SFU gives then.

use crate::app::App;
use crate::store::rooms;
use aura_service::error::Result;
use aura_types::RoomId;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const QUEUE: usize = 1024;
const GATHER: Duration = Duration::from_millis(200);

/// Where changed rooms are announced. Never waits; when full, a later change brings the count up to date.
#[derive(Debug, Clone)]
pub(crate) struct ChangedRooms(mpsc::Sender<RoomId>);

impl ChangedRooms {
    pub(super) fn changed(&self, room: RoomId) {
        let _ = self.0.try_send(room);
    }
}

pub(crate) struct RoomWatch {
    app: App,
    changed: mpsc::Receiver<RoomId>,
}

pub(crate) fn room_watch(app: App) -> (ChangedRooms, RoomWatch) {
    let (sender, changed) = mpsc::channel(QUEUE);
    (ChangedRooms(sender), RoomWatch { app, changed })
}

impl RoomWatch {
    /// Runs until `stop`.
    pub(crate) async fn run(&mut self, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                () = stop.cancelled() => return,
                room = self.changed.recv() => room,
            };
            let Some(first) = first else { return };
            tokio::time::sleep(GATHER).await;
            let mut rooms = HashSet::from([first]);
            while let Ok(room) = self.changed.try_recv() {
                rooms.insert(room);
            }
            for room in rooms {
                if let Err(error) = self.tell(room).await {
                    tracing::debug!(%error, room.id = %room, "a room's count was not pushed");
                }
            }
        }
    }

    async fn tell(&self, room: RoomId) -> Result<()> {
        let mut tx = self.app.db.system().await?;
        let audience = rooms::audience(&mut tx, room).await?;
        tx.rollback().await?;
        if !self.app.notifier.any_listening(&audience) {
            return Ok(());
        }
        let live = self.app.sfu.live_rooms(vec![room.to_string()]).await?;
        let participants = live.first().map_or(0, |live| live.participants);
        self.app.notifier.room_updated(&audience, room, participants);
        Ok(())
    }
}
