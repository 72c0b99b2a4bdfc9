//! The rules that settings must pass, and what they become then.

use std::time::Duration;

use super::{
    keys::{Grace, in_whole_seconds, rings},
    settings::Settings,
};
use crate::{
    auth::Lifetimes,
    clock::CLOCK_SKEW,
    error::BuildError,
    http::{
        Delivery, Endpoint, HttpSettings, ResponseFormat,
        cookies::{CookieSettings, MAX_COOKIE_BYTES},
        cross_site::CrossSite,
        delivery::Deliveries,
        endpoint::{Resource, Table},
        origin::TrustedOrigin,
    },
    password::{Hasher, PasswordPolicy, Peppers},
    secret::Secret,
    store::SessionLimit,
    token::{
        Issuer, MAX_TOKEN_BYTES, Profile, TokenCache, Verifier,
        keys::{Algorithm, secret_problem, trimmed},
    },
};

/// The longest life that an access token may ever be given.
const MAX_ACCESS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest grace: beyond a minute it is no longer a retry but a second holder.
const MAX_GRACE: Duration = Duration::from_secs(60);
/// The longest leeway: with our own clocks half a minute is plenty.
const MAX_LEEWAY: Duration = Duration::from_secs(30);
/// Longer lifetimes are a mistake in a unit.
const TEN_YEARS: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// What tokens under asymmetric keys are remembered in: some ten thousand of them.
const TOKEN_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Settings that passed, in the form that an `Auth` works with.
pub(super) struct Checked {
    pub(super) issuer: Issuer,
    pub(super) verifier: Verifier,
    pub(super) lifetimes: Lifetimes,
    pub(super) session_limit: SessionLimit,
    pub(super) revocation_poll: Duration,
    pub(super) max_poll_staleness: Option<Duration>,
    pub(super) revocation_capacity: usize,
    pub(super) password_policy: PasswordPolicy,
    pub(super) hasher: Hasher,
    pub(super) hash_threads: usize,
    pub(super) hash_queue: usize,
    pub(super) hash_deadline: Duration,
    pub(super) http: HttpSettings,
}

impl Settings {
    /// Checks every setting, alone and together with the others.
    ///
    /// # Errors
    /// All problems at once.
    pub(super) fn check(mut self) -> Result<Checked, BuildError> {
        let mut problems = std::mem::take(&mut self.problems);
        let mut lifetimes = lifetimes(&self, &mut problems);
        let grace = Grace { leeway: self.leeway, clock_skew: CLOCK_SKEW };
        let keys = rings(&self, self.max_access_lifetime.unwrap_or(MAX_ACCESS_LIFETIME), &grace, &mut problems);
        peppers(&self, &mut problems);
        let issuer = self.issuer.take().filter(|issuer| !issuer.trim().is_empty());
        if issuer.is_none() {
            problems.push("the issuer is missing: set it with issuer(\"https://your.service\") or TOKEN_ISSUER".into());
        }
        if let SessionLimit::EndLeastRecentlyUsed(0) | SessionLimit::Refuse(0) = self.session_limit {
            problems.push("session_limit must be at least 1, or nobody could log in".into());
        }
        problems.extend(self.password_policy.problem().map(str::to_owned));
        let hasher = hasher(&self).map_err(|problem| problems.push(problem.to_owned())).ok();
        let peppers = Peppers::new(self.pepper.as_ref(), &self.retired_peppers)
            .map_err(|error| problems.push(format!("the pepper cannot be used: {error:?}")))
            .unwrap_or_default();
        let hasher = hasher.map(|hasher| hasher.with_peppers(peppers));
        let hash_threads = self.hash_threads.unwrap_or_else(half_the_cores);
        let hash_queue = self.hash_queue.unwrap_or_else(|| hash_threads.saturating_mul(256));
        if !(1..=1024).contains(&hash_threads) || hash_queue == 0 {
            problems.push("hash_threads (HASH_THREADS) must be 1 to 1024, and hash_queue at least 1".into());
        }
        if self.hash_deadline.is_zero() {
            problems.push("hash_deadline is zero: use 15 seconds".into());
        }
        let web = web_settings(&self, &mut problems);
        let (Some(keys), Some(issuer), Some(hasher), Some(web), true) =
            (keys, issuer, hasher, web, problems.is_empty())
        else {
            return Err(BuildError::new(problems));
        };
        // What an app says of longer-lived tokens; what it does not say of is asked about in the store.
        let is_said = self.max_access_lifetime.is_some() || keys.access_ring_says_longest;
        let longest = if is_said { keys.max_access_lifetime } else { in_whole_seconds(self.access_lifetime) };
        lifetimes.remembered = longest.saturating_add(self.leeway);
        lifetimes.tombstone = lifetimes.remembered.saturating_add(CLOCK_SKEW);
        let audience = self.audience.unwrap_or_else(|| issuer.clone());
        Ok(Checked {
            verifier: Verifier {
                cache: TokenCache::new(self.token_cache.unwrap_or(if keys.access.is_asymmetric() {
                    TOKEN_CACHE_BYTES
                } else {
                    0
                })),
                profile: Profile {
                    issuer: issuer.clone(),
                    audience: audience.clone(),
                    leeway: self.leeway,
                    max_access_lifetime: keys.max_access_lifetime,
                    not_before: self.not_before,
                    custom_claims: false,
                },
            },
            issuer: Issuer {
                issuer,
                client_id: audience.clone(),
                audience,
                access_lifetime: self.access_lifetime,
                max_access_bytes: if web.deliveries.use_access_cookie() {
                    MAX_COOKIE_BYTES.saturating_sub(web.cookies.access.name().len())
                } else {
                    MAX_TOKEN_BYTES
                },
                access_keys: keys.access,
                refresh_keys: keys.refresh,
            },
            lifetimes,
            session_limit: self.session_limit,
            revocation_poll: self.revocation_poll,
            max_poll_staleness: self.max_poll_staleness,
            revocation_capacity: self.revocation_capacity,
            password_policy: self.password_policy,
            hasher,
            hash_threads,
            hash_queue,
            hash_deadline: self.hash_deadline,
            http: web,
        })
    }
}

