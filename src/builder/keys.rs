//! Settings of keys: secrets and key rings, the rules that they must pass, and the rings that they
//! become.

use std::time::Duration;

use super::{AuthBuilder, env::Environment};
use crate::{
    error::Error,
    random,
    secret::Secret,
    token::keys::{Algorithm, Key, KeyKind, KeyRing, Keys, secret_problem},
    user::AuthUser,
};

/// Rows of the table of variables.
macro_rules! variables {
    () => {
        "| `ACCESS_TOKEN_SECRET`, `REFRESH_TOKEN_SECRET` | required | 32 bytes or more, different |
| `ACCESS_TOKEN_RETIRED_SECRETS`, `REFRESH_TOKEN_RETIRED_SECRETS` | none | still verify; separated by `,` |
| `ACCESS_TOKEN_KEY_FILE` | none | in place of `ACCESS_TOKEN_SECRET`: a private key (PEM or JWK; Ed25519, P-256, RSA), whose algorithm follows from it |
| `ACCESS_TOKEN_NEXT_KEY_FILE` | none | the key that will follow it: [published and verified](crate::keys) already |
| `ACCESS_TOKEN_RETIRED_KEY_FILES` | none | still verify; separated by `:` |"
    };
}
pub(super) use variables;

/// Settings of the keys that sign and verify tokens.
///
/// # Defaults
/// - one secret or ring of keys for each kind of token: none, both are required
/// - retired secrets: none
/// - next and retired keys beside a ring: none
#[derive(Debug, Default)]
pub(super) struct KeySettings {
    access_keys: Option<KeyRing>,
    refresh_keys: Option<KeyRing>,
    access_secret: Option<Secret<Vec<u8>>>,
    refresh_secret: Option<Secret<Vec<u8>>>,
    retired_access_secrets: Vec<Secret<Vec<u8>>>,
    retired_refresh_secrets: Vec<Secret<Vec<u8>>>,
    /// Next key, read from a file. It may be set beside a secret, so that an app can change from
    /// secrets to keys and back.
    next_access_key: Option<Key>,
    /// Retired keys, read from files.
    retired_access_keys: Vec<Key>,
    /// Says that a key file is set but cannot be used. The secret is then not reported as missing.
    unusable_key_file: bool,
}

impl<U: AuthUser> AuthBuilder<U> {
    /// Sets the keys of access tokens, in place of a secret. See [`keys`](crate::keys).
    ///
    /// Variables: `ACCESS_TOKEN_KEY_FILE`, `ACCESS_TOKEN_NEXT_KEY_FILE`,
    /// `ACCESS_TOKEN_RETIRED_KEY_FILES`.
    pub fn access_keys(mut self, keys: KeyRing) -> Self {
        self.keys.access_keys = Some(keys);
        self
    }

    /// Sets the keys of refresh tokens, in place of a secret. A secret is enough for most apps,
    /// because no other service verifies refresh tokens.
    pub fn refresh_keys(mut self, keys: KeyRing) -> Self {
        self.keys.refresh_keys = Some(keys);
        self
    }

    /// Sets the secret that signs access tokens (HS256): at least 32 random bytes, for example from
    /// `openssl rand -base64 48`. It is required unless there are [keys](Self::access_keys).
    ///
    /// The bytes are used unchanged. Two secrets that must differ must differ in more than the
    /// white space around them.
    ///
    /// Variable: `ACCESS_TOKEN_SECRET`.
    pub fn access_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.keys.access_secret = Some(secret.into());
        self
    }

    /// Sets the secret that signs refresh tokens (HS256). It must differ from that of access
    /// tokens. It is required unless there are [keys](Self::refresh_keys).
    ///
    /// Variable: `REFRESH_TOKEN_SECRET`.
    pub fn refresh_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.keys.refresh_secret = Some(secret.into());
        self
    }

    /// Adds a secret that signed access tokens before and still verifies them. Default: none.
    ///
    /// Remove it once the longest of these tokens has expired. Remove a secret that has leaked at
    /// once. Variable: `ACCESS_TOKEN_RETIRED_SECRETS`.
    pub fn retired_access_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.keys.retired_access_secrets.push(secret.into());
        self
    }

    /// Adds a secret that signed refresh tokens before and still verifies them. Default: none.
    ///
    /// Variable: `REFRESH_TOKEN_RETIRED_SECRETS`.
    pub fn retired_refresh_secret(mut self, secret: impl Into<Secret<Vec<u8>>>) -> Self {
        self.keys.retired_refresh_secrets.push(secret.into());
        self
    }
}

