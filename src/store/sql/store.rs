//! The store of either engine: the code is the same to the letter, the types of the driver are not.

/// Implements both traits for `$store`, which has a `pool`, a `logins` counter, and `lock(user) -> transaction`.
macro_rules! sql_store {
    ($store:ident, $database:ty, $row:ty) => {
        use std::{net::IpAddr, time::Duration};

        use async_trait::async_trait;
        use sqlx::{Connection as _, Row};

        use $crate::{
            clock::{Clock, Timestamp},
            session::{
                AuthMethods, Ended, EndReason, Revocation, MAX_ENDED_SESSIONS_OF_A_USER, RotateOutcome, Rotation, Session, SessionId, decide,
            },
            store::{
                Created, EndAll, NewSession, PageLimit, SessionLimit, SessionStore, SharedClock, StoreError,
                UniqueField, UserAdmin, UserPage, UserStore,
                sql::{
                    connection::on_connection,
                    failure::failed,
                    page::{PAGE, Page},
                    query,
                    query::MAX_ATTEMPTS,
                    rows::{self, signed}, statements as sql,
                    sweep::{PAUSE, PIECE, PIECES},
                },
            },
            user::{Login, NewUser, PasswordHash, Profile, User, UserId},
        };

        type Statement<'q> = sqlx::query::Query<'q, $database, <$database as sqlx::Database>::Arguments>;

        async fn fetch(connection: &mut Connection, statement: Statement<'_>) -> Result<Vec<$row>, sqlx::Error> {
            query::whole::<$database>(connection, statement).await.map(|(rows, _)| rows)
        }

        async fn changes(connection: &mut Connection, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
            query::whole::<$database>(connection, statement).await.map(|(_, done)| done.rows_affected())
        }

        fn number(row: &$row, column: &str) -> Result<i64, StoreError> {
            row.try_get(column).map_err(failed)
        }

        fn moment(row: &$row, column: &str) -> Result<Timestamp, StoreError> {
            number(row, column).map(Timestamp::from_millis)
        }

        fn text(row: &$row, column: &str) -> Result<Option<String>, StoreError> {
            row.try_get(column).map_err(failed)
        }

        fn bytes(row: &$row, column: &str) -> Result<Vec<u8>, StoreError> {
            row.try_get(column).map_err(failed)
        }

        fn version(rows: Result<Vec<$row>, sqlx::Error>) -> Result<Option<u64>, StoreError> {
            rows.map_err(failed)?.first().map(|row| rows::count(number(row, "token_version")?)).transpose()
        }

        fn read_session(row: &$row) -> Result<Session, StoreError> {
            let previous: Option<Vec<u8>> = row.try_get("previous_token_id").map_err(failed)?;
            let restamped: Option<i64> = row.try_get("restamped_generation").map_err(failed)?;
            let ended_at: Option<i64> = row.try_get("ended_at").map_err(failed)?;
            let ended = match ended_at {
                None => None,
                Some(at) => Some(Ended {
                    at: Timestamp::from_millis(at),
                    reason: rows::reason(&text(row, "ended_reason")?.unwrap_or_default())?,
                    keep_until: moment(row, "ended_keep_until")?,
                }),
            };
            Ok(Session {
                id: rows::session_id(&bytes(row, "id")?)?,
                user_id: rows::user_id(bytes(row, "user_id")?)?,
                token_version: rows::count(number(row, "token_version")?)?,
                generation: rows::count(number(row, "generation")?)?,
                token_id: rows::token_id(&bytes(row, "token_id")?)?,
                previous_token_id: previous.map(|id| rows::token_id(&id)).transpose()?,
                auth_time: moment(row, "auth_time")?,
                amr: AuthMethods::from_names(text(row, "amr")?.unwrap_or_default().split(' ')),
                // A level that only a later release knows counts as the lowest.
                acr: text(row, "acr")?.and_then(|level| level.parse().ok()).unwrap_or_default(),
                restamped_generation: restamped.map(rows::count).transpose()?,
                created_at: moment(row, "created_at")?,
                rotated_at: moment(row, "rotated_at")?,
                expires_at: moment(row, "expires_at")?,
                absolute_expires_at: moment(row, "absolute_expires_at")?,
                ended,
                user_agent: text(row, "user_agent")?.map(Into::into),
                ip: text(row, "ip")?.and_then(|ip| ip.parse::<IpAddr>().ok()),
            })
        }

        fn read_user(row: &$row) -> Result<User, StoreError> {
            let roles = text(row, "roles")?.unwrap_or_default();
            Ok(User {
                id: UserId::from(number(row, "id")?),
                email: text(row, "email")?.unwrap_or_default(),
                username: text(row, "username")?,
                name: text(row, "name")?,
                avatar_url: text(row, "avatar_url")?,
                // Without the words of the parser, which repeat what it read.
                roles: serde_json::from_str(&roles).map_err(|_| StoreError::internal("a user's roles are no JSON array"))?,
                password_hash: text(row, "password_hash")?,
                token_version: rows::count(number(row, "token_version")?)?,
                disabled: row.try_get("disabled").map_err(failed)?,
                created_at: moment(row, "created_at")?,
            })
        }

        /// Which unique column a violation was of; neither is a bug.
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

        impl $store {
            /// Sets how long an operation may take, with the wait for a connection, before it fails as unavailable.
            /// Default: 3 s for `PostgreSQL`, 4 s for `SQLite`.
            ///
            /// Keep twice this below the refresh grace (10 s), because an operation whose answer was lost is asked again.
            #[must_use]
            pub fn with_timeout(mut self, timeout: Duration) -> Self {
                self.timeout = timeout;
                self
            }

            /// Deletes what has expired by `now`. It also happens by itself, as users log in.
            ///
            /// It deletes 500 rows at a time, and pauses in between, so that others can write. The timeout holds for each
            /// piece, not for the whole.
            ///
            /// # Errors
            /// As of [`SessionStore`].
            pub async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
                while self.sweep_piece(now).await? {
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(())
            }

            /// Deletes a little of what has expired; answers whether there may be more.
            async fn sweep_piece(&self, now: Timestamp) -> Result<bool, StoreError> {
                let mut is_more = false;
                for statement in SWEEPS {
                    let deleted = self.sweep_table(statement, now).await?;
                    is_more |= deleted >= u64::from(PIECE);
                }
                Ok(is_more)
            }

            async fn sweep_table(&self, statement: &'static str, now: Timestamp) -> Result<u64, StoreError> {
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(statement).bind(now.as_millis()).bind(i64::from(PIECE));
                    changes(&mut *connection, statement).await.map_err(failed)
                }))
            }

            /// Begins a sweep where one is due, which no login waits for.
            fn sweep_at_times(&self, now: Timestamp) {
                let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
                let Some(running) = self.sweeps.is_due() else { return };
                let store = self.clone();
                runtime.spawn(async move {
                    let _running = running;
                    for _ in 0..PIECES {
                        match store.sweep_piece(now).await {
                            Ok(true) => tokio::time::sleep(PAUSE).await,
                            Ok(false) => break,
                            Err(error) => {
                                // Expired records count as absent wherever they are.
                                tracing::warn!(target: "portcullis", ?error, "expired sessions could not be deleted");
                                break;
                            }
                        }
                    }
                });
            }

            async fn ended_page(&self, page: &Page, now: Timestamp) -> Result<Vec<$row>, StoreError> {
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::ENDED_SINCE)
                        .bind(page.sessions.moment)
                        .bind(page.sessions.key.as_slice())
                        .bind(page.floors.moment)
                        .bind(page.floors.key.as_slice())
                        .bind(now.as_millis())
                        .bind(i64::from(PAGE));
                    fetch(&mut *connection, statement).await.map_err(failed)
                }))
            }

            async fn user(&self, statement: &'static str, key: &str) -> Result<Option<User>, StoreError> {
                // No text column takes it, so nobody has it.
                if key.contains('\0') {
                    return Ok(None);
                }
                on_connection!(self, |connection| again_if_overtaken!({
                    let found = fetch(&mut *connection, sqlx::query(statement).bind(key)).await.map_err(failed);
                    found.and_then(|rows| rows.first().map(read_user).transpose())
                }))
            }

            async fn insert_session(connection: &mut Connection, session: &Session) -> Result<(), StoreError> {
                let previous = session.previous_token_id.map(|id| id.as_bytes().to_vec());
                let statement = sqlx::query(sql::INSERT)
                    .bind(session.user_id.as_str().as_bytes())
                    .bind(&session.id.as_bytes()[..])
                    .bind(signed(session.token_version)?)
                    .bind(signed(session.generation)?)
                    .bind(&session.token_id.as_bytes()[..])
                    .bind(previous)
                    .bind(session.auth_time.as_millis())
                    .bind(session.created_at.as_millis())
                    .bind(session.rotated_at.as_millis())
                    .bind(session.expires_at.as_millis())
                    .bind(session.absolute_expires_at.as_millis())
                    .bind(session.user_agent.as_deref().map(|text| rows::without_nul(text.to_owned())))
                    .bind(session.ip.map(|ip| ip.to_string()))
                    .bind(session.delete_at().as_millis())
                    .bind(session.ended.map(|ended| ended.at.as_millis()))
                    .bind(session.ended.map(|ended| ended.reason.as_str()))
                    .bind(session.ended.map(|ended| ended.keep_until.as_millis()))
                    .bind(session.restamped_generation.map(signed).transpose()?)
                    .bind(session.amr.to_string())
                    .bind(session.acr.as_str());
                changes(connection, statement).await.map(drop).map_err(failed)
            }

            async fn end_in(
                connection: &mut Connection,
                user: &UserId,
                id: &SessionId,
                ended: Ended,
            ) -> Result<bool, StoreError> {
                let statement = sqlx::query(sql::END)
                    .bind(user.as_str().as_bytes())
                    .bind(&id.as_bytes()[..])
                    .bind(ended.at.as_millis())
                    .bind(ended.reason.as_str())
                    .bind(ended.keep_until.as_millis());
                Ok(changes(connection, statement).await.map_err(failed)? > 0)
            }

            /// Ends the user's sessions of lower versions, and answers which they were.
            async fn end_versions(
                connection: &mut Connection,
                user: &UserId,
                min_version: u64,
                ended: Ended,
            ) -> Result<Vec<SessionId>, StoreError> {
                let statement = sqlx::query(sql::END_VERSIONS)
                    .bind(user.as_str().as_bytes())
                    .bind(signed(min_version)?)
                    .bind(ended.at.as_millis())
                    .bind(ended.reason.as_str())
                    .bind(ended.keep_until.as_millis());
                let ended = fetch(connection, statement).await.map_err(failed)?;
                ended.iter().map(|row| rows::session_id(&bytes(row, "id")?)).collect()
            }

            async fn find_in(
                connection: &mut Connection,
                user: &UserId,
                id: &SessionId,
                now: Timestamp,
            ) -> Result<Option<Session>, StoreError> {
                let statement = sqlx::query(sql::FIND)
                    .bind(user.as_str().as_bytes())
                    .bind(&id.as_bytes()[..])
                    .bind(now.as_millis());
                fetch(connection, statement).await.map_err(failed)?.first().map(read_session).transpose()
            }

            async fn list_in(
                connection: &mut Connection,
                user: &UserId,
                now: Timestamp,
            ) -> Result<Vec<Session>, StoreError> {
                let user = user.as_str().as_bytes();
                let statement = sqlx::query(sql::LIST).bind(user).bind(user).bind(now.as_millis());
                fetch(connection, statement).await.map_err(failed)?.iter().map(read_session).collect()
            }

            /// The one statement of a rotation in its usual course.
            async fn advance(connection: &mut Connection, rotation: &Rotation) -> Result<Option<Session>, StoreError> {
                let statement = sqlx::query(sql::ROTATE)
                    .bind(rotation.user_id.as_str().as_bytes())
                    .bind(&rotation.session_id.as_bytes()[..])
                    .bind(rotation.now.as_millis())
                    .bind(&rotation.next_token_id.as_bytes()[..])
                    .bind(rotation.now.plus(rotation.idle).as_millis())
                    .bind(signed(rotation.token_version)?)
                    .bind(i64::try_from(rotation.generation).unwrap_or(i64::MAX))
                    .bind(&rotation.token_id.as_bytes()[..]);
                fetch(connection, statement).await.map_err(failed)?.first().map(read_session).transpose()
            }

            /// A rotation, or `None` where the record was changed while it was decided.
            async fn decided(
                connection: &mut Connection,
                rotation: &Rotation,
            ) -> Result<Option<RotateOutcome>, StoreError> {
                if let Some(session) = Self::advance(connection, rotation).await? {
                    return Ok(Some(RotateOutcome::Rotated(session)));
                }
                let read = Self::find_in(connection, &rotation.user_id, &rotation.session_id, rotation.now).await?;
                let decision = decide(read.as_ref(), rotation);
                let (Some(read), Some(write)) = (read, decision.write) else { return Ok(Some(decision.outcome)) };
                // A record that may now move on was changed since the statement above: it is asked again.
                Ok(Self::end_as_read(connection, &read, &write).await?.then_some(decision.outcome))
            }

            /// Writes an end, if the record is still as it was read.
            async fn end_as_read(
                connection: &mut Connection,
                read: &Session,
                ended: &Session,
            ) -> Result<bool, StoreError> {
                let Some(end) = ended.ended else { return Ok(false) };
                let statement = sqlx::query(sql::END_AS_READ)
                    .bind(read.user_id.as_str().as_bytes())
                    .bind(&read.id.as_bytes()[..])
                    .bind(end.at.as_millis())
                    .bind(end.reason.as_str())
                    .bind(end.keep_until.as_millis())
                    .bind(ended.delete_at().as_millis())
                    .bind(signed(read.token_version)?)
                    .bind(signed(read.generation)?)
                    .bind(&read.token_id.as_bytes()[..]);
                let done = changes(&mut *connection, statement).await.map_err(failed)?;
                if done > 0 && end.reason == EndReason::Reuse {
                    Self::forget_reused(connection, &read.user_id).await;
                }
                Ok(done > 0)
            }

            /// Keeps the newest records alone of sessions that ended for reuse, once their tombstones are over. The end is
            /// written already: where this fails, the next one does it.
            async fn forget_reused(connection: &mut Connection, user: &UserId) {
                let user = user.as_str().as_bytes();
                let kept = i64::try_from(MAX_ENDED_SESSIONS_OF_A_USER).unwrap_or(i64::MAX);
                let statement = sqlx::query(sql::FORGET_REUSED).bind(user).bind(user).bind(kept);
                if let Err(error) = changes(connection, statement).await.map_err(failed) {
                    tracing::debug!(target: "portcullis", ?error, "old records of reused tokens stay until they expire");
                }
            }
        }

        #[async_trait]
        impl UserStore for $store {
            type User = User;

            async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
                let Some(id) = id.to_key::<i64>() else { return Ok(None) };
                on_connection!(self, |connection| again_if_overtaken!({
                    let found = fetch(&mut *connection, sqlx::query(sql::USER_BY_ID).bind(id)).await.map_err(failed);
                    found.and_then(|rows| rows.first().map(read_user).transpose())
                }))
            }

            async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
                match login {
                    Login::Email(email) => self.user(sql::USER_BY_EMAIL, email).await,
                    Login::Username(username) => self.user(sql::USER_BY_USERNAME, username).await,
                }
            }

            async fn create(&self, new: NewUser<Profile>) -> Result<User, StoreError> {
                let (name, avatar_url) = (new.registration.name, new.registration.avatar_url);
                let (name, avatar_url) = (name.map(rows::without_nul), avatar_url.map(rows::without_nul));
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::ADD_USER)
                        .bind(new.email.as_str())
                        .bind(new.email.key())
                        .bind(new.username.as_ref().map(|username| username.as_str()))
                        .bind(new.username.as_ref().map(|username| username.key()))
                        .bind(name.as_deref())
                        .bind(avatar_url.as_deref())
                        .bind(new.password_hash.as_ref().map(PasswordHash::as_str))
                        .bind(new.created_at.as_millis());
                    let added = fetch(&mut *connection, statement).await.map_err(not_added);
                    added.and_then(|rows| rows.first().map_or_else(|| Err(StoreError::internal("no row was added")), read_user))
                }))
            }

            async fn replace_password_hash(
                &self,
                id: &UserId,
                expected: &str,
                new: &PasswordHash,
            ) -> Result<bool, StoreError> {
                let Some(id) = id.to_key::<i64>().filter(|_| !expected.contains('\0')) else { return Ok(false) };
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::REPLACE_HASH).bind(id).bind(expected).bind(new.as_str());
                    changes(&mut *connection, statement).await.map_err(failed).map(|count| count > 0)
                }))
            }

            async fn set_password(
                &self,
                id: &UserId,
                expected: Option<&str>,
                new: &PasswordHash,
            ) -> Result<Option<u64>, StoreError> {
                let is_text = !expected.is_some_and(|hash| hash.contains('\0'));
                let Some(id) = id.to_key::<i64>().filter(|_| is_text) else { return Ok(None) };
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::SET_PASSWORD).bind(id).bind(expected).bind(new.as_str());
                    version(fetch(&mut *connection, statement).await)
                }))
            }

            async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
                let Some(id) = id.to_key::<i64>() else { return Ok(None) };
                on_connection!(self, |connection| again_if_overtaken!(version(
                    fetch(&mut *connection, sqlx::query(sql::BUMP_VERSION).bind(id)).await
                )))
            }
        }

        #[async_trait]
        impl UserAdmin for $store {
            async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError> {
                let Some(id) = id.to_key::<i64>() else { return Ok(false) };
                let roles = serde_json::to_string(roles).map_err(StoreError::internal)?;
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::SET_ROLES).bind(id).bind(roles.as_str());
                    changes(&mut *connection, statement).await.map_err(failed).map(|count| count > 0)
                }))
            }

            async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
                let Some(id) = id.to_key::<i64>() else { return Ok(false) };
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::SET_DISABLED).bind(id).bind(disabled);
                    changes(&mut *connection, statement).await.map_err(failed).map(|count| count > 0)
                }))
            }

            async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError> {
                let Some(id) = id.to_key::<i64>() else { return Ok(false) };
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::REMOVE_USER).bind(id);
                    changes(&mut *connection, statement).await.map_err(failed).map(|count| count > 0)
                }))
            }

            async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<User>, StoreError> {
                let Some(after) = after.map_or(Some(i64::MIN), |id| id.to_key::<i64>()) else {
                    return Ok(UserPage::new(Vec::new(), limit));
                };
                // One more than the page has, which says whether there is a next page.
                let count = i64::try_from(limit.get() + 1).map_err(StoreError::internal)?;
                on_connection!(self, |connection| again_if_overtaken!({
                    let statement = sqlx::query(sql::USERS_AFTER).bind(after).bind(count);
                    let found = fetch(&mut *connection, statement).await.map_err(failed);
                    found.and_then(|rows| {
                        Ok(UserPage::new(rows.iter().map(read_user).collect::<Result<_, _>>()?, limit))
                    })
                }))
            }
        }

        #[async_trait]
        impl SessionStore for $store {
            async fn create(&self, new: NewSession) -> Result<Created, StoreError> {
                let NewSession { mut session, replaces, limit, tombstone, .. } = new;
                let now = session.created_at;
                let end = |reason| Ended { at: now, reason, keep_until: now.plus(tombstone) };
                let created = on_connection!(self, |connection| {
                    let mut created = Created::default();
                    let mut transaction = Self::lock(connection, &session.user_id, self.timeout).await?;
                    let user = session.user_id.as_str().as_bytes();
                    let statement = sqlx::query(sql::FLOOR).bind(user).bind(now.as_millis());
                    let floors = fetch(&mut *transaction, statement).await.map_err(failed)?;
                    let floor = floors.first().map(|row| number(row, "min_version")).transpose()?;
                    if floor.is_some_and(|floor| signed(session.token_version).is_ok_and(|version| version < floor)) {
                        session.end(end(EndReason::TokenVersion));
                        created.dead_on_arrival = true;
                    } else {
                        let (user, version) = (&session.user_id, session.token_version);
                        let ended = end(EndReason::TokenVersion);
                        created.outdated = Self::end_versions(&mut transaction, user, version, ended).await?;
                    }
                    // Where the limit refuses, the transaction is dropped, and this ends nothing.
                    if let Some((owner, id)) = &replaces
                        && Self::end_in(&mut transaction, owner, id, end(EndReason::SignedInAgain)).await?
                    {
                        created.ended.push(*id);
                    }
                    if session.ended.is_none() {
                        let live = Self::list_in(&mut transaction, &session.user_id, now).await?;
                        let excess = match limit {
                            SessionLimit::Refuse(limit) if live.len() >= limit => {
                                return Err(StoreError::too_many_sessions());
                            }
                            SessionLimit::Refuse(_) => 0,
                            SessionLimit::EndLeastRecentlyUsed(limit) => (live.len() + 1).saturating_sub(limit.max(1)),
                        };
                        for old in live.iter().take(excess) {
                            Self::end_in(&mut transaction, &old.user_id, &old.id, end(EndReason::Limit)).await?;
                            created.ended.push(old.id);
                        }
                    }
                    Self::insert_session(&mut transaction, &session).await?;
                    transaction.commit().await.map_err(failed)?;
                    Ok(created)
                })?;
                self.sweep_at_times(now);
                Ok(created)
            }

            async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
                on_connection!(self, |connection| again_if_overtaken!(Self::find_in(connection, user, id, now).await))
            }

            async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
                on_connection!(self, |connection| {
                    for _ in 0..MAX_ATTEMPTS {
                        match Self::decided(connection, rotation).await {
                            Ok(Some(outcome)) => return Ok(outcome),
                            Ok(None) => {}
                            Err(error) if lost_a_race(&error) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Err(StoreError::unavailable("the session was changed by others again and again"))
                })
            }

            async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
                on_connection!(self, |connection| again_if_overtaken!(Self::end_in(connection, user, id, ended).await))
            }

            async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
                let EndAll { user_id, min_version, keep, ended, .. } = all;
                let (user, version) = (user_id.as_str().as_bytes(), signed(*min_version)?);
                on_connection!(self, |connection| {
                    let mut transaction = Self::lock(connection, user_id, self.timeout).await?;
                    let statement = sqlx::query(sql::RAISE_FLOOR)
                        .bind(user)
                        .bind(version)
                        .bind(ended.at.as_millis())
                        .bind(ended.keep_until.as_millis());
                    changes(&mut *transaction, statement).await.map_err(failed)?;
                    let mut kept = None;
                    if let Some(keep) = keep {
                        let statement = sqlx::query(sql::RESTAMP)
                            .bind(user)
                            .bind(&keep.session_id.as_bytes()[..])
                            .bind(keep.now.as_millis())
                            .bind(&keep.next_token_id.as_bytes()[..])
                            .bind(keep.now.plus(keep.idle).as_millis())
                            .bind(version);
                        let restamped = fetch(&mut *transaction, statement).await.map_err(failed)?;
                        kept = restamped.first().map(read_session).transpose()?;
                    }
                    Self::end_versions(&mut transaction, user_id, *min_version, *ended).await?;
                    transaction.commit().await.map_err(failed)?;
                    Ok(kept)
                })
            }

            async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
                on_connection!(self, |connection| again_if_overtaken!(Self::list_in(connection, user, now).await))
            }

            async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
                let mut endings = Vec::new();
                let mut page = Page::since(since.as_millis());
                // Each has the whole timeout, so that a start that has much to read comes to its end.
                loop {
                    let rows = self.ended_page(&page, now).await?;
                    for row in &rows {
                        let (key, keep_until) = (bytes(row, "key")?, moment(row, "keep_until")?);
                        let min_version: Option<i64> = row.try_get("min_version").map_err(failed)?;
                        page.read(number(row, "moment")?, &key, min_version.is_some());
                        endings.push(match min_version {
                            None => Revocation::Session { id: rows::session_id(&key)?, keep_until },
                            Some(version) => {
                                Revocation::User { id: rows::user_id(key)?, min_version: rows::count(version)?, keep_until }
                            }
                        });
                    }
                    if !page.turn() {
                        return Ok(endings);
                    }
                }
            }

            fn begin(&self, clock: &std::sync::Arc<dyn Clock>) {
                self.clocks.begin(clock);
            }

            async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
                self.shared_clock().await
            }
        }
    };
}
pub(super) use sql_store;

/// Runs a statement again where the engine says that another was faster, which under a stricter isolation than READ
/// COMMITTED it says instead of looking at the other's result.
macro_rules! again_if_overtaken {
    ($statement:expr) => {{
        for _ in 0..MAX_ATTEMPTS {
            match $statement {
                Err(error) if lost_a_race(&error) => {}
                answer => return answer,
            }
        }
        Err(StoreError::unavailable("the row was changed by others again and again"))
    }};
}
pub(super) use again_if_overtaken;
