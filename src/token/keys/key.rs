//! [`Key`]: one key, checked when it is read.

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
/// Each constructor refuses keys that are weak or invalid: short and well-known secrets, RSA below
/// 2,048 bits, Ed25519 keys of small order, points that are not on the curve, and private and
/// public halves of different keys.
///
/// # Examples
///
/// ```
/// use portcullis::keys::{Algorithm, Key};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = Key::generate_ed25519()?;
/// assert_eq!(key.algorithm(), Algorithm::EdDSA);
/// assert!(key.is_private() && key.public_jwk().is_some());
/// assert!(Key::from_secret("too short").is_err());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Key {
    kid: Box<str>,
    algorithm: Algorithm,
    /// `None` for public keys.
    signing: Option<EncodingKey>,
    /// `None` for secrets.
    public: Option<PublicKey>,
    prepared: Arc<PreparedKey>,
}

impl Key {
    /// Makes an HS256 key of a secret: at least 32 random bytes, for example from
    /// `openssl rand -base64 48`.
    ///
    /// The bytes are used unchanged. White space around a text does not count as strength.
    ///
    /// # Errors
    /// [`KeyError`] if the secret is short, repeats itself or comes from a tutorial.
    pub fn from_secret(secret: impl Into<Secret<Vec<u8>>>) -> Result<Self, KeyError> {
        Self::new(Material::Secret(secret.into()), Algorithm::HS256)
    }

    /// Reads a key in PEM: PKCS #8 (`PRIVATE KEY`), PKCS #1 (`RSA PRIVATE KEY`) or a public key.
    /// The type of the key decides the algorithm: `EdDSA` for Ed25519, ES256 for P-256, RS256 for
    /// RSA.
    ///
    /// # Errors
    /// [`KeyError`] if the text is something else, or if the key is weak.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::with_usual_algorithm(pem::parse(pem.as_ref())?)
    }

    /// Reads a JSON Web Key (RFC 7517), private or public.
    ///
    /// Its `alg` is the algorithm. Without `alg`, the type of the key decides, as for
    /// [`from_pem`](Self::from_pem), and a secret gets HS256. Its `kid` is ignored: see
    /// [`kid`](Self::kid).
    ///
    /// # Errors
    /// [`KeyError`] if the text is something else, if `alg` does not fit the key, or if the key is
    /// weak.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let (material, algorithm) = jwk::parse(without_mark(json))?;
        match algorithm {
            Some(algorithm) => Self::new(material, algorithm),
            None => Self::with_usual_algorithm(material),
        }
    }

    /// Reads a file of [PEM](Self::from_pem) or a [JWK](Self::from_jwk).
    ///
    /// # Errors
    /// [`KeyError`] if the file cannot be read or its key is refused. The error names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        Self::from_unnamed_file(path).map_err(|error| KeyError::new(format!("{}: {error}", path.display())))
    }

    /// Reads a file and keeps its path out of errors, because a setting for a path may hold the key
    /// itself by mistake.
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

    /// Generates an Ed25519 key. Store it with [`private_pem`](Self::private_pem), because every
    /// node needs the same key.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the operating system has no
    /// randomness.
    pub fn generate_ed25519() -> Result<Self, Error> {
        let pkcs8 = der::ed25519_pkcs8(&Zeroizing::new(random::bytes::<32>()?));
        let x = crypto::ed25519_public(&pkcs8).ok_or_else(|| Error::internal("the backend refuses an Ed25519 seed"))?;
        let encoding = EncodingKey::from_ed_der(&pkcs8);
        let material = Material::Private { encoding, public: PublicKey::Ed25519 { x } };
        Self::with_usual_algorithm(material).map_err(Error::internal)
    }

    /// Sets another algorithm of the same family: PS256 for an RSA key, HS384 for a secret of at
    /// least 48 bytes, HS512 for one of at least 64 bytes.
    ///
    /// # Errors
    /// [`KeyError`] if the algorithm does not fit the key.
    pub fn with_algorithm(self, algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::new(self.into_material()?, algorithm)
    }

    /// Returns the name of the key in headers and JWK sets.
    ///
    /// Every node derives the same name from the key: the thumbprint of a public key (RFC 7638), or
    /// an HMAC under a secret.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns a name that is equal for equal keys. White space around a secret does not change it.
    pub(crate) fn identity(&self) -> String {
        match (&self.public, &self.signing) {
            (None, Some(secret)) => hmac_kid(trimmed(secret.as_bytes())),
            _ => self.kid().to_owned(),
        }
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns whether the key can sign. A public key can only verify.
    pub fn is_private(&self) -> bool {
        self.signing.is_some()
    }

    /// Returns the private key in PEM, for a file that only the service can read. Returns `None`
    /// for secrets and public keys.
    pub fn private_pem(&self) -> Option<Secret<String>> {
        Some(pem::write(self.signing.as_ref()?, self.public.as_ref()?))
    }

    /// Returns the public half as a JWK. Returns `None` for secrets, which have no public half.
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

    fn with_usual_algorithm(material: Material) -> Result<Self, KeyError> {
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
                format!("has a point or a number that is not valid for {algorithm}: generate another key")
            } else {
                format!("does not fit the algorithm {algorithm}: it is a key for {own}")
            })
        })?;
        if let Some(signing) = &signing {
            let message = b"portcullis: do the halves belong together?";
            let together =
                crypto::sign(algorithm, signing, message).is_ok_and(|signature| prepared.verify(message, &signature));
            if !together {
                return Err(KeyError::new("is damaged: its signatures do not verify with its public half"));
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
            KeyError::new(format!("is a secret, which {algorithm} cannot use: use HS256, HS384 or HS512"))
        })?;
        let signing = Some(EncodingKey::from_secret(secret));
        Ok(Self { kid: hmac_kid(secret).into(), algorithm, signing, public: None, prepared: Arc::new(prepared) })
    }
}

/// Derives the name of a secret. Every node derives the same name. It reveals no more than a token,
/// because both are HMACs under the secret.
fn hmac_kid(secret: &[u8]) -> String {
    let digest = crypto::hmac_sha256(secret, b"portcullis key id");
    URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).field("kid", &self.kid).finish_non_exhaustive()
    }
}