/// A secret as it is compared with others: see [`trimmed`].
fn bare(secret: &Secret<Vec<u8>>) -> &[u8] {
    trimmed(secret.expose())
}

/// Checks the peppers, which must be no key of a token either.
fn peppers(settings: &Settings, problems: &mut Vec<String>) {
    let peppers: Vec<_> = settings.pepper.iter().chain(&settings.retired_peppers).map(bare).collect();
    for pepper in &peppers {
        if let Some(problem) = secret_problem(Algorithm::HS256, pepper) {
            problems.push(format!("a pepper (PASSWORD_PEPPER, PASSWORD_RETIRED_PEPPERS) {problem}"));
        }
    }
    let tokens = settings.access_secret.iter().chain(&settings.refresh_secret);
    let retired = settings.retired_access_secrets.iter().chain(&settings.retired_refresh_secrets);
    let tokens: Vec<_> = tokens.chain(retired).map(bare).collect();
    let again =
        |(i, pepper): (usize, &&[u8])| tokens.contains(pepper) || peppers.iter().skip(i + 1).any(|p| p == pepper);
    if peppers.iter().enumerate().any(again) {
        problems.push(
            "the same secret is used twice (PASSWORD_PEPPER, PASSWORD_RETIRED_PEPPERS, ACCESS_TOKEN_SECRET, …): \
             draw one for each with `openssl rand -base64 48`"
                .to_owned(),
        );
    }
}

/// The lifetimes, which have to fit together.
fn lifetimes(settings: &Settings, problems: &mut Vec<String>) -> Lifetimes {
    let mut refuse = |wrong: bool, problem: &str| {
        if wrong {
            problems.push(problem.to_owned());
        }
    };
    let (access, refresh) = (settings.access_lifetime, settings.refresh_lifetime);
    refuse(access.is_zero(), "the access lifetime (ACCESS_TOKEN_EXPIRY) is zero: use 15m");
    let longest = settings.max_access_lifetime.unwrap_or(MAX_ACCESS_LIFETIME);
    refuse(longest > MAX_ACCESS_LIFETIME, "the maximal access lifetime is longer than a day: use a day");
    refuse(
        access > longest,
        "the access lifetime (ACCESS_TOKEN_EXPIRY) is longer than its maximum, a day unless set: use 15m",
    );
    refuse(refresh.is_zero(), "the refresh lifetime (REFRESH_TOKEN_EXPIRY) is zero: use 7d");
    refuse(
        !refresh.is_zero() && refresh < access,
        "the refresh lifetime (REFRESH_TOKEN_EXPIRY) is shorter than the access lifetime (ACCESS_TOKEN_EXPIRY): \
         use 7d and 15m",
    );
    let max_age = settings.session_max_age;
    refuse(
        max_age < refresh,
        "the session's maximal age (SESSION_MAX_AGE) is shorter than the refresh lifetime (REFRESH_TOKEN_EXPIRY): \
         use 30d and 7d",
    );
    refuse(max_age > TEN_YEARS, "the session's maximal age (SESSION_MAX_AGE) is longer than ten years: use 30d");
    let grace = settings.refresh_grace;
    refuse(grace > MAX_GRACE, "the refresh grace (REFRESH_TOKEN_GRACE) is longer than a minute: use 10s");
    refuse(settings.leeway > MAX_LEEWAY, "the leeway is longer than 30 seconds: use none");
    let poll = settings.revocation_poll;
    refuse(poll.is_zero(), "the revocation poll (REVOCATION_POLL) is zero: use 5s");
    refuse(poll > Duration::from_secs(60), "the revocation poll (REVOCATION_POLL) is longer than a minute: use 5s");
    refuse(
        settings.max_poll_staleness.is_some_and(|limit| limit <= poll),
        "max_poll_staleness must be longer than the revocation poll (REVOCATION_POLL), or every request \
         would ask the store: use 30s",
    );
    Lifetimes {
        idle: refresh,
        absolute: max_age,
        grace,
        // Set once the rings are known.
        remembered: longest,
        tombstone: longest,
    }
}

