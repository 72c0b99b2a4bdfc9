//! Makes the keys of logins anew, for users who registered before keys had normal forms.

use super::{engine::Engine, statement::Statement, store::SqlStore};
use crate::{
    store::StoreError,
    user::{Login, UserId},
};

/// The number of users that are read at once.
const PAGE: i64 = 500;

/// The number of conflicts that the log names, so that a large table does not flood it.
const NAMED: usize = 50;

impl<E: Engine> SqlStore<E> {
    /// Makes the keys anew that an earlier rule made. Keys of ASCII are the same by both rules.
    ///
    /// One node at a time runs it.
    pub(super) async fn renew_user_keys(connection: &mut E::Connection) -> Result<(), StoreError> {
        let mut conflicts = Conflicts::default();
        let mut last = i64::MIN;
        loop {
            let users = Statement::once(E::USERS_BEYOND_ASCII).bind(last).bind(PAGE).fetch::<E>(connection).await?;
            if users.is_empty() {
                break;
            }
            for user in &users {
                last = user.number("id")?;
                for kind in Kind::ALL {
                    let (column, key_column) = kind.columns();
                    let texts = user.text(column)?.zip(user.text(key_column)?);
                    let Some(key) = texts.and_then(|(text, key)| kind.outdated(&text, &key)) else { continue };
                    let renewal = Statement::once(kind.renewal()).bind(last).bind(key.as_str());
                    if renewal.changes::<E>(connection).await? == 0 {
                        let holder = Statement::once(kind.holder()).bind(key.as_str());
                        let holder = holder.first::<E>(connection).await?;
                        conflicts.add(kind, last, holder.map(|holder| holder.number("id")).transpose()?);
                    }
                }
            }
        }
        conflicts.finish();
        Ok(())
    }
}

/// The kind of a login.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Email,
    Username,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Email, Self::Username];

    /// Returns the columns of the text and of its key.
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Email => ("email", "email_key"),
            Self::Username => ("username", "username_key"),
        }
    }

    /// Returns the statement that gives a user the key, unless another user has it.
    fn renewal(self) -> &'static str {
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

    /// Returns the statement that finds the user who has a key.
    fn holder(self) -> &'static str {
        match self {
            Self::Email => "SELECT id FROM portcullis_users WHERE email_key = $1",
            Self::Username => "SELECT id FROM portcullis_users WHERE username_key = $1",
        }
    }

    /// Returns the key of the text by today's rule, where an earlier rule made the present key of
    /// it. A key that an app has set itself stays.
    fn outdated(self, text: &str, key: &str) -> Option<String> {
        let login = match self {
            Self::Email => Login::email(text),
            Self::Username => Login::username(text),
        };
        (login.earlier()?.key() == key).then(|| login.key().to_owned())
    }
}

/// Users who have the same address or username by today's rule.
///
/// One of them has its key. The other one keeps the earlier key, and logs in with what they
/// registered.
#[derive(Debug, Default)]
struct Conflicts(usize);

impl Conflicts {
    /// Names two users in the log, by their ids, because addresses do not belong there.
    fn add(&mut self, kind: Kind, user: i64, holder: Option<i64>) {
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

    fn finish(self) {
        if self.0 > NAMED {
            tracing::warn!(target: "portcullis", conflicts = self.0, "there are more such users than are named here");
        }
    }
}
