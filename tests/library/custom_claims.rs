//! Custom claims: written at issue, read as the type of the app, and never under a name of this
//! crate.

use portcullis::{
    Auth, Claims, ErrorKind, User,
    auth::{Check, ClientInfo},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fixture::{World, kind, register, start_session};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan<'a> {
    tenant: &'a str,
    seats: u32,
}

fn with_claims(world: &World, claims: impl Fn(&User) -> Value + Send + Sync + 'static) -> Auth<User> {
    world.node_with(|builder| builder.custom_claims(claims))
}

async fn claims(auth: &Auth<User>, token: &str) -> Claims {
    auth.authenticate(token, Check::Stateless).await.unwrap().claims
}

#[tokio::test]
async fn custom_claims_are_read_as_a_type_after_login_and_refresh() {
    let world = World::new();
    let auth = with_claims(&world, |user| json!({ "tenant": user.email, "seats": 3 }));
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let next = auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap().tokens;
    for token in [&pair.access, next.access_token.expose()] {
        let claims = claims(&auth, token).await;
        assert_eq!(claims.custom::<Plan<'_>>().unwrap(), Plan { tenant: "ada@example.com", seats: 3 });
        assert_eq!(claims.subject(), &ada.id);
        assert!(!format!("{claims:?}").contains("ada@example.com"));
    }
}

#[tokio::test]
async fn a_custom_claim_with_a_reserved_name_issues_no_token() {
    let world = World::new();
    let ada = register(&world.node(), "ada").await;
    for taken in ["sub", "exp", "roles", "ver", "sid", "iss", "aud", "nbf"] {
        let auth = with_claims(&world, move |_| json!({ taken: "admin" }));
        let error = auth.start_session(&ada, &ClientInfo::unknown()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{taken}");
        assert!(format!("{error:?}").contains(taken));
    }
}

#[tokio::test]
async fn a_token_without_custom_claims_is_accepted() {
    let world = World::new();
    let before = world.node();
    let ada = register(&before, "ada").await;
    let old = start_session(&before, &ada).await.access;
    let auth = with_claims(&world, |_| json!({ "tenant": "acme", "seats": 3 }));
    let claims = claims(&auth, &old).await;
    assert_eq!(kind(claims.custom::<Plan<'_>>()), Some(ErrorKind::TokenInvalid));
    assert_eq!(claims.custom::<Value>().unwrap()["sub"], json!(ada.id.as_str()));
    let new = start_session(&auth, &ada).await.access;
    let unaware = before.authenticate(&new, Check::Stateless).await.unwrap().claims;
    assert_eq!(kind(unaware.custom::<Value>()), Some(ErrorKind::Internal), "this node was built without");
}
