//! What every endpoint reads from its request, and the token answer that many give.

use http::{
    HeaderMap, StatusCode,
    header::{ORIGIN, SET_COOKIE, USER_AGENT},
    request::Parts,
};
use http_body::Body;
use tower::BoxError;

use super::{
    Answer,
    answer::{Content, TokenAnswer, rename_fields},
};
use crate::{
    auth::{Auth, Authenticated, Check, ClientInfo, LoggedIn},
    error::{Error, ErrorKind},
    http::{
        Endpoint, ResponseFormat,
        body::{self, Fields},
        client_address::{self, client_address},
        credentials::{self, CookieValue, Found, Source},
        cross_site,
        delivery::Places,
    },
    secret::Secret,
    user::AuthUser,
};

/// A request to an endpoint.
pub(super) struct Exchange<'a, U: AuthUser> {
    pub(super) auth: &'a Auth<U>,
    pub(super) parts: &'a Parts,
    pub(super) endpoint: Endpoint,
    /// The path's `{id}`.
    pub(super) id: &'a str,
    pub(super) cookies: CookieUse,
}

/// Whether a request may read and set cookies, by where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookieUse {
    /// It comes from this origin, from a trusted one or from no browser.
    Allowed,
    /// It comes from elsewhere, brings no cookie of ours and has passed CORS: it gets an answer that sets none.
    Barred,
    /// It comes from elsewhere.
    Refused,
}

impl<'a, U: AuthUser> Exchange<'a, U> {
    pub(super) fn new(auth: &'a Auth<U>, parts: &'a Parts, endpoint: Endpoint, id: &'a str) -> Self {
        let mut exchange = Self { auth, parts, endpoint, id, cookies: CookieUse::Refused };
        exchange.cookies = if auth.0.http.cross_site.admits(&parts.headers, &parts.uri) {
            CookieUse::Allowed
        } else if exchange.leaves_cookies_alone() {
            CookieUse::Barred
        } else {
            CookieUse::Refused
        };
        exchange
    }

    /// Whether the endpoint can do without cookies, and the request as well. The check of its origin is about cookies, and a
    /// page of another site cannot send JSON unless the app's CORS lets it.
    fn leaves_cookies_alone(&self) -> bool {
        let headers = &self.parts.headers;
        matches!(self.endpoint, Endpoint::Register | Endpoint::Login | Endpoint::Refresh | Endpoint::Logout)
            && headers.contains_key(ORIGIN)
            && body::is_json(headers)
            && !self.auth.0.http.cookies.are_in(headers)
    }

    /// # Errors
    /// [`ErrorKind::CrossSite`] where tokens would go into cookies that the request may not set.
    pub(super) fn check_places(&self, places: Places) -> Result<Places, Error> {
        let sets_cookies = places.access_cookie || places.refresh_cookie;
        if self.cookies == CookieUse::Barred && sets_cookies { Err(cross_site::refusal()) } else { Ok(places) }
    }

    /// Deletes what the browser may keep beside our cookies: see `cookie_variants`.
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

    /// Every refresh token that cookies bring: signing out means all of them.
    pub(super) fn refresh_cookies(&self) -> impl Iterator<Item = &str> {
        let names = self.auth.0.http.cookies.refresh_names();
        let values = names.flat_map(|name| credentials::cookie_values(&self.parts.headers, name));
        values.filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Admits the holder of a good access token.
    pub(super) async fn authenticate(&self, check: Check) -> Result<(Authenticated<U>, Source), Error> {
        let found = self.access_token()?.ok_or(ErrorKind::TokenMissing)?;
        let authenticated = self.auth.authenticate_bytes(found.token, check).await?;
        Ok((authenticated, found.source))
    }

    /// What is known of the device, with the refresh token that it still has.
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
            // An empty text is a field that was left alone, and hides no cookie.
            refresh_token: refresh_token.filter(|token| !token.trim().is_empty()).or(cookie).map(Secret::new),
        }
    }

    /// What is known of the device, where the flow does not need it and somebody is to hear of it.
    pub(super) fn origin(&self) -> ClientInfo {
        if self.auth.is_heard() { self.client(None) } else { ClientInfo::unknown() }
    }

    /// Whether requests and answers are those of [`ResponseFormat::Envelope`].
    pub(super) fn in_envelope(&self) -> bool {
        self.auth.0.http.responder.format == ResponseFormat::Envelope
    }

    /// Reads the body.
    pub(super) async fn fields<B>(&self, body: B) -> Result<Fields, Error>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        Ok(self.renamed(Fields::read(&self.parts.headers, body).await?))
    }

    /// Reads a body that may be left out.
    pub(super) async fn optional_fields<B>(&self, body: B) -> Result<Fields, Error>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        Ok(self.renamed(Fields::read_optional(&self.parts.headers, body).await?))
    }

    fn renamed(&self, mut fields: Fields) -> Fields {
        if self.in_envelope() {
            rename_fields::<U::Registration>(&mut fields);
        }
        fields
    }

    /// The answer in the shape that the app chose.
    pub(super) fn answer(&self, status: StatusCode, content: Content<'_, U::Public>) -> Result<Answer, Error> {
        content.answer(&self.auth.0.http.responder, self.endpoint, status)
    }

    /// The token answer: the user, and the tokens where they belong.
    pub(super) fn token_answer(
        &self,
        status: StatusCode,
        logged_in: &LoggedIn<U>,
        places: Places,
    ) -> Result<Answer, Error> {
        let tokens = &logged_in.tokens;
        let issued = tokens.issued_at.as_secs();
        let expires_in = tokens.access_expires_at.as_secs().saturating_sub(issued);
        let content = Content::Tokens(TokenAnswer {
            user: logged_in.user.public(),
            token_type: "Bearer",
            expires_in,
            access_token: places.access_body.then(|| tokens.access_token.expose().as_str()),
            refresh_token: places.refresh_body.then(|| tokens.refresh_token.expose().as_str()),
        });
        let mut answer = self.answer(status, content)?;
        let cookies = &self.auth.0.http.cookies;
        if places.access_cookie || places.refresh_cookie {
            self.expire_other_cookies(answer.headers_mut())?;
        }
        if places.access_cookie {
            answer.headers_mut().append(SET_COOKIE, cookies.access.set(tokens.access_token.expose(), expires_in)?);
        }
        if places.refresh_cookie {
            let max_age = tokens.refresh_expires_at.as_secs().saturating_sub(issued);
            answer.headers_mut().append(SET_COOKIE, cookies.refresh.set(tokens.refresh_token.expose(), max_age)?);
        }
        Ok(answer)
    }
}
