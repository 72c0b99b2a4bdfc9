//! Storages that fail, and processes that share one.

use super::*;

#[tokio::test]
async fn a_pair_that_cannot_be_stored_is_not_used_and_not_lost() {
    let world = World::new();
    let auth = world.signed_in().await;
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
async fn a_save_that_left_nothing_behind_is_made_good() {
    let world = World::new();
    let auth = world.signed_in().await;
    for left in [None, Some("half of somethi")] {
        world.refuse_access();
        world.storage.fail("save");
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        match left {
            None => world.storage.memory.clear().await.unwrap(),
            Some(left) => world.storage.memory.save(&left.into()).await.unwrap(),
        }
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        assert!(world.storage.stored().await.is_some());
    }
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_or_locked_signs_nobody_out() {
    for call_name in ["load", "lock"] {
        let world = World::new();
        let auth = world.signed_in().await;
        assert_eq!(call(&world, &auth, "/notes").await, OK);
        world.refuse_access();
        world.storage.fail(call_name);
        assert_eq!(call(&world, &auth, "/notes").await, Err(ClientErrorKind::Storage));
        assert_eq!(world.seen("/auth/refresh"), 0, "{call_name}: nothing is rotated that might not be stored");
        world.storage.recover();
        assert_eq!(call(&world, &auth, "/notes").await, OK);
    }
    let world = World::new();
    world.signed_in().await;
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
    let auth = world.signed_in().await;
    assert_eq!(call(&world, &auth, "/notes").await, OK);

    let elsewhere = ClientAuth::builder("https://elsewhere.example.com").storage(world.storage.clone());
    let elsewhere = elsewhere.build(world.http()).unwrap();
    assert_eq!(elsewhere.access_token().await.unwrap_err().kind(), ClientErrorKind::Storage, "another server's tokens");
}

#[tokio::test]
async fn a_later_process_goes_on_with_what_is_stored() {
    let world = World::new();
    world.signed_in().await;
    let later = world.process();
    assert_eq!((call(&world, &later, "/notes").await, world.seen("/auth/refresh")), (OK, 0));
    world.clock.advance(Duration::from_secs(86_400));
    let much_later = world.process();
    assert_eq!((call(&world, &much_later, "/notes").await, world.seen("/auth/refresh")), (OK, 1));
}

#[tokio::test]
async fn what_another_process_refreshed_is_used_and_not_refreshed_again() {
    let world = World::new();
    let one = world.signed_in().await;
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
    let one = world.signed_in().await;
    let other = world.process();
    assert_eq!(call(&world, &other, "/notes").await, OK);
    one.sign_out().await.unwrap();
    assert_eq!(call(&world, &other, "/notes").await, UNAUTHORIZED);
    assert_eq!((world.seen("/auth/refresh"), world.storage.stored().await), (0, None));

    one.sign_in("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &other, "/notes").await, OK, "and signed in with it");
}

#[tokio::test]
async fn a_session_that_another_process_replaced_is_not_cleared() {
    let world = World::new();
    let one = world.signed_in().await;
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
    world.signed_in().await;
    world.may_refresh.add_permits(100_000);
    assert_eq!(calling.await.unwrap(), OK);
    assert!(world.storage.stored().await.unwrap().starts_with("refresh-2-0-"));
}

#[tokio::test]
async fn a_session_that_is_over_stays_so_where_the_storage_does_not_forget() {
    let world = World::new();
    let auth = world.signed_in().await;
    world.server().ended = true;
    world.refuse_access();
    world.storage.fail("clear");
    for _ in 0..3 {
        assert_eq!(call(&world, &auth, "/notes").await, UNAUTHORIZED);
    }
    assert_eq!(world.seen("/auth/refresh"), 1);
    auth.sign_in("ada", "open sesame 42".into()).await.unwrap();
    assert_eq!(call(&world, &auth, "/notes").await, OK);
}
