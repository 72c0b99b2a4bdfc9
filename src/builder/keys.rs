//! The rules that secrets and key rings must pass, and the rings that they become.

use std::time::Duration;

use super::settings::Settings;
use crate::{
    secret::Secret,
    token::keys::{Algorithm, Key, KeyKind, KeyRing, Keys, secret_problem},
};

/// How long after its retirement a key may still be needed, beside the lifetime of what it signed.
pub(super) struct Grace {
    pub(super) leeway: Duration,
    pub(super) clock_skew: Duration,
}

/// The rings of both kinds, with the longest lifetime of an access token.
pub(super) struct Rings {
    pub(super) access: Keys,
    pub(super) refresh: Keys,
    pub(super) max_access_lifetime: Duration,
    /// The ring of access keys has a longest lifetime of its own.
    pub(super) access_ring_says_longest: bool,
}

/// The settings of one kind of token.
struct Given<'a> {
    kind: KeyKind,
    name: &'static str,
    ring: Option<&'a KeyRing>,
    secret: Option<&'a Secret<Vec<u8>>>,
    retired: &'a [Secret<Vec<u8>>],
    /// The longest lifetime unless the ring has its own.
    longest: Duration,
    /// Today's.
    lifetime: Duration,
}

/// Makes the rings, or says what is wrong with what they are made of.
pub(super) fn rings(
    settings: &Settings,
    max_access_lifetime: Duration,
    grace: &Grace,
    problems: &mut Vec<String>,
) -> Option<Rings> {
    let access = Given {
        kind: KeyKind::Access,
        name: "access",
        ring: settings.access_keys.as_ref(),
        secret: settings.access_secret.as_ref(),
        retired: &settings.retired_access_secrets,
        longest: max_access_lifetime,
        lifetime: settings.access_lifetime,
    };
    let refresh = Given {
        kind: KeyKind::Refresh,
        name: "refresh",
        ring: settings.refresh_keys.as_ref(),
        secret: settings.refresh_secret.as_ref(),
        retired: &settings.retired_refresh_secrets,
        longest: settings.session_max_age,
        lifetime: settings.refresh_lifetime,
    };
    let before = problems.len();
    let (access_ring, refresh_ring) = (access.ring(settings, problems), refresh.ring(settings, problems));
    if problems.len() == before {
        distinct(access_ring.iter().chain(&refresh_ring), problems);
    }
    let (access_ring, refresh_ring) = (access_ring?, refresh_ring?);
    Some(Rings {
        max_access_lifetime: access.longest_of(&access_ring),
        access_ring_says_longest: access_ring.max_token_lifetime().is_some(),
        access: access.prepare(&access_ring, grace, problems)?,
        refresh: refresh.prepare(&refresh_ring, grace, problems)?,
    })
}

/// Rounded up.
pub(super) fn in_whole_seconds(lifetime: Duration) -> Duration {
    Duration::from_secs(lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0)))
}

