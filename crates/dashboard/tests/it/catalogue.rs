//! What the database itself promises, read from its catalogue.

use crate::stack::migrated;
use aura_testkit::{Postgres, catalogue};
use sqlx::PgConnection;

async fn database() -> PgConnection {
    migrated(Postgres::shared()).await.superuser().await
}

#[tokio::test]
async fn rows_are_guarded_and_grants_narrow() {
    let mut db = database().await;
    let found = catalogue::keeps_its_promises(&mut db, "dashboard").await;
    assert!(found.tables >= 16, "{found:?}");
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT grantee::text, privilege_type::text FROM information_schema.column_privileges
         WHERE table_schema = 'dashboard' AND table_name = 'users' AND column_name = 'password_hash'
           AND grantee <> 'dashboard_owner' ORDER BY 1, 2",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(columns.iter().all(|(grantee, _)| grantee == "dashboard_system"), "{columns:?}");
    for (table, privileges) in [("refresh_tokens", ""), ("refresh_families", ""), ("processed_events", "")] {
        let granted: Vec<(String,)> = sqlx::query_as(
            "SELECT privilege_type::text FROM information_schema.role_table_grants
             WHERE table_schema = 'dashboard' AND table_name = $1 AND grantee = 'dashboard_app'",
        )
        .bind(table)
        .fetch_all(&mut db)
        .await
        .unwrap();
        let granted: Vec<_> = granted.into_iter().map(|(privilege,)| privilege).collect();
        assert_eq!(granted.join(","), privileges, "{table}");
    }
}
