//! One login per service, on the system's PostgreSQL and on a newer one, migrated by a superuser and by a login that may
//! create roles and databases and nothing else: each service reaches its own tables, and nothing besides.

use std::time::Duration;

use aura_store::migrate::{Migration, run};
use aura_store::{Database, DatabaseOptions, StoreError};
use aura_testkit::{Postgres, TestDatabase, catalogue, workspace_root};
use aura_types::UserId;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

const SERVICES: [&str; 2] = ["dashboard", "aic"];
const MANAGED: &str = "migrator";

async fn migrator(service: &str) -> Migrator {
    Migrator::new(workspace_root().join("migrations").join(service)).await.unwrap()
}

async fn migrate(test: &TestDatabase) {
    for service in SERVICES {
        test.migrate(service, &migrator(service).await).await;
    }
}

async fn try_migrate(test: &TestDatabase, service: &'static str) -> Result<(), StoreError> {
    let (owner_url, login_url) = (&test.owner_url(), &test.login_url(service));
    run(&Migration { service, migrator: &migrator(service).await, owner_url, login_url }).await
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn execute(db: &mut PgConnection, sql: &str) -> Result<(), String> {
    match db.execute(AssertSqlSafe(sql.to_owned())).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned()),
    }
}

async fn refused(db: &mut PgConnection, as_whom: &str, sql: &str) {
    assert_eq!(execute(db, sql).await, Err("42501".to_owned()), "{as_whom}: {sql}");
}

fn open(url: &str, service: &str) -> Database {
    let options = DatabaseOptions {
        acquire_timeout: Duration::from_secs(5),
        ..DatabaseOptions::for_service(service, url)
    };
    Database::new(options).unwrap()
}

/// The tables of both services, as `(service, table)`.
async fn tables(test: &TestDatabase) -> Vec<(String, String)> {
    sqlx::query_as(
        "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname IN ('dashboard', 'aic') AND c.relkind IN ('r', 'p')
           AND c.relname <> '_sqlx_migrations' AND NOT c.relispartition ORDER BY 1, 2",
    )
    .fetch_all(&mut test.superuser().await)
    .await
    .unwrap()
}

/// Every login × every table × reading and writing, as each role the login may become and as itself.
async fn each_service_has_its_own_tables_only(test: &TestDatabase) {
    let tables = tables(test).await;
    for service in SERVICES {
        assert!(tables.iter().filter(|(owner, _)| owner == service).count() >= 4, "{tables:?}");
        let mut db = connect(&test.login_url(service)).await;
        let roles = [format!("{service}_app"), format!("{service}_system")];
        for (owner, table) in &tables {
            let mut read_by = 0;
            for role in [Some(&roles[0]), Some(&roles[1]), None] {
                execute(&mut db, "RESET ROLE").await.unwrap();
                if let Some(role) = role {
                    execute(&mut db, &format!("SET ROLE {role}")).await.unwrap();
                }
                let as_whom = format!("{service} as {role:?}");
                let read = format!("SELECT 1 FROM {owner}.{table} LIMIT 1");
                if owner == service && role.is_some() {
                    read_by += usize::from(execute(&mut db, &read).await.is_ok());
                } else {
                    refused(&mut db, &as_whom, &read).await;
                    refused(&mut db, &as_whom, &format!("DELETE FROM {owner}.{table}")).await;
                    refused(&mut db, &as_whom, &format!("INSERT INTO {owner}.{table} DEFAULT VALUES")).await;
                }
                refused(&mut db, &as_whom, &format!("TRUNCATE {owner}.{table}")).await;
                refused(
                    &mut db,
                    &as_whom,
                    &format!("ALTER TABLE {owner}.{table} DISABLE ROW LEVEL SECURITY"),
                )
                .await;
            }
            assert!(owner != service || read_by > 0, "{service} reads its own {table}");
        }
        cannot_become_or_make_more(&mut db, service).await;
        open(&test.login_url(service), service).verify().await.unwrap();
        catalogue::keeps_its_promises(&mut test.superuser().await, service).await;
    }
}

