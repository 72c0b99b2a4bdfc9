//! The other side: tokens in a Rust program that calls a service, kept, attached, refreshed (feature `client`).
//!
//! [`ClientAuth`] signs in at the ready endpoints and holds the session; [`ClientAuth::layer`] is a tower layer for any HTTP
//! client that is a `Service<http::Request<B>, Response = http::Response<R>>`. The server's
//! [`TOKEN_DELIVERY`](crate::AuthBuilder::token_delivery) has to allow `body`, and its answers the standard shape. It sends no
//! `Origin`, as it is no page: [`strict_cross_site`](crate::AuthBuilder::strict_cross_site) refuses it with `cross_site`.
//!
//! ```no_run
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use portcullis::client::ClientAuth;
//! use tower::{Layer, Service};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//! let auth = ClientAuth::builder("http://127.0.0.1:3000").user_agent("my-cli/1.0").build(http.clone())?;
//! auth.log_in("ada@example.com", "open sesame 42".into()).await?;
//!
//! let mut api = auth.layer().layer(http);
//! let response = api.call(Request::get("http://127.0.0.1:3000/profile").body(Full::default())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(()) }
//! ```
//!
//! # What happens to a request
//!
//! 1. It passes untouched if it goes elsewhere than to the server or a named [`origin`](ClientAuthBuilder::origin), whether
//!    directly or by a redirect that is followed outside of this layer, and if it has an `Authorization` header.
//! 2. If the access token is about to expire, it is refreshed first. While that fails, or takes longer than a second, the old
//!    one is used until it expires.
//! 3. The token is attached, and the request sent. Where nobody is signed in, it is sent without.
//! 4. If the answer is that the token is no good (401, or gRPC's status 16), it is refreshed, unless it has been in the
//!    meantime, and the request sent once more, if its body can be ([`BearerLayer::replay`]). What comes then is the answer.
//!    A token that is refused within a second of its refresh is not refreshed again: some services refuse any.
//!
//! A request belongs to the session that it began in. Where somebody signs in while it is on its way, here or in another
//! process, it is not sent again, but gets its 401; one that still waits for a token is sent without. The next one is of the
//! new session.
//!
//! Whoever needs a token while a refresh is under way waits for that one, and keeps no place meanwhile in an HTTP client that
//! has few of them, as behind `tower::limit`: the refresh may need it. It runs in a task of its own on the Tokio runtime, with
//! its timers. A caller that goes away stops nothing, though a runtime that ends does: before leaving `main`, wait for
//! [`settled`](ClientAuth::settled), or a token that the server has just given may never be stored.
//!
//! # What ends a session, and what does not
//!
//! A refresh token is good for one use (and a grace of ten seconds), so that the last one must never be lost:
//!
//! - **A new pair is stored before it is used.** Where it cannot be, it waits in memory, each further call first tries to store
//!   it, and callers get [`ClientErrorKind::Storage`] unless the old access token is still good. A process that ends in that
//!   state costs a sign-in.
//! - **A lost answer** is asked for again with the same token, at once and a second later, and the server gives it again
//!   within its grace. A network that is gone for longer, right after the server had rotated, costs a sign-in.
//! - **Two processes with one storage** take turns where it [locks](TokenStorage::lock); each looks at what the other has
//!   stored before it refreshes and before it stores.
//! - **The session is over** when the server answers a refresh with 401 and one of its codes (`refresh_expired`,
//!   `refresh_invalid`, `refresh_reused`). The storage is cleared, callers get the server's 401, and the next
//!   [`log_in`](ClientAuth::log_in) begins anew. It is not cleared where another process has stored something else, up to
//!   a second after a `refresh_invalid`: a change of the password outdates the tokens from before it.
//! - **Everything else is no logout**: without a network, at 429, 503 or a captive portal, tokens stay, and callers get
//!   [`CallError::Tokens`] once the access token has expired. The server is left alone for a second then, or for as long as
//!   its `Retry-After` says, up to five minutes; who comes before gets the same error.
//!
//! # With reqwest
//!
//! reqwest's client is a service of its own kind of request; a closure makes it one of `http`'s:
//!
//! ```no_run
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use portcullis::client::ClientAuth;
//! use tower::{Layer, Service, service_fn};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let reqwest = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let http = service_fn(move |request: Request<Full<Bytes>>| {
//!     let reqwest = reqwest.clone();
//!     async move {
//!         let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))?;
//!         reqwest.execute(request).await.map(Response::from)
//!     }
//! });
//! let auth = ClientAuth::builder("http://127.0.0.1:3000").build(http.clone())?;
//! let mut api = auth.layer().layer(http);
//! # let _: Response<reqwest::Body> = api.call(Request::new(Full::default())).await?;
//! # Ok(()) }
//! ```
//!
//! Redirects that an HTTP client follows by itself, below the layer, are its own affair: reqwest drops the token when host,
//! port or scheme change, hyper-util's follows none.

