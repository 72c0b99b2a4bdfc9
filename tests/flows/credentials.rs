//! Where a token is looked for, what it must look like there, and what happens when it is sent
//! twice, wrongly, or not at all.

use serde_json::json;

use crate::server::{AXUM_MEMORY, HYPER_BARE, Launch, Server};

#[test]
fn without_a_token_the_challenge_is_bare() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        for route in ["/profile", "/account", "/admin", "/auth/me", "/auth/sessions"] {
            server.get(route).send().token_missing();
        }
        server.post("/notes").json(&json!({})).send().token_missing();
        server.post("/auth/logout-all").send().token_missing();
        server.delete("/auth/sessions/1").send().token_missing();
        let change = json!({"current_password": "one of them", "new_password": "the other one"});
        server.put("/auth/password").json(&change).send().token_missing();
        server.get("/profile").cookie("theme", "dark").send().token_missing();
    }
}

#[test]
fn the_scheme_is_read_in_any_case_and_with_several_spaces() {
    let server = Server::start();
    let access = server.register("lovelace").access();
    for prefix in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "Bearer     "] {
        let value = format!("{prefix}{access}");
        let answer = server.get("/profile").header("Authorization", &value).send();
        assert_eq!(answer.status, 200, "{prefix:?}: {answer}");
    }
    server.get("/profile").header("authorization", &format!("Bearer {access}")).send().expect(200);
}

#[test]
fn two_authorization_headers_are_an_invalid_request() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let access = server.register("lovelace").access();
        for second in [format!("Bearer {access}"), "Bearer other".to_owned(), "Basic YTpi".to_owned()] {
            for route in ["/profile", "/account", "/auth/me"] {
                let request = server.get(route).bearer(&access).header("Authorization", &second);
                request.send().problem(400, "invalid_request");
                let request = server.get(route).header("Authorization", &second).bearer(&access);
                request.send().problem(400, "invalid_request");
            }
        }
    }
}

#[test]
fn a_bad_bearer_never_falls_back_to_a_good_cookie() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let mut browser = server.register("lovelace");
        let mut gone = server.log_in("lovelace");
        let revoked = gone.access();
        gone.post("/auth/logout").send().expect(204);
        for route in ["/profile", "/account", "/greeting", "/auth/me"] {
            browser.get(route).send().expect(200);
            browser.get(route).bearer("nonsense").send().token_refused("token_invalid");
            browser.get(route).bearer("a.b.c").send().token_refused("token_invalid");
            browser.get(route).bearer(&revoked).send().token_refused("token_revoked");
        }
        server.get("/greeting").bearer("nonsense").send().token_refused("token_invalid");
    }
}

#[test]
fn a_good_bearer_goes_before_a_bad_cookie() {
    let server = Server::start();
    let access = server.register("lovelace").access();
    let request = server.get("/profile").bearer(&access).cookie("access_token", "nonsense");
    request.send().expect(200);
    let alone = server.get("/profile").cookie("access_token", "nonsense").send();
    alone.token_refused("token_invalid");
}

#[test]
fn another_scheme_does_not_hide_a_good_cookie() {
    let server = Server::start();
    let mut browser = server.register("lovelace");
    for value in ["Basic YWxhZGRpbjpvcGVuc2VzYW1l", "Digest username=\"a\"", "Bearerish abc"] {
        browser.get("/profile").header("Authorization", value).send().expect(200);
        let alone = server.get("/profile").header("Authorization", value).send();
        alone.problem(401, "token_missing");
    }
}

#[test]
fn a_cookie_name_sent_twice_is_unauthenticated() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let browser = server.register("lovelace");
        let access = browser.access();
        let pair = |value: &str| format!("access_token={value}");
        for other in [access.as_str(), "nonsense", ""] {
            for (one, two) in [(access.as_str(), other), (other, access.as_str())] {
                let line = format!("{}; theme=dark; {}", pair(one), pair(two));
                let one_line = server.get("/profile").header("Cookie", &line).send();
                assert_eq!(one_line.status, 401, "{line}: {one_line}");
                let request = server.get("/profile").header("Cookie", &pair(one));
                let two_lines = request.header("Cookie", &pair(two)).send();
                assert_eq!(two_lines.status, 401, "{line}: {two_lines}");
            }
        }
        let refresh = browser.refresh();
        let twice = format!("refresh_token={refresh}; refresh_token={refresh}");
        let ambiguous = server.post("/auth/refresh").header("Cookie", &twice).send();
        ambiguous.problem(400, "invalid_request").sets_no_cookie();
        server.refresh_with(&refresh).expect(200);
        server.get("/profile").cookie("access_token", &access).send().expect(200);
    }
}

#[test]
fn an_empty_cookie_is_no_cookie() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let empty = |path| server.get(path).header("Cookie", "access_token=; refresh_token=").send();
        empty("/greeting").expect(200);
        for route in ["/profile", "/account", "/auth/me", "/auth/sessions"] {
            empty(route).token_missing();
        }
        let refresh = server.post("/auth/refresh").header("Cookie", "refresh_token=").send();
        refresh.problem(401, "refresh_missing").sets_no_cookie();
        server.post("/auth/logout").header("Cookie", "access_token=; refresh_token=").send().expect(204);
        // A Bearer header without a token is a mistake of the client, also where none is needed.
        for value in ["Bearer", "Bearer "] {
            server.get("/greeting").header("Authorization", value).send().token_refused("token_invalid");
        }
    }
}

#[test]
fn a_cookie_is_found_among_others() {
    let server = Server::start();
    let access = server.register("lovelace").access();
    for line in [
        format!("theme=dark; access_token={access}; lang=en"),
        format!("access_token2=a; xaccess_token=b; access_token={access}"),
        format!("theme=a=b=c; ; access_token={access}"),
    ] {
        let answer = server.get("/profile").header("Cookie", &line).send();
        assert_eq!(answer.status, 200, "{line}: {answer}");
    }
    let request = server.get("/profile").cookie("theme", "dark").cookie("access_token", &access);
    request.send().expect(200);
    for name in ["Access_Token", "ACCESS_TOKEN", "access_token2", "theme"] {
        server.get("/profile").cookie(name, &access).send().token_missing();
    }
}

#[test]
fn the_query_string_is_no_source() {
    for example in [AXUM_MEMORY, HYPER_BARE] {
        let server = Launch::new(example).start();
        let browser = server.register("lovelace");
        let (access, refresh) = (browser.access(), browser.refresh());
        for name in ["access_token", "token", "bearer"] {
            server.get(&format!("/profile?{name}={access}")).send().token_missing();
            server.get(&format!("/auth/me?{name}={access}")).send().token_missing();
        }
        let by_query = server.post(&format!("/auth/refresh?refresh_token={refresh}")).send();
        by_query.problem(401, "refresh_missing");
        server.get(&format!("/profile?access_token={access}")).bearer(&access).send().expect(200);
    }
}

#[test]
fn an_access_token_in_a_body_is_no_source() {
    let server = Server::start();
    let access = server.register("lovelace").access();
    let body = json!({"access_token": access});
    server.post("/notes").json(&body).send().token_missing();
    server.post("/notes").form(&format!("access_token={access}")).send().token_missing();
}
