//! Publishes from a queue, so that no caller ever waits for Redis.

use std::time::Duration;

use aura_types::SharedClock;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Event;
use crate::StoreError;
use crate::retry::Backoff;

const QUEUE: usize = 4_096;
/// After the stop token, how long without an event counts as "the rest of the process has stopped too".
const QUIET: Duration = Duration::from_millis(500);
/// After the stop token, how long Redis may take to accept what is left.
const LAST_CALL: Duration = Duration::from_secs(2);

/// The sending side. Clones share the queue.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Event>,
    clock: SharedClock,
}

/// The part that talks to Redis; spawn [`PublisherTask::run`].
#[derive(Debug)]
pub struct PublisherTask {
    queue: mpsc::Receiver<Event>,
    client: redis::Client,
}

impl Publisher {
    /// A publisher and its task.
    ///
    /// # Errors
    /// [`StoreError::Options`] for a malformed URL.
    pub fn new(url: &str, clock: SharedClock) -> Result<(Self, PublisherTask), StoreError> {
        let client = redis::Client::open(url)
            .map_err(|_| StoreError::Options("REDIS_URL is not a Redis URL".to_owned()))?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        Ok((Self { queue: sender, clock }, PublisherTask { queue: receiver, client }))
    }

    /// Queues `event` for the channel named by its type. When the queue is full, because Redis has been away
    /// for long, the event is dropped and counted: subscribers reconcile when they reconnect.
    pub fn publish(&self, mut event: Event) {
        event.time = self.clock.now();
        if let Err(error) = self.queue.try_send(event) {
            metrics::counter!("auralink_bus_dropped_total").increment(1);
            let event = error.into_inner();
            tracing::warn!(event.kind, event.id = %event.id, "event dropped");
        }
    }
}

impl PublisherTask {
    /// Publishes until every [`Publisher`] is gone, or `stop` is cancelled and the queue has run dry.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut connection = None;
        while let Some(event) = self.next(&stop).await {
            let payload = match serde_json::to_string(&event) {
                Ok(payload) => payload,
                Err(error) => {
                    tracing::error!(%error, event.kind, "event cannot be encoded");
                    continue;
                }
            };
            let sending = send(&self.client, &mut connection, &event.kind, &payload);
            if stop.is_cancelled() {
                if timeout(LAST_CALL, sending).await.is_err() {
                    tracing::warn!("Redis is away: the last events are lost");
                    return;
                }
            } else {
                // Told to stop while Redis is away: give it one last chance.
                let mut sending = std::pin::pin!(sending);
                if stop.run_until_cancelled(sending.as_mut()).await.is_none()
                    && timeout(LAST_CALL, sending).await.is_err()
                {
                    tracing::warn!("Redis is away: the last events are lost");
                    return;
                }
            }
            metrics::counter!("auralink_bus_published_total", "type" => event.kind).increment(1);
        }
    }

    async fn next(&mut self, stop: &CancellationToken) -> Option<Event> {
        if let Some(event) = stop.run_until_cancelled(self.queue.recv()).await {
            return event;
        }
        timeout(QUIET, self.queue.recv()).await.ok().flatten()
    }
}

/// Sends until Redis has taken it, reconnecting as often as needed.
async fn send(
    client: &redis::Client,
    connection: &mut Option<MultiplexedConnection>,
    channel: &str,
    payload: &str,
) {
    let mut backoff = Backoff::new();
    loop {
        match try_send(client, connection, channel, payload).await {
            Ok(()) => return,
            Err(error) => {
                *connection = None;
                tracing::warn!(%error, "cannot publish; trying again");
                backoff.pause().await;
            }
        }
    }
}

async fn try_send(
    client: &redis::Client,
    connection: &mut Option<MultiplexedConnection>,
    channel: &str,
    payload: &str,
) -> redis::RedisResult<()> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(client.get_multiplexed_async_connection().await?),
    };
    redis::cmd("PUBLISH").arg(channel).arg(payload).query_async(connection).await
}
