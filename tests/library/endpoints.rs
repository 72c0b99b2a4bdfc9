//! The endpoints as a service, for cases that are easier to test without a socket.

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use portcullis::{Auth, User, http::ResponseBody};
use tower::ServiceExt;

use crate::fixture::{Pair, World, register, start_session};

async fn post(auth: &Auth<User>, path: &str, headers: &[(&str, &str)], form: &str) -> Response<ResponseBody> {
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<bytes::Bytes>::from(form.to_owned())).unwrap();
    auth.routes().oneshot(request).await.unwrap()
}

fn refresh_cookie(pair: &Pair) -> String {
    format!("__Host-refresh_token={}", pair.refresh)
}

#[tokio::test]
async fn a_blank_refresh_token_in_a_form_hides_no_cookie() {
    let auth = World::new().node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let cookie = refresh_cookie(&pair);
    let answer = post(&auth, "/auth/refresh", &[("cookie", &cookie)], "refresh_token=").await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_logout_ends_the_session_of_every_token_it_brings() {
    for form in ["refresh_token=", "refresh_token=garbled", ""] {
        let auth = World::new().node();
        let ada = register(&auth, "ada").await;
        let (pair, planted) = (start_session(&auth, &ada).await, start_session(&auth, &ada).await);
        let cookie = format!("{}; {}", refresh_cookie(&pair), refresh_cookie(&planted));
        let answer = post(&auth, "/auth/logout", &[("cookie", &cookie)], form).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert!(auth.sessions(&ada.id).await.unwrap().is_empty(), "{form:?}");
    }
}

#[tokio::test]
async fn a_bearer_header_does_not_switch_off_the_cross_site_check() {
    let auth = World::new().node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let cookie = refresh_cookie(&pair);
    for path in ["/auth/refresh", "/auth/logout", "/auth/login", "/auth/register"] {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site"), ("authorization", "Bearer x")];
        let answer = post(&auth, path, &headers, "").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_refresh_during_a_password_change_clears_no_cookies() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    // The version is raised, and the sessions are not ended yet.
    portcullis::store::UserStore::bump_token_version(&world.store, &ada.id).await.unwrap();
    let answer = post(&auth, "/auth/refresh", &[("cookie", &refresh_cookie(&pair))], "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(!answer.headers().contains_key("set-cookie"));
}