async fn cannot_become_or_make_more(db: &mut PgConnection, service: &str) {
    for role in ["", "_app", "_system"].map(|suffix| format!("SET ROLE {service}{suffix}")) {
        execute(db, "RESET ROLE").await.unwrap();
        if role.ends_with("_app") || role.ends_with("_system") {
            execute(db, &role).await.unwrap();
        }
        for other in SERVICES {
            for suffix in ["owner", "app", "system"] {
                if other != service || suffix == "owner" {
                    refused(db, service, &format!("SET ROLE {other}_{suffix}")).await;
                }
            }
            refused(db, service, &format!("CREATE TABLE {other}.mine (n int)")).await;
            refused(db, service, &format!("GRANT {other}_app TO auralink_{service}")).await;
        }
        refused(db, service, "SET ROLE postgres").await;
        refused(db, service, "CREATE TABLE public.mine (n int)").await;
        refused(db, service, "CREATE TEMPORARY TABLE mine (n int)").await;
        refused(db, service, "CREATE SCHEMA mine").await;
        refused(db, service, "CREATE ROLE mine").await;
        refused(db, service, "CREATE DATABASE mine").await;
    }
}

/// And a tenant's transaction still sees its own rows and nobody else's.
async fn rows_are_still_the_tenants(test: &TestDatabase) {
    let db = open(&test.login_url("aic"), "aic");
    let (alice, bob) = (UserId::generate(), UserId::generate());
    let insert = "INSERT INTO aic_configs (user_id, enabled, mode, target_compression_ratio, max_latency_ms, min_quality_score,
         enable_fallback, gpu_enabled, gpu_device_id, created_at, updated_at)
         VALUES ($1, true, 'adaptive', 0.5, 20, 0.5, true, false, 0, now(), now())";
    let mut tx = db.tenant(alice).await.unwrap();
    sqlx::query(insert).bind(alice.uuid()).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.tenant(bob).await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM aic_configs").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(seen, 0);
    let forged = sqlx::query(insert).bind(alice.uuid()).execute(&mut *tx).await.unwrap_err();
    assert!(matches!(StoreError::from(forged), StoreError::PermissionDenied(_)));
}

#[tokio::test]
async fn a_superuser_migrates_the_systems_postgres() {
    let test = Postgres::shared().database().await;
    migrate(&test).await;
    each_service_has_its_own_tables_only(&test).await;
    rows_are_still_the_tenants(&test).await;
}

#[tokio::test]
async fn a_managed_owner_migrates_the_systems_postgres() {
    // A cluster of its own: on the shared one a superuser made the roles.
    managed(&Postgres::start()).await;
}

/// From 16 on, who creates a role administers it but cannot become it, and 17 knows one privilege more.
#[tokio::test]
async fn a_managed_owner_migrates_a_newer_postgres() {
    let postgres = Postgres::start_newer();
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(&mut postgres.database().await.superuser().await)
        .await
        .unwrap();
    assert!(version >= 170_000, "{version}");
    managed(&postgres).await;
}

async fn managed(postgres: &Postgres) {
    let test = postgres.database_of(MANAGED).await;
    migrate(&test).await;
    migrate(&test).await;
    each_service_has_its_own_tables_only(&test).await;
    rows_are_still_the_tenants(&test).await;

    // An installation from when all services shared a login; then also one that a superuser meddled with.
    let mut owner = connect(&test.owner_url()).await;
    let all = "dashboard_app, dashboard_system, aic_app, aic_system";
    execute(&mut owner, &format!("CREATE ROLE auralink LOGIN PASSWORD 'throwaway'; GRANT {all} TO auralink"))
        .await
        .unwrap();
    let mut shared = connect(&test.url_as("auralink")).await;
    execute(&mut shared, "SET ROLE aic_app; SET ROLE dashboard_system; RESET ROLE").await.unwrap();
    migrate(&test).await;
    for role in all.split(", ") {
        refused(&mut shared, "the shared login", &format!("SET ROLE {role}")).await;
    }

    execute(&mut test.superuser().await, "GRANT aic_system TO auralink_dashboard").await.unwrap();
    let excess = open(&test.login_url("dashboard"), "dashboard").verify().await.unwrap_err();
    assert!(matches!(&excess, StoreError::PrivilegedRole { role, .. } if role == "aic_system"), "{excess:?}");
    match try_migrate(&test, "aic").await {
        // Up to 15 whoever may create roles may also take any grant back.
        Ok(()) => open(&test.login_url("dashboard"), "dashboard").verify().await.unwrap(),
        Err(StoreError::ForeignMember { remedy, .. }) => {
            execute(&mut test.superuser().await, &remedy).await.unwrap();
            try_migrate(&test, "aic").await.unwrap();
        }
        Err(error) => panic!("{error:?}"),
    }
    each_service_has_its_own_tables_only(&test).await;
}

