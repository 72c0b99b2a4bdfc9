//! Decides from the headers of a request whether it comes from another site.
//!
//! These rules are tried in this order:
//! 1. A request passes if its `Origin` is listed as trusted.
//! 2. A request with `Sec-Fetch-Site` passes if the value is exactly `same-origin` or `none`. Any
//!    other value is refused.
//! 3. A request with an `Origin` passes if the origin equals its `Host`. The origin has to be
//!    `https`, unless cookies are insecure.
//! 4. A request with neither header passes unless strict mode is on. Current browsers send at least
//!    one of them.
//!
//! The caller decides which requests are checked: those of an unsafe method that a cookie
//! authenticates, and those to an endpoint that sets cookies. A request that carries
//! `Authorization: Bearer` is not checked, because a page of another site cannot make a browser
//! send that header without a CORS preflight.
//!
//! Trusted origins of web pages are compared by scheme, host and port. Apps and browser extensions
//! have schemes of their own, and their origins are compared as text. `null` is never a trusted
//! origin.
//!
//! Proxies have to forward `Host`, `Origin` and `Sec-Fetch-Site` unchanged. If a proxy rewrites
//! `Host`, rule 3 refuses old browsers. If a proxy removes `Origin` and `Sec-Fetch-Site`, rule 4
//! decides about all browsers.

use http::{HeaderMap, Uri, header};

use super::origin::{Origin, TrustedOrigin};
use crate::error::{Error, ErrorKind};

/// The settings of the cross-site check.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrossSite {
    pub(crate) trusted: Vec<TrustedOrigin>,
    /// Refuses requests without `Origin` and `Sec-Fetch-Site`.
    pub(crate) strict: bool,
    /// Accepts origins of plain HTTP.
    pub(crate) insecure: bool,
}

/// Returns the error that refuses a request. Its source, which goes to the log, names the settings
/// to check.
pub(crate) fn refusal() -> Error {
    Error::new(ErrorKind::CrossSite).with_source(
        "neither Sec-Fetch-Site nor Origin says that the request comes from this origin: if the origin is yours, trust \
         it (TRUSTED_ORIGINS); over plain HTTP, also allow insecure cookies (INSECURE_COOKIES), because otherwise every \
         http:// origin counts as another one",
    )
}

impl CrossSite {
    /// Returns whether the request may use cookies. The module lists the rules.
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

/// Returns the value of a header, or `Err` if the header occurs twice or is not text.
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
    fn each_combination_of_headers_is_decided_by_the_rules() {
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
    fn plain_http_passes_only_where_cookies_are_insecure() {
        let insecure = CrossSite { insecure: true, ..CrossSite::default() };
        assert!(admits(&insecure, &[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3000")]));
        assert!(!admits(&insecure, &[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3001")]));
        assert!(!admits(&insecure, &[("host", "127.0.0.1:3000"), ("origin", "http://localhost:3000")]));
    }

    #[test]
    fn strict_mode_refuses_requests_without_both_headers() {
        let strict = CrossSite { strict: true, ..CrossSite::default() };
        assert!(!admits(&strict, &[("host", "example.com")]));
        assert!(admits(&strict, &[("host", "example.com"), ("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn the_request_targets_authority_overrides_the_host_header() {
        let mut headers = HeaderMap::new();
        headers.insert("origin", "https://example.com".parse().unwrap());
        headers.insert("host", "other.example".parse().unwrap());
        assert!(CrossSite::default().admits(&headers, &Uri::from_static("https://example.com/auth/login")));
    }
}
