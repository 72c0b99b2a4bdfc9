//! Cookies, against what the `cookie` crate reads in the same lines.

#![no_main]

use cookie::Cookie;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::{WORLD, knock, with_token};

const NAME: &str = "__Host-access_token";

fuzz_target!(|data: &[u8]| {
    let mut request = Request::new(Full::default());
    let mut values = Vec::new();
    let mut readable = true;
    for line in data.split(|byte| *byte == b'\n') {
        // The byte 2 stands for the cookie's name.
        let line: Vec<u8> = line
            .iter()
            .flat_map(|byte| if *byte == 2 { NAME.as_bytes() } else { std::slice::from_ref(byte) })
            .copied()
            .collect();
        let Ok(value) = HeaderValue::from_bytes(&with_token(&line)) else { continue };
        // The crate trims white space of every script, we that of HTTP.
        match value.to_str() {
            Ok(text) => {
                let cookies = Cookie::split_parse(text.to_owned()).filter_map(Result::ok);
                values.extend(cookies.filter(|cookie| cookie.name() == NAME).map(|cookie| cookie.value().to_owned()));
            }
            Err(_) => readable = false,
        }
        request.headers_mut().append(header::COOKIE, value);
    }
    let admitted = knock(request) == StatusCode::OK;
    if readable {
        assert_eq!(admitted, values == [WORLD.token.as_str()], "{values:?}");
    }
});