mod api;
mod backoff;
mod builder;
mod error;
mod future;
mod layer;
mod persist;
mod refresh;
mod storage;
#[cfg(test)]
mod tests;
mod tokens;

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex},
};

use http::{HeaderValue, Method, Uri};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use self::{
    api::Transport,
    builder::Settings,
    persist::Unsaved,
    refresh::{Presented, State},
    tokens::{Lineage, Pair},
};
pub use self::{
    builder::ClientAuthBuilder,
    error::{CallError, ClientError, ClientErrorKind},
    future::BearerFuture,
    layer::{BearerLayer, BearerService, CloneBody, Replay, ReplayWith},
    storage::{MemoryStorage, StorageError, StorageLock, TokenStorage},
};
use crate::{clock::Clock, error::causes, http::request::origin::Origin, secret::Secret};

/// How long a sign-in may take, in timeouts: the server hashes the password, and others' before it.
const HASHING: u32 = 4;

/// The session of one user at one server; clones share it.
///
/// One for each [storage](TokenStorage) in a process: two do not know of each other's refreshes but by what is stored.
#[derive(Clone)]
pub struct ClientAuth(Arc<Inner>);

struct Inner {
    send: Transport,
    server: Origin,
    others: Vec<Origin>,
    mount_path: String,
    /// Server and mount path.
    base: String,
    storage: Arc<dyn TokenStorage>,
    clock: Arc<dyn Clock>,
    user_agent: HeaderValue,
    settings: Settings,
    state: Mutex<State>,
    /// Held by whoever changes what is held and stored.
    alone: tokio::sync::Mutex<()>,
}

#[derive(Serialize)]
struct Login<'a> {
    login: &'a str,
    password: &'a str,
    delivery: &'static str,
    /// The session that this one takes the place of, which the server ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

#[derive(Serialize)]
struct NewPassword<'a> {
    current_password: &'a str,
    new_password: &'a str,
}

impl ClientAuth {
    /// Begins with the server's origin, such as `https://api.example.com`.
    pub fn builder(server: impl Into<String>) -> ClientAuthBuilder {
        ClientAuthBuilder::new(server.into())
    }

    /// The layer for an HTTP client, for requests whose body is `Clone`; [`BearerLayer::replay`] is for others.
    pub fn layer(&self) -> BearerLayer {
        BearerLayer::new(self.clone())
    }

    /// Signs in with an e-mail address or username, and returns the user as the server shows it.
    ///
    /// Whoever was signed in before is signed out. It goes on where its caller does not.
    ///
    /// # Errors
    /// - [`ClientErrorKind::Refused`] as the server says: `invalid_credentials`, `too_many_attempts` with
    ///   [`retry_after`](ClientError::retry_after), `validation_failed` where it delivers no tokens in bodies;
    /// - [`ClientErrorKind::Storage`] where the tokens could not be stored; the session is ended then;
    /// - [`ClientErrorKind::Unreachable`], [`ClientErrorKind::Unexpected`] and [`ClientErrorKind::Interrupted`].
    pub async fn log_in(&self, login: &str, password: Secret<String>) -> Result<Value, ClientError> {
        let (this, login) = (self.clone(), login.to_owned());
        to_the_end(async move {
            let before = this.stored_refresh_token().await?;
            let body = Login {
                login: &login,
                password: password.expose(),
                delivery: "body",
                refresh_token: before.as_ref().map(|token| token.expose().as_str()),
            };
            this.begin("login", &body).await
        })
        .await
    }

