//! Kinds made by hand, for tests of an [`EventSink`](super::EventSink).

use std::time::Duration;

use super::{EndAllReason, EventKind, LoginFailure, LoginMethod, Operation, RefreshRefusal, RegistrationRefusal};
use crate::session::{EndReason, SessionId};

impl EventKind {
    /// `user.registered`; for tests.
    pub const fn registered() -> Self {
        Self::Registered {}
    }

    /// `user.registration_refused`; for tests.
    pub const fn registration_refused(reason: RegistrationRefusal) -> Self {
        Self::RegistrationRefused { reason }
    }

    /// `login.succeeded`; for tests.
    pub const fn logged_in(method: LoginMethod) -> Self {
        Self::LoggedIn { method }
    }

    /// `login.failed`; for tests.
    pub const fn login_failed(reason: LoginFailure) -> Self {
        Self::LoginFailed { reason }
    }

    /// `attempt.throttled`; for tests.
    pub const fn throttled(operation: Operation, retry_after: Duration) -> Self {
        Self::Throttled { operation, retry_after }
    }

    /// `session.refreshed`; for tests.
    pub const fn refreshed() -> Self {
        Self::Refreshed {}
    }

    /// `session.replayed`; for tests.
    pub const fn replayed() -> Self {
        Self::Replayed {}
    }

    /// `session.refresh_refused`; for tests.
    pub const fn refresh_refused(reason: RefreshRefusal) -> Self {
        Self::RefreshRefused { reason }
    }

    /// `session.reuse_found`; for tests.
    pub const fn reuse_found() -> Self {
        Self::ReuseFound {}
    }

    /// `session.foreign_token`; for tests.
    pub const fn foreign_token() -> Self {
        Self::ForeignToken {}
    }

    /// `session.ended`; for tests.
    pub const fn session_ended(reason: EndReason) -> Self {
        Self::SessionEnded { reason }
    }

    /// `user.sessions_ended`; for tests.
    pub const fn sessions_ended(reason: EndAllReason, kept: Option<SessionId>) -> Self {
        Self::SessionsEnded { reason, kept }
    }

    /// `password.changed`; for tests.
    pub const fn password_changed() -> Self {
        Self::PasswordChanged {}
    }

    /// `password.change_failed`; for tests.
    pub const fn password_change_failed() -> Self {
        Self::PasswordChangeFailed {}
    }

    /// `password.hash_upgraded`; for tests.
    pub const fn hash_upgraded() -> Self {
        Self::HashUpgraded {}
    }

    /// `store.unavailable`; for tests.
    pub const fn store_unavailable(operation: Operation, may_have_happened: bool) -> Self {
        Self::StoreUnavailable { operation, may_have_happened }
    }
}
