//! Configuration, reports of clients, lists and sums.

use aura_proto::aic::v1 as pb;
use aura_testkit::eventually;
use tonic::Code;
use uuid::Uuid;

use crate::client::{LIMIT, format, packets_of};
use crate::server::Server;
use crate::sound::{to_pcm, voice};

fn user() -> String {
    Uuid::now_v7().to_string()
}

#[tokio::test]
async fn configuration_has_defaults_changes_by_field_and_refuses_nonsense() {
    let server = Server::with(&[("AIC_MODE", "conservative"), ("AIC_TARGET_COMPRESSION_RATIO", "0.9")]).await;
    let mut client = server.dashboard().await;
    let user_id = user();
    let get = pb::GetConfigRequest { user_id: user_id.clone() };
    let config = client.console.get_config(get.clone()).await.unwrap().into_inner();
    assert_eq!((config.mode(), config.updated_at_ms), (pb::Mode::Conservative, 0));
    assert!((config.target_compression_ratio - 0.9).abs() < 1e-9);
    assert!((config.min_quality_score - 0.85).abs() < 1e-9 && config.enable_fallback && config.enabled);

    let change = pb::PutConfigRequest {
        user_id: user_id.clone(),
        mode: Some(pb::Mode::Aggressive.into()),
        max_latency_ms: Some(35.5),
        gpu_device_id: Some(2),
        ..Default::default()
    };
    let changed = client.console.put_config(change).await.unwrap().into_inner();
    assert_eq!((changed.mode(), changed.gpu_device_id), (pb::Mode::Aggressive, 2));
    assert!((changed.target_compression_ratio - 0.9).abs() < 1e-9, "untouched");
    assert!(changed.updated_at_ms > 0);
    assert_eq!(client.console.get_config(get.clone()).await.unwrap().into_inner(), changed);

    let put = |change: &dyn Fn(&mut pb::PutConfigRequest)| {
        let mut request = pb::PutConfigRequest { user_id: user_id.clone(), ..Default::default() };
        change(&mut request);
        request
    };
    let cases = [
        (put(&|r| r.mode = Some(0)), "mode"),
        (put(&|r| r.mode = Some(17)), "mode"),
        (put(&|r| r.target_compression_ratio = Some(-0.1)), "target_compression_ratio"),
        (put(&|r| r.max_latency_ms = Some(f64::INFINITY)), "max_latency_ms"),
        (put(&|r| r.min_quality_score = Some(2.0)), "min_quality_score"),
        (put(&|r| r.gpu_device_id = Some(64)), "gpu_device_id"),
        (put(&|r| r.user_id = "nobody".into()), "user_id"),
    ];
    for (request, field) in cases {
        let status = client.console.put_config(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(&format!("{field}:")), "{status}");
    }
    assert_eq!(client.console.get_config(get).await.unwrap().into_inner(), changed, "unchanged");
}

#[tokio::test]
async fn a_stream_follows_its_users_configuration() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let user_id = user();
    let change =
        pb::PutConfigRequest { user_id: user_id.clone(), enabled: Some(false), ..Default::default() };
    client.console.put_config(change).await.unwrap();
    let open = pb::StreamOpen {
        user_id,
        input: Some(format(pb::Codec::Pcm, 48_000)),
        output: Some(format(pb::Codec::Aic, 0)),
        ..Default::default()
    };
    let input = packets_of(&to_pcm(&voice(48_000, 0.4, 1)), 48_000);
    let heard = client.open(open).await.unwrap().finish(&input).await.unwrap();
    let last = heard.packets.last().unwrap().meta.as_ref().unwrap();
    assert_eq!(last.fallback_reason(), pb::FallbackReason::Disabled);
}

