//! [`UserId`]: the string that names a user in tokens and stores.

use std::{fmt, str::FromStr, sync::Arc};

/// Names a user: the `sub` of their tokens (RFC 7519 §4.1.2) and the key of their row.
///
/// A string, because stores have integers, UUIDs and object ids; cheap to clone. An id that a store cannot parse belongs
/// to nobody and is "not found", never an error.
///
/// ```
/// use portcullis::UserId;
/// assert_eq!(UserId::from(42).as_str(), "42");
/// assert_eq!(UserId::from("65f0c0ffee").parse::<i64>(), None);
/// // Another user than 42, whose sessions and endings are under another name.
/// assert_eq!(UserId::from("042").parse::<i64>(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

impl UserId {
    /// The longest id that tokens carry, in bytes: room for any key in use, and no room for abuse.
    pub const MAX_BYTES: usize = 256;

    /// The id as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in the store's own type, or `None` where it is not one of the store's, written as the store writes it: sessions
    /// and endings are kept by the text.
    pub fn parse<T: FromStr + fmt::Display>(&self) -> Option<T> {
        self.0.parse().ok().filter(|id: &T| id.to_string() == *self.0)
    }

    /// Whether tokens can carry it: 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes.
    pub(crate) fn fits(text: &str) -> bool {
        (1..=Self::MAX_BYTES).contains(&text.len())
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
