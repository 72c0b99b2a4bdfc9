//! Where a token is looked for: `Authorization` and `Cookie` headers in any number, with anything
//! in them.

#![no_main]

use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{WORLD, knock, with_token};

fuzz_target!(|data: &[u8]| {
    let mut request = Request::new(Full::default());
    let mut authorizations = Vec::new();
    // Each line is a header; its first byte says which.
    for line in data.split(|byte| *byte == b'\n') {
        let Some((which, line)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(&with_token(line)) else { continue };
        let name =
            [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION][usize::from(*which) % 3].clone();
        if name == header::AUTHORIZATION {
            authorizations.push(value.clone());
        }
        request.headers_mut().append(name, value);
    }
    let has_cookie = request.headers().contains_key(header::COOKIE);
    let status = knock(request);
    assert!([StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
    if authorizations.len() > 1 {
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    if let ([value], StatusCode::OK) = (authorizations.as_slice(), status) {
        let value = value.as_bytes();
        let bearer = value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Bearer "));
        // A Bearer header decides, good or bad; another scheme leaves it to the cookie.
        assert!(if bearer { value[7..].trim_ascii() == WORLD.token.as_bytes() } else { has_cookie });
    }
});
