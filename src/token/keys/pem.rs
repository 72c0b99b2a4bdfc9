//! Reads and writes keys in PEM (RFC 7468).

use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, EncodingKey};
use zeroize::Zeroizing;

use super::{
    KeyError, PublicKey, der,
    material::{Material, without_mark},
};
use crate::{secret::Secret, token::crypto};

const FIX: &str = "generate one with `openssl genpkey -algorithm ed25519`";

pub(super) fn parse(pem: &[u8]) -> Result<Material, KeyError> {
    let text = std::str::from_utf8(pem).map_err(|_| KeyError::new(format!("is not PEM: {FIX}")))?;
    let text = without_mark(text);
    let pem = text.as_bytes();
    let mut labels = text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    let label = labels.next().ok_or_else(|| KeyError::new(format!("is not PEM: {FIX}")))?;
    if labels.next().is_some() {
        return Err(KeyError::new("has more than one PEM block: remove all but that of the key"));
    }
    match label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" => private(pem),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => public(pem).map(Material::Public),
        "EC PRIVATE KEY" => Err(KeyError::new(
            "is an EC key outside of PKCS #8: convert it with `openssl pkcs8 -topk8 -nocrypt -in old.pem -out new.pem`",
        )),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::new(
            "is encrypted: decrypt it with `openssl pkcs8 -in old.pem -out new.pem`, and restrict the permissions of the file",
        )),
        "CERTIFICATE" => Err(KeyError::new(
            "is a certificate: extract the public key with `openssl x509 -pubkey -noout -in cert.pem`",
        )),
        _ => Err(KeyError::new(format!("is PEM, but not of a key: {FIX}"))),
    }
}

fn private(pem: &[u8]) -> Result<Material, KeyError> {
    if let Ok(encoding) = EncodingKey::from_ed_pem(pem) {
        let x = crypto::ed25519_public(encoding.as_bytes())
            .ok_or_else(|| KeyError::new(format!("is not an Ed25519 key in PKCS #8: {FIX}")))?;
        return Ok(Material::Private { encoding, public: PublicKey::Ed25519 { x } });
    }
    if let Ok(encoding) = EncodingKey::from_ec_pem(pem) {
        let (x, y) = crypto::p256_public(encoding.as_bytes()).ok_or_else(|| {
            KeyError::new(
                "is not an EC key on the curve P-256: \
                 generate one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`",
            )
        })?;
        return Ok(Material::Private { encoding, public: PublicKey::P256 { x, y } });
    }
    let unknown = || KeyError::new(format!("is not a private Ed25519, P-256 or RSA key: {FIX}"));
    let encoding = EncodingKey::from_rsa_pem(pem).map_err(|_| unknown())?;
    // PKCS #1: the version, the modulus, the exponent, and the secret numbers.
    let numbers = der::integers(encoding.as_bytes()).ok_or_else(unknown)?;
    let [_, n, e, ..] = numbers.as_slice() else { return Err(unknown()) };
    let public = PublicKey::Rsa { n: n.to_vec(), e: e.to_vec() };
    Ok(Material::Private { public, encoding })
}

fn public(pem: &[u8]) -> Result<PublicKey, KeyError> {
    let unknown = || KeyError::new("is not a public Ed25519, P-256 or RSA key");
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return Ok(PublicKey::Ed25519 { x: bytes(&key).ok_or_else(unknown)?.to_vec() });
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        let point = bytes(&key).ok_or_else(unknown)?;
        let Some((x, y)) = point.strip_prefix(&[4]).filter(|xy| xy.len() == 64).and_then(|xy| xy.split_at_checked(32))
        else {
            return Err(KeyError::new("is not an uncompressed public key on the curve P-256"));
        };
        return Ok(PublicKey::P256 { x: x.to_vec(), y: y.to_vec() });
    }
    let key = DecodingKey::from_rsa_pem(pem).map_err(|_| unknown())?;
    let numbers = bytes(&key).and_then(der::integers).ok_or_else(unknown)?;
    let [n, e] = numbers.as_slice() else { return Err(unknown()) };
    Ok(PublicKey::Rsa { n: n.to_vec(), e: e.to_vec() })
}

fn bytes(key: &DecodingKey) -> Option<&[u8]> {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => Some(bytes),
        DecodingKeyKind::RsaModulusExponent { .. } => None,
    }
}

/// Writes a private key in PEM, in the form that `parse` reads.
pub(super) fn write(key: &EncodingKey, public: &PublicKey) -> Secret<String> {
    let label = if matches!(public, PublicKey::Rsa { .. }) { "RSA PRIVATE KEY" } else { "PRIVATE KEY" };
    let encoded = Zeroizing::new(STANDARD.encode(key.as_bytes()));
    let mut pem = String::with_capacity(encoded.len() * 2 + 80);
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(64.min(rest.len())).filter(|(line, _)| !line.is_empty()) {
        pem.extend([line, "\n"]);
        rest = after;
    }
    pem.extend(["-----END ", label, "-----\n"]);
    Secret::new(pem)
}
