//! Paths, methods, sizes and media types: answers that need no body to be read.

use serde_json::json;

use crate::client::Response;
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

const LIMIT: usize = 16 * 1024;

/// A registration of exactly this many bytes: an unknown member fills it.
fn registration(length: usize) -> String {
    let email = format!("lovelace{length}@example.com");
    let body = json!({"email": email, "password": PASSWORD, "zzz": ""}).to_string();
    let open = body.strip_suffix("\"}").expect("the filler comes last");
    format!("{open}{}\"}}", "x".repeat(length - body.len()))
}

#[track_caller]
fn allows(answer: &Response, methods: &[&str]) {
    let allow = answer.header("allow").unwrap_or_else(|| panic!("no Allow: {answer}"));
    let mut allowed: Vec<_> = allow.split(',').map(str::trim).collect();
    // Whether OPTIONS names itself is a matter of taste.
    allowed.retain(|method| *method != "OPTIONS");
    allowed.sort_unstable();
    assert_eq!(allowed, methods, "{answer}");
}

#[test]
fn an_unknown_path_is_not_found() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let mut browser = server.register("lovelace");
        for path in [
            "/auth/nope",
            "/auth/login/",
            "/auth/me/",
            "/auth/sessions/",
            "/auth/login/again",
            "/auth/LOGIN",
            "/auth/.well-known/nope",
            "/auth/sessions/a/b",
        ] {
            for method in ["GET", "POST", "DELETE"] {
                server.request(method, path).send().problem(404, "not_found");
            }
            browser.get(path).send().problem(404, "not_found");
        }
    }
}

#[test]
fn another_method_is_not_allowed_and_the_answer_says_which_are() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        for (path, methods) in [
            ("/auth/register", &["POST"][..]),
            ("/auth/login", &["POST"]),
            ("/auth/refresh", &["POST"]),
            ("/auth/logout", &["POST"]),
            ("/auth/logout-all", &["POST"]),
            ("/auth/me", &["GET", "HEAD"]),
            ("/auth/sessions", &["GET", "HEAD"]),
            ("/auth/sessions/1", &["DELETE"]),
            ("/auth/password", &["PUT"]),
        ] {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                if methods.contains(&method) {
                    continue;
                }
                let answer = server.request(method, path).send();
                allows(&answer.problem(405, "method_not_allowed"), methods);
            }
            allows(&server.request("OPTIONS", path).send(), methods);
        }
        server.request("HEAD", "/auth/login").send().expect(405);
    }
}

#[test]
fn head_is_answered_where_get_is() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let mut browser = server.register("lovelace");
        for route in ["/auth/me", "/auth/sessions"] {
            let get = browser.get(route).send().expect(200);
            let head = browser.request("HEAD", route).send().expect(200);
            assert_eq!(head.header("content-type"), get.header("content-type"));
            assert_eq!(head.header("cache-control"), get.header("cache-control"));
            let refused = server.request("HEAD", route).send().expect(401);
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"), "{refused}");
        }
    }
}

#[test]
fn a_query_string_does_not_change_the_path() {
    let server = Server::start();
    let mut browser = server.register("lovelace");
    browser.get("/auth/me?x=/auth/login").send().expect(200);
    browser.post("/auth/refresh?").send().expect(200);
}

#[test]
fn a_body_over_the_limit_is_too_large_announced_or_not() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        for length in [LIMIT + 1, LIMIT + 1024, 2 * LIMIT] {
            let body = registration(length);
            assert_eq!(body.len(), length);
            let announced = server.post("/auth/register").body("application/json", body.as_str());
            announced.send().problem(413, "body_too_large").sets_no_cookie();
            let chunked = server.post("/auth/register").chunked("application/json", body.as_str());
            chunked.send().problem(413, "body_too_large").sets_no_cookie();
        }
        let form = format!("login=lovelace&password=x&filler={}", "x".repeat(LIMIT));
        server.post("/auth/login").form(&form).send().problem(413, "body_too_large");
        server.is_alive();

        let announced = server.post("/auth/register").body("application/json", registration(LIMIT));
        announced.send().expect(201);
        let chunked = server.post("/auth/register");
        chunked.chunked("application/json", registration(LIMIT - 1)).send().expect(201);
    }
}

#[test]
fn a_body_of_another_media_type_is_unsupported() {
    let server = Server::start();
    server.register("lovelace");
    let login = json!({"email": "lovelace@example.com", "password": PASSWORD}).to_string();
    for media_type in [
        "text/plain",
        "text/json",
        "application/xml",
        "application/jsonp",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "json",
    ] {
        let answer = server.post("/auth/login").body(media_type, login.as_str()).send();
        assert_eq!(answer.status, 415, "{media_type}: {answer}");
        answer.problem(415, "unsupported_media_type").sets_no_cookie();
    }
    for media_type in
        ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
    {
        let answer = server.post("/auth/login").body(media_type, login.as_str()).send();
        assert_eq!(answer.status, 200, "{media_type}: {answer}");
    }
}