    /// Registers, with what else the app asks for (`username`, `name` …), and returns the user as the server shows it.
    ///
    /// The new user is signed in, unless the server is set up not to: see [`is_signed_in`](Self::is_signed_in).
    ///
    /// # Errors
    /// As for [`log_in`](Self::log_in), with `email_taken` and `username_taken`, and `validation_failed` with
    /// [`fields`](ClientError::fields).
    pub async fn register(
        &self,
        email: &str,
        password: Secret<String>,
        others: impl IntoIterator<Item = (&str, Value)>,
    ) -> Result<Value, ClientError> {
        let others = others.into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut body: Map<String, Value> = others.collect();
        let (this, email) = (self.clone(), email.to_owned());
        to_the_end(async move {
            let before = this.stored_refresh_token().await?;
            body.insert("email".to_owned(), email.into());
            body.insert("password".to_owned(), password.expose().as_str().into());
            body.insert("delivery".to_owned(), "body".into());
            if let Some(before) = before {
                body.insert("refresh_token".to_owned(), before.expose().as_str().into());
            }
            this.begin("register", &body).await
        })
        .await
    }

    /// Ends the session at the server, then forgets its tokens; it is no error where nobody is signed in.
    ///
    /// # Errors
    /// - [`ClientErrorKind::Unreachable`], [`ClientErrorKind::Refused`] and [`ClientErrorKind::Unexpected`], after which the
    ///   tokens are still there: try again, or [`forget`](Self::forget);
    /// - [`ClientErrorKind::Storage`] where they could not be read or removed, and [`ClientErrorKind::Interrupted`].
    pub async fn sign_out(&self) -> Result<(), ClientError> {
        let this = self.clone();
        to_the_end(async move {
            let _alone = this.0.alone.lock().await;
            let _locked = this.locked().await?;
            let unsaved = this.state().unsaved.clone();
            let refresh = match unsaved {
                Some(unsaved) => Some(unsaved.pair.refresh.clone()),
                None => this.load().await?.map(|pair| pair.refresh),
            };
            if let Some(refresh) = refresh {
                this.end(&refresh).await?;
            }
            this.forget_alone().await
        })
        .await
    }

    /// Forgets the tokens without telling the server, where the session goes on until it expires.
    ///
    /// # Errors
    /// [`ClientErrorKind::Storage`] and [`ClientErrorKind::Interrupted`].
    pub async fn forget(&self) -> Result<(), ClientError> {
        let this = self.clone();
        to_the_end(async move {
            let _alone = this.0.alone.lock().await;
            let _locked = this.locked().await?;
            this.forget_alone().await
        })
        .await
    }

    /// Changes the password. The user's other sessions end; this one goes on with a new pair, which waits in memory for the
    /// next call where it cannot be stored at once.
    ///
    /// # Errors
    /// - [`ClientErrorKind::Refused`] as the server says: `wrong_password`, `validation_failed`, `too_many_attempts`;
    /// - [`ClientErrorKind::NotSignedIn`], also where somebody else has signed in meanwhile;
    /// - [`ClientErrorKind::Storage`] where the tokens could not be read; nothing has been changed then;
    /// - [`ClientErrorKind::Unreachable`], [`ClientErrorKind::Unexpected`] and [`ClientErrorKind::Interrupted`], after which
    ///   the password may be the new one, and this session over: sign in with whichever is good.
    pub async fn change_password(&self, current: Secret<String>, new: Secret<String>) -> Result<(), ClientError> {
        let (this, lineage) = (self.clone(), self.lineage());
        to_the_end(async move {
            let signed_out = || ClientError::new(ClientErrorKind::NotSignedIn);
            let body = NewPassword { current_password: current.expose(), new_password: new.expose() };
            let mut pair = this.usable_in(lineage).await?.ok_or_else(signed_out)?;
            // The token is refused once at most, but another process may come in between as well.
            for _ in 0..3 {
                if this.change_password_with(&pair, &body).await? {
                    return Ok(());
                }
                pair = this.after(&pair).await?.ok_or_else(signed_out)?;
            }
            Err(signed_out())
        })
        .await
    }

    /// An access token that is good right now, for what is no HTTP request; `None` where nobody is signed in.
    ///
    /// # Errors
    /// As for a request through the [layer](Self::layer): [`ClientErrorKind::Unreachable`], [`ClientErrorKind::Refused`],
    /// [`ClientErrorKind::Unexpected`], [`ClientErrorKind::Storage`] and [`ClientErrorKind::Interrupted`].
    pub async fn access_token(&self) -> Result<Option<Secret<String>>, ClientError> {
        Ok(self.usable().await?.map(|pair| pair.access.clone()))
    }

