//! The statements over sessions, each as a function that runs on a connection or in a transaction.

use super::{
    engine::Engine,
    record::{Record, session_id, signed, without_nul},
    statement::Statement,
    statements as sql,
    store::SqlStore,
};
use crate::{
    clock::Timestamp,
    session::{
        EndReason, Ended, MAX_ENDED_SESSIONS_OF_A_USER, RotateOutcome, Rotation, Session, SessionId, TokenId, decide,
    },
    store::{EndAll, Keep, StoreError},
    user::UserId,
};

impl<E: Engine> SqlStore<E> {
    pub(super) async fn find_session(
        connection: &mut E::Connection,
        user: &UserId,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let statement =
            Statement::new(sql::FIND).bind(user.as_str().as_bytes()).bind(id.as_bytes()).bind(now.as_millis());
        statement.first::<E>(connection).await?.map(|record| record.session()).transpose()
    }

    /// Lists the live sessions of a user, the one that was used longest ago first.
    pub(super) async fn list_sessions(
        connection: &mut E::Connection,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let user = user.as_str().as_bytes();
        let statement = Statement::new(sql::LIST).bind(user).bind(user).bind(now.as_millis());
        statement.fetch::<E>(connection).await?.iter().map(Record::session).collect()
    }

    pub(super) async fn insert_session(connection: &mut E::Connection, session: &Session) -> Result<(), StoreError> {
        let user_agent = session.user_agent.as_deref().map(|text| without_nul(text.to_owned()));
        let (ip, amr) = (session.ip.map(|ip| ip.to_string()), session.amr.to_string());
        let statement = Statement::new(sql::INSERT)
            .bind(session.user_id.as_str().as_bytes())
            .bind(session.id.as_bytes())
            .bind(signed(session.token_version)?)
            .bind(signed(session.generation)?)
            .bind(session.token_id.as_bytes())
            .bind(session.previous_token_id.as_ref().map(TokenId::as_bytes))
            .bind(session.auth_time.as_millis())
            .bind(session.created_at.as_millis())
            .bind(session.rotated_at.as_millis())
            .bind(session.expires_at.as_millis())
            .bind(session.absolute_expires_at.as_millis())
            .bind(user_agent.as_deref())
            .bind(ip.as_deref())
            .bind(session.delete_at().as_millis())
            .bind(session.ended.map(|ended| ended.at.as_millis()))
            .bind(session.ended.map(|ended| ended.reason.as_str()))
            .bind(session.ended.map(|ended| ended.keep_until.as_millis()))
            .bind(session.restamped_generation.map(signed).transpose()?)
            .bind(amr.as_str())
            .bind(session.acr.as_str());
        statement.changes::<E>(connection).await.map(drop)
    }

    /// Ends a session. Returns whether it was live, or has this very end.
    pub(super) async fn end_session(
        connection: &mut E::Connection,
        user: &UserId,
        id: &SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(sql::END)
            .bind(user.as_str().as_bytes())
            .bind(id.as_bytes())
            .bind(ended.at.as_millis())
            .bind(ended.reason.as_str())
            .bind(ended.keep_until.as_millis());
        Ok(statement.changes::<E>(connection).await? > 0)
    }

    /// Ends the user's sessions of lower versions. Returns their ids.
    pub(super) async fn end_versions(
        connection: &mut E::Connection,
        user: &UserId,
        min_version: u64,
        ended: Ended,
    ) -> Result<Vec<SessionId>, StoreError> {
        let statement = Statement::new(sql::END_VERSIONS)
            .bind(user.as_str().as_bytes())
            .bind(signed(min_version)?)
            .bind(ended.at.as_millis())
            .bind(ended.reason.as_str())
            .bind(ended.keep_until.as_millis());
        let ended = statement.fetch::<E>(connection).await?;
        ended.iter().map(|record| session_id(&record.bytes("id")?)).collect()
    }

    /// Reads the least token version of the user that counts, where one was raised.
    pub(super) async fn min_version(
        connection: &mut E::Connection,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let statement = Statement::new(sql::FLOOR).bind(user.as_str().as_bytes()).bind(now.as_millis());
        statement.first::<E>(connection).await?.map(|record| record.number("min_version")).transpose()
    }

