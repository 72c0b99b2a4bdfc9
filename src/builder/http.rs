//! The settings of what the endpoints are and how they answer.

use std::sync::Arc;

use serde::Serialize;

use super::AuthBuilder;
use crate::{
    http::{Endpoint, Failure, ResponseFormat, Success},
    user::AuthUser,
};

impl<U: AuthUser> AuthBuilder<U> {
    /// The shape of the answers: [`ResponseFormat::Standard`] unless set.
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.settings.responder.format = format;
        self
    }

    /// The app's own body for every failure, of the endpoints, the guard and the extractors alike: JSON. Status and headers
    /// stay as they are, gRPC calls are refused in their own shape.
    ///
    /// ```
    /// # use portcullis::{AuthBuilder, User};
    /// # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// #[derive(serde::Serialize)]
    /// struct Oops {
    ///     error: &'static str,
    ///     hint: String,
    /// }
    /// builder.failure_body(|failure| Oops { error: failure.kind.code(), hint: failure.detail })
    /// # }
    /// ```
    pub fn failure_body<T: Serialize>(mut self, body: impl Fn(Failure) -> T + Send + Sync + 'static) -> Self {
        self.settings.responder.failure = Some(Arc::new(move |failure| serde_json::to_vec(&body(failure))));
        self
    }

    /// The app's own body for every success that has one: JSON. Status, headers and cookies stay as they are, so does a 204,
    /// and the set of public keys, which others read.
    ///
    /// ```
    /// # use portcullis::{AuthBuilder, Success, User};
    /// # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// #[derive(serde::Serialize)]
    /// struct Fine {
    ///     ok: bool,
    ///     data: Success,
    /// }
    /// builder.success_body(|success| Fine { ok: true, data: success })
    /// # }
    /// ```
    pub fn success_body<T: Serialize>(mut self, body: impl Fn(Success) -> T + Send + Sync + 'static) -> Self {
        self.settings.responder.success = Some(Arc::new(move |success| serde_json::to_vec(&body(success))));
        self
    }

    /// Where an endpoint is, below the [mount path](Self::mount_path). Two endpoints share a path if their methods differ;
    /// that of [`Endpoint::EndSession`] ends with `/{id}`.
    pub fn endpoint_path(mut self, endpoint: Endpoint, path: impl Into<String>) -> Self {
        self.settings.endpoints.paths.push((endpoint, path.into()));
        self
    }

    /// Switches an endpoint off: its path is 404 then. An app that takes no strangers has no [`Endpoint::Register`], and
    /// calls [`Auth::register`](crate::Auth::register) itself.
    pub fn without_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.settings.endpoints.without.push(endpoint);
        self
    }
}
