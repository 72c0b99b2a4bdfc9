//! A browser that still has the cookies of earlier settings, or a cookie that another host of the
//! site has planted.

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use portcullis::{Auth, AuthBuilder, User};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

use crate::{
    fixture::{PASSWORD, World, register, start_session},
    jar::Jar,
};

const HOST: &str = "api.app.example.com";

/// One browser, whose pages are on the host of the service.
#[derive(Clone, Default)]
struct Browser {
    jar: Jar,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Browser {
    async fn send(&mut self, auth: &Auth<User>, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, HOST);
        request = request.header("sec-fetch-site", "same-origin").header(header::CONTENT_TYPE, "application/json");
        if let Some(cookies) = self.jar.header(HOST, path) {
            request = request.header(header::COOKIE, cookies);
        }
        let request = request.body(Body::from(body.map(|body| body.to_string()).unwrap_or_default())).unwrap();
        let response = if path.starts_with("/auth") {
            auth.routes().oneshot(request).await.unwrap().map(Body::new)
        } else {
            let inner =
                tower::service_fn(async |_| Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty())));
            auth.require().layer(inner).oneshot(request).await.unwrap().map(Body::new)
        };
        let (parts, body) = response.into_parts();
        self.jar.keep(HOST, path, &parts.headers);
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn log_in(&mut self, auth: &Auth<User>, name: &str) -> Answer {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        self.send(auth, "POST", "/auth/login", Some(body)).await
    }

    async fn post(&mut self, auth: &Auth<User>, path: &str) -> Answer {
        self.send(auth, "POST", path, None).await
    }

    /// Returns the user that a request of the page is admitted as.
    async fn me(&mut self, auth: &Auth<User>) -> Result<String, String> {
        let answer = self.send(auth, "GET", "/auth/me", None).await;
        match answer.body["user"]["email"].as_str() {
            Some(email) => Ok(email.to_owned()),
            None => Err(answer.code().to_owned()),
        }
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.jar.kept().iter().map(|kept| kept.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

type Settings = fn(AuthBuilder<User>) -> AuthBuilder<User>;

/// Settings before and after a release.
const CHANGES: &[(&str, Settings, Settings)] = &[
    ("to a subdomain", |b| b.cookie_domain("example.com"), |b| b.cookie_domain("app.example.com")),
    ("to the parent", |b| b.cookie_domain("app.example.com"), |b| b.cookie_domain("example.com")),
    ("to the host's own name", |b| b.cookie_domain("example.com"), |b| b.cookie_domain(HOST)),
    ("removed", |b| b.cookie_domain("example.com"), |b| b),
    ("added", |b| b, |b| b.cookie_domain("example.com")),
    (
        "removed beside a path",
        |b| b.cookie_domain("example.com").refresh_cookie_path("/auth"),
        |b| b.refresh_cookie_path("/auth"),
    ),
    (
        "added beside a path",
        |b| b.refresh_cookie_path("/auth"),
        |b| b.refresh_cookie_path("/auth").cookie_domain("app.example.com"),
    ),
    ("removed over http", |b| b.insecure_cookies().cookie_domain("example.com"), |b| b.insecure_cookies()),
    ("added over http", |b| b.insecure_cookies(), |b| b.insecure_cookies().cookie_domain("example.com")),
    ("a path", |b| b, |b| b.refresh_cookie_path("/auth")),
    ("no path", |b| b.refresh_cookie_path("/auth"), |b| b),
    (
        "a path beside a domain",
        |b| b.cookie_domain("example.com"),
        |b| b.cookie_domain("example.com").refresh_cookie_path("/auth"),
    ),
    (
        "no path beside a domain",
        |b| b.cookie_domain("example.com").refresh_cookie_path("/auth"),
        |b| b.cookie_domain("example.com"),
    ),
    ("a path over http", |b| b.insecure_cookies(), |b| b.insecure_cookies().refresh_cookie_path("/auth")),
    ("both", |b| b.cookie_domain("example.com").refresh_cookie_path("/auth"), |b| b.cookie_domain("app.example.com")),
];

#[tokio::test]
async fn after_a_change_of_settings_a_login_works() {
    for (name, before, after) in CHANGES {
        let world = World::new();
        let (old, new) = (world.node_with(before), world.node_with(after));
        register(&old, "ada").await;
        let mut browser = Browser::default();
        assert_eq!(browser.log_in(&old, "ada").await.status, StatusCode::OK);
        // The page may refresh meanwhile. A login ends the trouble.
        let _ = browser.post(&new, "/auth/refresh").await;
        let _ = browser.post(&new, "/auth/refresh").await;
        assert_eq!(browser.log_in(&new, "ada").await.status, StatusCode::OK, "{name}");
        assert_eq!(browser.me(&new).await, Ok("ada@example.com".to_owned()), "{name}: {:?}", browser.jar);
        assert_eq!(browser.post(&new, "/auth/refresh").await.status, StatusCode::OK, "{name}: {:?}", browser.jar);
        assert_eq!(browser.me(&new).await, Ok("ada@example.com".to_owned()), "{name}: {:?}", browser.jar);
    }
}

#[tokio::test]
async fn after_a_change_of_settings_a_logout_leaves_no_cookie() {
    for (name, before, after) in CHANGES {
        let world = World::new();
        let (old, new) = (world.node_with(before), world.node_with(after));
        register(&old, "ada").await;
        let mut browser = Browser::default();
        browser.log_in(&old, "ada").await;
        browser.log_in(&new, "ada").await;
        assert_eq!(browser.post(&new, "/auth/logout").await.status, StatusCode::NO_CONTENT, "{name}");
        assert_eq!(browser.post(&new, "/auth/refresh").await.code(), "refresh_missing", "{name}: {:?}", browser.jar);
        // The cookies that the earlier settings read must be gone. Otherwise a rollback would log
        // the user in again. A cookie of a parent domain, under a name that is no longer read, may
        // belong to another service. It is deleted only where it is named.
        if *name == "removed" {
            continue;
        }
        let back = browser.post(&old, "/auth/refresh").await;
        assert_ne!(back.status, StatusCode::OK, "{name}: {:?}", browser.jar);
    }
}

#[tokio::test]
async fn named_earlier_settings_keep_users_logged_in() {
    let changes: &[(Settings, Settings)] = &[
        (
            |b| b.cookie_domain("example.com"),
            |b| b.cookie_domain("app.example.com").earlier_cookie_domain("example.com"),
        ),
        (
            |b| b.cookie_domain("example.com").refresh_cookie_path("/auth"),
            |b| b.refresh_cookie_path("/auth").earlier_cookie_domain("example.com"),
        ),
        (
            |b| b.cookie_domain("app.example.com"),
            |b| b.cookie_domain("example.com").earlier_cookie_domain("a.test").earlier_cookie_domain("app.example.com"),
        ),
        (
            |b| b.insecure_cookies().cookie_domain("example.com"),
            |b| b.insecure_cookies().earlier_cookie_domain("example.com"),
        ),
        (
            |b| b.insecure_cookies(),
            |b| b.insecure_cookies().cookie_domain("example.com").earlier_cookies_without_domain(),
        ),
        (
            |b| b.cookie_domain("example.com"),
            |b| b.cookie_domain("example.com").refresh_cookie_path("/auth").earlier_refresh_cookie_path("/"),
        ),
        (
            |b| b.cookie_domain("example.com").refresh_cookie_path("/auth"),
            |b| {
                let b = b.cookie_domain("app.example.com").earlier_cookie_domain("example.com");
                b.earlier_refresh_cookie_path("/auth")
            },
        ),
    ];
    for (number, (before, after)) in changes.iter().enumerate() {
        let world = World::new();
        let (old, new) = (world.node_with(before), world.node_with(after));
        register(&old, "ada").await;
        let mut browser = Browser::default();
        browser.log_in(&old, "ada").await;
        for _ in 0..3 {
            assert_eq!(browser.post(&new, "/auth/refresh").await.status, StatusCode::OK, "{number}: {:?}", browser.jar);
            assert_eq!(browser.me(&new).await, Ok("ada@example.com".to_owned()), "{number}: {:?}", browser.jar);
        }
        assert_eq!(browser.jar.kept().len(), 2, "{number}: {:?}", browser.jar);
        browser.post(&new, "/auth/logout").await;
        assert!(browser.jar.kept().is_empty(), "{number}: {:?}", browser.jar);
    }
}

/// Cookies that a page of a sibling subdomain can set.
fn plant(browser: &mut Browser, name: &str, value: &str, path: &str) {
    browser.jar.set("evil.example.com", "/", &format!("{name}={value}; Domain=example.com; Path={path}; Secure"));
}

#[tokio::test]
async fn a_planted_refresh_cookie_never_switches_the_session() {
    for path in ["/", "/auth", "/auth/refresh"] {
        let world = World::new();
        let auth = world.node_with(|builder| builder.refresh_cookie_path("/auth"));
        register(&auth, "ada").await;
        let mallory = register(&auth, "mallory").await;
        let planted = start_session(&auth, &mallory).await;
        let mut browser = Browser::default();
        browser.log_in(&auth, "ada").await;
        let before = browser.clone();
        plant(&mut browser, "__Secure-refresh_token", &planted.refresh, path);

        let answer = browser.post(&auth, "/auth/refresh").await;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "invalid_request"), "{path}");
        assert!(!answer.headers.contains_key(header::SET_COOKIE), "{path}: {:?}", answer.headers);
        assert_eq!(browser.post(&auth, "/auth/refresh").await.code(), "invalid_request", "{path}");
        assert_eq!(browser.me(&auth).await, Ok("ada@example.com".to_owned()), "{path}");

        // The session from before goes on.
        let mut untouched = before;
        assert_eq!(untouched.post(&auth, "/auth/refresh").await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_login_and_a_logout_delete_a_planted_cookie() {
    for path in ["/", "/auth"] {
        for way in ["login", "logout", "password"] {
            let world = World::new();
            let auth = world.node_with(|builder| builder.refresh_cookie_path("/auth"));
            register(&auth, "ada").await;
            let mallory = register(&auth, "mallory").await;
            let planted = start_session(&auth, &mallory).await;
            let mut browser = Browser::default();
            browser.log_in(&auth, "ada").await;
            plant(&mut browser, "__Secure-refresh_token", &planted.refresh, path);
            match way {
                "login" => {
                    assert_eq!(browser.log_in(&auth, "ada").await.status, StatusCode::OK);
                }
                "logout" => {
                    assert_eq!(browser.post(&auth, "/auth/logout").await.status, StatusCode::NO_CONTENT);
                    assert_eq!(browser.names(), Vec::<&str>::new(), "{path}");
                    assert_eq!(browser.post(&auth, "/auth/refresh").await.code(), "refresh_missing");
                    continue;
                }
                _ => {
                    let body = json!({"current_password": PASSWORD, "new_password": "another lantern 8"});
                    let answer = browser.send(&auth, "PUT", "/auth/password", Some(body)).await;
                    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
                }
            }
            assert_eq!(browser.names(), ["__Host-access_token", "__Secure-refresh_token"], "{way}, {path}");
            let refreshed = browser.post(&auth, "/auth/refresh").await;
            assert_eq!(refreshed.body["user"]["email"], "ada@example.com", "{way}, {path}");
        }
    }
}

#[tokio::test]
async fn a_refresh_deletes_an_access_cookie_that_is_sent_twice() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.cookie_domain("app.example.com"));
    register(&auth, "ada").await;
    let mut browser = Browser::default();
    browser.log_in(&auth, "ada").await;
    plant(&mut browser, "__Secure-access_token", "planted", "/");
    assert_eq!(browser.me(&auth).await, Err("token_invalid".to_owned()));
    assert_eq!(browser.post(&auth, "/auth/refresh").await.status, StatusCode::OK);
    assert_eq!(browser.me(&auth).await, Ok("ada@example.com".to_owned()), "{:?}", browser.jar);
}

#[tokio::test]
async fn usual_answers_set_and_clear_two_cookies_and_no_more() {
    for settings in CHANGES.iter().flat_map(|(_, before, after)| [before, after]) {
        let world = World::new();
        let auth = world.node_with(settings);
        register(&auth, "ada").await;
        let mut browser = Browser::default();
        let lines = |answer: &Answer| answer.headers.get_all(header::SET_COOKIE).iter().count();
        assert_eq!(lines(&browser.log_in(&auth, "ada").await), 2);
        assert_eq!(lines(&browser.post(&auth, "/auth/refresh").await), 2);
        assert_eq!(lines(&browser.post(&auth, "/auth/logout").await), 2);
    }
}

#[tokio::test]
async fn only_a_valid_host_name_gets_into_a_cookie() {
    let world = World::new();
    let auth = world.node_with(|builder| builder.cookie_domain("example.com"));
    register(&auth, "ada").await;
    let long = format!("{}example.com", "a.".repeat(120));
    for host in
        ["127.0.0.1:3000", "[::1]:3000", "a;b.example.com", "a b.example.com", "", "localhost", ".", long.as_str()]
    {
        let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
        let request = Request::post("/auth/login")
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, "__Secure-refresh_token=a; __Secure-refresh_token=b")
            .header(header::COOKIE, "__Secure-access_token=a; __Secure-access_token=b")
            .body(Body::from(body))
            .unwrap();
        let answer = auth.routes().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{host}");
        let lines: Vec<_> = answer.headers().get_all(header::SET_COOKIE).iter().collect();
        let bytes: usize = lines.iter().map(|line| line.len()).sum();
        assert!(bytes < 4096, "{host}: {bytes} bytes");
        for line in lines {
            let line = line.to_str().unwrap();
            let domain = line.split("; ").find_map(|part| part.strip_prefix("Domain="));
            assert!(domain.is_none_or(|domain| domain.ends_with("example.com") && !domain.contains(';')), "{line}");
        }
    }
}
