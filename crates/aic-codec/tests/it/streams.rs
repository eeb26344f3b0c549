//! Many streams at once, their limits, and their ends.

use aura_proto::aic::v1 as pb;
use aura_testkit::{eventually, eventually_within};
use std::time::Duration;
use tonic::Code;

use crate::client::{LIMIT, format, opening, packets_of};
use crate::server::Server;
use crate::sound::{to_pcm, voice};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_streams_at_once_all_finish_whole() {
    let server = Server::start().await;
    let client = server.sfu().await;
    let spoken = to_pcm(&voice(48_000, 2.0, 1));
    let input = packets_of(&spoken, 48_000);
    let talks = (0..32).map(|_| {
        let (mut client, input) = (client.clone(), input.clone());
        async move {
            let open = opening(format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0));
            client.open(open).await.unwrap().finish(&input).await.unwrap()
        }
    });
    let heard = futures_util::future::join_all(talks).await;
    let first = heard[0].payloads();
    let is_whole = heard[0].closed().usage.as_ref().unwrap().fallback_frames == 0;
    for one in &heard {
        assert_eq!(one.closed().usage.as_ref().unwrap().frames, 100);
        assert_eq!(one.refused, []);
        // A machine that cannot keep up sends Opus meanwhile, and says so.
        if one.closed().usage.as_ref().unwrap().fallback_frames == 0 && is_whole {
            assert_eq!(one.payloads(), first, "the same voice, the same packets");
        }
    }
    let mut client = client;
    eventually(LIMIT, || {
        let mut client = client.clone();
        async move { client.codec.get_status(pb::GetStatusRequest {}).await.unwrap().get_ref().streams == 0 }
    })
    .await;
    let status = client.codec.get_status(pb::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.model.as_str(), status.backend.as_str(), status.workers), ("aic16m-1", "native", 2));
    assert!(status.enabled && !status.draining);
    assert_eq!(status.rates_bps, [1_500, 3_000, 6_000]);
}

#[tokio::test]
async fn streams_have_limits_in_all_and_per_caller() {
    let server =
        Server::with(&[("AURA_AIC__LIMITS__STREAMS", "3"), ("AURA_AIC__LIMITS__STREAMS_PER_CALLER", "2")])
            .await;
    let open = || opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Opus, 0));
    let (mut sfu, mut dashboard) = (server.sfu().await, server.dashboard().await);
    let first = sfu.open(open()).await.unwrap();
    let _second = sfu.open(open()).await.unwrap();
    let refused = sfu.open(open()).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let _third = dashboard.open(open()).await.unwrap();
    assert_eq!(dashboard.open(open()).await.map(drop).unwrap_err().code(), Code::ResourceExhausted);
    first.finish(&[]).await.unwrap();
    let again = eventually_within(LIMIT, || {
        let mut sfu = sfu.clone();
        async move { sfu.open(open()).await.ok() }
    });
    assert!(again.await.is_some(), "the place is free again");
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_closed() {
    let server = Server::with(&[("AURA_AIC__LIMITS__IDLE_S", "1")]).await;
    let open = opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Opus, 0));
    let mut call = server.sfu().await.open(open).await.unwrap();
    let heard = call.rest().await.unwrap();
    assert_eq!(heard.closed().reason(), pb::stream_closed::Reason::Idle);
}

#[tokio::test]
async fn aic_switched_off_means_the_native_codec() {
    let server = Server::with(&[("AIC_ENABLED", "false")]).await;
    let mut client = server.sfu().await;
    let spoken = to_pcm(&voice(48_000, 0.5, 1));
    let open = opening(format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0));
    let heard = client.open(open).await.unwrap().finish(&packets_of(&spoken, 48_000)).await.unwrap();
    let last = heard.packets.last().unwrap();
    assert_eq!(last.codec(), pb::Codec::Opus);
    assert_eq!(last.meta.as_ref().unwrap().fallback_reason(), pb::FallbackReason::Disabled);

    let input = pb::Audio { format: Some(format(pb::Codec::Pcm, 48_000)), pcm: spoken, ..Default::default() };
    let request = pb::CompressRequest { input: Some(input), ..Default::default() };
    assert_eq!(client.codec.compress(request).await.unwrap_err().code(), Code::FailedPrecondition);
    let status = client.codec.get_status(pb::GetStatusRequest {}).await.unwrap().into_inner();
    assert!(!status.enabled);
}

#[tokio::test]
async fn a_peer_with_another_model_gets_opus_and_is_told_why() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let spoken = to_pcm(&voice(48_000, 0.5, 1));
    let open = pb::StreamOpen {
        model: "aic16s-9".to_owned(),
        ..opening(format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0))
    };
    let heard = client.open(open).await.unwrap().finish(&packets_of(&spoken, 48_000)).await.unwrap();
    let last = heard.packets.last().unwrap();
    assert_eq!(last.codec(), pb::Codec::Opus);
    assert_eq!(last.meta.as_ref().unwrap().fallback_reason(), pb::FallbackReason::ModelMismatch);
    let open = pb::StreamOpen {
        model: "aic16s-9".to_owned(),
        ..opening(format(pb::Codec::Aic, 0), format(pb::Codec::Opus, 0))
    };
    assert_eq!(client.open(open).await.map(drop).unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn metrics_name_what_was_promised() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let spoken = to_pcm(&voice(48_000, 1.0, 1));
    let open = opening(format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0));
    client.open(open).await.unwrap().finish(&packets_of(&spoken, 48_000)).await.unwrap();
    let url = format!("http://{}/metrics", server.addresses.admin);
    let wanted = [
        "aic_compression_ratio{mode=\"conservative\"}",
        "aic_inference_latency_ms_bucket{model=\"aic16m-1\",le=\"30\"}",
        "aic_bandwidth_saved_bytes_total",
        "aic_requests_total{status=\"ok\"}",
        "aic_fallback_total{reason=\"overload\"}",
        "aic_gpu_utilization_percent",
        "aic_memory_usage_bytes",
        "aic_frames_total{path=\"aic\"}",
    ];
    eventually(Duration::from_secs(20), || async {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        wanted.iter().all(|name| text.contains(name))
    })
    .await;
}
