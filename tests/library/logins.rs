//! One account for all spellings of an e-mail address, and addresses that a registration refuses.

use portcullis::{
    Auth, ErrorKind, Profile, Registration, User,
    auth::ClientInfo,
    clock::Timestamp,
    store::UserStore,
    user::{Email, Login, NewUser, PasswordHash},
};

use crate::fixture::{PASSWORD, World, kind};

async fn register(auth: &Auth<User>, email: &str) -> Option<ErrorKind> {
    kind(auth.register(Registration::new(email, PASSWORD, Profile::default()), &ClientInfo::unknown()).await)
}

async fn log_in(auth: &Auth<User>, login: &str) -> Option<ErrorKind> {
    kind(crate::login::log_in(auth, login, PASSWORD).await)
}

#[tokio::test]
async fn the_spellings_of_an_address_are_one_account() {
    for (registered, others) in [
        ("νίκος@example.com", &["ΝΊΚΟΣ@EXAMPLE.COM", "νίκοσ@example.com", "ΝΊΚΟς@example.com"][..]),
        ("ΟΔΥΣΣΕΎΣ.Α@example.com", &["οδυσσεύς.α@example.com", "οδυσσεύσ.α@example.com"]),
        ("max@bücher.example", &["max@xn--bcher-kva.example", "MAX@BÜCHER.EXAMPLE", "max@bu\u{308}cher.example"]),
        ("MAX@XN--BCHER-KVA.example", &["max@bücher.example"]),
        ("jos\u{e9}@example.com", &["jose\u{301}@example.com", "JOSE\u{301}@example.com"]),
        ("jose\u{301}@example.com", &["jos\u{e9}@example.com", "JOS\u{c9}@example.com"]),
    ] {
        let auth = World::new().node_with(portcullis::AuthBuilder::no_throttle);
        assert_eq!(register(&auth, registered).await, None, "{registered}");
        assert_eq!(log_in(&auth, registered).await, None, "{registered}");
        for other in others {
            assert_eq!(register(&auth, other).await, Some(ErrorKind::EmailTaken), "{other} beside {registered}");
            assert_eq!(log_in(&auth, other).await, None, "{other} for {registered}");
        }
    }
}

#[tokio::test]
async fn a_full_width_spelling_finds_its_account() {
    let auth = World::new().node();
    assert_eq!(register(&auth, "ada@example.com").await, None);
    for typed in ["ada@\u{ff45}xample.com", "ada@example\u{3002}com", "ada@exam\u{ad}ple.com"] {
        assert_eq!(log_in(&auth, typed).await, None, "{typed:?}");
        assert_eq!(register(&auth, typed).await, Some(ErrorKind::ValidationFailed), "{typed:?}");
    }
}

/// A login whose earlier key differs is looked up under both keys, whether or not a user has it.
#[tokio::test]
async fn a_login_with_two_keys_does_not_reveal_which_users_exist() {
    let world = World::new();
    let auth = world.node();
    assert_eq!(register(&auth, "νίκος@example.com").await, None);
    for (typed, calls) in [
        ("ΝΊΚΟΣ@example.com", 2),
        ("ΝΊΚΟΣ@example.org", 2),
        ("νίκοσ@example.com", 1),
        ("νίκοσ@example.org", 1),
        ("max@bücher.example", 2),
        ("ada@example.com", 1),
    ] {
        world.store.take_calls();
        let answer = crate::login::log_in(&auth, typed, "a wrong guess").await;
        assert_eq!(kind(answer), Some(ErrorKind::InvalidCredentials), "{typed}");
        assert_eq!(world.store.take_calls(), calls, "{typed}");
    }
}

#[test]
fn look_alikes_of_an_address_are_refused() {
    for bad in [
        // Invisible letters.
        "ada\u{3164}@example.com",
        "ada\u{115f}@example.com",
        "ada\u{1160}@example.com",
        "ada\u{ffa0}@example.com",
        "ada\u{200b}@example.com",
        "ada\u{200d}@example.com",
        "ada\u{202e}@example.com",
        "ada\u{34f}@example.com",
        "ada\u{fe0f}@example.com",
        "ada\u{e0061}@example.com",
        "ada@exam\u{200b}ple.com",
        "ada@exam\u{3164}ple.com",
        // Characters whose compatibility form is ASCII.
        "ada\u{ff20}example.com",
        "ada\u{ff20}evil@example.com",
        "ada\u{fe6b}evil@example.com",
        "\u{ff41}da@example.com",
        "ada@\u{ff45}xample.com",
        "ada@example\u{3002}com",
        "ada@example\u{ff0e}com",
        "\u{fb01}ona@example.com",
        "je\u{17f}\u{17f}e@example.com",
        // Quoted local parts.
        "\"ada\"@example.com",
        "\"ada@evil\"@example.com",
        "\"\u{3164}\"@example.com",
        // Domains that IDNA does not allow.
        "ada@xn--a.example",
        "ada@xn--.example",
    ] {
        assert_eq!(bad.parse::<Email>().map_err(|error| error.code).unwrap_err(), "invalid_email", "{bad:?}");
    }
    for good in
        ["ada@example.com", "straße@straße.example", "用户@例子.广告", "ma\u{131}@example.com", "ada+x@example.com"]
    {
        assert!(good.parse::<Email>().is_ok(), "{good:?}");
    }
}

#[test]
fn the_key_of_an_ascii_address_stays_the_same() {
    for (text, key) in [
        (" Ada.Lovelace+x@Example.COM\n", "ada.lovelace+x@example.com"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--A.example", "ada@xn--a.example"),
        ("\"Ada\"@example.com", "\"ada\"@example.com"),
        ("no address", "no address"),
    ] {
        assert_eq!(Login::email(text).key(), key);
    }
}

/// Rows of an earlier release, or of another app, with addresses that are refused today.
#[tokio::test]
async fn a_user_with_an_address_that_is_refused_today_logs_in() {
    let world = World::new();
    let auth = world.node();
    assert_eq!(register(&auth, "ada@example.com").await, None);
    let hash = world.store.memory.find_by_login(&Login::email("ada@example.com")).await.unwrap().unwrap();
    let hash = PasswordHash::new(hash.password_hash.unwrap());
    for (number, old) in
        ["eve\u{3164}@example.com", "\"Eve\"@example.com", "eve\u{ff20}x@example.com"].iter().enumerate()
    {
        let email = format!("eve{number}@example.com").parse::<Email>().unwrap();
        let new = NewUser::new(email, None, hash.clone(), Profile::default(), Timestamp::EPOCH);
        let eve = UserStore::create(&world.store.memory, new).await.unwrap();
        world.store.rename(&eve.id, old);
        assert_eq!(log_in(&auth, old).await, None, "{old:?}");
        assert_eq!(
            kind(auth.login(&Login::email(old), "a wrong guess".into(), &ClientInfo::unknown()).await),
            Some(ErrorKind::InvalidCredentials)
        );
    }
}
