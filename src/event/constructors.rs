//! Constructors of [`EventKind`], for tests of an [`EventSink`](super::EventSink).

use std::time::Duration;

use super::{EndAllReason, EventKind, LoginFailure, LoginMethod, Operation, RefreshRefusal, RegistrationRefusal};
use crate::session::{EndReason, SessionId};

impl EventKind {
    /// Makes a `user.registered`.
    pub const fn registered() -> Self {
        Self::Registered {}
    }

    /// Makes a `user.registration_refused`.
    pub const fn registration_refused(reason: RegistrationRefusal) -> Self {
        Self::RegistrationRefused { reason }
    }

    /// Makes a `login.succeeded`.
    pub const fn logged_in(method: LoginMethod) -> Self {
        Self::LoggedIn { method }
    }

    /// Makes a `login.failed`.
    pub const fn login_failed(reason: LoginFailure) -> Self {
        Self::LoginFailed { reason }
    }

    /// Makes an `attempt.throttled`.
    pub const fn throttled(operation: Operation, retry_after: Duration) -> Self {
        Self::Throttled { operation, retry_after }
    }

    /// Makes a `session.refreshed`.
    pub const fn refreshed() -> Self {
        Self::Refreshed {}
    }

    /// Makes a `session.replayed`.
    pub const fn replayed() -> Self {
        Self::Replayed {}
    }

    /// Makes a `session.refresh_refused`.
    pub const fn refresh_refused(reason: RefreshRefusal) -> Self {
        Self::RefreshRefused { reason }
    }

    /// Makes a `session.reuse_found`.
    pub const fn reuse_found() -> Self {
        Self::ReuseFound {}
    }

    /// Makes a `session.foreign_token`.
    pub const fn foreign_token() -> Self {
        Self::ForeignToken {}
    }

    /// Makes a `session.ended`.
    pub const fn session_ended(reason: EndReason) -> Self {
        Self::SessionEnded { reason }
    }

    /// Makes a `user.sessions_ended`.
    pub const fn sessions_ended(reason: EndAllReason, kept: Option<SessionId>) -> Self {
        Self::SessionsEnded { reason, kept }
    }

    /// Makes a `password.changed`.
    pub const fn password_changed() -> Self {
        Self::PasswordChanged {}
    }

    /// Makes a `password.change_failed`.
    pub const fn password_change_failed() -> Self {
        Self::PasswordChangeFailed {}
    }

    /// Makes a `password.hash_upgraded`.
    pub const fn hash_upgraded() -> Self {
        Self::HashUpgraded {}
    }

    /// Makes a `store.unavailable`.
    pub const fn store_unavailable(operation: Operation, may_have_happened: bool) -> Self {
        Self::StoreUnavailable { operation, may_have_happened }
    }
}
