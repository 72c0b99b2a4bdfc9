//! Key rings of every algorithm in whole flows, and forged tokens that never reach a store.

use std::time::Duration;

use portcullis::{
    Auth, AuthBuilder, ErrorKind, User,
    auth::{Check, ClientInfo, Presented},
    keys::{Algorithm, Key, KeyRing},
};

use crate::fixture::{World, kind, register, start_session};
use crate::temp_dir::TempDir;

const RSA: &str = include_str!("../keys/rsa2048.pem");
const REFRESH: &str = "Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs";

fn keys() -> Vec<Key> {
    let secret = "A0b1C2d3E4f5G6h7I8j9K0l1M2n3O4p5Q6r7S8t9U0v1W2x3Y4z5a6B7c8D9e0F1";
    let rsa = Key::from_pem(RSA).unwrap();
    let hmac = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let mut keys: Vec<Key> =
        hmac.map(|algorithm| Key::from_secret(secret).unwrap().with_algorithm(algorithm).unwrap()).to_vec();
    keys.push(Key::from_pem(include_str!("../keys/ed25519.pem")).unwrap());
    keys.push(Key::from_pem(include_str!("../keys/p256.pem")).unwrap());
    keys.push(rsa.clone());
    keys.push(rsa.with_algorithm(Algorithm::PS256).unwrap());
    keys
}

fn builder(world: &World) -> AuthBuilder<User> {
    Auth::builder(world.store.clone(), world.store.clone())
        .issuer("https://example.com")
        .hash_threads(1)
        .clock(world.clock.clone())
}

fn node(world: &World, key: &Key) -> Auth<User> {
    builder(world).access_keys(KeyRing::new(key.clone())).refresh_secret(REFRESH).build().unwrap()
}

#[tokio::test]
async fn every_algorithm_serves_a_whole_session() {
    for key in keys() {
        let world = World::new();
        // Keys are also used the other way round: such a key can sign refresh tokens too.
        let refreshing =
            builder(&world).access_secret(REFRESH).refresh_keys(KeyRing::new(key.clone())).build().unwrap();
        for auth in [node(&world, &key), refreshing] {
            let ada = register(&auth, &format!("ada{}", world.store.take_calls())).await;
            let first = start_session(&auth, &ada).await;
            let second = auth.refresh(&first.refresh, &ClientInfo::unknown()).await.unwrap().tokens;
            let access = second.access_token.expose();
            assert!(auth.authenticate(access, Check::User).await.is_ok(), "{key:?}");
            auth.logout(&Presented::refresh(second.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
            assert_eq!(kind(auth.authenticate(access, Check::Stateless).await), Some(ErrorKind::TokenRevoked));
            assert_eq!(
                kind(auth.refresh(second.refresh_token.expose(), &ClientInfo::unknown()).await),
                Some(ErrorKind::RefreshInvalid)
            );
        }
    }
}

#[tokio::test]
async fn a_forged_token_never_reaches_a_store() {
    for key in keys() {
        let world = World::new();
        let auth = node(&world, &key);
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        world.store.take_calls();
        for genuine in [&pair.access, &pair.refresh] {
            let (message, signature) = genuine.rsplit_once('.').unwrap();
            let turned: String = signature.chars().rev().collect();
            for forged in [format!("{message}."), format!("{message}.{turned}"), format!("{message}.AAAA")] {
                for check in [Check::Stateless, Check::Session, Check::User] {
                    assert_eq!(kind(auth.authenticate(&forged, check).await), Some(ErrorKind::TokenInvalid));
                }
                assert_eq!(kind(auth.refresh(&forged, &ClientInfo::unknown()).await), Some(ErrorKind::RefreshInvalid));
                let _ = auth.logout(&Presented::refresh(&forged).with_access(&forged), &ClientInfo::unknown()).await;
            }
        }
        assert_eq!(world.store.take_calls(), 0, "{key:?}");
        assert!(auth.authenticate(&pair.access, Check::User).await.is_ok());
    }
}

#[tokio::test]
async fn a_leaked_key_is_dropped_and_its_tokens_with_it() {
    let world = World::new();
    let [leaked, new] = [Key::generate_ed25519().unwrap(), Key::generate_ed25519().unwrap()];
    let before = node(&world, &leaked);
    let ada = register(&before, "ada").await;
    let pair = start_session(&before, &ada).await;
    let after = node(&world, &new);
    assert_eq!(kind(after.authenticate(&pair.access, Check::Stateless).await), Some(ErrorKind::TokenInvalid));
    let next = after.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap().tokens;
    assert!(after.authenticate(next.access_token.expose(), Check::Stateless).await.is_ok());
    assert!(!after.jwks().contains(leaked.kid()));
}

#[tokio::test]
async fn a_token_of_an_earlier_longer_lifetime_is_accepted() {
    let world = World::new();
    let key = Key::generate_ed25519().unwrap();
    let two_days = Duration::from_secs(2 * 86_400);
    let long = || builder(&world).refresh_secret(REFRESH).access_lifetime(Duration::from_secs(86_400));
    let before = long().access_keys(KeyRing::new(key.clone())).build().unwrap();
    let ada = register(&before, "ada").await;
    let token = start_session(&before, &ada).await.access;
    // The current lifetime is 15 minutes. The longest of the ring is a day by default.
    let ring = KeyRing::new(Key::generate_ed25519().unwrap())
        .with_retired(key.clone(), portcullis::clock::Clock::now(&world.clock));
    let today = builder(&world).refresh_secret(REFRESH).access_keys(ring.clone()).build().unwrap();
    let longer =
        builder(&world).refresh_secret(REFRESH).access_keys(ring.with_max_token_lifetime(two_days)).build().unwrap();
    world.clock.advance(Duration::from_secs(86_399));
    assert!(today.authenticate(&token, Check::Stateless).await.is_ok());
    world.clock.advance(Duration::from_secs(62));
    assert!(!today.jwks().contains(key.kid()));
    assert!(longer.jwks().contains(key.kid()));
    assert_eq!(kind(longer.authenticate(&token, Check::Stateless).await), Some(ErrorKind::TokenExpired));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_key() {
    let jwk = Key::from_pem(RSA).unwrap().public_jwk().unwrap();
    let bare = [Key::from_pem(RSA).unwrap(), Key::from_jwk(&jwk).unwrap()];
    let marked = [Key::from_pem(format!("\u{feff}{RSA}")).unwrap(), Key::from_jwk(&format!("\u{feff}{jwk}")).unwrap()];
    assert_eq!(bare.each_ref().map(Key::kid), marked.each_ref().map(Key::kid));

    let directory = TempDir::new();
    let write = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        Key::from_file(path)
    };
    assert_eq!(write("key.pem", format!("\u{feff}{RSA}").as_bytes()).unwrap().kid(), bare[0].kid());
    assert_eq!(write("key.json", format!("\u{feff}{jwk}\r\n").as_bytes()).unwrap().kid(), bare[1].kid());
    // A redirection in PowerShell writes this.
    let utf16: Vec<u8> = format!("\u{feff}{RSA}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused = write("utf16.pem", &utf16).unwrap_err().to_string();
    assert!(refused.contains("UTF-16") && refused.contains("UTF-8"), "{refused}");
}
