//! The two cookies: their names, their attributes, and the `Set-Cookie` lines that set and delete
//! them (RFC 6265bis).

use cookie::{Cookie, time::Duration as CookieDuration};
use http::{HeaderMap, HeaderValue};

use crate::{error::Error, http::request::credentials::cookie_values};

/// Maximum size of a cookie's name and value together that browsers keep (RFC 6265bis §5.6), in
/// bytes.
pub(crate) const MAX_COOKIE_BYTES: usize = 4096;

/// Which cross-site requests carry the cookies (RFC 6265bis §5.4.7).
///
/// [`AuthBuilder::same_site`](crate::AuthBuilder::same_site) sets it. Default:
/// [`Strict`](Self::Strict).
///
/// # Examples
///
/// ```
/// use portcullis::{AuthBuilder, User, http::SameSite};
///
/// // A user who follows a link from an e-mail is still logged in.
/// fn configure(builder: AuthBuilder<User>) -> AuthBuilder<User> {
///     builder.same_site(SameSite::Lax)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// No cross-site request. The default.
    #[default]
    Strict,
    /// Only top-level navigations. A user who follows a link from an e-mail is then still logged
    /// in.
    Lax,
    /// All cross-site requests. For apps that are embedded in other sites. It needs `Secure`
    /// cookies.
    None,
}

/// The settings of the cookies. The names get the strictest prefix that their attributes allow.
#[derive(Clone, Debug)]
pub(crate) struct CookieSettings {
    pub(crate) access_name: String,
    pub(crate) refresh_name: String,
    pub(crate) same_site: SameSite,
    pub(crate) domain: Option<String>,
    pub(crate) refresh_path: String,
    pub(crate) insecure: bool,
    /// The values of `domain` in earlier settings.
    pub(crate) earlier_domains: Vec<Option<String>>,
    /// The values of `refresh_path` in earlier settings.
    pub(crate) earlier_refresh_paths: Vec<String>,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            access_name: "access_token".to_owned(),
            refresh_name: "refresh_token".to_owned(),
            same_site: SameSite::Strict,
            domain: None,
            refresh_path: "/".to_owned(),
            insecure: false,
            earlier_domains: Vec::new(),
            earlier_refresh_paths: Vec::new(),
        }
    }
}

/// The two cookies of a service, without values.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    pub(crate) access: CookieTemplate,
    pub(crate) refresh: CookieTemplate,
}

/// The name and the attributes of a cookie.
#[derive(Clone, Debug)]
pub(crate) struct CookieTemplate {
    name: String,
    path: String,
    same_site: SameSite,
    domain: Option<String>,
    secure: bool,
    /// The names that the cookie has when its attributes allow another prefix.
    other_names: Vec<String>,
    /// The cookie as the app's earlier settings made it.
    earlier: Vec<Self>,
}

impl CookieSettings {
    /// Checks the settings together, and makes the cookies.
    ///
    /// # Errors
    /// One sentence for each problem. It says how to fix the problem.
    pub(crate) fn build(&self) -> Result<Cookies, Vec<String>> {
        let mut problems = Vec::new();
        if self.insecure && self.same_site == SameSite::None {
            problems.push(
                "SameSite::None needs Secure cookies, and insecure_cookies() is set: drop one of them".to_owned(),
            );
        }
        if let Some(domain) = &self.domain
            && !is_domain(domain)
        {
            problems.push(format!("the cookie domain {domain:?} is not a host name: use one such as \"example.com\""));
        }
        if !is_path(&self.refresh_path) {
            problems.push(format!(
                "the refresh cookie's path {:?} must begin with '/' and have no ';', ',' or white space",
                self.refresh_path
            ));
        }
        let mut access = self.template(&self.access_name, "/", &mut problems);
        let mut refresh = self.template(&self.refresh_name, &self.refresh_path, &mut problems);
        // The path of the access cookie is always `/`. With the prefix `__Secure-` it has a
        // `Domain`, and may belong to another service.
        access.other_names.retain(|name| name.starts_with("__Host-"));
        self.check_earlier(&mut problems);
        access.earlier = self.earlier(&access, &self.access_name, &[]);
        refresh.earlier = self.earlier(&refresh, &self.refresh_name, &self.earlier_refresh_paths);
        if access.name == refresh.name {
            problems.push(format!("both cookies are named {:?}: give them different names", access.name));
        }
        if problems.is_empty() { Ok(Cookies { access, refresh }) } else { Err(problems) }
    }

