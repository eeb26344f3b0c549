//! Whether a login is as plain as a service's should be.

use sqlx::postgres::PgConnection;

/// A login that can do more than its service needs, or a role of it that can.
#[derive(Debug, Clone, thiserror::Error, sqlx::FromRow)]
#[error("login {login}: {role} {why}")]
pub(super) struct Privileged {
    pub(super) login: String,
    pub(super) role: String,
    pub(super) why: String,
}

/// The login itself first, then every role it may become, however far away. `$1` is the service's schema.
///
/// A schema that belongs to `<schema>_owner` is a service's; roles called `pg_…` are the server's own (reading all
/// data, running programs), of which a service needs none.
const EXCESS: &str = "
    WITH reach AS (
        SELECT oid, rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles
        WHERE rolname = session_user OR pg_has_role(session_user, oid, 'MEMBER')
    ), judged AS (
        SELECT rolname, CASE
            WHEN rolsuper THEN 'is a superuser'
            WHEN rolbypassrls THEN 'bypasses row security'
            WHEN rolcreaterole THEN 'may create roles'
            WHEN rolcreatedb THEN 'may create databases'
            WHEN rolreplication THEN 'may replicate'
            WHEN starts_with(rolname::text, 'pg_') THEN 'is a role of the server''s own'
            WHEN EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND d.datdba = r.oid)
                THEN 'owns the database'
            WHEN EXISTS (SELECT FROM pg_namespace n WHERE n.nspowner = r.oid)
              OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) THEN 'owns tables'
            ELSE (SELECT 'may use the schema ' || n.nspname FROM pg_namespace n
                  WHERE n.nspname <> $1 AND pg_get_userbyid(n.nspowner) = n.nspname || '_owner'
                    AND has_schema_privilege(r.oid, n.oid, 'USAGE') LIMIT 1)
        END AS why FROM reach r
    )
    SELECT session_user::text AS login, rolname::text AS role, why FROM judged
    WHERE why IS NOT NULL ORDER BY rolname <> session_user, rolname LIMIT 1";

/// What the session's login has too much, if anything.
pub(super) async fn excess(
    connection: &mut PgConnection,
    schema: &str,
) -> Result<Option<Privileged>, sqlx::Error> {
    sqlx::query_as(EXCESS).bind(schema).fetch_optional(connection).await
}
