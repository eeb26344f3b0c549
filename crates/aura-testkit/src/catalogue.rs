//! What a service's schema promises, read from the database's catalogue.

use sqlx::{PgConnection, Row as _};

/// How much there is of what was checked.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Tables and partitions, without the migrations' own.
    pub tables: usize,
    /// Row policies.
    pub policies: usize,
}

/// Checks the schema `service`: every table forces row-level security and belongs to an owner nobody logs in as;
/// every policy says what may be read and what may be written, for the service's two roles alone; nobody may
/// truncate; none of the roles is above the rules; and there is no view, which would need `security_invoker`.
///
/// # Panics
/// Naming what is not so.
pub async fn keeps_its_promises(db: &mut PgConnection, service: &str) -> Found {
    let tables = tables_force_row_security(db, service).await;
    let policies = policies_are_complete(db, service).await;
    let count = async |db: &mut PgConnection, of: &str| -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {of}"));
        sqlx::query_scalar(sql).bind(service).fetch_one(db).await.expect("the catalogue can be read")
    };
    let loose = "information_schema.role_table_grants
         WHERE table_schema = $1 AND grantee <> $1 || '_owner'
           AND (privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') OR grantee = 'PUBLIC')";
    assert_eq!(count(db, loose).await, 0, "grants are narrow");
    let above = "pg_roles WHERE starts_with(rolname, $1 || '_')
         AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin)";
    assert_eq!(count(db, above).await, 0, "no role is above the rules");
    assert_eq!(count(db, "pg_roles WHERE starts_with(rolname, $1 || '_')").await, 3, "owner, app and system");
    assert_eq!(count(db, "pg_views WHERE schemaname = $1").await, 0, "no views");
    Found { tables, policies }
}

async fn tables_force_row_security(db: &mut PgConnection, service: &str) -> usize {
    let tables = sqlx::query(
        "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity, r.rolname::text
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname <> '_sqlx_migrations'",
    )
    .bind(service)
    .fetch_all(db)
    .await
    .expect("the catalogue can be read");
    assert!(!tables.is_empty(), "{service} has tables");
    for table in &tables {
        let name: &str = table.get(0);
        assert!(table.get::<bool, _>(1), "{name} does not force row-level security");
        assert_eq!(table.get::<&str, _>(2), format!("{service}_owner"), "{name}");
    }
    tables.len()
}

async fn policies_are_complete(db: &mut PgConnection, service: &str) -> usize {
    let policies = sqlx::query(
        "SELECT tablename::text || '.' || policyname::text, cmd, qual IS NOT NULL, with_check IS NOT NULL, roles::text[]
         FROM pg_policies WHERE schemaname = $1",
    )
    .bind(service)
    .fetch_all(db)
    .await
    .expect("the catalogue can be read");
    assert!(!policies.is_empty(), "{service} has policies");
    for policy in &policies {
        let name: &str = policy.get(0);
        let (using, check): (bool, bool) = (policy.get(2), policy.get(3));
        match policy.get::<&str, _>(1) {
            "ALL" | "UPDATE" => assert!(using && check, "{name}"),
            "INSERT" => assert!(check, "{name}"),
            _ => assert!(using, "{name}"),
        }
        let roles: Vec<String> = policy.get(4);
        let ours = |role: &String| *role == format!("{service}_app") || *role == format!("{service}_system");
        assert!(roles.iter().all(ours), "{name}: {roles:?}");
    }
    policies.len()
}