    fn check_earlier(&self, problems: &mut Vec<String>) {
        let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one == other,
        };
        for domain in &self.earlier_domains {
            if let Some(domain) = domain.as_ref().filter(|domain| !is_domain(domain)) {
                problems.push(format!(
                    "the earlier cookie domain {domain:?} is not a host name: use one such as \"example.com\""
                ));
            }
            if same(domain, &self.domain) {
                problems.push(match domain {
                    Some(domain) => format!("the earlier cookie domain {domain:?} is the present one: drop it"),
                    None => "earlier_cookies_without_domain() describes the present cookies, which have no domain: \
                             drop it, or set cookie_domain"
                        .to_owned(),
                });
            }
        }
        for path in &self.earlier_refresh_paths {
            if !is_path(path) {
                problems.push(format!(
                    "the refresh cookie's earlier path {path:?} must begin with '/' and have no ';', ',' or white space"
                ));
            } else if *path == self.refresh_path {
                problems.push(format!("the refresh cookie's earlier path {path:?} is the present one: drop it"));
            }
        }
    }

    /// Returns the cookie for each combination of earlier and current settings, except the current
    /// cookie.
    fn earlier(&self, present: &CookieTemplate, name: &str, paths: &[String]) -> Vec<CookieTemplate> {
        let mut earlier: Vec<CookieTemplate> = Vec::new();
        for domain in [&self.domain].into_iter().chain(&self.earlier_domains) {
            for path in [present.path.as_str()].into_iter().chain(paths.iter().map(String::as_str)) {
                let settings = Self { domain: domain.clone(), ..self.clone() };
                // Problems of the name are already reported. A name that has a prefix itself fits
                // only some of the combinations.
                let mut problems = Vec::new();
                let variant = settings.template(name, path, &mut problems);
                if problems.is_empty() && !variant.is_same_cookie(present) {
                    earlier.push(variant);
                }
            }
        }
        earlier
    }

    fn template(&self, name: &str, path: &str, problems: &mut Vec<String>) -> CookieTemplate {
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            problems.push(format!("the cookie name {name:?} is not a token of RFC 9110 §5.6.2"));
        }
        let host_allowed = !self.insecure && self.domain.is_none() && path == "/";
        if name.starts_with("__Host-") && !host_allowed {
            problems.push(format!(
                "the cookie {name:?} cannot have a Domain, a path other than '/' or lack Secure: browsers would drop it; \
                 remove the __Host- prefix or that setting"
            ));
        }
        if name.starts_with("__Secure-") && self.insecure {
            problems
                .push(format!("the cookie {name:?} lacks Secure: browsers would drop it; remove the __Secure- prefix"));
        }
        let prefix = match (name.starts_with("__"), self.insecure, host_allowed) {
            (true, ..) | (false, true, _) => "",
            (false, false, true) => "__Host-",
            (false, false, false) => "__Secure-",
        };
        let other_prefix = match prefix {
            "__Host-" => Some("__Secure-"),
            "__Secure-" => Some("__Host-"),
            _ => None,
        };
        CookieTemplate {
            name: format!("{prefix}{name}"),
            path: path.to_owned(),
            same_site: self.same_site,
            domain: self.domain.clone(),
            secure: !self.insecure,
            other_names: other_prefix.map(|prefix| format!("{prefix}{name}")).into_iter().collect(),
            earlier: Vec::new(),
        }
    }
}

impl Cookies {
    /// Returns every name under which a browser may send our refresh tokens. The current name comes
    /// first.
    pub(crate) fn refresh_names(&self) -> impl Iterator<Item = &str> {
        self.refresh.names()
    }

    /// Returns whether a request brings any of our cookies, with a valid token or not.
    pub(crate) fn are_in(&self, headers: &HeaderMap) -> bool {
        let mut names = self.access.names().chain(self.refresh.names());
        names.any(|name| cookie_values(headers, name).next().is_some())
    }
}

impl CookieTemplate {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    pub(super) fn other_names(&self) -> &[String] {
        &self.other_names
    }

    pub(super) fn earlier(&self) -> &[Self] {
        &self.earlier
    }

    /// Returns the name, and the names that the cookie may have had, each once.
    fn names(&self) -> impl Iterator<Item = &str> {
        // The names of earlier settings differ only in the prefix.
        std::iter::once(self.name.as_str()).chain(self.other_names.iter().map(String::as_str))
    }

