//! What answers look like: the standard shape, the envelope of an Express system, or the app's own.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use super::{endpoint::Endpoint, respond};
use crate::error::{Error, ErrorKind, FieldError, UnknownName};

/// The shape of the answers of the ready endpoints and of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// As [`Routes`](crate::Routes) says, with failures of RFC 9457.
    #[default]
    Standard,
    /// `{"statusCode", "data", "message", "success"}`, as a widespread Express tutorial answers, so that a front end that
    /// was written for it goes on unchanged.
    ///
    /// - Registering answers 201 with the user as `data`, and signs nobody in unless
    ///   [`login_on_register`](crate::AuthBuilder::login_on_register) says so.
    /// - Logging in and refreshing answer 200 with `data.user` and, where
    ///   [`token_delivery`](crate::AuthBuilder::token_delivery) puts tokens into bodies (that system does:
    ///   [`Delivery::Both`](crate::Delivery::Both)), `data.accessToken` and `data.refreshToken`.
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

/// A failure, for an app's own body: see [`AuthBuilder::failure_body`](crate::AuthBuilder::failure_body).
///
/// It serializes as the standard body does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure it is, with its stable code.
    pub kind: ErrorKind,
    /// The status of the answer.
    pub status: StatusCode,
    /// An English sentence for the reader of the answer. No cause is in it.
    pub detail: String,
    /// The fields that did not pass.
    pub fields: Vec<FieldError>,
    /// After how long it makes sense to try again; also a header, `Retry-After`, in whole seconds.
    pub retry_after: Option<Duration>,
}

impl Failure {
    fn of(error: &Error) -> Self {
        let kind = error.kind();
        // Whoever made an internal error may have said too much.
        let detail = error.detail().filter(|_| kind != ErrorKind::Internal).unwrap_or(kind.message()).to_owned();
        let (fields, retry_after) = (error.fields().to_vec(), error.retry_after());
        Self { kind, status: respond::status(kind), detail, fields, retry_after }
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut problem = serializer.serialize_struct("Problem", 6)?;
        problem.serialize_field("type", "about:blank")?;
        // Of `about:blank` the title is the status' own (RFC 9457 §4.2.1); what there is to say is the detail.
        problem.serialize_field("title", self.status.canonical_reason().unwrap_or_default())?;
        problem.serialize_field("status", &self.status.as_u16())?;
        problem.serialize_field("code", self.kind.code())?;
        problem.serialize_field("detail", &self.detail)?;
        if self.fields.is_empty() {
            problem.skip_field("errors")?;
        } else {
            problem.serialize_field("errors", &self.fields)?;
        }
        problem.end()
    }
}

/// A success, for an app's own body: see [`AuthBuilder::success_body`](crate::AuthBuilder::success_body).
///
/// It serializes as the standard body does.
#[derive(Clone)]
#[non_exhaustive]
pub struct Success {
    /// The endpoint that answers.
    pub endpoint: Endpoint,
    /// The status of the answer.
    pub status: StatusCode,
    pub(crate) body: Value,
}

impl Serialize for Success {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

/// Without the body: tokens may be in it.
impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Success")
            .field("endpoint", &self.endpoint)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Writes an app's own body; its type is erased once, when the builder gets it.
pub(crate) type BodyOf<T> = Arc<dyn Fn(T) -> serde_json::Result<Vec<u8>> + Send + Sync>;

/// Writes answers in the shape that the app chose.
#[derive(Clone, Default)]
pub(crate) struct Responder {
    pub(crate) format: ResponseFormat,
    pub(crate) failure: Option<BodyOf<Failure>>,
    pub(crate) success: Option<BodyOf<Success>>,
}

/// The failure in the shape of the envelope.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal<'a> {
    status_code: u16,
    data: (),
    message: &'a str,
    success: bool,
    errors: &'a [FieldError],
    code: &'static str,
}

impl Responder {
    /// The one of guards that belong to no [`Auth`](crate::Auth).
    pub(crate) const STANDARD: Self = Self { format: ResponseFormat::Standard, failure: None, success: None };

    /// The answer to a failure; what the client may not know goes to the log.
    pub(crate) fn problem(&self, error: &Error) -> Response<Full<Bytes>> {
        let failure = Failure::of(error);
        let (content_type, bytes) = match (&self.failure, self.format) {
            (Some(own), _) => ("application/json", own(failure)),
            (None, ResponseFormat::Standard) => ("application/problem+json", serde_json::to_vec(&failure)),
            (None, ResponseFormat::Envelope) => {
                let refusal = Refusal {
                    status_code: failure.status.as_u16(),
                    data: (),
                    message: &failure.detail,
                    success: false,
                    errors: &failure.fields,
                    code: failure.kind.code(),
                };
                ("application/json", serde_json::to_vec(&refusal))
            }
        };
        // Only an app's own body can fail to be written, and without one the answer still has the right status.
        let bytes = bytes.unwrap_or_else(|error| {
            tracing::error!(target: "portcullis", %error, "the body of a failure cannot be written");
            Vec::new()
        });
        respond::failure(error, content_type, bytes)
    }

    /// The answer to a failure of a request that may be a gRPC call.
    pub(crate) fn refusal(&self, error: &Error, grpc: bool) -> Response<Full<Bytes>> {
        if grpc { respond::grpc_problem(error) } else { self.problem(error) }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(responder: &Responder, error: &Error) -> String {
        let bytes = responder.problem(error).into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const ENVELOPE: Responder = Responder { format: ResponseFormat::Envelope, failure: None, success: None };

    #[tokio::test]
    async fn the_cause_of_a_fault_is_not_answered() {
        let error = || Error::new(ErrorKind::Internal).with_detail("secret path").with_source("secret cause");
        let own: BodyOf<Failure> = Arc::new(|failure| serde_json::to_vec(&format!("{failure:?}")));
        for responder in [Responder::STANDARD, ENVELOPE, Responder { failure: Some(own), ..Responder::STANDARD }] {
            let text = body(&responder, &error()).await;
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[tokio::test]
    async fn fields_are_listed_in_the_problem() {
        let error = Error::validation(vec![FieldError::new("email", "required", "An e-mail address is required.")]);
        assert_eq!(
            body(&Responder::STANDARD, &error).await,
            r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"validation_failed","detail":"Some fields are not valid","errors":[{"field":"email","code":"required","message":"An e-mail address is required."}]}"#
        );
        assert_eq!(
            body(&ENVELOPE, &error).await,
            r#"{"statusCode":400,"data":null,"message":"Some fields are not valid","success":false,"errors":[{"field":"email","code":"required","message":"An e-mail address is required."}],"code":"validation_failed"}"#
        );
    }

    #[tokio::test]
    async fn a_body_that_cannot_be_written_leaves_status_and_headers() {
        let own: BodyOf<Failure> = Arc::new(|_| Err(serde::ser::Error::custom("no")));
        let response = Responder { failure: Some(own), ..ENVELOPE }.problem(&ErrorKind::StoreUnavailable.into());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
    }
}
