//! Signing in and out, and what is said and shown of it.

use super::*;

#[tokio::test]
async fn a_sign_in_that_is_refused_says_why_and_leaves_who_is_signed_in() {
    let world = World::new();
    let auth = world.signed_in().await;
    let error = auth.sign_in("ada", "wrong".into()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ClientErrorKind::Refused, Some("invalid_credentials")));
    world.fault(Fault::Instead(429, "30", r#"{"code":"too_many_attempts"}"#));
    let error = auth.sign_in("ada", "open sesame 42".into()).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), (Some("too_many_attempts"), Some(Duration::from_secs(30))));
    world.fault(Fault::Instead(
        400,
        "",
        r#"{"code":"validation_failed","errors":[{"field":"email","code":"invalid","message":"No."},{"field":7}]}"#,
    ));
    let error = auth.register("ada", "open sesame 42".into(), [("name", "Ada".into())]).await.unwrap_err();
    assert_eq!(error.fields(), [crate::FieldError::new("email", "invalid", "No.")]);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn a_session_that_cannot_be_stored_is_ended_again() {
    let world = World::new();
    world.storage.fail("save");
    let error = world.process().sign_in("ada", "open sesame 42".into()).await.unwrap_err();
    assert_eq!((error.kind(), world.seen("/auth/logout")), (ClientErrorKind::Storage, 1));
    assert!(world.server().ended);
    world.storage.fail("load");
    assert!(world.process().sign_in("ada", "open sesame 42".into()).await.is_err());
    assert_eq!(world.seen("/auth/login"), 1, "nor is one begun where nothing can be read");
}

#[tokio::test]
async fn signing_out_without_a_network_can_be_tried_again() {
    let world = World::new();
    let auth = world.signed_in().await;
    world.fault(Fault::Lost);
    assert_eq!(auth.sign_out().await.unwrap_err().kind(), ClientErrorKind::Unreachable);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    auth.sign_out().await.unwrap();
    assert_eq!((world.storage.stored().await, world.server().ended), (None, true));
    auth.sign_out().await.unwrap();
    assert_eq!(world.seen("/auth/logout"), 2, "there was nothing left to end");

    let auth = world.signed_in().await;
    auth.forget().await.unwrap();
    assert_eq!((world.storage.stored().await, world.server().ended), (None, false));
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
}

#[tokio::test]
async fn a_sign_in_that_nobody_waits_for_is_still_stored() {
    let world = World::new();
    let auth = world.process();
    for _ in 0..10 {
        let mut signing_in = Box::pin(auth.sign_in("ada", "open sesame 42".into()));
        let waker = std::task::Waker::noop();
        assert!(signing_in.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
    while world.seen("/auth/login") < 10 {
        tokio::task::yield_now().await;
    }
    auth.settled().await;
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-10-"));
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn a_changed_password_brings_a_new_pair() {
    let world = World::new();
    let auth = world.signed_in().await;
    let change = || auth.change_password("open sesame 42".into(), "open sesame 43".into());
    change().await.unwrap();
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
    world.refuse_access();
    change().await.unwrap();
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-3-"), "a refresh came first");
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    auth.sign_out().await.unwrap();
    assert_eq!(change().await.unwrap_err().kind(), ClientErrorKind::NotSignedIn);
}

#[tokio::test]
async fn nothing_shows_a_token_or_a_password() {
    let world = World::new();
    let auth = world.signed_in().await;
    let layer = auth.layer();
    let mut shown = format!("{auth:?} {layer:?} {:?} {:?}", world.storage.memory, ClientAuth::builder(SERVER));
    world.refuse_access();
    world.storage.fail("save");
    for error in [auth.access_token().await.map(drop), auth.sign_in("ada", "wrong".into()).await.map(drop)] {
        shown.push_str(&format!("{error:?}"));
    }
    let pair = auth.usable().await;
    shown.push_str(&format!("{pair:?}"));
    for secret in ["access-", "refresh-1", "open sesame", "wrong"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_mend() {
    let world = World::new();
    let problems = |builder: ClientAuthBuilder| match builder.build(world.http()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().map(str::to_owned).collect(),
    };
    let good = || ClientAuth::builder(SERVER);
    for builder in [
        good(),
        good().mount_path("/api/v1/auth").origin("https://files.example.com"),
        ClientAuth::builder("http://127.0.0.1:3000"),
        ClientAuth::builder("http://localhost"),
        ClientAuth::builder("http://api.internal").insecure_plain_http(),
    ] {
        assert_eq!(problems(builder), Vec::<String>::new());
    }
    for (builder, mend) in [
        (ClientAuth::builder("http://api.example.com"), "use https"),
        (ClientAuth::builder("http://localhost.example.com"), "use https"),
        (good().origin("http://10.0.0.1"), "use https"),
        (ClientAuth::builder("https://api.example.com/auth"), "scheme and host alone"),
        (ClientAuth::builder("https://ada:canary@api.example.com"), "scheme and host alone"),
        (ClientAuth::builder("api.example.com"), "scheme and host alone"),
        (good().mount_path("auth"), "/auth"),
        (good().mount_path("/auth/"), "/auth"),
        (good().mount_path("/a b"), "/auth"),
        (good().user_agent("a\nb"), "my-cli/1.0"),
        (good().refresh_attempts(0), "use three"),
        (good().timeout(Duration::ZERO), "four seconds"),
    ] {
        let said = problems(builder);
        assert!(said.len() == 1 && said[0].contains(mend) && !said[0].contains("canary"), "{mend}: {said:?}");
    }
}
