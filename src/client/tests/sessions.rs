//! Logging in and out, and changing the password.

use super::*;

#[tokio::test]
async fn a_refused_login_gives_the_reason_and_keeps_the_session() {
    let world = World::new();
    let auth = world.logged_in().await;
    let error = auth.login("ada", "wrong".into()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ClientErrorKind::Refused, Some("invalid_credentials")));
    world.fault(Fault::Instead(429, "30", r#"{"code":"too_many_attempts"}"#));
    let error = auth.login("ada", "open sesame 42".into()).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), (Some("too_many_attempts"), Some(Duration::from_secs(30))));
    world.fault(Fault::Instead(
        400,
        "",
        r#"{"code":"validation_failed","errors":[{"field":"email","code":"invalid","message":"No."},{"field":7}]}"#,
    ));
    let error = auth.register("ada", "open sesame 42".into(), json!({ "name": "Ada" })).await.unwrap_err();
    assert_eq!(error.fields(), [crate::error::FieldError::new("email", "invalid", "No.")]);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn a_session_that_cannot_be_stored_is_ended_again() {
    let world = World::new();
    world.storage.fail("save");
    let error = world.process().login("ada", "open sesame 42".into()).await.unwrap_err();
    assert_eq!((error.kind(), world.seen("/auth/logout")), (ClientErrorKind::Storage, 1));
    assert!(world.server().ended);
    world.storage.fail("load");
    assert!(world.process().login("ada", "open sesame 42".into()).await.is_err());
    assert_eq!(world.seen("/auth/login"), 1, "no session is begun if the storage cannot be read");
}

#[tokio::test]
async fn a_logout_without_a_network_can_be_repeated() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.fault(Fault::Lost);
    assert_eq!(auth.logout().await.unwrap_err().kind(), ClientErrorKind::Unreachable);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    auth.logout().await.unwrap();
    assert_eq!((world.storage.stored().await, world.server().ended), (None, true));
    auth.logout().await.unwrap();
    assert_eq!(world.seen("/auth/logout"), 2, "no session was left to end");

    let auth = world.logged_in().await;
    auth.forget().await.unwrap();
    assert_eq!((world.storage.stored().await, world.server().ended), (None, false));
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
}

#[tokio::test]
async fn a_login_is_stored_even_if_its_caller_stops_waiting() {
    let world = World::new();
    let auth = world.process();
    for _ in 0..10 {
        let mut login = Box::pin(auth.login("ada", "open sesame 42".into()));
        let waker = std::task::Waker::noop();
        assert!(login.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
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
    let auth = world.logged_in().await;
    let change = || auth.change_password("open sesame 42".into(), "open sesame 43".into());
    change().await.unwrap();
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
    world.refuse_access();
    change().await.unwrap();
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-3-"), "a refresh came first");
    assert_eq!(call(&world, &auth, "/notes").await, OK);

    // Another process has refreshed the session: its pair is used.
    let other = world.process();
    let pair = other.usable().await.unwrap().unwrap();
    other.replacement_of(&pair).await.unwrap();
    change().await.unwrap();
    let stored = world.storage.stored().await.unwrap();
    assert!(stored.starts_with("refresh-1-5-"), "{stored}");
    auth.logout().await.unwrap();
    assert_eq!(change().await.unwrap_err().kind(), ClientErrorKind::NotLoggedIn);
}

#[tokio::test]
async fn no_debug_output_shows_a_token_or_a_password() {
    let world = World::new();
    let auth = world.logged_in().await;
    let layer = auth.layer();
    let mut shown = vec![format!("{auth:?} {layer:?} {:?} {:?}", world.storage.memory, ClientAuth::builder(SERVER))];
    shown.push(format!("{:?}", ClientAuth::builder("https://ada:open sesame@api.example.com")));
    world.refuse_access();
    world.storage.fail("save");
    for error in [auth.access_token().await.map(drop), auth.login("ada", "wrong".into()).await.map(drop)] {
        shown.push(format!("{error:?}"));
    }
    let pair = auth.usable().await;
    shown.push(format!("{pair:?}"));
    let shown = shown.concat();
    for secret in ["access-", "refresh-1", "open sesame", "wrong"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn unusable_settings_are_refused_with_their_fix() {
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
    for (builder, fix) in [
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
        (good().refresh_attempts(0), "use 3"),
        (good().timeout(Duration::ZERO), "use 4 s"),
    ] {
        let said = problems(builder);
        assert!(said.len() == 1 && said[0].contains(fix) && !said[0].contains("canary"), "{fix}: {said:?}");
    }
}

/// Returns the sessions of the tokens in requests to `/notes`.
fn sessions_at_notes(world: &World) -> Vec<String> {
    let session = |bearer: &str| bearer.trim_start_matches("Bearer access-").split('-').next().unwrap().to_owned();
    world.server().seen.iter().filter(|(path, _)| path == "/notes").map(|(_, bearer)| session(bearer)).collect()
}

#[tokio::test]
async fn a_request_of_one_user_is_never_repeated_as_another() {
    let world = World::new();
    let auth = world.logged_in().await;
    let ada = auth.usable().await.unwrap().unwrap();
    auth.login("bob", "open sesame 42".into()).await.unwrap();
    assert!(auth.replacement_of(&ada).await.unwrap().is_none(), "the pair belongs to another user");

    // Another process logs in. This one learns of it with its 401.
    world.refuse_access();
    world.process().login("eve", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    assert_eq!(sessions_at_notes(&world), ["2"]);
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 0), "the next request is hers");
}

#[tokio::test]
async fn a_request_that_waits_is_never_sent_as_another_user() {
    for locked in [true, false] {
        let world = World::new();
        let auth = world.logged_in().await;
        world.storage.unlocked.store(!locked, Ordering::SeqCst);
        world.clock.advance(LIFETIME);
        world.process().login("bob", "open sesame 42".into()).await.unwrap();
        assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
        assert_eq!(sessions_at_notes(&world), [""], "the request was sent without a token");
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        assert_eq!(sessions_at_notes(&world), ["", "2"]);
    }
}

#[tokio::test]
async fn a_password_change_never_reaches_another_user() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.process().login("bob", "open sesame 42".into()).await.unwrap();
    let error = auth.change_password("open sesame 42".into(), "open sesame 43".into()).await.unwrap_err();
    assert_eq!((error.kind(), world.seen("/auth/password")), (ClientErrorKind::NotLoggedIn, 0));
    auth.change_password("open sesame 42".into(), "open sesame 43".into()).await.unwrap();
}

#[tokio::test]
async fn a_registration_replaces_the_session_before() {
    let world = World::new();
    let auth = world.logged_in().await;
    let before = world.storage.stored().await.unwrap();
    auth.register("bob@example.com", "open sesame 42".into(), ()).await.unwrap();
    assert_eq!(world.server().replaced, [before]);
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-2-0-"));
}

#[tokio::test]
async fn a_registration_without_an_object_of_fields_is_not_sent() {
    let world = World::new();
    let auth = world.process();
    let error = auth.register("ada@example.com", "open sesame 42".into(), ["canary"]).await.unwrap_err();
    assert_eq!((error.kind(), world.seen("/auth/register")), (ClientErrorKind::InvalidFields, 0));
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    auth.register("ada@example.com", "open sesame 42".into(), ()).await.unwrap();
}
