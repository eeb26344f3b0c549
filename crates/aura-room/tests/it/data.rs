//! Packets, streams and remote procedure calls.

use crate::in_both_modes;

in_both_modes!(packets_reach_whom_they_are_for, streams_arrive_whole, calls_are_answered);

mod scenario {
    use std::collections::HashMap;
    use std::time::Duration;

    use aura_room::{Address, RoomEvent, RpcError, SignalMode};

    use crate::harness::{Events, background, options, room_name, server, soon};

    async fn packet(events: &mut Events) -> (Vec<u8>, Option<String>, Option<String>) {
        events
            .expect("a packet", |event| match event {
                RoomEvent::DataReceived { payload, topic, from, .. } => Some((payload.to_vec(), topic, from)),
                _ => None,
            })
            .await
    }

    pub(super) async fn packets_reach_whom_they_are_for(mode: SignalMode) {
        let server = server().await;
        let name = room_name("packets");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let (_eve, mut eve_events) = server.join(&name, "eve", options(mode)).await;
        let secret = Address::topic("secret").to(["bob"]);
        ann.publish_data(&b"for bob"[..], true, secret).await.expect("sent");
        ann.publish_data(vec![7; 50_000], true, Address::topic("all")).await.expect("sent");
        let from_ann = Some("ann".to_owned());
        assert_eq!(
            packet(&mut bob_events).await,
            (b"for bob".to_vec(), Some("secret".into()), from_ann.clone())
        );
        assert_eq!(packet(&mut bob_events).await, (vec![7; 50_000], Some("all".into()), from_ann.clone()));
        assert_eq!(packet(&mut eve_events).await.1, Some("all".into()), "eve must not see the secret");

        // Lossy packets may be lost; one of many arrives.
        let (sender, mut received) = (ann.clone(), false);
        let sending = background(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                sender.publish_data(&b"lossy"[..], false, Address::default()).await.expect("sent");
            }
        });
        bob_events
            .expect("a lossy packet", |event| match event {
                RoomEvent::DataReceived { reliable: false, payload, .. } => {
                    received = &payload[..] == b"lossy";
                    Some(())
                }
                _ => None,
            })
            .await;
        assert!(received);
        drop(sending);
        assert!(ann.publish_data(vec![0; 70_000], true, Address::default()).await.is_err(), "too large");
    }

    pub(super) async fn streams_arrive_whole(mode: SignalMode) {
        let server = server().await;
        let name = room_name("streams");
        let (ann, _ann_events) = server.join(&name, "ann", options(mode)).await;
        let (_bob, mut bob_events) = server.join(&name, "bob", options(mode)).await;
        let text = "grüße ".repeat(10_000);
        let attributes = HashMap::from([("k".to_owned(), "v".to_owned())]);
        let id = ann.send_text(&text, Address::topic("lk.chat"), attributes).await.expect("sent");
        let message = bob_events
            .expect("the text", |event| match event {
                RoomEvent::TextReceived(message) => Some(message),
                _ => None,
            })
            .await;
        assert_eq!((message.id, message.from.as_str(), message.topic.as_str()), (id, "ann", "lk.chat"));
        assert_eq!(message.attributes["k"], "v");
        assert!(message.text == text, "the text changed on its way");

        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        ann.send_bytes(&bytes, "a.bin", "application/octet-stream", Address::topic("file").to(["bob"]))
            .await
            .expect("sent");
        let file = bob_events
            .expect("the file", |event| match event {
                RoomEvent::BytesReceived(message) => Some(message),
                _ => None,
            })
            .await;
        assert_eq!((file.name.as_str(), file.mime_type.as_str()), ("a.bin", "application/octet-stream"));
        assert!(file.payload == bytes, "the bytes changed on their way");
    }

    pub(super) async fn calls_are_answered(mode: SignalMode) {
        let server = server().await;
        let name = room_name("calls");
        let (ann, mut ann_events) = server.join(&name, "ann", options(mode)).await;
        let (bob, _bob_events) = server.join(&name, "bob", options(mode)).await;
        bob.register_rpc_method("shout", |call| async move {
            match call.payload.as_str() {
                "" => Err(RpcError::new(42, "nothing to shout")),
                text => Ok(format!("{} {}", call.caller, text.to_uppercase())),
            }
        });
        ann_events
            .expect("bob", |event| matches!(event, RoomEvent::ParticipantConnected(_)).then_some(()))
            .await;
        let limit = Duration::from_secs(10);
        let call = |who: &'static str, method: &'static str, payload: &'static str| {
            let ann = ann.clone();
            async move { soon("an answer", ann.perform_rpc(who, method, payload, limit)).await }
        };
        assert_eq!(call("bob", "shout", "hello").await.as_deref(), Ok("ann HELLO"));
        assert_eq!(call("bob", "shout", "").await, Err(RpcError::new(42, "nothing to shout")));
        assert_eq!(call("bob", "sing", "x").await.map_err(|e| e.code), Err(RpcError::UNSUPPORTED_METHOD));
        assert_eq!(call("nobody", "x", "").await.map_err(|e| e.code), Err(RpcError::RECIPIENT_NOT_FOUND));
        bob.unregister_rpc_method("shout");
        assert_eq!(call("bob", "shout", "x").await.map_err(|e| e.code), Err(RpcError::UNSUPPORTED_METHOD));

        bob.register_rpc_method("never", |_| std::future::pending());
        let (waiting, ()) = tokio::join!(call("bob", "never", ""), async {
            // The call is acknowledged before bob leaves, or fails to be; either way it ends with him.
            ann.perform_rpc("bob", "sing", "", limit).await.expect_err("no such method");
            bob.leave().await;
        });
        assert_eq!(waiting.map_err(|e| e.code), Err(RpcError::RECIPIENT_DISCONNECTED));
    }
}
