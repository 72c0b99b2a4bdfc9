//! Brings the tables up to date.

use std::time::Duration;

use super::{engine::Engine, failure::failed, statement::Statement, store::SqlStore};
use crate::{store::StoreError, user::UserId};

/// How long a node that changes the tables waits for another node that does, and may be silent
/// meanwhile.
const MIGRATION_PAUSE: Duration = Duration::from_mins(10);

/// The version that makes the keys of logins anew, in their normal forms.
const USER_KEYS: i64 = 3;

impl<E: Engine> SqlStore<E> {
    /// Runs the versions of the tables that are missing, in one transaction.
    ///
    /// It has no timeout, because a change of a large table may take long.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let latest = i64::try_from(E::MIGRATIONS.len()).map_err(StoreError::internal)?;
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        if version::<E>(&mut connection).await?.is_some_and(|version| version >= latest) {
            return Ok(());
        }
        let mut transaction = E::lock(&mut connection, &UserId::from(""), MIGRATION_PAUSE).await?;
        Statement::once(E::CREATE_SCHEMA).changes::<E>(&mut transaction).await?;
        let version = version::<E>(&mut transaction).await?.unwrap_or(0);
        for (statements, number) in E::MIGRATIONS.iter().zip(1_i64..).filter(|(_, number)| *number > version) {
            for statement in *statements {
                Statement::once(statement).changes::<E>(&mut transaction).await?;
            }
            if number == USER_KEYS {
                Self::renew_user_keys(&mut transaction).await?;
            }
            let done = Statement::once("INSERT INTO portcullis_schema (version) VALUES ($1)").bind(number);
            done.changes::<E>(&mut transaction).await?;
        }
        transaction.commit().await.map_err(failed)
    }
}

/// Reads the version of the tables, where there are any.
async fn version<E: Engine>(connection: &mut E::Connection) -> Result<Option<i64>, StoreError> {
    if Statement::new(E::FIND_SCHEMA).first::<E>(connection).await?.is_none() {
        return Ok(None);
    }
    let newest = Statement::new("SELECT COALESCE(MAX(version), 0) AS version FROM portcullis_schema");
    newest.first::<E>(connection).await?.map(|record| record.number("version")).transpose()
}
