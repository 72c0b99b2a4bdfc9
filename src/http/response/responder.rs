//! [`Responder`]: writes answers in the shape that the app chose.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde::Serialize;

use super::{
    format::ResponseFormat,
    grpc, plain,
    problem::{self, FailureBody},
    shape::{ReadyTypes, ResponseShape},
    success::SuccessBody,
};
use crate::{error::Error, http::endpoint::EndpointSpec};

/// Writes an app's own body. Its type is erased when the builder receives it.
pub(crate) type BodyOf<T> = Arc<dyn Fn(T) -> serde_json::Result<Vec<u8>> + Send + Sync>;

/// Writes answers in the shape that the app chose.
#[derive(Clone, Default)]
pub(crate) struct Responder {
    pub(crate) format: ResponseFormat,
    pub(crate) failure: Option<BodyOf<FailureBody>>,
    pub(crate) success: Option<BodyOf<SuccessBody>>,
}

impl Responder {
    /// The responder of guards without an [`Auth`](crate::Auth).
    pub(crate) const STANDARD: Self = Self { format: ResponseFormat::Standard, failure: None, success: None };

    /// Returns the shape, or `None` for the standard shape.
    pub(crate) fn shape(&self) -> Option<&'static dyn ResponseShape> {
        self.format.shape()
    }

    /// Answers a success of an endpoint. `body` is the standard body, or `None` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if an app's own type cannot be written.
    /// An incomplete body is never sent.
    pub(crate) fn success(
        &self,
        spec: &EndpointSpec,
        types: ReadyTypes,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Full<Bytes>>, Error> {
        let status = self.shape().map_or(spec.status, |shape| shape.status(spec.status));
        let bytes = match (&self.success, self.shape(), body) {
            (Some(own), _, Some(body)) => {
                serde_json::to_value(body).and_then(|body| own(SuccessBody { endpoint: spec.endpoint, status, body }))
            }
            (_, Some(shape), body) => {
                body.map(serde_json::to_value).transpose().and_then(|body| shape.success(spec, status, types, body))
            }
            (None, None, Some(body)) => serde_json::to_vec(body),
            (_, None, None) => return Ok(plain::empty(status)),
        };
        Ok(plain::json(status, bytes.map_err(Error::internal)?))
    }

    /// Answers a failure, and logs its cause, which the client may not see.
    pub(crate) fn problem(&self, error: &Error) -> Response<Full<Bytes>> {
        let failure = FailureBody::of(error);
        let (content_type, bytes) = match (&self.failure, self.shape()) {
            (Some(own), _) => ("application/json", own(failure)),
            (None, Some(shape)) => ("application/json", shape.failure(&failure)),
            (None, None) => ("application/problem+json", serde_json::to_vec(&failure)),
        };
        // Only an app's own body can fail to be written. The answer then has the correct status and
        // no body.
        let bytes = bytes.unwrap_or_else(|error| {
            tracing::error!(target: "portcullis", %error, "the body of a failure cannot be written");
            Vec::new()
        });
        problem::failure(error, content_type, bytes)
    }

    /// Answers a failure of a request that may be a gRPC call.
    pub(crate) fn refusal(&self, error: &Error, grpc: bool) -> Response<Full<Bytes>> {
        if grpc { grpc::failure(error) } else { self.problem(error) }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("format", &self.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt;

    use super::*;
    use crate::error::{ErrorKind, FieldError};

    async fn body(responder: &Responder, error: &Error) -> String {
        let bytes = responder.problem(error).into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const ENVELOPE: Responder = Responder { format: ResponseFormat::Envelope, failure: None, success: None };

    #[tokio::test]
    async fn the_cause_of_an_internal_error_is_not_answered() {
        let error = || Error::new(ErrorKind::Internal).with_detail("secret path").with_source("secret cause");
        let own: BodyOf<FailureBody> = Arc::new(|failure| serde_json::to_vec(&format!("{failure:?}")));
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
    async fn a_body_that_cannot_be_written_keeps_status_and_headers() {
        let own: BodyOf<FailureBody> = Arc::new(|_| Err(serde::ser::Error::custom("no")));
        let response = Responder { failure: Some(own), ..ENVELOPE }.problem(&ErrorKind::StoreUnavailable.into());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
    }
}
