//! [`ClientAuth`]: the session that a program holds.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, Uri};

use super::{ClientError, TokenStorage, api::Transport, state::State};
use crate::{clock::Clock, http::request::origin::Origin, secret::Secret};

/// Holds the session of one user at one server. Clones share it.
///
/// Use one for each [storage](TokenStorage) in a process. Two of them learn of each other's
/// refreshes only from what is stored.
#[derive(Clone)]
pub struct ClientAuth(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) send: Transport,
    pub(super) server: Origin,
    /// The origins that get the access token beside the server.
    pub(super) others: Vec<Origin>,
    pub(super) mount_path: String,
    /// Server and mount path.
    pub(super) base: String,
    pub(super) storage: Arc<dyn TokenStorage>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) user_agent: HeaderValue,
    pub(super) settings: Settings,
    pub(super) state: Mutex<State>,
    /// Held by the one task that changes what is held in memory and stored.
    pub(super) exclusive: tokio::sync::Mutex<()>,
}

/// The settings of refreshes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) margin: Duration,
    pub(super) attempts: u32,
    pub(super) timeout: Duration,
}

impl ClientAuth {
    /// Returns a valid access token, for calls that are no HTTP requests. Returns `None` if no user
    /// is logged in.
    ///
    /// # Errors
    /// The same as for a request through the [layer](Self::layer):
    /// [`Unreachable`](super::ClientErrorKind::Unreachable),
    /// [`Refused`](super::ClientErrorKind::Refused),
    /// [`Unexpected`](super::ClientErrorKind::Unexpected),
    /// [`Storage`](super::ClientErrorKind::Storage) and
    /// [`Interrupted`](super::ClientErrorKind::Interrupted).
    pub async fn access_token(&self) -> Result<Option<Secret<String>>, ClientError> {
        Ok(self.usable().await?.map(|pair| pair.access.clone()))
    }

    /// Returns whether a user is logged in. The server is asked only if the access token has to be
    /// refreshed, so an end of the session at the server may show later.
    ///
    /// # Errors
    /// The same as for [`access_token`](Self::access_token).
    pub async fn is_logged_in(&self) -> Result<bool, ClientError> {
        Ok(self.usable().await?.is_some())
    }

    /// Waits until no refresh, login or other change of the session is under way. Call it before a
    /// program ends, because none of them may stop half-way.
    pub async fn settled(&self) {
        self.refresh_done().await;
        drop(self.0.exclusive.lock().await);
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Returns whether requests to this target get the access token.
    pub(super) fn is_meant_for(&self, uri: &Uri) -> bool {
        Origin::of_uri(uri).is_some_and(|origin| origin == self.0.server || self.0.others.contains(&origin))
    }

    pub(super) fn is_below_mount_path(&self, uri: &Uri) -> bool {
        let rest = uri.path().strip_prefix(&self.0.mount_path);
        rest.is_some_and(|rest| rest.starts_with('/')) && Origin::of_uri(uri).as_ref() == Some(&self.0.server)
    }
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuth").field("server", &self.0.server.to_string()).finish_non_exhaustive()
    }
}
