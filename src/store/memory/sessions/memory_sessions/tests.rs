use std::{collections::HashSet, time::Duration};

use super::*;
use crate::{
    session::{AuthLevel, AuthMethods, MAX_ENDED_SESSIONS_OF_A_USER, TokenId},
    store::Keep,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const TOMBSTONE: Duration = Duration::from_secs(960);

fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn id(n: u32) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn session(user: &str, n: u32, now: Timestamp) -> Session {
    Session {
        id: id(n),
        user_id: UserId::from(user),
        token_version: 0,
        generation: 0,
        token_id: TokenId::from_bytes([1; 16]),
        previous_token_id: None,
        auth_time: now,
        amr: AuthMethods::PASSWORD,
        acr: AuthLevel::Aal1,
        restamped_generation: None,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus(HOUR),
        absolute_expires_at: now.plus(HOUR * 24),
        ended: None,
        user_agent: None,
        ip: None,
    }
}

fn new(session: Session, limit: SessionLimit) -> NewSession {
    NewSession::new(session, limit, TOMBSTONE)
}

const HUNDRED: SessionLimit = SessionLimit::EndLeastRecentlyUsed(100);

fn ended(reason: EndReason, now: Timestamp) -> Ended {
    Ended { at: now, reason, keep_until: now.plus(TOMBSTONE) }
}

async fn ids(store: &MemorySessions, user: &str, now: Timestamp) -> Vec<SessionId> {
    let mut ids: Vec<_> = store.list(&user.into(), now).await.unwrap().iter().map(|session| session.id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn the_limit_ends_the_session_used_longest_ago() {
    let store = MemorySessions::default();
    let two = SessionLimit::EndLeastRecentlyUsed(2);
    store.create(new(session("ada", 1, at(0)), two)).await.unwrap();
    store.create(new(session("ada", 2, at(1)), two)).await.unwrap();
    let created = store.create(new(session("ada", 3, at(2)), two)).await.unwrap();
    assert_eq!(created.ended, [id(1)]);
    assert_eq!(ids(&store, "ada", at(2)).await, [id(2), id(3)]);
    let reason = store.find(&"ada".into(), &id(1), at(2)).await.unwrap().unwrap().ended.unwrap().reason;
    assert_eq!(reason, EndReason::Limit);
}

#[tokio::test]
async fn a_limit_that_refuses_changes_nothing() {
    let store = MemorySessions::default();
    store.create(new(session("ada", 1, NOW), SessionLimit::Refuse(1))).await.unwrap();
    let refused = store.create(new(session("ada", 2, NOW), SessionLimit::Refuse(1))).await.unwrap_err();
    assert!(refused.is_too_many_sessions());
    assert_eq!((ids(&store, "ada", NOW).await, store.len()), (vec![id(1)], 1));
    // An expired session does not count for the limit.
    let later = NOW.plus(HOUR);
    store.create(new(session("ada", 2, later), SessionLimit::Refuse(1))).await.unwrap();
}

#[tokio::test]
async fn the_session_of_the_same_browser_ends_for_any_user() {
    let store = MemorySessions::default();
    store.create(new(session("ada", 1, NOW), HUNDRED)).await.unwrap();
    for (n, user, replaced) in [(2, "ada", ("ada", 1)), (3, "eve", ("ada", 2))] {
        let mut login = new(session(user, n, NOW), HUNDRED);
        login.replaces = Some((replaced.0.into(), id(replaced.1)));
        assert_eq!(store.create(login).await.unwrap().ended, [id(replaced.1)]);
    }
    assert!(ids(&store, "ada", NOW).await.is_empty());
    // A session is found only with the id of its owner.
    let mut login = new(session("ada", 4, NOW), HUNDRED);
    login.replaces = Some(("ada".into(), id(3)));
    assert!(store.create(login).await.unwrap().ended.is_empty());
}

#[tokio::test]
async fn a_full_store_sweeps_and_is_then_not_available() {
    let store = MemorySessions::with_capacity(2);
    store.create(new(session("ada", 1, NOW), HUNDRED)).await.unwrap();
    store.create(new(session("ada", 2, NOW), HUNDRED)).await.unwrap();
    assert!(store.create(new(session("ada", 3, NOW), HUNDRED)).await.unwrap_err().is_unavailable());
    let later = NOW.plus(HOUR);
    store.create(new(session("ada", 4, later), HUNDRED)).await.unwrap();
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn expired_records_are_swept_as_others_are_written() {
    let store = MemorySessions::default();
    for n in 0..20_000 {
        let now = at(u64::from(n));
        let mut short = session("ada", n, now);
        short.expires_at = now.plus(Duration::from_secs(10));
        store.create(new(short, HUNDRED)).await.unwrap();
    }
    assert!(store.len() < 1000, "{} records are left", store.len());
}

#[tokio::test]
async fn ending_all_keeps_one_and_moves_it_to_the_new_version() {
    let store = MemorySessions::default();
    for n in 1..=3 {
        store.create(new(session("ada", n, NOW), HUNDRED)).await.unwrap();
    }
    let next = TokenId::from_bytes([9; 16]);
    let all = EndAll::new("ada".into(), 1, ended(EndReason::PasswordChanged, at(5))).keeping(Keep::new(
        id(2),
        next,
        HOUR,
        at(5),
    ));
    let kept = store.end_all(&all).await.unwrap().unwrap();
    assert_eq!((kept.id, kept.token_version, kept.generation, kept.token_id), (id(2), 1, 1, next));
    assert_eq!(ids(&store, "ada", at(5)).await, [id(2)]);
    // A session that was made under the old version in the meantime is ended at once.
    store.create(new(session("ada", 4, at(6)), HUNDRED)).await.unwrap();
    assert_eq!(ids(&store, "ada", at(6)).await, [id(2)]);
}

#[tokio::test]
async fn an_ended_session_cannot_be_kept() {
    let store = MemorySessions::default();
    store.create(new(session("ada", 1, NOW), HUNDRED)).await.unwrap();
    assert!(store.end(&"ada".into(), &id(1), ended(EndReason::Logout, NOW)).await.unwrap());
    assert!(store.end(&"ada".into(), &id(1), ended(EndReason::Logout, NOW)).await.unwrap(), "the same is asked again");
    assert!(!store.end(&"ada".into(), &id(1), ended(EndReason::EndedByUser, NOW)).await.unwrap(), "it ends once");
    let keep = Keep::new(id(1), TokenId::from_bytes([9; 16]), HOUR, NOW);
    let all = EndAll::new("ada".into(), 1, ended(EndReason::PasswordChanged, NOW)).keeping(keep);
    assert_eq!(store.end_all(&all).await.unwrap(), None);
}

#[tokio::test]
async fn ended_sessions_are_listed_until_their_tombstones_expire() {
    let store = MemorySessions::default();
    store.create(new(session("ada", 1, NOW), HUNDRED)).await.unwrap();
    store.end(&"ada".into(), &id(1), ended(EndReason::Logout, at(1))).await.unwrap();
    store.end_all(&EndAll::new("eve".into(), 7, ended(EndReason::LogoutAll, at(2)))).await.unwrap();
    let listed = |since: u64, now: Timestamp| {
        let store = store.clone();
        async move { store.ended_since(at(since), now).await.unwrap().len() }
    };
    assert_eq!(listed(0, at(2)).await, 2);
    assert_eq!(listed(2, at(2)).await, 1);
    assert_eq!(listed(3, at(2)).await, 0);
    assert_eq!(listed(0, at(2).plus(TOMBSTONE)).await, 0);
    store.sweep(at(2).plus(TOMBSTONE));
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_session_ended_for_reuse_is_kept_until_its_expiry() {
    let store = MemorySessions::default();
    store.create(new(session("ada", 1, NOW), HUNDRED)).await.unwrap();
    store.end(&"ada".into(), &id(1), ended(EndReason::Reuse, NOW)).await.unwrap();
    let found = |now| {
        let store = store.clone();
        async move {
            store.sweep(now);
            store.find(&"ada".into(), &id(1), now).await.unwrap().is_some()
        }
    };
    assert!(found(NOW.plus(HOUR).minus(Duration::from_millis(1))).await);
    assert!(!found(NOW.plus(HOUR)).await);
}

#[tokio::test]
async fn sessions_ended_for_reuse_do_not_fill_the_store() {
    let store = MemorySessions::default();
    for n in 0..200 {
        // Each session would live for an hour, and is ended for reuse at once.
        let now = at(u64::from(n) * 20);
        store.create(new(session("ada", n, now), HUNDRED)).await.unwrap();
        store.end(&"ada".into(), &id(n), ended(EndReason::Reuse, now)).await.unwrap();
    }
    let tombstones = usize::try_from(TOMBSTONE.as_secs() / 20).unwrap() + 1;
    assert!(store.len() <= tombstones + MAX_ENDED_SESSIONS_OF_A_USER, "{} records are left", store.len());
}

#[tokio::test]
async fn one_user_who_logs_in_often_does_not_fill_the_store() {
    let store = MemorySessions::with_capacity(1000);
    for n in 0..10_000 {
        // The moment is the same for all, so that the access tokens of every ended session are
        // still valid.
        store.create(new(session("ada", n, NOW), HUNDRED)).await.unwrap();
    }
    assert_eq!(store.len(), 100 + MAX_ENDED_SESSIONS_OF_A_USER);
    store.create(new(session("eve", 20_000, NOW), HUNDRED)).await.unwrap();
    // Every one of them is listed.
    let listed = store.ended_since(NOW, at(1)).await.unwrap();
    let ids: HashSet<_> = listed.iter().map(|revocation| format!("{revocation:?}")).collect();
    assert_eq!((listed.len(), ids.len()), (9900, 9900));
    assert!(store.ended_since(NOW, NOW.plus(TOMBSTONE)).await.unwrap().is_empty());
    store.sweep(NOW.plus(HOUR));
    assert!(store.is_empty());
    assert!(store.0.shards.iter().all(|shard| shard.lock().unwrap().users.is_empty()));
}

#[tokio::test]
async fn records_of_reused_sessions_are_removed_last() {
    let store = MemorySessions::default();
    for n in 0..100 {
        store.create(new(session("ada", n, at(n.into())), HUNDRED)).await.unwrap();
        let reason = if n < 10 { EndReason::Reuse } else { EndReason::Logout };
        store.end(&"ada".into(), &id(n), ended(reason, at(n.into()))).await.unwrap();
    }
    assert_eq!(store.len(), MAX_ENDED_SESSIONS_OF_A_USER);
    for n in 0..10 {
        let record = store.find(&"ada".into(), &id(n), at(100)).await.unwrap().unwrap();
        assert_eq!(record.ended.unwrap().reason, EndReason::Reuse);
    }
    assert_eq!(store.ended_since(NOW, at(100)).await.unwrap().len(), 100);
}
