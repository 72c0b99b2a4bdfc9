//! The HTTP status of each kind of error. No other file assigns one.

use http::StatusCode;

use crate::error::ErrorKind;

/// Returns the status of a kind of error.
pub(crate) const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidBody | ErrorKind::ValidationFailed | ErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorKind::InvalidCredentials
        | ErrorKind::TokenMissing
        | ErrorKind::TokenExpired
        | ErrorKind::TokenInvalid
        | ErrorKind::TokenRevoked
        | ErrorKind::RefreshMissing
        | ErrorKind::RefreshInvalid
        | ErrorKind::RefreshExpired
        | ErrorKind::RefreshReused => StatusCode::UNAUTHORIZED,
        ErrorKind::InsufficientRole
        | ErrorKind::InsufficientScope
        | ErrorKind::Forbidden
        | ErrorKind::WrongPassword
        | ErrorKind::CrossSite => StatusCode::FORBIDDEN,
        ErrorKind::NotFound | ErrorKind::SessionNotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::TooManySessions | ErrorKind::EmailTaken | ErrorKind::UsernameTaken => StatusCode::CONFLICT,
        ErrorKind::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::StoreUnavailable | ErrorKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}
