//! Tokens taken apart and put together again, with the secrets that the tests gave to the server.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};

use crate::server::{ACCESS_SECRET, REFRESH_SECRET};

/// A genuine token, to be changed. It signs what it makes with the right secret.
#[derive(Clone)]
pub(crate) struct Genuine {
    secret: &'static str,
    text: String,
    pub(crate) header: String,
    pub(crate) payload: String,
    pub(crate) signature: String,
    pub(crate) claims: Map<String, Value>,
}

impl Genuine {
    #[track_caller]
    pub(crate) fn access(text: &str) -> Self {
        Genuine::parse(text, ACCESS_SECRET)
    }

    #[track_caller]
    pub(crate) fn refresh(text: &str) -> Self {
        Genuine::parse(text, REFRESH_SECRET)
    }

    #[track_caller]
    fn parse(text: &str, secret: &'static str) -> Self {
        let [header, payload, signature] = text.split('.').collect::<Vec<_>>()[..] else {
            panic!("not three segments: {text}");
        };
        let claims = decode(payload).as_object().expect("claims are an object").clone();
        Genuine {
            secret,
            text: text.to_owned(),
            header: header.to_owned(),
            payload: payload.to_owned(),
            signature: signature.to_owned(),
            claims,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn claim(&self, name: &str) -> &Value {
        self.claims.get(name).unwrap_or(&Value::Null)
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.claim(name).as_i64().unwrap_or_else(|| panic!("{name} is no number: {:?}", self.claims))
    }

    /// The genuine header, these bytes as the payload, a right signature.
    pub(crate) fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        sign("HS256", self.secret, &self.header, &encode(payload))
    }

    /// The genuine header, the claims as changed, a right signature.
    pub(crate) fn with_claims(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.with_payload(Value::Object(claims).to_string())
    }

    pub(crate) fn with(&self, name: &str, value: Value) -> String {
        self.with_claims(|claims| {
            claims.insert(name.to_owned(), value);
        })
    }

    pub(crate) fn without(&self, name: &str) -> String {
        assert!(self.claims.contains_key(name), "a genuine token has no {name} to leave out");
        self.with_claims(|claims| {
            claims.remove(name);
        })
    }

    /// A claim as JSON text of its own, for what no JSON value can hold.
    pub(crate) fn with_literal(&self, name: &str, literal: &str) -> String {
        let mut claims = self.claims.clone();
        claims.remove(name);
        self.with_payload(extended(&claims, &format!("\"{name}\":{literal}")))
    }

    /// Every claim as it is, and one more member behind them, which may repeat one.
    pub(crate) fn with_member(&self, member: &str) -> String {
        self.with_payload(extended(&self.claims, member))
    }

    /// The genuine payload under a changed header, signed as `alg` says, or not at all.
    pub(crate) fn with_header(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut header = decode(&self.header).as_object().expect("a header is an object").clone();
        change(&mut header);
        let alg = header.get("alg").and_then(Value::as_str).unwrap_or_default().to_owned();
        let header = encode(Value::Object(header).to_string());
        sign(&alg, self.secret, &header, &self.payload)
    }

    /// The same claims, signed with a secret that the server does not know.
    pub(crate) fn signed_with(&self, secret: &str) -> String {
        sign("HS256", secret, &self.header, &self.payload)
    }
}

fn extended(claims: &Map<String, Value>, member: &str) -> String {
    let object = json!(claims).to_string();
    let open = object.strip_suffix('}').expect("an object ends with a brace");
    format!("{open},{member}}}")
}

fn sign(alg: &str, secret: &str, header: &str, payload: &str) -> String {
    let signed = format!("{header}.{payload}");
    let (key, text) = (secret.as_bytes(), signed.as_bytes());
    let signature = match alg {
        "HS384" => {
            let mac = Hmac::<Sha384>::new_from_slice(key).expect("any length will do");
            mac.chain_update(text).finalize().into_bytes().to_vec()
        }
        "HS512" => {
            let mac = Hmac::<Sha512>::new_from_slice(key).expect("any length will do");
            mac.chain_update(text).finalize().into_bytes().to_vec()
        }
        _ => {
            let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
            mac.chain_update(text).finalize().into_bytes().to_vec()
        }
    };
    format!("{signed}.{}", encode(signature))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[track_caller]
fn decode(segment: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(segment).expect("a segment is base64url");
    serde_json::from_slice(&bytes).expect("a segment is JSON")
}

/// Seconds since 1970, as the server's clock has them.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(since.as_secs()).expect("seconds fit")
}
