//! [`MongoSessions`]: sessions, in one document for each user.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Database, IndexModel,
    bson::{Document, doc},
    options::{IndexOptions, ReturnDocument},
};

use super::{
    connection::{Handle, Limit},
    documents::{binary, date, gone, read_id, read_keep_until, read_min_version, read_session, sessions},
    pipelines,
};
use crate::{
    clock::{Clock, Timestamp},
    session::{EndReason, Ended, Revocation, RotateOutcome, Rotation, Session, SessionId, decide},
    store::{Created, EndAll, NewSession, SessionStore, SharedClock, StoreError, unreadable::warn_of_unreadable},
    user::UserId,
};

/// The name of the collection.
const COLLECTION: &str = "portcullis_sessions";

/// How much longer than necessary a document stays, because the engine uses its own clock.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// How many users' revocations are in one answer.
const BATCH: u32 = 10_000;

/// How often an upsert is repeated when another one added the same document.
const MAX_ATTEMPTS: usize = 4;

/// Stores sessions in a MongoDB collection, together with any store of users. Clones share the
/// client.
///
/// # Examples
/// ```no_run
/// use portcullis::{
///     Auth, User,
///     store::{memory::MemoryUsers, mongodb::MongoSessions},
/// };
///
/// # async fn start(database: mongodb::Database) -> Result<(), Box<dyn std::error::Error>> {
/// let sessions = MongoSessions::new(&database);
/// sessions.migrate().await?;
/// let auth: Auth<User> = Auth::from_env(MemoryUsers::default(), sessions)?;
/// # let _ = auth;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MongoSessions {
    handle: Handle,
    database: Database,
    clocks: SharedClock,
}

impl MongoSessions {
    /// Uses the collection `portcullis_sessions`. Call [`migrate`](Self::migrate) before use.
    pub fn new(database: &Database) -> Self {
        Self { handle: Handle::new(database, COLLECTION), database: database.clone(), clocks: SharedClock::default() }
    }

    /// Sets how long a call may take. Default: 3 s. Keep it below the refresh grace (default: 10
    /// s).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { handle: self.handle.with_timeout(&self.database, timeout), ..self }
    }

    /// Creates the indexes. Every node may call this at every start.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing permission.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let expiry = IndexOptions::builder().name("portcullis_delete_at".to_owned()).expire_after(CLOCK_TOLERANCE);
        let endings = IndexOptions::builder().name("portcullis_ended_at".to_owned()).sparse(true);
        let indexes = [
            IndexModel::builder().keys(doc! { "delete_at": 1 }).options(expiry.build()).build(),
            IndexModel::builder().keys(doc! { "ended_at": 1 }).options(endings.build()).build(),
        ];
        self.handle.migrate(self.handle.collection().create_indexes(indexes)).await.map(drop)
    }

    /// Changes the document of one user in one step. Returns a part of the document after the
    /// change.
    ///
    /// It does not return the document before the change, because not every server reads that in
    /// the same step as the write.
    async fn change(
        &self,
        filter: Document,
        pipeline: Vec<Document>,
        upsert: bool,
        part: Document,
    ) -> Result<Option<Document>, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let action = self
                .handle
                .collection()
                .find_one_and_update(filter.clone(), pipeline.clone())
                .upsert(upsert)
                .projection(part.clone())
                .return_document(ReturnDocument::After)
                .max_time(self.handle.time_limit());
            // When two calls add the first document of a user, a server may answer one of them with
            // an error or with nothing. Repeating is safe, because a pipeline that was already
            // applied changes nothing.
            match self.handle.run_unique(action, Limit::Call).await? {
                Ok(None) if upsert => {}
                Ok(document) => return Ok(document),
                Err(_) => {}
            }
        }
        Err(StoreError::unavailable("other calls added the user's document at the same time"))
    }

    async fn read(&self, filter: Document, part: Document) -> Result<Option<Document>, StoreError> {
        let action = self.handle.collection().find_one(filter).projection(part).max_time(self.handle.time_limit());
        self.handle.run(action).await
    }
}

/// Finds the document with all sessions of a user.
fn of(user: &UserId) -> Document {
    doc! { "_id": user.as_str() }
}

fn only(id: &SessionId) -> Document {
    doc! { "sessions": { "$elemMatch": { "id": binary(id.as_bytes()) } } }
}

/// Reads the one session of a document, unless it counts as absent.
fn one(user: &UserId, document: Option<&Document>, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let session = sessions(document).next().map(|session| read_session(user, session)).transpose()?;
    Ok(session.filter(|session| now < session.delete_at()))
}

