//! Storages that fail, and processes that share a storage.

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
    assert_eq!(world.seen("/auth/refresh"), 1, "the waiting pair is stored before another one is requested");
    let sent: Vec<_> = world.server().seen.iter().map(|(_, bearer)| bearer.clone()).collect();
    assert!(sent.iter().all(|bearer| !bearer.starts_with("Bearer access-1-1-")), "{sent:?}");

    // Long after the end of the grace.
    world.clock.advance(Duration::from_secs(60));
    world.storage.recover();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
    world.refuse_access();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert!(!world.server().ended);
}

#[tokio::test]
async fn the_next_call_stores_a_waiting_pair() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.clock.advance(Duration::from_secs(880));
    world.storage.fail("save");
    assert_eq!(call(&world, &auth, "/notes").await, OK, "the old token is still valid");
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-0-"));
    world.storage.recover();
    assert_eq!((call(&world, &auth, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
}

#[tokio::test]
async fn a_save_that_stored_a_part_of_the_text_is_repeated() {
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
async fn a_waiting_pair_does_not_replace_an_unreadable_one() {
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
async fn a_waiting_pair_does_not_replace_that_of_another_server() {
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
async fn a_waiting_pair_does_not_undo_a_logout() {
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
async fn a_waiting_pair_that_has_expired_is_refreshed_before_use() {
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
async fn a_storage_that_hangs_is_an_error_in_time() {
    for call_name in ["lock", "load", "save"] {
        let world = World::new();
        let auth = world.process_with(|builder| builder.timeout(Duration::from_millis(100)));
        auth.login("ada", "open sesame 42".into()).await.unwrap();
        world.refuse_access();
        world.storage.hang(call_name);
        let called = tokio::time::timeout(Duration::from_secs(60), call(&world, &auth, "/notes")).await;
        assert_eq!(called.unwrap(), Err(ClientErrorKind::Storage), "{call_name}");
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK, "{call_name}");
    }
}

/// Returns two processes without a lock. The first has changed the password and could not store the
/// new pair.
async fn with_unsaved_password_change(world: &World) -> (ClientAuth, ClientAuth) {
    world.storage.unlocked.store(true, Ordering::SeqCst);
    let (auth, other) = (world.logged_in().await, world.process());
    assert_eq!(call(world, &other, "/notes").await, OK);
    world.storage.fail("save");
    auth.change_password("open sesame 42".into(), "open sesame 43".into()).await.unwrap();
    world.refuse_access();
    (auth, other)
}

#[tokio::test]
async fn a_password_change_by_another_process_ends_no_session_here() {
    let world = World::new();
    let (auth, other) = with_unsaved_password_change(&world).await;
    let calling = tokio::spawn({
        let (world, other) = (world.clone(), other.clone());
        async move { call(&world, &other, "/notes").await }
    });
    while world.seen("/auth/refresh") < 1 {
        tokio::task::yield_now().await;
    }
    world.storage.recover();
    assert!(auth.is_logged_in().await.unwrap(), "this call stores the pair");
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-1-1-"));
    // Its pair was refused, and the newly stored pair is not.
    assert!(calling.await.unwrap().is_ok());
    assert!(world.storage.stored().await.is_some());
    world.refuse_access();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}

#[tokio::test]
async fn the_pair_of_a_password_change_is_stored_after_a_clear() {
    let world = World::new();
    let (auth, other) = with_unsaved_password_change(&world).await;
    assert_eq!(call(&world, &other, "/notes").await, UNAUTHORIZED);
    assert_eq!(world.storage.stored().await, None);
    world.storage.recover();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
    assert_eq!(call(&world, &other, "/notes").await, OK);
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_or_locked_ends_no_session() {
    for call_name in ["load", "lock"] {
        let world = World::new();
        let auth = world.logged_in().await;
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        world.refuse_access();
        world.storage.fail(call_name);
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        assert_eq!(world.seen("/auth/refresh"), 0, "{call_name}: no rotation without a working storage");
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK);
    }
    let world = World::new();
    world.logged_in().await;
    world.storage.fail("load");
    assert_eq!(call(&world, &world.process(), "/notes").await, Err(ClientErrorKind::Storage), "it is no 401");
}

#[tokio::test]
async fn foreign_text_in_the_storage_is_an_error_until_a_login() {
    let world = World::new();
    for foreign in ["", "{}", "not ours"] {
        world.storage.memory.save(&foreign.into()).await.unwrap();
        let auth = world.process();
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        assert_eq!(auth.logout().await.unwrap_err().kind(), ClientErrorKind::Storage);
    }
    let auth = world.logged_in().await;
    assert_eq!(call(&world, &auth, "/notes").await, OK);

    let elsewhere = ClientAuth::builder("https://elsewhere.example.com").storage(world.storage.clone());
    let elsewhere = elsewhere.build(world.http()).unwrap();
    assert_eq!(elsewhere.access_token().await.unwrap_err().kind(), ClientErrorKind::Storage, "another server's tokens");
}

#[tokio::test]
async fn a_later_process_uses_the_stored_session() {
    let world = World::new();
    world.logged_in().await;
    let later = world.process();
    assert_eq!((call(&world, &later, "/notes").await, world.seen("/auth/refresh")), (OK, 0));
    world.clock.advance(Duration::from_secs(86_400));
    let much_later = world.process();
    assert_eq!((call(&world, &much_later, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[tokio::test]
async fn a_pair_that_another_process_refreshed_is_used() {
    let world = World::new();
    let one = world.logged_in().await;
    let other = world.process();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    world.refuse_access();
    assert_eq!(call(&world, &one, "/notes").await, OK);
    // A use of its own refresh token would be a reuse now.
    world.clock.advance(Duration::from_secs(60));
    let refused = other.usable().await.unwrap().unwrap();
    assert!(!other.replacement_of(&refused).await.unwrap().unwrap().is_same_as(&refused));
    assert_eq!((call(&world, &other, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[tokio::test]
async fn a_logout_in_one_process_holds_in_the_others() {
    let world = World::new();
    let one = world.logged_in().await;
    let other = world.process();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    one.logout().await.unwrap();
    assert_eq!(call(&world, &other, "/notes").await, UNAUTHORIZED);
    assert_eq!((world.seen("/auth/refresh"), world.storage.stored().await), (0, None));

    one.login("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &other, "/notes").await, OK, "a login holds in the others as well");
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
    assert_eq!(calling.await.unwrap(), UNAUTHORIZED, "the request belonged to another session");
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-2-0-"));
    assert_eq!(call(&world, &one, "/notes").await, OK);
}

#[tokio::test]
async fn an_ended_session_stays_ended_though_the_storage_keeps_it() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.server().ended = true;
    world.refuse_access();
    world.storage.fail("clear");
    for _ in 0..3 {
        assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    }
    assert_eq!(world.seen("/auth/refresh"), 1);
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}
