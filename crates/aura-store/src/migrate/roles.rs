//! Who may become whom: the migrating login the owner, the service's login the service's two roles, nobody else any
//! of them.
//!
//! From PostgreSQL 16 on a membership has options of its own (ADMIN, INHERIT, SET), whoever creates a role gets ADMIN
//! of it but not SET, and a grant is taken back only in the name of whoever made it. Before, one membership was all,
//! and whoever may create roles may also take any grant back.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use super::login::{Login, sqlstate};
use crate::StoreError;
use crate::retry::Backoff;

/// Roles belong to the whole cluster, so two databases migrated at once may collide; a retry settles it.
const TRIES: u32 = 20;

/// Memberships that nobody should have, with the statement that ends each. Superusers and those who may create roles
/// are left alone: they need no membership, or could have it back.
const FOREIGN: &str = "
    SELECT r.rolname::text AS role, m.rolname::text AS member,
           format('REVOKE %I FROM %I', r.rolname, m.rolname)
           || CASE WHEN current_setting('server_version_num')::int >= 160000
                   THEN format(' GRANTED BY %I', pg_get_userbyid(a.grantor)) ELSE '' END || ' CASCADE' AS sql
    FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
    WHERE r.rolname IN ($1 || '_owner', $1 || '_app', $1 || '_system')
      AND NOT (m.rolname = $2 AND r.rolname <> $1 || '_owner' AND NOT a.admin_option)
      AND m.rolname <> current_user AND NOT m.rolsuper AND NOT m.rolcreaterole";

/// Makes all of that true.
pub(super) async fn settle(
    connection: &mut PgConnection,
    service: &str,
    login: &Login,
) -> Result<(), StoreError> {
    let mut backoff = Backoff::new();
    for tries in 1.. {
        match try_to_settle(connection, service, login).await {
            Err(error) if tries < TRIES && is_collision(&error) => backoff.pause().await,
            result => return result,
        }
    }
    unreachable!("the loop ends by returning")
}

async fn try_to_settle(
    connection: &mut PgConnection,
    service: &str,
    login: &Login,
) -> Result<(), StoreError> {
    for suffix in ["owner", "app", "system"] {
        create(connection, &format!("{service}_{suffix}")).await?;
    }
    login.ensure(connection).await?;
    let has_options: bool = sqlx::query_scalar("SELECT current_setting('server_version_num')::int >= 160000")
        .fetch_one(&mut *connection)
        .await?;
    become_owner(connection, service, has_options).await?;
    expel_others(connection, service, login).await?;
    for suffix in ["app", "system"] {
        admit(connection, &format!("{service}_{suffix}"), login, has_options).await?;
    }
    close_public(connection).await
}

async fn create(connection: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(role)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let sql = format!("CREATE ROLE {role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS");
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// Lets the migrating login act as the owner role (superusers may anyway).
async fn become_owner(
    connection: &mut PgConnection,
    service: &str,
    has_options: bool,
) -> Result<(), StoreError> {
    let (privilege, options) =
        if has_options { ("SET", " WITH INHERIT FALSE, SET TRUE") } else { ("MEMBER", "") };
    let may: bool = sqlx::query_scalar("SELECT pg_has_role(current_user, $1, $2)")
        .bind(format!("{service}_owner"))
        .bind(privilege)
        .fetch_one(&mut *connection)
        .await?;
    if !may {
        let sql = format!("GRANT {service}_owner TO CURRENT_USER{options}");
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// Lets the service's login act as `role`.
async fn admit(
    connection: &mut PgConnection,
    role: &str,
    login: &Login,
    has_options: bool,
) -> Result<(), StoreError> {
    let settable = if has_options { "AND a.set_option" } else { "" };
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_auth_members a WHERE a.roleid = $1::regrole \
         AND pg_get_userbyid(a.member) = $2 {settable})"
    );
    let may: bool = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(role)
        .bind(&login.name)
        .fetch_one(&mut *connection)
        .await?;
    if !may {
        let options = if has_options { " WITH INHERIT FALSE, SET TRUE" } else { "" };
        let sql = format!("GRANT {role} TO {}{options}", login.quoted(connection).await?);
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// Takes the service's roles from everybody else: from the login all services once shared, above all.
async fn expel_others(connection: &mut PgConnection, service: &str, login: &Login) -> Result<(), StoreError> {
    for (role, member, sql) in foreign(connection, service, login).await? {
        match connection.execute(AssertSqlSafe(sql)).await {
            Ok(_) => tracing::warn!(role, member, "a role of this service is taken back from another login"),
            // Somebody above us granted it; said below.
            Err(error) if sqlstate(&error).as_deref() == Some("42501") => {}
            Err(error) => return Err(error.into()),
        }
    }
    match foreign(connection, service, login).await?.pop() {
        Some((role, member, remedy)) => Err(StoreError::ForeignMember { role, member, remedy }),
        None => Ok(()),
    }
}

async fn foreign(
    connection: &mut PgConnection,
    service: &str,
    login: &Login,
) -> Result<Vec<(String, String, String)>, StoreError> {
    Ok(sqlx::query_as(FOREIGN).bind(service).bind(&login.name).fetch_all(connection).await?)
}

/// Nobody makes objects in this database by merely being able to connect. Only the database's owner can take that
/// away; where the migrating login is not that, the server's own defaults remain.
async fn close_public(connection: &mut PgConnection) -> Result<(), StoreError> {
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database())
         WHERE has_database_privilege('public', current_database(), 'CREATE, TEMPORARY')
         UNION ALL
         SELECT 'REVOKE CREATE ON SCHEMA public FROM PUBLIC' FROM pg_namespace
         WHERE nspname = 'public' AND has_schema_privilege('public', oid, 'CREATE')",
    )
    .fetch_all(&mut *connection)
    .await?;
    for sql in open {
        match connection.execute(AssertSqlSafe(sql)).await {
            Err(error) if sqlstate(&error).as_deref() != Some("42501") => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Somebody else created the role, or changed its membership, at the same moment.
fn is_collision(error: &StoreError) -> bool {
    match error {
        StoreError::AlreadyExists { .. } | StoreError::Conflict(_) => true,
        StoreError::Internal(source) => {
            let text = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
            text.is_some_and(|error| {
                let code = error.code().unwrap_or_default();
                code == "42710" || (code == "XX000" && error.message().contains("concurrently"))
            })
        }
        _ => false,
    }
}
