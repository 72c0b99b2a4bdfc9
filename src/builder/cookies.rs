//! Settings of the two cookies. Their type is [`CookieSettings`], with the rules of cookies.

use super::{
    AuthBuilder,
    env::{Environment, parse_switch},
};
use crate::{
    http::{
        SameSite,
        path_table::{PathTable, Resource},
        response::{
            cookies::{CookieSettings, Cookies},
            shape::ResponseShape,
        },
    },
    user::AuthUser,
};

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `INSECURE_COOKIES` | unset | `1` for plain HTTP |"
    };
}
pub(super) use variables;

/// Settings of the cookies.
///
/// # Defaults
/// - names: `access_token` and `refresh_token`, unless the shape of the answers has names of its
///   own
/// - every other one as in [`CookieSettings`]
#[derive(Debug, Default)]
pub(super) struct CookieChoices {
    names: Option<(String, String)>,
    attributes: CookieSettings,
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets cookies without `Secure` and without name prefixes, for development over plain HTTP.
    /// Never use it in production.
    ///
    /// Variable: `INSECURE_COOKIES`.
    pub fn insecure_cookies(mut self) -> Self {
        self.cookies.attributes.insecure = true;
        self
    }

    /// Sets the cookies' names. Default: `access_token` and `refresh_token`, or `accessToken` and
    /// `refreshToken` in [`ResponseFormat::Envelope`](crate::http::ResponseFormat::Envelope).
    ///
    /// A name gets the prefix `__Host-`, or `__Secure-` where the cookie has a domain or another
    /// path than `/`. It gets none where cookies are insecure or the name begins with `__` already.
    pub fn cookie_names(mut self, access: impl Into<String>, refresh: impl Into<String>) -> Self {
        self.cookies.names = Some((access.into(), refresh.into()));
        self
    }

    /// Sets the cookies' `SameSite`. Default: `Strict`.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookies.attributes.same_site = same_site;
        self
    }

    /// Sets the cookies' `Domain`. Default: none, so that browsers send the cookies to this host
    /// only.
    ///
    /// With a domain every subdomain of it can read the cookies and set its own in their place.
    ///
    /// After a change of the domain browsers send the cookies of both domains. As soon as a name is
    /// sent twice, a login and a logout delete every variant that this host can have set, so that
    /// no browser is stuck. Users need not log in again where
    /// [`earlier_cookie_domain`](Self::earlier_cookie_domain) names the earlier domain, or
    /// [`earlier_cookies_without_domain`](Self::earlier_cookies_without_domain) says that there was
    /// none. They do need to where the name changes: `__Host-` becomes `__Secure-` with the first
    /// domain, and the other way round.
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookies.attributes.domain = Some(domain.into());
        self
    }

    /// Adds a `Domain` that the cookies had under earlier settings. Default: none.
    ///
    /// Every response that sets or clears cookies also deletes the cookies of that domain, so that
    /// browsers stop sending them beside the present ones. Keep it for as long as the earlier
    /// cookies can live, which is [`session_max_age`](Self::session_max_age) after the change.
    ///
    /// # Examples
    ///
    /// ```
    /// # use portcullis::{AuthBuilder, User};
    /// # fn settings(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// // Until the last release it was `cookie_domain("example.com")`.
    /// builder.cookie_domain("app.example.com").earlier_cookie_domain("example.com")
    /// # }
    /// ```
    pub fn earlier_cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookies.attributes.earlier_domains.push(Some(domain.into()));
        self
    }

    /// Says that the cookies had no `Domain` under earlier settings, and deletes those cookies as
    /// [`earlier_cookie_domain`](Self::earlier_cookie_domain) does. Default: off.
    pub fn earlier_cookies_without_domain(mut self) -> Self {
        self.cookies.attributes.earlier_domains.push(None);
        self
    }

    /// Sets the refresh cookie's `Path`. Default: `/`, which the prefix `__Host-` requires.
    ///
    /// The path must reach the endpoints that refresh and log out: `/auth` does, where they are
    /// mounted there.
    ///
    /// A path other than `/` loses the protection of `__Host-`. The cookie is then named
    /// `__Secure-refresh_token`, and a page of a sibling subdomain can set a cookie of that name
    /// (`Domain=example.com; Path=/auth`). In a browser that has no refresh cookie of this service,
    /// the foreign cookie logs the user in as another user. In a browser that has one, refreshes
    /// fail with 400 `invalid_request` until the user logs in again. They end no session and clear
    /// no cookie.
    pub fn refresh_cookie_path(mut self, path: impl Into<String>) -> Self {
        self.cookies.attributes.refresh_path = path.into();
        self
    }

    /// Adds a `Path` that the refresh cookie had under earlier settings, and deletes the cookies of
    /// that path as [`earlier_cookie_domain`](Self::earlier_cookie_domain) does. Default: none.
    pub fn earlier_refresh_cookie_path(mut self, path: impl Into<String>) -> Self {
        self.cookies.attributes.earlier_refresh_paths.push(path.into());
        self
    }
}

impl CookieChoices {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        self.attributes.insecure =
            env.parsed("INSECURE_COOKIES", "use 1, or leave it unset", parse_switch).unwrap_or(false);
    }

    pub(super) fn are_insecure(&self) -> bool {
        self.attributes.insecure
    }

    pub(super) fn check(
        &self,
        shape: Option<&dyn ResponseShape>,
        table: &PathTable,
        problems: &mut Vec<String>,
    ) -> Option<Cookies> {
        let mut settings = self.attributes.clone();
        let usual = || shape.map(ResponseShape::cookie_names).map(|(access, refresh)| (access.into(), refresh.into()));
        if let Some((access, refresh)) = self.names.clone().or_else(usual) {
            (settings.access_name, settings.refresh_name) = (access, refresh);
        }
        let cookies = settings.build().map_err(|found| problems.extend(found)).ok();
        problems.extend(unreached_by_cookie(table, &settings.refresh_path));
        cookies
    }
}

/// Finds the endpoints that need the refresh cookie, but that browsers would not send it to (RFC
/// 6265 §5.1.4). A refresh would fail there, and a logout would end no session.
fn unreached_by_cookie(table: &PathTable, cookie_path: &str) -> Option<String> {
    if cookie_path == "/" {
        return None;
    }
    let full = |resource: &Resource| format!("{}{}", table.mount_path(), resource.path());
    let reaches = |path: &str| {
        let rest = path.strip_prefix(cookie_path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
    };
    let needing = table.resources().iter();
    let needing = needing.filter(|it| it.methods().iter().any(|(_, spec)| spec.caller.reads_refresh_cookie()));
    let missed = needing.map(full).find(|path| !reaches(path))?;
    Some(format!(
        "the refresh cookie's path {cookie_path:?} does not reach {missed:?}: use the mount path, {:?}",
        table.mount_path()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = CookieChoices::default();
        assert_eq!(read_pairs(&[("INSECURE_COOKIES", "1")], |env| settings.read(env)), Vec::<String>::new());
        assert!(settings.are_insecure());
    }
}
