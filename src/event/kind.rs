//! [`EventKind`]: the kinds of events, and their reasons.

use std::time::Duration;

use crate::session::{EndReason, SessionId};

/// What happened. The [module](super) says when each kind is emitted.
///
/// Later versions add members to a kind, so match with `..`. Each kind has a constructor for tests
/// of an [`EventSink`](super::EventSink).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// `user.registered`: a user was added.
    #[non_exhaustive]
    Registered {},
    /// `user.registration_refused`: the e-mail address or the username was taken.
    #[non_exhaustive]
    RegistrationRefused {
        /// Which of the two was taken.
        reason: RegistrationRefusal,
    },
    /// `login.succeeded`: a user logged in.
    #[non_exhaustive]
    LoggedIn {
        /// How the user logged in.
        method: LoginMethod,
    },
    /// `login.failed`: a login failed.
    #[non_exhaustive]
    LoginFailed {
        /// Why it failed. The client must not learn it.
        reason: LoginFailure,
    },
    /// `attempt.throttled`: the throttle refused an attempt.
    #[non_exhaustive]
    Throttled {
        /// Flow of the attempt.
        operation: Operation,
        /// How long the client has to wait. The JSON has it in milliseconds, as `retry_after_ms`.
        retry_after: Duration,
    },
    /// `session.refreshed`: the current refresh token was exchanged for the next pair.
    #[non_exhaustive]
    Refreshed {},
    /// `session.replayed`: the previous refresh token was presented within the grace, and answered
    /// with the current pair.
    #[non_exhaustive]
    Replayed {},
    /// `session.refresh_refused`: a refresh token with our signature was refused.
    #[non_exhaustive]
    RefreshRefused {
        /// Why the token was refused.
        reason: RefreshRefusal,
    },
    /// `session.reuse_found`: a refresh token was used a second time. Its session has ended.
    #[non_exhaustive]
    ReuseFound {},
    /// `session.foreign_token`: a refresh token has our signature and an id that its session never
    /// had.
    #[non_exhaustive]
    ForeignToken {},
    /// `session.ended`: one session ended.
    #[non_exhaustive]
    SessionEnded {
        /// Why the session ended.
        reason: EndReason,
    },
    /// `user.sessions_ended`: all sessions of the user ended, except the `kept` one.
    #[non_exhaustive]
    SessionsEnded {
        /// Why the sessions ended.
        reason: EndAllReason,
        /// Session that did not end.
        kept: Option<SessionId>,
    },
    /// `password.changed`: the user changed their password.
    #[non_exhaustive]
    PasswordChanged {},
    /// `password.change_failed`: the current password was wrong, or was changed meanwhile.
    #[non_exhaustive]
    PasswordChangeFailed {},
    /// `password.hash_upgraded`: a hash of the current cost replaced the stored one.
    #[non_exhaustive]
    HashUpgraded {},
    /// `store.unavailable`: the flow failed because a store could not be reached.
    #[non_exhaustive]
    StoreUnavailable {
        /// Flow that failed.
        operation: Operation,
        /// Whether the flow may have had its effect, because the store was asked to write and did
        /// not answer.
        may_have_happened: bool,
    },
}

impl EventKind {
    /// Returns the stable name, such as `session.reuse_found`.
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

    /// Returns the stable name of the reason, for the kinds that have a `reason`.
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

/// Declares an enum whose variants each have a stable name.
macro_rules! words {
    ($(#[$of_all:meta])* $name:ident { $($(#[$of_one:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$of_one])* #[doc = concat!(" (`", $word, "`)")] $variant,)+
        }

        impl $name {
            /// Returns the stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words! {
    /// Why a registration was refused.
    RegistrationRefusal {
        /// Another user has the e-mail address.
        EmailTaken = "email_taken",
        /// Another user has the username.
        UsernameTaken = "username_taken",
    }
}

words! {
    /// How a user logged in.
    LoginMethod {
        /// The user gave their password.
        Password = "password",
        /// The user has just registered.
        Registration = "registration",
        /// The user has just changed their password, and their session had ended meanwhile.
        PasswordChange = "password_change",
        /// The app has authenticated the user and called
        /// [`Auth::start_session`](crate::Auth::start_session).
        App = "app",
    }
}

words! {
    /// Why a login failed. It is for the operator. A client learns that login or password is wrong,
    /// and never which.
    LoginFailure {
        /// No user has this login.
        UnknownLogin = "unknown_login",
        /// The password is wrong.
        WrongPassword = "wrong_password",
        /// The user is disabled. The password was not compared.
        Disabled = "disabled",
        /// The user has no password, and logs in by other means.
        NoPassword = "no_password",
        /// The user has as many sessions as are allowed, and the limit refuses more.
        TooManySessions = "too_many_sessions",
        /// The password was changed, or all sessions were ended, after the user was read. The
        /// session that the client got has ended at once.
        Superseded = "superseded",
    }
}

words! {
    /// Why all sessions of a user ended.
    EndAllReason {
        /// The user logged out everywhere.
        LogoutAll = "logout_all",
        /// The app ended them with [`Auth::end_sessions_of`](crate::Auth::end_sessions_of), for
        /// example because it disabled the user.
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
        /// [`Auth::start_session`](crate::Auth::start_session), also after a registration.
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
        /// A guard asks for the session: [`Check::Session`](crate::auth::Check::Session). It emits
        /// no event.
        CheckSession = "check_session",
        /// A guard loads the user: [`Check::User`](crate::auth::Check::User). It emits no event.
        LoadUser = "load_user",
        /// [`Auth::poll_revocations`](crate::Auth::poll_revocations), mostly by the polling task.
        /// It emits no event.
        Poll = "poll",
    }
}

/// Why a refresh token with our signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshRefusal {
    /// The session does not exist, or it has expired. (`unknown`)
    Unknown,
    /// The session had already ended. A session that a raised token version ends is reported here
    /// too. (`ended`)
    Ended(EndReason),
    /// Another tab has just changed the password, and has the next token. (`superseded`)
    Superseded,
    /// The user is deleted or disabled. (`user_gone`)
    UserGone,
}

impl RefreshRefusal {
    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ended(_) => "ended",
            Self::Superseded => "superseded",
            Self::UserGone => "user_gone",
        }
    }
}
