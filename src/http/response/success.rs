//! [`SuccessBody`]: a success, for an app that writes its own bodies.

use std::fmt;

use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::http::endpoint::Endpoint;

/// A success, from which an app writes its own body.
///
/// [`AuthBuilder::success_body`](crate::AuthBuilder::success_body) takes the function that writes
/// the body. A `SuccessBody` serializes as the standard body.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthBuilder, User, http::SuccessBody};
///
/// #[derive(serde::Serialize)]
/// struct Wrapped {
///     status: u16,
///     data: SuccessBody,
/// }
///
/// fn configure(builder: AuthBuilder<User>) -> AuthBuilder<User> {
///     builder.success_body(|success| Wrapped { status: success.status.as_u16(), data: success })
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct SuccessBody {
    /// The endpoint that answers.
    pub endpoint: Endpoint,
    /// The status of the answer.
    pub status: StatusCode,
    pub(crate) body: Value,
}

impl Serialize for SuccessBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

/// Leaves out the body, because it may contain tokens.
impl fmt::Debug for SuccessBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuccessBody")
            .field("endpoint", &self.endpoint)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
