//! Finds the tokens of a request: first in `Authorization: Bearer`, then in the cookie. A token in
//! the query string is never read.

use http::{HeaderMap, header};

use crate::error::{Error, ErrorKind};

/// The place of an access token in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Bearer,
    Cookie,
}

/// An access token of a request, before it is verified. It stays bytes, because only a valid token
/// needs to be read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) token: &'a [u8],
    pub(crate) source: Source,
}

/// Finds the access token. A Bearer token takes precedence over the cookie, even if it is not
/// valid.
///
/// # Errors
/// - [`ErrorKind::InvalidRequest`] if there are two `Authorization` headers.
/// - [`ErrorKind::TokenInvalid`] if a Bearer header has no token, or if the cookie is sent twice.
pub(crate) fn access_token<'a>(headers: &'a HeaderMap, cookie: &str) -> Result<Option<Found<'a>>, Error> {
    if let Some(token) = bearer(headers)? {
        return Ok(Some(Found { token, source: Source::Bearer }));
    }
    match cookie_value(headers, cookie) {
        CookieValue::Absent => Ok(None),
        CookieValue::Once(token) => Ok(Some(Found { token: token.as_bytes(), source: Source::Cookie })),
        CookieValue::Ambiguous => {
            Err(Error::new(ErrorKind::TokenInvalid).with_detail("The access token's cookie was sent twice."))
        }
    }
}

/// Returns the token of `Authorization: Bearer` (RFC 6750 §2.1), or `None` if there is no such
/// header.
///
/// The scheme is compared without regard to case (RFC 9110 §11.1). A header with another scheme is
/// ignored.
///
/// # Errors
/// - [`ErrorKind::InvalidRequest`] if there are two `Authorization` headers.
/// - [`ErrorKind::TokenInvalid`] if a Bearer header has no token.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::new(ErrorKind::InvalidRequest).with_detail("There are two Authorization headers."));
    }
    let malformed = || Error::new(ErrorKind::TokenInvalid);
    let bytes = value.as_bytes();
    let Some((scheme, rest)) = bytes.split_at_checked(6) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let Some(b' ') = rest.first() else {
        // "Bearer" alone, or a longer scheme such as "BearerX".
        return if rest.is_empty() { Err(malformed()) } else { Ok(None) };
    };
    let token = trim_spaces(rest);
    // The characters of the token are not checked here. Verification refuses a token with
    // characters that no issuer uses.
    if token.is_empty() {
        return Err(malformed());
    }
    Ok(Some(token))
}

fn trim_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}

/// Returns whether there is a Bearer header, valid or not.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] if there are two `Authorization` headers.
pub(crate) fn has_bearer(headers: &HeaderMap) -> Result<bool, Error> {
    match bearer(headers) {
        Ok(token) => Ok(token.is_some()),
        Err(error) if error.kind() == ErrorKind::InvalidRequest => Err(error),
        Err(_) => Ok(true),
    }
}

/// A cookie in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieValue<'a> {
    Absent,
    Once(&'a str),
    /// The cookie is sent twice, or is not text. An attacker may have planted one of two cookies,
    /// and the request does not say which (RFC 6265bis §8.6).
    Ambiguous,
}

/// Finds a cookie by its exact name. An empty cookie counts as absent, because some programs delete
/// cookies by emptying them.
pub(crate) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> CookieValue<'a> {
    let mut values = cookie_values(headers, name);
    match (values.next(), values.next()) {
        (None, _) | (Some([]), None) => CookieValue::Absent,
        (Some([]), Some([])) if values.all(<[u8]>::is_empty) => CookieValue::Absent,
        (Some(value), None) => std::str::from_utf8(value).map_or(CookieValue::Ambiguous, CookieValue::Once),
        (Some(_), Some(_)) => CookieValue::Ambiguous,
    }
}