    /// Returns the same cookie with another name, `Domain` and `Path`.
    pub(super) fn variant(&self, name: &str, domain: Option<&str>, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            same_site: self.same_site,
            domain: domain.map(str::to_owned),
            secure: self.secure,
            other_names: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// Returns whether a browser replaces one of the cookies with the other.
    pub(super) fn is_same_cookie(&self, other: &Self) -> bool {
        let domain = |cookie: &Self| cookie.domain.as_deref().map(str::to_ascii_lowercase);
        self.name == other.name && self.path == other.path && domain(self) == domain(other)
    }

    /// Returns the `Set-Cookie` value that sets the cookie for a number of seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the value has characters that a
    /// cookie value cannot have, or is too long for browsers to keep.
    pub(crate) fn set(&self, value: &str, max_age_secs: i64) -> Result<HeaderValue, Error> {
        // The `cookie` crate writes every value unchanged. A `;` or a line break in it would add
        // attributes or headers.
        if !value.bytes().all(is_value_byte) || self.name.len() + value.len() > MAX_COOKIE_BYTES {
            return Err(Error::internal(
                "the token does not fit into a cookie: use fewer roles, or delivery in the body",
            ));
        }
        self.header(value, max_age_secs)
    }

    /// Returns the `Set-Cookie` value that deletes the cookie. It has the same attributes and
    /// `Max-Age=0`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the line is not a valid header.
    /// Checked settings prevent that.
    pub(crate) fn delete(&self) -> Result<HeaderValue, Error> {
        self.header("", 0)
    }

    fn header(&self, value: &str, max_age_secs: i64) -> Result<HeaderValue, Error> {
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .http_only(true)
            .secure(self.secure)
            .same_site(match self.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .path(self.path.as_str())
            .max_age(CookieDuration::seconds(max_age_secs));
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.as_str());
        }
        let mut line = HeaderValue::try_from(cookie.build().to_string()).map_err(Error::internal)?;
        line.set_sensitive(true);
        Ok(line)
    }
}

/// Returns whether a byte is a `cookie-octet` (RFC 6265bis §4.1.1).
fn is_value_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| is_value_byte(byte) && byte != b',')
}

pub(super) fn is_domain(domain: &str) -> bool {
    !domain.is_empty()
        && domain
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_cookies_are_host_cookies() {
        let cookies = CookieSettings::default().build().unwrap();
        assert_eq!(
            cookies.access.set("a.b.c", 900).unwrap(),
            "__Host-access_token=a.b.c; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=900"
        );
        assert_eq!(
            cookies.refresh.delete().unwrap(),
            "__Host-refresh_token=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0"
        );
    }

    #[test]
    fn a_path_or_a_domain_removes_the_host_prefix() {
        let narrow = CookieSettings { refresh_path: "/auth".into(), ..CookieSettings::default() }.build().unwrap();
        assert_eq!(narrow.access.name(), "__Host-access_token");
        assert_eq!(narrow.refresh.name(), "__Secure-refresh_token");
        let domain =
            CookieSettings { domain: Some("example.com".into()), ..CookieSettings::default() }.build().unwrap();
        assert_eq!(domain.access.name(), "__Secure-access_token");
        let insecure = CookieSettings { insecure: true, ..CookieSettings::default() }.build().unwrap();
        assert_eq!(insecure.access.name(), "access_token");
        assert!(!insecure.access.set("x", 1).unwrap().to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn cookies_that_browsers_would_drop_are_refused_with_the_reason() {
        let base = CookieSettings { refresh_name: "__Host-r".into(), ..CookieSettings::default() };
        for (settings, reason) in [
            (CookieSettings { refresh_path: "/auth".into(), ..base.clone() }, "__Host-"),
            (CookieSettings { domain: Some("example.com".into()), ..base.clone() }, "__Host-"),
            (CookieSettings { insecure: true, ..base.clone() }, "__Host-"),
            (CookieSettings { refresh_name: "a b".into(), ..base.clone() }, "token of RFC 9110"),
            (CookieSettings { refresh_name: "access_token".into(), ..base.clone() }, "different names"),
            (CookieSettings { refresh_path: "/a; Domain=evil".into(), ..base.clone() }, "must begin with '/'"),
            (CookieSettings { domain: Some("a;b".into()), ..base.clone() }, "host name"),
            (
                CookieSettings { insecure: true, same_site: SameSite::None, ..CookieSettings::default() },
                "SameSite::None",
            ),
        ] {
            let problems = settings.build().unwrap_err();
            assert!(problems.iter().any(|problem| problem.contains(reason)), "{problems:?}");
        }
    }

    #[test]
    fn a_value_that_a_cookie_cannot_have_is_refused() {
        let cookies = CookieSettings::default().build().unwrap();
        for bad in ["a;b", "a\r\nb", "a b", "a\"b", "a,b", "ä"] {
            assert!(cookies.access.set(bad, 1).is_err(), "{bad:?}");
        }
        assert!(cookies.access.set(&"a".repeat(4096), 1).is_err());
    }
}
