//! [`Secret`]: a value that is zeroized when dropped and never printed.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, Zeroizing};

/// A password, key or token in memory. It is redacted in `Debug` and zeroized when dropped.
///
/// It has no `PartialEq`, because the time of a comparison with `==` shows how long the common
/// prefix is. It has no `Display` and no `Serialize`, so that nothing prints it by accident. Only
/// [`expose`](Self::expose) returns the value, so that a search finds all uses.
///
/// # Examples
///
/// ```
/// use portcullis::Secret;
/// let password: Secret<String> = "correct horse battery staple".into();
/// assert_eq!(format!("{password:?}"), "Secret([redacted])");
/// assert_eq!(password.expose().len(), 28);
/// ```
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the value.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret<Vec<u8>> {
    fn from(value: &str) -> Self {
        Self::new(value.as_bytes().to_vec())
    }
}

impl From<String> for Secret<Vec<u8>> {
    fn from(value: String) -> Self {
        Self::new(value.into_bytes())
    }
}

impl From<Vec<u8>> for Secret<Vec<u8>> {
    fn from(value: Vec<u8>) -> Self {
        Self::new(value)
    }
}

impl From<&[u8]> for Secret<Vec<u8>> {
    fn from(value: &[u8]) -> Self {
        Self::new(value.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Secret<Vec<u8>> {
    fn from(value: [u8; N]) -> Self {
        Self::new(value.to_vec())
    }
}

impl From<Secret<String>> for Secret<Vec<u8>> {
    fn from(mut value: Secret<String>) -> Self {
        Self::new(std::mem::take(&mut *value.0).into_bytes())
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}
