//! Cross-site requests: one pure decision from method-independent facts of a request.
//!
//! A request passes if one of these holds, in this order:
//! 1. its `Origin` is listed as trusted;
//! 2. it has a `Sec-Fetch-Site` of exactly `same-origin` or `none`; any other value is refused;
//! 3. it has none, but an `Origin` that equals its `Host`, and is `https` unless cookies are insecure;
//! 4. it has neither, so that it comes from no browser of this decade, and strict mode is off.
//!
//! The caller decides that the request is one to ask about: an unsafe method that a cookie authenticates, or an endpoint that
//! sets cookies. Trusted origins are those of web pages, compared by scheme, host and port, and those of apps and extensions
//! with a scheme of their own, compared as text. `null` is none. A request that carries `Authorization: Bearer` is not, because no other site's page can
//! make a browser send one without a CORS preflight.
//!
//! A proxy that rewrites `Host` weakens rule 3 to refusals of old browsers, and one that strips `Origin` and
//! `Sec-Fetch-Site` turns browsers into rule 4: forward all three unchanged.

use http::{HeaderMap, Uri, header};

use super::origin::{Origin, TrustedOrigin};
use crate::error::{Error, ErrorKind};

/// Who may send requests that carry cookies.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrossSite {
    pub(crate) trusted: Vec<TrustedOrigin>,
    /// Refuse requests without `Origin` and `Sec-Fetch-Site`.
    pub(crate) strict: bool,
    /// Plain HTTP is in use, so that an origin need not be https.
    pub(crate) insecure: bool,
}

/// What the client is told, with what the operator may have to mend.
pub(crate) fn refusal() -> Error {
    Error::new(ErrorKind::CrossSite).with_source(
        "neither Sec-Fetch-Site nor Origin says that the request comes from this origin: trust the other one \
         (TRUSTED_ORIGINS), and over plain HTTP allow insecure cookies (INSECURE_COOKIES), without which every http:// \
         origin is another one",
    )
}

impl CrossSite {
    /// Whether the request may use cookies; see the module for the rules.
    pub(crate) fn admits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let (Ok(origin), Ok(fetch_site)) = (single(headers, "origin"), single(headers, "sec-fetch-site")) else {
            return false;
        };
        let parsed = origin.and_then(Origin::parse);
        if origin.is_some_and(|text| self.trusted.iter().any(|trusted| trusted.is(text, parsed.as_ref()))) {
            return true;
        }
        match (fetch_site, origin) {
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            (None, Some(_)) => parsed.is_some_and(|origin| self.is_own(&origin, headers, uri)),
            (None, None) => !self.strict,
        }
    }

    fn is_own(&self, origin: &Origin, headers: &HeaderMap, uri: &Uri) -> bool {
        let host = match uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => single(headers, header::HOST.as_str()).ok().flatten().and_then(|host| host.parse().ok()),
        };
        let own = host.and_then(|authority| Origin::of(origin.is_https(), &authority));
        (origin.is_https() || self.insecure) && own.as_ref() == Some(origin)
    }
}

/// A header's value if it is there once; `Err` where it is there twice or is not text.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(http::HeaderValue::to_str).transpose().map_err(|_| ())?;
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(policy: &CrossSite, pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        policy.admits(&headers, &Uri::from_static("/auth/login"))
    }

    const HOST: (&str, &str) = ("host", "example.com");

    #[test]
    fn the_table_of_decisions() {
        let trusted = ["https://app.example.org", "capacitor://localhost"];
        let trusted = trusted.map(|origin| TrustedOrigin::from_setting(origin).unwrap()).to_vec();
        let trusted = CrossSite { trusted, ..CrossSite::default() };
        let table: &[(&[(&'static str, &str)], bool)] = &[
            (&[HOST], true),
            (&[HOST, ("sec-fetch-site", "same-origin")], true),
            (&[HOST, ("sec-fetch-site", "none")], true),
            (&[HOST, ("sec-fetch-site", "same-site")], false),
            (&[HOST, ("sec-fetch-site", "cross-site")], false),
            (&[HOST, ("sec-fetch-site", "SAME-ORIGIN")], false),
            (&[HOST, ("sec-fetch-site", "")], false),
            (&[HOST, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], false),
            (&[HOST, ("origin", "https://example.com")], true),
            (&[HOST, ("origin", "https://EXAMPLE.com:443")], true),
            (&[HOST, ("origin", "http://example.com")], false),
            (&[HOST, ("origin", "https://example.com:8443")], false),
            (&[HOST, ("origin", "https://example.com.evil")], false),
            (&[HOST, ("origin", "https://evil.example.com")], false),
            (&[HOST, ("origin", "https://evil@example.com")], false),
            (&[HOST, ("origin", "https://example.com/")], false),
            (&[HOST, ("origin", "null")], false),
            (&[HOST, ("origin", "")], false),
            (&[HOST, ("origin", "https://example.com"), ("origin", "https://example.com")], false),
            (&[HOST, ("origin", "https://app.example.org")], true),
            (&[HOST, ("origin", "https://app.example.org"), ("sec-fetch-site", "cross-site")], true),
            (&[HOST, ("origin", "http://app.example.org"), ("sec-fetch-site", "cross-site")], false),
            (&[HOST, ("origin", "https://app.example.org.evil"), ("sec-fetch-site", "cross-site")], false),
            (&[HOST, ("origin", "https://example.com"), ("sec-fetch-site", "cross-site")], false),
            (&[HOST, ("origin", "capacitor://localhost"), ("sec-fetch-site", "cross-site")], true),
            (&[HOST, ("origin", "capacitor://localhost")], true),
            (&[HOST, ("origin", "capacitor://LOCALHOST")], false),
            (&[HOST, ("origin", "capacitor://localhost:80")], false),
            (&[HOST, ("origin", "capacitor://localhost.evil")], false),
            (&[HOST, ("origin", "ionic://localhost")], false),
            (&[HOST, ("origin", "capacitor://example.com")], false),
            (&[("origin", "https://example.com")], false),
            (&[HOST, ("host", "evil.com"), ("origin", "https://example.com")], false),
        ];
        for (request, expected) in table {
            assert_eq!(admits(&trusted, request), *expected, "{request:?}");
        }
    }

    #[test]
    fn plain_http_is_its_own_origin_where_cookies_are_insecure() {
        let insecure = CrossSite { insecure: true, ..CrossSite::default() };
        assert!(admits(&insecure, &[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3000")]));
        assert!(!admits(&insecure, &[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3001")]));
        assert!(!admits(&insecure, &[("host", "127.0.0.1:3000"), ("origin", "http://localhost:3000")]));
    }

    #[test]
    fn strict_mode_refuses_what_says_nothing() {
        let strict = CrossSite { strict: true, ..CrossSite::default() };
        assert!(!admits(&strict, &[("host", "example.com")]));
        assert!(admits(&strict, &[("host", "example.com"), ("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn the_authority_of_the_request_target_counts_before_the_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", "https://example.com".parse().unwrap());
        headers.insert("host", "other.example".parse().unwrap());
        assert!(CrossSite::default().admits(&headers, &Uri::from_static("https://example.com/auth/login")));
    }
}
