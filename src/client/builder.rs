//! [`ClientAuthBuilder`]: the settings of a client and their defaults.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::BoxError;
use tower_service::Service;

use super::{
    ClientAuth, MemoryStorage, TokenStorage, api,
    client_auth::{Inner, Settings},
};
use crate::{
    clock::{Clock, SystemClock},
    error::BuildError,
    http::request::origin::Origin,
};

/// Collects the settings of a [`ClientAuth`]. [`ClientAuth::builder`] makes one.
///
/// # Defaults
/// - [`storage`](Self::storage): in memory
/// - [`mount_path`](Self::mount_path): `/auth`
/// - [`origin`](Self::origin): none beside the server
/// - [`user_agent`](Self::user_agent): `portcullis/` and the version
/// - [`refresh_margin`](Self::refresh_margin): 30 s
/// - [`refresh_attempts`](Self::refresh_attempts): 3
/// - [`timeout`](Self::timeout): 4 s
#[must_use]
pub struct ClientAuthBuilder {
    server: String,
    mount_path: String,
    others: Vec<String>,
    plain_http: bool,
    storage: Arc<dyn TokenStorage>,
    clock: Arc<dyn Clock>,
    user_agent: String,
    settings: Settings,
}

impl ClientAuth {
    /// Begins the settings for a server's origin, such as `https://api.example.com`.
    pub fn builder(server: impl Into<String>) -> ClientAuthBuilder {
        ClientAuthBuilder::new(server.into())
    }
}

impl ClientAuthBuilder {
    fn new(server: String) -> Self {
        Self {
            server,
            mount_path: "/auth".to_owned(),
            others: Vec::new(),
            plain_http: false,
            storage: Arc::new(MemoryStorage::new()),
            clock: Arc::new(SystemClock),
            user_agent: concat!("portcullis/", env!("CARGO_PKG_VERSION")).to_owned(),
            settings: Settings { margin: Duration::from_secs(30), attempts: 3, timeout: Duration::from_secs(4) },
        }
    }

    /// Sets where the tokens are kept. Default: in memory, so that the session ends with the
    /// process.
    pub fn storage(mut self, storage: impl TokenStorage) -> Self {
        self.storage = Arc::new(storage);
        self
    }

    /// Sets the path of the server's endpoints. Each endpoint must have its usual name below it.
    /// Default: `/auth`.
    pub fn mount_path(mut self, path: impl Into<String>) -> Self {
        self.mount_path = path.into();
        self
    }

    /// Adds an origin that gets the access token beside the server: an API that accepts its tokens.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.others.push(origin.into());
        self
    }

    /// Allows `http` to other machines. Every machine on the way can then read the password and the
    /// tokens.
    pub fn insecure_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Sets what the user's list of sessions shows for this device: a name and a version, such as
    /// `my-cli/1.0`.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sets how long before its expiry an access token is refreshed. Default: 30 s. Maximum: a
    /// quarter of the token's lifetime. A longer time counts as the maximum.
    ///
    /// With zero, the token is refreshed after it has expired. A request whose body cannot be sent
    /// again may be answered 401 then.
    pub fn refresh_margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    /// Sets how many attempts a refresh has before its callers get the error. Default: 3. Bounds: 1
    /// to 10.
    ///
    /// An attempt without an answer may have rotated the token, so the next attempt must come
    /// within the server's grace (10 s).
    pub fn refresh_attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// Sets how long one request to the endpoints may take. Default: 4 s. Bounds: 100 ms to 30 s.
    ///
    /// Each attempt of a refresh may take so long. Keep it below half of the server's grace (10 s).
    ///
    /// - A login, a registration and a password change have four times as long, because the server
    ///   hashes a password.
    /// - A call of the [storage](TokenStorage) has five times as long.
    /// - A request whose token is still valid waits a quarter of it for the next token.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets the clock. Default: the operating system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings and returns the client. `http` carries the requests to the endpoints. It
    /// may be hyper-util's client or [reqwest's](super#with-reqwest).
    ///
    /// `http` should follow no redirects, so that a refresh token goes to no other address.
    ///
    /// # Errors
    /// A [`BuildError`] with every setting that is not usable, each with its fix.
    pub fn build<T, R>(self, http: T) -> Result<ClientAuth, BuildError>
    where
        T: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + Sync + 'static,
        T::Future: Send,
        T::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Into<BoxError>,
    {
        let mut problems = Vec::new();
        let server = self.origin_of(&self.server, &mut problems);
        let others: Vec<_> = self.others.iter().filter_map(|other| self.origin_of(other, &mut problems)).collect();
        let mut refuse = |wrong: bool, problem: &str| problems.extend(wrong.then(|| problem.to_owned()));
        refuse(
            !self.mount_path.starts_with('/')
                || self.mount_path.ends_with('/')
                || self.mount_path.parse::<http::uri::PathAndQuery>().is_err(),
            "the mount path must begin with a slash and end without one: use the server's, such as /auth",
        );
        refuse(!(1..=10).contains(&self.settings.attempts), "the attempts of a refresh must be 1 to 10: use 3");
        refuse(
            !(Duration::from_millis(100)..=Duration::from_secs(30)).contains(&self.settings.timeout),
            "the timeout must be 100 ms to 30 s: use 4 s",
        );
        let user_agent = HeaderValue::try_from(&self.user_agent);
        refuse(
            user_agent.is_err(),
            "the user agent must be a valid header value: use a name and a version, such as my-cli/1.0",
        );
        let (Some(server), Ok(user_agent), true) = (server, user_agent, problems.is_empty()) else {
            return Err(BuildError::new(problems));
        };
        Ok(ClientAuth(Arc::new(Inner {
            send: api::transport(http),
            base: format!("{server}{}", self.mount_path),
            mount_path: self.mount_path,
            server,
            others,
            storage: self.storage,
            clock: self.clock,
            user_agent,
            settings: self.settings,
            state: std::sync::Mutex::default(),
            exclusive: tokio::sync::Mutex::default(),
        })))
    }

    fn origin_of(&self, text: &str, problems: &mut Vec<String>) -> Option<Origin> {
        let Some(origin) = Origin::parse(text) else {
            // The text is not repeated, because a user may have written a password into it.
            let problem =
                "the server and every origin must be scheme and host alone: use for example https://api.example.com";
            problems.push(problem.to_owned());
            return None;
        };
        if !origin.is_private() && !self.plain_http {
            problems
                .push(format!("{text} is plain http, so that every machine on the way can read the tokens: use https"));
        }
        Some(origin)
    }
}

impl fmt::Debug for ClientAuthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A text that is no origin may have a password in it.
        let server = Origin::parse(&self.server).map(|server| server.to_string());
        f.debug_struct("ClientAuthBuilder").field("server", &server).finish_non_exhaustive()
    }
}
