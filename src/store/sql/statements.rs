//! The text of the statements. Both engines understand all of them.

/// The columns of a session, in the order in which they are bound.
macro_rules! session_columns {
    () => {
        "user_id, id, token_version, generation, token_id, previous_token_id, auth_time, created_at, rotated_at, \
         expires_at, absolute_expires_at, user_agent, ip, delete_at, ended_at, ended_reason, ended_keep_until, \
         restamped_generation, amr, acr"
    };
}

/// A session that is neither ended nor expired at `$3`.
macro_rules! live {
    () => {
        "ended_at IS NULL AND expires_at > $3 AND absolute_expires_at > $3"
    };
}

pub(super) const FIND: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM portcullis_sessions WHERE user_id = $1 AND id = $2 AND delete_at > $3"
);

pub(super) const INSERT: &str = concat!(
    "INSERT INTO portcullis_sessions (",
    session_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
     $18, $19, $20)"
);

/// Lists the live sessions of versions that count.
pub(super) const LIST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM portcullis_sessions WHERE user_id = $1 AND token_version >= COALESCE(\
     (SELECT min_version FROM portcullis_floors WHERE user_id = $2), 0) AND ",
    live!(),
    " ORDER BY rotated_at, created_at"
);

/// Moves the session on where its state is exactly that of the token.
pub(super) const ROTATE: &str = concat!(
    "UPDATE portcullis_sessions SET generation = generation + 1, previous_token_id = token_id, token_id = $4, \
     rotated_at = $3, \
     expires_at = CASE WHEN $5 < absolute_expires_at THEN $5 ELSE absolute_expires_at END, \
     delete_at = CASE WHEN $5 < absolute_expires_at THEN $5 ELSE absolute_expires_at END \
     WHERE user_id = $1 AND id = $2 AND token_version = $6 AND generation = $7 AND token_id = $8 AND ",
    live!(),
    " RETURNING ",
    session_columns!()
);

/// Ends the session where it is still as it was read.
pub(super) const END_AS_READ: &str = concat!(
    "UPDATE portcullis_sessions SET ended_at = $3, ended_reason = $4, ended_keep_until = $5, delete_at = $6 \
     WHERE user_id = $1 AND id = $2 AND token_version = $7 AND generation = $8 AND token_id = $9 AND ",
    live!()
);

/// Ends the session. Asked again after a lost answer, it finds its own end and writes the same.
pub(super) const END: &str = concat!(
    "UPDATE portcullis_sessions SET ended_at = $3, ended_reason = $4, ended_keep_until = $5, \
     delete_at = CASE WHEN $4 = 'reuse' AND expires_at > $5 THEN expires_at ELSE $5 END \
     WHERE user_id = $1 AND id = $2 AND ((",
    live!(),
    ") OR (ended_at = $3 AND ended_reason = $4 AND ended_keep_until = $5))"
);

/// Shortens the time for which old records of sessions that ended for reuse are kept.
///
/// The user's newest records are kept until the session would have expired, so that a later attempt
/// is answered `refresh_reused`. The other records are kept until their tombstones expire.
pub(super) const FORGET_REUSED: &str = "UPDATE portcullis_sessions SET delete_at = ended_keep_until \
     WHERE user_id = $1 AND ended_reason = 'reuse' AND delete_at > ended_keep_until AND ended_at <= (\
     SELECT ended_at FROM portcullis_sessions WHERE user_id = $2 AND ended_reason = 'reuse' \
     ORDER BY ended_at DESC LIMIT 1 OFFSET $3)";

/// Moves the kept session to the new version and on by one generation, unless the same call has
/// done so before.
pub(super) const RESTAMP: &str = concat!(
    "UPDATE portcullis_sessions SET generation = CASE WHEN token_id = $4 THEN generation ELSE generation + 1 END, \
     previous_token_id = CASE WHEN token_id = $4 THEN previous_token_id ELSE token_id END, token_id = $4, \
     rotated_at = $3, auth_time = $3, \
     restamped_generation = CASE WHEN token_id = $4 THEN restamped_generation ELSE generation + 1 END, \
     token_version = CASE WHEN token_version > $6 THEN token_version ELSE $6 END, \
     expires_at = CASE WHEN $5 < absolute_expires_at THEN $5 ELSE absolute_expires_at END, \
     delete_at = CASE WHEN $5 < absolute_expires_at THEN $5 ELSE absolute_expires_at END \
     WHERE user_id = $1 AND id = $2 AND ",
    live!(),
    " RETURNING ",
    session_columns!()
);

