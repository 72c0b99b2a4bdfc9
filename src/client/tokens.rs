//! A pair of tokens in a client's hands, and the text that a storage keeps of it.

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

/// Which sign-in a pair comes from, through all of its rotations, so that nothing that belongs to one user is taken for
/// another's. It is no secret: the server does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Lineage(u64);

impl Lineage {
    /// # Errors
    /// As for [`random::bytes`].
    pub(super) fn draw() -> Result<Self, Error> {
        random::bytes().map(u64::from_le_bytes).map(Self)
    }
}

/// A session's pair.
pub(super) struct Pair {
    pub(super) access: Secret<String>,
    pub(super) refresh: Secret<String>,
    pub(super) lineage: Lineage,
    /// When it was asked for: the server issued it later, so what is computed from it is early rather than late.
    asked_at: Timestamp,
    expires_at: Timestamp,
}

/// What is stored. It names the server, so that a storage that two programs mix up sends no token astray.
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

/// Why a stored text is no pair of ours; nothing of it is repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("what is stored is nothing that was stored here")]
    Garbled,
    #[error("what is stored was stored by another release")]
    AnotherRelease,
    #[error("what is stored belongs to another server")]
    AnotherServer,
}

impl Pair {
    /// `None` where the tokens cannot be tokens (RFC 6750 §2.1): nothing else goes into a header or a storage.
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

    /// Whether the server would refuse it by now, as far as our clock can tell.
    pub(super) fn is_expired(&self, clock: &dyn Clock) -> bool {
        clock.now() >= self.expires_at
    }

    /// Whether it expires within the margin, or within a quarter of its life where that is less.
    pub(super) fn is_due(&self, clock: &dyn Clock, margin: Duration) -> bool {
        let margin = margin.min(self.expires_at.since(self.asked_at) / 4);
        clock.now() >= self.expires_at.minus(margin)
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.refresh.expose() == other.refresh.expose()
    }

    /// Whether it is an earlier one of the same sign-in.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.lineage == other.lineage && self.asked_at < other.asked_at
    }

    /// `Bearer` and the access token, marked so that nobody who prints headers prints this one.
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
    /// [`Unusable`], variant by variant.
    pub(super) fn from_text(text: &Secret<String>, server: &Origin) -> Result<Self, Unusable> {
        // The parser's own words would repeat what is in the text.
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
    fn a_short_life_is_not_all_margin() {
        assert_eq!([900, 60, 8, 1, 0].map(due_after), [870, 45, 6, 1, 0]);
    }

    #[test]
    fn a_stored_pair_comes_back_for_its_own_server_alone() {
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
    fn nothing_shows_a_token() {
        let shown = format!("{:?} {:?}", pair(900), pair(900).bearer());
        assert!(!shown.contains("a.b.c") && !shown.contains("r.r.r"), "{shown}");
    }
}
