//! Code that the fuzz targets share. Each target feeds bytes to the public API, and compares the
//! answer with that of another implementation: nothing may panic, and every accepted input must be
//! valid.
//!
//! ```sh
//! tests/run fuzz                                                    # each for a while, with the present corpus
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz -s none token   # one for as long as you like
//! ```

use std::{convert::Infallible, sync::LazyLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use futures_util::FutureExt;
use hmac::{Hmac, Mac};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use portcullis::{
    Auth, Profile, Registration, User, auth::ClientInfo,
    clock::{ManualClock, Timestamp},
    keys::Key, resource::ResourceServer, store::memory::MemoryStore,
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

/// The `iss` and `aud` of all tokens here.
pub const ISSUER: &str = "https://example.com";
/// The key of access tokens.
pub const SECRET: &str = "Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe";
/// When everything happens.
pub const NOW: i64 = 1_800_000_000;

/// A service, and a good token of it.
pub struct World {
    /// Issues under [`SECRET`], with claims of the app's own.
    pub auth: Auth<User>,
    /// A good access token.
    pub token: String,
    /// Its header segment.
    pub header: String,
    /// Verifies tokens that [`sign_foreign`] makes.
    pub server: ResourceServer,
}

/// The one world, made once.
pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let clock = ManualClock::new(Timestamp::from_secs(NOW));
    let store = MemoryStore::new();
    let auth = Auth::builder(store.clone(), store)
        .issuer(ISSUER)
        .access_secret(SECRET)
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .custom_claims(|_: &User| json!({ "tenant": "acme" }))
        .hash_threads(1)
        .clock(clock.clone())
        .build()
        .expect("the settings are good");
    let token = {
        let ada = Registration::new("ada@example.com", "open sesame 42", Profile::default());
        let client = ClientInfo::unknown();
        let ada = futures_util::future::FutureExt::boxed(auth.register(ada, &client));
        let ada = block_on(ada).expect("there is room");
        let outcome = at_once(auth.start_session(&ada, &client)).expect("there is room");
        outcome.into_logged_in().expect("no second factor").tokens.access_token.expose().clone()
    };
    let header = token.split('.').next().expect("it is a token").to_owned();
    let x = URL_SAFE_NO_PAD.encode(foreign_key().verifying_key().as_bytes());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1" }] });
    let server = ResourceServer::builder(ISSUER, ISSUER).jwks(set.to_string()).clock(clock).build();
    World { auth, token, header, server: server.expect("the settings are good") }
});

/// Hashing alone waits, on a thread of its own.
fn block_on<T>(mut future: futures_util::future::BoxFuture<'_, T>) -> T {
    loop {
        if let Some(done) = (&mut future).now_or_never() {
            return done;
        }
        std::thread::yield_now();
    }
}

/// What the memory store answers, which never waits.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing waits here")
}

fn foreign_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Two segments in base64url, to be signed.
pub fn message(header: &[u8], payload: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

/// A message with a good signature under [`SECRET`].
pub fn sign(message: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes any key");
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// A message with a good signature of the foreign issuer's.
pub fn sign_foreign(message: &str) -> String {
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(foreign_key().sign(message.as_bytes()).to_bytes()))
}

/// Reads a token with `jsonwebtoken`. It does not know our clock, so the caller checks the times.
pub fn second_opinion(token: &str, algorithm: Algorithm) -> Value {
    let key = match algorithm {
        Algorithm::HS256 => DecodingKey::from_secret(SECRET.as_bytes()),
        _ => DecodingKey::from_ed_der(foreign_key().verifying_key().as_bytes()),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[ISSUER]);
    validation.validate_exp = false;
    let claims: Value = jsonwebtoken::decode(token, &key, &validation).expect("what we accept, it accepts").claims;
    // Another issuer may write fractions. They never count in favour of a token.
    let time = |name: &str| {
        let time = claims.get(name)?;
        assert!(time.is_i64() || algorithm != Algorithm::HS256, "our own times are whole numbers");
        Some(time.as_f64().expect("times are numbers"))
    };
    let ahead = (NOW + 60) as f64;
    assert!(time("exp").expect("it expires").floor() > NOW as f64);
    assert!(["nbf", "iat"].into_iter().filter_map(time).all(|time| time.ceil() <= ahead));
    claims
}

/// Shows a request to the guard; says what it answers.
pub fn knock(request: Request<Full<Bytes>>) -> StatusCode {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let guarded = WORLD.auth.require().layer(inner);
    let Ok(response) = at_once(guarded.oneshot(request));
    response.status()
}

/// A line of the fuzzer's, in which the byte 1 stands for the good token.
pub fn with_token(line: &[u8]) -> Vec<u8> {
    line.iter()
        .flat_map(|byte| if *byte == 1 { WORLD.token.as_bytes() } else { std::slice::from_ref(byte) })
        .copied()
        .collect()
}

/// A key that was read can be written and read again, and is the same.
pub fn check_key(key: &Key) {
    if let Some(jwk) = key.public_jwk() {
        let again = Key::from_jwk(&jwk).expect("what we write, we read");
        assert_eq!((again.kid(), again.algorithm()), (key.kid(), key.algorithm()));
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&jwk).expect("it is a JWK");
        let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(thumbprint.expect("it has one"), key.kid());
    }
    if let Some(pem) = key.private_pem() {
        assert_eq!(Key::from_pem(pem.expose()).expect("what we write, we read").kid(), key.kid());
    }
}
