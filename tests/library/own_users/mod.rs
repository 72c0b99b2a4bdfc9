//! A user type and a table of an app, with a store of as few lines as possible.

mod account;

use async_trait::async_trait;
use portcullis::{
    Auth, ErrorKind, Registration,
    auth::{Check, ClientInfo},
    store::{StoreError, UserStore, conformance, memory::MemorySessions},
    user::{Login, NewUser, PasswordHash, UserId},
};

use crate::login::log_in;

pub(crate) use self::account::{Account, Accounts, SignUp};

include!("store.rs");

fn auth() -> Auth<Account> {
    crate::auth::builder(Accounts::default(), MemorySessions::default()).build().unwrap()
}

fn sign_up(company: &str) -> Registration<SignUp> {
    Registration::new("Ada@Example.com", "open sesame 42", SignUp { company: company.to_owned() })
}

#[tokio::test]
async fn an_existing_table_works_in_the_whole_flow() {
    let auth = auth();
    let login = Login::either("ada@example.com");
    let client = ClientInfo::unknown();
    auth.register(sign_up("Analytical Engines"), &ClientInfo::unknown()).await.unwrap();
    let taken = auth.register(sign_up("Others"), &ClientInfo::unknown()).await.err().map(|error| error.kind());
    assert_eq!(taken, Some(ErrorKind::EmailTaken));

    let first = log_in(&auth, "ada@example.com", "open sesame 42").await.unwrap();
    let next = auth.refresh(first.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    let claims = auth.authenticate(next.tokens.access_token.expose(), Check::User).await.unwrap().claims;
    assert_eq!((claims.subject().as_str(), claims.has_role("customer")), ("1000", true));

    let (old, new) = ("open sesame 42".into(), "close sesame 43".into());
    let changed = auth.change_password(&claims, old, new, &client).await.unwrap();
    assert!(auth.authenticate(changed.tokens.access_token.expose(), Check::User).await.is_ok());
    let stale = auth.authenticate(next.tokens.access_token.expose(), Check::Stateless).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::TokenRevoked);
    let refused = auth.login(&login, "open sesame 42".into(), &client).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidCredentials);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_over_a_table_of_an_app_keeps_every_promise() {
    let sign_up = || SignUp { company: "Acme".into() };
    conformance::users_by_email(|| async { Accounts::default() }, sign_up).await.assert_kept();
}

#[tokio::test]
async fn an_app_checks_its_registration_fields() {
    let error = auth().register(sign_up("  "), &ClientInfo::unknown()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ValidationFailed);
    assert_eq!(error.fields()[0].field, "company");
}

#[test]
fn the_store_of_an_app_has_at_most_forty_lines() {
    assert!(include_str!("store.rs").lines().count() <= 40);
}
