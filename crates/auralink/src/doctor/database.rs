//! The PostgreSQL named in the environment: whether `up` and `migrate` can work with it.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::{Check, Finding};

const LIMIT: Duration = Duration::from_secs(5);
const OLDEST: i32 = 150_000;

/// Nothing to check when the stack is to have its own.
pub(super) async fn check() -> Option<Check> {
    let named =
        |name: &'static str| std::env::var(name).ok().filter(|url| !url.is_empty()).map(|url| (name, url));
    let (name, url) = named("DATABASE_OWNER_URL").or_else(|| named("DATABASE_URL"))?;
    let finding = match timeout(LIMIT, ask(&url)).await {
        Ok(Ok(answer)) => judge(&answer),
        Ok(Err(error)) => unreachable(&error.to_string(), name),
        Err(_) => unreachable("no answer", name),
    };
    Some(Check { name: "database".to_owned(), finding })
}

fn unreachable(what: &str, name: &str) -> Finding {
    Finding::Missing {
        what: what.to_owned(),
        fix: format!("check {name}, or unset it for a private PostgreSQL"),
    }
}

#[derive(sqlx::FromRow)]
struct Answer {
    version: i32,
    role: String,
    database: String,
    may_create_roles: bool,
    may_create_schemas: bool,
}

async fn ask(url: &str) -> Result<Answer, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let answer = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int AS version, quote_ident(rolname) AS role,
                quote_ident(current_database()) AS database, rolsuper OR rolcreaterole AS may_create_roles,
                has_database_privilege(current_database(), 'CREATE') AS may_create_schemas
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut connection)
    .await?;
    let _ = connection.close().await;
    Ok(answer)
}

fn judge(answer: &Answer) -> Finding {
    let Answer { version, role, database, .. } = answer;
    let (major, mut fixes) = (version / 10_000, Vec::new());
    if !answer.may_create_roles {
        fixes.push(format!("ALTER ROLE {role} CREATEROLE"));
    }
    if !answer.may_create_schemas {
        fixes.push(format!("GRANT CREATE ON DATABASE {database} TO {role}"));
    }
    if *version < OLDEST {
        let what = format!("PostgreSQL {major}");
        Finding::Missing { what, fix: "PostgreSQL 15 or newer is needed".to_owned() }
    } else if fixes.is_empty() {
        Finding::Ok(format!("PostgreSQL {major}; {role} makes the services' logins and schemas there"))
    } else {
        let what = format!("{role} cannot make the services' logins and schemas");
        Finding::Missing { what, fix: format!("as superuser: {}", fixes.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: i32, may_create_roles: bool, may_create_schemas: bool) -> String {
        let (role, database) = ("owner".to_owned(), "auralink".to_owned());
        match judge(&Answer { version, role, database, may_create_roles, may_create_schemas }) {
            Finding::Ok(what) => what,
            Finding::Missing { fix, .. } | Finding::Warn { fix, .. } => fix,
        }
    }

    #[test]
    fn what_is_missing_is_said_as_the_statement_that_gives_it() {
        assert!(found(170_010, true, true).starts_with("PostgreSQL 17"));
        assert!(found(140_000, true, true).contains("15 or newer"));
        assert_eq!(
            found(160_000, false, false),
            "as superuser: ALTER ROLE owner CREATEROLE; GRANT CREATE ON DATABASE auralink TO owner"
        );
    }
}
