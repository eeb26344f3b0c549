//! Migrations and roles.

use aura_store::StoreError;
use aura_store::migrate::{Migration, run};
use aura_testkit::Postgres;
use sqlx::migrate::Migrator;

use crate::{MIGRATOR, migrated};

#[tokio::test]
async fn many_processes_may_migrate_many_databases_at_once() {
    let postgres = Postgres::shared();
    let databases = [postgres.database().await, postgres.database().await];
    let mut runs = tokio::task::JoinSet::new();
    for database in databases.iter().cycle().take(8) {
        let (owner_url, login_url) = (database.superuser_url(), database.login_url("sample"));
        runs.spawn(async move {
            let migration = Migration {
                service: "sample",
                migrator: &MIGRATOR,
                owner_url: &owner_url,
                login_url: &login_url,
            };
            run(&migration).await
        });
    }
    while let Some(outcome) = runs.join_next().await {
        outcome.unwrap().unwrap();
    }
    for database in databases {
        let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM sample._sqlx_migrations")
            .fetch_one(&mut database.superuser().await)
            .await
            .unwrap();
        assert_eq!(applied, 1);
    }
}

#[tokio::test]
async fn everything_belongs_to_an_owner_nobody_logs_in_as() {
    let test = migrated(Postgres::shared()).await;
    let mut admin = test.superuser().await;
    let owners: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class \
         WHERE relnamespace = 'sample'::regnamespace AND relkind IN ('r', 'i')",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(owners, ["sample_owner"]);
    let privileged: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'sample\\_%' \
         AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert!(privileged.is_empty(), "{privileged:?}");
    let login_may: Vec<(String, bool)> = sqlx::query_as(
        "SELECT rolname::text, pg_has_role('auralink_sample', oid, 'MEMBER') FROM pg_roles \
         WHERE rolname LIKE 'sample\\_%' ORDER BY 1",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let expected = [("sample_app", true), ("sample_owner", false), ("sample_system", true)];
    assert_eq!(login_may, expected.map(|(role, member)| (role.to_owned(), member)));
}

#[tokio::test]
async fn an_applied_migration_must_not_change() {
    let test = migrated(Postgres::shared()).await;
    let mut changed: Vec<_> = MIGRATOR.iter().cloned().collect();
    changed[0].checksum = vec![0; 48].into();
    let migrator = Migrator::with_migrations(changed);
    let (owner_url, login_url) = (test.superuser_url(), test.login_url("sample"));
    let migration =
        Migration { service: "sample", migrator: &migrator, owner_url: &owner_url, login_url: &login_url };
    let refused = run(&migration).await.unwrap_err();
    assert!(matches!(refused, StoreError::Migration { service: "sample", .. }), "{refused:?}");
}

#[tokio::test]
async fn an_absent_server_is_unavailable() {
    let port = aura_testkit::free_port();
    let url = |role: &str| format!("postgres://{role}:hidden@127.0.0.1:{port}/x");
    let (owner_url, login_url) = (&url("owner"), &url("login"));
    let migration = Migration { service: "sample", migrator: &MIGRATOR, owner_url, login_url };
    let error = run(&migration).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(!format!("{error:?}").contains("hidden"));
}
