//! Deletes variants of our cookies that a browser may still keep in addition to the current ones.
//!
//! Browsers distinguish cookies by name, `Domain` and `Path` (RFC 6265bis §5.7), and send every
//! cookie that matches. There are two causes of a second cookie with the same name:
//! - A setting has changed. The browser still keeps the cookie of the earlier setting.
//! - Another host of the site has planted a cookie. This is possible if the name has no `__Host-`
//!   prefix.
//!
//! A request does not say which of two cookies is the current one. An answer can only delete every
//! variant except the current one. It deletes these:
//! - variants of the earlier settings that the app has named, with every answer that sets or clears
//!   cookies
//! - variants that this host could have set, if the request brings a name twice
//! - variants without `Domain` under the name with the other prefix, if the request brings that
//!   name

use http::{HeaderMap, HeaderValue, Uri, header::HOST, uri::Authority};

use super::cookies::{CookieTemplate, Cookies, is_domain};
use crate::{error::Error, http::request::credentials::cookie_values};

/// Maximum number of `Domain`s for which variants are deleted after a name was sent twice.
const MAX_DOMAINS: usize = 4;
/// Maximum number of variants that one answer deletes for each cookie, in addition to those of
/// earlier settings. The usual paths come first.
///
/// Two cookies then make 24 lines of 110 bytes. Many proxies limit the head of an answer to 4 KiB,
/// and the head also has to hold two tokens.
const MAX_DETECTED: usize = 12;

impl Cookies {
    /// Returns the `Set-Cookie` lines that delete the other variants of the cookies.
    ///
    /// The lines have to come before those that set the current cookies. The reason is that some
    /// clients do not distinguish a cookie without `Domain` from one with the name of the host as
    /// `Domain`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if a line is not a valid header. Checked
    /// settings prevent that.
    pub(crate) fn expire_others(&self, headers: &HeaderMap, uri: &Uri) -> Result<Vec<HeaderValue>, Error> {
        let mut lines = Vec::new();
        for cookie in [&self.access, &self.refresh] {
            for variant in others(cookie, headers, uri) {
                lines.push(variant.delete()?);
            }
        }
        Ok(lines)
    }
}

/// Returns the variants of one cookie to delete, each once.
fn others(cookie: &CookieTemplate, headers: &HeaderMap, uri: &Uri) -> Vec<CookieTemplate> {
    let mut variants = cookie.earlier().to_vec();
    let most = variants.len() + MAX_DETECTED;
    let mut add = |variant: CookieTemplate| {
        if variants.len() < most
            && !variant.is_same_cookie(cookie)
            && !variants.iter().any(|known| known.is_same_cookie(&variant))
        {
            variants.push(variant);
        }
    };
    if cookie_values(headers, cookie.name()).nth(1).is_some() {
        let domains = domains(cookie.domain(), headers, uri);
        for path in paths(cookie.path(), uri.path()) {
            add(cookie.variant(cookie.name(), None, path));
            for domain in &domains {
                add(cookie.variant(cookie.name(), Some(domain), path));
            }
        }
    }
    for name in cookie.other_names() {
        if cookie_values(headers, name).next().is_some() {
            // Variants with a `Domain` are left alone, because a cookie of a parent domain may
            // belong to another service. Without a `Domain`, the prefix is `__Host-` for the path
            // `/`, and `__Secure-` for other paths.
            for path in paths("/", uri.path()).filter(|path| (*path == "/") == name.starts_with("__Host-")) {
                add(cookie.variant(name, None, path));
            }
        }
    }
    variants
}

/// Returns the `Domain`s that this host can have given a cookie: its own name and the names of its
/// parents, with at least two labels.
///
/// The domain of the setting and its parents come first, because a proxy may have put another name
/// into `Host`.
fn domains(configured: Option<&str>, headers: &HeaderMap, uri: &Uri) -> Vec<String> {
    let host = uri.authority().cloned().or_else(|| headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok());
    let host = host.map(|host| host.host().to_ascii_lowercase()).filter(|host| is_domain(host) && !is_address(host));
    let mut found: Vec<String> = Vec::new();
    for name in configured.map(str::to_ascii_lowercase).into_iter().chain(host) {
        let parents: Vec<&str> = name.match_indices('.').filter_map(|(at, _)| name.get(at + 1..)).collect();
        // The shortest domains come first, because settings usually name those.
        for domain in parents.into_iter().rev().chain([name.as_str()]).filter(|domain| domain.contains('.')) {
            if found.len() < MAX_DOMAINS && !found.iter().any(|known| known == domain) {
                found.push(domain.to_owned());
            }
        }
    }
    found
}

