use std::time::Duration;

use super::*;
use crate::{store::memory::MemoryStore, user::User};

const ACCESS: &str = "Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe";
const REFRESH: &str = "Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs";

fn good() -> Builder<User> {
    let store = MemoryStore::new();
    Auth::builder(store.clone(), store).issuer("https://example.com").access_secret(ACCESS).refresh_secret(REFRESH)
}

fn problems(builder: Builder<User>) -> Vec<String> {
    builder.build().err().map(|error| error.problems().map(str::to_owned).collect()).unwrap_or_default()
}

#[test]
fn three_settings_are_enough() {
    assert_eq!(problems(good()), Vec::<String>::new());
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let store = MemoryStore::new();
    let said = problems(Auth::builder(store.clone(), store));
    for word in ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET", "TOKEN_ISSUER"] {
        assert!(said.iter().any(|problem| problem.contains(word)), "{word}: {said:?}");
    }
}

#[test]
fn each_setting_that_cannot_be_is_refused_with_its_mend() {
    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);
    let cases: Vec<(Builder<User>, &str)> = vec![
        (good().access_secret("short"), "openssl rand"),
        (good().refresh_secret("your-super-secret-refresh-key-min-32-chars"), "tutorial"),
        (good().retired_access_secret("short"), "ACCESS_TOKEN_RETIRED_SECRETS"),
        (good().refresh_secret(ACCESS), "used twice"),
        (good().retired_refresh_secret(ACCESS), "used twice"),
        (good().retired_access_secret(ACCESS), "used twice"),
        (good().issuer("  "), "TOKEN_ISSUER"),
        (good().access_lifetime(Duration::ZERO), "use 15m"),
        (good().access_lifetime(DAY + SECOND), "use 15m"),
        (good().max_access_lifetime(DAY + SECOND), "use a day"),
        (good().max_access_lifetime(SECOND), "use 15m"),
        (good().refresh_lifetime(Duration::ZERO), "use 7d"),
        (good().refresh_lifetime(SECOND), "shorter than the access lifetime"),
        (good().session_max_age(DAY), "SESSION_MAX_AGE"),
        (good().session_max_age(Duration::MAX), "ten years"),
        (good().refresh_grace(Duration::from_secs(61)), "use 10s"),
        (good().leeway(Duration::from_secs(31)), "leeway"),
        (good().revocation_poll(Duration::ZERO), "use 5s"),
        (good().revocation_poll(Duration::from_secs(61)), "use 5s"),
        (good().ask_store_when_polls_fail_for(Duration::from_secs(5)), "longer than the revocation poll"),
        (good().session_limit(SessionLimit::Refuse(0)), "at least 1"),
        (good().password_policy(PasswordPolicy::with_min_chars(7)), "8 to 64"),
        (good().hash_cost(HashCost { iterations: 1, ..HashCost::OWASP }), "OWASP"),
        (good().hash_threads(0), "HASH_THREADS"),
        (good().hash_queue(0), "hash_queue"),
        (good().pepper("salt and pepper"), "PASSWORD_PEPPER"),
        (good().retired_pepper("salt and pepper"), "PASSWORD_RETIRED_PEPPERS"),
        (good().pepper(ACCESS), "used twice"),
        (good().hash_deadline(Duration::ZERO), "hash_deadline"),
        (good().mount_path("auth"), "mount path"),
        (good().mount_path("/a/{b}"), "mount path"),
        (good().token_delivery([]), "TOKEN_DELIVERY"),
        (good().trusted_origin("https://app.example.com/path"), "TRUSTED_ORIGINS"),
        (good().trusted_origin("*"), "TRUSTED_ORIGINS"),
        (good().cookie_names("__Host-a", "b").cookie_domain("example.com"), "__Host-"),
        (good().cookie_names("same", "same"), "different names"),
        (good().insecure_cookies().same_site(SameSite::None), "SameSite::None"),
    ];
    for (builder, mend) in cases {
        let said = problems(builder);
        assert_eq!(said.len(), 1, "{mend}: {said:?}");
        assert!(said[0].contains(mend), "{mend}: {said:?}");
    }
}

#[test]
fn no_secret_is_repeated_in_a_problem_or_in_debug() {
    let canary = "canary-secret-with-fewer-bytes";
    let builder = good().access_secret(canary).retired_refresh_secret(canary);
    assert!(!format!("{builder:?}").contains("canary"));
    let error = builder.build().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(!format!("{:?}", good().build().unwrap()).contains(ACCESS));
}

#[test]
fn a_grace_of_zero_and_lifetimes_below_a_second_are_allowed() {
    let short = Duration::from_millis(500);
    let builder = good().refresh_grace(Duration::ZERO).access_lifetime(short).refresh_lifetime(short);
    assert_eq!(problems(builder), Vec::<String>::new());
}
