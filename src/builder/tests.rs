//! The settings together: which are missing, which are refused, and what their variables are.

use std::{cell::RefCell, time::Duration};

use super::*;
use crate::{
    auth::Auth,
    clock::Timestamp,
    http::{Endpoint, ResponseFormat, SameSite},
    password::{HashCost, PasswordPolicy},
    store::{SessionLimit, memory::MemoryStore},
    token::keys::{Algorithm, Key, KeyRing},
    user::User,
};

const ACCESS: &str = "Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe";
const REFRESH: &str = "Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs";

fn good() -> AuthBuilder<User> {
    let store = MemoryStore::new();
    Auth::builder(store.clone(), store).issuer("https://example.com").access_secret(ACCESS).refresh_secret(REFRESH)
}

fn problems(builder: AuthBuilder<User>) -> Vec<String> {
    builder.build().err().map(|error| error.problems().map(str::to_owned).collect()).unwrap_or_default()
}

#[test]
fn three_settings_are_enough() {
    assert_eq!(problems(good()), Vec::<String>::new());
}

#[test]
fn everything_that_is_missing_is_reported_at_once() {
    let store = MemoryStore::new();
    let said = problems(Auth::builder(store.clone(), store));
    for word in ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET", "TOKEN_ISSUER"] {
        assert!(said.iter().any(|problem| problem.contains(word)), "{word}: {said:?}");
    }
}

#[test]
fn each_setting_that_is_not_usable_is_refused_with_its_fix() {
    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(86_400);
    let cases: Vec<(AuthBuilder<User>, &str)> = vec![
        (good().access_secret("short"), "openssl rand"),
        (good().refresh_secret("your-super-secret-refresh-key-min-32-chars"), "tutorial"),
        (good().retired_access_secret("short"), "ACCESS_TOKEN_RETIRED_SECRETS"),
        (good().refresh_secret(ACCESS), "used twice"),
        (good().refresh_secret(format!("{ACCESS}\n")), "used twice"),
        (good().refresh_keys(KeyRing::new(Key::from_secret(format!(" {ACCESS}")).unwrap())), "both keys"),
        (good().pepper(format!("{ACCESS}\r\n")), "used twice"),
        (good().access_secret("          thirty-bytes-in-the-middle"), "openssl rand"),
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
        (good().refresh_cookie_path("/auth/refresh"), "does not reach \"/auth/logout\""),
        (good().refresh_cookie_path("/aut"), "does not reach \"/auth/refresh\""),
        (good().refresh_cookie_path("/auth").mount_path("/api"), "use the mount path, \"/api\""),
        (good().leeway(Duration::from_secs(31)), "leeway"),
        (good().revocation_poll(Duration::ZERO), "use 5s"),
        (good().revocation_poll(Duration::from_secs(61)), "use 5s"),
        (good().max_poll_staleness(Duration::from_secs(5)), "longer than the revocation poll"),
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
        (good().endpoint_path(Endpoint::Login, "login"), "plain path"),
        (good().endpoint_path(Endpoint::EndSession, "/sessions"), "plain path"),
        (good().endpoint_path(Endpoint::Logout, "/login"), "both have the path"),
        (good().endpoint_path(Endpoint::Login, "/a").endpoint_path(Endpoint::Login, "/a"), "twice"),
        (good().endpoint_path(Endpoint::Login, "/a").without_endpoint(Endpoint::Login), "switched off"),
        (good().response_format(ResponseFormat::Envelope).success_body(|success| success), "drop one"),
        (good().token_delivery([]), "TOKEN_DELIVERY"),
        (good().trusted_origin("https://app.example.com/path"), "TRUSTED_ORIGINS"),
        (good().trusted_origin("*"), "TRUSTED_ORIGINS"),
        (good().trusted_origin(""), "is empty"),
        (good().trusted_origin("null"), "every sandboxed page"),
        (good().trusted_origin("https://*.example.com"), "no wildcards"),
        (good().trusted_origin("https://app.example.com/"), "without the '/'"),
        (good().trusted_origin("capacitor://localhost/"), "without the '/'"),
        (good().trusted_origin("https://app.example.com?x"), "and nothing after them"),
        (good().trusted_origin("https://app.example.com#x"), "and nothing after them"),
        (good().trusted_origin("https://ada@app.example.com"), "no user"),
        (good().trusted_origin("https://app.example.com:port"), "port"),
        (good().trusted_origin("https://app.example.com:"), "port"),
        (good().trusted_origin("https://app.example.com:+443"), "port"),
        (good().trusted_origin("https://bücher.example"), "xn--"),
        (good().trusted_origin("https://a b.example"), "no host"),
        (good().trusted_origin("https://"), "no host"),
        (good().trusted_origin("app.example.com"), "scheme"),
        (good().trusted_origin("localhost:3000"), "scheme"),
        (good().trusted_origin("file:///"), "no host"),
        (good().trusted_origin("1app://localhost"), "scheme"),
        (good().trusted_origin("https://a.example, https://b.example"), "one call for each"),
        (good().cookie_domain("example.com").earlier_cookie_domain("a;b"), "host name"),
        (good().cookie_domain("example.com").earlier_cookie_domain("Example.com"), "drop"),
        (good().earlier_cookies_without_domain(), "drop"),
        (good().refresh_cookie_path("/auth").earlier_refresh_cookie_path("/auth"), "drop"),
        (good().earlier_refresh_cookie_path("auth"), "must begin with '/'"),
        (good().cookie_names("__Host-a", "b").cookie_domain("example.com"), "__Host-"),
        (good().cookie_names("same", "same"), "different names"),
        (good().insecure_cookies().same_site(SameSite::None), "SameSite::None"),
    ];
    for (builder, fix) in cases {
        let said = problems(builder);
        assert_eq!(said.len(), 1, "{fix}: {said:?}");
        assert!(said[0].contains(fix), "{fix}: {said:?}");
    }
}

