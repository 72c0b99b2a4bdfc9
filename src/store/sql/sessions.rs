//! Sessions in SQL: [`SessionStore`].

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    connection::on_connection,
    engine::Engine,
    failure::failed,
    page::{PAGE, Page},
    record::{Record, count, session_id, signed, user_id},
    statement::Statement,
    statements as sql,
    store::{MAX_ATTEMPTS, SqlStore, again_if_overtaken, is_overtaken},
};
use crate::{
    clock::{Clock, Timestamp},
    session::{EndReason, Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{Created, EndAll, NewSession, SessionLimit, SessionStore, StoreError},
    user::UserId,
};

#[async_trait]
impl<E: Engine> SessionStore for SqlStore<E> {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        let NewSession { mut session, replaces, limit, tombstone, .. } = new;
        let now = session.created_at;
        let end = |reason| Ended { at: now, reason, keep_until: now.plus(tombstone) };
        let created = on_connection!(self, |connection| {
            let mut created = Created::default();
            let mut transaction = E::lock(connection, &session.user_id, self.timeout).await?;
            let min_version = Self::min_version(&mut transaction, &session.user_id, now).await?;
            if min_version.is_some_and(|min| signed(session.token_version).is_ok_and(|version| version < min)) {
                session.end(end(EndReason::TokenVersion));
                created.ended_at_once = true;
            } else {
                let (user, version) = (&session.user_id, session.token_version);
                let ended = end(EndReason::TokenVersion);
                created.outdated = Self::end_versions(&mut transaction, user, version, ended).await?;
            }
            // Where the limit refuses, the transaction is dropped, and this ends nothing.
            if let Some((owner, id)) = &replaces
                && Self::end_session(&mut transaction, owner, id, end(EndReason::LoggedInAgain)).await?
            {
                created.ended.push(*id);
            }
            if session.ended.is_none() {
                let live = Self::list_sessions(&mut transaction, &session.user_id, now).await?;
                let excess = match limit {
                    SessionLimit::Refuse(limit) if live.len() >= limit => {
                        return Err(StoreError::too_many_sessions());
                    }
                    SessionLimit::Refuse(_) => 0,
                    SessionLimit::EndLeastRecentlyUsed(limit) => (live.len() + 1).saturating_sub(limit.max(1)),
                };
                for old in live.iter().take(excess) {
                    Self::end_session(&mut transaction, &old.user_id, &old.id, end(EndReason::Limit)).await?;
                    created.ended.push(old.id);
                }
            }
            Self::insert_session(&mut transaction, &session).await?;
            transaction.commit().await.map_err(failed)?;
            Ok(created)
        })?;
        self.sweep_after_login(now);
        Ok(created)
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!(Self::find_session(connection, user, id, now).await))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        on_connection!(self, |connection| {
            for _ in 0..MAX_ATTEMPTS {
                match Self::rotate_once(connection, rotation).await {
                    Ok(Some(outcome)) => return Ok(outcome),
                    Ok(None) => {}
                    Err(error) if is_overtaken(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(StoreError::unavailable("other calls changed the session again and again"))
        })
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!(Self::end_session(connection, user, id, ended).await))
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        on_connection!(self, |connection| {
            let mut transaction = E::lock(connection, &all.user_id, self.timeout).await?;
            Self::raise_min_version(&mut transaction, all).await?;
            let kept = match &all.keep {
                Some(keep) => Self::restamp(&mut transaction, all, keep).await?,
                None => None,
            };
            Self::end_versions(&mut transaction, &all.user_id, all.min_version, all.ended).await?;
            transaction.commit().await.map_err(failed)?;
            Ok(kept)
        })
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!(Self::list_sessions(connection, user, now).await))
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        let mut ended = Vec::new();
        let mut page = Page::since(since.as_millis());
        // Each page has the whole timeout, so that a node that has much to read comes to its end.
        loop {
            for record in self.ended_page(&page, now).await? {
                let (key, keep_until) = (record.bytes("key")?, record.moment("keep_until")?);
                let min_version = record.number_or_null("min_version")?;
                page.read(record.number("moment")?, &key, min_version.is_some());
                ended.push(match min_version {
                    None => Revocation::Session { id: session_id(&key)?, keep_until },
                    Some(version) => Revocation::User { id: user_id(key)?, min_version: count(version)?, keep_until },
                });
            }
            if !page.turn() {
                return Ok(ended);
            }
        }
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        self.clocks.begin(clock);
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.shared_clock().await
    }
}

impl<E: Engine> SqlStore<E> {
    /// Reads the next page of what has ended.
    async fn ended_page(&self, page: &Page, now: Timestamp) -> Result<Vec<Record<E>>, StoreError> {
        on_connection!(self, |connection| again_if_overtaken!({
            let statement = Statement::new(sql::ENDED_SINCE)
                .bind(page.sessions.moment)
                .bind(page.sessions.key.as_slice())
                .bind(page.users.moment)
                .bind(page.users.key.as_slice())
                .bind(now.as_millis())
                .bind(i64::from(PAGE));
            statement.fetch::<E>(connection).await
        }))
    }
}