    /// Raises the least token version of the user that counts.
    pub(super) async fn raise_min_version(connection: &mut E::Connection, all: &EndAll) -> Result<(), StoreError> {
        let statement = Statement::new(sql::RAISE_FLOOR)
            .bind(all.user_id.as_str().as_bytes())
            .bind(signed(all.min_version)?)
            .bind(all.ended.at.as_millis())
            .bind(all.ended.keep_until.as_millis());
        statement.changes::<E>(connection).await.map(drop)
    }

    /// Moves the session that is kept to the new token version.
    pub(super) async fn restamp(
        connection: &mut E::Connection,
        all: &EndAll,
        keep: &Keep,
    ) -> Result<Option<Session>, StoreError> {
        let statement = Statement::new(sql::RESTAMP)
            .bind(all.user_id.as_str().as_bytes())
            .bind(keep.session_id.as_bytes())
            .bind(keep.now.as_millis())
            .bind(keep.next_token_id.as_bytes())
            .bind(keep.now.plus(keep.idle).as_millis())
            .bind(signed(all.min_version)?);
        statement.first::<E>(connection).await?.map(|record| record.session()).transpose()
    }

    /// Rotates a session. Returns `None` where the record was changed between its reading and its
    /// writing.
    pub(super) async fn rotate_once(
        connection: &mut E::Connection,
        rotation: &Rotation,
    ) -> Result<Option<RotateOutcome>, StoreError> {
        if let Some(session) = Self::advance(connection, rotation).await? {
            return Ok(Some(RotateOutcome::Rotated(session)));
        }
        let read = Self::find_session(connection, &rotation.user_id, &rotation.session_id, rotation.now).await?;
        let decision = decide(read.as_ref(), rotation);
        let (Some(read), Some(write)) = (read, decision.write) else { return Ok(Some(decision.outcome)) };
        // Where `decide` now moves the session on, the record was changed since the statement
        // above. No end is written then, and the rotation is tried again.
        Ok(Self::end_as_read(connection, &read, &write).await?.then_some(decision.outcome))
    }

    /// Moves the session on, which is all that a rotation usually does.
    async fn advance(connection: &mut E::Connection, rotation: &Rotation) -> Result<Option<Session>, StoreError> {
        let statement = Statement::new(sql::ROTATE)
            .bind(rotation.user_id.as_str().as_bytes())
            .bind(rotation.session_id.as_bytes())
            .bind(rotation.now.as_millis())
            .bind(rotation.next_token_id.as_bytes())
            .bind(rotation.now.plus(rotation.idle).as_millis())
            .bind(signed(rotation.token_version)?)
            .bind(i64::try_from(rotation.generation).unwrap_or(i64::MAX))
            .bind(rotation.token_id.as_bytes());
        statement.first::<E>(connection).await?.map(|record| record.session()).transpose()
    }

    /// Writes an end where the record is still as it was read.
    async fn end_as_read(connection: &mut E::Connection, read: &Session, ended: &Session) -> Result<bool, StoreError> {
        let Some(end) = ended.ended else { return Ok(false) };
        let statement = Statement::new(sql::END_AS_READ)
            .bind(read.user_id.as_str().as_bytes())
            .bind(read.id.as_bytes())
            .bind(end.at.as_millis())
            .bind(end.reason.as_str())
            .bind(end.keep_until.as_millis())
            .bind(ended.delete_at().as_millis())
            .bind(signed(read.token_version)?)
            .bind(signed(read.generation)?)
            .bind(read.token_id.as_bytes());
        let is_written = statement.changes::<E>(connection).await? > 0;
        if is_written && end.reason == EndReason::Reuse {
            Self::forget_reused(connection, &read.user_id).await;
        }
        Ok(is_written)
    }

    /// Keeps only the newest records of sessions that ended for reuse, once their tombstones have
    /// expired. The end has been written before: where this fails, the next end does it.
    async fn forget_reused(connection: &mut E::Connection, user: &UserId) {
        let user = user.as_str().as_bytes();
        let kept = i64::try_from(MAX_ENDED_SESSIONS_OF_A_USER).unwrap_or(i64::MAX);
        let statement = Statement::new(sql::FORGET_REUSED).bind(user).bind(user).bind(kept);
        if let Err(error) = statement.changes::<E>(connection).await {
            tracing::debug!(target: "portcullis", ?error, "old records of reused tokens stay until they expire");
        }
    }
}
