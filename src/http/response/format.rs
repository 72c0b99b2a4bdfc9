//! [`ResponseFormat`]: the shapes of answers that an app can choose.

use std::{fmt, str::FromStr};

use super::{envelope::Envelope, shape::ResponseShape};
use crate::error::UnknownName;

/// The shape of the answers of the ready endpoints and of the guard.
///
/// [`AuthBuilder::response_format`](crate::AuthBuilder::response_format) sets it. Default:
/// [`Standard`](Self::Standard).
///
/// # Examples
///
/// ```
/// use portcullis::{
///     AuthBuilder, User,
///     http::{Delivery, ResponseFormat},
/// };
///
/// // For a front end that expects the envelope and reads tokens from bodies.
/// fn configure(builder: AuthBuilder<User>) -> AuthBuilder<User> {
///     builder.response_format(ResponseFormat::Envelope).token_delivery([Delivery::Both])
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// The answers that [`Routes`](crate::endpoints::Routes) lists, with failures as RFC 9457
    /// defines them. The default.
    #[default]
    Standard,
    /// Answers of the form `{"statusCode", "data", "message", "success"}`, as in a widespread
    /// Express tutorial. A front end that was written for that tutorial works unchanged.
    ///
    /// - A registration answers 201 with the user as `data`. It does not log the user in, unless
    ///   [`login_on_register`](crate::AuthBuilder::login_on_register) is set.
    /// - A login and a refresh answer 200 with `data.user`. They also have `data.accessToken` and
    ///   `data.refreshToken` if [`token_delivery`](crate::AuthBuilder::token_delivery) puts tokens
    ///   into bodies. The tutorial's system corresponds to
    ///   [`Delivery::Both`](crate::http::Delivery::Both).
    /// - An endpoint without content, such as the logout, answers 200 with `data: {}`.
    /// - The ready [`PublicUser`](crate::user::PublicUser) has the members `_id`, `fullName`,
    ///   `avatarUrl` and `createdAt`. A member without a value is left out. An app's own public
    ///   user is written unchanged.
    /// - The cookies are named `accessToken` and `refreshToken`, with the prefix that every name
    ///   gets. [`cookie_names`](crate::AuthBuilder::cookie_names) sets other names.
    /// - Requests may use the names `fullName`, `avatarUrl`, `refreshToken`, `currentPassword` and
    ///   `newPassword`.
    /// - A login may have both `email` and `username`. The member `email` is used if it contains an
    ///   `@`, and otherwise `username`.
    /// - `POST /refresh-token` is a second path of `POST /refresh`.
    /// - Failures have the form `{"statusCode", "data": null, "message", "success": false,
    ///   "errors", "code"}`. `errors` uses the names of fields that the requests use.
    ///
    /// The answers differ from the tutorial's system in these points:
    ///
    /// - Failures have this crate's statuses. For example, an unknown user is a 401 like a wrong
    ///   password, not a 404.
    /// - A refresh by cookie has no refresh token in its body.
    /// - A logout needs no access token.
    /// - A Bearer token takes precedence over the cookie, and a refresh token in the body over its
    ///   cookie.
    /// - Tokens are in bodies only if the delivery puts them there.
    /// - Cookies have a `Max-Age`.
    /// - Usernames keep their case.
    /// - Requests from other sites are refused.
    /// - Access tokens carry `sub` and `roles` instead of `_id` and names.
    Envelope,
}

/// Parses `standard` or `envelope`.
impl FromStr for ResponseFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "standard" => Ok(Self::Standard),
            "envelope" => Ok(Self::Envelope),
            _ => Err(UnknownName),
        }
    }
}

impl fmt::Display for ResponseFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Envelope => "envelope",
        })
    }
}

impl ResponseFormat {
    /// Returns the shape, or `None` for the standard shape, which needs no rewriting.
    pub(crate) fn shape(self) -> Option<&'static dyn ResponseShape> {
        match self {
            Self::Standard => None,
            Self::Envelope => Some(&Envelope),
        }
    }
}
