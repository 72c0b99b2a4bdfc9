//! [`UserId`]: the text that identifies a user in tokens and stores.

use std::{borrow::Cow, convert::Infallible, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Identifies a user: the `sub` of their tokens (RFC 7519 §4.1.2) and the key of their row.
///
/// The id is a text, because stores have integers, UUIDs and object ids as keys. It is cheap to
/// clone. For an id that is not a valid key, a store answers "not found", never an error. See
/// [`to_key`](Self::to_key).
///
/// # Examples
/// ```
/// use portcullis::user::UserId;
/// assert_eq!(UserId::from(42).as_str(), "42");
/// assert_eq!(UserId::from("65f0c0ffee").to_key::<i64>(), None);
/// // This id is not that of user 42, because sessions and revocations are kept by the text.
/// assert_eq!(UserId::from("042").to_key::<i64>(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The length of the longest id that tokens carry, in bytes. This is enough for every usual
    /// key, and keeps tokens short.
    pub const MAX_BYTES: usize = 256;

    /// Returns the id as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id in the type of the store's key, such as `i64`. Returns `None` where the id is
    /// not written as the store writes its keys, because sessions and revocations are kept by the
    /// text.
    pub fn to_key<T: FromStr + fmt::Display>(&self) -> Option<T> {
        self.0.parse().ok().filter(|id: &T| id.to_string() == *self.0)
    }

    /// Returns whether tokens can carry the id: it has 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes.
    pub(crate) fn fits(text: &str) -> bool {
        (1..=Self::MAX_BYTES).contains(&text.len())
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = Infallible;

    fn from_str(id: &str) -> Result<Self, Infallible> {
        Ok(id.into())
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer).map(|id| Self(id.into()))
    }
}

impl From<&str> for UserId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for UserId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<i64> for UserId {
    fn from(id: i64) -> Self {
        Self(id.to_string().into())
    }
}

impl From<u64> for UserId {
    fn from(id: u64) -> Self {
        Self(id.to_string().into())
    }
}

impl From<i32> for UserId {
    fn from(id: i32) -> Self {
        Self(id.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = UserId::from(42);
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"42\"");
        assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<UserId>("42").is_err(), "ids are texts");
    }
}
