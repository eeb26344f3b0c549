//! One subscription that outlives its connections. After every (re)subscription it says so, since what was
//! published in between is lost: the consumer then asks the owner of the truth.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use redis::aio::{PubSubSink, PubSubStream};
use tokio::time::timeout;

use super::Event;
use crate::StoreError;
use crate::retry::Backoff;

const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// A silent connection is asked whether it is still there: a vanished host sends no goodbye.
const IDLE: Duration = Duration::from_secs(5);
const PING_LIMIT: Duration = Duration::from_secs(2);

/// What a subscription yields.
#[derive(Debug, Clone, PartialEq)]
pub enum BusItem {
    /// Subscribed, for the first time or again; events may have been missed before this.
    Reconnected,
    /// An event.
    Event(Event),
}

/// A subscription to some channels.
pub struct Subscriber {
    items: Pin<Box<dyn Stream<Item = BusItem> + Send>>,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

impl Subscriber {
    /// Will subscribe to `channels` (event types) when first asked for an item.
    ///
    /// # Errors
    /// [`StoreError::Options`] for a malformed URL.
    pub fn new(url: &str, channels: &[&str]) -> Result<Self, StoreError> {
        let client = redis::Client::open(url)
            .map_err(|_| StoreError::Options("REDIS_URL is not a Redis URL".to_owned()))?;
        let state = State {
            client,
            channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
            connection: None,
            backoff: Backoff::new(),
        };
        let items = stream::unfold(state, |mut state| async move {
            let item = state.next().await;
            Some((item, state))
        });
        Ok(Self { items: Box::pin(items) })
    }

    /// The next item; never ends. Safe to drop and call again (`select!`): progress is kept.
    pub async fn next(&mut self) -> BusItem {
        self.items.next().await.expect("the stream is endless")
    }
}

struct State {
    client: redis::Client,
    channels: Vec<String>,
    connection: Option<(PubSubSink, PubSubStream)>,
    backoff: Backoff,
}

impl State {
    async fn next(&mut self) -> BusItem {
        loop {
            let Some((sink, messages)) = &mut self.connection else {
                match timeout(CONNECT_LIMIT, connect(&self.client, &self.channels)).await {
                    Ok(Ok(connection)) => {
                        self.connection = Some(connection);
                        self.backoff.reset();
                        tracing::info!(channels = ?self.channels, "subscribed");
                        return BusItem::Reconnected;
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "cannot subscribe; trying again"),
                    Err(_) => tracing::warn!("cannot subscribe in time; trying again"),
                }
                self.backoff.pause().await;
                continue;
            };
            match timeout(IDLE, messages.next()).await {
                Ok(Some(message)) => {
                    if let Some(event) = decode(&message) {
                        return BusItem::Event(event);
                    }
                }
                Ok(None) => {
                    tracing::warn!("subscription lost");
                    self.connection = None;
                }
                Err(_) => {
                    if !matches!(timeout(PING_LIMIT, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                        tracing::warn!("subscription does not answer");
                        self.connection = None;
                    }
                }
            }
        }
    }
}

async fn connect(
    client: &redis::Client,
    channels: &[String],
) -> redis::RedisResult<(PubSubSink, PubSubStream)> {
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe(channels).await?;
    Ok(pubsub.split())
}

/// A malformed event is counted and dropped: one bad sender must not stop the others.
fn decode(message: &redis::Msg) -> Option<Event> {
    match serde_json::from_slice::<Event>(message.get_payload_bytes()) {
        Ok(event) if event.kind == message.get_channel_name() => Some(event),
        outcome => {
            metrics::counter!("auralink_bus_malformed_total").increment(1);
            let reason = outcome.err().map(|error| error.to_string());
            tracing::warn!(channel = message.get_channel_name(), reason, "malformed event dropped");
            None
        }
    }
}
