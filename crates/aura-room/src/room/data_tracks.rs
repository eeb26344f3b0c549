//! Data tracks of a room, for callers.

use tokio::sync::oneshot;

use super::Room;
use crate::data_track::{LocalDataTrack, RemoteDataTrack};
use crate::error::{Result, RoomError};
use crate::session::{Command, DataTrackCommand};

impl Room {
    /// Publishes a data track under a name of ours; returns once what is pushed to it is sent. It is published again
    /// after every reconnect, until [`Room::unpublish_data_track`].
    ///
    /// # Errors
    ///
    /// The server refuses: no right to publish data, the name is taken, empty or too long, there are too many. Or it
    /// takes too long.
    pub async fn publish_data_track(&self, name: impl Into<String>) -> Result<LocalDataTrack> {
        let name = name.into();
        self.ask_for(|reply| DataTrackCommand::Publish { name, reply }).await
    }

    /// Stops publishing a data track; what is pushed to it from now on is dropped.
    ///
    /// # Errors
    ///
    /// The track is not published.
    pub async fn unpublish_data_track(&self, track: &LocalDataTrack) -> Result<()> {
        self.ask_for(|reply| DataTrackCommand::Unpublish { track: track.clone(), reply }).await
    }

    /// Subscribes to a data track that [`crate::Participant::data_tracks`] or an event named. Asking again gives the same
    /// track.
    ///
    /// # Errors
    ///
    /// Nobody publishes it, we may not have it, or it takes too long.
    pub async fn subscribe_data_track(&self, track_sid: &str) -> Result<RemoteDataTrack> {
        let track_sid = track_sid.to_owned();
        self.ask_for(|reply| DataTrackCommand::Subscribe { track_sid, reply }).await
    }

    /// Ends a subscription, for all its clones.
    ///
    /// # Errors
    ///
    /// The room is closed.
    pub async fn unsubscribe_data_track(&self, track: &RemoteDataTrack) -> Result<()> {
        let track_sid = track.publication().sid.clone();
        self.tell(Command::DataTrack(DataTrackCommand::Unsubscribe { track_sid })).await
    }

    async fn ask_for<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T>>) -> DataTrackCommand,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::DataTrack(command(reply))).await?;
        answer.await.map_err(|_| RoomError::Closed)?
    }
}
