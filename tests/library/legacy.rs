//! Users whose hashes come from other systems: they log in, and their hash becomes Argon2id.

use portcullis::{
    Auth, ErrorKind, Profile, User,
    store::UserStore,
    user::{Email, NewUser, PasswordHash},
};

use crate::fixture::{World, kind};
use crate::login::log_in;

const PASSWORD: &str = "correct horse battery";

/// Hashes as other systems wrote them, each with its feature.
const ROWS: &[(bool, &str, &str)] = &[
    // A `users` collection of an Express app: Mongoose and `bcryptjs`.
    (cfg!(feature = "bcrypt"), "$2b$", "$2b$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo."),
    (cfg!(feature = "bcrypt"), "$2a$", "$2a$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo."),
    (cfg!(feature = "bcrypt"), "$2y$", "$2y$05$abcdefghijklmnopqrstuuD3mHdCr44zlIZ.VZCaYRpfQhXMYnEo."),
    (
        cfg!(feature = "scrypt"),
        "$scrypt$",
        "$scrypt$ln=14,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$ebnHHTApWa0oNoXTYCCHxLXDaejcvcTRQhZaD1OJNCE",
    ),
    (
        cfg!(feature = "pbkdf2"),
        "$pbkdf2-sha256$",
        "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
    ),
];

async fn migrated(world: &World, hash: &str) -> User {
    let email = "ada@example.com".parse::<Email>().unwrap();
    let new =
        NewUser::new(email, None, PasswordHash::new(hash), Profile::default(), portcullis::clock::Timestamp::EPOCH);
    UserStore::create(&world.store.memory, new).await.unwrap()
}

async fn stored(world: &World, user: &User) -> String {
    world.store.memory.find_by_id(&user.id).await.unwrap().unwrap().password_hash.unwrap()
}

async fn login(auth: &Auth<User>, password: &str) -> Option<ErrorKind> {
    kind(log_in(auth, "ada@example.com", password).await)
}

#[tokio::test]
async fn a_login_replaces_a_legacy_hash_by_argon2id() {
    for (enabled, scheme, hash) in ROWS {
        let world = World::new();
        let auth = world.node();
        let ada = migrated(&world, hash).await;
        assert_eq!(login(&auth, "correct horse batterz").await, Some(ErrorKind::InvalidCredentials), "{scheme}");
        assert_eq!(stored(&world, &ada).await, *hash, "a wrong password changes nothing");
        if !enabled {
            // Without the feature the row cannot be read. That is logged, and a client sees a wrong
            // password.
            assert_eq!(login(&auth, PASSWORD).await, Some(ErrorKind::InvalidCredentials), "{scheme}");
            continue;
        }
        let version = ada.token_version;
        assert_eq!(login(&auth, PASSWORD).await, None, "{scheme}");
        let renewed = stored(&world, &ada).await;
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{scheme}: {renewed}");
        let kept = world.store.memory.find_by_id(&ada.id).await.unwrap().unwrap().token_version;
        assert_eq!(kept, version, "an upgrade ends no session");
        assert_eq!(login(&auth, PASSWORD).await, None, "{scheme}");
        assert_eq!(stored(&world, &ada).await, renewed, "renewed only once");
    }
}

/// Forms in which other systems store Argon2 hashes, made by the reference implementation.
#[tokio::test]
async fn argon2_hashes_of_other_systems_are_verified_and_renewed() {
    for (form, password, hash) in [
        (
            "without a version: 16",
            "password",
            "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        ),
        (
            "version 16",
            "password",
            "$argon2i$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        ),
        (
            "Argon2d",
            "password",
            "$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$lV5dWxY6G2C7o1/DbQSWR0+6T2tZrVNihmbwf7L5Pq8",
        ),
        (
            "version 16 of Argon2id",
            "password",
            "$argon2id$m=65536,t=2,p=1$c29tZXNhbHQ$mA69JKTmZ/FjRvnUp4sXVyh4NhPgzG+xfC7IhLFkNd8",
        ),
        (
            "Argon2i",
            "password",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        ),
        (
            "another order",
            "password",
            "$argon2i$v=19$t=2,p=1,m=65536$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        ),
        (
            "padded",
            "password",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ=$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA=",
        ),
    ] {
        let world = World::new();
        let auth = world.node();
        let ada = migrated(&world, hash).await;
        assert_eq!(login(&auth, "passwore").await, Some(ErrorKind::InvalidCredentials), "{form}");
        assert_eq!(login(&auth, password).await, None, "{form}");
        let renewed = stored(&world, &ada).await;
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{form}: {renewed}");
        assert_eq!(login(&auth, password).await, None, "{form}");
    }
}

/// A hash of `é` in two code points, as an earlier release made it, which did not normalize.
#[tokio::test]
async fn a_hash_of_a_decomposed_password_is_renewed_in_nfc() {
    let world = World::new();
    let auth = world.node();
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dTPA1FxJDUc8051d2GNqSgEt1FhXwRLKcKSZTT+et1s";
    let ada = migrated(&world, hash).await;
    let (composed, decomposed) = ("caf\u{e9} crossing", "cafe\u{301} crossing");
    assert_eq!(login(&auth, decomposed).await, None);
    let renewed = stored(&world, &ada).await;
    assert_ne!(renewed, hash);
    assert_eq!(login(&auth, composed).await, None);
    assert_eq!(login(&auth, decomposed).await, None);
    assert_eq!(stored(&world, &ada).await, renewed, "renewed only once");
}

#[cfg(feature = "bcrypt")]
#[tokio::test]
async fn the_truncation_of_bcrypt_ends_with_the_upgrade() {
    let world = World::new();
    let auth = world.node();
    migrated(&world, "$2b$05$abcdefghijklmnopqrstuuLkMZtUsVwf9Ptg/wgiNv8ZhtnAHnix.").await;
    let long = "0123456789".repeat(8);
    assert_eq!(login(&auth, &long).await, None);
    assert_eq!(login(&auth, &long[..72]).await, Some(ErrorKind::InvalidCredentials), "every byte counts now");
    assert_eq!(login(&auth, &long).await, None);
}

#[cfg(feature = "bcrypt")]
#[tokio::test]
async fn a_login_succeeds_if_its_hash_cannot_be_renewed() {
    let world = World::new();
    let auth = world.node();
    let ada = migrated(&world, ROWS[0].2).await;
    world.store.fail("replace_password_hash", crate::fixture::Failure::Before);
    assert_eq!(login(&auth, PASSWORD).await, None);
    assert_eq!(stored(&world, &ada).await, ROWS[0].2);
    world.store.recover();
    assert_eq!(login(&auth, PASSWORD).await, None);
    assert!(stored(&world, &ada).await.starts_with("$argon2id$"));
}
