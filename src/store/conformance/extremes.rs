//! Extreme sessions: long lists, large numbers, texts that have a meaning in some engine.

use std::sync::Arc;

use super::{
    report::{ensure, expect, said},
    samples::{
        HOSTILE, NOW, TOMBSTONE, ada, add, at, end_all, ended, find, id, live, new, rotate, rotation, session, token,
    },
};
use crate::{
    session::{EndReason, Revocation, RotateOutcome, Rotation, Session, SessionId},
    store::{SessionLimit, SessionStore},
    user::UserId,
};

/// The smallest whole number that a double cannot hold.
const LARGE: u64 = (1 << 53) + 1;

/// More records than an engine returns in one part of a list.
const MANY: u8 = 150;

pub(super) async fn hostile_users(store: Arc<impl SessionStore>) -> Result<(), String> {
    let long = "x".repeat(UserId::MAX_BYTES);
    let users: Vec<UserId> =
        HOSTILE.iter().copied().chain([long.as_str(), "9007199254740993"]).map(UserId::from).collect();
    for (user, n) in users.iter().zip(1..) {
        add(&*store, session(user, n, NOW)).await?;
        add(&*store, session(user, n + 100, NOW)).await?;
    }
    for (user, n) in users.iter().zip(1..) {
        expect(&format!("the list of {user:?}"), live(&*store, user, 0).await?, vec![id(n), id(n + 100)])?;
        let rotated = rotate(&*store, &rotation(user, n, at(1))).await?;
        ensure(matches!(rotated, RotateOutcome::Rotated(_)), format!("{user:?} cannot rotate: {rotated:?}"))?;
        let stamp = ended(EndReason::Logout, at(1));
        let end = store.end(user, &id(n + 100), stamp).await.map_err(said)?;
        expect(&format!("an ending of {user:?}"), end, true)?;
        let record = find(&*store, user, n + 100, 1).await?;
        expect(&format!("the end of {user:?}"), record.and_then(|session| session.ended), Some(stamp))?;
    }
    for (user, n) in users.iter().zip(1..) {
        expect(&format!("the sessions left of {user:?}"), live(&*store, user, 1).await?, vec![id(n)])?;
        store.end_all(&end_all(user, 1, at(2))).await.map_err(said)?;
        expect(&format!("the sessions of {user:?} after all ended"), live(&*store, user, 2).await?, vec![])?;
        let listed = store.ended_since(at(2), at(2)).await.map_err(said)?;
        let raised = Revocation::User { id: user.clone(), min_version: 1, keep_until: at(2).plus(TOMBSTONE) };
        ensure(listed.contains(&raised), format!("the raised version of {user:?} is not listed: {listed:?}"))?;
    }
    Ok(())
}

pub(super) async fn odd_devices(store: Arc<impl SessionStore>) -> Result<(), String> {
    for (text, n) in HOSTILE.iter().copied().chain([""]).zip(1..) {
        add(&*store, Session { user_agent: Some(text.into()), ..session(&ada(), n, NOW) })
            .await
            .map_err(|error| format!("a device named {text:?}: {error}"))?;
        let found = find(&*store, &ada(), n, 0).await?.ok_or(format!("the session of {text:?} is not there"))?;
        // An engine that cannot hold a text may write another one. It must not lose the record.
        let kept = found.user_agent.as_deref() == Some(text);
        ensure(kept || text.contains('\0') || text.is_empty(), format!("{text:?} is {:?}", found.user_agent))?;
    }
    Ok(())
}

pub(super) async fn large_numbers(store: Arc<impl SessionStore>) -> Result<(), String> {
    let record = Session { token_version: LARGE, generation: LARGE, ..session(&ada(), 1, NOW) };
    add(&*store, record.clone()).await?;
    expect("the record", find(&*store, &ada(), 1, 0).await?, Some(record))?;
    let presented = Rotation { token_version: LARGE, generation: LARGE, ..rotation(&ada(), 1, at(1)) };
    let beside = Rotation { generation: LARGE + 1, token_id: token(9), ..presented.clone() };
    expect("a generation beside it", rotate(&*store, &beside).await?, RotateOutcome::Foreign)?;
    match rotate(&*store, &presented).await? {
        RotateOutcome::Rotated(session) => expect("the next generation", session.generation, LARGE + 1)?,
        other => return Err(format!("the rotation is {other:?}")),
    }
    store.end_all(&end_all(&ada(), LARGE, at(2))).await.map_err(said)?;
    expect("the sessions left by an ending of lower versions", live(&*store, &ada(), 2).await?, vec![id(1)])?;
    let raised = Revocation::User { id: ada(), min_version: LARGE, keep_until: at(2).plus(TOMBSTONE) };
    expect("the raised version", store.ended_since(at(2), at(2)).await.map_err(said)?, vec![raised])?;
    store.end_all(&end_all(&ada(), LARGE + 1, at(3))).await.map_err(said)?;
    expect("the sessions left by an ending of this version", live(&*store, &ada(), 3).await?, vec![])
}

pub(super) async fn long_list(store: Arc<impl SessionStore>) -> Result<(), String> {
    let all: Vec<SessionId> = (1..=MANY).map(id).collect();
    for n in 1..=MANY {
        let mut login = new(session(&ada(), n, at(n.into())));
        login.limit = SessionLimit::EndLeastRecentlyUsed(1000);
        store.create(login).await.map_err(said)?;
    }
    expect("the list", live(&*store, &ada(), 200).await?, all.clone())?;
    store.end_all(&end_all(&ada(), 1, at(200))).await.map_err(said)?;
    expect("the list after all ended", live(&*store, &ada(), 201).await?, vec![])?;
    for n in [1, MANY / 2, MANY] {
        // Of many ended sessions a store may keep a few as records.
        let record = find(&*store, &ada(), n, 201).await?.map(|session| session.ended.map(|ended| ended.reason));
        ensure(record.is_none_or(|reason| reason == Some(EndReason::LogoutAll)), "a session among many has not ended")?;
        let outcome = rotate(&*store, &rotation(&ada(), n, at(201))).await?;
        let refused = [RotateOutcome::Unknown, RotateOutcome::Ended(EndReason::LogoutAll)];
        ensure(refused.contains(&outcome), format!("a rotation of a session among many is {outcome:?}"))?;
    }
    Ok(())
}

/// Checks a user who logs in again and again within the lifetime of one access token.
pub(super) async fn many_endings(store: Arc<impl SessionStore>) -> Result<(), String> {
    let mut ended = Vec::new();
    for n in 1..=MANY {
        let mut login = new(session(&ada(), n, at(n.into())));
        login.limit = SessionLimit::EndLeastRecentlyUsed(3);
        ended.extend(store.create(login).await.map_err(said)?.ended);
    }
    let all: Vec<SessionId> = (1..=MANY - 3).map(id).collect();
    ended.sort();
    expect("what the logins ended", ended, all.clone())?;
    let mut listed = Vec::new();
    for ending in store.ended_since(NOW, at(MANY.into())).await.map_err(said)? {
        if let Revocation::Session { id, .. } = ending {
            listed.push(id);
        }
    }
    listed.sort();
    expect("the ended sessions that are listed", listed, all)
}
