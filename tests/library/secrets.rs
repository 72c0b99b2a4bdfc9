//! No secret, token, hash or password in `Debug` or in logs.

use std::time::Duration;

use portcullis::{
    Secret,
    auth::{Check, ClientInfo, Presented},
};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::fixture::{Failure, World, kind, register, start_session};
use crate::log_buffer::LogBuffer;
use crate::login::log_in;

#[tokio::test]
async fn neither_debug_nor_the_log_at_trace_shows_a_secret() {
    let log = LogBuffer::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE);
    // A closing span shows all its fields.
    let subscriber = subscriber.with_span_events(FmtSpan::CLOSE).finish();
    // It is set for all tests of this binary, whose logs must be free of secrets too.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let world = World::new();
    let auth = world.node();
    let mut shown = Vec::new();
    let ada = register(&auth, "ada").await;
    shown.push(format!("{ada:?} {auth:?}"));
    let logged_in = log_in(&auth, "ada@example.com", "open sesame 42").await.unwrap();
    shown.push(format!("{logged_in:?}"));
    let first = logged_in.tokens.refresh_token.expose().clone();
    let second = auth.refresh(&first, &ClientInfo::unknown()).await.unwrap();
    let authenticated = auth.authenticate(second.tokens.access_token.expose(), Check::User).await.unwrap();
    shown.push(format!("{authenticated:?} {:?}", authenticated.claims));
    for wrong in ["canary-password", "open sesame 43"] {
        shown.push(format!("{:?}", log_in(&auth, "ada@example.com", wrong).await.unwrap_err()));
    }
    world.clock.advance(Duration::from_secs(60));
    shown.push(format!("{:?}", auth.refresh(&first, &ClientInfo::unknown()).await.unwrap_err()));
    let other = start_session(&auth, &ada).await;
    world.store.fail("*", Failure::Before);
    shown.push(format!(
        "{:?} {:?}",
        kind(auth.refresh(&other.refresh, &ClientInfo::unknown()).await),
        auth.logout(&Presented::refresh(&other.refresh), &ClientInfo::unknown()).await
    ));
    world.store.recover();
    let session = auth.sessions(&ada.id).await.unwrap();
    shown.push(format!("{session:?}"));
    shown.push(log.text());

    let tokens = [&first, second.tokens.access_token.expose(), second.tokens.refresh_token.expose(), &other.refresh];
    let hash = ada.password_hash.clone().unwrap();
    let mut canaries = vec!["open sesame 42", "canary-password", &hash, "Jo8mWqk1Yb0cK3zv", "Qe7uAa4VxZi1Rk9p"];
    // The signature alone shows that a token was written out.
    canaries.extend(tokens.iter().filter_map(|token| token.rsplit('.').next()));
    for text in &shown {
        for canary in &canaries {
            assert!(!text.contains(canary), "{canary} is in {text}");
        }
    }
    assert!(shown.last().unwrap().contains("was used twice"), "the log was captured");
    assert!(shown.last().unwrap().contains("portcullis.refresh"), "and the spans");
}

#[test]
fn a_secret_is_redacted_wherever_it_is_nested() {
    let secret: Secret<String> = "canary".into();
    assert_eq!(format!("{:?} {:#?}", Some(&secret), secret), "Some(Secret([redacted])) Secret([redacted])");
}
