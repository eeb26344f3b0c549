//! Transactions that know on whose behalf they run, so that one cannot be passed where the other is meant.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use sqlx::postgres::PgConnection;
use sqlx::{Postgres, Transaction};

use crate::StoreError;

/// On behalf of a user.
#[derive(Debug, Clone, Copy)]
pub struct Tenant;

/// On behalf of the system.
#[derive(Debug, Clone, Copy)]
pub struct System;

/// A transaction of a user.
pub type TenantTx = Tx<Tenant>;

/// A transaction of the system.
pub type SystemTx = Tx<System>;

/// A transaction; dereferences to the connection: `query.execute(&mut *tx)`. Dropped without
/// [`Tx::commit`], it is rolled back.
pub struct Tx<Role> {
    inner: Transaction<'static, Postgres>,
    role: PhantomData<Role>,
}

impl<Role> Tx<Role> {
    pub(super) fn new(inner: Transaction<'static, Postgres>) -> Self {
        Self { inner, role: PhantomData }
    }

    /// Makes the changes permanent. Acknowledge a write only after this returned `Ok`.
    ///
    /// # Errors
    /// When the outcome is not certain to be a commit.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }

    /// Undoes the changes at once rather than when the connection is next used.
    ///
    /// # Errors
    /// When the connection is gone; the changes are undone then too.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.inner.rollback().await?)
    }
}

impl<Role> Deref for Tx<Role> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl<Role> DerefMut for Tx<Role> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

impl<Role> fmt::Debug for Tx<Role> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}
