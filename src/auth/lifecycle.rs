//! The life of a node: its start, its health and its shutdown.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Auth;
use crate::{error::Error, password::HashStats, user::AuthUser};

impl<U: AuthUser> Auth<U> {
    /// Waits until this node has read what has ended.
    ///
    /// An `Auth` that is built in a Tokio runtime begins by itself, and guarded requests wait for
    /// it. Call this before a server listens, so that a process that cannot reach its store does
    /// not take requests.
    ///
    /// # Errors
    /// - [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) where the store of
    ///   sessions cannot be reached. The `Auth` goes on trying by itself.
    /// - [`ErrorKind::Internal`](crate::ErrorKind::Internal) for what does not pass by itself, such
    ///   as a missing table.
    ///
    /// Guarded requests get the same until a read succeeds.
    pub async fn start(&self) -> Result<(), Error> {
        let _ = self.shared_now().await;
        self.0.revocations.load().await
    }

    /// Returns how this node is. It does no I/O, so that a probe may ask every second.
    ///
    /// A probe that strangers reach answers the status alone. The body belongs on a port that only
    /// operators reach.
    ///
    /// # Examples
    /// ```
    /// # use portcullis::{Auth, User};
    /// use http::StatusCode;
    ///
    /// /// Answers the load balancer.
    /// async fn ready(auth: Auth<User>) -> StatusCode {
    ///     if auth.health().is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    /// }
    ///
    /// /// Answers operators, on an internal port.
    /// async fn health(auth: Auth<User>) -> String {
    ///     serde_json::to_string(&auth.health()).unwrap_or_default()
    /// }
    /// ```
    pub fn health(&self) -> Health {
        let report = self.0.revocations.report();
        Health {
            is_ready: report.is_loaded && !report.is_shutting_down,
            is_in_touch: report.is_in_touch,
            last_poll_age: report.last_poll_age,
            last_poll_entries: report.last_poll_entries,
            revoked_sessions: report.revoked_sessions,
            revoked_users: report.revoked_users,
            revocation_capacity: report.capacity,
            full_for: report.full_for,
            is_feed_up: report.is_feed_up,
            unwritten_revocations: report.unwritten_revocations,
            lost_revocations: report.lost_revocations,
            store_questions: report.store_questions,
            tasks: self.0.events.tasks.running(),
            hashing: self.hash_stats(),
        }
    }

    /// Finishes what is under way, for at most `deadline`.
    ///
    /// Call it when the server has answered its last request. It writes the revocations that the
    /// store could not take before, and waits for flows whose caller has hung up and for
    /// revocations that are being published. A few seconds are a good deadline, because the store
    /// may be out of reach.
    ///
    /// Put a deadline around the graceful shutdown of the server, and call this whatever became of
    /// it. axum's `with_graceful_shutdown` has no deadline: one client that has sent half a request
    /// makes it wait without end. The guide
    /// [`several_nodes`](crate::guide::several_nodes#deployments) has the code.
    ///
    /// [`Health::is_ready`] is `false` from the beginning of the call. Requests that still come are
    /// answered as before, and polling goes on until the last handle of this `Auth` is dropped. A
    /// load balancer that drains nodes has to see a 503 earlier, before the listener closes. Use a
    /// flag of your own for it, as the guide does.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) where something was not
    /// finished at the deadline. The log says how much. A revocation that is not written is lost
    /// with the process: its session lives until it expires, unless all sessions of the user were
    /// to end. Then it ends at its next refresh.
    ///
    /// # Panics
    /// Outside of a Tokio runtime with its timer enabled.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), Error> {
        self.0.revocations.shut_down(deadline).await
    }
}

/// How a node is, by [`Auth::health`].
///
/// Serializes as one object. Durations are numbers of seconds, in members that end in `_seconds`.
///
/// | wake a person for | because |
/// |---|---|
/// | [`full_for`](Self::full_for) is set | guards ask the store about sessions |
/// | [`is_in_touch`](Self::is_in_touch) is `false` for minutes | endings on other nodes are not seen |
/// | [`lost_revocations`](Self::lost_revocations) rises | a session lives on that a user has ended |
/// | [`is_feed_up`](Self::is_feed_up) is `Some(false)` for 10 minutes | endings on other nodes are seen only at polls |
/// | [`revoked_sessions`](Self::revoked_sessions) is above 70 % of the capacity | the set will be full |
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// This node has read what has ended, and is not shutting down. Until then guarded requests
    /// wait, or fail.
    ///
    /// An outage of the store does not change it, because stateless guards go on then.
    pub is_ready: bool,
    /// The last successful poll is not longer ago than three polls take.
    pub is_in_touch: bool,
    /// Time since the last successful poll began. `None` before the first.
    #[serde(rename = "last_poll_age_seconds", serialize_with = "seconds")]
    pub last_poll_age: Option<Duration>,
    /// Number of endings that the last successful poll has read.
    pub last_poll_entries: u64,
    /// Number of ended sessions that this node holds in memory.
    pub revoked_sessions: usize,
    /// Number of users whose tokens of lower versions are revoked, as far as this node holds them
    /// in memory.
    pub revoked_users: usize,
    /// Room for each of the two, as set by
    /// [`AuthBuilder::revocation_capacity`](crate::AuthBuilder::revocation_capacity).
    pub revocation_capacity: usize,
    /// How long guards still ask the store, because an ending found no room. `None` while there is
    /// room.
    #[serde(rename = "full_for_seconds", serialize_with = "seconds")]
    pub full_for: Option<Duration>,
    /// The feed is subscribed. `None` without a feed.
    pub is_feed_up: Option<bool>,
    /// Number of endings that the store could not take yet.
    pub unwritten_revocations: usize,
    /// Number of endings since the start that the store will never get, because there was no room
    /// to keep them.
    pub lost_revocations: u64,
    /// Number of sessions since the start that guards have asked the store about because this node
    /// was unsure.
    pub store_questions: u64,
    /// Number of flows that go on after their caller has hung up, and of revocations that are being
    /// published.
    pub tasks: usize,
    /// Work of the threads that hash passwords.
    pub hashing: HashStats,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}
