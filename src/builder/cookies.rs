//! The settings of the cookies, and of where requests that carry them may come from.

use super::AuthBuilder;
use crate::{http::SameSite, user::AuthUser};

impl<U: AuthUser> AuthBuilder<U> {
    /// Cookies without `Secure` and without name prefixes, for development over plain HTTP. Never in production.
    pub fn insecure_cookies(mut self) -> Self {
        self.settings.cookies.insecure = true;
        self
    }

    /// The cookies' names: `access_token` and `refresh_token` unless set (`accessToken` and `refreshToken` in
    /// [`ResponseFormat::Envelope`](crate::ResponseFormat::Envelope)). They get the prefix `__Host-` (or `__Secure-`
    /// with a domain or another path), unless cookies are insecure or the name begins with `__` already.
    pub fn cookie_names(mut self, access: impl Into<String>, refresh: impl Into<String>) -> Self {
        self.settings.cookie_names = Some((access.into(), refresh.into()));
        self
    }

    /// The cookies' `SameSite`: `Strict` unless set.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.settings.cookies.same_site = same_site;
        self
    }

    /// Sets the cookies' `Domain`. Default: none, so that the cookies go to this host alone.
    ///
    /// With a domain every subdomain of it can read and plant the cookies.
    ///
    /// After a change of the domain browsers send the cookies of both. A login and a logout delete every variant that this
    /// host can have set, as soon as a name is sent twice, so that no browser is stuck. Users need not even log in again
    /// where [`earlier_cookie_domain`](Self::earlier_cookie_domain) names the domain before, or
    /// [`earlier_cookies_without_domain`](Self::earlier_cookies_without_domain) says that there was none. They do need to
    /// where the name changes: `__Host-` becomes `__Secure-` with the first domain, and the other way round.
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.settings.cookies.domain = Some(domain.into());
        self
    }

    /// Names a `Domain` that the cookies had under earlier settings. Called again it adds another. Default: none.
    ///
    /// Every answer that sets or clears cookies also deletes the cookies of that domain, so that a browser does not go on
    /// to send them beside the present ones. Keep it for as long as the earlier cookies can live:
    /// [`session_max_age`](Self::session_max_age) after the change.
    ///
    /// # Examples
    /// ```
    /// # use portcullis::{AuthBuilder, User};
    /// # fn settings(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// // Until the last release it was `cookie_domain("example.com")`.
    /// builder.cookie_domain("app.example.com").earlier_cookie_domain("example.com")
    /// # }
    /// ```
    pub fn earlier_cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.settings.cookies.earlier_domains.push(Some(domain.into()));
        self
    }

    /// Says that the cookies had no `Domain` under earlier settings, and deletes those as
    /// [`earlier_cookie_domain`](Self::earlier_cookie_domain) does. Default: not said.
    pub fn earlier_cookies_without_domain(mut self) -> Self {
        self.settings.cookies.earlier_domains.push(None);
        self
    }

    /// Sets the refresh cookie's `Path`. Default: `/`, which the prefix `__Host-` requires.
    ///
    /// The path has to reach the endpoints that refresh and log out: `/auth` does, where they are mounted there.
    ///
    /// Another path gives up what `__Host-` keeps. The cookie is then named `__Secure-refresh_token`, and a page of a
    /// sibling subdomain can plant one of that name (`Domain=example.com; Path=/auth`). In a browser that has no cookie of
    /// its own the planted one logs the user in as another user. Beside the user's own cookie it makes refreshes fail with
    /// 400 `invalid_request`, which ends and clears nothing, until the user logs in again.
    pub fn refresh_cookie_path(mut self, path: impl Into<String>) -> Self {
        self.settings.cookies.refresh_path = path.into();
        self
    }

    /// Names a `Path` that the refresh cookie had under earlier settings, and deletes the cookies of that path as
    /// [`earlier_cookie_domain`](Self::earlier_cookie_domain) does. Called again it adds another. Default: none.
    pub fn earlier_refresh_cookie_path(mut self, path: impl Into<String>) -> Self {
        self.settings.cookies.earlier_refresh_paths.push(path.into());
        self
    }

    /// Adds an origin whose pages may send requests with cookies, such as `https://app.example.com`. Default: none.
    ///
    /// Origins are compared whole: scheme, host and port. There are no wildcards. The origin of an app in a web view or of
    /// a browser's extension is one too: `capacitor://localhost`, `ionic://localhost`, `tauri://localhost`,
    /// `chrome-extension://<id>`. The opaque origin `null` is never trusted.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.settings.trusted_origins.push(origin.into());
        self
    }

    /// Refuses requests with cookies that carry neither `Origin` nor `Sec-Fetch-Site`, as only programs and very old
    /// browsers send them.
    pub fn strict_cross_site(mut self) -> Self {
        self.settings.strict_cross_site = true;
        self
    }
}
