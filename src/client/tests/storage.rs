//! Storages that fail, and processes that share one.

use super::*;

#[tokio::test]
async fn a_pair_that_cannot_be_stored_is_not_used_and_not_lost() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.storage.fail("save");
    for _ in 0..3 {
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    }
    assert_eq!(world.seen("/auth/refresh"), 1, "the pair that is there is stored before another one is asked for");
    let sent: Vec<_> = world.server().seen.iter().map(|(_, bearer)| bearer.clone()).collect();
    assert!(sent.iter().all(|bearer| !bearer.starts_with("Bearer access-1-1-")), "{sent:?}");

    // Long after the grace.
    world.clock.advance(Duration::from_secs(60));
    world.storage.recover();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
    world.refuse_access();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert!(!world.server().ended);
}

#[tokio::test]
async fn a_pair_that_waits_is_stored_by_the_next_call_though_the_old_token_would_do() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.clock.advance(Duration::from_secs(880));
    world.storage.fail("save");
    assert_eq!(call(&world, &auth, "/notes").await, OK, "it is due, and good for a while");
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-0-"));
    world.storage.recover();
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
}

#[tokio::test]
async fn a_save_that_left_nothing_behind_is_made_good() {
    let world = World::new();
    let auth = world.logged_in().await;
    for left in ["", "half of somethi"] {
        world.refuse_access();
        world.storage.fail("save");
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        world.storage.memory.save(&left.into()).await.unwrap();
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        assert!(world.storage.stored().await.is_some());
    }
}

#[tokio::test]
async fn a_pair_that_waits_does_not_replace_what_cannot_be_read_just_now() {
    let world = World::new();
    world.storage.unlocked.store(true, Ordering::SeqCst);
    let (auth, other) = (world.logged_in().await, world.process());
    world.refuse_access();
    world.storage.fail("save");
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    world.storage.recover();
    for _ in 0..2 {
        world.refuse_access();
        assert_eq!(call(&world, &other, "/notes").await, OK);
    }
    let stored = world.storage.stored().await.unwrap();
    assert!(stored.starts_with("refresh-1-2-"), "{stored}");
    world.clock.advance(LIFETIME);
    world.storage.fail("load");
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    assert_eq!(world.storage.stored().await, Some(stored));
    world.storage.recover();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert!(!world.server().ended);
}

#[tokio::test]
async fn a_pair_that_waits_does_not_replace_what_is_another_servers() {
    let world = World::new();
    let auth = world.logged_in().await;
    let text = world.storage.memory.load().await.unwrap().unwrap();
    let another: Secret<String> = text.expose().replace(SERVER, "https://elsewhere.example.com").into();
    world.refuse_access();
    world.storage.fail("save");
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    world.storage.recover();
    world.storage.memory.save(&another).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    assert_eq!(world.storage.memory.load().await.unwrap().unwrap().expose(), another.expose());
}

#[tokio::test]
async fn a_pair_that_waits_signs_nobody_in_again() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.storage.fail("save");
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    world.storage.recover();
    world.process().forget().await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.storage.stored().await, None);
}

#[tokio::test]
async fn a_pair_that_waited_for_too_long_is_refreshed_before_it_is_used() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    world.storage.fail("save");
    assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
    world.clock.advance(LIFETIME);
    world.storage.recover();
    let pair = auth.usable().await.unwrap().unwrap();
    assert!(!pair.is_expired(&world.clock));
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-2-"));
}

#[tokio::test]
async fn a_storage_that_does_not_come_back_is_an_error_in_time() {
    for call_name in ["lock", "load", "save"] {
        let world = World::new();
        let auth = world.process_with(|builder| builder.timeout(Duration::from_millis(100)));
        auth.log_in("ada", "open sesame 42".into()).await.unwrap();
        world.refuse_access();
        world.storage.stick(call_name);
        let called = tokio::time::timeout(Duration::from_secs(60), call(&world, &auth, "/notes")).await;
        assert_eq!(called.unwrap(), Err(ClientErrorKind::Storage), "{call_name}");
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK, "{call_name}");
    }
}

/// Two processes without a lock; the first has changed the password, and could not store what came of it.
async fn with_a_change_that_is_not_stored(world: &World) -> (ClientAuth, ClientAuth) {
    world.storage.unlocked.store(true, Ordering::SeqCst);
    let (auth, other) = (world.logged_in().await, world.process());
    assert_eq!(call(world, &other, "/notes").await, OK);
    world.storage.fail("save");
    auth.change_password("open sesame 42".into(), "open sesame 43".into()).await.unwrap();
    world.refuse_access();
    (auth, other)
}

