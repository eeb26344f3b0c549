//! What the database itself promises, read from its catalogue; partitions and retention.

use aura_testkit::Postgres;
use sqlx::{Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::server::migrated;

async fn database() -> PgConnection {
    migrated(Postgres::shared()).await.superuser().await
}

#[tokio::test]
async fn every_table_and_partition_forces_row_level_security() {
    let mut db = database().await;
    let tables = sqlx::query(
        "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity, r.rolname::text
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
         WHERE n.nspname = 'aic' AND c.relkind IN ('r', 'p') AND c.relname <> '_sqlx_migrations'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(tables.len() >= 5 + 10, "{}: five tables and partitions for days to come", tables.len());
    for table in &tables {
        let name: &str = table.get(0);
        assert!(
            table.get::<bool, _>(1) && table.get::<bool, _>(2),
            "{name} does not force row-level security"
        );
        assert_eq!(table.get::<&str, _>(3), "aic_owner", "{name}");
    }
}

#[tokio::test]
async fn policies_and_grants_are_narrow() {
    let mut db = database().await;
    let policies = sqlx::query(
        "SELECT tablename::text || '.' || policyname::text, cmd, qual IS NOT NULL, with_check IS NOT NULL, roles::text[]
         FROM pg_policies WHERE schemaname = 'aic'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(policies.len() >= 9);
    for policy in &policies {
        let name: &str = policy.get(0);
        let (using, check): (bool, bool) = (policy.get(2), policy.get(3));
        match policy.get::<&str, _>(1) {
            "ALL" | "UPDATE" => assert!(using && check, "{name}"),
            "INSERT" => assert!(check, "{name}"),
            _ => assert!(using, "{name}"),
        }
        let roles: Vec<String> = policy.get(4);
        assert!(roles.iter().all(|role| role == "aic_app" || role == "aic_system"), "{name}: {roles:?}");
    }
    let (loose,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM information_schema.role_table_grants
         WHERE table_schema = 'aic' AND grantee <> 'aic_owner'
           AND (privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') OR grantee = 'PUBLIC'
                OR (grantee = 'aic_app' AND table_name <> 'aic_configs' AND privilege_type <> 'SELECT'))",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(loose, 0);
    let (above,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM pg_roles
         WHERE rolname LIKE 'aic\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin)",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(above, 0);
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
