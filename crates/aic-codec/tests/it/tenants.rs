//! What one user's rows are to another: not there. Through the service, and past it at the database.

use aura_proto::aic::v1 as pb;
use aura_testkit::eventually;
use sqlx::Executor as _;
use uuid::Uuid;

use crate::client::{LIMIT, format, opening, packets_of};
use crate::server::Server;
use crate::sound::{to_pcm, voice};

#[tokio::test]
async fn configuration_sessions_measurements_and_alerts_are_ones_own() {
    let server = Server::start().await;
    let mut client = server.dashboard().await;
    let [alice, bob] = [Uuid::now_v7(), Uuid::now_v7()].map(|user| user.to_string());

    let change = pb::PutConfigRequest {
        user_id: alice.clone(),
        mode: Some(pb::Mode::Aggressive.into()),
        ..Default::default()
    };
    client.console.put_config(change).await.unwrap();
    let open = pb::StreamOpen {
        user_id: alice.clone(),
        ..opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Aic, 0))
    };
    let call = client.open(open).await.unwrap();
    let session_id = call.opened.session_id.clone();
    call.finish(&packets_of(&to_pcm(&voice(16_000, 0.5, 1)), 16_000)).await.unwrap();
    let mut db = server.database.superuser().await;
    sqlx::query(
        "INSERT INTO aic.aic_alerts (user_id, id, rule, instance, value, threshold, started_at, fired_at, seen_at)
         VALUES ($1::uuid, $2, 'fallback_rate', 'x', 0.2, 0.05, now(), now(), now())",
    )
    .bind(&alice)
    .bind(Uuid::now_v7())
    .execute(&mut db)
    .await
    .unwrap();

    let lists = async |user: &str| {
        let mut client = client.clone();
        let user_id = user.to_owned();
        let sessions = pb::ListSessionsRequest { user_id: user_id.clone(), ..Default::default() };
        let sessions = client.console.list_sessions(sessions).await.unwrap().into_inner().sessions;
        let metrics = pb::GetMetricsRequest { user_id: user_id.clone(), ..Default::default() };
        let metrics = client.console.get_metrics(metrics).await.unwrap().into_inner().buckets;
        let alerts = pb::ListAlertsRequest { user_id: user_id.clone() };
        let alerts = client.console.list_alerts(alerts).await.unwrap().into_inner().alerts;
        let config = client.console.get_config(pb::GetConfigRequest { user_id }).await.unwrap().into_inner();
        (sessions, metrics, alerts, config)
    };
    eventually(LIMIT, || async {
        let (sessions, metrics, ..) = lists(&alice).await;
        sessions.iter().any(|session| session.end_reason == "ended") && !metrics.is_empty()
    })
    .await;
    let (sessions, _, alerts, config) = lists(&alice).await;
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].id.as_str(), sessions[0].frames), (session_id.as_str(), 25));
    assert_eq!((sessions[0].room.as_str(), sessions[0].track.as_str()), ("standup", "TR_1"));
    assert_eq!((alerts.len(), config.mode()), (1, pb::Mode::Aggressive));

    let (sessions, metrics, alerts, config) = lists(&bob).await;
    assert_eq!((sessions.len(), metrics.len(), alerts.len()), (0, 0, 0));
    assert_eq!((config.mode(), config.updated_at_ms), (pb::Mode::Adaptive, 0));
    // Naming somebody else's session finds nothing of it.
    let request = pb::GetMetricsRequest { user_id: bob.clone(), session_id, ..Default::default() };
    let found = client.console.get_metrics(request).await.unwrap().into_inner();
    assert_eq!((found.buckets.len(), found.total.unwrap().frames), (0, 0));

    // Past the service: the role that acts for users sees one user's rows, and nobody's without a user.
    for (user, expected) in [(alice.as_str(), true), (bob.as_str(), false), ("", false)] {
        for table in ["aic_configs", "aic_sessions", "aic_metrics", "aic_alerts"] {
            let mut tx = sqlx::Connection::begin(&mut db).await.unwrap();
            tx.execute("SET LOCAL ROLE aic_app").await.unwrap();
            sqlx::query("SELECT set_config('app.current_user_id', $1, true)")
                .bind(user)
                .execute(&mut *tx)
                .await
                .unwrap();
            let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM aic.{table}"));
            let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&mut *tx).await.unwrap();
            assert_eq!(count > 0, expected, "{table} for {user:?}");
            tx.rollback().await.unwrap();
        }
    }
}

#[tokio::test]
async fn nobodys_sessions_are_kept_and_shown_to_nobody() {
    let server = Server::start().await;
    let mut client = server.sfu().await;
    let open = opening(format(pb::Codec::Pcm, 16_000), format(pb::Codec::Aic, 0));
    let call = client.open(open).await.unwrap();
    call.finish(&packets_of(&to_pcm(&voice(16_000, 0.5, 1)), 16_000)).await.unwrap();
    let database = server.database.clone();
    eventually(LIMIT, || {
        let database = database.clone();
        async move {
            let mut db = database.superuser().await;
            let row: Option<(Uuid, String, i64)> = sqlx::query_as(
                "SELECT user_id, caller, frames FROM aic.aic_sessions WHERE ended_at IS NOT NULL",
            )
            .fetch_optional(&mut db)
            .await
            .unwrap();
            row == Some((Uuid::nil(), "webrtc-sfu".to_owned(), 25))
        }
    })
    .await;
    let mut dashboard = server.dashboard().await;
    let request = pb::ListSessionsRequest { user_id: Uuid::nil().to_string(), ..Default::default() };
    let refused = dashboard.console.list_sessions(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}
