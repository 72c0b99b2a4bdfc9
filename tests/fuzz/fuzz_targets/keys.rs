//! Keys in PEM and JWK, and JWK sets.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{keys::Key, resource::ResourceServer};
use portcullis_fuzz::{ISSUER, check_key};

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = Key::from_pem(data) {
        check_key(&key);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = Key::from_jwk(text) {
        check_key(&key);
        if let Some(jwk) = key.public_jwk() {
            let set = format!(r#"{{"keys":[{jwk}]}}"#);
            assert!(ResourceServer::builder(ISSUER, ISSUER).jwks(set).build().is_ok());
        }
    }
    if let Ok(server) = ResourceServer::builder(ISSUER, ISSUER).jwks(text).build() {
        assert!(server.verify("a.b.c").is_err());
    }
});