impl KeySettings {
    pub(super) fn read(&mut self, env: &mut Environment<'_>) {
        self.access_secret = env.secret("ACCESS_TOKEN_SECRET");
        self.refresh_secret = env.secret("REFRESH_TOKEN_SECRET");
        self.retired_access_secrets = env.secrets("ACCESS_TOKEN_RETIRED_SECRETS");
        self.retired_refresh_secrets = env.secrets("REFRESH_TOKEN_RETIRED_SECRETS");
        let before = env.problems();
        let current = env.key_files("ACCESS_TOKEN_KEY_FILE", |path| vec![path]);
        self.unusable_key_file = env.problems() > before;
        self.access_keys = current.into_iter().next().map(KeyRing::new);
        self.next_access_key = env.key_files("ACCESS_TOKEN_NEXT_KEY_FILE", |path| vec![path]).pop();
        self.retired_access_keys = env.key_files("ACCESS_TOKEN_RETIRED_KEY_FILES", |list| list.split(':').collect());
    }

    /// Generates the secrets that are missing, and returns the names of their variables.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the operating system has no
    /// randomness.
    pub(super) fn generate_missing(&mut self) -> Result<Vec<&'static str>, Error> {
        let mut generated = Vec::new();
        for (name, secret, has_key) in [
            ("ACCESS_TOKEN_SECRET", &mut self.access_secret, self.access_keys.is_some() || self.unusable_key_file),
            ("REFRESH_TOKEN_SECRET", &mut self.refresh_secret, self.refresh_keys.is_some()),
        ] {
            if secret.is_none() && !has_key {
                *secret = Some(Secret::from(random::bytes::<32>()?));
                generated.push(name);
            }
        }
        Ok(generated)
    }

    /// Returns all secrets that sign or verify tokens.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret<Vec<u8>>> {
        let current = self.access_secret.iter().chain(&self.refresh_secret);
        current.chain(&self.retired_access_secrets).chain(&self.retired_refresh_secrets)
    }

    /// Makes the rings, or adds the problems of their settings.
    pub(super) fn rings(&self, lifetimes: &TokenLifetimes, problems: &mut Vec<String>) -> Option<Rings> {
        let access = Given {
            kind: KeyKind::Access,
            name: "access",
            ring: self.access_keys.as_ref(),
            secret: self.access_secret.as_ref(),
            retired: &self.retired_access_secrets,
            longest: lifetimes.longest_access,
            lifetime: lifetimes.access,
        };
        let refresh = Given {
            kind: KeyKind::Refresh,
            name: "refresh",
            ring: self.refresh_keys.as_ref(),
            secret: self.refresh_secret.as_ref(),
            retired: &self.retired_refresh_secrets,
            longest: lifetimes.longest_refresh,
            lifetime: lifetimes.refresh,
        };
        let before = problems.len();
        let (access_ring, refresh_ring) = (access.ring(self, problems), refresh.ring(self, problems));
        if problems.len() == before {
            distinct(access_ring.iter().chain(&refresh_ring), problems);
        }
        let (access_ring, refresh_ring) = (access_ring?, refresh_ring?);
        Some(Rings {
            max_access_lifetime: access.longest_of(&access_ring),
            access_ring_sets_longest: access_ring.max_token_lifetime().is_some(),
            access: access.prepare(&access_ring, lifetimes.tolerance, problems)?,
            refresh: refresh.prepare(&refresh_ring, lifetimes.tolerance, problems)?,
        })
    }
}

/// Lifetimes of tokens. They decide for how long retired keys verify.
pub(super) struct TokenLifetimes {
    pub(super) access: Duration,
    pub(super) longest_access: Duration,
    pub(super) refresh: Duration,
    pub(super) longest_refresh: Duration,
    /// Maximum time after its expiry at which a token is still accepted.
    pub(super) tolerance: Duration,
}

/// The rings of both kinds, with the longest lifetime of an access token.
pub(super) struct Rings {
    pub(super) access: Keys,
    pub(super) refresh: Keys,
    pub(super) max_access_lifetime: Duration,
    /// Says whether the ring of access keys sets the longest lifetime itself.
    pub(super) access_ring_sets_longest: bool,
}

