//! What an app can add to the password rules: a pepper, forbidden words, and a list of leaks.

use async_trait::async_trait;
use portcullis::{
    Auth, AuthBuilder, Error, ErrorKind, Profile, Registration, Secret, User,
    auth::{Check, ClientInfo},
    password::{BreachCheck, PasswordPolicy},
    store::UserStore,
};

use crate::fixture::{PASSWORD, World, kind, register, start_session};

const OLD: &str = "Zk4vTq8LwXn2Rb6Yc0Mf5Jd9Hs3Gp7Ae";
const NEW: &str = "Bq1Wm7Xt5Kz9Lr3Vn0Cf8Jy2Hs6Gd4Pu";

async fn login(auth: &Auth<User>) -> Option<ErrorKind> {
    log_in(auth, PASSWORD).await
}

#[tokio::test]
async fn a_pepper_is_introduced_and_rotated_login_by_login() {
    let world = World::new();
    let ada = register(&world.node(), "ada").await;
    let stored = async || world.store.memory.find_by_id(&ada.id).await.unwrap().unwrap().password_hash.unwrap();
    let plain = stored().await;
    let (old, new) = (
        world.node_with(|builder| builder.pepper(OLD)),
        world.node_with(|builder| builder.pepper(NEW).retired_pepper(OLD)),
    );
    assert_eq!(login(&old).await, None);
    let first = stored().await;
    assert!(!plain.contains("keyid=") && first.contains(",keyid="), "{plain} {first}");
    assert_eq!(login(&old).await, None);
    assert_eq!(stored().await, first, "renewed once");
    assert_eq!(login(&new).await, None);
    let second = stored().await;
    assert_ne!(first, second);
    // The old pepper is no longer needed. Without any pepper no hash verifies.
    assert_eq!(login(&world.node_with(|builder| builder.pepper(NEW))).await, None);
    assert_eq!(login(&world.node()).await, Some(ErrorKind::InvalidCredentials));
    assert_eq!(stored().await, second);
    for pepper in [OLD, NEW] {
        assert!(!format!("{new:?} {second}").contains(pepper));
    }
}

/// Knows one leaked password, and fails for another password.
struct Leaks;

#[async_trait]
impl BreachCheck for Leaks {
    async fn is_breached(&self, password: &Secret<String>) -> Result<bool, Error> {
        match password.expose().as_str() {
            "nobody can reach it" => Err(ErrorKind::StoreUnavailable.into()),
            password => Ok(password == "leaked years ago"),
        }
    }
}

fn careful(builder: AuthBuilder<User>) -> AuthBuilder<User> {
    builder.breach_check(Leaks).password_policy(PasswordPolicy::default().forbidding(["portcullis"]))
}

/// Returns the code of the field that was refused, or of the error.
fn code<T>(result: Result<T, Error>) -> Option<(String, String)> {
    let error = result.err()?;
    let field = error.fields().first().map(|field| (field.field.to_string(), field.code.to_string()));
    Some(field.unwrap_or_else(|| (String::new(), error.kind().code().to_owned())))
}

#[tokio::test]
async fn leaked_passwords_and_forbidden_words_are_refused() {
    let world = World::new();
    let auth = world.node_with(careful);
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    let client = ClientInfo::unknown();
    for (password, refused) in [
        ("leaked years ago", "breached"),
        ("Portcullis-2026", "forbidden"),
        ("nobody can reach it", "store_unavailable"),
    ] {
        let field =
            |name: &str| (if refused == "store_unavailable" { "" } else { name }.to_owned(), refused.to_owned());
        world.store.take_calls();
        let registration = Registration::new("bob@example.com", password, Profile::default());
        assert_eq!(code(auth.register(registration, &ClientInfo::unknown()).await), Some(field("password")));
        assert_eq!(world.store.take_calls(), 0);
        let change = auth.change_password(&claims, PASSWORD.into(), password.into(), &client);
        assert_eq!(code(change.await), Some(field("new_password")));
        // A caller that does not know the current password learns nothing about the list.
        let change = auth.change_password(&claims, "a wrong guess".into(), "leaked years ago".into(), &client);
        assert_eq!(kind(change.await), Some(ErrorKind::WrongPassword));
    }
    assert_eq!(login(&auth).await, None, "the password is as it was");
}

const COMPOSED: &str = "caf\u{e9} crossing";
const DECOMPOSED: &str = "cafe\u{301} crossing";

async fn log_in(auth: &Auth<User>, password: &str) -> Option<ErrorKind> {
    kind(crate::login::log_in(auth, "ada@example.com", password).await)
}

#[tokio::test]
async fn a_password_is_the_same_in_either_normal_form() {
    for (chosen, typed) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)] {
        let auth = World::new().node();
        let registration = Registration::new("ada@example.com", chosen, Profile::default());
        auth.register(registration, &ClientInfo::unknown()).await.unwrap();
        assert_eq!(log_in(&auth, chosen).await, None, "{chosen:?}");
        assert_eq!(log_in(&auth, typed).await, None, "{typed:?}");
        assert_eq!(log_in(&auth, "cafe crossing").await, Some(ErrorKind::InvalidCredentials));

        let logged_in = crate::login::log_in(&auth, "ada@example.com", typed).await.unwrap();
        let access = logged_in.tokens.access_token.expose();
        let claims = auth.authenticate(access, Check::Stateless).await.unwrap().claims;
        let (current, new) = (typed.into(), format!("{typed} 2").as_str().into());
        auth.change_password(&claims, current, new, &ClientInfo::unknown()).await.unwrap();
        for password in [format!("{chosen} 2"), format!("{typed} 2")] {
            assert_eq!(log_in(&auth, &password).await, None, "{password:?}");
        }
    }
}

#[tokio::test]
async fn the_password_rules_check_the_normal_form() {
    let auth = World::new().node_with(careful);
    // It has eight code points as typed. Four of them are marks.
    for (password, code_of) in [("e\u{301}e\u{300}e\u{302}e\u{308}", "too_short"), ("jose\u{301}.barroso", "personal")]
    {
        let registration = Registration::new("jos\u{e9}.barroso@example.com", password, Profile::default());
        assert_eq!(
            code(auth.register(registration, &ClientInfo::unknown()).await),
            Some(("password".to_owned(), code_of.to_owned()))
        );
    }
}
