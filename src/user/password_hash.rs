//! [`PasswordHash`]: the text of a hash, which `Debug` does not print.

/// A password hash in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$…`). `Debug` prints `[redacted]`.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string. The string is not checked: a hash that cannot be verified fails at the
    /// next login.
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// Returns the PHC string, to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}