/// Returns whether a host is an IPv4 address: digits and dots only. Browsers refuse a `Domain` for
/// addresses.
fn is_address(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Returns the `Path`s of cookies that browsers send with a request to this path. Paths that end
/// with `/` are left out.
fn paths<'a>(own: &'a str, request: &'a str) -> impl Iterator<Item = &'a str> {
    let ends = request.match_indices('/').map(|(at, _)| at).skip(1).chain([request.len()]);
    let prefixes = ends.filter_map(|end| request.get(..end)).filter(|prefix| prefix.len() > 1);
    ["/", own].into_iter().chain(prefixes.filter(|path| super::cookies::is_path(path)).take(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::cookies::CookieSettings;

    fn headers(host: &'static str, cookie: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        headers.insert("cookie", HeaderValue::from_static(cookie));
        headers
    }

    fn lines(settings: &CookieSettings, headers: &HeaderMap, path: &'static str) -> Vec<String> {
        let lines = settings.build().unwrap().expire_others(headers, &Uri::from_static(path)).unwrap();
        lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    const TWICE: &str = "__Secure-access_token=a; __Secure-access_token=b";

    #[test]
    fn a_name_that_is_sent_once_adds_no_line() {
        let settings = CookieSettings { domain: Some("example.com".into()), ..CookieSettings::default() };
        let once = headers("app.example.com", "__Secure-access_token=a; __Secure-refresh_token=b");
        assert_eq!(lines(&settings, &once, "/auth/login"), Vec::<String>::new());
        let once = headers("app.example.com", "__Host-access_token=a; __Host-refresh_token=b");
        assert_eq!(lines(&CookieSettings::default(), &once, "/auth/login"), Vec::<String>::new());
    }

    #[test]
    fn every_variant_but_the_current_one_is_deleted_once() {
        let settings = CookieSettings { domain: Some("example.com".into()), ..CookieSettings::default() };
        let lines = lines(&settings, &headers("API.app.Example.com:8443", TWICE), "/auth/login");
        let mut variants: Vec<(Option<&str>, &str)> = Vec::new();
        for line in &lines {
            assert!(line.starts_with("__Secure-access_token=; HttpOnly; SameSite=Strict; Secure; "), "{line}");
            assert!(line.contains("; Max-Age=0"), "{line}");
            let part = |name: &str| line.split("; ").find_map(|part| part.strip_prefix(name));
            variants.push((part("Domain="), part("Path=").unwrap()));
        }
        let mut expected = Vec::new();
        for path in ["/", "/auth", "/auth/login"] {
            for domain in [None, Some("example.com"), Some("app.example.com"), Some("api.app.example.com")] {
                expected.push((domain, path));
            }
        }
        expected.retain(|variant| *variant != (Some("example.com"), "/"));
        assert_eq!(variants, expected);
    }

    #[test]
    fn hosts_that_are_no_names_add_no_domain() {
        for host in ["127.0.0.1:3000", "localhost", "[::1]:3000", "a,b.example", "a..b", ".", ""] {
            let settings = CookieSettings { insecure: true, ..CookieSettings::default() };
            let lines = lines(&settings, &headers(host, "access_token=a; access_token=b"), "/auth/login");
            assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains("Domain")), "{host}: {lines:?}");
        }
    }

    #[test]
    fn lines_for_long_hosts_and_paths_stay_below_4_kib() {
        let settings = CookieSettings { domain: Some("d.e.example.com".into()), ..CookieSettings::default() };
        let both = "__Secure-access_token=a; __Secure-access_token=b; __Secure-refresh_token=; __Secure-refresh_token=";
        let lines = lines(&settings, &headers("a.b.c.d.e.example.com", both), "/a/b/c/d/e/f/g/login");
        let bytes: usize = lines.iter().map(|line| line.len() + "set-cookie: \r\n".len()).sum();
        assert!(bytes < 4096, "{bytes} bytes");
    }

    #[test]
    fn the_other_prefix_is_deleted_where_the_browser_has_it() {
        let with_path = CookieSettings { refresh_path: "/auth".into(), ..CookieSettings::default() };
        assert_eq!(
            lines(&with_path, &headers("example.com", "__Host-refresh_token=a"), "/auth/login"),
            ["__Host-refresh_token=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0"]
        );
        let found =
            lines(&CookieSettings::default(), &headers("example.com", "__Secure-refresh_token=a"), "/auth/login");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|line| line.contains("Path=/auth") && !line.contains("Domain")), "{found:?}");
        let access = headers("example.com", "__Secure-access_token=a");
        assert_eq!(lines(&CookieSettings::default(), &access, "/auth/login"), Vec::<String>::new(), "it has a Domain");
        let other = headers("example.com", "access_token=another's; refresh_token=another's");
        assert_eq!(lines(&CookieSettings::default(), &other, "/auth/login"), Vec::<String>::new());
    }
}
