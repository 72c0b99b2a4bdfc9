//! Tokens: as they come, and with a good signature over whatever the fuzzer has made of header and
//! claims.

#![no_main]

use jsonwebtoken::Algorithm;
use libfuzzer_sys::fuzz_target;
use portcullis::auth::Check;
use portcullis_fuzz::{WORLD, at_once, message, second_opinion, sign, sign_foreign};
use serde_json::Value;

/// `{"alg":"EdDSA"}`
const PLAIN_HEADER: &str = "eyJhbGciOiJFZERTQSJ9";

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    // The header, a line break, the claims.
    let split = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, claims) = data.split_at(split);
    let claims = claims.get(1..).unwrap_or_default();
    let payload = || message(b"", claims).split_off(1);
    let token = match kind % 5 {
        0 => String::from_utf8_lossy(data).into_owned(),
        1 => sign(&message(header, claims)),
        2 => sign(&format!("{}.{}", WORLD.header, payload())),
        3 => sign_foreign(&message(header, claims)),
        _ => format!("{}.{}", WORLD.token.rsplit_once('.').expect("it is a token").0, String::from_utf8_lossy(data)),
    };
    if let Ok(accepted) = at_once(WORLD.auth.authenticate(&token, Check::Stateless)) {
        assert_eq!(token.split('.').next(), Some(WORLD.header.as_str()), "the header is pinned");
        let read = second_opinion(&token, Algorithm::HS256);
        assert_eq!(read["sub"], accepted.claims.subject().as_str());
        assert_eq!(read["exp"], accepted.claims.expires_at().as_secs());
        let custom: Value = accepted.claims.custom().expect("it was parsed before");
        assert_eq!(custom, read);
    }
    if let Ok(accepted) = WORLD.server.verify(&token) {
        // `jsonwebtoken` reads more of a foreign header than we do, so it gets the claims below a
        // plain one, with the genuine signature.
        let message = token.rsplit_once('.').expect("it is a token").0;
        assert_eq!(token, sign_foreign(message));
        let claims = message.split_once('.').expect("it is a token").1;
        let plain = sign_foreign(&format!("{PLAIN_HEADER}.{claims}"));
        assert_eq!(second_opinion(&plain, Algorithm::EdDSA)["sub"], accepted.subject());
    }
});
