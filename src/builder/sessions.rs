//! Settings of sessions: how long they live, how they rotate, and how many a user may have.

use std::time::Duration;

use super::{AuthBuilder, env::Environment};
use crate::{auth::Lifetimes, store::SessionLimit, user::AuthUser};

/// Maximum grace. A use after more than a minute is not a retry, but comes from a second holder.
const MAX_GRACE: Duration = Duration::from_secs(60);
/// Maximum lifetime of a session. A longer one is a mistake in its unit.
const TEN_YEARS: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `REFRESH_TOKEN_EXPIRY` | `7d` | life of a session without a refresh |
| `SESSION_MAX_AGE` | `30d` | life of a session, however often it is refreshed |
| `REFRESH_TOKEN_GRACE` | `10s` | how long the refresh token before still works; `0s` turns it off |"
    };
}
pub(super) use variables;

/// Settings of sessions.
///
/// # Defaults
/// - life without a refresh: 7 days
/// - life, however often it is refreshed: 30 days
/// - grace of the refresh token before: 10 s
/// - limit: 100 sessions of a user, beyond which the least recently used one ends
#[derive(Debug)]
pub(super) struct SessionSettings {
    refresh_lifetime: Duration,
    max_age: Duration,
    refresh_grace: Duration,
    limit: SessionLimit,
}

impl Default for SessionSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            refresh_lifetime: DAY * 7,
            max_age: DAY * 30,
            refresh_grace: Duration::from_secs(10),
            limit: SessionLimit::EndLeastRecentlyUsed(100),
        }
    }
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets how long a session lives without a refresh. Default: 7 days. Minimum: the life of an
    /// access token.
    ///
    /// Variable: `REFRESH_TOKEN_EXPIRY`.
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.session.refresh_lifetime = lifetime;
        self
    }

    /// Sets how long a session lives at most, however often it is refreshed. Default: 30 days.
    /// Maximum: 10 years, because a longer time is a mistake in its unit.
    ///
    /// Variable: `SESSION_MAX_AGE`.
    pub fn session_max_age(mut self, max_age: Duration) -> Self {
        self.session.max_age = max_age;
        self
    }

    /// Sets how long after a rotation the refresh token before it is still accepted and answered
    /// with the current pair. With it two tabs can refresh at once, and a client can repeat a
    /// request whose answer was lost.
    ///
    /// Default: 10 s. Maximum: 60 s, because a later use is not a retry but a second holder of the
    /// token. Zero turns it off. Variable: `REFRESH_TOKEN_GRACE`.
    pub fn refresh_grace(mut self, grace: Duration) -> Self {
        self.session.refresh_grace = grace;
        self
    }

    /// Sets how many sessions a user may have. Default: 100, beyond which the least recently used
    /// one ends.
    pub fn session_limit(mut self, limit: SessionLimit) -> Self {
        self.session.limit = limit;
        self
    }
}

impl SessionSettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        env.duration("REFRESH_TOKEN_EXPIRY", &mut self.refresh_lifetime);
        env.duration("SESSION_MAX_AGE", &mut self.max_age);
        env.duration("REFRESH_TOKEN_GRACE", &mut self.refresh_grace);
    }

    pub(super) fn check(&self, access_lifetime: Duration, problems: &mut Vec<String>) {
        let mut refuse = |wrong: bool, problem: &str| {
            if wrong {
                problems.push(problem.to_owned());
            }
        };
        let refresh = self.refresh_lifetime;
        refuse(refresh.is_zero(), "the refresh lifetime (REFRESH_TOKEN_EXPIRY) is zero: use 7d");
        refuse(
            !refresh.is_zero() && refresh < access_lifetime,
            "the refresh lifetime (REFRESH_TOKEN_EXPIRY) is shorter than the access lifetime (ACCESS_TOKEN_EXPIRY): \
             use 7d and 15m",
        );
        refuse(
            self.max_age < refresh,
            "the session's maximal age (SESSION_MAX_AGE) is shorter than the refresh lifetime (REFRESH_TOKEN_EXPIRY): \
             use 30d and 7d",
        );
        refuse(
            self.max_age > TEN_YEARS,
            "the session's maximal age (SESSION_MAX_AGE) is longer than ten years: use 30d",
        );
        refuse(
            self.refresh_grace > MAX_GRACE,
            "the refresh grace (REFRESH_TOKEN_GRACE) is longer than a minute: use 10s",
        );
        refuse(
            matches!(self.limit, SessionLimit::EndLeastRecentlyUsed(0) | SessionLimit::Refuse(0)),
            "session_limit must be at least 1, or no user could log in",
        );
    }

    /// Life of a refresh token that is issued now.
    pub(super) fn refresh_lifetime(&self) -> Duration {
        self.refresh_lifetime
    }

    /// Longest life of a refresh token.
    pub(super) fn max_age(&self) -> Duration {
        self.max_age
    }

    pub(super) fn limit(&self) -> SessionLimit {
        self.limit
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        Lifetimes { idle: self.refresh_lifetime, absolute: self.max_age, grace: self.refresh_grace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    #[test]
    fn variables_reach_their_settings() {
        let mut settings = SessionSettings::default();
        let pairs = [("REFRESH_TOKEN_EXPIRY", "1d"), ("SESSION_MAX_AGE", "2d"), ("REFRESH_TOKEN_GRACE", "0s")];
        assert_eq!(read_pairs(&pairs, |env| settings.read(env)), Vec::<String>::new());
        let lifetimes = settings.lifetimes();
        let day = Duration::from_secs(86_400);
        assert_eq!((lifetimes.idle, lifetimes.absolute, lifetimes.grace), (day, day * 2, Duration::ZERO));
    }
}