#[async_trait]
impl SessionStore for MongoSessions {
    async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
        let user = new.session.user_id.clone();
        let pipeline = pipelines::create(&new)?;
        let after = self.change(of(&user), pipeline, true, doc! { "login": 1 }).await?;
        let login = after.as_ref().and_then(|document| document.get_document("login").ok());
        let login = login.ok_or_else(|| StoreError::internal("MongoDB did not say what a login did"))?;
        if login.get_bool("refused").map_err(StoreError::internal)? {
            return Err(StoreError::too_many_sessions());
        }
        let ids = |of: &str| {
            let ids = login.get_array(of).map_err(StoreError::internal)?;
            ids.iter().map(|id| read_id(&doc! { "id": id })).collect::<Result<Vec<_>, _>>()
        };
        let mut created = Created::new(ids("ended")?);
        created.outdated = ids("outdated")?;
        created.ended_at_once = login.get_bool("dead").map_err(StoreError::internal)?;
        // The session of another user is in another document. It is ended in a second step.
        if let Some((owner, id)) = &new.replaces
            && *owner != user
        {
            let now = new.session.created_at;
            let end = Ended { at: now, reason: EndReason::LoggedInAgain, keep_until: now.plus(new.tombstone) };
            if self.end(owner, id, end).await? {
                created.ended.push(*id);
            }
        }
        Ok(created)
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let found = self.read(of(user), only(id)).await?;
        one(user, found.as_ref(), now)
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        let (user, id) = (&rotation.user_id, &rotation.session_id);
        let pipeline = pipelines::rotate(rotation)?;
        let after = self.change(of(user), pipeline, false, only(id)).await?;
        if pipelines::was_ended_by(rotation, sessions(after.as_ref()).next()) {
            return Ok(RotateOutcome::Reused);
        }
        // A record that was rotated, ended by its token version, or not changed leads to the same
        // decision as the record before.
        Ok(decide(one(user, after.as_ref(), rotation.now)?.as_ref(), rotation).outcome)
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        let live = doc! {
            "id": binary(id.as_bytes()),
            "ended_at": null,
            "expires_at": { "$gt": date(ended.at) },
            "absolute_expires_at": { "$gt": date(ended.at) },
        };
        // The caller may ask again because it lost the answer. No other call has both moments.
        let ended_by_this = doc! {
            "id": binary(id.as_bytes()),
            "ended_at": date(ended.at),
            "keep_until": date(ended.keep_until),
            "ended_reason": ended.reason.as_str(),
        };
        let either = [live, ended_by_this].map(|session| doc! { "sessions": { "$elemMatch": session } });
        let filter = doc! { "_id": user.as_str(), "$or": either.to_vec() };
        let action = self.handle.collection().update_one(filter, pipelines::end_one(id, ended));
        Ok(self.handle.run(action).await?.matched_count > 0)
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        let user = &all.user_id;
        let pipeline = pipelines::end_all(all)?;
        let part = all.keep.as_ref().map_or_else(|| doc! { "_id": 1 }, |keep| only(&keep.session_id));
        let after = self.change(of(user), pipeline, true, part).await?;
        let Some(keep) = &all.keep else { return Ok(None) };
        let record = one(user, after.as_ref(), keep.now)?;
        // A kept session that was already moved stays as it is.
        Ok(record.and_then(|record| keep.restamp(&record, all.min_version)))
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let found = self.read(of(user), doc! { "sessions": 1, "floor": 1 }).await?;
        let raised = found.as_ref().map(read_min_version).transpose()?.flatten();
        let min_version = raised.map_or(0, |(min_version, ..)| min_version);
        let mut live = Vec::new();
        for session in sessions(found.as_ref()) {
            live.push(read_session(user, session)?);
        }
        live.retain(|session| session.is_live(now) && session.token_version >= min_version);
        Ok(live)
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        let recent = |of: &str| {
            doc! { "$filter": {
                "input": of,
                "as": "s",
                "cond": { "$and": [
                    { "$gte": ["$$s.ended_at", date(since)] },
                    { "$gt": ["$$s.keep_until", date(now)] },
                ] },
            } }
        };
        let action = self
            .handle
            .collection()
            .find(doc! { "ended_at": { "$gte": date(since) } })
            .projection(doc! { "sessions": recent("$sessions"), "gone": recent("$gone"), "floor": 1 })
            .batch_size(BATCH)
            .max_time(self.handle.time_limit());
        let found: Vec<Document> = self.handle.run(async { action.await?.try_collect().await }).await?;
        let (mut revocations, mut unreadable) = (Vec::new(), 0_u32);
        let mut add = |revocation: Result<Revocation, StoreError>| match revocation {
            Ok(revocation) => revocations.push(revocation),
            Err(_) => unreadable = unreadable.saturating_add(1),
        };
        for document in &found {
            // Not the reason: a later release may have another one.
            let ended = sessions(Some(document)).filter(|session| session.contains_key("ended_at"));
            for session in ended.chain(gone(document)) {
                let read = || Ok(Revocation::Session { id: read_id(session)?, keep_until: read_keep_until(session)? });
                add(read());
            }
            let read = || match read_min_version(document)? {
                Some((min_version, at, keep_until)) if at >= since && now < keep_until => {
                    let id = UserId::from(document.get_str("_id").map_err(StoreError::internal)?);
                    Ok(Some(Revocation::User { id, min_version, keep_until }))
                }
                _ => Ok(None),
            };
            if let Some(revocation) = read().transpose() {
                add(revocation);
            }
        }
        warn_of_unreadable(unreadable);
        Ok(revocations)
    }

    fn begin(&self, clock: &Arc<dyn Clock>) {
        self.clocks.begin(clock);
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if let Some(known) = self.clocks.known() {
            return Ok(Some(known));
        }
        let answer = self.handle.run(self.database.run_command(doc! { "hello": 1 })).await?;
        let server = answer.get_datetime("localTime").map_err(StoreError::internal)?;
        Ok(Some(self.clocks.with_server(Timestamp::from_millis(server.timestamp_millis()))))
    }
}
