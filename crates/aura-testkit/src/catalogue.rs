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

/// Grants beyond reading and writing, to others than the service's two roles, or to hand on. From the lists themselves:
/// `information_schema` leaves out what the standard does not know, such as PostgreSQL 17's MAINTAIN.
const LOOSE: &str = "(
        SELECT c.relowner AS owner, acl.*, ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] AS narrow
        FROM pg_class c, aclexplode(c.relacl) acl
        WHERE c.relnamespace = $1::regnamespace AND c.relkind <> 'S'
        UNION ALL
        SELECT c.relowner, acl.*, ARRAY['SELECT', 'INSERT', 'UPDATE']
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) acl
        WHERE c.relnamespace = $1::regnamespace
        UNION ALL
        SELECT n.nspowner, acl.*, ARRAY['USAGE'] FROM pg_namespace n, aclexplode(n.nspacl) acl WHERE n.nspname = $1
    ) grants
    WHERE grantee <> owner AND (privilege_type <> ALL (narrow) OR is_grantable OR grantee = 0
        OR pg_get_userbyid(grantee) NOT IN ($1 || '_app', $1 || '_system'))";

/// Members of the service's roles besides its login and whoever migrates.
const MEMBERS: &str = "pg_auth_members a JOIN pg_roles m ON m.oid = a.member
    WHERE pg_get_userbyid(a.roleid) IN ($1 || '_owner', $1 || '_app', $1 || '_system')
      AND NOT (m.rolname = 'auralink_' || $1 AND pg_get_userbyid(a.roleid) <> $1 || '_owner')
      AND NOT m.rolsuper AND NOT m.rolcreaterole";

/// Checks the schema `service`: every table forces row-level security and belongs to an owner nobody logs in as;
/// every policy says what may be read and what may be written, for the service's two roles alone; nobody may
/// truncate; none of the roles is above the rules, and only the service's login may become them; and there is no view,
/// which would need `security_invoker`.
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
    assert_eq!(count(db, LOOSE).await, 0, "grants are narrow");
    let above = "pg_roles WHERE starts_with(rolname, $1 || '_')
         AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin)";
    assert_eq!(count(db, above).await, 0, "no role is above the rules");
    assert_eq!(count(db, "pg_roles WHERE starts_with(rolname, $1 || '_')").await, 3, "owner, app and system");
    assert_eq!(count(db, MEMBERS).await, 0, "the service's login alone may become its app and system role");
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
