//! Every setting of a client, and its default.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::BoxError;
use tower_service::Service;

use super::{ClientAuth, Inner, MemoryStorage, TokenStorage, api};
use crate::{
    clock::{Clock, SystemClock},
    error::BuildError,
    http::request::origin::Origin,
};

/// Collects the settings of a [`ClientAuth`]; made by [`ClientAuth::builder`].
#[must_use]
pub struct ClientAuthBuilder {
    server: String,
    mount_path: String,
    others: Vec<String>,
    plain_http: bool,
    storage: Arc<dyn TokenStorage>,
    clock: Arc<dyn Clock>,
    user_agent: String,
    pub(super) settings: Settings,
}

/// How refreshes are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) margin: Duration,
    pub(super) attempts: u32,
    pub(super) timeout: Duration,
}

impl ClientAuthBuilder {
    pub(super) fn new(server: String) -> Self {
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

    /// Where tokens are kept: in memory unless set, so that the session ends with the process.
    pub fn storage(mut self, storage: impl TokenStorage) -> Self {
        self.storage = Arc::new(storage);
        self
    }

    /// The path below which the server has its endpoints, `/auth` unless set, each by its usual name.
    pub fn mount_path(mut self, path: impl Into<String>) -> Self {
        self.mount_path = path.into();
        self
    }

    /// Another origin that gets the access token, beside the server's own: an API that takes its tokens.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.others.push(origin.into());
        self
    }

    /// Allows `http` to other machines. Whoever sits in between can then read the password and every token.
    pub fn insecure_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// What the user reads of this device in the list of sessions: a name and a version.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Sets how long before its expiry an access token is refreshed. Default: 30 s. Maximum: a quarter of the token's life;
    /// a longer time counts as that.
    ///
    /// With zero the token expires first, and a request whose body cannot be sent again may be answered 401.
    pub fn refresh_margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    /// Sets how often a refresh is tried before its callers get the error. Default: 3. Maximum: 10.
    ///
    /// A try that got no answer may have rotated the token, so the next one has to come within the server's grace (10 s).
    pub fn refresh_attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts = attempts;
        self
    }

    /// Sets how long one request to the endpoints may take. Default: 4 s. Bounds: 100 ms to 30 s. For a refresh it is the time of each try, so keep
    /// it below half of the server's grace (10 s).
    ///
    /// A login waits for a password hash and has four times as long. Each call of the [storage](TokenStorage) has five
    /// times as long. A request whose token is still valid waits for the next token for a quarter of it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// What tells the time: the operating system's clock unless set.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the settings, and takes the HTTP client that carries requests to the endpoints: hyper-util's, or
    /// [reqwest's](super#with-reqwest).
    ///
    /// It should follow no redirects: a refresh token goes to the server or nowhere.
    ///
    /// # Errors
    /// A [`BuildError`] that lists every setting that is not usable, and how to fix it.
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
        refuse(
            !(1..=10).contains(&self.settings.attempts),
            "a refresh must be tried once at least and ten times at most: use three",
        );
        refuse(
            !(Duration::from_millis(100)..=Duration::from_secs(30)).contains(&self.settings.timeout),
            "the timeout must be 100 ms to 30 s: use four seconds",
        );
        let user_agent = HeaderValue::try_from(&self.user_agent);
        refuse(
            user_agent.is_err(),
            "the user agent must be a name that fits into a header: use one such as my-cli/1.0",
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
            alone: tokio::sync::Mutex::default(),
        })))
    }

    fn origin_of(&self, text: &str, problems: &mut Vec<String>) -> Option<Origin> {
        let Some(origin) = Origin::parse(text) else {
            // Not repeated: somebody may have written a password into it.
            let problem =
                "the server, and every origin, is scheme and host alone: use one such as https://api.example.com";
            problems.push(problem.to_owned());
            return None;
        };
        if !origin.is_private() && !self.plain_http {
            problems.push(format!("{text} is plain http, over which anybody in between reads the tokens: use https"));
        }
        Some(origin)
    }
}

impl fmt::Debug for ClientAuthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is none may be an origin with a password in it.
        let server = Origin::parse(&self.server).map(|server| server.to_string());
        f.debug_struct("ClientAuthBuilder").field("server", &server).finish_non_exhaustive()
    }
}