fn hasher(settings: &Settings) -> Result<Hasher, &'static str> {
    // In tests as well: what the app sets there it sets in `main`.
    let hasher = Hasher::new(settings.hash_cost)?;
    #[cfg(feature = "testing")]
    let hasher = settings.test_hash_cost.map_or(hasher, Hasher::at_any_cost);
    Ok(hasher)
}

/// Half the cores, at least one.
fn half_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

fn web_settings(settings: &Settings, problems: &mut Vec<String>) -> Option<HttpSettings> {
    let (table, found) = endpoints(settings);
    problems.extend(found);
    let responder = settings.responder.clone();
    let in_envelope = responder.format == ResponseFormat::Envelope;
    if in_envelope && responder.success.is_some() {
        problems.push("success_body and the envelope both say what a success looks like: drop one of them".to_owned());
    }
    let cookies = cookies(settings, in_envelope).build().map_err(|found| problems.extend(found)).ok();
    problems.extend(unreached_by_cookie(&table, &settings.cookies.refresh_path));
    let deliveries = deliveries(&settings.deliveries, problems);
    let trusted = origins(&settings.trusted_origins, problems);
    Some(HttpSettings {
        table,
        responder,
        cookies: cookies?,
        deliveries: deliveries?,
        cross_site: CrossSite { trusted, strict: settings.strict_cross_site, insecure: settings.cookies.insecure },
        trusted_proxy_hops: settings.trusted_proxy_hops,
        login_on_register: settings.login_on_register.unwrap_or(!in_envelope),
    })
}

/// Where the refresh cookie would not be sent though it is needed (RFC 6265 §5.1.4): a refresh would find none, and a logout
/// would end nothing.
fn unreached_by_cookie(table: &Table, cookie_path: &str) -> Option<String> {
    if cookie_path == "/" {
        return None;
    }
    let full = |resource: &Resource| format!("{}{}", table.mount_path(), resource.path());
    let reaches = |path: &str| {
        let rest = path.strip_prefix(cookie_path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || cookie_path.ends_with('/'))
    };
    let needs_it = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Refresh | Endpoint::Logout);
    let needing = table.resources().iter().filter(|it| it.methods().iter().any(|(_, endpoint)| needs_it(endpoint)));
    let missed = needing.map(full).find(|path| !reaches(path))?;
    Some(format!(
        "the refresh cookie's path {cookie_path:?} does not reach {missed:?}: use the mount path, {:?}",
        table.mount_path()
    ))
}

fn endpoints(settings: &Settings) -> (Table, Vec<String>) {
    let mut changes = settings.endpoints.clone();
    if settings.responder.format == ResponseFormat::Envelope {
        changes.aliases.push((Endpoint::Refresh, "/refresh-token"));
    }
    Table::new(&settings.mount_path, &changes)
}

/// The cookies under their names.
fn cookies(settings: &Settings, in_envelope: bool) -> CookieSettings {
    let mut cookies = settings.cookies.clone();
    let camel = || in_envelope.then(|| ("accessToken".to_owned(), "refreshToken".to_owned()));
    if let Some((access, refresh)) = settings.cookie_names.clone().or_else(camel) {
        (cookies.access_name, cookies.refresh_name) = (access, refresh);
    }
    cookies
}

fn deliveries(allowed: &[Delivery], problems: &mut Vec<String>) -> Option<Deliveries> {
    let deliveries = Deliveries::new(allowed);
    if deliveries.is_none() {
        problems.push("no token delivery is allowed (TOKEN_DELIVERY): use cookie".to_owned());
    }
    if allowed.contains(&Delivery::Both) {
        tracing::warn!(
            target: "portcullis",
            "token delivery `both` shows the tokens of the cookies to every script of the page: use it only for front \
             ends that expect it"
        );
    }
    deliveries
}

fn origins(origins: &[String], problems: &mut Vec<String>) -> Vec<TrustedOrigin> {
    let mut read = |text: &String| {
        let origin = TrustedOrigin::from_setting(text);
        origin.map_err(|why| problems.push(format!("the trusted origin {text:?} (TRUSTED_ORIGINS) {why}"))).ok()
    };
    origins.iter().filter_map(&mut read).collect()
}