/// Returns every value of the cookies with this name, from all `Cookie` headers. HTTP/2 may split
/// the header.
///
/// White space around a name is ignored, as some proxies do. A cookie that such a proxy reads as a
/// second one is then also a second one here.
pub(crate) fn cookie_values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let equals = memchr::memchr(b'=', pair)?;
        let (own, value) = pair.split_at_checked(equals)?;
        (own.trim_ascii() == name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, http::HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn found(pairs: &[(&'static str, &[u8])]) -> Result<Option<(String, Source)>, ErrorKind> {
        access_token(&headers(pairs), "access_token")
            .map(|found| found.map(|found| (String::from_utf8_lossy(found.token).into_owned(), found.source)))
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_bearer_scheme_is_read_in_any_case_and_spacing() {
        for value in [&b"Bearer abc.def"[..], b"bearer abc.def", b"BEARER    abc.def", b"Bearer abc.def  "] {
            assert_eq!(found(&[("authorization", value)]), Ok(Some(("abc.def".into(), Source::Bearer))));
        }
    }

    #[test]
    fn a_bearer_header_without_a_token_hides_the_cookie() {
        for value in [&b"Bearer"[..], b"Bearer ", b"Bearer    "] {
            let result = found(&[("authorization", value), ("cookie", b"access_token=good")]);
            assert_eq!(result, Err(ErrorKind::TokenInvalid), "{}", String::from_utf8_lossy(value));
        }
        let result = found(&[("authorization", b"Bearer\ta"), ("cookie", b"access_token=good")]);
        assert_eq!(result, Ok(Some(("good".into(), Source::Cookie))));
    }

    #[test]
    fn a_malformed_bearer_token_hides_the_cookie() {
        for value in ["Bearer a b", "Bearer a,b", "Bearer \"a\"", "Bearer \ta", "Bearer \u{e9}"] {
            let result = found(&[("authorization", value.as_bytes()), ("cookie", b"access_token=good")]);
            let token = value.trim_start_matches("Bearer ").to_owned();
            assert_eq!(result, Ok(Some((token, Source::Bearer))));
        }
    }

    #[test]
    fn another_scheme_does_not_hide_the_cookie() {
        for value in [&b"Basic YTpi"[..], b"", b"Bearers abc", b"DPoP abc"] {
            let result = found(&[("authorization", value), ("cookie", b"a=b; access_token=good")]);
            assert_eq!(result, Ok(Some(("good".into(), Source::Cookie))));
        }
    }

    #[test]
    fn an_empty_cookie_is_no_cookie() {
        for line in
            [&b"access_token="[..], b"access_token= ", b"a=b; access_token=; c=d", b"access_token=; access_token="]
        {
            assert_eq!(found(&[("cookie", line)]), Ok(None), "{}", String::from_utf8_lossy(line));
        }
        let twice = [("cookie", &b"access_token=; access_token=good"[..])];
        assert_eq!(found(&twice), Err(ErrorKind::TokenInvalid));
    }

    #[test]
    fn two_authorization_headers_are_refused() {
        let two = [("authorization", &b"Bearer a"[..]), ("authorization", &b"Bearer a"[..])];
        assert_eq!(found(&two), Err(ErrorKind::InvalidRequest));
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name_once() {
        let value = |cookie: &'static [u8]| match cookie_value(&headers(&[("cookie", cookie)]), "access_token") {
            CookieValue::Once(value) => Some(value.to_owned()),
            other => {
                assert_eq!(other, CookieValue::Absent);
                None
            }
        };
        assert_eq!(value(b"access_token=x"), Some("x".into()));
        assert_eq!(value(b"my_access_token=x"), None);
        assert_eq!(value(b"access_tokens=x"), None);
        assert_eq!(value(b"Access_Token=x"), None);
        for twice in [
            headers(&[("cookie", b"access_token=x; access_token=x")]),
            headers(&[("cookie", b"access_token=x"), ("cookie", b"access_token=y")]),
            headers(&[("cookie", b"access_token=x; access_token =y")]),
        ] {
            assert_eq!(cookie_value(&twice, "access_token"), CookieValue::Ambiguous);
        }
    }
}