    /// Whether somebody is signed in, as far as can be told without asking the server, unless the access token is due.
    ///
    /// # Errors
    /// As for [`access_token`](Self::access_token).
    pub async fn is_signed_in(&self) -> Result<bool, ClientError> {
        Ok(self.usable().await?.is_some())
    }

    /// Waits until nothing is under way that must not stop half-way: for programs that end while requests are.
    pub async fn settled(&self) {
        self.landed().await;
        drop(self.0.alone.lock().await);
    }

    fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Whether requests to this target get the access token.
    fn is_meant_for(&self, uri: &Uri) -> bool {
        Origin::of_uri(uri).is_some_and(|origin| origin == self.0.server || self.0.others.contains(&origin))
    }

    fn is_below_mount_path(&self, uri: &Uri) -> bool {
        let rest = uri.path().strip_prefix(&self.0.mount_path);
        rest.is_some_and(|rest| rest.starts_with('/')) && Origin::of_uri(uri).as_ref() == Some(&self.0.server)
    }

    /// The refresh token of the session that is about to be replaced; one that cannot be read is replaced as well.
    async fn stored_refresh_token(&self) -> Result<Option<Secret<String>>, ClientError> {
        let text = self.load_text().await?;
        let pair = text.and_then(|text| Pair::from_text(&text, &self.0.server).ok());
        Ok(pair.map(|pair| pair.refresh))
    }

    /// Begins a session with the answer to this.
    async fn begin(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        let _alone = self.0.alone.lock().await;
        let _locked = self.locked().await?;
        let no_lineage = |error| ClientError::with_source(ClientErrorKind::Unreachable, error);
        let lineage = Lineage::draw().map_err(no_lineage)?;
        let asked_at = self.clock().now();
        let answer = self.ask(Method::POST, path, None, body, HASHING).await?;
        let (user, pair) = answer.tokens(lineage, asked_at)?;
        let Some(pair) = pair else { return Ok(user) };
        if let Err(error) = self.save(&pair).await {
            // A session that nobody holds should not stay in the user's list.
            let _ = self.end(&pair.refresh).await;
            return Err(error);
        }
        let mut state = self.state();
        state.begin(Some(Arc::new(pair)));
        state.over = None;
        Ok(user)
    }

    async fn end(&self, refresh: &Secret<String>) -> Result<(), ClientError> {
        let body = Presented { refresh_token: refresh.expose() };
        self.ask(Method::POST, "logout", None, &body, 1).await?.done()
    }

    async fn forget_alone(&self) -> Result<(), ClientError> {
        self.clear().await?;
        self.state().begin(None);
        Ok(())
    }

    /// Says whether it was changed: not where the pair is refused, or no longer the one that is stored.
    async fn change_password_with(&self, pair: &Arc<Pair>, body: &NewPassword<'_>) -> Result<bool, ClientError> {
        let _alone = self.0.alone.lock().await;
        let _locked = self.locked().await?;
        let stored = self.load().await?;
        if !stored.as_ref().is_some_and(|stored| stored.is_same_as(pair)) {
            self.adopt(stored);
            return Ok(false);
        }
        let asked_at = self.clock().now();
        let answer = self.ask(Method::PUT, "password", Some(pair), body, HASHING).await?;
        if answer.wants_another_token() {
            return Ok(false);
        }
        let (_, new) = answer.tokens(pair.lineage, asked_at)?;
        let missing = || ClientError::new(ClientErrorKind::Unexpected);
        let new = Arc::new(new.ok_or_else(missing)?);
        let unsaved = Unsaved { presented: pair.refresh.clone(), pair: new, password_changed: true };
        if let Err(error) = self.keep(unsaved).await {
            // It has been changed all the same, and who tries again with the old one is told that it is wrong.
            let cause = causes(Some(&error));
            tracing::warn!(target: "portcullis", cause, "the tokens of a changed password are not stored yet");
        }
        Ok(true)
    }
}

/// Runs what must not stop half-way: dropped with its caller, it goes on as a task.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
) -> Result<T, ClientError> {
    let interrupted =
        |error: Box<dyn std::error::Error + Send + Sync>| ClientError::with_source(ClientErrorKind::Interrupted, error);
    let runtime = Handle::try_current().map_err(|error| interrupted(error.into()))?;
    runtime.spawn(work).await.unwrap_or_else(|error| Err(interrupted(error.into())))
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("server", &self.0.server.to_string()).finish_non_exhaustive()
    }
}
