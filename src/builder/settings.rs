//! The settings as they were given, and their defaults.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    http::{Delivery, cookies::CookieSettings, endpoint::Changes, format::Responder},
    password::{HashCost, PasswordPolicy},
    secret::Secret,
    store::SessionLimit,
    token::keys::{Key, KeyRing},
};

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) access_keys: Option<KeyRing>,
    pub(super) refresh_keys: Option<KeyRing>,
    pub(super) access_secret: Option<Secret<Vec<u8>>>,
    pub(super) refresh_secret: Option<Secret<Vec<u8>>>,
    pub(super) retired_access_secrets: Vec<Secret<Vec<u8>>>,
    pub(super) retired_refresh_secrets: Vec<Secret<Vec<u8>>>,
    pub(super) access_lifetime: Duration,
    /// `None`: tokens of an earlier setting may live for up to a day.
    pub(super) max_access_lifetime: Option<Duration>,
    pub(super) refresh_lifetime: Duration,
    pub(super) session_max_age: Duration,
    pub(super) refresh_grace: Duration,
    pub(super) leeway: Duration,
    pub(super) not_before: Option<Timestamp>,
    pub(super) revocation_poll: Duration,
    pub(super) max_poll_staleness: Option<Duration>,
    pub(super) revocation_capacity: usize,
    pub(super) token_cache: Option<usize>,
    pub(super) session_limit: SessionLimit,
    pub(super) password_policy: PasswordPolicy,
    pub(super) pepper: Option<Secret<Vec<u8>>>,
    pub(super) retired_peppers: Vec<Secret<Vec<u8>>>,
    pub(super) hash_cost: HashCost,
    /// One below every standard, which nothing but tests sets.
    #[cfg(feature = "testing")]
    pub(super) test_hash_cost: Option<HashCost>,
    pub(super) hash_threads: Option<usize>,
    pub(super) hash_queue: Option<usize>,
    pub(super) hash_deadline: Duration,
    pub(super) throttle: bool,
    pub(super) mount_path: String,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) login_on_register: Option<bool>,
    pub(super) endpoints: Changes,
    pub(super) responder: Responder,
    pub(super) cookie_names: Option<(String, String)>,
    pub(super) cookies: CookieSettings,
    pub(super) trusted_origins: Vec<String>,
    pub(super) strict_cross_site: bool,
    pub(super) trusted_proxy_hops: usize,
    pub(super) next_access_key: Option<Key>,
    pub(super) retired_access_keys: Vec<Key>,
    /// A key file was named and could not be used: no secret is missing then.
    pub(super) unusable_key_file: bool,
    /// What reading the environment found wrong.
    pub(super) problems: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            issuer: None,
            audience: None,
            access_keys: None,
            refresh_keys: None,
            access_secret: None,
            refresh_secret: None,
            retired_access_secrets: Vec::new(),
            retired_refresh_secrets: Vec::new(),
            access_lifetime: Duration::from_secs(15 * 60),
            max_access_lifetime: None,
            refresh_lifetime: DAY * 7,
            session_max_age: DAY * 30,
            refresh_grace: Duration::from_secs(10),
            leeway: Duration::ZERO,
            not_before: None,
            revocation_poll: Duration::from_secs(5),
            max_poll_staleness: None,
            revocation_capacity: 1_048_576,
            token_cache: None,
            session_limit: SessionLimit::EndLeastRecentlyUsed(100),
            password_policy: PasswordPolicy::default(),
            pepper: None,
            retired_peppers: Vec::new(),
            hash_cost: HashCost::OWASP,
            #[cfg(feature = "testing")]
            test_hash_cost: None,
            hash_threads: None,
            hash_queue: None,
            hash_deadline: Duration::from_secs(15),
            throttle: true,
            mount_path: "/auth".to_owned(),
            deliveries: vec![Delivery::Cookie],
            login_on_register: None,
            endpoints: Changes::default(),
            responder: Responder::default(),
            cookie_names: None,
            cookies: CookieSettings::default(),
            trusted_origins: Vec::new(),
            strict_cross_site: false,
            trusted_proxy_hops: 0,
            next_access_key: None,
            retired_access_keys: Vec::new(),
            unusable_key_file: false,
            problems: Vec::new(),
        }
    }
}
