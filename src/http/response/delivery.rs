//! [`Delivery`]: how tokens reach a client.

use std::{fmt, str::FromStr};

use crate::{error::UnknownName, http::request::credentials::Source};

/// How a client receives its tokens.
///
/// [`AuthBuilder::token_delivery`](crate::AuthBuilder::token_delivery) sets the deliveries that an
/// app allows, with the default first. A login or registration may ask for one of them in its
/// member `delivery`. Default: [`Cookie`](Self::Cookie) only.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthBuilder, User, http::Delivery};
///
/// // Browsers get cookies. The native app asks for `"delivery": "body"` when it logs in.
/// fn configure(builder: AuthBuilder<User>) -> AuthBuilder<User> {
///     builder.token_delivery([Delivery::Cookie, Delivery::Body])
/// }
///
/// assert_eq!("body".parse(), Ok(Delivery::Body));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// Both tokens in cookies. For browsers: no script can read a token. The default.
    Cookie,
    /// The access token in the body, and the refresh token in a cookie. For single-page apps that
    /// send Bearer tokens.
    Split,
    /// Both tokens in the body. For native apps and command-line programs.
    Body,
    /// Both tokens in cookies and in the body. Only for front ends that expect this, because every
    /// script of the page can read the tokens in the body.
    Both,
}

impl Delivery {
    /// Returns the name in settings and in requests: `cookie`, `split`, `body` or `both`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Split => "split",
            Self::Body => "body",
            Self::Both => "both",
        }
    }

    /// Returns the places of the two tokens.
    const fn places(self) -> Places {
        match self {
            Self::Cookie => {
                Places { access_cookie: true, access_body: false, refresh_cookie: true, refresh_body: false }
            }
            Self::Split => {
                Places { access_cookie: false, access_body: true, refresh_cookie: true, refresh_body: false }
            }
            Self::Body => Places { access_cookie: false, access_body: true, refresh_cookie: false, refresh_body: true },
            Self::Both => Places { access_cookie: true, access_body: true, refresh_cookie: true, refresh_body: true },
        }
    }
}

/// Parses `cookie`, `split`, `body` or `both`.
impl FromStr for Delivery {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let all = [Self::Cookie, Self::Split, Self::Body, Self::Both];
        all.into_iter().find(|delivery| delivery.as_str() == text).ok_or(UnknownName)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The places of the tokens in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent places, each used by name")]
pub(crate) struct Places {
    pub(crate) access_cookie: bool,
    pub(crate) access_body: bool,
    pub(crate) refresh_cookie: bool,
    pub(crate) refresh_body: bool,
}

/// The deliveries that an app allows. There is at least one, the default.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries {
    default: Delivery,
    others: Vec<Delivery>,
}

impl Deliveries {
    /// Returns the deliveries of a list with the default first, or `None` if the list is empty.
    pub(crate) fn new(list: &[Delivery]) -> Option<Self> {
        let (default, others) = list.split_first()?;
        Some(Self { default: *default, others: others.to_vec() })
    }

    pub(crate) fn allows(&self, delivery: Delivery) -> bool {
        self.default == delivery || self.others.contains(&delivery)
    }

    /// Returns the names of the deliveries that a login may ask for.
    #[cfg(feature = "openapi")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.default).chain(self.others.iter().copied()).map(Delivery::as_str)
    }

    /// Returns whether some clients keep the access token in a cookie.
    pub(crate) fn use_access_cookie(&self) -> bool {
        self.allows(Delivery::Cookie) || self.allows(Delivery::Both)
    }

    /// Returns the places for a login or registration that asks for a delivery, or for the default.
    /// Returns `None` if the delivery is not allowed.
    pub(crate) fn asked(&self, asked: Option<&str>) -> Option<Places> {
        match asked {
            None => Some(self.default.places()),
            Some(text) => text.parse().ok().filter(|delivery| self.allows(*delivery)).map(Delivery::places),
        }
    }

    /// Returns the places for a refresh whose token came in a cookie.
    ///
    /// The new refresh token goes only into the cookie. The access token is in the body only if a
    /// delivery of the app needs it there.
    pub(crate) fn to_cookie(&self) -> Places {
        let access_body = self.allows(Delivery::Split) || self.allows(Delivery::Both);
        let access_cookie = self.allows(Delivery::Cookie) || self.allows(Delivery::Both) || !access_body;
        Places { access_cookie, access_body, refresh_cookie: true, refresh_body: false }
    }

    /// Returns the places for a refresh whose token came in the body.
    pub(crate) fn to_body(&self) -> Places {
        let both = self.allows(Delivery::Both) && !self.allows(Delivery::Body);
        if both { Delivery::Both.places() } else { Delivery::Body.places() }
    }

    /// Returns the places for a password change, which an access token authenticates. The tokens go
    /// where the client keeps the refresh token of the session.
    pub(crate) fn by_access(&self, source: Source, has_refresh_cookie: bool) -> Places {
        match source {
            Source::Cookie => self.to_cookie(),
            Source::Bearer if has_refresh_cookie => self.to_cookie(),
            Source::Bearer if self.allows(Delivery::Body) || self.allows(Delivery::Both) => self.to_body(),
            Source::Bearer => self.default.places(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliveries(list: &[Delivery]) -> Deliveries {
        Deliveries::new(list).unwrap()
    }

    #[test]
    fn a_token_that_came_in_a_cookie_never_leaves_in_a_body() {
        use Delivery::{Body, Both, Cookie, Split};
        for list in [&[Cookie][..], &[Split], &[Body], &[Both], &[Cookie, Body], &[Body, Split]] {
            let places = deliveries(list).to_cookie();
            assert!(places.refresh_cookie && !places.refresh_body, "{list:?}");
            let access_in_body = matches!(list, [Split | Both, ..] | [Body, Split]);
            assert_eq!(places.access_body, access_in_body, "{list:?}");
        }
    }

    #[test]
    fn a_delivery_is_parsed_from_its_name() {
        for delivery in [Delivery::Cookie, Delivery::Split, Delivery::Body, Delivery::Both] {
            assert_eq!(delivery.to_string().parse(), Ok(delivery));
        }
        for other in ["", "Cookie", "cookie ", "carrier pigeon"] {
            assert_eq!(other.parse::<Delivery>(), Err(UnknownName), "{other:?}");
        }
    }

    #[test]
    fn a_login_may_ask_only_for_an_allowed_delivery() {
        let list = deliveries(&[Delivery::Cookie, Delivery::Body]);
        assert_eq!(list.asked(None), Some(Delivery::Cookie.places()));
        assert_eq!(list.asked(Some("body")), Some(Delivery::Body.places()));
        assert_eq!(list.asked(Some("split")), None);
        assert_eq!(list.asked(Some("carrier pigeon")), None);
    }
}
