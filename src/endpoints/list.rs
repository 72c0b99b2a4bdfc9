//! Lists all endpoints.

use super::{answer::Answer, exchange::Exchange};
use crate::{
    error::Error,
    http::{
        endpoint::{Endpoint, EndpointSpec},
        request::body::RequestBody,
    },
    user::AuthUser,
};

/// Makes the list of specifications and the call of handlers. Each endpoint has one line, with its
/// name and its file.
macro_rules! endpoints {
    ($($(#[$feature:meta])? $endpoint:ident: $file:ident,)+) => {
        /// The specification of every endpoint, in the order of the table of
        /// [`Routes`](super::Routes).
        pub(crate) static SPECS: &[&EndpointSpec] = &[$($(#[$feature])? &super::$file::SPEC,)+];

        /// Runs the handler of the endpoint that the request is for.
        pub(super) async fn handle<U: AuthUser>(exchange: &Exchange<'_, U>, body: RequestBody) -> Result<Answer, Error> {
            match exchange.spec.endpoint {
                $($(#[$feature])? Endpoint::$endpoint => super::$file::handle(exchange, body).await,)+
            }
        }
    };
}

endpoints! {
    Register: register,
    Login: login,
    Refresh: refresh,
    Logout: logout,
    LogoutAll: logout_all,
    Me: me,
    Sessions: sessions,
    EndSession: end_session,
    ChangePassword: change_password,
    Jwks: jwks,
    #[cfg(feature = "openapi")]
    OpenApi: openapi_document,
}
