//! What the database itself promises, read from its catalogue.

use crate::stack::migrated;
use aura_testkit::Postgres;
use sqlx::{PgConnection, Row as _};

async fn database() -> PgConnection {
    migrated(Postgres::shared()).await.superuser().await
}

#[tokio::test]
async fn every_table_forces_row_level_security() {
    let mut db = database().await;
    let tables = sqlx::query(
        "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity, r.rolname::text
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
         WHERE n.nspname = 'dashboard' AND c.relkind IN ('r', 'p') AND c.relname <> '_sqlx_migrations'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(tables.len() >= 16, "{}", tables.len());
    for table in &tables {
        let name: &str = table.get(0);
        assert!(
            table.get::<bool, _>(1) && table.get::<bool, _>(2),
            "{name} does not force row-level security"
        );
        assert_eq!(table.get::<&str, _>(3), "dashboard_owner", "{name}");
    }
}

#[tokio::test]
async fn every_policy_says_what_may_be_read_and_what_may_be_written() {
    let mut db = database().await;
    let policies = sqlx::query(
        "SELECT tablename::text, policyname::text, cmd, qual IS NOT NULL, with_check IS NOT NULL, roles::text[],
                permissive = 'PERMISSIVE'
         FROM pg_policies WHERE schemaname = 'dashboard'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(!policies.is_empty());
    for policy in &policies {
        let name = format!("{}.{}", policy.get::<&str, _>(0), policy.get::<&str, _>(1));
        let (using, check): (bool, bool) = (policy.get(3), policy.get(4));
        match policy.get::<&str, _>(2) {
            "ALL" | "UPDATE" => assert!(using && check, "{name}"),
            "INSERT" => assert!(check, "{name}"),
            _ => assert!(using, "{name}"),
        }
        let roles: Vec<String> = policy.get(5);
        assert!(
            roles.iter().all(|role| role == "dashboard_app" || role == "dashboard_system"),
            "{name}: {roles:?}"
        );
    }
}

#[tokio::test]
async fn grants_are_narrow() {
    let mut db = database().await;
    let (loose,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM information_schema.role_table_grants
         WHERE table_schema = 'dashboard' AND grantee <> 'dashboard_owner'
           AND (privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') OR grantee = 'PUBLIC')",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(loose, 0);
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

#[tokio::test]
async fn no_role_of_ours_is_above_the_rules() {
    let mut db = database().await;
    let (above,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM pg_roles
         WHERE rolname LIKE 'dashboard\\_%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin)",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert_eq!(above, 0);
    let (views,): (i64,) = sqlx::query_as("SELECT count(*) FROM pg_views WHERE schemaname = 'dashboard'")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(views, 0, "a view would need security_invoker");
}
