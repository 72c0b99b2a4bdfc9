//! Over HTTP every event has the address and the user agent of the request.

use std::net::SocketAddr;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use portcullis::{
    Auth, User,
    http::{Delivery, PeerAddr},
};
use serde_json::Value;
use tower::ServiceExt;

use super::node_with;
use crate::event_log::{EventLog, brief};
use crate::fixture::{PASSWORD, World};

struct Phone(Auth<User>);

impl Phone {
    async fn send(&self, method: &str, path: &str, bearer: &str, form: &str) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("user-agent", "Phone/1")
            .header("authorization", format!("Bearer {bearer}"))
            .extension(PeerAddr::from(SocketAddr::from(([203, 0, 113, 9], 4711))))
            .body(Full::<bytes::Bytes>::from(form.to_owned()))
            .unwrap();
        let answer = self.0.routes().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

#[tokio::test]
async fn every_endpoint_emits_the_client_of_its_request() {
    let (world, sink) = (World::new(), EventLog::default());
    let auth = node_with(&world, &sink, |builder| builder.token_delivery([Delivery::Body]));
    let phone = Phone(auth);
    let account = format!("email=ada@example.com&password={}", PASSWORD.replace(' ', "+"));
    let token = |body: &Value, name: &str| body[name].as_str().unwrap().to_owned();

    let (_, registered) = phone.send("POST", "/auth/register", "", &account).await;
    let (_, elsewhere) = phone.send("POST", "/auth/login", "", &account).await;
    phone.send("POST", "/auth/login", "", "email=ada@example.com&password=canary").await;
    let refresh = format!("refresh_token={}", token(&registered, "refresh_token"));
    let (_, refreshed) = phone.send("POST", "/auth/refresh", "", &refresh).await;
    let access = token(&refreshed, "access_token");
    let passwords = format!("current_password={0}&new_password={0}", PASSWORD.replace(' ', "+"));
    let (_, changed) = phone.send("PUT", "/auth/password", &access, &passwords).await;
    let refresh = format!("refresh_token={}", token(&changed, "refresh_token"));
    let (status, _) = phone.send("POST", "/auth/logout", "", &refresh).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, again) = phone.send("POST", "/auth/login", "", &account).await;
    let access = token(&again, "access_token");
    let (_, sessions) = phone.send("GET", "/auth/sessions", &access, "").await;
    let path = format!("/auth/sessions/{}", sessions["sessions"][0]["id"].as_str().unwrap());
    phone.send("DELETE", &path, &access, "").await;
    let (_, again) = phone.send("POST", "/auth/login", "", &account).await;
    let (status, _) = phone.send("POST", "/auth/logout-all", &token(&again, "access_token"), "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(elsewhere["access_token"].is_string());

    let events = sink.take();
    assert_eq!(
        events.iter().map(brief).collect::<Vec<_>>(),
        [
            "user.registered",
            "login.succeeded method=registration",
            "login.succeeded method=password",
            "login.failed reason=wrong_password",
            "session.refreshed",
            "password.changed",
            "user.sessions_ended reason=password_changed",
            "session.ended reason=logout",
            "login.succeeded method=password",
            "session.ended reason=ended_by_user",
            "login.succeeded method=password",
            "user.sessions_ended reason=logout_all",
        ]
    );
    for event in &events {
        assert_eq!(event.ip.map(|ip| ip.to_string()).as_deref(), Some("203.0.113.9"), "{event:?}");
        assert_eq!(event.user_agent.as_deref(), Some("Phone/1"), "{event:?}");
    }
}
