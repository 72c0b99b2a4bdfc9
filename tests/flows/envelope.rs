//! The envelope: what a front end of the Express system sends, and what it reads.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::client::Response;
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

/// As that system delivers tokens: in cookies and in the body.
fn start(example: &'static str) -> Server {
    Launch::new(example).env("RESPONSE_FORMAT", "envelope").env("TOKEN_DELIVERY", "both").start()
}

fn register() -> Value {
    json!({"fullName": "Ada Lovelace", "email": "ada@example.com", "username": "ada", "password": PASSWORD})
}

fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<_> = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    members.sort_unstable();
    members
}

/// The four members, and what a client of that system goes by.
#[track_caller]
fn succeeded(response: &Response, status: u16, message: &str) -> Value {
    assert_eq!(response.status, status, "{response}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{response}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response}");
    let body = response.json();
    assert_eq!(members(&body), ["data", "message", "statusCode", "success"], "{response}");
    assert_eq!(body["statusCode"], status, "{response}");
    assert_eq!(body["success"], true, "{response}");
    assert_eq!(body["message"], message, "{response}");
    body["data"].clone()
}

#[track_caller]
fn failed(response: &Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status, status, "{response}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{response}");
    let body = response.json();
    assert_eq!(members(&body), ["code", "data", "errors", "message", "statusCode", "success"], "{response}");
    assert_eq!(body["statusCode"], status, "{response}");
    assert_eq!(body["success"], false, "{response}");
    assert_eq!(body["data"], Value::Null, "{response}");
    assert_eq!(body["code"], code, "{response}");
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{response}");
    assert!(body["errors"].is_array(), "{response}");
    body
}

#[track_caller]
fn assert_user(user: &Value) {
    assert_eq!(members(user), ["_id", "createdAt", "email", "fullName", "roles", "username"], "{user}");
    assert!(user["_id"].as_str().is_some_and(|id| !id.is_empty()), "{user}");
    assert_eq!((&user["fullName"], &user["username"]), (&json!("Ada Lovelace"), &json!("ada")));
    assert_eq!(user["email"], "ada@example.com");
}

fn log_in(browser: &mut Browser) -> Value {
    let login = browser.post("/auth/login").json(&json!({"email": "ada@example.com", "password": PASSWORD})).send();
    succeeded(&login, 200, "User logged in successfully")
}

#[test]
fn its_front_end_goes_through_the_whole_flow() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = start(example);
        let mut browser = server.browser();
        let registered = browser.post("/auth/register").json(&register()).send();
        assert_user(&succeeded(&registered, 201, "User registered successfully"));
        assert!(registered.set_cookies().is_empty(), "a registration signs nobody in: {registered}");

        let data = log_in(&mut browser);
        assert_eq!(members(&data), ["accessToken", "refreshToken", "user"]);
        assert_user(&data["user"]);
        assert_eq!(data["accessToken"], browser.cookie("accessToken"));
        assert_eq!(data["refreshToken"], browser.cookie("refreshToken"));
        browser.get("/profile").send().expect(200);
        server.get("/profile").bearer(&browser.cookie("accessToken")).send().expect(200);

        // By cookie, as a browser does; then with the token in the body, as its apps do.
        let before = browser.cookie("refreshToken");
        let refreshed = browser.post("/auth/refresh-token").send();
        let data = succeeded(&refreshed, 200, "Access token refreshed successfully");
        assert_eq!(data["accessToken"], browser.cookie("accessToken"));
        assert_eq!(data.get("refreshToken"), None, "what came in a cookie leaves in one alone");
        assert_ne!(browser.cookie("refreshToken"), before);
        let body = json!({"refreshToken": browser.cookie("refreshToken")});
        let refreshed = browser.post("/auth/refresh-token").json(&body).send();
        let data = succeeded(&refreshed, 200, "Access token refreshed successfully");
        assert_eq!(data["refreshToken"], browser.cookie("refreshToken"));
        assert_user(&data["user"]);
        browser.post("/auth/refresh").send().expect(200);

        let me = browser.get("/auth/me").send();
        assert_user(&succeeded(&me, 200, "Success")["user"]);
        let sessions = browser.get("/auth/sessions").send();
        assert_eq!(succeeded(&sessions, 200, "Success")["sessions"].as_array().map(Vec::len), Some(1));

        let access = browser.cookie("accessToken");
        let logout = browser.post("/auth/logout").send();
        assert_eq!(succeeded(&logout, 200, "User logged out successfully"), json!({}));
        assert!(!browser.has("accessToken") && !browser.has("refreshToken"));
        failed(&server.get("/profile").bearer(&access).send(), 401, "token_revoked");
    }
}

