//! What endpoints answer, in each shape that an app may have chosen.

use std::any::{Any, TypeId};

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Answer, sessions::SessionView};
use crate::{
    error::Error,
    http::{Endpoint, ResponseFormat, Success, body::Fields, format::Responder, respond},
    user::{Profile, PublicUser},
};

/// What an endpoint has to say; it serializes as the standard body.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a, P> {
    Tokens(TokenAnswer<'a, P>),
    User { user: P },
    Sessions { sessions: Vec<SessionView> },
    Nothing,
}

/// The token answer: the user, and the tokens that belong into the body.
#[derive(Serialize)]
pub(super) struct TokenAnswer<'a, P> {
    pub(super) user: P,
    pub(super) token_type: &'static str,
    pub(super) expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<&'a str>,
}

impl<P: Serialize + 'static> Content<'_, P> {
    /// The answer of this endpoint, whose status in the standard shape is this.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where an app's own type cannot be written: half a user is no answer.
    pub(super) fn answer(self, responder: &Responder, endpoint: Endpoint, status: StatusCode) -> Result<Answer, Error> {
        if let (Some(own), false) = (&responder.success, matches!(self, Self::Nothing)) {
            let body = serde_json::to_value(&self).map_err(Error::internal)?;
            let bytes = own(Success { endpoint, status, body }).map_err(Error::internal)?;
            return Ok(respond::json_bytes(status, bytes));
        }
        match (responder.format, &self) {
            (ResponseFormat::Standard, Self::Nothing) => Ok(respond::empty(status)),
            (ResponseFormat::Standard, _) => respond::json(status, &self),
            (ResponseFormat::Envelope, _) => self.in_envelope(endpoint, status),
        }
    }

    fn in_envelope(&self, endpoint: Endpoint, status: StatusCode) -> Result<Answer, Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope {
            status_code: u16,
            data: Value,
            message: &'static str,
            success: bool,
        }
        // A body goes with every status but this one.
        let status = if status == StatusCode::NO_CONTENT { StatusCode::OK } else { status };
        let data = self.data(endpoint)?;
        respond::json(
            status,
            &Envelope { status_code: status.as_u16(), data, message: message(endpoint), success: true },
        )
    }

    fn data(&self, endpoint: Endpoint) -> Result<Value, Error> {
        let (user, tokens) = match self {
            Self::Nothing => return Ok(json!({})),
            Self::Sessions { .. } => return serde_json::to_value(self).map_err(Error::internal),
            Self::User { user } => (user, [None, None]),
            Self::Tokens(answer) => {
                (&answer.user, [("accessToken", answer.access_token), ("refreshToken", answer.refresh_token)].map(Some))
            }
        };
        let mut data = match (endpoint, public(user)?) {
            // A registration's data is the user alone.
            (Endpoint::Register, Value::Object(members)) => members,
            (_, user) => Map::from_iter([("user".to_owned(), user)]),
        };
        for (name, token) in tokens.into_iter().flatten() {
            data.extend(token.map(|token| (name.to_owned(), token.into())));
        }
        Ok(data.into())
    }
}

/// The ready user as that system shows its own; an app's says itself what clients see.
fn public<P: Serialize + 'static>(user: &P) -> Result<Value, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Renamed<'a> {
        #[serde(rename = "_id")]
        id: &'a str,
        email: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        username: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        full_name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        avatar_url: Option<&'a str>,
        roles: &'a [String],
        created_at: crate::clock::Timestamp,
    }
    let value = match (user as &dyn Any).downcast_ref::<PublicUser>() {
        None => serde_json::to_value(user),
        Some(user) => serde_json::to_value(Renamed {
            id: &user.id,
            email: &user.email,
            username: user.username.as_deref(),
            full_name: user.name.as_deref(),
            avatar_url: user.avatar_url.as_deref(),
            roles: &user.roles,
            created_at: user.created_at,
        }),
    };
    value.map_err(Error::internal)
}

const fn message(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Register => "User registered successfully",
        Endpoint::Login => "User logged in successfully",
        Endpoint::Refresh => "Access token refreshed successfully",
        Endpoint::Logout => "User logged out successfully",
        Endpoint::LogoutAll => "User logged out everywhere successfully",
        Endpoint::EndSession => "Session ended successfully",
        Endpoint::ChangePassword => "Password changed successfully",
        Endpoint::Me | Endpoint::Sessions | Endpoint::Jwks => "Success",
        #[cfg(feature = "openapi")]
        Endpoint::OpenApi => "Success",
    }
}

/// Lets a request speak as that system's front end does. The names of a profile are the ready user's: an app's own
/// registration type reads its members as they were sent.
pub(super) fn rename_fields<R: 'static>(fields: &mut Fields) {
    for (theirs, ours) in names::<R>() {
        fields.rename(theirs, ours);
    }
}

/// Says what is wrong with its fields in the names that it sent.
pub(super) fn rename_mistakes<R: 'static>(error: Error) -> Error {
    error.renaming_fields(|field| names::<R>().find(|(_, ours)| *ours == field).map(|(theirs, _)| theirs))
}

fn names<R: 'static>() -> impl Iterator<Item = (&'static str, &'static str)> {
    let always =
        [("refreshToken", "refresh_token"), ("currentPassword", "current_password"), ("newPassword", "new_password")];
    let profile = [("fullName", "name"), ("avatarUrl", "avatar_url")];
    let is_profile = TypeId::of::<R>() == TypeId::of::<Profile>();
    always.into_iter().chain(profile.into_iter().filter(move |_| is_profile))
}
