//! Tokens of each algorithm, and three ways to verify them that are not ours: the signature alone,
//! a minimum by hand, and `jsonwebtoken`.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::DecodingKey;
use portcullis::{
    Auth, User,
    keys::{Algorithm, Key, KeyRing},
    store::memory::MemoryStore,
};
use serde::Deserialize;

use crate::{
    handwritten_peer::Peer,
    setup::{ACCESS_SECRET, ISSUER, REFRESH_SECRET, access_tokens, start},
};

/// The algorithms that are measured.
pub const ALGORITHMS: [Algorithm; 4] = [Algorithm::HS256, Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// A service with a key of one algorithm, its tokens, and the same key in the hands of others.
pub struct Tokens {
    /// How its key signs.
    pub algorithm: Algorithm,
    /// Where it keeps its users.
    pub store: MemoryStore,
    /// The service; it remembers no token.
    pub auth: Auth<User>,
    /// The same service, which remembers tokens.
    pub remembering: Auth<User>,
    /// Tokens of different users.
    pub tokens: Vec<String>,
    /// The key alone.
    pub bare: Bare,
    /// `jsonwebtoken`.
    pub peer: Peer,
}

impl Tokens {
    /// As many tokens of this algorithm, without roles.
    pub fn new(algorithm: Algorithm, count: usize) -> Self {
        let store = MemoryStore::new();
        let ring = || KeyRing::new(key(algorithm));
        let builder = |bytes| {
            let builder = Auth::builder(store.clone(), store.clone()).issuer(ISSUER).refresh_secret(REFRESH_SECRET);
            builder.access_keys(ring()).token_cache(bytes).build().expect("the settings are good")
        };
        let (auth, remembering) = (builder(0), builder(16 << 20));
        let tokens = access_tokens(&store, &auth, count, &[]);
        for token in &tokens {
            start(&auth, token);
            start(&remembering, token);
        }
        let bare = Bare::new(algorithm, &tokens[0]);
        Self { algorithm, auth, remembering, tokens, bare, peer: peer(algorithm), store }
    }
}

/// The private and the public key in PEM.
fn pems(algorithm: Algorithm) -> (&'static str, &'static str) {
    match algorithm {
        Algorithm::EdDSA => {
            (include_str!("../../tests/keys/ed25519.pem"), include_str!("../../tests/keys/ed25519.pub.pem"))
        }
        Algorithm::ES256 => (include_str!("../../tests/keys/p256.pem"), include_str!("../../tests/keys/p256.pub.pem")),
        _ => (include_str!("../../tests/keys/rsa2048.pem"), include_str!("../../tests/keys/rsa2048.pub.pem")),
    }
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).expect("it is PEM")
}

fn key(algorithm: Algorithm) -> Key {
    let key = match algorithm {
        Algorithm::HS256 => Key::from_secret(ACCESS_SECRET),
        _ => Key::from_pem(pems(algorithm).0),
    };
    key.expect("it is a good key")
}

fn peer(algorithm: Algorithm) -> Peer {
    let public = pems(algorithm).1.as_bytes();
    match algorithm {
        Algorithm::EdDSA => {
            Peer::with_key(jsonwebtoken::Algorithm::EdDSA, DecodingKey::from_ed_pem(public).expect("it is a key"))
        }
        Algorithm::ES256 => {
            Peer::with_key(jsonwebtoken::Algorithm::ES256, DecodingKey::from_ec_pem(public).expect("it is a key"))
        }
        Algorithm::RS256 => {
            Peer::with_key(jsonwebtoken::Algorithm::RS256, DecodingKey::from_rsa_pem(public).expect("it is a key"))
        }
        _ => Peer::new(),
    }
}

/// A key that was prepared once, and the header that its tokens have.
pub struct Bare {
    verifies: Verifies,
    signs: Signs,
    header: String,
}

#[allow(clippy::large_enum_variant, reason = "there is one")]
enum Verifies {
    Hmac(hmac::Key),
    Public(ParsedPublicKey),
}

#[allow(clippy::large_enum_variant, reason = "there is one")]
enum Signs {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// What the minimum hands over: the same as ours does, without the issuer and the audience, which
/// were checked.
#[derive(Debug)]
#[allow(missing_docs, reason = "they are named as in the token")]
pub struct Kept {
    pub sub: String,
    pub jti: String,
    pub sid: String,
    pub ver: u64,
    pub exp: i64,
    pub iat: i64,
    pub auth_time: i64,
    pub roles: Vec<String>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    auth_time: i64,
    sid: &'a str,
    ver: u64,
    #[serde(default)]
    roles: Vec<String>,
}

impl Bare {
    fn new(algorithm: Algorithm, token: &str) -> Self {
        let (private, public) = pems(algorithm);
        let public = |algorithm| ParsedPublicKey::new(algorithm, der(public)).expect("it is a key");
        let private = der(private);
        let hmac = || hmac::Key::new(hmac::HMAC_SHA256, ACCESS_SECRET.as_bytes());
        let (verifies, signs) = match algorithm {
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8(&private).expect("it is a key");
                (Verifies::Public(public(&ED25519)), Signs::Ed25519(pair))
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private).expect("it is a key");
                (Verifies::Public(public(&ECDSA_P256_SHA256_FIXED)), Signs::P256(pair))
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(&private).expect("it is a key");
                (Verifies::Public(public(&RSA_PKCS1_2048_8192_SHA256)), Signs::Rsa(pair))
            }
            _ => (Verifies::Hmac(hmac()), Signs::Hmac(hmac())),
        };
        let header = token.split('.').next().expect("it is a token").to_owned();
        Self { verifies, signs, header }
    }

    /// The key of a token that [`auth`](crate::setup::auth) has issued.
    pub fn hs256(token: &str) -> Self {
        Self::new(Algorithm::HS256, token)
    }

    /// Whether the signature is good.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifies {
            Verifies::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Verifies::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    /// Signs, and says how long the signature is.
    pub fn sign(&self, message: &[u8]) -> usize {
        match &self.signs {
            Signs::Hmac(key) => hmac::sign(key, message).as_ref().len(),
            Signs::Ed25519(key) => key.sign(message).as_ref().len(),
            Signs::P256(key) => key.sign(&SystemRandom::new(), message).expect("it signs").as_ref().len(),
            Signs::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("it signs");
                signature.len()
            }
        }
    }

    /// The minimum by hand: splits, compares the header, checks the signature, parses the claims
    /// once, and compares expiry, issuer and audience. It has one key and knows no revocations, no
    /// retired keys and no injected clock.
    pub fn minimum(&self, token: &str) -> Option<Kept> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        if header != self.header {
            return None;
        }
        let mut buffer = [0; 520];
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut buffer).ok()?;
        if !self.verify(message.as_bytes(), buffer.get(..length)?) {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Payload<'_> = serde_json::from_slice(&payload).ok()?;
        if claims.exp <= i64::try_from(now).ok()? || claims.iss != ISSUER || claims.aud != ISSUER {
            return None;
        }
        let Payload { sub, jti, sid, ver, exp, iat, auth_time, roles, .. } = claims;
        Some(Kept { sub: sub.to_owned(), jti: jti.to_owned(), sid: sid.to_owned(), ver, exp, iat, auth_time, roles })
    }
}

/// What is signed of a token, and its signature.
pub fn parts(token: &str) -> (Vec<u8>, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("it is a token");
    (message.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(signature).expect("it is base64url"))
}
