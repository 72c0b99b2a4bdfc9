//! [`ClientError`] and [`CallError`].

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;

use crate::error::FieldError;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// The kinds of [`ClientError`]. None of them logs the user out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The server could not be reached, or did not answer in time.
    Unreachable,
    /// The server answered with an error: see [`ClientError::status`], [`code`](ClientError::code)
    /// and [`retry_after`](ClientError::retry_after). An outage at the server (503) is one as well.
    Refused,
    /// The answer has not the form of the endpoints. It may come from a captive portal, a proxy or
    /// a wrong address.
    Unexpected,
    /// The token storage failed, or holds something that is no pair of this server's tokens.
    Storage,
    /// No user is logged in.
    NotLoggedIn,
    /// The fields of a registration are neither a struct nor a map, so that no JSON object can be
    /// made of them.
    InvalidFields,
    /// No Tokio runtime is running, or it ended during the call.
    Interrupted,
}

/// Why no token is available now, or why a login or another call failed.
///
/// It is cheap to clone, because all requests that wait for one refresh get the same error. It
/// shows no token and no password.
#[derive(Clone)]
pub struct ClientError(Arc<Inner>);

struct Inner {
    kind: ClientErrorKind,
    status: Option<StatusCode>,
    code: Option<String>,
    detail: Option<String>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Inner {
    fn new(kind: ClientErrorKind) -> Self {
        Self { kind, status: None, code: None, detail: None, fields: Vec::new(), retry_after: None, source: None }
    }
}

impl ClientError {
    pub(super) fn new(kind: ClientErrorKind) -> Self {
        Self(Arc::new(Inner::new(kind)))
    }

    pub(super) fn with_source(kind: ClientErrorKind, source: impl Into<Source>) -> Self {
        Self(Arc::new(Inner { source: Some(source.into()), ..Inner::new(kind) }))
    }

    pub(super) fn storage(source: impl Into<Source>) -> Self {
        Self::with_source(ClientErrorKind::Storage, source)
    }

    pub(super) fn unexpected(status: StatusCode, what: &'static str) -> Self {
        let (status, source) = (Some(status), Some(what.into()));
        Self(Arc::new(Inner { status, source, ..Inner::new(ClientErrorKind::Unexpected) }))
    }

    /// Makes the error of a server's answer.
    pub(super) fn refused(status: StatusCode, retry_after: Option<Duration>, problem: Problem) -> Self {
        let Problem { code, detail, fields } = problem;
        let status = Some(status);
        Self(Arc::new(Inner { status, code, detail, fields, retry_after, ..Inner::new(ClientErrorKind::Refused) }))
    }

    /// Returns the kind, to branch on.
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }

    /// Returns the status of the server's answer, if there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Returns the stable code of the server's answer
    /// ([`ErrorKind::code`](crate::ErrorKind::code)), such as `invalid_credentials`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the server's explanation, a sentence for the user.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Returns the fields that the server refused with `validation_failed`.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Returns how long to wait before another attempt, in whole seconds, if the server says so
    /// (429, 503).
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

/// The body of a failure.
#[derive(Default)]
pub(super) struct Problem {
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) fields: Vec<FieldError>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.kind {
            ClientErrorKind::Unreachable => "the authentication server cannot be reached",
            ClientErrorKind::Refused => "the authentication server refused the request",
            ClientErrorKind::Unexpected => "the answer has not the form of an authentication server's",
            ClientErrorKind::Storage => "the token storage failed",
            ClientErrorKind::NotLoggedIn => "no user is logged in",
            ClientErrorKind::InvalidFields => "the fields of the registration are neither a struct nor a map",
            ClientErrorKind::Interrupted => "no Tokio runtime is running, or it ended during the call",
        })?;
        if let Some(status) = self.0.status {
            write!(f, " ({}", status.as_u16())?;
            if let Some(code) = &self.0.code {
                write!(f, " {code}")?;
            }
            f.write_str(")")?;
        }
        match &self.0.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .field("fields", &self.0.fields)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Why a request through the layer got no answer.
#[derive(Debug)]
pub enum CallError<E> {
    /// The HTTP client failed.
    Call(E),
    /// The access token has expired or was refused, and no other is available now. The request was
    /// not sent, or was answered 401. The user stays logged in.
    Tokens(ClientError),
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Tokens(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Call(error) => error.source(),
            Self::Tokens(error) => error.source(),
        }
    }
}
