//! Which requests pass that another site can make a browser send: one table over every endpoint
//! that a cookie authenticates or that sets one.

use serde_json::json;

use crate::browser::Browser;
use crate::client::{Request, Response};
use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, PASSWORD, Server};

const TRUSTED: &str = "https://app.example.com";

type Headers = Vec<(&'static str, String)>;

fn headers(list: &[(&'static str, &str)]) -> Headers {
    list.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// What passes at a server that trusts `TRUSTED` and has insecure cookies.
fn passing(server: &Server) -> Vec<Headers> {
    vec![
        headers(&[]),
        headers(&[("Origin", TRUSTED)]),
        headers(&[("Origin", TRUSTED), ("Sec-Fetch-Site", "cross-site")]),
        headers(&[("Origin", TRUSTED), ("Sec-Fetch-Site", "same-site")]),
        headers(&[("Sec-Fetch-Site", "same-origin")]),
        headers(&[("Sec-Fetch-Site", "none")]),
        headers(&[("Origin", &format!("http://{}", server.host()))]),
        headers(&[("Origin", &format!("http://{}", server.host())), ("Sec-Fetch-Site", "same-origin")]),
    ]
}

fn refused(server: &Server) -> Vec<Headers> {
    let host = server.host();
    let (ip, port) = host.split_once(':').expect("an address has a port");
    let other_port = if port == "81" { 82 } else { 81 };
    let mut table = vec![
        headers(&[("Sec-Fetch-Site", "cross-site")]),
        headers(&[("Sec-Fetch-Site", "same-site")]),
        headers(&[("Sec-Fetch-Site", "SAME-ORIGIN")]),
        headers(&[("Sec-Fetch-Site", "None")]),
        headers(&[("Sec-Fetch-Site", "same-origin, cross-site")]),
        headers(&[("Sec-Fetch-Site", "unheard-of")]),
        headers(&[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]),
        headers(&[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin")]),
        headers(&[("Origin", &format!("http://{host}")), ("Sec-Fetch-Site", "cross-site")]),
        headers(&[("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]),
        headers(&[("Origin", TRUSTED), ("Origin", "https://evil.example")]),
        headers(&[("Origin", "https://evil.example"), ("Origin", TRUSTED)]),
    ];
    for origin in [
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("{TRUSTED}.evil"),
        format!("{TRUSTED}.evil.example"),
        format!("{TRUSTED}:8443"),
        format!("{TRUSTED}@evil.example"),
        format!("{TRUSTED}, https://evil.example"),
        format!("{TRUSTED} https://evil.example"),
        "http://app.example.com".to_owned(),
        "https://app.example.co".to_owned(),
        "https://evil-app.example.com".to_owned(),
        "https://sub.app.example.com".to_owned(),
        "app.example.com".to_owned(),
        format!("http://{host}.evil"),
        format!("http://{ip}.evil:{port}"),
        format!("http://{ip}:{other_port}"),
        format!("http://{ip}"),
        format!("http://{host}0"),
        format!("http://evil@{host}"),
        format!("http://localhost:{port}"),
        host.clone(),
    ] {
        table.push(headers(&[("Origin", &origin)]));
    }
    table
}

fn with<'a>(request: Request<'a>, headers: &Headers) -> Request<'a> {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Sends the request under each row: what passes is answered with this status, what does not with
/// 403 and without a cookie.
#[track_caller]
fn decides(server: &Server, status: u16, mut request: impl FnMut() -> Request<'static>) {
    for row in refused(server) {
        let answer: Response = with(request(), &row).send();
        assert_eq!(answer.status, 403, "{row:?}: {answer}");
        answer.problem(403, "cross_site").sets_no_cookie();
    }
    for row in passing(server) {
        let answer = with(request(), &row).send();
        assert_eq!(answer.status, status, "{row:?}: {answer}");
    }
}

fn trusting(example: &'static str) -> Server {
    Launch::new(example).env("TRUSTED_ORIGINS", TRUSTED).start()
}

/// Both cookies, as a header, so that a request can be made of it again and again.
fn cookies(browser: &Browser) -> String {
    format!("access_token={}; refresh_token={}", browser.access(), browser.refresh())
}

#[test]
fn a_guarded_route_of_the_app_is_closed_to_other_sites() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = trusting(example);
        let cookies = cookies(&server.register("lovelace"));
        decides(&server, 201, || server.post("/notes").header("Cookie", &cookies).json(&json!({"text": "a note"})));
    }
}

#[test]
fn signing_in_is_closed_to_other_sites() {
    let server = trusting(AXUM_MEMORY);
    server.register("lovelace");
    let login = json!({"email": "lovelace@example.com", "password": PASSWORD});
    decides(&server, 200, || server.post("/auth/login").json(&login));
}

#[test]
fn signing_in_by_a_plain_form_is_closed_to_other_sites() {
    let server = trusting(AXUM_MEMORY);
    server.register("lovelace");
    let login = format!("login=lovelace&password={}", PASSWORD.replace(' ', "+"));
    for row in refused(&server) {
        let answer = with(server.post("/auth/login").form(&login), &row).send();
        answer.problem(403, "cross_site").sets_no_cookie();
    }
    server.post("/auth/login").form(&login).send().expect(200);
}

#[test]
fn registering_is_closed_to_other_sites() {
    let server = trusting(AXUM_MEMORY);
    let body = json!({"email": "lovelace@example.com", "password": PASSWORD});
    for row in refused(&server) {
        let answer = with(server.post("/auth/register").json(&body), &row).send();
        answer.problem(403, "cross_site").sets_no_cookie();
    }
    let row = headers(&[("Origin", TRUSTED)]);
    with(server.post("/auth/register").json(&body), &row).send().expect(201);
}

#[test]
fn refreshing_is_closed_to_other_sites() {
    let server = Launch::new(AXUM_MEMORY).env("TRUSTED_ORIGINS", TRUSTED).env("REFRESH_TOKEN_GRACE", "60s").start();
    let browser = server.register("lovelace");
    let cookies = cookies(&browser);
    decides(&server, 200, || server.post("/auth/refresh").header("Cookie", &cookies));
    server.get("/profile").bearer(&browser.access()).send().expect(200);
}

#[test]
fn signing_out_is_closed_to_other_sites() {
    let server = trusting(AXUM_MEMORY);
    let mut browser = server.register("lovelace");
    for row in refused(&server) {
        for route in ["/auth/logout", "/auth/logout-all"] {
            let answer = with(browser.post(route), &row).send();
            answer.problem(403, "cross_site").sets_no_cookie();
        }
    }
    browser.get("/profile").send().expect(200);
    let cookies = cookies(&browser);
    decides(&server, 204, || server.post("/auth/logout").header("Cookie", &cookies));
    server.get("/profile").bearer(&browser.access()).send().token_refused("token_revoked");
}

#[test]
fn changing_the_password_is_closed_to_other_sites() {
    let server = trusting(AXUM_MEMORY);
    let mut browser = server.register("lovelace");
    let change = json!({"current_password": PASSWORD, "new_password": "cobalt heron standing 9"});
    for row in refused(&server) {
        let answer = with(browser.put("/auth/password").json(&change), &row).send();
        answer.problem(403, "cross_site").sets_no_cookie();
    }
    // The password stays the old one. A request that passes is known by its answer to a wrong one.
    let cookies = cookies(&browser);
    let wrong = json!({"current_password": "not that one", "new_password": "cobalt heron standing 9"});
    for row in passing(&server) {
        let request = server.put("/auth/password").header("Cookie", &cookies).json(&wrong);
        with(request, &row).send().problem(403, "wrong_password");
    }
    let row = headers(&[("Origin", TRUSTED)]);
    with(browser.put("/auth/password").json(&change), &row).send().expect(200);
}

#[test]
fn ending_a_session_is_closed_to_other_sites() {
    let server = trusting(AXUM_MEMORY);
    let mut browser = server.register("lovelace");
    let path = format!("/auth/sessions/{}", server.session_of(&browser.access()));
    for row in refused(&server) {
        with(browser.delete(&path), &row).send().problem(403, "cross_site");
    }
    browser.get("/profile").send().expect(200);
    with(browser.delete(&path), &headers(&[("Origin", TRUSTED)])).send().expect(204);
}

#[test]
fn a_bearer_token_is_exempt() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = trusting(example);
        let access = server.register("lovelace").access();
        for row in refused(&server) {
            let answer = with(server.post("/notes").bearer(&access), &row).send();
            assert_eq!(answer.status, 201, "{row:?}: {answer}");
            let answer = with(server.delete("/auth/sessions/unknown").bearer(&access), &row).send();
            answer.problem(404, "session_not_found");
        }
    }
}

#[test]
fn reading_is_open_to_every_site() {
    let server = trusting(AXUM_MEMORY);
    let mut browser = server.register("lovelace");
    for row in refused(&server) {
        for route in ["/profile", "/account", "/auth/me", "/auth/sessions", "/greeting"] {
            let answer = with(browser.get(route), &row).send();
            assert_eq!(answer.status, 200, "{route} under {row:?}: {answer}");
        }
    }
}

#[test]
fn without_trusted_origins_no_other_origin_passes() {
    let server = Server::start();
    let mut browser = server.register("lovelace");
    let row = headers(&[("Origin", TRUSTED)]);
    with(browser.post("/notes"), &row).send().problem(403, "cross_site");
    with(browser.post("/auth/refresh"), &row).send().problem(403, "cross_site");
    let row = headers(&[("Origin", &format!("http://{}", server.host()))]);
    with(browser.post("/notes"), &row).send().expect(201);
}

#[test]
fn with_secure_cookies_the_same_host_must_be_https() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).without("INSECURE_COOKIES").start();
        let mut browser = server.register("lovelace");
        let plain = headers(&[("Origin", &format!("http://{}", server.host()))]);
        with(browser.post("/notes"), &plain).send().problem(403, "cross_site");
        with(browser.post("/auth/refresh"), &plain).send().problem(403, "cross_site");
        let secure = headers(&[("Origin", &format!("https://{}", server.host()))]);
        with(browser.post("/notes"), &secure).send().expect(201);
        with(browser.post("/auth/refresh"), &secure).send().expect(200);
    }
}

/// Where apps in web views and extensions say that they are.
const APPS: [&str; 4] = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
];

