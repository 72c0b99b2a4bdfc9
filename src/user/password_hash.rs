//! [`PasswordHash`]: the text of a hash, which is not printed.

/// A password hash in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$…`), redacted in `Debug`.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string; whether it can be verified shows at the next login.
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The string to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}