/// Rounds up to whole seconds, as lifetimes are rounded when tokens are issued.
pub(super) fn in_whole_seconds(lifetime: Duration) -> Duration {
    Duration::from_secs(lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0)))
}

/// The settings of one kind of token.
struct Given<'a> {
    kind: KeyKind,
    name: &'static str,
    ring: Option<&'a KeyRing>,
    secret: Option<&'a Secret<Vec<u8>>>,
    retired: &'a [Secret<Vec<u8>>],
    /// Longest lifetime of these tokens, unless the ring sets one.
    longest: Duration,
    /// Current secret.
    lifetime: Duration,
}

impl Given<'_> {
    fn variable(&self) -> String {
        self.name.to_ascii_uppercase()
    }

    /// Name of the method that sets the ring.
    fn keys_name(&self) -> &'static str {
        match self.kind {
            KeyKind::Access => "access_keys(…) or ACCESS_TOKEN_KEY_FILE",
            KeyKind::Refresh => "refresh_keys(…)",
        }
    }

    /// Returns the ring that was set, or a ring of the secret, with the retired secrets.
    fn ring(&self, settings: &KeySettings, problems: &mut Vec<String>) -> Option<KeyRing> {
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
            // The problem of the key file is already in the list.
            (None, None) if settings.unusable_key_file && self.kind == KeyKind::Access => None,
            (None, None) => {
                problems.push(format!(
                    "the {kind} secret is missing: set it with {kind}_secret(…) or {variable}_TOKEN_SECRET, \
                     generate it with `openssl rand -base64 48`; a private key takes its place with {}",
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

    fn longest_of(&self, ring: &KeyRing) -> Duration {
        in_whole_seconds(ring.max_token_lifetime().unwrap_or(self.longest))
    }

    fn prepare(&self, ring: &KeyRing, tolerance: Duration, problems: &mut Vec<String>) -> Option<Keys> {
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
        let needed = longest.saturating_add(tolerance);
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

/// Refuses a key that is used for both kinds of tokens or twice in one ring.
///
/// White space around a secret is ignored here, because a copy often has a line break at its end.
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
             generate one for each with `openssl rand -base64 48`"
                .to_owned(),
        ),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::env::read_pairs;

    fn settings(pairs: &[(&str, &str)]) -> (KeySettings, Vec<String>) {
        let mut settings = KeySettings::default();
        let problems = read_pairs(pairs, |env| settings.read(env));
        (settings, problems)
    }

    #[test]
    fn variables_reach_their_settings() {
        let (settings, problems) = settings(&[
            ("ACCESS_TOKEN_SECRET", "access"),
            ("REFRESH_TOKEN_SECRET", "refresh"),
            ("ACCESS_TOKEN_RETIRED_SECRETS", "one,two"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert!(settings.access_secret.is_some() && settings.refresh_secret.is_some());
        assert_eq!(settings.retired_access_secrets.len(), 2);
    }

    #[test]
    fn key_files_make_a_ring_and_are_named_where_they_do_not() {
        const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
        let file = |name: &str| format!("{DIR}/{name}.pem");
        let retired = format!("{}:{}", file("p256"), file("rsa2048.pub"));
        let (good, problems) = settings(&[
            ("ACCESS_TOKEN_KEY_FILE", &file("ed25519")),
            ("ACCESS_TOKEN_NEXT_KEY_FILE", &file("ed25519-next")),
            ("ACCESS_TOKEN_RETIRED_KEY_FILES", &retired),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert!(good.access_keys.is_some() && good.next_access_key.is_some());
        assert_eq!(good.retired_access_keys.len(), 2);

        let (bad, problems) = settings(&[
            ("ACCESS_TOKEN_KEY_FILE", &file("refused-rsa1024")),
            ("ACCESS_TOKEN_RETIRED_KEY_FILES", "-----BEGIN PRIVATE KEY-----canary"),
        ]);
        assert!(bad.unusable_key_file);
        for (problem, words) in problems.iter().zip(["1024 bits", "cannot be read"]) {
            assert!(
                problem.starts_with("APP_ACCESS_TOKEN_") && problem.contains(words) && !problem.contains("canary"),
                "{problem}"
            );
        }
        assert_eq!(problems.len(), 2);
    }
}