#[tokio::test]
async fn a_password_that_another_process_changes_ends_nothing_here() {
    let world = World::new();
    let (auth, other) = with_a_change_that_is_not_stored(&world).await;
    let calling = tokio::spawn({
        let (world, other) = (world.clone(), other.clone());
        async move { call(&world, &other, "/notes").await }
    });
    while world.seen("/auth/refresh") < 1 {
        tokio::task::yield_now().await;
    }
    world.storage.recover();
    assert!(auth.is_signed_in().await.unwrap(), "which stores it");
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
    // It was refused with the others; what is stored in its place is not.
    assert!(calling.await.unwrap().is_ok());
    assert!(world.storage.stored().await.is_some());
    world.refuse_access();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn a_changed_passwords_pair_is_stored_though_another_process_took_the_session_for_over() {
    let world = World::new();
    let (auth, other) = with_a_change_that_is_not_stored(&world).await;
    assert_eq!(call(&world, &other, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.storage.stored().await, None);
    world.storage.recover();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert_eq!(call(&world, &other, "/notes").await, OK);
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_or_locked_signs_nobody_out() {
    for call_name in ["load", "lock"] {
        let world = World::new();
        let auth = world.logged_in().await;
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        world.refuse_access();
        world.storage.fail(call_name);
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        assert_eq!(world.seen("/auth/refresh"), 0, "{call_name}: nothing is rotated that might not be stored");
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK);
    }
    let world = World::new();
    world.logged_in().await;
    world.storage.fail("load");
    assert_eq!(call(&world, &world.process(), "/notes").await, Err(ClientErrorKind::Storage), "it is no 401");
}

#[tokio::test]
async fn what_another_program_stored_is_an_error_until_somebody_signs_in() {
    let world = World::new();
    for foreign in ["", "{}", "not ours"] {
        world.storage.memory.save(&foreign.into()).await.unwrap();
        let auth = world.process();
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        assert_eq!(auth.sign_out().await.unwrap_err().kind(), ClientErrorKind::Storage);
    }
    let auth = world.logged_in().await;
    assert_eq!(call(&world, &auth, "/notes").await, OK);

    let elsewhere = ClientAuth::builder("https://elsewhere.example.com").storage(world.storage.clone());
    let elsewhere = elsewhere.build(world.http()).unwrap();
    assert_eq!(elsewhere.access_token().await.unwrap_err().kind(), ClientErrorKind::Storage, "another server's tokens");
}

#[tokio::test]
async fn a_later_process_goes_on_with_what_is_stored() {
    let world = World::new();
    world.logged_in().await;
    let later = world.process();
    assert_eq!((call(&world, &later, "/notes").await, world.seen("/auth/refresh")), (OK, 0));
    world.clock.advance(Duration::from_secs(86_400));
    let much_later = world.process();
    assert_eq!((call(&world, &much_later, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[tokio::test]
async fn what_another_process_refreshed_is_used_and_not_refreshed_again() {
    let world = World::new();
    let one = world.logged_in().await;
    let other = world.process();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    world.refuse_access();
    assert_eq!(call(&world, &one, "/notes").await, OK);
    // Its own refresh token would be a reuse by now.
    world.clock.advance(Duration::from_secs(60));
    let refused = other.usable().await.unwrap().unwrap();
    assert!(!other.after(&refused).await.unwrap().unwrap().is_same_as(&refused));
    assert_eq!((call(&world, &other, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[tokio::test]
async fn who_was_signed_out_by_another_process_is_signed_out() {
    let world = World::new();
    let one = world.logged_in().await;
    let other = world.process();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    one.sign_out().await.unwrap();
    assert_eq!(call(&world, &other, "/notes").await, UNAUTHORIZED);
    assert_eq!((world.seen("/auth/refresh"), world.storage.stored().await), (0, None));

    one.log_in("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &other, "/notes").await, OK, "and signed in with it");
}

#[tokio::test]
async fn a_session_that_another_process_replaced_is_not_cleared() {
    let world = World::new();
    let one = world.logged_in().await;
    world.server().ended = true;
    world.refuse_access();
    world.may_refresh.forget_permits(100_000);
    world.storage.unlocked.store(true, Ordering::SeqCst);
    let calling = tokio::spawn({
        let (world, one) = (world.clone(), one.clone());
        async move { call(&world, &one, "/notes").await }
    });
    while world.seen("/notes") < 1 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    world.logged_in().await;
    world.may_refresh.add_permits(100_000);
    assert_eq!(calling.await.unwrap(), UNAUTHORIZED, "it was another session's");
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-2-0-"));
    assert_eq!(call(&world, &one, "/notes").await, OK);
}

#[tokio::test]
async fn a_session_that_is_over_stays_so_where_the_storage_does_not_forget() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.server().ended = true;
    world.refuse_access();
    world.storage.fail("clear");
    for _ in 0..3 {
        assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    }
    assert_eq!(world.seen("/auth/refresh"), 1);
    auth.log_in("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}
