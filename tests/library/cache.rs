//! The cache of verified tokens: a remembered token is accepted no longer than one that is verified
//! anew.

use std::time::Duration;

use portcullis::{
    Auth, AuthBuilder, ErrorKind, User,
    auth::{Check, ClientInfo, Presented},
    clock::Clock,
    keys::{Key, KeyRing},
};

use crate::fixture::{World, kind, register, start_session};

fn builder(world: &World, ring: KeyRing) -> AuthBuilder<User> {
    Auth::builder(world.store.clone(), world.store.clone())
        .issuer("https://example.com")
        .access_keys(ring)
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .hash_threads(1)
        .clock(world.clock.clone())
}

fn node(world: &World, ring: KeyRing) -> Auth<User> {
    builder(world, ring).build().unwrap()
}

async fn verdict(auth: &Auth<User>, token: &str) -> Option<ErrorKind> {
    kind(auth.authenticate(token, Check::Stateless).await)
}

#[tokio::test]
async fn an_ended_session_is_refused_at_once_on_every_node() {
    let world = World::new();
    let ring = KeyRing::new(Key::generate_ed25519().unwrap());
    let [one, other] = [node(&world, ring.clone()), node(&world, ring)];
    let ada = register(&one, "ada").await;
    let pair = start_session(&one, &ada).await;
    for _ in 0..3 {
        assert_eq!(verdict(&one, &pair.access).await, None);
        assert_eq!(verdict(&other, &pair.access).await, None);
    }
    one.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    assert_eq!(verdict(&one, &pair.access).await, Some(ErrorKind::TokenRevoked));
    other.poll_revocations().await.unwrap();
    assert_eq!(verdict(&other, &pair.access).await, Some(ErrorKind::TokenRevoked));
    let next = start_session(&one, &ada).await;
    assert_eq!(verdict(&one, &next.access).await, None);
    one.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    assert_eq!(verdict(&one, &next.access).await, Some(ErrorKind::TokenRevoked));
}

#[tokio::test]
async fn a_cached_token_is_refused_after_expiry_and_before_issue() {
    let world = World::new();
    let auth = node(&world, KeyRing::new(Key::generate_ed25519().unwrap()));
    let ada = register(&auth, "ada").await;
    let token = start_session(&auth, &ada).await.access;
    assert_eq!(verdict(&auth, &token).await, None);
    let issued = world.clock.now();
    world.clock.set(issued.minus(Duration::from_secs(61)));
    assert_eq!(verdict(&auth, &token).await, Some(ErrorKind::TokenInvalid), "issued in the future");
    for (after, expected) in [(0, None), (899, None), (900, Some(ErrorKind::TokenExpired)), (899, None)] {
        world.clock.set(issued.plus(Duration::from_secs(after)));
        for _ in 0..2 {
            assert_eq!(verdict(&auth, &token).await, expected, "{after} s");
        }
    }
}

#[tokio::test]
async fn a_cached_token_is_refused_when_its_key_expires() {
    let world = World::new();
    let [old, new] = [Key::generate_ed25519().unwrap(), Key::generate_ed25519().unwrap()];
    let signing = node(&world, KeyRing::new(old.clone()));
    let ada = register(&signing, "ada").await;
    // A node that missed the rotation still signs with the old key. Its token outlives that key.
    let quarter = Duration::from_secs(900);
    let retired_at = world.clock.now().minus(Duration::from_secs(870));
    let ring = KeyRing::new(new).with_retired(old, retired_at).with_max_token_lifetime(quarter);
    let auth = node(&world, ring);
    let token = start_session(&signing, &ada).await.access;
    for (advance, expected) in
        [(0, None), (89, None), (1, Some(ErrorKind::TokenInvalid)), (60, Some(ErrorKind::TokenInvalid))]
    {
        world.clock.advance(Duration::from_secs(advance));
        for _ in 0..2 {
            assert_eq!(verdict(&auth, &token).await, expected, "{advance}");
        }
    }
    assert_eq!(verdict(&signing, &token).await, None, "its own exp is still ahead");
}

#[tokio::test]
async fn every_size_of_the_cache_gives_the_same_answers() {
    let world = World::new();
    let key = Key::generate_ed25519().unwrap();
    for bytes in [0, 1, 4096, 1 << 20] {
        let auth = builder(&world, KeyRing::new(key.clone())).token_cache(bytes).build().unwrap();
        let ada = register(&auth, &format!("ada{bytes}")).await;
        let mut tokens = Vec::new();
        for _ in 0..20 {
            tokens.push(start_session(&auth, &ada).await.access);
        }
        for token in tokens.iter().chain(&tokens) {
            assert_eq!(verdict(&auth, token).await, None);
            assert_eq!(verdict(&auth, &token[..token.len() - 1]).await, Some(ErrorKind::TokenInvalid));
        }
    }
}