#[test]
fn one_field_for_address_or_username_logs_in() {
    let server = start(AXUM_MEMORY);
    server.post("/auth/register").json(&register()).send().expect(201);
    for (username, email) in
        [("ada", ""), ("", "ada@example.com"), ("ada", "ada"), ("ada@example.com", "ada@example.com"), ("ADA", "ada")]
    {
        let login = json!({"username": username, "email": email, "password": PASSWORD});
        let answer = server.post("/auth/login").json(&login).send();
        assert_user(&succeeded(&answer, 200, "User logged in successfully")["user"]);
    }
}

#[test]
fn failures_have_the_shape_and_our_statuses() {
    let server = start(AXUM_MEMORY);
    server.post("/auth/register").json(&register()).send().expect(201);
    failed(&server.post("/auth/register").json(&register()).send(), 409, "email_taken");
    let blank = server.post("/auth/register").json(&json!({"fullName": " ", "email": "", "password": ""})).send();
    let errors = failed(&blank, 400, "validation_failed")["errors"].clone();
    for field in ["fullName", "email", "password"] {
        assert!(errors.as_array().is_some_and(|errors| errors.iter().any(|error| error["field"] == field)), "{errors}");
    }
    failed(&server.post("/auth/login").json(&json!({"password": PASSWORD})).send(), 400, "validation_failed");
    for login in
        [json!({"email": "eve@example.com", "password": PASSWORD}), json!({"username": "ada", "password": "no"})]
    {
        failed(&server.post("/auth/login").json(&login).send(), 401, "invalid_credentials");
    }
    failed(&server.post("/auth/refresh-token").send(), 401, "refresh_missing");
    let reused = server.post("/auth/refresh-token").json(&json!({"refreshToken": "nonsense"})).send();
    failed(&reused, 401, "refresh_invalid");
    failed(&server.get("/auth/nothing").send(), 404, "not_found");
    let wrong = server.get("/auth/refresh-token").send();
    failed(&wrong, 405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("POST, OPTIONS"));

    let missing = server.get("/profile").send();
    failed(&missing, 401, "token_missing");
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    failed(&server.get("/greeting").bearer("nonsense").send(), 401, "token_invalid");
    let mut browser = server.browser();
    log_in(&mut browser);
    failed(&browser.get("/admin").send(), 403, "insufficient_role");
    let elsewhere = browser.post("/auth/logout").header("sec-fetch-site", "cross-site").send();
    failed(&elsewhere, 403, "cross_site");
}

#[test]
fn a_password_is_changed_in_its_words() {
    let server = start(AXUM_MEMORY);
    let mut browser = server.browser();
    browser.post("/auth/register").json(&register()).send().expect(201);
    log_in(&mut browser);
    let body = json!({"currentPassword": PASSWORD, "newPassword": "another lantern 8 in the yard"});
    let changed = browser.put("/auth/password").json(&body).send();
    assert_user(&succeeded(&changed, 200, "Password changed successfully")["user"]);
    let out = browser.post("/auth/logout-all").send();
    assert_eq!(succeeded(&out, 200, "User logged out everywhere successfully"), json!({}));
}

#[test]
fn tokens_stay_in_prefixed_cookies_by_default() {
    let launch = Launch::new(AXUM_MEMORY).env("RESPONSE_FORMAT", "envelope").without("INSECURE_COOKIES");
    let server = launch.start();
    server.post("/auth/register").json(&register()).send().expect(201);
    let answer = server.post("/auth/login").json(&json!({"username": "ada", "password": PASSWORD})).send();
    assert_eq!(members(&succeeded(&answer, 200, "User logged in successfully")), ["user"]);
    answer.set_cookie("__Host-accessToken");
    answer.set_cookie("__Host-refreshToken");
}

#[test]
fn the_standard_shape_knows_none_of_its_words() {
    let server = Server::start();
    let answer = server.post("/auth/register").json(&register()).send().expect(201).json();
    assert_eq!(answer["user"]["name"], Value::Null);
    server.post("/auth/refresh-token").send().problem(404, "not_found");
    let token = server.post("/auth/refresh").json(&json!({"refreshToken": "x"})).send();
    token.problem(401, "refresh_missing");
}
