//! [`Exchange`]: gives handlers the parts of a request that they need.

use http::{
    HeaderMap,
    header::{ORIGIN, SET_COOKIE, USER_AGENT},
    request::Parts,
};

use crate::{
    auth::{Auth, Authenticated, Check, ClientInfo},
    error::{Error, ErrorKind},
    http::{
        endpoint::EndpointSpec,
        request::{
            body::{self, Fields, RequestBody},
            client_address::{self, client_address},
            credentials::{self, CookieValue, Found, Source},
            cross_site,
        },
        response::{cookies::Cookies, delivery::Places, shape::ReadyTypes},
    },
    secret::Secret,
    user::AuthUser,
};

/// A request to an endpoint, without its body.
pub(super) struct Exchange<'a, U: AuthUser> {
    pub(super) auth: &'a Auth<U>,
    pub(super) parts: &'a Parts,
    pub(super) spec: &'static EndpointSpec,
    /// The segment in the place of the path's parameter, such as `{id}`. It is empty if the path
    /// has no parameter.
    pub(super) path_parameter: &'a str,
    pub(super) cookies: CookieUse,
}

/// Whether a request may use cookies. This depends on the origin that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookieUse {
    /// The request comes from this origin, from a trusted origin, or from a client that is not a
    /// browser.
    Allowed,
    /// The request comes from another origin, but passes without cookies: it brings none of ours,
    /// and its answer may set none. It is JSON, which the app's CORS settings have allowed.
    Barred,
    /// Any other request from another origin.
    Refused,
}

impl<'a, U: AuthUser> Exchange<'a, U> {
    pub(super) fn new(
        auth: &'a Auth<U>,
        parts: &'a Parts,
        spec: &'static EndpointSpec,
        path_parameter: &'a str,
    ) -> Self {
        let http = &auth.0.http;
        let cookies = if http.cross_site.admits(&parts.headers, &parts.uri) {
            CookieUse::Allowed
        } else if spec.cross_site.admits_without_cookies() && is_cookieless_json(&parts.headers, &http.cookies) {
            CookieUse::Barred
        } else {
            CookieUse::Refused
        };
        Self { auth, parts, spec, path_parameter, cookies }
    }

    /// Returns the places of the tokens, if the request may have its tokens there.
    ///
    /// # Errors
    /// [`ErrorKind::CrossSite`] if tokens would go into cookies and the request may not set
    /// cookies.
    pub(super) fn check_places(&self, places: Places) -> Result<Places, Error> {
        let sets_cookies = places.access_cookie || places.refresh_cookie;
        if self.cookies == CookieUse::Barred && sets_cookies { Err(cross_site::refusal()) } else { Ok(places) }
    }

    /// Adds the lines that delete other variants of our cookies. The module `cookie_variants`
    /// explains them.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if a line is not a valid header. Checked settings prevent that.
    pub(super) fn expire_other_cookies(&self, answer: &mut HeaderMap) -> Result<(), Error> {
        for line in self.auth.0.http.cookies.expire_others(&self.parts.headers, &self.parts.uri)? {
            answer.append(SET_COOKIE, line);
        }
        Ok(())
    }

    pub(super) fn access_token(&self) -> Result<Option<Found<'_>>, Error> {
        credentials::access_token(&self.parts.headers, self.auth.0.http.cookies.access.name())
    }

    pub(super) fn refresh_cookie(&self) -> CookieValue<'_> {
        credentials::cookie_value(&self.parts.headers, self.auth.0.http.cookies.refresh.name())
    }

    /// Returns every refresh token in the cookies. A logout ends the sessions of all of them.
    pub(super) fn refresh_cookies(&self) -> impl Iterator<Item = &str> {
        let names = self.auth.0.http.cookies.refresh_names();
        let values = names.flat_map(|name| credentials::cookie_values(&self.parts.headers, name));
        values.filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Verifies the access token of the request. Returns its claims, and where the token was found.
    pub(super) async fn authenticate(&self, check: Check) -> Result<(Authenticated<U>, Source), Error> {
        let found = self.access_token()?.ok_or(ErrorKind::TokenMissing)?;
        let authenticated = self.auth.authenticate_bytes(found.token, check).await?;
        Ok((authenticated, found.source))
    }

    /// Returns what is known of the client, with the refresh token that it still has.
    pub(super) fn client(&self, refresh_token: Option<String>) -> ClientInfo {
        let cookie = match self.refresh_cookie() {
            CookieValue::Once(token) => Some(token.to_owned()),
            CookieValue::Absent | CookieValue::Ambiguous => None,
        };
        let address = client_address(&self.parts.headers, &self.parts.extensions, self.auth.0.http.trusted_proxy_hops);
        if self.auth.0.throttle.is_some() && address.is_shared {
            client_address::warn_of_shared();
        }
        let user_agent = self.parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        ClientInfo {
            user_agent: user_agent.map(str::to_owned),
            ip: address.ip,
            ip_is_shared: address.is_shared,
            // An empty text is a form field that the user left empty. It does not override the
            // cookie.
            refresh_token: refresh_token.filter(|token| !token.trim().is_empty()).or(cookie).map(Secret::new),
        }
    }

    /// Returns what is known of the client for a flow that needs it for events alone: nothing,
    /// where no sink is set.
    pub(super) fn client_for_events(&self) -> ClientInfo {
        if self.auth.has_event_sink() { self.client(None) } else { ClientInfo::unknown() }
    }

    /// Reads the body.
    pub(super) async fn fields(&self, body: RequestBody) -> Result<Fields, Error> {
        Ok(self.standard(Fields::read(&self.parts.headers, body).await?))
    }

    /// Reads a body that may be left out.
    pub(super) async fn optional_fields(&self, body: RequestBody) -> Result<Fields, Error> {
        Ok(self.standard(Fields::read_optional(&self.parts.headers, body).await?))
    }

    /// Renames the members of a request from the app's shape to the standard names.
    fn standard(&self, mut fields: Fields) -> Fields {
        if let Some(shape) = self.auth.0.http.responder.shape() {
            shape.read(self.spec, ReadyTypes::of::<U>(), &mut fields);
        }
        fields
    }
}

/// Returns whether a request from a page is JSON and brings none of our cookies.
///
/// The cross-site check protects cookies. A page of another origin cannot send JSON unless the
/// app's CORS settings allow it.
fn is_cookieless_json(headers: &HeaderMap, cookies: &Cookies) -> bool {
    headers.contains_key(ORIGIN) && body::is_json(headers) && !cookies.are_in(headers)
}