#[test]
fn origins_are_taken_as_browsers_send_them() {
    for (setting, sent) in [
        ("https://app.example.com", "https://app.example.com"),
        ("https://APP.Example.com:443", "https://app.example.com"),
        ("HTTPS://app.example.com", "https://app.example.com"),
        (" https://app.example.com ", "https://app.example.com"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("ionic://localhost", "ionic://localhost"),
        ("tauri://localhost", "tauri://localhost"),
        ("app://localhost", "app://localhost"),
        ("app://localhost:8080", "app://localhost:8080"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"),
        (
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        ),
    ] {
        let auth = good().trusted_origin(setting).build().unwrap();
        let admits = |origin: &str| {
            let mut headers = ::http::HeaderMap::new();
            headers.insert("origin", origin.parse().unwrap());
            headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
            auth.0.http.cross_site.admits(&headers, &::http::Uri::from_static("/auth/login"))
        };
        assert!(admits(sent), "{setting}");
        for other in ["null", "https://evil.example", "capacitor://evil", "evil://localhost", "capacitor://", "://", ""]
        {
            assert!(!admits(other), "{setting}: {other}");
        }
        for other in [format!("{sent}/"), format!("{sent}.evil"), format!("{sent}:1"), format!("x{sent}")] {
            assert!(!admits(&other), "{setting}: {other}");
        }
    }
}

const ED25519: &str = include_str!("../../tests/keys/ed25519.pem");
const PUBLIC: &str = include_str!("../../tests/keys/ed25519.pub.pem");

fn key(pem: &str) -> Key {
    Key::from_pem(pem).unwrap()
}

fn with_keys(ring: KeyRing) -> AuthBuilder<User> {
    let store = MemoryStore::new();
    Auth::builder(store.clone(), store).issuer("https://example.com").access_keys(ring).refresh_secret(REFRESH)
}

#[test]
fn rings_that_are_not_usable_are_refused_with_their_fix() {
    let ring = || KeyRing::new(key(ED25519));
    let secret = |secret: &str| Key::from_secret(secret).unwrap();
    let rsa = || key(include_str!("../../tests/keys/rsa2048.pem"));
    let pss = rsa().with_algorithm(Algorithm::PS256).unwrap();
    let hour = Duration::from_secs(3600);
    let cases: Vec<(AuthBuilder<User>, &str)> = vec![
        (with_keys(ring()).access_secret(ACCESS), "use one"),
        (with_keys(KeyRing::new(key(PUBLIC))), "use the private key"),
        (with_keys(ring().with_next(key(PUBLIC))), "used twice"),
        (with_keys(ring().with_retired_indefinitely(key(ED25519))), "used twice"),
        (with_keys(KeyRing::new(rsa()).with_next(pss)), "used twice"),
        (with_keys(KeyRing::new(secret(REFRESH))), "used twice"),
        (with_keys(ring()).retired_access_secret(REFRESH), "used twice"),
        (with_keys(ring()).retired_access_secret("short"), "openssl rand"),
        (with_keys(ring().with_max_token_lifetime(Duration::from_secs(60))), "longest lifetime"),
        (good().refresh_keys(KeyRing::new(key(ED25519))), "use one"),
    ];
    for (builder, fix) in cases {
        let said = problems(builder);
        assert_eq!(said.len(), 1, "{fix}: {said:?}");
        assert!(said[0].contains(fix), "{fix}: {said:?}");
    }
    for ring in [
        ring(),
        ring().with_max_token_lifetime(hour),
        ring().with_retired(rsa(), Timestamp::EPOCH).with_next(secret(ACCESS)),
    ] {
        assert_eq!(problems(with_keys(ring)), Vec::<String>::new());
    }
    assert_eq!(problems(with_keys(ring()).retired_access_secret(ACCESS)), Vec::<String>::new());
    let short = Duration::from_millis(500);
    let short = with_keys(ring().with_max_token_lifetime(short)).access_lifetime(short).build().unwrap();
    assert_eq!(short.0.verifier.profile.max_access_lifetime, Duration::from_secs(1), "as its tokens have it");
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

/// The settings of these variables, below the prefix `APP_`.
fn environment(pairs: &[(&str, &str)]) -> AuthBuilder<User> {
    let variables = |name: &str| {
        let value = pairs.iter().find(|pair| name.strip_prefix("APP_") == Some(pair.0)).map(|pair| pair.1.to_owned());
        value.map(Ok)
    };
    let mut builder = good();
    builder.read("APP_", &variables);
    builder
}

#[test]
fn nonsense_names_its_variable_and_the_fix() {
    let nonsense = [
        ("ACCESS_TOKEN_EXPIRY", "soon"),
        ("TOKEN_DELIVERY", "pigeon"),
        ("INSECURE_COOKIES", "maybe"),
        ("TRUSTED_PROXY_HOPS", "-1"),
        ("THROTTLE", "gently"),
        ("RESPONSE_FORMAT", "xml"),
    ];
    let mut found = problems(environment(&nonsense));
    found.retain(|problem| problem.starts_with("APP_"));
    for (name, value) in nonsense {
        let prefix = format!("APP_{name} is {value:?}: use");
        assert!(found.iter().any(|problem| problem.starts_with(&prefix)), "{name}: {found:?}");
    }
    assert_eq!(found.len(), nonsense.len());
}

#[test]
fn other_white_space_around_a_secret_is_refused() {
    const NAMES: [&str; 5] =
        ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET", "PASSWORD_PEPPER", "TOKEN_ISSUER", "TOKEN_AUDIENCE"];
    let said = |name: &str, value: &str| {
        let mut found = problems(environment(&[(name, value)]));
        found.retain(|problem| problem.starts_with("APP_"));
        found
    };
    for name in NAMES {
        for value in
            [" canary", "canary ", "canary\t", "canary\n\n", "canary \n", "\ncanary", "canary\u{a0}", "\u{feff}canary"]
        {
            let found = said(name, value);
            assert_eq!(found.len(), 1, "{name} {value:?}: {found:?}");
            assert!(found[0].starts_with(&format!("APP_{name} ")) && found[0].contains("remove"), "{found:?}");
            assert!(!found[0].contains("canary"), "{found:?}");
        }
        for blank in [" ", "\n", "\r\n", "\u{feff}"] {
            assert_eq!(said(name, blank), Vec::<String>::new(), "{name} {blank:?}");
        }
    }
}

#[test]
fn every_variable_that_is_read_is_documented() {
    let table = [
        tokens::variables!(),
        keys::variables!(),
        sessions::variables!(),
        revocation::variables!(),
        endpoints::variables!(),
        cookies::variables!(),
        cross_site::variables!(),
        throttle::variables!(),
        passwords::variables!(),
    ];
    let names = table.iter().flat_map(|rows| rows.lines()).flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    let mut documented: Vec<String> = names.map(|name| name.trim().trim_matches('`').to_owned()).collect();
    let read = RefCell::new(Vec::new());
    good().read("", &|name| {
        read.borrow_mut().push(name.to_owned());
        None
    });
    let mut read = read.into_inner();
    read.sort();
    documented.sort();
    assert_eq!(read, documented);
}