#[test]
fn an_app_in_a_web_view_is_trusted_by_its_own_scheme() {
    let server = Launch::new(AXUM_MEMORY).env("TRUSTED_ORIGINS", APPS.join(", ")).start();
    let cookies = cookies(&server.register("lovelace"));
    let note = |origin: &str| {
        let row = headers(&[("Origin", origin), ("Sec-Fetch-Site", "cross-site")]);
        with(server.post("/notes").header("Cookie", &cookies).json(&json!({"text": "a note"})), &row).send()
    };
    for app in APPS {
        note(app).expect(201);
    }
    for other in
        ["capacitor://localhos", "capacitor://localhost.evil", "capacitor://localhost:1", "tauri://evil", "null"]
    {
        note(other).problem(403, "cross_site");
    }
}

#[test]
fn tokens_in_the_body_need_no_check_where_no_cookie_is_used() {
    let server = Launch::new(AXUM_MEMORY).env("TOKEN_DELIVERY", "cookie,body").start();
    server.register("lovelace");
    let login = |delivery: &str| json!({"login": "lovelace", "password": PASSWORD, "delivery": delivery});
    for origin in ["https://localhost", "capacitor://localhost", "https://app.example.net", "null"] {
        let row = headers(&[("Origin", origin), ("Sec-Fetch-Site", "cross-site")]);
        let post = |path: &str, body: &serde_json::Value| with(server.post(path).json(body), &row).send();

        let answer = post("/auth/login", &login("body")).expect(200).sets_no_cookie();
        let refresh = answer.json()["refresh_token"].as_str().expect("a token").to_owned();
        let answer = post("/auth/refresh", &json!({"refresh_token": refresh})).expect(200).sets_no_cookie();
        let refresh = answer.json()["refresh_token"].as_str().expect("a token").to_owned();
        post("/auth/refresh", &json!({"refresh_token": "nonsense"})).problem(401, "refresh_invalid").sets_no_cookie();
        post("/auth/logout", &json!({"refresh_token": refresh})).expect(204).sets_no_cookie();
        post("/auth/refresh", &json!({"refresh_token": refresh})).problem(401, "refresh_invalid").sets_no_cookie();

        // Where a cookie would be set, or one of ours comes along, the check is made.
        post("/auth/login", &login("cookie")).problem(403, "cross_site").sets_no_cookie();
        post("/auth/login", &json!({"login": "lovelace", "password": PASSWORD})).problem(403, "cross_site");
        let with_cookie = |path: &str, body: &serde_json::Value, cookie: &str| {
            with(server.post(path).json(body).cookie(cookie, "x"), &row).send()
        };
        for cookie in ["access_token", "refresh_token"] {
            with_cookie("/auth/login", &login("body"), cookie).problem(403, "cross_site").sets_no_cookie();
            let body = json!({"refresh_token": refresh});
            with_cookie("/auth/refresh", &body, cookie).problem(403, "cross_site").sets_no_cookie();
            with_cookie("/auth/logout", &body, cookie).problem(403, "cross_site").sets_no_cookie();
        }
        with_cookie("/auth/login", &login("body"), "theme").expect(200).sets_no_cookie();
        // A form is sent without asking first, by any page.
        let form = format!("login=lovelace&password={}&delivery=body", PASSWORD.replace(' ', "+"));
        with(server.post("/auth/login").form(&form), &row).send().problem(403, "cross_site");
        with(server.post("/auth/logout"), &row).send().problem(403, "cross_site").sets_no_cookie();
        let text = server.post("/auth/login").body("text/plain", login("body").to_string());
        with(text, &row).send().problem(403, "cross_site");
        let password = json!({"current_password": PASSWORD, "new_password": "cobalt heron standing 9"});
        with(server.put("/auth/password").json(&password), &row).send().problem(403, "cross_site");
    }
    let row = headers(&[("Origin", "capacitor://localhost")]);
    let body = json!({"email": "hopper@example.com", "password": PASSWORD, "delivery": "body"});
    with(server.post("/auth/register").json(&body), &row).send().expect(201).sets_no_cookie();
    let body = json!({"email": "turing@example.com", "password": PASSWORD});
    with(server.post("/auth/register").json(&body), &row).send().problem(403, "cross_site").sets_no_cookie();
    server.post("/auth/register").json(&body).send().expect(201);
}

#[test]
fn where_tokens_go_both_ways_the_check_is_made() {
    let server = Launch::new(AXUM_MEMORY).env("TOKEN_DELIVERY", "both").start();
    server.register("lovelace");
    let row = headers(&[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]);
    let body = json!({"login": "lovelace", "password": PASSWORD});
    with(server.post("/auth/login").json(&body), &row).send().problem(403, "cross_site").sets_no_cookie();
    let tokens = server.post("/auth/login").json(&body).send().expect(200).json();
    let body = json!({"refresh_token": tokens["refresh_token"]});
    with(server.post("/auth/refresh").json(&body), &row).send().problem(403, "cross_site").sets_no_cookie();
    server.post("/auth/refresh").json(&body).send().expect(200);
}
