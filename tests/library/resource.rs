//! A service that has the public keys of another one and nothing else.

use std::{convert::Infallible, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use portcullis::{
    Auth, ErrorKind, User,
    clock::Timestamp,
    keys::{Algorithm, Key, KeyRing},
    resource::{ForeignClaims, ResourceLayer, ResourceServer, ResourceServerBuilder},
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use crate::fixture::{World, kind, register, start_session};

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://api.example.com";

/// An issuer that is not of this crate, with a key of another library.
struct Issuer {
    world: World,
    key: SigningKey,
}

impl Issuer {
    fn new() -> Self {
        Self { world: World::new(), key: SigningKey::from_bytes(&[7; 32]) }
    }

    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k1", "use": "sig" })
    }

    fn server(&self) -> ResourceServerBuilder {
        let set = json!({ "keys": [self.jwk()] });
        ResourceServer::builder(ISSUER, AUDIENCE).clock(self.world.clock.clone()).jwks(set.to_string())
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// Makes a valid token and changes it. `null` removes a member.
    fn token(&self, header: &Value, payload: &Value) -> String {
        let mut good = [
            json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k1" }),
            json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": 1_800_000_900, "iat": 1_800_000_000 }),
        ];
        for (good, changes) in good.iter_mut().zip([header, payload]) {
            for (name, value) in changes.as_object().unwrap() {
                good[name] = value.clone();
            }
            good.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        self.sign(&good[0].to_string(), &good[1].to_string())
    }
}

fn none() -> Value {
    json!({})
}

#[tokio::test]
async fn tokens_of_this_crate_are_verified_by_the_published_keys() {
    let rsa = Key::from_pem(include_str!("../keys/rsa2048.pem")).unwrap();
    let pems = [include_str!("../keys/ed25519.pem"), include_str!("../keys/p256.pem")];
    let mut keys: Vec<Key> = pems.map(|pem| Key::from_pem(pem).unwrap()).to_vec();
    keys.extend([rsa.clone(), rsa.with_algorithm(Algorithm::PS256).unwrap()]);
    for key in keys {
        let world = World::new();
        let auth: Auth<User> = Auth::builder(world.store.clone(), world.store.clone())
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .access_keys(KeyRing::new(key))
            .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
            .custom_claims(|_| json!({ "tenant": "acme" }))
            .hash_threads(1)
            .clock(world.clock.clone())
            .build()
            .unwrap();
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        let server = ResourceServer::builder(ISSUER, AUDIENCE).clock(world.clock.clone()).jwks(auth.jwks());
        let server = server.build().unwrap();
        let claims = server.verify(&pair.access).unwrap();
        assert_eq!((claims.subject(), claims.issuer(), claims.client_id()), (ada.id.as_str(), ISSUER, Some(AUDIENCE)));
        let custom: Value = claims.custom().unwrap();
        assert_eq!((&custom["tenant"], custom["sid"].is_string()), (&json!("acme"), true));
        assert_eq!(kind(server.verify(&pair.refresh)), Some(ErrorKind::TokenInvalid));
        world.clock.advance(Duration::from_secs(900));
        assert_eq!(kind(server.verify(&pair.access)), Some(ErrorKind::TokenExpired));
    }
}

#[test]
fn a_profile_allows_what_another_issuer_writes_differently() {
    let issuer = Issuer::new();
    let server = issuer.server().build().unwrap();
    let token = issuer.token(
        &none(),
        &json!({
            "aud": ["other", AUDIENCE], "scope": "read write", "roles": ["admin"], "jti": "1", "anything": {"deep": [1]}
        }),
    );
    let claims = server.verify(&token).unwrap();
    assert!(claims.has_scope("read") && !claims.has_scope("") && !claims.has_scope("read write"));
    assert!(claims.has_role("admin") && claims.token_id() == Some("1"));
    for good in [
        issuer.token(&json!({ "typ": "application/AT+jwt" }), &none()),
        issuer.token(&json!({ "kid": null }), &none()),
        issuer.token(&json!({ "alg": "Ed25519" }), &none()),
        issuer.token(&none(), &json!({ "iat": null })),
        // The address in the token is never used. The key comes from the set.
        issuer.token(
            &json!({ "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "jwk": {"kty": "oct"} }),
            &none(),
        ),
    ] {
        assert!(server.verify(&good).is_ok(), "{good}");
    }
    let jwt = issuer.token(&json!({ "typ": "JWT" }), &none());
    assert!(server.verify(&jwt).is_err());
    assert!(issuer.server().token_types(["JWT"]).build().unwrap().verify(&jwt).is_ok());
}

#[test]
fn an_issuer_may_be_a_minute_ahead() {
    let issuer = Issuer::new();
    let server = issuer.server().build().unwrap();
    for ahead in [1, 60] {
        let times = json!({ "nbf": 1_800_000_000 + ahead, "iat": 1_800_000_000 + ahead });
        assert_eq!(kind(server.verify(&issuer.token(&none(), &times))), None, "{ahead} s");
        let nbf = json!({ "nbf": 1_800_000_000 + ahead });
        assert_eq!(kind(server.verify(&issuer.token(&none(), &nbf))), None, "{ahead} s");
    }
    let later = issuer.token(&none(), &json!({ "nbf": 1_800_000_061 }));
    assert_eq!(kind(server.verify(&later)), Some(ErrorKind::TokenInvalid));
    issuer.world.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(server.verify(&later)), None);
}

#[test]
fn fractions_of_times_never_make_a_token_valid_longer() {
    let issuer = Issuer::new();
    let server = issuer.server().build().unwrap();
    let token = |payload: &str| {
        let payload = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada",{payload}}}"#);
        issuer.sign(r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}"#, &payload)
    };
    let seconds = |at: Timestamp| at.as_secs();
    for (payload, exp, iat) in [
        (r#""exp":1800000900.0,"iat":1800000000.0,"nbf":1800000000.0"#, 1_800_000_900, 1_800_000_000),
        (r#""exp":1.8000009e9,"iat":18e8"#, 1_800_000_900, 1_800_000_000),
        (r#""exp":1800000900.9,"iat":1799999999.1"#, 1_800_000_900, 1_800_000_000),
        (r#""exp":1800000900.123456789012345,"iat":1800000000.000001"#, 1_800_000_900, 1_800_000_001),
        (r#""exp":1800000900,"iat":1800000059.5,"nbf":1800000059.5"#, 1_800_000_900, 1_800_000_060),
    ] {
        let claims = server.verify(&token(payload)).unwrap();
        assert_eq!((seconds(claims.expires_at()), claims.issued_at().map(seconds)), (exp, Some(iat)), "{payload}");
    }
    let soon = token(r#""exp":1800000001.9"#);
    assert_eq!(kind(server.verify(&soon)), None);
    issuer.world.clock.advance(Duration::from_secs(1));
    assert_eq!(kind(server.verify(&soon)), Some(ErrorKind::TokenExpired), "the fraction is cut off");
    for bad in [
        r#""exp":1e300"#,
        r#""exp":1e999"#,
        r#""exp":NaN"#,
        r#""exp":Infinity"#,
        r#""exp":-1800000900.0"#,
        r#""exp":-0.5"#,
        r#""exp":253402300800.0"#,
        r#""exp":18446744073709551616"#,
        r#""exp":"1800000900.0""#,
        r#""exp":[1800000900.0]"#,
        r#""exp":1800086402.5"#,
        r#""exp":1800000900,"iat":-0.5"#,
        r#""exp":1800000900,"iat":1e300"#,
        r#""exp":1800000900,"nbf":-1.5"#,
        r#""exp":1800000900,"nbf":1e300"#,
        r#""exp":1800000900,"nbf":null"#,
    ] {
        assert_eq!(kind(server.verify(&token(bad))), Some(ErrorKind::TokenInvalid), "{bad}");
    }
}

#[test]
fn unexpected_headers_and_claims_are_refused() {
    let issuer = Issuer::new();
    let server = issuer.server().build().unwrap();
    assert!(server.verify(&issuer.token(&none(), &none())).is_ok());
    let mut refused: Vec<String> = Vec::new();
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": null }),
        json!({ "alg": ["EdDSA"] }),
        json!({ "kid": "k2" }),
        json!({ "kid": "" }),
        json!({ "kid": 1 }),
        json!({ "typ": null }),
        json!({ "typ": "rt+jwt" }),
        json!({ "typ": "id_token" }),
        json!({ "crit": ["exp"] }),
        json!({ "b64": false }),
        json!({ "zip": "DEF" }),
        json!({ "enc": "A256GCM" }),
    ] {
        refused.push(issuer.token(&header, &none()));
    }
    for payload in [
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": [ISSUER] }),
        json!({ "aud": "other" }),
        json!({ "aud": null }),
        json!({ "sub": "" }),
        json!({ "sub": null }),
        json!({ "exp": null }),
        json!({ "exp": "1800000900" }),
        json!({ "exp": 1_800_086_401 }),
        json!({ "exp": 1_900_000_000, "iat": null }),
        json!({ "iat": 1_800_000_061 }),
        json!({ "iat": 1_800_000_060.5 }),
        json!({ "iat": 1_800_000_010, "exp": 1_800_000_005 }),
        json!({ "nbf": 1_800_000_061 }),
        json!({ "nbf": 1_800_000_060.5 }),
        json!({ "nbf": 1_800_000_050, "exp": 1_800_000_040 }),
        json!({ "roles": "admin" }),
    ] {
        refused.push(issuer.token(&none(), &payload));
    }
    let header = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k1"}"#;
    let payload = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"ada","exp":1800000900}}"#);
    assert!(server.verify(&issuer.sign(header, &payload)).is_ok());
    for (from, to) in
        [("{", r#"{"kid":"k1","#), ("{", r#"{"x":1,"x":1,"#), ("}", "} x"), ("{", "[{"), ("{", "\u{feff}{")]
    {
        refused.push(issuer.sign(&header.replacen(from, to, 1), &payload));
        refused.push(issuer.sign(header, &payload.replacen(from, &to.replace("kid", "sub"), 1)));
    }
    let good = issuer.token(&none(), &none());
    refused.extend([
        format!("{good}="),
        format!("{good}."),
        good.replace('.', ".."),
        good[1..].to_owned(),
        String::new(),
    ]);
    let other = Issuer { key: SigningKey::from_bytes(&[8; 32]), ..Issuer::new() };
    refused.push(other.token(&none(), &none()));
    refused.push(other.token(&json!({ "jwk": other.jwk() }), &none()));
    for token in refused {
        assert_eq!(kind(server.verify(&token)), Some(ErrorKind::TokenInvalid), "{token}");
    }
    issuer.world.clock.advance(Duration::from_secs(900));
    assert_eq!(kind(server.verify(&good)), Some(ErrorKind::TokenExpired));
}

#[test]
fn a_key_set_without_a_usable_key_is_refused() {
    let issuer = Issuer::new();
    let server = issuer.server().build().unwrap();
    let private =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": issuer.jwk()["x"], "d": URL_SAFE_NO_PAD.encode([7; 32]) });
    let ignored = json!({ "keys": [{ "kty": "EC", "crv": "P-384" }, { "kty": "AKP" }, 1] });
    let many: Vec<Value> = vec![issuer.jwk(); 65];
    for (document, words) in [
        (json!({ "keys": [] }).to_string(), "no key"),
        (ignored.to_string(), "no key"),
        (json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }).to_string(), "secret"),
        (json!({ "keys": [issuer.jwk(), private] }).to_string(), "private key"),
        (json!({ "keys": many }).to_string(), "more than 64"),
        ("[]".to_owned(), "is not one"),
        (format!("{{\"keys\":[]{}}}", " ".repeat(300_000)), "more than 262144"),
    ] {
        let error = server.replace_jwks(&document).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let good = issuer.token(&none(), &none());
    assert!(server.verify(&good).is_ok());
    let next = Issuer { key: SigningKey::from_bytes(&[8; 32]), ..Issuer::new() };
    server.replace_jwks(&json!({ "keys": [{ "kty": "AKP" }, next.jwk()] }).to_string()).unwrap();
    assert!(server.verify(&good).is_err() && server.verify(&next.token(&none(), &none())).is_ok());
    let built = ResourceServer::builder("", "").token_types([""]).leeway(Duration::from_secs(61)).build();
    assert_eq!(built.unwrap_err().problems().len(), 5);
}

#[tokio::test]
async fn the_same_guard_takes_bearer_tokens_only() {
    let issuer = Issuer::new();
    let server = issuer.server().build().unwrap();
    let handler = service_fn(|request: Request<Full<Bytes>>| async move {
        let who = request.extensions().get::<ForeignClaims>().map(|claims| claims.subject().to_owned());
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(who.unwrap_or_default())))
    });
    let token = issuer.token(&none(), &json!({ "roles": ["staff"], "scope": "read write" }));
    let call = async |layer: ResourceLayer, name: header::HeaderName, value: String| {
        let request = Request::get("/").header(name, value).body(Full::<Bytes>::default()).unwrap();
        layer.layer(handler).oneshot(request).await.unwrap().status()
    };
    let bearer = || format!("Bearer {token}");
    assert_eq!(call(server.require(), header::AUTHORIZATION, bearer()).await, StatusCode::OK);
    assert_eq!(call(server.require().role("staff"), header::AUTHORIZATION, bearer()).await, StatusCode::OK);
    assert_eq!(call(server.require().role("admin"), header::AUTHORIZATION, bearer()).await, StatusCode::FORBIDDEN);
    assert_eq!(call(server.require().scope("write"), header::AUTHORIZATION, bearer()).await, StatusCode::OK);
    assert_eq!(call(server.require().scope("admin"), header::AUTHORIZATION, bearer()).await, StatusCode::FORBIDDEN);
    let subject = |subject: &'static str| server.require().check_claims(move |claims| claims.subject() == subject);
    assert_eq!(call(subject("ada"), header::AUTHORIZATION, bearer()).await, StatusCode::OK);
    assert_eq!(call(subject("eve"), header::AUTHORIZATION, bearer()).await, StatusCode::FORBIDDEN);
    assert_eq!(call(server.require(), header::COOKIE, format!("access_token={token}")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(call(server.optional(), header::ACCEPT, "*/*".into()).await, StatusCode::OK);
    assert_eq!(
        call(server.optional(), header::AUTHORIZATION, format!("{}x", bearer())).await,
        StatusCode::UNAUTHORIZED
    );
}