impl Given<'_> {
    fn variable(&self) -> String {
        self.name.to_ascii_uppercase()
    }

    /// How the ring is set.
    fn keys_name(&self) -> &'static str {
        match self.kind {
            KeyKind::Access => "access_keys(…) or ACCESS_TOKEN_KEY_FILE",
            KeyKind::Refresh => "refresh_keys(…)",
        }
    }

    /// The ring that was set, or the one of the secret; retired secrets are in either.
    fn ring(&self, settings: &Settings, problems: &mut Vec<String>) -> Option<KeyRing> {
        let (kind, variable) = (self.name, self.variable());
        let current = match (self.ring, self.secret) {
            (Some(ring), None) => Some(ring.clone()),
            (None, Some(secret)) => {
                hmac(secret, &format!("the {kind} secret ({variable}_TOKEN_SECRET)"), problems).map(KeyRing::new)
            }
            (Some(_), Some(_)) => {
                problems.push(format!(
                    "the {kind} tokens have both keys ({}) and a secret ({variable}_TOKEN_SECRET): use one; \
                     a secret that only has to verify still is a retired one ({variable}_TOKEN_RETIRED_SECRETS)",
                    self.keys_name()
                ));
                None
            }
            // A key file that cannot be used has been complained of already.
            (None, None) if settings.unusable_key_file && self.kind == KeyKind::Access => None,
            (None, None) => {
                problems.push(format!(
                    "the {kind} secret is missing: set it with {kind}_secret(…) or {variable}_TOKEN_SECRET, \
                     drawn with `openssl rand -base64 48`; a private key takes its place with {}",
                    self.keys_name()
                ));
                None
            }
        };
        let mut ring = current;
        if self.kind == KeyKind::Access {
            ring = ring.map(|ring| {
                let ring = settings.next_access_key.iter().cloned().fold(ring, KeyRing::with_next);
                settings.retired_access_keys.iter().cloned().fold(ring, KeyRing::with_retired_indefinitely)
            });
        }
        for secret in self.retired {
            let key = hmac(secret, &format!("a retired {kind} secret ({variable}_TOKEN_RETIRED_SECRETS)"), problems);
            ring = ring.zip(key).map(|(ring, key)| ring.with_retired_indefinitely(key));
        }
        ring
    }

    /// In whole seconds, rounded up, as lifetimes are when tokens are issued.
    fn longest_of(&self, ring: &KeyRing) -> Duration {
        in_whole_seconds(ring.max_token_lifetime().unwrap_or(self.longest))
    }

    fn prepare(&self, ring: &KeyRing, grace: &Grace, problems: &mut Vec<String>) -> Option<Keys> {
        let kind = self.name;
        let longest = self.longest_of(ring);
        if ring.max_token_lifetime().is_some_and(|longest| longest < self.lifetime) {
            problems.push(format!(
                "the longest lifetime of the {kind} ring is shorter than the {kind} lifetime: \
                 use the longest that {kind} tokens ever had"
            ));
        }
        if !ring.can_sign() {
            problems.push(format!(
                "the current key of the {kind} ring, set by {}, is a public one: use the private key, \
                 such as `openssl genpkey -algorithm ed25519` makes",
                self.keys_name()
            ));
        }
        let needed = longest.saturating_add(grace.leeway).saturating_add(grace.clock_skew);
        Keys::prepare(self.kind, ring, needed)
    }
}

fn hmac(secret: &Secret<Vec<u8>>, name: &str, problems: &mut Vec<String>) -> Option<Key> {
    if let Some(problem) = secret_problem(Algorithm::HS256, secret.expose()) {
        problems.push(format!("{name} {problem}"));
        return None;
    }
    Key::from_secret(secret.clone()).map_err(|error| problems.push(format!("{name} {error}"))).ok()
}

/// Refuses the same key twice, whether for both kinds or in two places of one ring. A secret with white space around it is
/// the same as without: one of the two was copied with its line break.
fn distinct<'a>(rings: impl Iterator<Item = &'a KeyRing>, problems: &mut Vec<String>) {
    let keys: Vec<&Key> = rings.flat_map(KeyRing::keys).collect();
    let identities: Vec<String> = keys.iter().map(|key| key.identity()).collect();
    let twice = identities.iter().enumerate().find(|(i, one)| identities.iter().skip(i + 1).any(|other| other == *one));
    match twice.and_then(|(i, _)| keys.get(i)) {
        Some(key) if key.algorithm().is_asymmetric() => problems.push(format!(
            "the key {} is used twice: make one for each place with `openssl genpkey -algorithm ed25519`",
            key.kid()
        )),
        Some(_) => problems.push(
            "the same secret is used twice (ACCESS_TOKEN_SECRET, REFRESH_TOKEN_SECRET, …_RETIRED_SECRETS): \
             draw one for each with `openssl rand -base64 48`"
                .to_owned(),
        ),
        None => {}
    }
}
