//! [`Pair`]: the two tokens of a session, and the text in which a storage keeps them.

use std::{fmt, time::Duration};

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Clock, Timestamp},
    error::Error,
    http::request::origin::Origin,
    random,
    secret::Secret,
};

/// Names the login that a pair comes from, through all rotations, so that a request of one user is
/// never sent with the token of another. It is no secret, and the server does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Lineage(u64);

impl Lineage {
    /// # Errors
    /// The same as for [`random::bytes`].
    pub(super) fn generate() -> Result<Self, Error> {
        random::bytes().map(u64::from_le_bytes).map(Self)
    }
}

/// The access token and the refresh token of a session.
pub(super) struct Pair {
    pub(super) access: Secret<String>,
    pub(super) refresh: Secret<String>,
    pub(super) lineage: Lineage,
    /// The time of the request. The server issued the pair later, so times that are computed from
    /// it are early and never late.
    asked_at: Timestamp,
    expires_at: Timestamp,
}

/// The stored form. It names the server, so that a storage with the tokens of another server sends
/// none of them to this one.
#[derive(Deserialize, Serialize)]
struct Stored<T> {
    version: u8,
    server: String,
    access_token: T,
    refresh_token: T,
    lineage: Lineage,
    asked_at: i64,
    expires_at: i64,
}

const VERSION: u8 = 1;

/// Why a stored text is no usable pair. No message repeats a part of the text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("the stored text is no pair of tokens")]
    Garbled,
    #[error("the stored tokens have the format of another release")]
    AnotherRelease,
    #[error("the stored tokens belong to another server")]
    AnotherServer,
}

impl Pair {
    /// Returns `None` if the texts cannot be tokens (RFC 6750 §2.1), so that nothing else gets into
    /// a header or a storage.
    pub(super) fn new(
        access: Secret<String>,
        refresh: Secret<String>,
        lineage: Lineage,
        asked_at: Timestamp,
        expires_at: Timestamp,
    ) -> Option<Self> {
        let is_token = |token: &Secret<String>| {
            let bytes = token.expose().as_bytes();
            !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
        };
        (is_token(&access) && is_token(&refresh)).then_some(Self { access, refresh, lineage, asked_at, expires_at })
    }

    /// Returns whether the access token has expired by our clock.
    pub(super) fn is_expired(&self, clock: &dyn Clock) -> bool {
        clock.now() >= self.expires_at
    }

    /// Returns whether the access token expires within the margin, or within a quarter of its
    /// lifetime if that is shorter.
    pub(super) fn is_due(&self, clock: &dyn Clock, margin: Duration) -> bool {
        let margin = margin.min(self.expires_at.since(self.asked_at) / 4);
        clock.now() >= self.expires_at.minus(margin)
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.refresh.expose() == other.refresh.expose()
    }

    /// Returns whether this is an earlier pair of the same login.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.lineage == other.lineage && self.asked_at < other.asked_at
    }

    /// Returns the value of an `Authorization` header. It is marked as sensitive, so that logs of
    /// headers do not show it.
    pub(super) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.access.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(super) fn to_text(&self, server: &Origin) -> Option<Secret<String>> {
        let stored = Stored {
            version: VERSION,
            server: server.to_string(),
            access_token: self.access.expose(),
            refresh_token: self.refresh.expose(),
            lineage: self.lineage,
            asked_at: self.asked_at.as_millis(),
            expires_at: self.expires_at.as_millis(),
        };
        serde_json::to_string(&stored).ok().map(Secret::new)
    }

    /// # Errors
    /// [`Unusable`].
    pub(super) fn from_text(text: &Secret<String>, server: &Origin) -> Result<Self, Unusable> {
        // The parser's own message would repeat parts of the text.
        let stored: Stored<Secret<String>> = serde_json::from_str(text.expose()).map_err(|_| Unusable::Garbled)?;
        if stored.version != VERSION {
            return Err(Unusable::AnotherRelease);
        }
        if stored.server != server.to_string() {
            return Err(Unusable::AnotherServer);
        }
        let [asked_at, expires_at] = [stored.asked_at, stored.expires_at].map(Timestamp::from_millis);
        Self::new(stored.access_token, stored.refresh_token, stored.lineage, asked_at, expires_at)
            .ok_or(Unusable::Garbled)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn pair(lifetime: u64) -> Pair {
        let asked_at = Timestamp::from_secs(1_800_000_000);
        let expires_at = asked_at.plus(Duration::from_secs(lifetime));
        Pair::new("a.b.c".into(), "r.r.r".into(), Lineage(u64::MAX), asked_at, expires_at).unwrap()
    }

    fn due_after(lifetime: u64) -> u64 {
        let pair = pair(lifetime);
        let due = |seconds: &u64| {
            let clock = ManualClock::new(pair.asked_at.plus(Duration::from_secs(*seconds)));
            pair.is_due(&clock, Duration::from_secs(30))
        };
        (0..=lifetime).find(due).unwrap()
    }

    #[test]
    fn the_margin_is_at_most_a_quarter_of_the_lifetime() {
        assert_eq!([900, 60, 8, 1, 0].map(due_after), [870, 45, 6, 1, 0]);
    }

    #[test]
    fn a_stored_pair_is_usable_for_its_own_server_alone() {
        let server = Origin::parse("https://api.example.com").unwrap();
        let text = pair(900).to_text(&server).unwrap();
        let again = Pair::from_text(&text, &server).unwrap();
        assert!(again.is_same_as(&pair(900)) && again.access.expose() == "a.b.c" && again.lineage == Lineage(u64::MAX));
        assert_eq!((again.asked_at, again.expires_at), (pair(900).asked_at, pair(900).expires_at));

        for other in ["https://api.example.com:8443", "http://api.example.com", "https://example.com"] {
            let why = Pair::from_text(&text, &Origin::parse(other).unwrap()).unwrap_err();
            assert!(matches!(why, Unusable::AnotherServer), "{other}: {why}");
        }
        for (change, to) in [("\"version\":1", "\"version\":2"), ("a.b.c", "a b"), ("a.b.c", ""), ("}", "")] {
            let changed = Secret::new(text.expose().replace(change, to));
            let why = Pair::from_text(&changed, &server).unwrap_err().to_string();
            assert!(!why.contains("r.r"), "{why}");
        }
    }

    #[test]
    fn no_debug_output_shows_a_token() {
        let shown = format!("{:?} {:?}", pair(900), pair(900).bearer());
        assert!(!shown.contains("a.b.c") && !shown.contains("r.r.r"), "{shown}");
    }
}
