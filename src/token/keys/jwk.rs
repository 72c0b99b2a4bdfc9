//! Reads JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde::Deserialize;

use super::{Algorithm, KeyError, PublicKey, der, material::Material};
use crate::{secret::Secret, token::crypto};

/// The members of a JWK that are read. A name that is there twice is an error.
#[derive(Deserialize)]
struct Members {
    kty: String,
    alg: Option<String>,
    r#use: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<Secret<String>>,
    d: Option<Secret<String>>,
    p: Option<Secret<String>>,
    q: Option<Secret<String>>,
    dp: Option<Secret<String>>,
    dq: Option<Secret<String>>,
    qi: Option<Secret<String>>,
    oth: Option<serde::de::IgnoredAny>,
}

/// Reads a JWK. Returns its key, and the algorithm if it names one.
pub(super) fn parse(json: &str) -> Result<(Material, Option<Algorithm>), KeyError> {
    // The error of serde may repeat a value.
    let jwk: Members = serde_json::from_str(json)
        .map_err(|error| KeyError::new(format!("is not a JWK: see line {} column {}", error.line(), error.column())))?;
    if jwk.r#use.as_deref().is_some_and(|purpose| purpose != "sig") {
        return Err(KeyError::new("is a JWK that is not for signatures: set `use` to `sig`, or remove it"));
    }
    let algorithm = match jwk.alg.as_deref() {
        Some(name) => Some(Algorithm::parse(name).ok_or_else(|| {
            KeyError::new("is a JWK for another algorithm than HS256, HS384, HS512, EdDSA, ES256, RS256 and PS256")
        })?),
        None => None,
    };
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("oct", None) => Material::Secret(private_number("k", jwk.k.as_ref())?),
        ("OKP", Some("Ed25519")) => ed25519(&jwk)?,
        ("EC", Some("P-256")) => p256(&jwk)?,
        ("RSA", None) => rsa(&jwk)?,
        ("OKP" | "EC", _) => return Err(KeyError::new("is a JWK on another curve than Ed25519 and P-256")),
        _ => return Err(KeyError::new("is a JWK of another type than oct, OKP, EC and RSA")),
    };
    Ok((material, algorithm))
}

fn number(name: &str, member: Option<&str>) -> Result<Secret<Vec<u8>>, KeyError> {
    let member = member.ok_or_else(|| KeyError::new(format!("is a JWK without `{name}`")))?;
    let decoded = URL_SAFE_NO_PAD.decode(member);
    decoded
        .map(Secret::new)
        .map_err(|_| KeyError::new(format!("is a JWK whose `{name}` is not base64url without padding")))
}

fn public_number(name: &str, member: Option<&String>) -> Result<Vec<u8>, KeyError> {
    number(name, member.map(String::as_str)).map(|number| number.expose().clone())
}

fn private_number(name: &str, member: Option<&Secret<String>>) -> Result<Secret<Vec<u8>>, KeyError> {
    number(name, member.map(|member| member.expose().as_str()))
}

/// Checks that a number has exactly 32 bytes (RFC 7518 §6.2.1.2, RFC 8037 §2).
fn field(name: &str, number: &[u8]) -> Result<[u8; 32], KeyError> {
    number.try_into().map_err(|_| KeyError::new(format!("is a JWK whose `{name}` has not 32 bytes")))
}

fn ed25519(jwk: &Members) -> Result<Material, KeyError> {
    let x = field("x", &public_number("x", jwk.x.as_ref())?)?;
    let public = PublicKey::Ed25519 { x: x.to_vec() };
    if jwk.d.is_none() {
        return Ok(Material::Public(public));
    }
    let seed = private_number("d", jwk.d.as_ref())?;
    let pkcs8 = der::ed25519_pkcs8(&field("d", seed.expose())?);
    if crypto::ed25519_public(&pkcs8).is_none_or(|own| own != x) {
        return Err(KeyError::new("is a JWK whose `d` and `x` do not belong together"));
    }
    Ok(Material::Private { encoding: EncodingKey::from_ed_der(&pkcs8), public })
}

fn p256(jwk: &Members) -> Result<Material, KeyError> {
    let x = field("x", &public_number("x", jwk.x.as_ref())?)?;
    let y = field("y", &public_number("y", jwk.y.as_ref())?)?;
    let public = PublicKey::P256 { x: x.to_vec(), y: y.to_vec() };
    if jwk.d.is_none() {
        return Ok(Material::Public(public));
    }
    let d = private_number("d", jwk.d.as_ref())?;
    let pkcs8 = der::p256_pkcs8(&field("d", d.expose())?, &x, &y);
    if crypto::p256_public(&pkcs8).is_none_or(|own| own.0 != x || own.1 != y) {
        return Err(KeyError::new("is a JWK whose `d`, `x` and `y` do not belong together"));
    }
    Ok(Material::Private { encoding: EncodingKey::from_ec_der(&pkcs8), public })
}

fn rsa(jwk: &Members) -> Result<Material, KeyError> {
    let n = public_number("n", jwk.n.as_ref())?;
    let e = public_number("e", jwk.e.as_ref())?;
    let public = PublicKey::Rsa { n: der::without_zeros(&n).to_vec(), e: der::without_zeros(&e).to_vec() };
    if jwk.oth.is_some() {
        return Err(KeyError::new("is an RSA key of more than two primes"));
    }
    if jwk.d.is_none() {
        return Ok(Material::Public(public));
    }
    let mut secret = Vec::with_capacity(6);
    for (name, member) in
        [("d", &jwk.d), ("p", &jwk.p), ("q", &jwk.q), ("dp", &jwk.dp), ("dq", &jwk.dq), ("qi", &jwk.qi)]
    {
        secret.push(private_number(name, member.as_ref())?);
    }
    let version: &[u8] = &[0];
    let numbers: Vec<&[u8]> =
        [version, &n, &e].into_iter().chain(secret.iter().map(|number| number.expose().as_slice())).collect();
    Ok(Material::Private { encoding: EncodingKey::from_rsa_der(&der::sequence(&numbers)), public })
}
