//! What a client can be told instead of what it asked for.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use http::StatusCode;

use crate::error::FieldError;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What kind of failure a [`ClientError`] is. None of them signs anybody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The server could not be asked, or did not answer in time.
    Unreachable,
    /// The server said no: see [`ClientError::status`], [`code`](ClientError::code) and
    /// [`retry_after`](ClientError::retry_after). An outage of the server's (503) is one as well.
    Refused,
    /// Something answered that does not speak as our endpoints do: a captive portal, a proxy, a wrong address.
    Unexpected,
    /// The storage of the tokens failed, or holds what is not ours.
    Storage,
    /// Nobody is signed in.
    NotSignedIn,
    /// The runtime ended in the middle, or there is none: this needs Tokio's.
    Interrupted,
}

/// Why there are no tokens to be had right now, or why signing in or out failed.
///
/// It is cheap to clone, because all who wait for one refresh are told the same, and shows no token and no password.
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
    fn of(kind: ClientErrorKind) -> Self {
        Self { kind, status: None, code: None, detail: None, fields: Vec::new(), retry_after: None, source: None }
    }
}

impl ClientError {
    pub(super) fn new(kind: ClientErrorKind) -> Self {
        Self(Arc::new(Inner::of(kind)))
    }

    pub(super) fn with_source(kind: ClientErrorKind, source: impl Into<Source>) -> Self {
        Self(Arc::new(Inner { source: Some(source.into()), ..Inner::of(kind) }))
    }

    pub(super) fn storage(source: impl Into<Source>) -> Self {
        Self::with_source(ClientErrorKind::Storage, source)
    }

    pub(super) fn unexpected(status: StatusCode, what: &'static str) -> Self {
        let (status, source) = (Some(status), Some(what.into()));
        Self(Arc::new(Inner { status, source, ..Inner::of(ClientErrorKind::Unexpected) }))
    }

    /// What the server's problem says of itself.
    pub(super) fn refused(status: StatusCode, retry_after: Option<Duration>, problem: Problem) -> Self {
        let Problem { code, detail, fields } = problem;
        let status = Some(status);
        Self(Arc::new(Inner { status, code, detail, fields, retry_after, ..Inner::of(ClientErrorKind::Refused) }))
    }

    /// The kind, to branch on.
    pub fn kind(&self) -> ClientErrorKind {
        self.0.kind
    }

    /// The status of the server's answer, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The stable code of the server's answer ([`ErrorKind::code`](crate::ErrorKind::code)), such as
    /// `invalid_credentials`.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The server's sentence for whoever asked.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The fields that did not pass, for `validation_failed`.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Returns after how long it makes sense to try again, where the server said so (429, 503): whole seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

/// The members of a failure's body.
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
            ClientErrorKind::Refused => "the authentication server refuses",
            ClientErrorKind::Unexpected => "what answered is no authentication server",
            ClientErrorKind::Storage => "the storage of the tokens failed",
            ClientErrorKind::NotSignedIn => "nobody is signed in",
            ClientErrorKind::Interrupted => "there is no Tokio runtime, or it ended meanwhile",
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

/// Why a request through the layer has no answer.
#[derive(Debug)]
pub enum CallError<E> {
    /// The HTTP client's own error.
    Call(E),
    /// The access token has expired or was refused, and there is no other right now. The request was not sent, or was
    /// answered 401; nobody is signed out.
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
