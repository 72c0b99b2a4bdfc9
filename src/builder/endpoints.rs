//! Settings of the ready endpoints: where they are, how tokens reach clients, and what the bodies
//! look like.

use std::sync::Arc;

use serde::Serialize;

use super::{
    AuthBuilder,
    env::{Environment, items},
};
use crate::{
    endpoints,
    http::{
        Delivery, Endpoint, FailureBody, ResponseFormat, SuccessBody,
        path_table::{EndpointChanges, PathTable},
        response::{delivery::Deliveries, responder::Responder, shape::ResponseShape},
    },
    user::AuthUser,
};

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `TOKEN_DELIVERY` | `cookie` | a list of `cookie`, `split`, `body`, `both`; the first is the default |
| `RESPONSE_FORMAT` | `standard` | `envelope` for a front end of that shape: see [`ResponseFormat`](crate::http::ResponseFormat) |"
    };
}
pub(super) use variables;

/// Settings of the ready endpoints.
///
/// # Defaults
/// - mount path: `/auth`
/// - paths: as [`Endpoint`] says, none switched off
/// - deliveries: `[Delivery::Cookie]`
/// - login on register: yes, but not in the envelope
/// - response format: [`ResponseFormat::Standard`]
/// - bodies: those of the format
#[derive(Debug)]
pub(super) struct EndpointSettings {
    mount_path: String,
    changes: EndpointChanges,
    deliveries: Vec<Delivery>,
    login_on_register: Option<bool>,
    responder: Responder,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            mount_path: "/auth".to_owned(),
            changes: EndpointChanges::default(),
            deliveries: vec![Delivery::Cookie],
            login_on_register: None,
            responder: Responder::default(),
        }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets the path below which the endpoints are. Default: `/auth`.
    pub fn mount_path(mut self, path: impl Into<String>) -> Self {
        self.endpoints.mount_path = path.into();
        self
    }

    /// Moves an endpoint to another path below the [mount path](Self::mount_path). Two endpoints
    /// share a path if their methods differ. The path of [`Endpoint::EndSession`] ends with
    /// `/{id}`.
    pub fn endpoint_path(mut self, endpoint: Endpoint, path: impl Into<String>) -> Self {
        self.endpoints.changes.paths.push((endpoint, path.into()));
        self
    }

    /// Switches an endpoint off: its path answers 404. For example, an app that registers its users
    /// itself switches [`Endpoint::Register`] off and calls
    /// [`Auth::register`](crate::Auth::register).
    pub fn without_endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.changes.without.push(endpoint);
        self
    }

    /// Sets the ways in which tokens may reach clients. A login that asks for none gets the first
    /// one. Default: `[Delivery::Cookie]`.
    ///
    /// Variable: `TOKEN_DELIVERY`.
    pub fn token_delivery(mut self, allowed: impl IntoIterator<Item = Delivery>) -> Self {
        self.endpoints.deliveries = allowed.into_iter().collect();
        self
    }

    /// Sets whether a registration logs the user in. Default: yes, but not in
    /// [`ResponseFormat::Envelope`](crate::http::ResponseFormat::Envelope).
    pub fn login_on_register(mut self, yes: bool) -> Self {
        self.endpoints.login_on_register = Some(yes);
        self
    }

    /// Sets the shape of the answers. Default: [`ResponseFormat::Standard`]. Variable:
    /// `RESPONSE_FORMAT`.
    pub fn response_format(mut self, format: ResponseFormat) -> Self {
        self.endpoints.responder.format = format;
        self
    }

    /// Sets the app's own JSON body of every failure of the endpoints, the guard and the
    /// extractors. Status and headers stay as they are, and gRPC calls are refused in their own
    /// shape.
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
    pub fn failure_body<T: Serialize>(mut self, body: impl Fn(FailureBody) -> T + Send + Sync + 'static) -> Self {
        self.endpoints.responder.failure = Some(Arc::new(move |failure| serde_json::to_vec(&body(failure))));
        self
    }

    /// Sets the app's own JSON body of every success that has one. Status, headers and cookies stay
    /// as they are. So do a 204, and the set of public keys, which other services read.
    ///
    /// ```
    /// # use portcullis::{AuthBuilder, User, http::SuccessBody};
    /// # fn builder(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    /// #[derive(serde::Serialize)]
    /// struct Fine {
    ///     ok: bool,
    ///     data: SuccessBody,
    /// }
    /// builder.success_body(|success| Fine { ok: true, data: success })
    /// # }
    /// ```
    pub fn success_body<T: Serialize>(mut self, body: impl Fn(SuccessBody) -> T + Send + Sync + 'static) -> Self {
        self.endpoints.responder.success = Some(Arc::new(move |success| serde_json::to_vec(&body(success))));
        self
    }
}

impl EndpointSettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        let delivery = "use a list of cookie, split, body and both, such as cookie,body";
        let list = |text: &str| items(text).map(|item| item.parse().ok()).collect();
        if let Some(list) = env.parsed("TOKEN_DELIVERY", delivery, list) {
            self.deliveries = list;
        }
        let format = env.parsed("RESPONSE_FORMAT", "use standard or envelope", |text| text.parse().ok());
        self.responder.format = format.unwrap_or_default();
    }

    pub(super) fn check(&self, problems: &mut Vec<String>) -> EndpointParts {
        let shape = self.shape();
        let mut changes = self.changes.clone();
        changes.aliases.extend(shape.map_or(&[][..], ResponseShape::aliases));
        let (table, found) = PathTable::new(&self.mount_path, endpoints::SPECS.iter().copied(), &changes);
        problems.extend(found);
        if shape.is_some() && self.responder.success.is_some() {
            problems.push(
                "success_body and response_format both say what a success looks like: drop one of them".to_owned(),
            );
        }
        EndpointParts {
            table,
            deliveries: deliveries(&self.deliveries, problems),
            login_on_register: self.login_on_register.unwrap_or(shape.is_none_or(ResponseShape::login_on_register)),
            responder: self.responder.clone(),
        }
    }

    /// Returns what the chosen shape of answers changes, or `None` for the standard one.
    pub(super) fn shape(&self) -> Option<&'static dyn ResponseShape> {
        self.responder.shape()
    }
}

/// What an `Auth` needs for its endpoints.
pub(super) struct EndpointParts {
    pub(super) table: PathTable,
    /// `None` where no delivery is allowed, which is a problem.
    pub(super) deliveries: Option<Deliveries>,
    pub(super) login_on_register: bool,
    pub(super) responder: Responder,
}

fn deliveries(allowed: &[Delivery], problems: &mut Vec<String>) -> Option<Deliveries> {
    let deliveries = Deliveries::new(allowed);
    if deliveries.is_none() {
        problems.push("no token delivery is allowed (TOKEN_DELIVERY): use cookie".to_owned());
    }
    if allowed.contains(&Delivery::Both) {
        tracing::warn!(
            target: "portcullis",
            "token delivery `both` shows the tokens of the cookies to every script of the page: use it only for front \
             ends that expect it"
        );
    }
    deliveries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = EndpointSettings::default();
        let pairs = [("TOKEN_DELIVERY", "cookie, body\n"), ("RESPONSE_FORMAT", "envelope")];
        assert_eq!(read_pairs(&pairs, |env| settings.read(env)), Vec::<String>::new());
        assert_eq!(settings.deliveries, [Delivery::Cookie, Delivery::Body]);
        assert_eq!(settings.responder.format, ResponseFormat::Envelope);
    }
}
