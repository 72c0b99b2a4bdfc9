//! [`ResponseFormat`]: the shapes of answers that an app chooses from.

use std::{fmt, str::FromStr};

use super::{envelope::Envelope, shape::ResponseShape};
use crate::error::UnknownName;

/// The shape of the answers of the ready endpoints and of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// As [`Routes`](crate::endpoints::Routes) says, with failures of RFC 9457.
    #[default]
    Standard,
    /// `{"statusCode", "data", "message", "success"}`, as a widespread Express tutorial answers, so that a front end that
    /// was written for it goes on unchanged.
    ///
    /// - Registering answers 201 with the user as `data`, and signs nobody in unless
    ///   [`login_on_register`](crate::AuthBuilder::login_on_register) says so.
    /// - Logging in and refreshing answer 200 with `data.user` and, where
    ///   [`token_delivery`](crate::AuthBuilder::token_delivery) puts tokens into bodies (that system does:
    ///   [`Delivery::Both`](crate::http::Delivery::Both)), `data.accessToken` and `data.refreshToken`.
    /// - What has nothing to say, as logging out, answers 200 with `data: {}`.
    /// - The ready [`PublicUser`](crate::user::PublicUser) has `_id`, `fullName`, `avatarUrl` and `createdAt`, and no
    ///   member for what it lacks; an app's own public user is shown as it is.
    /// - The cookies are named `accessToken` and `refreshToken` unless
    ///   [`cookie_names`](crate::AuthBuilder::cookie_names) says otherwise, with the prefix that every name gets.
    /// - Requests may say `fullName`, `avatarUrl`, `refreshToken`, `currentPassword` and `newPassword`; a login may name
    ///   both `email` and `username`, of which the address counts if it is one. `POST /refresh-token` is `POST /refresh`.
    /// - Failures are `{"statusCode", "data": null, "message", "success": false, "errors", "code"}`,
    ///   and `errors` names fields as that front end does.
    ///
    /// Not as that system has it: statuses of failures are ours (an unknown user is 401 like a wrong password, not 404),
    /// a refresh by cookie answers with no refresh token in its body,
    /// logging out needs no access token, a Bearer token counts before the cookie and a refresh token in the body before
    /// its cookie, tokens are in bodies only where the delivery says so, cookies have a `Max-Age`, usernames keep their
    /// case, requests from other sites are refused, and access tokens carry `sub` and `roles` in place of `_id` and names.
    Envelope,
}

/// Reads `standard` or `envelope`.
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
    /// Returns the shape, or `None` for the standard one, which needs no rewriting.
    pub(crate) fn shape(self) -> Option<&'static dyn ResponseShape> {
        match self {
            Self::Standard => None,
            Self::Envelope => Some(&Envelope),
        }
    }
}
