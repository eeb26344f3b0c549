//! The event bus.

use std::time::Duration;

use aura_store::bus::{BusItem, Event, Publisher, PublisherTask, Subscriber};
use aura_testkit::RedisServer;
use aura_types::SystemClock;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(10);

/// Runs the publisher's task for as long as the value lives.
struct Running {
    publisher: Publisher,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(url: &str) -> Self {
        let (publisher, task): (Publisher, PublisherTask) =
            Publisher::new(url, SystemClock::shared()).unwrap();
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "a test has no Lifecycle")]
        let task = tokio::spawn(task.run(stop.clone()));
        Self { publisher, stop, task }
    }
}

async fn next(subscriber: &mut Subscriber) -> BusItem {
    timeout(LIMIT, subscriber.next()).await.expect("an item in time")
}

fn event(channel: &str, number: u32) -> Event {
    Event::new(channel, Some("room".into()), json!({"number": number}))
        .traceparent(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()))
}

#[tokio::test]
async fn events_arrive_in_order_and_whole() {
    let redis = RedisServer::shared();
    let channel = "order:tested";
    let mut subscriber = Subscriber::new(redis.url(), &[channel]).unwrap();
    assert_eq!(next(&mut subscriber).await, BusItem::Reconnected);
    let running = Running::start(redis.url());
    let sent: Vec<_> = (0..100).map(|number| event(channel, number)).collect();
    for event in &sent {
        running.publisher.publish(event.clone());
    }
    for expected in sent {
        let BusItem::Event(got) = next(&mut subscriber).await else { panic!("no reconnection was due") };
        assert_eq!(
            (got.id, &got.data, &got.traceparent),
            (expected.id, &expected.data, &expected.traceparent)
        );
        assert!(got.time.year() > 2000, "stamped when published");
    }
}

#[tokio::test]
async fn stopping_sends_what_is_queued() {
    let redis = RedisServer::shared();
    let channel = "stop:tested";
    let mut subscriber = Subscriber::new(redis.url(), &[channel]).unwrap();
    next(&mut subscriber).await;
    let running = Running::start(redis.url());
    running.stop.cancel();
    (0..10).for_each(|number| running.publisher.publish(event(channel, number)));
    timeout(LIMIT, running.task).await.expect("ends though a publisher still exists").unwrap();
    for _ in 0..10 {
        assert!(matches!(next(&mut subscriber).await, BusItem::Event(_)));
    }
}

#[tokio::test]
async fn malformed_events_are_dropped_alone() {
    let redis = RedisServer::shared();
    let channel = "malformed:tested";
    let mut subscriber = Subscriber::new(redis.url(), &[channel]).unwrap();
    next(&mut subscriber).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let foreign = serde_json::to_string(&event("another:type", 1)).unwrap();
    let good = serde_json::to_string(&event(channel, 2)).unwrap();
    for payload in ["", "{", "[]", r#"{"id":1}"#, &foreign, &good] {
        redis::cmd("PUBLISH").arg(channel).arg(payload).query_async::<i64>(&mut connection).await.unwrap();
    }
    let BusItem::Event(got) = next(&mut subscriber).await else { panic!("no reconnection was due") };
    assert_eq!(got.data, json!({"number": 2}));
}

#[tokio::test]
async fn both_sides_survive_the_death_and_return_of_redis() {
    let redis = RedisServer::start();
    let channel = "death:tested";
    let mut subscriber = Subscriber::new(redis.url(), &[channel]).unwrap();
    assert_eq!(next(&mut subscriber).await, BusItem::Reconnected);
    let running = Running::start(redis.url());
    running.publisher.publish(event(channel, 1));
    assert!(matches!(next(&mut subscriber).await, BusItem::Event(_)));

    redis.kill9().await;
    // Nobody waits for a dead Redis: this returns at once however often it is called.
    (0..10_000).for_each(|number| running.publisher.publish(event(channel, number)));
    let waiting = timeout(Duration::from_millis(300), subscriber.next()).await;
    assert!(waiting.is_err(), "nothing to report while Redis is away");

    redis.restart().await;
    // The subscriber was dropped mid-connect above and goes on regardless.
    assert_eq!(next(&mut subscriber).await, BusItem::Reconnected);
    // What was queued may or may not have gone out before the subscription; what is sent now must arrive.
    running.publisher.publish(event(channel, 123_456));
    let arrives = async {
        loop {
            if let BusItem::Event(got) = subscriber.next().await
                && got.data == json!({"number": 123_456})
            {
                return;
            }
        }
    };
    timeout(LIMIT, arrives).await.expect("publishing works again");
}
