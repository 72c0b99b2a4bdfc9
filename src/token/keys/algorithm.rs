//! [`Algorithm`]: the signature algorithms.

use std::fmt;

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). A key has exactly one, and a token cannot
/// select another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256. One secret signs and verifies. The fastest choice if one service does
    /// both.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// Ed25519. It has small keys and signatures, signs fast, and has a public half for services
    /// that only verify. The recommended choice if every verifier supports it.
    EdDSA,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSA PKCS #1 v1.5 with SHA-256. Every verifier supports it. It verifies fast, signs slowly
    /// and has long signatures.
    RS256,
    /// RSA-PSS with SHA-256.
    PS256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 7] =
        [Self::HS256, Self::HS384, Self::HS512, Self::EdDSA, Self::ES256, Self::RS256, Self::PS256];

    /// Returns the name in a token's header (`alg`).
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

    /// Returns whether the verifying key differs from the signing key, so that it may be published.
    pub const fn is_asymmetric(self) -> bool {
        !matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        // RFC 9864 gives EdDSA on this curve another name. It is accepted, and not issued yet.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Returns the least length of a secret: that of the hash (RFC 7518 §3.2).
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
