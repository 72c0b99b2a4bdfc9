//! The keys of logins, made anew from the addresses and usernames of users who registered before keys had normal forms.

use crate::user::{Login, UserId};

/// How many users are read at once.
pub(super) const PAGE: i64 = 500;

/// How many conflicts are named in the log, so that a large table does not flood it.
const NAMED: usize = 50;

/// Which login a key is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Email,
    Username,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Email, Self::Username];

    /// The columns of the text and of its key.
    pub(super) fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Email => ("email", "email_key"),
            Self::Username => ("username", "username_key"),
        }
    }

    /// Gives a user the key, unless another one has it.
    pub(super) fn renew(self) -> &'static str {
        match self {
            Self::Email => {
                "UPDATE portcullis_users SET email_key = $2 WHERE id = $1 \
                 AND NOT EXISTS (SELECT 1 FROM portcullis_users AS other WHERE other.email_key = $2)"
            }
            Self::Username => {
                "UPDATE portcullis_users SET username_key = $2 WHERE id = $1 \
                 AND NOT EXISTS (SELECT 1 FROM portcullis_users AS other WHERE other.username_key = $2)"
            }
        }
    }

    pub(super) fn holder(self) -> &'static str {
        match self {
            Self::Email => "SELECT id FROM portcullis_users WHERE email_key = $1",
            Self::Username => "SELECT id FROM portcullis_users WHERE username_key = $1",
        }
    }

    /// The key that today's rule makes of the text, where the one that there is was made of it by an earlier rule. A key that
    /// an app has set by itself is left alone.
    pub(super) fn outdated(self, text: &str, key: &str) -> Option<String> {
        let login = match self {
            Self::Email => Login::email(text),
            Self::Username => Login::username(text),
        };
        (login.earlier()?.key() == key).then(|| login.key().to_owned())
    }
}

/// Users who have one address or username by today's rule. One of them has its key; the other one keeps the earlier key, by
/// which they log in with what they registered.
#[derive(Debug, Default)]
pub(super) struct Conflicts(usize);

impl Conflicts {
    /// Says in the log who they are: by their ids, because addresses have no place there.
    pub(super) fn add(&mut self, kind: Kind, user: i64, holder: Option<i64>) {
        self.0 += 1;
        if self.0 <= NAMED {
            let (user, holder) = (UserId::from(user), holder.map(UserId::from));
            let (what, _) = kind.columns();
            tracing::warn!(
                target: "portcullis",
                user = %user, holder = holder.as_ref().map(UserId::as_str),
                "two users have one {what} in different spellings: each still logs in with their own spelling; \
                 change or remove one of them"
            );
        }
    }

    pub(super) fn finish(self) {
        if self.0 > NAMED {
            tracing::warn!(target: "portcullis", conflicts = self.0, "there are more such users than are named here");
        }
    }
}

/// Implements `renew_user_keys` for `$store`, whose engine says by `$not_ascii!(column)` that a text has more than ASCII.
macro_rules! user_keys {
    ($store:ident, $not_ascii:ident) => {
        impl $store {
            /// Makes the keys anew that an earlier rule made; keys of ASCII are the same by both. To be run by one node at
            /// a time.
            /// Its statements are not kept prepared, because they run once.
            async fn renew_user_keys(connection: &mut Connection) -> Result<(), StoreError> {
                const READ: &str = concat!(
                    "SELECT id, email, email_key, username, username_key FROM portcullis_users WHERE id > $1 AND (",
                    $not_ascii!("email_key"),
                    " OR ",
                    $not_ascii!("username_key"),
                    ") ORDER BY id LIMIT $2"
                );
                let mut conflicts = $crate::store::sql::user_keys::Conflicts::default();
                let mut last = i64::MIN;
                loop {
                    let query =
                        sqlx::query(READ).persistent(false).bind(last).bind($crate::store::sql::user_keys::PAGE);
                    let rows = query.fetch_all(&mut *connection).await.map_err(failed)?;
                    if rows.is_empty() {
                        break;
                    }
                    for row in &rows {
                        last = number(row, "id")?;
                        for kind in $crate::store::sql::user_keys::Kind::ALL {
                            let (column, key_column) = kind.columns();
                            let texts = text(row, column)?.zip(text(row, key_column)?);
                            let Some(key) = texts.and_then(|(text, key)| kind.outdated(&text, &key)) else { continue };
                            let renew = sqlx::query(kind.renew()).persistent(false).bind(last).bind(&key);
                            if renew.execute(&mut *connection).await.map_err(failed)?.rows_affected() == 0 {
                                let holder = sqlx::query_scalar(kind.holder()).persistent(false).bind(&key);
                                let holder = holder.fetch_optional(&mut *connection).await.map_err(failed)?;
                                conflicts.add(kind, last, holder);
                            }
                        }
                    }
                }
                conflicts.finish();
                Ok(())
            }
        }
    };
}
pub(super) use user_keys;
