//! [`Keys`]: the names of keys. All keys of one user are in one slot of a cluster.

use std::fmt::Write;

use crate::{store::StoreError, user::UserId};

/// Number of buckets of users. It is part of the keys, so that a store with another number would
/// not find them.
pub(super) const BUCKETS: u64 = 64;

/// The prefix of an app's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys(String);

impl Keys {
    /// Makes the names of keys with a prefix.
    ///
    /// # Errors
    /// [`StoreError::internal`] for a prefix with braces, which would choose the slot instead of
    /// the bucket.
    pub(super) fn new(prefix: &str) -> Result<Self, StoreError> {
        if prefix.contains(['{', '}']) {
            return Err(StoreError::internal("a key prefix cannot contain braces: they choose the slot in a cluster"));
        }
        Ok(Self(prefix.to_owned()))
    }

    /// Returns the key of the user's sessions. The first braces of a key are its hash tag, so
    /// braces in the user's id have no effect.
    pub(super) fn user(&self, user: &UserId) -> String {
        let mut key = self.bucket(bucket(user), "user:");
        key.push_str(user.as_str());
        key
    }

    /// Returns the key of the revocations in the user's bucket.
    pub(super) fn endings(&self, user: &UserId) -> String {
        self.bucket(bucket(user), "endings")
    }

    pub(super) fn all_endings(&self) -> impl Iterator<Item = String> {
        (0..BUCKETS).map(|bucket| self.bucket(bucket, "endings"))
    }

    /// Returns the channel of the feed. Channels belong to the server, so the name contains the
    /// database of the keys.
    pub(super) fn channel(&self, database: i64) -> String {
        format!("{}:endings:{database}", self.0)
    }

    fn bucket(&self, bucket: u64, name: &str) -> String {
        let mut key = String::with_capacity(64);
        // Writing to a `String` does not fail.
        let _ = write!(key, "{{{}:{bucket}}}:{name}", self.0);
        key
    }
}

/// Returns the bucket of a user by FNV-1a, which every node and every release must compute alike.
/// An attacker who chooses ids of one bucket gains nothing.
fn bucket(user: &UserId) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    user.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, fold) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_id_changes_its_slot() {
        let keys = Keys::new("app").unwrap();
        for id in ["ada", "}{", "{a}", "a}b{c}", "\0", "\r\n{x}"] {
            let user = UserId::from(id);
            let (key, endings) = (keys.user(&user), keys.endings(&user));
            let tag = |key: &str| key.split_once('{').unwrap().1.split_once('}').unwrap().0.to_owned();
            assert_eq!(tag(&key), tag(&endings), "{id:?}");
            assert!(key.starts_with("{app:") && key.ends_with(id), "{key:?}");
        }
        assert!(Keys::new("a{b").is_err());
    }

    #[test]
    fn a_user_stays_in_its_bucket_across_releases() {
        let keys = Keys::new("portcullis").unwrap();
        assert_eq!(keys.user(&UserId::from("a")), "{portcullis:12}:user:a");
    }
}
