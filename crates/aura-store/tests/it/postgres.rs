//! The tenant transaction.

use std::time::Duration;

use aura_store::{Database, StoreError, TenantTx};
use aura_testkit::{Postgres, eventually};
use aura_types::{Coded as _, ErrorCode, UserId};

use crate::{migrated, open};

async fn write(database: &Database, user: UserId, owner: UserId, id: i32) -> Result<(), StoreError> {
    let mut tx = database.tenant(user).await?;
    insert(&mut tx, owner, id).await?;
    tx.commit().await
}

async fn insert(tx: &mut TenantTx, owner: UserId, id: i32) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO notes (user_id, id, body) VALUES ($1, $2, 'x')")
        .bind(owner.uuid())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn count(database: &Database, user: UserId) -> i64 {
    let mut tx = database.tenant(user).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&mut *tx).await.unwrap()
}

#[tokio::test]
async fn users_see_and_write_their_own_rows_only() {
    let test = migrated(Postgres::shared()).await;
    let database = open(&test.login_url("sample"), 4);
    let (alice, bob) = (UserId::generate(), UserId::generate());
    write(&database, alice, alice, 1).await.unwrap();
    write(&database, bob, bob, 1).await.unwrap();
    write(&database, bob, bob, 2).await.unwrap();
    assert_eq!((count(&database, alice).await, count(&database, bob).await), (1, 2));

    let forged = write(&database, alice, bob, 3).await.unwrap_err();
    assert_eq!(forged.code(), ErrorCode::PermissionDenied);
    assert_eq!(count(&database, bob).await, 2);

    let mut system = database.system().await.unwrap();
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&mut *system).await.unwrap();
    assert_eq!(all, 3);
    let denied: StoreError = sqlx::query("DELETE FROM notes").execute(&mut *system).await.unwrap_err().into();
    assert_eq!(denied.code(), ErrorCode::PermissionDenied, "the system role has the grants it was given");
}

/// One connection, borrowed in turn by transactions that commit, fail, are dropped and are cancelled: none
/// leaves its user behind.
#[tokio::test]
async fn a_pool_of_one_never_mixes_users() {
    let test = migrated(Postgres::shared()).await;
    let database = open(&test.login_url("sample"), 1);
    let users = [UserId::generate(), UserId::generate()];
    for user in users {
        write(&database, user, user, 1).await.unwrap();
    }
    for round in 0..40 {
        let user = users[round % 2];
        match round % 4 {
            0 => drop(database.tenant(user).await.unwrap()),
            1 => {
                let mut tx = database.tenant(user).await.unwrap();
                assert!(insert(&mut tx, users[(round + 1) % 2], 9).await.is_err());
            }
            2 => {
                let mut tx = database.tenant(user).await.unwrap();
                let slow = sqlx::query("SELECT pg_sleep(0.2)").execute(&mut *tx);
                assert!(tokio::time::timeout(Duration::from_millis(5), slow).await.is_err());
            }
            _ => database.tenant(user).await.unwrap().rollback().await.unwrap(),
        }
        for user in users {
            assert_eq!(count(&database, user).await, 1, "round {round}");
        }
        // Outside any user's transaction the setting is empty and the policy shows nothing.
        let nobody = UserId::generate();
        assert_eq!(count(&database, nobody).await, 0, "round {round}");
    }
}

#[tokio::test]
async fn errors_say_what_the_caller_can_do() {
    let test = migrated(Postgres::shared()).await;
    let database = open(&test.login_url("sample"), 2);
    let user = UserId::generate();
    write(&database, user, user, 1).await.unwrap();
    let duplicate = write(&database, user, user, 1).await.unwrap_err();
    assert_eq!(duplicate.code(), ErrorCode::AlreadyExists);
    assert_eq!(duplicate.constraint(), Some("notes_pkey"));
    let bad = write(&database, user, user, -1).await.unwrap_err();
    assert_eq!((bad.code(), bad.constraint()), (ErrorCode::InvalidArgument, Some("notes_id_check")));
    let mut tx = database.tenant(user).await.unwrap();
    let missing = sqlx::query("SELECT 1 FROM notes WHERE id = 99").fetch_one(&mut *tx).await.unwrap_err();
    assert_eq!(StoreError::from(missing).code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn survives_the_death_and_return_of_postgres() {
    let postgres = Postgres::start();
    let test = migrated(&postgres).await;
    let database = open(&test.login_url("sample"), 4);
    let user = UserId::generate();
    write(&database, user, user, 1).await.unwrap();

    postgres.kill9().await;
    let away = write(&database, user, user, 2).await.unwrap_err();
    assert_eq!(away.code(), ErrorCode::Unavailable, "{away:?}");
    assert!(database.ping().await.is_err());
    assert!(matches!(database.verify().await, Err(StoreError::Unavailable(_))));

    postgres.restart().await;
    eventually(Duration::from_secs(5), || async { database.ping().await.is_ok() }).await;
    write(&database, user, user, 3).await.unwrap();
    assert_eq!(count(&database, user).await, 2, "what was acknowledged before the crash is there");
}
