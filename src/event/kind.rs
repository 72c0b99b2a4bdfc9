//! The kinds of events, and why what they tell of happened.

use std::time::Duration;

use crate::session::{EndReason, SessionId};

/// What happened; the [module](super) says when each is told.
///
/// Kinds get members in later versions: match with `..`. For tests of an [`EventSink`](super::EventSink) each has a function
/// that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// `user.registered`: a user was added.
    #[non_exhaustive]
    Registered {},
    /// `user.registration_refused`: what makes a user unique was taken.
    #[non_exhaustive]
    RegistrationRefused {
        /// What was.
        reason: RegistrationRefusal,
    },
    /// `login.succeeded`: a user logged in.
    #[non_exhaustive]
    LoggedIn {
        /// By what.
        method: LoginMethod,
    },
    /// `login.failed`: a login failed.
    #[non_exhaustive]
    LoginFailed {
        /// Why, which the client must not learn.
        reason: LoginFailure,
    },
    /// `attempt.throttled`: the throttle refused an attempt; nothing was looked up.
    #[non_exhaustive]
    Throttled {
        /// What was attempted.
        operation: Operation,
        /// How long the client has to wait. Events carry it in milliseconds, `retry_after_ms`.
        retry_after: Duration,
    },
    /// `session.refreshed`: the current refresh token was exchanged for the next pair.
    #[non_exhaustive]
    Refreshed {},
    /// `session.replayed`: the refresh token before was presented within the grace, and answered with the current pair.
    #[non_exhaustive]
    Replayed {},
    /// `session.refresh_refused`: a refresh token with our signature was refused.
    #[non_exhaustive]
    RefreshRefused {
        /// Why.
        reason: RefreshRefusal,
    },
    /// `session.reuse_found`: a refresh token was used a second time; its session has ended.
    #[non_exhaustive]
    ReuseFound {},
    /// `session.foreign_token`: a refresh token has our signature and an id that its session never gave.
    #[non_exhaustive]
    ForeignToken {},
    /// `session.ended`: one session ended.
    #[non_exhaustive]
    SessionEnded {
        /// Why.
        reason: EndReason,
    },
    /// `user.sessions_ended`: all sessions of the user ended, one perhaps kept.
    #[non_exhaustive]
    SessionsEnded {
        /// Why.
        reason: EndAllReason,
        /// The session that goes on.
        kept: Option<SessionId>,
    },
    /// `password.changed`: the user changed their password.
    #[non_exhaustive]
    PasswordChanged {},
    /// `password.change_failed`: the current password was wrong, or was changed meanwhile.
    #[non_exhaustive]
    PasswordChangeFailed {},
    /// `password.hash_upgraded`: the stored hash was replaced by one at the present cost.
    #[non_exhaustive]
    HashUpgraded {},
    /// `store.unavailable`: the flow failed, because a store could not be reached.
    #[non_exhaustive]
    StoreUnavailable {
        /// Which flow.
        operation: Operation,
        /// The store was asked to write and did not say whether it has: what the flow does may have happened.
        may_have_happened: bool,
    },
}

impl EventKind {
    /// The stable name, such as `session.reuse_found`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "user.registered",
            Self::RegistrationRefused { .. } => "user.registration_refused",
            Self::LoggedIn { .. } => "login.succeeded",
            Self::LoginFailed { .. } => "login.failed",
            Self::Throttled { .. } => "attempt.throttled",
            Self::Refreshed { .. } => "session.refreshed",
            Self::Replayed { .. } => "session.replayed",
            Self::RefreshRefused { .. } => "session.refresh_refused",
            Self::ReuseFound { .. } => "session.reuse_found",
            Self::ForeignToken { .. } => "session.foreign_token",
            Self::SessionEnded { .. } => "session.ended",
            Self::SessionsEnded { .. } => "user.sessions_ended",
            Self::PasswordChanged { .. } => "password.changed",
            Self::PasswordChangeFailed { .. } => "password.change_failed",
            Self::HashUpgraded { .. } => "password.hash_upgraded",
            Self::StoreUnavailable { .. } => "store.unavailable",
        }
    }

    /// The stable name of why, for the kinds that have a `reason`.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::RegistrationRefused { reason } => Some(reason.as_str()),
            Self::LoginFailed { reason } => Some(reason.as_str()),
            Self::RefreshRefused { reason } => Some(reason.as_str()),
            Self::SessionEnded { reason } => Some(reason.as_str()),
            Self::SessionsEnded { reason, .. } => Some(reason.as_str()),
            _ => None,
        }
    }
}

