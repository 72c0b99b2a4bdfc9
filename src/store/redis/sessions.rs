//! [`SessionStore`] for Redis: each method is one script or one command.

use std::sync::Arc;

use ::redis::{Value, from_redis_value};
use async_trait::async_trait;

use super::{codec, connection::failed, scripts, store::RedisSessions};
use crate::{
    clock::{Clock, Timestamp},
    session::{EndReason, Ended, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{Created, EndAll, NewSession, SessionLimit, SessionStore, StoreError, unreadable::warn_of_unreadable},
    user::UserId,
};

/// The field of the lowest valid token version, in the hash of a user's sessions.
const MIN_VERSION: &[u8] = b"floor";

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

impl RedisSessions {
    /// Runs a script on the user's keys at the moment of `ended`.
    async fn write(
        &self,
        script: &scripts::Script,
        user: &UserId,
        ended: Ended,
        arguments: &[&[u8]],
    ) -> Result<Value, StoreError> {
        let (now, keep_until) = (codec::moment(ended.at), codec::moment(ended.keep_until));
        let mut all: Vec<&[u8]> = vec![now.as_bytes(), keep_until.as_bytes()];
        all.extend(arguments);
        self.link.write(script, &[&self.keys.user(user), &self.keys.endings(user)], &all).await
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        let NewSession { session, replaces, limit, tombstone } = new;
        let now = session.created_at;
        let ended = Ended { at: now, reason: EndReason::LoggedInAgain, keep_until: now.plus(tombstone) };
        let (kind, limit) = match limit {
            SessionLimit::Refuse(limit) => ("refuse", limit),
            SessionLimit::EndLeastRecentlyUsed(limit) => ("end", limit),
        };
        let own = replaces.as_ref().filter(|(owner, _)| *owner == session.user_id);
        let replaced = own.map(|(_, id)| id.encode()).unwrap_or_default();
        let (id, limit) = (session.id.encode(), limit.to_string());
        let record = codec::live(&session);
        let arguments = [id.as_bytes(), &record, replaced.as_bytes(), kind.as_bytes(), limit.as_bytes()];
        let answer = self.write(&scripts::CREATE, &session.user_id, ended, &arguments).await?;
        let answer: Vec<Vec<u8>> = from_redis_value(answer).map_err(failed)?;
        let mut created = Created::default();
        let gone = match answer.split_first() {
            Some((word, gone)) if word == b"created" || word == b"ended" => {
                created.ended_at_once = word == b"ended";
                gone
            }
            Some((word, _)) if word == b"refused" => return Err(StoreError::too_many_sessions()),
            _ => return Err(strange()),
        };
        for gone in gone {
            match gone.split_first() {
                Some((b'v', id)) => created.outdated.push(codec::session_id(id)?),
                Some((b'e', id)) => created.ended.push(codec::session_id(id)?),
                _ => return Err(strange()),
            }
        }
        if let Some((owner, id)) = replaces.filter(|(owner, _)| *owner != session.user_id)
            && self.end(&owner, &id, ended).await?
        {
            created.ended.push(id);
        }
        Ok(created)
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let mut get = ::redis::cmd("HGET");
        get.arg(self.keys.user(user)).arg(id.encode());
        let record: Option<Vec<u8>> = from_redis_value(self.link.read(get).await?).map_err(failed)?;
        let found = record.map(|record| codec::read(user, *id, &record)).transpose()?;
        Ok(found.filter(|session| now < session.delete_at()))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        let Rotation { user_id, session_id, now, .. } = rotation;
        let ended = Ended { at: *now, reason: EndReason::Reuse, keep_until: now.plus(rotation.tombstone) };
        let grace_from =
            if rotation.grace.is_zero() { String::new() } else { codec::moment(now.minus(rotation.grace)) };
        let arguments = [
            session_id.encode(),
            codec::count(rotation.generation),
            rotation.token_id.encode(),
            codec::count(rotation.token_version),
            codec::count(rotation.generation.saturating_add(1)),
            rotation.next_token_id.encode(),
            codec::moment(now.plus(rotation.idle)),
            grace_from,
        ];
        let arguments = arguments.each_ref().map(String::as_bytes);
        let answer = self.write(&scripts::ROTATE, user_id, ended, &arguments).await?;
        let answer: Vec<Vec<u8>> = from_redis_value(answer).map_err(failed)?;
        let session = |record| codec::read(user_id, *session_id, record);
        match answer.iter().map(Vec::as_slice).collect::<Vec<_>>().as_slice() {
            [b"unknown"] => Ok(RotateOutcome::Unknown),
            [b"ended", record] => codec::reason(record).map(RotateOutcome::Ended),
            [b"rotated", record] => session(record).map(RotateOutcome::Rotated),
            [b"replayed", record] => session(record).map(RotateOutcome::Replayed),
            [b"reused"] => Ok(RotateOutcome::Reused),
            [b"superseded"] => Ok(RotateOutcome::Superseded),
            [b"foreign"] => Ok(RotateOutcome::Foreign),
            [b"stale"] => Ok(RotateOutcome::StaleUser),
            _ => Err(strange()),
        }
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        let id = id.encode();
        let arguments = [id.as_bytes(), ended.reason.as_str().as_bytes()];
        let answer = self.write(&scripts::END, user, ended, &arguments).await?;
        from_redis_value(answer).map_err(failed)
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        let EndAll { user_id, min_version, keep, ended } = all;
        let version = codec::count(*min_version);
        let (kept, token, now, expiry) = keep.as_ref().map_or_else(Default::default, |keep| {
            let expiry = codec::moment(keep.now.plus(keep.idle));
            (keep.session_id.encode(), keep.next_token_id.encode(), codec::moment(keep.now), expiry)
        });
        let texts = [user_id.as_str(), &version, ended.reason.as_str(), &kept, &token, &now, &expiry];
        let answer = self.write(&scripts::END_ALL, user_id, *ended, &texts.map(str::as_bytes)).await?;
        let record: Option<Vec<u8>> = from_redis_value(answer).map_err(failed)?;
        let kept = record.zip(keep.as_ref());
        kept.map(|(record, keep)| codec::read(user_id, keep.session_id, &record)).transpose()
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let mut get = ::redis::cmd("HGETALL");
        get.arg(self.keys.user(user));
        let fields: Fields = from_redis_value(self.link.read(get).await?).map_err(failed)?;
        let (mut least, mut sessions) = (0, Vec::with_capacity(fields.len()));
        for (field, record) in fields {
            if field == MIN_VERSION {
                least = codec::min_version(&record)?;
            } else {
                sessions.push(codec::read(user, codec::session_id(&field)?, &record)?);
            }
        }
        sessions.retain(|session| session.is_live(now) && session.token_version >= least);
        Ok(sessions)
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        let mut all = ::redis::pipe();
        for endings in self.keys.all_endings() {
            all.cmd("ZRANGEBYSCORE").arg(endings).arg(codec::moment(since)).arg("+inf");
        }
        let (mut listed, mut unreadable) = (Vec::new(), 0_u32);
        for members in self.link.read_all(&all).await? {
            let members: Vec<Vec<u8>> = from_redis_value(members).map_err(failed)?;
            for member in members {
                let Ok(revocation) = codec::read_revocation(&member) else {
                    unreadable = unreadable.saturating_add(1);
                    continue;
                };
                let (Revocation::Session { keep_until, .. } | Revocation::User { keep_until, .. }) = &revocation;
                if now < *keep_until {
                    listed.push(revocation);
                }
            }
        }
        warn_of_unreadable(unreadable);
        Ok(listed)
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        self.clocks.begin(clock);
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if let Some(known) = self.clocks.known() {
            return Ok(Some(known));
        }
        let answer = self.link.read(::redis::cmd("TIME")).await?;
        let (seconds, micros): (i64, i64) = from_redis_value(answer).map_err(failed)?;
        let server = Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(micros / 1000));
        Ok(Some(self.clocks.with_server(server)))
    }
}

fn strange() -> StoreError {
    StoreError::internal("a script answered what it should not")
}