fn report(user_id: &str, session_id: &str, sequence: u64) -> pb::ReportUsageRequest {
    pb::ReportUsageRequest {
        user_id: user_id.to_owned(),
        session_id: session_id.to_owned(),
        sequence,
        room: "standup".to_owned(),
        mode: pb::Mode::Adaptive.into(),
        model: "aic16m-1".to_owned(),
        window_ms: 10_000,
        frames: 500,
        fallback_frames: 50,
        coded_bytes: 8_000,
        native_bytes: 40_000,
        quality_mean: 0.9,
        quality_min: 0.87,
        latency_mean_ms: 2.0,
        latency_p95_ms: 4.0,
        fallbacks: [("content".to_owned(), 2)].into(),
        direction: pb::Direction::Send.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn clients_reports_are_counted_once_and_summed() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let (user_id, session_id) = (user(), user());
    for sequence in [0, 1, 1, 0, 2] {
        client.console.report_usage(report(&user_id, &session_id, sequence)).await.unwrap();
    }
    let list = pb::ListSessionsRequest { user_id: user_id.clone(), ..Default::default() };
    let sessions = client.console.list_sessions(list.clone()).await.unwrap().into_inner().sessions;
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    assert_eq!((session.id.as_str(), session.kind.as_str()), (session_id.as_str(), "browser"));
    assert_eq!((session.frames, session.fallback_frames, session.fallbacks), (1_500, 150, 6));
    assert_eq!((session.coded_bytes, session.native_bytes), (24_000, 120_000));
    assert!((session.compression_ratio - 0.8).abs() < 1e-9 && (session.quality_score - 0.9).abs() < 1e-9);
    assert_eq!(session.last_fallback_reason, "content");
    assert_eq!((session.ended_at_us, session.direction()), (0, pb::Direction::Send));

    let last = pb::ReportUsageRequest {
        ended: true,
        frames: 0,
        fallback_frames: 0,
        coded_bytes: 0,
        native_bytes: 0,
        ..report(&user_id, &session_id, 3)
    };
    client.console.report_usage(last).await.unwrap();
    let sessions = client.console.list_sessions(list).await.unwrap().into_inner().sessions;
    assert!(sessions[0].ended_at_us > 0 && sessions[0].end_reason == "ended");

    let metrics = pb::GetMetricsRequest { user_id: user_id.clone(), bucket_s: 3_600, ..Default::default() };
    let metrics = client.console.get_metrics(metrics).await.unwrap().into_inner();
    let total = metrics.total.unwrap();
    assert_eq!((total.frames, total.sessions, total.fallbacks["content"]), (1_500, 1, 8));
    assert!((total.latency_mean_ms - 2.0).abs() < 1e-6 && (total.fallback_share - 0.1).abs() < 1e-9);
    assert!((1.0..=5.0).contains(&total.latency_p95_ms), "{}", total.latency_p95_ms);
    assert!((total.quality_min - 0.87).abs() < 1e-9);
    assert!((1..=2).contains(&metrics.buckets.len()), "an hour may have turned");

    let rows = pb::GetModelPerformanceRequest { user_id, hours: 0 };
    let rows = client.console.get_model_performance(rows).await.unwrap().into_inner().rows;
    let frames: u64 = rows.iter().filter(|row| row.backend == "browser").map(|row| row.frames).sum();
    assert_eq!(frames, 1_500);

    // The same id of somebody else is another session.
    let other = user();
    client.console.report_usage(report(&other, &session_id, 0)).await.unwrap();
    let list = pb::ListSessionsRequest { user_id: other, ..Default::default() };
    let sessions = client.console.list_sessions(list).await.unwrap().into_inner().sessions;
    assert_eq!(sessions[0].frames, 500);
}

#[tokio::test]
async fn reports_that_cannot_be_true_and_floods_are_refused() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let (user_id, session_id) = (user(), user());
    let bad = pb::ReportUsageRequest { frames: 100_000, ..report(&user_id, &session_id, 0) };
    let status = client.console.report_usage(bad).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let mut refused = None;
    for sequence in 0..200 {
        if let Err(status) = client.console.report_usage(report(&user_id, &session_id, sequence)).await {
            refused = Some(status.code());
            break;
        }
    }
    assert_eq!(refused, Some(Code::ResourceExhausted));
}

#[tokio::test]
async fn sessions_come_in_pages() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let user_id = user();
    for index in 0..5_u64 {
        let ended = index % 2 == 0;
        let request = pb::ReportUsageRequest { ended, ..report(&user_id, &user(), 0) };
        client.console.report_usage(request).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut request = pb::ListSessionsRequest { user_id: user_id.clone(), limit: 2, ..Default::default() };
    loop {
        let page = client.console.list_sessions(request.clone()).await.unwrap().into_inner();
        seen.extend(page.sessions.iter().map(|session| session.id.clone()));
        let Some(last) = page.sessions.last().filter(|_| page.more) else { break };
        (request.before_us, request.before_id) = (last.started_at_us, last.id.clone());
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (5, 5));
    let open = pb::ListSessionsRequest { user_id: user_id.clone(), only_open: true, ..Default::default() };
    assert_eq!(client.console.list_sessions(open).await.unwrap().into_inner().sessions.len(), 2);
    for (bad, field) in [
        (pb::ListSessionsRequest { limit: 101, ..request.clone() }, "limit"),
        (pb::ListSessionsRequest { before_us: 5, before_id: "x".into(), ..request.clone() }, "before_id"),
        (pb::ListSessionsRequest { before_us: i64::MAX, before_id: user(), ..request }, "before_us"),
    ] {
        let status = client.console.list_sessions(bad).await.unwrap_err();
        assert!(status.message().starts_with(field), "{status}");
    }
}

#[tokio::test]
async fn a_services_own_stream_is_measured_while_it_runs() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let user_id = user();
    let open = pb::StreamOpen {
        user_id: user_id.clone(),
        ..crate::client::opening(format(pb::Codec::Pcm, 48_000), format(pb::Codec::Aic, 0))
    };
    let call = client.open(open).await.unwrap();
    for packet in packets_of(&to_pcm(&voice(48_000, 0.5, 1)), 48_000) {
        call.ask(pb::stream_request::Message::Packet(packet)).await;
    }
    eventually(LIMIT, || {
        let (mut client, user_id) = (client.clone(), user_id.clone());
        async move {
            let list = pb::ListSessionsRequest { user_id, only_open: true, ..Default::default() };
            let sessions = client.console.list_sessions(list).await.unwrap().into_inner().sessions;
            sessions.first().is_some_and(|session| session.frames == 25 && session.kind == "transcode")
        }
    })
    .await;
    drop(call);
}
