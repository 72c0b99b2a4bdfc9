//! [`Record`]: a row of either engine, what its columns mean, and how a [`Statement`] is run for
//! records.

use std::net::IpAddr;

use super::{engine::Engine, failure::failed, statement::Statement};
use crate::{
    clock::Timestamp,
    session::{AuthMethods, EndReason, Ended, Session, SessionId, TokenId},
    store::StoreError,
    user::{User, UserId},
};

/// A row that a statement returned.
pub(super) struct Record<E: Engine>(E::Row);

impl Statement<'_> {
    /// Runs the statement, and returns all records.
    pub(super) async fn fetch<E: Engine>(self, connection: &mut E::Connection) -> Result<Vec<Record<E>>, StoreError> {
        let answer = E::run(connection, self).await.map_err(failed)?;
        Ok(answer.rows.into_iter().map(Record).collect())
    }

    /// Runs the statement, and returns the first record. The other rows are read too, because
    /// SQLite reports only after the last row whether a change was committed.
    pub(super) async fn first<E: Engine>(
        self,
        connection: &mut E::Connection,
    ) -> Result<Option<Record<E>>, StoreError> {
        self.first_or::<E>(connection, failed).await
    }

    /// As [`first`](Self::first), with a meaning of the driver's error.
    pub(super) async fn first_or<E: Engine>(
        self,
        connection: &mut E::Connection,
        meaning: fn(sqlx::Error) -> StoreError,
    ) -> Result<Option<Record<E>>, StoreError> {
        let answer = E::run(connection, self).await.map_err(meaning)?;
        Ok(answer.rows.into_iter().next().map(Record))
    }

    /// Runs the statement, and returns the number of rows that it changed.
    pub(super) async fn changes<E: Engine>(self, connection: &mut E::Connection) -> Result<u64, StoreError> {
        E::run(connection, self).await.map(|answer| answer.changes).map_err(failed)
    }
}

impl<E: Engine> Record<E> {
    /// Reads an integer that may be `NULL`.
    pub(super) fn number_or_null(&self, column: &str) -> Result<Option<i64>, StoreError> {
        E::number(&self.0, column).map_err(failed)
    }

    pub(super) fn number(&self, column: &str) -> Result<i64, StoreError> {
        present(E::number(&self.0, column), column)
    }

    /// Reads a number that is never negative. A negative one is not of this crate.
    pub(super) fn count(&self, column: &str) -> Result<u64, StoreError> {
        count(self.number(column)?)
    }

    pub(super) fn moment(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.number(column).map(Timestamp::from_millis)
    }

    pub(super) fn text(&self, column: &str) -> Result<Option<String>, StoreError> {
        E::text(&self.0, column).map_err(failed)
    }

    pub(super) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        present(E::bytes(&self.0, column), column)
    }

    fn bytes_or_null(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        E::bytes(&self.0, column).map_err(failed)
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        present(E::flag(&self.0, column), column)
    }

    /// Reads a user from the columns of a user.
    pub(super) fn user(&self) -> Result<User, StoreError> {
        let roles = self.text("roles")?.unwrap_or_default();
        Ok(User {
            id: UserId::from(self.number("id")?),
            email: self.text("email")?.unwrap_or_default(),
            username: self.text("username")?,
            name: self.text("name")?,
            avatar_url: self.text("avatar_url")?,
            // Without the message of the parser, which repeats what it read.
            roles: serde_json::from_str(&roles)
                .map_err(|_| StoreError::internal("the roles of a user are not a JSON array"))?,
            password_hash: self.text("password_hash")?,
            token_version: self.count("token_version")?,
            disabled: self.flag("disabled")?,
            created_at: self.moment("created_at")?,
        })
    }

    /// Reads a session from the columns of a session.
    pub(super) fn session(&self) -> Result<Session, StoreError> {
        let ended = match self.number_or_null("ended_at")? {
            None => None,
            Some(at) => Some(Ended {
                at: Timestamp::from_millis(at),
                reason: reason(&self.text("ended_reason")?.unwrap_or_default())?,
                keep_until: self.moment("ended_keep_until")?,
            }),
        };
        Ok(Session {
            id: session_id(&self.bytes("id")?)?,
            user_id: user_id(self.bytes("user_id")?)?,
            token_version: self.count("token_version")?,
            generation: self.count("generation")?,
            token_id: token_id(&self.bytes("token_id")?)?,
            previous_token_id: self.bytes_or_null("previous_token_id")?.map(|id| token_id(&id)).transpose()?,
            auth_time: self.moment("auth_time")?,
            amr: AuthMethods::from_names(self.text("amr")?.unwrap_or_default().split(' ')),
            // A level that only a later release knows counts as the lowest.
            acr: self.text("acr")?.and_then(|level| level.parse().ok()).unwrap_or_default(),
            restamped_generation: self.number_or_null("restamped_generation")?.map(count).transpose()?,
            created_at: self.moment("created_at")?,
            rotated_at: self.moment("rotated_at")?,
            expires_at: self.moment("expires_at")?,
            absolute_expires_at: self.moment("absolute_expires_at")?,
            ended,
            user_agent: self.text("user_agent")?.map(Into::into),
            ip: self.text("ip")?.and_then(|ip| ip.parse::<IpAddr>().ok()),
        })
    }
}

/// Refuses a `NULL` in a column that must have a value.
fn present<T>(value: Result<Option<T>, sqlx::Error>, column: &str) -> Result<T, StoreError> {
    value.map_err(failed)?.ok_or_else(|| {
        let source = Box::new(sqlx::error::UnexpectedNullError);
        failed(sqlx::Error::ColumnDecode { index: column.to_owned(), source })
    })
}

/// Converts an engine's number, which is signed. A negative number is not of this crate.
pub(super) fn count(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(StoreError::internal)
}

/// Converts a number to what the engines store.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(StoreError::internal)
}

pub(super) fn session_id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    bytes.try_into().map(SessionId::from_bytes).map_err(StoreError::internal)
}

pub(super) fn user_id(bytes: Vec<u8>) -> Result<UserId, StoreError> {
    String::from_utf8(bytes).map(UserId::from).map_err(StoreError::internal)
}

fn token_id(bytes: &[u8]) -> Result<TokenId, StoreError> {
    bytes.try_into().map(TokenId::from_bytes).map_err(StoreError::internal)
}

fn reason(text: &str) -> Result<EndReason, StoreError> {
    text.parse().map_err(|_| StoreError::internal("a session ended for an unknown reason"))
}

/// Replaces NUL, which a text in PostgreSQL cannot have. The endpoints refuse it earlier.
pub(super) fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}
