//! What the database itself promises, read from its catalogue; partitions and retention.

use aura_testkit::{Postgres, catalogue};
use sqlx::{Executor as _, PgConnection};
use uuid::Uuid;

use crate::server::migrated;

async fn database() -> PgConnection {
    migrated(Postgres::shared()).await.superuser().await
}

#[tokio::test]
async fn rows_are_guarded_and_grants_narrow() {
    let mut db = database().await;
    let found = catalogue::keeps_its_promises(&mut db, "aic").await;
    assert!(found.tables >= 5 + 10, "{found:?}: five tables and partitions for days to come");
    assert!(found.policies >= 9, "{found:?}");
    let (loose,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM information_schema.role_table_grants
         WHERE table_schema = 'aic' AND grantee = 'aic_app' AND table_name <> 'aic_configs'
           AND privilege_type <> 'SELECT'",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(loose, 0, "users write their configuration and nothing else");
}

#[tokio::test]
async fn partitions_come_ahead_take_early_rows_along_and_go() {
    let mut db = database().await;
    // A row for a day that has no partition yet lies in the rest.
    sqlx::query(
        "INSERT INTO aic.aic_metrics (user_id, session_id, sequence, \"timestamp\", window_ms, mode, model, frames,
             fallback_frames, concealed_frames, coded_bytes, native_bytes, quality_sum, quality_count,
             latency_sum_ms, latency_count, latency_counts, fallbacks)
         VALUES ($1, $1, 0, now() + interval '20 days', 1, 'adaptive', 'm', 1, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '{}')",
    )
    .bind(Uuid::now_v7())
    .execute(&mut db)
    .await
    .unwrap();
    let rest = async |db: &mut PgConnection| -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM ONLY aic.aic_metrics_rest").fetch_one(db).await.unwrap()
    };
    assert_eq!(rest(&mut db).await, 1);
    db.execute("SET ROLE aic_system").await.unwrap();
    let made: i32 = sqlx::query_scalar("SELECT aic.ensure_metric_partitions(current_date, 25)")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert!(made >= 15, "{made}");
    let again: i32 = sqlx::query_scalar("SELECT aic.ensure_metric_partitions(current_date, 25)")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(again, 0);
    db.execute("RESET ROLE").await.unwrap();
    assert_eq!(rest(&mut db).await, 0, "it moved into its day");
    let (all,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM aic.aic_metrics").fetch_one(&mut db).await.unwrap();
    assert_eq!(all, 1);

    db.execute("SET ROLE aic_system").await.unwrap();
    let dropped: i32 = sqlx::query_scalar("SELECT aic.drop_metric_partitions(current_date)")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(dropped, 1, "yesterday's, which the first migration made");
    for refused in [
        "SELECT aic.drop_metric_partitions(current_date + 1)",
        "SELECT aic.ensure_metric_partitions(current_date + 100, 1)",
        "SELECT aic.ensure_metric_partitions(current_date, 1000)",
        "DROP TABLE aic.aic_metrics_rest",
    ] {
        assert!(db.execute(refused).await.is_err(), "{refused}");
    }
    db.execute("SET ROLE aic_app").await.unwrap();
    assert!(db.execute("SELECT aic.ensure_metric_partitions(current_date, 1)").await.is_err());
    assert!(
        db.execute("SELECT count(*) FROM aic.aic_metrics_rest").await.is_err(),
        "only through the parent"
    );
}
