//! [`SuccessBody`]: a success, for an app that writes bodies of its own.

use std::fmt;

use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::http::endpoint::Endpoint;

/// A success, for an app's own body: see [`AuthBuilder::success_body`](crate::AuthBuilder::success_body).
///
/// It serializes as the standard body does.
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

/// Leaves the body out, because tokens may be in it.
impl fmt::Debug for SuccessBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuccessBody")
            .field("endpoint", &self.endpoint)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