/// Writes an enum of words, each with its stable name.
macro_rules! words {
    ($(#[$of_all:meta])* $name:ident { $($(#[$of_one:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$of_one])* #[doc = concat!(" (`", $word, "`)")] $variant,)+
        }

        impl $name {
            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// What makes a user unique and was taken.
    RegistrationRefusal {
        /// The e-mail address.
        EmailTaken = "email_taken",
        /// The username.
        UsernameTaken = "username_taken",
    }
}

words! {
    /// How a user logged in.
    LoginMethod {
        /// Their password.
        Password = "password",
        /// They have just registered.
        Registration = "registration",
        /// They have just changed their password, and their session had ended meanwhile.
        PasswordChange = "password_change",
        /// The app vouched for them, with [`Auth::start_session`](crate::Auth::start_session).
        App = "app",
    }
}

words! {
    /// Why a sign-in failed. For the operator: a client learns that login or password is wrong, never which.
    LoginFailure {
        /// Nobody has this login.
        UnknownLogin = "unknown_login",
        /// The password is another.
        WrongPassword = "wrong_password",
        /// The user is disabled; the password was not looked at.
        Disabled = "disabled",
        /// The user has no password, and signs in by other means.
        NoPassword = "no_password",
        /// The user has as many sessions as are allowed, and the limit refuses more.
        TooManySessions = "too_many_sessions",
        /// The password was changed, or all sessions were ended, after the user was read: the session that the client gets
        /// has ended before it began.
        Superseded = "superseded",
    }
}

words! {
    /// Why all sessions of a user ended.
    EndAllReason {
        /// The user signed out everywhere.
        LogoutAll = "logout_all",
        /// The app ended them, with [`Auth::end_sessions_of`](crate::Auth::end_sessions_of): it disabled the user, for example.
        ByApp = "by_app",
        /// The user changed their password.
        PasswordChanged = "password_changed",
    }
}

words! {
    /// A flow of [`Auth`](crate::Auth), in events, and in the names of [spans](super#spans).
    Operation {
        /// [`Auth::register`](crate::Auth::register).
        Register = "register",
        /// [`Auth::login`](crate::Auth::login).
        Login = "login",
        /// [`Auth::start_session`](crate::Auth::start_session), for whom the app or a registration has vouched.
        StartSession = "start_session",
        /// [`Auth::refresh`](crate::Auth::refresh).
        Refresh = "refresh",
        /// [`Auth::logout`](crate::Auth::logout).
        Logout = "logout",
        /// [`Auth::logout_all`](crate::Auth::logout_all).
        LogoutAll = "logout_all",
        /// [`Auth::end_sessions_of`](crate::Auth::end_sessions_of).
        EndSessions = "end_sessions",
        /// [`Auth::end_session`](crate::Auth::end_session).
        EndSession = "end_session",
        /// [`Auth::sessions`](crate::Auth::sessions).
        ListSessions = "list_sessions",
        /// [`Auth::change_password`](crate::Auth::change_password).
        ChangePassword = "change_password",
        /// A guard asks for the session's record: [`Check::Session`](crate::auth::Check::Session). It emits no event.
        CheckSession = "check_session",
        /// A guard loads the user: [`Check::User`](crate::auth::Check::User). It emits no event.
        LoadUser = "load_user",
        /// [`Auth::poll_revocations`](crate::Auth::poll_revocations), mostly by the polling task. It emits no event.
        Poll = "poll",
    }
}

/// Why a refresh token with our signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshRefusal {
    /// There is no such session, or it has expired. (`unknown`)
    Unknown,
    /// The session had ended before; one that a raised token version ends is told of here as well, because whoever raised it
    /// told of the rest. (`ended`)
    Ended(EndReason),
    /// The password was changed a moment ago by another tab, which has the next token. (`superseded`)
    Superseded,
    /// The user is gone or disabled. (`user_gone`)
    UserGone,
}

impl RefreshRefusal {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ended(_) => "ended",
            Self::Superseded => "superseded",
            Self::UserGone => "user_gone",
        }
    }
}