#[tokio::test]
async fn a_changed_password_is_the_new_one() {
    let postgres = Postgres::start();
    let test = postgres.database().await;
    test.migrate("aic", &migrator("aic").await).await;
    let changed = test.login_url("aic").replace("throwaway", "s3cret%21%27x");
    assert!(PgConnection::connect(&changed).await.is_err(), "not yet");
    let (migrator, owner_url) = (&migrator("aic").await, &test.owner_url());
    run(&Migration { service: "aic", migrator, owner_url, login_url: &changed }).await.unwrap();
    open(&changed, "aic").verify().await.unwrap();
    assert!(PgConnection::connect(&test.login_url("aic")).await.is_err(), "the old one is no more");
}

/// What a service refuses to start with, and why: by attribute, by membership however indirect, by ownership, by grant.
#[tokio::test]
async fn a_login_that_may_too_much_is_refused() {
    let postgres = Postgres::start();
    let test = postgres.database().await;
    migrate(&test).await;
    open(&test.login_url("dashboard"), "dashboard").verify().await.unwrap();
    let own = "GRANT dashboard_app, dashboard_system TO bad";
    let cases = [
        ("SUPERUSER", "", "is a superuser"),
        ("BYPASSRLS", "", "bypasses row security"),
        ("CREATEROLE", "", "may create roles"),
        ("CREATEDB", "", "may create databases"),
        ("REPLICATION", "", "may replicate"),
        ("", "GRANT aic_app TO bad", "may use the schema aic"),
        ("", "CREATE ROLE go_between; GRANT aic_system TO go_between; GRANT go_between TO bad", "schema aic"),
        ("", "GRANT USAGE ON SCHEMA aic TO bad", "may use the schema aic"),
        ("", "GRANT dashboard_owner TO bad", "owns tables"),
        ("", "CREATE TABLE public.theirs (n int); ALTER TABLE public.theirs OWNER TO bad", "owns tables"),
        ("", "GRANT pg_read_all_data TO bad", "may use the schema aic"),
        ("", "GRANT pg_execute_server_program TO dashboard_system", "is a role of the server's own"),
    ];
    for (attribute, more, why) in cases {
        let mut admin = test.superuser().await;
        execute(&mut admin, &format!("CREATE ROLE bad LOGIN {attribute} PASSWORD 'throwaway'; {own}"))
            .await
            .unwrap();
        execute(&mut admin, more).await.unwrap();
        let error = open(&test.url_as("bad"), "dashboard").verify().await.unwrap_err();
        assert!(matches!(error, StoreError::PrivilegedRole { .. }), "{attribute} {more}: {error:?}");
        assert!(error.to_string().contains(why), "{attribute} {more}: {error}");
        let undo = "DROP OWNED BY bad; DROP ROLE bad; DROP ROLE IF EXISTS go_between;
                    REVOKE pg_execute_server_program FROM dashboard_system";
        execute(&mut admin, undo).await.unwrap();
    }

    // Not only at the start: no query ever runs on such a login.
    let url = test.superuser_url();
    let options = DatabaseOptions {
        acquire_timeout: Duration::from_secs(2),
        ..DatabaseOptions::for_service("dashboard", &url)
    };
    assert!(Database::new(options).unwrap().tenant(UserId::generate()).await.is_err());

    let mut admin = test.superuser().await;
    execute(&mut admin, "ALTER ROLE auralink_aic CREATEDB").await.unwrap();
    let refused = try_migrate(&test, "aic").await.unwrap_err();
    assert!(matches!(refused, StoreError::PrivilegedRole { .. }), "{refused:?}");
    let (owner_url, migrator) = (&test.owner_url(), &migrator("aic").await);
    let same =
        run(&Migration { service: "aic", migrator, owner_url, login_url: owner_url }).await.unwrap_err();
    assert!(same.to_string().contains("migrates"), "{same}");
}
