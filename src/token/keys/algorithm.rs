//! The signature algorithms.

use std::fmt;

/// How a key signs (RFC 7518 §3.1, RFC 8037 §3.1). A key has exactly one, and no token can ask for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret signs and verifies. The fastest, where one service does both.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// Ed25519: small, fast to sign, with a public half for services that verify only. The choice where nothing speaks
    /// against it.
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSA PKCS #1 v1.5 with SHA-256: understood everywhere, fast to verify, slow to sign, long.
    RS256,
    /// RSA-PSS with SHA-256.
    PS256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 7] =
        [Self::HS256, Self::HS384, Self::HS512, Self::EdDSA, Self::ES256, Self::RS256, Self::PS256];

    /// The name in a token's header (`alg`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
        }
    }

    /// Whether what verifies may be published.
    pub const fn is_asymmetric(self) -> bool {
        !matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        // The name that RFC 9864 gives to EdDSA on this curve is understood, and not issued yet.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The least length of a secret: the output of the hash (RFC 7518 §3.2).
    pub(super) const fn min_secret_bytes(self) -> usize {
        match self {
            Self::HS384 => 48,
            Self::HS512 => 64,
            _ => 32,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HS256 => Self::HS256,
            Algorithm::HS384 => Self::HS384,
            Algorithm::HS512 => Self::HS512,
            Algorithm::EdDSA => Self::EdDSA,
            Algorithm::ES256 => Self::ES256,
            Algorithm::RS256 => Self::RS256,
            Algorithm::PS256 => Self::PS256,
        }
    }
}
