//! Users in SQL: [`UserStore`] and [`UserAdmin`].

use async_trait::async_trait;

use super::{
    connection::on_connection,
    engine::Engine,
    failure::failed,
    record::{Record, without_nul},
    statement::Statement,
    statements as sql,
    store::{SqlStore, again_if_overtaken},
};
use crate::{
    store::{PageLimit, StoreError, UniqueField, UserAdmin, UserPage, UserStore},
    user::{Login, NewUser, PasswordHash, Profile, User, UserId, Username},
};

#[async_trait]
impl<E: Engine> UserStore for SqlStore<E> {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(None) };
        self.find_user(|| Statement::new(sql::USER_BY_ID).bind(id)).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        let (text, key) = match login {
            Login::Email(email) => (sql::USER_BY_EMAIL, email.as_str()),
            Login::Username(username) => (sql::USER_BY_USERNAME, username.as_str()),
        };
        // No text column takes a NUL, so that no user has one.
        if key.contains('\0') {
            return Ok(None);
        }
        self.find_user(|| Statement::new(text).bind(key)).await
    }

    async fn create(&self, new: NewUser<Profile>) -> Result<User, StoreError> {
        let (name, avatar_url) = (new.registration.name, new.registration.avatar_url);
        let (name, avatar_url) = (name.map(without_nul), avatar_url.map(without_nul));
        on_connection!(self, |connection| again_if_overtaken!({
            let statement = Statement::new(sql::ADD_USER)
                .bind(new.email.as_str())
                .bind(new.email.key())
                .bind(new.username.as_ref().map(Username::as_str))
                .bind(new.username.as_ref().map(Username::key))
                .bind(name.as_deref())
                .bind(avatar_url.as_deref())
                .bind(new.password_hash.as_ref().map(PasswordHash::as_str))
                .bind(new.created_at.as_millis());
            let added = statement.first_or::<E>(connection, not_added).await;
            added.and_then(|record| record.ok_or_else(|| StoreError::internal("no row was added"))?.user())
        }))
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let Some(id) = id.to_key::<i64>().filter(|_| !expected.contains('\0')) else { return Ok(false) };
        self.change_user(|| Statement::new(sql::REPLACE_HASH).bind(id).bind(expected).bind(new.as_str())).await
    }

    async fn set_password(
        &self,
        id: &UserId,
        expected: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        let is_text = !expected.is_some_and(|hash| hash.contains('\0'));
        let Some(id) = id.to_key::<i64>().filter(|_| is_text) else { return Ok(None) };
        self.raise_version(|| Statement::new(sql::SET_PASSWORD).bind(id).bind(expected).bind(new.as_str())).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(None) };
        self.raise_version(|| Statement::new(sql::BUMP_VERSION).bind(id)).await
    }
}

#[async_trait]
impl<E: Engine> UserAdmin for SqlStore<E> {
    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(false) };
        let roles = serde_json::to_string(roles).map_err(StoreError::internal)?;
        self.change_user(|| Statement::new(sql::SET_ROLES).bind(id).bind(roles.as_str())).await
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(false) };
        self.change_user(|| Statement::new(sql::SET_DISABLED).bind(id).bind(disabled)).await
    }

    async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let Some(id) = id.to_key::<i64>() else { return Ok(false) };
        self.change_user(|| Statement::new(sql::REMOVE_USER).bind(id)).await
    }

    async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<User>, StoreError> {
        let Some(after) = after.map_or(Some(i64::MIN), UserId::to_key) else {
            return Ok(UserPage::new(Vec::new(), limit));
        };
        // One more than the page has, which says whether there is a next page.
        let count = i64::try_from(limit.get() + 1).map_err(StoreError::internal)?;
        on_connection!(self, |connection| again_if_overtaken!({
            let found = Statement::new(sql::USERS_AFTER).bind(after).bind(count).fetch::<E>(connection).await;
            found.and_then(|records| {
                let users = records.iter().map(Record::user).collect::<Result<_, _>>()?;
                Ok(UserPage::new(users, limit))
            })
        }))
    }
}

impl<E: Engine> SqlStore<E> {
    async fn find_user<'a>(
        &self,
        statement: impl Fn() -> Statement<'a> + Send + Sync,
    ) -> Result<Option<User>, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!({
            let found = statement().first::<E>(connection).await;
            found.and_then(|record| record.map(|record| record.user()).transpose())
        }))
    }

    /// Runs a statement that changes one user. Returns whether there was one to change.
    async fn change_user<'a>(&self, statement: impl Fn() -> Statement<'a> + Send + Sync) -> Result<bool, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!({
            statement().changes::<E>(connection).await.map(|changes| changes > 0)
        }))
    }

    /// Runs a statement that raises the version of one user. Returns the new version.
    async fn raise_version<'a>(
        &self,
        statement: impl Fn() -> Statement<'a> + Send + Sync,
    ) -> Result<Option<u64>, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!({
            let raised = statement().first::<E>(connection).await;
            raised.and_then(|record| record.map(|record| record.count("token_version")).transpose())
        }))
    }
}

/// Says which unique column refused a new user.
fn not_added(error: sqlx::Error) -> StoreError {
    let Some(database) = error.as_database_error().filter(|error| error.is_unique_violation()) else {
        return failed(error);
    };
    let which = format!("{} {}", database.constraint().unwrap_or_default(), database.message());
    if which.contains("username_key") {
        StoreError::duplicate(UniqueField::Username)
    } else if which.contains("email_key") {
        StoreError::duplicate(UniqueField::Email)
    } else {
        failed(error)
    }
}