/// Ends the user's sessions of lower versions.
pub(super) const END_VERSIONS: &str = concat!(
    "UPDATE portcullis_sessions SET ended_at = $3, ended_reason = $4, ended_keep_until = $5, delete_at = $5 \
     WHERE user_id = $1 AND token_version < $2 AND ",
    live!(),
    " RETURNING id"
);

/// Reads the least version of the user that counts, where one was raised.
pub(super) const FLOOR: &str = "SELECT min_version FROM portcullis_floors WHERE user_id = $1 AND keep_until > $2";

/// Raises the least version of the user that counts. It never falls.
pub(super) const RAISE_FLOOR: &str = "INSERT INTO portcullis_floors (user_id, min_version, raised_at, keep_until) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO UPDATE SET \
     min_version = CASE WHEN excluded.min_version > portcullis_floors.min_version \
         THEN excluded.min_version ELSE portcullis_floors.min_version END, \
     raised_at = CASE WHEN excluded.raised_at > portcullis_floors.raised_at \
         THEN excluded.raised_at ELSE portcullis_floors.raised_at END, \
     keep_until = CASE WHEN excluded.keep_until > portcullis_floors.keep_until \
         THEN excluded.keep_until ELSE portcullis_floors.keep_until END";

/// Reads a page of what has ended: the sessions after `($1, $2)` and the raised versions after
/// `($3, $4)`.
pub(super) const ENDED_SINCE: &str = "SELECT moment, key, keep_until, min_version FROM (\
     SELECT ended_at AS moment, id AS key, ended_keep_until AS keep_until, CAST(NULL AS BIGINT) AS min_version \
     FROM portcullis_sessions WHERE ended_at IS NOT NULL AND (ended_at, id) > ($1, $2) AND ended_keep_until > $5 \
     ORDER BY ended_at, id LIMIT $6) AS sessions \
     UNION ALL SELECT moment, key, keep_until, min_version FROM (\
     SELECT raised_at AS moment, user_id AS key, keep_until, min_version \
     FROM portcullis_floors WHERE (raised_at, user_id) > ($3, $4) AND keep_until > $5 \
     ORDER BY raised_at, user_id LIMIT $6) AS floors";

macro_rules! user_columns {
    () => {
        "id, email, username, name, avatar_url, roles, password_hash, token_version, disabled, created_at"
    };
}

pub(super) const USER_BY_ID: &str = concat!("SELECT ", user_columns!(), " FROM portcullis_users WHERE id = $1");

pub(super) const USER_BY_EMAIL: &str =
    concat!("SELECT ", user_columns!(), " FROM portcullis_users WHERE email_key = $1");

pub(super) const USER_BY_USERNAME: &str =
    concat!("SELECT ", user_columns!(), " FROM portcullis_users WHERE username_key = $1");

pub(super) const ADD_USER: &str = concat!(
    "INSERT INTO portcullis_users (email, email_key, username, username_key, name, avatar_url, roles, password_hash, \
     token_version, disabled, created_at) VALUES ($1, $2, $3, $4, $5, $6, '[]', $7, 0, FALSE, $8) RETURNING ",
    user_columns!()
);

pub(super) const REPLACE_HASH: &str =
    "UPDATE portcullis_users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";

pub(super) const SET_PASSWORD: &str = "UPDATE portcullis_users SET password_hash = $3, token_version = token_version + 1 \
     WHERE id = $1 AND password_hash IS NOT DISTINCT FROM $2 RETURNING token_version";

pub(super) const BUMP_VERSION: &str =
    "UPDATE portcullis_users SET token_version = token_version + 1 WHERE id = $1 RETURNING token_version";

pub(super) const SET_DISABLED: &str = "UPDATE portcullis_users SET disabled = $2 WHERE id = $1";

pub(super) const SET_ROLES: &str = "UPDATE portcullis_users SET roles = $2 WHERE id = $1";

pub(super) const REMOVE_USER: &str = "DELETE FROM portcullis_users WHERE id = $1";

/// Reads a page of users, in the order of their ids.
pub(super) const USERS_AFTER: &str =
    concat!("SELECT ", user_columns!(), " FROM portcullis_users WHERE id > $1 ORDER BY id LIMIT $2");
