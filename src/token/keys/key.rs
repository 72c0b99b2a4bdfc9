//! One key, checked when it is read.

use std::{fmt, path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use zeroize::Zeroizing;

use super::{
    Algorithm, KeyError, PublicKey, der, jwk,
    material::{Material, without_mark},
    pem,
    secret_strength::{secret_problem, trimmed},
};
use crate::{
    error::Error,
    random,
    secret::Secret,
    token::crypto::{self, PreparedKey},
};

/// A key with its one algorithm and its name (`kid`).
///
/// Reading one refuses what is weak: short and well-known secrets, RSA below 2048 bits, Ed25519 keys of small order,
/// points that are on no curve, private and public halves that do not belong together.
#[derive(Clone)]
pub struct Key {
    kid: Box<str>,
    algorithm: Algorithm,
    /// Absent where only the public half is known.
    signing: Option<EncodingKey>,
    /// Absent for secrets.
    public: Option<PublicKey>,
    prepared: Arc<PreparedKey>,
}

impl Key {
    /// A secret for HS256: at least 32 random bytes, such as from `openssl rand -base64 48`.
    ///
    /// The bytes are taken as they are. Where they are a text, white space around it does not count for its strength.
    ///
    /// # Errors
    /// [`KeyError`] for a secret that is short, repeats itself or is from a tutorial.
    pub fn from_secret(secret: impl Into<Secret<Vec<u8>>>) -> Result<Self, KeyError> {
        Self::new(Material::Secret(secret.into()), Algorithm::HS256)
    }

    /// A key in PEM: PKCS #8 (`PRIVATE KEY`), PKCS #1 (`RSA PRIVATE KEY`) or a public key. The algorithm follows the key:
    /// `EdDSA` for Ed25519, ES256 for P-256, RS256 for RSA.
    ///
    /// # Errors
    /// [`KeyError`] for anything else, and for keys that are weak.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::followed(pem::parse(pem.as_ref())?)
    }

    /// A key as a JSON Web Key (RFC 7517), private or public. Its `alg` is the algorithm; without one it follows the key,
    /// as for [`from_pem`](Self::from_pem), and is HS256 for a secret. Its `kid` is not taken over: see [`kid`](Self::kid).
    ///
    /// # Errors
    /// [`KeyError`] for anything else, for an `alg` that does not fit, and for keys that are weak.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let (material, algorithm) = jwk::parse(without_mark(json))?;
        match algorithm {
            Some(algorithm) => Self::new(material, algorithm),
            None => Self::followed(material),
        }
    }

    /// Reads a file of [PEM](Self::from_pem) or a [JWK](Self::from_jwk).
    ///
    /// # Errors
    /// [`KeyError`], which names the file, where it cannot be read or what is in it is refused.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        Self::from_unnamed_file(path).map_err(|error| KeyError::new(format!("{}: {error}", path.display())))
    }

    /// Reads a file whose path may not be shown: somebody may have put the key itself in its place.
    pub(crate) fn from_unnamed_file(path: &Path) -> Result<Self, KeyError> {
        let read = std::fs::read(path).map(Zeroizing::new);
        let content = read.map_err(|error| KeyError::new(format!("the key file cannot be read: {error}")))?;
        if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
            return Err(KeyError::new("the key file is in UTF-16: save it as UTF-8"));
        }
        let key = match std::str::from_utf8(&content) {
            Ok(json) if without_mark(json).trim_start().starts_with('{') => Self::from_jwk(json),
            _ => Self::from_pem(content.as_slice()),
        };
        key.map_err(|error| KeyError::new(format!("the key in the file {error}")))
    }

    /// Draws a new Ed25519 key. Keep it with [`private_pem`](Self::private_pem): every node needs the same.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) where the operating system has no randomness.
    pub fn generate_ed25519() -> Result<Self, Error> {
        let pkcs8 = der::ed25519_pkcs8(&Zeroizing::new(random::bytes::<32>()?));
        let x = crypto::ed25519_public(&pkcs8).ok_or_else(|| Error::internal("the backend refuses an Ed25519 seed"))?;
        let encoding = EncodingKey::from_ed_der(&pkcs8);
        let material = Material::Private { encoding, public: PublicKey::Ed25519 { x } };
        Self::followed(material).map_err(Error::internal)
    }

    /// The same key for another algorithm of its family: PS256 for an RSA key, HS384 or HS512 for a secret of 48 or 64
    /// bytes.
    ///
    /// # Errors
    /// [`KeyError`] for an algorithm that does not fit the key.
    pub fn with_algorithm(self, algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::new(self.into_material()?, algorithm)
    }

    /// The key's name in headers and JWK sets.
    ///
    /// It is derived from the key, so that every node finds the same without being told: the RFC 7638 thumbprint of a
    /// public key, a digest under the key of a secret.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What is equal for the same key, and for a secret with and without white space around it.
    pub(crate) fn identity(&self) -> String {
        match (&self.public, &self.signing) {
            (None, Some(secret)) => hmac_kid(trimmed(secret.as_bytes())),
            _ => self.kid().to_owned(),
        }
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it can sign, not only verify.
    pub fn is_private(&self) -> bool {
        self.signing.is_some()
    }

    /// The private key in PEM, to be kept in a file that only the service can read; nothing for secrets and public keys.
    pub fn private_pem(&self) -> Option<Secret<String>> {
        Some(pem::write(self.signing.as_ref()?, self.public.as_ref()?))
    }

    /// The public half as a JWK; nothing for secrets, which have none.
    pub fn public_jwk(&self) -> Option<String> {
        self.public.as_ref().map(|public| public.jwk(self.algorithm, &self.kid))
    }

    pub(in crate::token) fn signing(&self) -> Option<&EncodingKey> {
        self.signing.as_ref()
    }

    /// Returns whether this key made the signature of the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.prepared.verify(message, signature)
    }

    pub(in crate::token) fn prepared(&self) -> Arc<PreparedKey> {
        Arc::clone(&self.prepared)
    }

    fn followed(material: Material) -> Result<Self, KeyError> {
        let algorithm = match &material {
            Material::Secret(_) => Algorithm::HS256,
            Material::Private { public, .. } | Material::Public(public) => public.algorithm(),
        };
        Self::new(material, algorithm)
    }

    fn into_material(self) -> Result<Material, KeyError> {
        match (self.signing, self.public) {
            (Some(encoding), Some(public)) => Ok(Material::Private { encoding, public }),
            (None, Some(public)) => Ok(Material::Public(public)),
            (Some(secret), None) => Ok(Material::Secret(Secret::from(secret.as_bytes()))),
            (None, None) => Err(KeyError::new("is empty")),
        }
    }

    fn new(material: Material, algorithm: Algorithm) -> Result<Self, KeyError> {
        let (signing, public) = match material {
            Material::Secret(secret) => return Self::hmac(&secret, algorithm),
            Material::Private { encoding, public } => (Some(encoding), public),
            Material::Public(public) => (None, public),
        };
        if let Some(problem) = public.problem() {
            return Err(KeyError::new(problem));
        }
        let own = public.algorithm();
        let prepared = PreparedKey::public(algorithm, &public).ok_or_else(|| {
            let fits = own == algorithm || (own, algorithm) == (Algorithm::RS256, Algorithm::PS256);
            KeyError::new(if fits {
                format!("is no point of the curve or no number that {algorithm} takes: make another one")
            } else {
                format!("does not fit the algorithm {algorithm}: it is one for {own}")
            })
        })?;
        if let Some(signing) = &signing {
            let message = b"portcullis: do the halves belong together?";
            let together =
                crypto::sign(algorithm, signing, message).is_ok_and(|signature| prepared.verify(message, &signature));
            if !together {
                return Err(KeyError::new("is damaged: what it signs does not verify under its public half"));
            }
        }
        let kid = public.thumbprint().ok_or_else(|| KeyError::new("has no thumbprint"))?;
        Ok(Self { kid: kid.into(), algorithm, signing, public: Some(public), prepared: Arc::new(prepared) })
    }

    fn hmac(secret: &Secret<Vec<u8>>, algorithm: Algorithm) -> Result<Self, KeyError> {
        let secret = secret.expose();
        if let Some(problem) = secret_problem(algorithm, secret) {
            return Err(KeyError::new(problem));
        }
        let prepared = PreparedKey::hmac(algorithm, secret).ok_or_else(|| {
            KeyError::new(format!("is a secret, which {algorithm} cannot use: take HS256, HS384 or HS512"))
        })?;
        let signing = Some(EncodingKey::from_secret(secret));
        Ok(Self { kid: hmac_kid(secret).into(), algorithm, signing, public: None, prepared: Arc::new(prepared) })
    }
}

/// A name for a secret that every node with it finds by itself, and that tells nothing a token does not tell: both are
/// HMACs under the secret.
fn hmac_kid(secret: &[u8]) -> String {
    let digest = crypto::hmac_sha256(secret, b"portcullis key id");
    URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}
