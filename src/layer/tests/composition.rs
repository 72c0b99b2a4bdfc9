//! Runs every combination of guard methods in every order against users and sessions that changed.

use super::*;
use crate::{store::UserStore, user::UserId};

/// A method of the guard that adds a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    LoadUser,
    CheckSession,
    Role,
    Scope,
    Claims,
}

const METHODS: [Method; 5] = [Method::LoadUser, Method::CheckSession, Method::Role, Method::Scope, Method::Claims];

impl Method {
    fn apply(self, layer: AuthLayer<User>) -> AuthLayer<User> {
        match self {
            Self::LoadUser => layer.load_user(),
            Self::CheckSession => layer.check_session(),
            Self::Role => layer.role("admin"),
            Self::Scope => layer.scope("notes:write"),
            Self::Claims => layer.check_claims(|claims| claims.subject().as_str() != "banned"),
        }
    }
}

/// What is wrong with the bearer of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Nothing,
    Disabled,
    Demoted,
    EndedElsewhere,
    DisabledAndEndedElsewhere,
    DemotedAndEndedElsewhere,
}

/// Returns the first refusal: token, session, user, and then the requirements in the order in which
/// they were added.
fn expected(fault: Fault, methods: &[Method]) -> Option<&'static str> {
    use Fault::{Demoted, DemotedAndEndedElsewhere, Disabled, DisabledAndEndedElsewhere, EndedElsewhere};
    let loads = methods.contains(&Method::LoadUser);
    let ended = matches!(fault, EndedElsewhere | DisabledAndEndedElsewhere | DemotedAndEndedElsewhere);
    let disabled = matches!(fault, Disabled | DisabledAndEndedElsewhere);
    let demoted = matches!(fault, Demoted | DemotedAndEndedElsewhere);
    if (methods.contains(&Method::CheckSession) && ended) || (loads && disabled) {
        Some("token_revoked")
    } else if methods.contains(&Method::Role) && loads && demoted {
        Some("insufficient_role")
    } else {
        None
    }
}

/// Every ordered selection of the methods, the empty one included.
fn selections() -> Vec<Vec<Method>> {
    let (mut all, mut longest) = (vec![Vec::new()], vec![Vec::new()]);
    for _ in METHODS {
        let longer = |before: &Vec<Method>| {
            let unused = METHODS.into_iter().filter(|method| !before.contains(method));
            unused.map(|method| [&before[..], &[method]].concat()).collect::<Vec<_>>()
        };
        longest = longest.iter().flat_map(longer).collect();
        all.extend(longest.iter().cloned());
    }
    all
}

fn node(store: &MemoryStore) -> Auth<User> {
    Auth::builder(store.clone(), store.clone())
        .issuer("https://example.com")
        .access_secret("Jo8mWqk1Yb0cK3zv6Nf2Xr9TtLsD5hGe")
        .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
        .custom_claims(|_: &User| serde_json::json!({ "scope": "notes:write" }))
        .build()
        .unwrap()
}

/// Returns a node that has read the revocations, and the token of an admin. The fault happened
/// after that.
pub(super) async fn admin_with(fault: Fault) -> (Auth<User>, String) {
    use Fault::{Demoted, DemotedAndEndedElsewhere, Disabled, DisabledAndEndedElsewhere, EndedElsewhere};
    let store = MemoryStore::new();
    let (here, there) = (node(&store), node(&store));
    let user = here
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let id: UserId = user.id;
    store.set_roles(&id, &["admin".into()]).await.unwrap();
    let admin = store.find_by_id(&id).await.unwrap().unwrap();
    let tokens = session_of(&here, &admin).await;
    let token = tokens.access_token.expose().clone();
    here.authenticate(&token, Check::Stateless).await.unwrap();
    if matches!(fault, EndedElsewhere | DisabledAndEndedElsewhere | DemotedAndEndedElsewhere) {
        there.end_session(&id, tokens.session_id, &ClientInfo::unknown()).await.unwrap();
    }
    if matches!(fault, Disabled | DisabledAndEndedElsewhere) {
        store.set_disabled(&id, true).await.unwrap();
    }
    if matches!(fault, Demoted | DemotedAndEndedElsewhere) {
        store.set_roles(&id, &[]).await.unwrap();
    }
    (here, token)
}

async fn code_of(layer: AuthLayer<User>, request: http::request::Builder) -> Option<String> {
    let (status, body) = answer(layer, request).await;
    if status == StatusCode::OK {
        return None;
    }
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    Some(problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_guard_method_adds_its_check_in_any_order() {
    use Fault::{Demoted, DemotedAndEndedElsewhere, Disabled, DisabledAndEndedElsewhere, EndedElsewhere, Nothing};
    let selections = selections();
    assert_eq!(selections.len(), 326, "all ordered selections of five methods");
    for fault in [Nothing, Disabled, Demoted, EndedElsewhere, DisabledAndEndedElsewhere, DemotedAndEndedElsewhere] {
        let (auth, token) = admin_with(fault).await;
        for methods in &selections {
            for first in [auth.require(), auth.optional()] {
                let layer = methods.iter().fold(first, |layer, method| method.apply(layer));
                let request = get().header("authorization", format!("Bearer {token}"));
                let code = code_of(layer, request).await;
                assert_eq!(code.as_deref(), expected(fault, methods), "{fault:?} {methods:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_guard_loads_the_user_whatever_follows() {
    let (auth, token) = admin_with(Fault::Nothing).await;
    for methods in selections() {
        let layer = methods.iter().fold(auth.require(), |layer, method| method.apply(layer));
        let (_, body) = answer(layer, get().header("authorization", format!("Bearer {token}"))).await;
        assert_eq!(body.contains("ada@example.com"), methods.contains(&Method::LoadUser), "{methods:?}");
    }
}

#[tokio::test]
async fn refusals_come_in_the_order_token_session_user_requirements() {
    let (auth, token) = admin_with(Fault::Demoted).await;
    let good = || get().header("authorization", format!("Bearer {token}"));
    let bad = || get().header("authorization", "Bearer nonsense");
    for layer in [
        auth.require().check_claims(|_| false).role("admin").check_session().load_user(),
        auth.require().load_user().check_claims(|_| false).check_session().role("admin"),
    ] {
        assert_eq!(code_of(layer.clone(), bad()).await.as_deref(), Some("token_invalid"));
        assert_eq!(code_of(layer, good()).await.as_deref(), Some("forbidden"), "the first requirement that was added");
    }
    let first = auth.require().role("admin").check_claims(|_| false).load_user();
    assert_eq!(code_of(first, good()).await.as_deref(), Some("insufficient_role"));
    let (auth, token) = admin_with(Fault::DemotedAndEndedElsewhere).await;
    let layer = auth.require().role("admin").load_user().check_session();
    let request = get().header("authorization", format!("Bearer {token}"));
    assert_eq!(code_of(layer, request).await.as_deref(), Some("token_revoked"));
}

#[tokio::test]
async fn a_method_called_twice_is_as_one_called_once() {
    for (fault, code) in [(Fault::Disabled, Some("token_revoked")), (Fault::Nothing, None)] {
        let (auth, token) = admin_with(fault).await;
        let layer = auth.require().load_user().load_user().check_session().check_session();
        let request = get().header("authorization", format!("Bearer {token}"));
        assert_eq!(code_of(layer, request).await.as_deref(), code);
    }
}
