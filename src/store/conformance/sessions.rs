//! [`sessions`]: the promises of a [`SessionStore`].

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{
    extremes,
    report::{Report, ensure, expect, said},
    samples::{
        ABSOLUTE, GRACE, IDLE, NOW, RACERS, TOMBSTONE, ada, add, at, end_all, ended, find, id, keep, live, new, rotate,
        rotation, session, token,
    },
};
use crate::{
    session::{
        AuthLevel, AuthMethod, AuthMethods, EndReason, Ended, Revocation, RotateOutcome, Rotation, Session, decide,
    },
    store::{Created, SessionLimit, SessionStore},
    user::UserId,
};

/// Checks every promise of a [`SessionStore`]. The `factory` makes an empty store for each promise.
///
/// # Examples
/// ```
/// use portcullis::store::{conformance, memory::MemorySessions};
///
/// # async fn suite() {
/// let report = conformance::sessions(|| async { MemorySessions::default() }).await;
/// assert!(report.broken().is_empty(), "{report}");
/// # }
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(suite());
/// ```
pub async fn sessions<S, F, M>(factory: F) -> Report
where
    S: SessionStore,
    F: Fn() -> M,
    M: Future<Output = S>,
{
    let mut report = Report::default();
    let fresh = async || Arc::new(factory().await);
    report.check("a session is found as it was written", found_as_written(fresh().await)).await;
    report.check("a session is found by its own user only", found_by_its_user(fresh().await)).await;
    report.check("user ids of any text name one user each", extremes::hostile_users(fresh().await)).await;
    report.check("a User-Agent of any text is accepted", extremes::odd_devices(fresh().await)).await;
    report.check("numbers are kept to the last digit", extremes::large_numbers(fresh().await)).await;
    report.check("a list is complete, however long", extremes::long_list(fresh().await)).await;
    report.check("rotate decides as session::decide does", rotates_as_decided(fresh().await)).await;
    report.check("one of many racing rotations succeeds, the others replay it", racing(fresh().await, GRACE)).await;
    report.check("without a grace, one of many racing rotations succeeds", racing(fresh().await, Duration::ZERO)).await;
    report.check("a repeated rotation gets the same answer", asked_again(fresh().await)).await;
    report.check("a session ends once and stays ended", ends_once(fresh().await)).await;
    report.check("a repeated ending gets the same answer", ending_asked_again(fresh().await)).await;
    report.check("a session that is ended during a rotation stays ended", ending_lasts(fresh().await)).await;
    report.check("ending all ends the user's lower versions and no other session", ends_all(fresh().await)).await;
    report.check("ending all keeps one session and moves it to the new version", keeps_one(fresh().await)).await;
    report.check("an expired session counts as absent", expired_is_absent(fresh().await)).await;
    report.check("a session ended for reuse reports it until its expiry", reuse_stays(fresh().await)).await;
    report.check("a new session of an ended version is ended at once", ended_at_once(fresh().await)).await;
    report.check("a login reports what it ended, and whether it is ended itself", says_what_ended(fresh().await)).await;
    report.check("the limit ends the session used longest ago", limit_ends(fresh().await)).await;
    report.check("a limit that refuses changes nothing", limit_refuses(fresh().await)).await;
    report.check("racing logins stay within the limit", racing_logins(fresh().await)).await;
    report.check("a login ends the session that it replaces", replaces(fresh().await)).await;
    report.check("ended sessions are listed since a moment, while needed", listed_since(fresh().await)).await;
    report.check("each of many ended sessions of a user is listed", extremes::many_endings(fresh().await)).await;
    report
}

async fn found_as_written(store: Arc<impl SessionStore>) -> Result<(), String> {
    let v6: IpAddr = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into();
    for (n, agent, ip) in [(1, "Mozilla/5.0 (🦀; \"quoted\")", v6), (2, "'; --", [203, 0, 113, 7].into())] {
        let mut written = session(&ada(), n, NOW);
        written.token_version = 7;
        written.generation = 3;
        written.previous_token_id = Some(token(99));
        written.amr = AuthMethods::PASSWORD.with(AuthMethod::OneTimeCode).with(AuthMethod::MultipleFactors);
        written.acr = AuthLevel::Aal2;
        written.restamped_generation = Some(2);
        written.user_agent = Some(agent.into());
        written.ip = Some(ip);
        add(&*store, written.clone()).await?;
        expect("the record", find(&*store, &ada(), n, 0).await?, Some(written))?;
    }
    let bare = session(&ada(), 3, NOW);
    add(&*store, bare.clone()).await?;
    expect("a record without device", find(&*store, &ada(), 3, 0).await?, Some(bare))
}

async fn found_by_its_user(store: Arc<impl SessionStore>) -> Result<(), String> {
    add(&*store, session(&ada(), 1, NOW)).await?;
    let eve = UserId::from("eve");
    expect("another user's lookup", find(&*store, &eve, 1, 0).await?, None)?;
    expect("another user's rotation", rotate(&*store, &rotation(&eve, 1, NOW)).await?, RotateOutcome::Unknown)?;
    let end = store.end(&eve, &id(1), ended(EndReason::Logout, NOW)).await.map_err(said)?;
    expect("another user's ending", end, false)?;
    expect("the owner's list", live(&*store, &ada(), 0).await?, vec![id(1)])
}

/// Compares the store with `decide`, for every row of the table of `decide`.
async fn rotates_as_decided(store: Arc<impl SessionStore>) -> Result<(), String> {
    let base = |n: u8| {
        let mut session = session(&ada(), n, NOW);
        (session.token_version, session.generation) = (3, 5);
        session.previous_token_id = Some(token(99));
        session
    };
    let presented = |n: u8| Rotation { generation: 5, token_version: 3, ..rotation(&ada(), n, at(1)) };
    let previous = |n: u8| Rotation { generation: 4, token_id: token(99), ..presented(n) };
    let cases: Vec<(&str, Rotation)> = vec![
        ("the current token", presented(1)),
        ("the token before, within the grace", previous(2)),
        ("the token before, at the last moment", Rotation { now: NOW.plus(GRACE), ..previous(3) }),
        (
            "the token before, after the grace",
            Rotation { now: NOW.plus(GRACE).plus(Duration::from_millis(1)), ..previous(4) },
        ),
        ("the token before, without a grace", Rotation { grace: Duration::ZERO, ..previous(5) }),
        ("an older token", Rotation { generation: 3, ..previous(6) }),
        ("a foreign token id", Rotation { token_id: token(77), ..presented(7) }),
        ("a foreign token id of the generation before", Rotation { token_id: token(77), ..previous(8) }),
        ("a later generation", Rotation { generation: 6, ..presented(9) }),
        ("a raised token version", Rotation { token_version: 4, ..presented(10) }),
        ("a stale token version", Rotation { token_version: 2, ..presented(11) }),
        ("a session past its idle expiry", Rotation { now: NOW.plus(IDLE), ..presented(12) }),
        ("a session that is not there", Rotation { session_id: id(250), ..presented(13) }),
        ("a clock that stepped back", Rotation { now: NOW.minus(IDLE), ..previous(14) }),
        ("a rotation near the absolute expiry", Rotation { idle: ABSOLUTE * 2, ..presented(15) }),
    ];
    for ((what, rotation), n) in cases.iter().zip(1..) {
        let record = base(n);
        add(&*store, record.clone()).await?;
        let decision = decide(Some(&record), rotation);
        expect(what, rotate(&*store, rotation).await?, decision.outcome)?;
        let expected = decision.write.unwrap_or(record);
        // Reads the record before its expiry, so that a store returns what was written.
        let found = store.find(&ada(), &id(n), at(1)).await.map_err(said)?;
        expect(&format!("the record after {what}"), found, Some(expected))?;
    }
    Ok(())
}

/// Returns the outcomes of racing rotations of one token.
async fn race<S: SessionStore>(store: &Arc<S>, n: u8, grace: Duration) -> Result<Vec<RotateOutcome>, String> {
    let mut tasks = JoinSet::new();
    for racer in 0..RACERS {
        let store = Arc::clone(store);
        let rotation = Rotation { next_token_id: token(racer), grace, ..rotation(&ada(), n, at(1)) };
        tasks.spawn(async move { store.rotate(&rotation).await });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        outcomes.push(outcome.map_err(said)?.map_err(said)?);
    }
    Ok(outcomes)
}

async fn racing<S: SessionStore>(store: Arc<S>, grace: Duration) -> Result<(), String> {
    for n in 1..=8 {
        add(&*store, session(&ada(), n, NOW)).await?;
        let outcomes = race(&store, n, grace).await?;
        let winners = outcomes.iter().filter_map(|outcome| match outcome {
            RotateOutcome::Rotated(session) => Some(session),
            _ => None,
        });
        let winners: Vec<&Session> = winners.collect();
        let [winner] = winners[..] else { return Err(format!("{} rotations advanced", winners.len())) };
        expect("the generation of the winner", winner.generation, 1)?;
        for outcome in &outcomes {
            let right = match outcome {
                RotateOutcome::Rotated(_) => true,
                RotateOutcome::Replayed(session) => !grace.is_zero() && session == winner,
                RotateOutcome::Reused | RotateOutcome::Ended(EndReason::Reuse) => grace.is_zero(),
                _ => false,
            };
            ensure(right, format!("a losing rotation got {outcome:?}"))?;
        }
    }
    Ok(())
}

async fn asked_again(store: Arc<impl SessionStore>) -> Result<(), String> {
    add(&*store, session(&ada(), 1, NOW)).await?;
    let once = Rotation { grace: Duration::ZERO, ..rotation(&ada(), 1, at(1)) };
    let first = rotate(&*store, &once).await?;
    ensure(matches!(first, RotateOutcome::Rotated(_)), format!("the first answer is {first:?}"))?;
    expect("the second answer", rotate(&*store, &once).await?, first)
}

async fn ends_once(store: Arc<impl SessionStore>) -> Result<(), String> {
    add(&*store, session(&ada(), 1, NOW)).await?;
    let end = async |reason| store.end(&ada(), &id(1), ended(reason, at(1))).await.map_err(said);
    expect("the first ending", end(EndReason::Logout).await?, true)?;
    expect("the second ending", end(EndReason::EndedByUser).await?, false)?;
    let outcome = rotate(&*store, &rotation(&ada(), 1, at(2))).await?;
    expect("a rotation afterwards", outcome, RotateOutcome::Ended(EndReason::Logout))?;
    expect("the list afterwards", live(&*store, &ada(), 2).await?, vec![])?;
    let unknown = store.end(&ada(), &id(9), ended(EndReason::Logout, at(1))).await.map_err(said)?;
    expect("the ending of an unknown session", unknown, false)
}

/// Repeats the call of a node that lost the answer. Another call differs by a few milliseconds.
async fn ending_asked_again(store: Arc<impl SessionStore>) -> Result<(), String> {
    add(&*store, session(&ada(), 1, NOW)).await?;
    let end = async |ended| store.end(&ada(), &id(1), ended).await.map_err(said);
    let logout = ended(EndReason::Logout, at(1));
    for what in ["the first answer", "the second answer"] {
        expect(what, end(logout).await?, true)?;
    }
    let (before, later) = (TOMBSTONE.saturating_sub(Duration::from_millis(1)), ended(EndReason::Logout, at(2)));
    for other in [ended(EndReason::EndedByUser, at(1)), later, Ended { keep_until: at(1).plus(before), ..logout }] {
        expect("the answer to another", end(other).await?, false)?;
    }
    let left = find(&*store, &ada(), 1, 1).await?.and_then(|session| session.ended);
    expect("how it ended", left, Some(logout))?;
    add(&*store, Session { generation: 9, ..session(&ada(), 2, NOW) }).await?;
    for what in ["a reuse", "a reuse that is asked again"] {
        expect(what, rotate(&*store, &rotation(&ada(), 2, at(1))).await?, RotateOutcome::Reused)?;
    }
    let later = rotate(&*store, &rotation(&ada(), 2, at(2))).await?;
    expect("a later try", later, RotateOutcome::Ended(EndReason::Reuse))
}

async fn ending_lasts<S: SessionStore>(store: Arc<S>) -> Result<(), String> {
    for n in 1..=20 {
        add(&*store, session(&ada(), n, NOW)).await?;
        let (rotating, ending) = (Arc::clone(&store), Arc::clone(&store));
        let rotating = tokio::spawn(async move { rotating.rotate(&rotation(&ada(), n, at(1))).await });
        let ending = tokio::spawn(async move { ending.end(&ada(), &id(n), ended(EndReason::Logout, at(1))).await });
        rotating.await.map_err(said)?.map_err(said)?;
        expect("the ending", ending.await.map_err(said)?.map_err(said)?, true)?;
        let after = find(&*store, &ada(), n, 2).await?.and_then(|session| session.ended).map(|ended| ended.reason);
        expect("the record's end", after, Some(EndReason::Logout))?;
    }
    Ok(())
}

async fn ends_all(store: Arc<impl SessionStore>) -> Result<(), String> {
    let eve = UserId::from("eve");
    // The order matters, because a new session ends those of lower versions.
    add(&*store, Session { token_version: 1, ..session(&ada(), 2, NOW) }).await?;
    add(&*store, session(&ada(), 1, NOW)).await?;
    add(&*store, session(&eve, 3, NOW)).await?;
    store.end_all(&end_all(&ada(), 1, at(1))).await.map_err(said)?;
    expect("the sessions left", live(&*store, &ada(), 2).await?, vec![id(2)])?;
    expect("another user's sessions", live(&*store, &eve, 2).await?, vec![id(3)])?;
    let outcome = rotate(&*store, &rotation(&ada(), 1, at(2))).await?;
    expect("a rotation of an ended one", outcome, RotateOutcome::Ended(EndReason::LogoutAll))
}

async fn keeps_one(store: Arc<impl SessionStore>) -> Result<(), String> {
    for n in 1..=3 {
        add(&*store, session(&ada(), n, NOW)).await?;
    }
    let all = end_all(&ada(), 1, at(5)).keeping(keep(2, at(5)));
    let kept = store.end_all(&all).await.map_err(said)?;
    let expected = keep(2, at(5)).restamp(&session(&ada(), 2, NOW), 1);
    expect("the kept session", kept.clone(), expected)?;
    expect("the answer when asked again", store.end_all(&all).await.map_err(said)?, kept.clone())?;
    expect("its record", find(&*store, &ada(), 2, 6).await?, kept)?;
    expect("the sessions left", live(&*store, &ada(), 6).await?, vec![id(2)])?;
    // An ended session cannot be kept.
    let ended = end_all(&ada(), 2, at(7)).keeping(keep(1, at(7)));
    expect("an ended session to keep", store.end_all(&ended).await.map_err(said)?, None)
}

async fn expired_is_absent(store: Arc<impl SessionStore>) -> Result<(), String> {
    add(&*store, session(&ada(), 1, NOW)).await?;
    let expiry = IDLE.as_secs();
    ensure(find(&*store, &ada(), 1, expiry - 1).await?.is_some(), "it is absent before its expiry")?;
    expect("the record at its expiry", find(&*store, &ada(), 1, expiry).await?, None)?;
    expect("the list", live(&*store, &ada(), expiry).await?, vec![])?;
    let outcome = rotate(&*store, &rotation(&ada(), 1, at(expiry))).await?;
    expect("a rotation", outcome, RotateOutcome::Unknown)?;
    let end = store.end(&ada(), &id(1), ended(EndReason::Logout, at(expiry))).await.map_err(said)?;
    expect("an ending", end, false)
}

async fn reuse_stays(store: Arc<impl SessionStore>) -> Result<(), String> {
    add(&*store, Session { generation: 9, ..session(&ada(), 1, NOW) }).await?;
    expect("an old token", rotate(&*store, &rotation(&ada(), 1, at(1))).await?, RotateOutcome::Reused)?;
    let late = at(IDLE.as_secs() - 1);
    ensure(late > at(1).plus(TOMBSTONE), "the tombstone is still needed at the later try")?;
    let outcome = rotate(&*store, &rotation(&ada(), 1, late)).await?;
    expect("a later try", outcome, RotateOutcome::Ended(EndReason::Reuse))
}

async fn ended_at_once(store: Arc<impl SessionStore>) -> Result<(), String> {
    store.end_all(&end_all(&ada(), 2, at(1))).await.map_err(said)?;
    let mut late = new(Session { token_version: 1, ..session(&ada(), 1, at(2)) });
    late.limit = SessionLimit::Refuse(1);
    store.create(late).await.map_err(said)?;
    expect("the list", live(&*store, &ada(), 3).await?, vec![])?;
    let reason = find(&*store, &ada(), 1, 3).await?.and_then(|session| session.ended).map(|ended| ended.reason);
    expect("its end", reason, Some(EndReason::TokenVersion))?;
    // An ended session does not hinder a login of the new version. Neither does a session of a
    // lower version that no call has ended.
    let mut later = new(Session { token_version: 2, ..session(&ada(), 2, at(3)) });
    later.limit = SessionLimit::Refuse(1);
    store.create(later).await.map_err(|error| format!("a login of the new version is refused: {error:?}"))?;
    let mut newer = new(Session { token_version: 3, ..session(&ada(), 3, at(4)) });
    newer.limit = SessionLimit::Refuse(1);
    store
        .create(newer)
        .await
        .map_err(|error| format!("a session of a lower version counts for the limit: {error:?}"))?;
    expect("the sessions left", live(&*store, &ada(), 5).await?, vec![id(3)])
}

async fn says_what_ended(store: Arc<impl SessionStore>) -> Result<(), String> {
    let of_version = |version, n: u8| {
        let session = session(&ada(), n, at(n.into()));
        store.create(new(Session { token_version: version, ..session }))
    };
    for n in 1..=2 {
        expect("what the first logins say", of_version(1, n).await.map_err(said)?, Created::default())?;
    }
    // No call has ended the sessions of the version before.
    let mut created = of_version(2, 3).await.map_err(said)?;
    created.outdated.sort();
    let expected = Created { outdated: vec![id(1), id(2)], ..Created::default() };
    expect("what a login of the next version says", created, expected)?;
    store.end_all(&end_all(&ada(), 3, at(4))).await.map_err(said)?;
    let expected = Created { ended_at_once: true, ..Created::default() };
    expect("what a late login says", of_version(2, 5).await.map_err(said)?, expected)?;
    let mut again = new(Session { token_version: 3, ..session(&ada(), 6, at(6)) });
    again.replaces = Some((ada(), id(3)));
    expect("what a login in time says", store.create(again).await.map_err(said)?, Created::default())
}

async fn limit_ends(store: Arc<impl SessionStore>) -> Result<(), String> {
    let mut created = Vec::new();
    for n in 1..=3 {
        let mut login = new(session(&ada(), n, at(n.into())));
        login.limit = SessionLimit::EndLeastRecentlyUsed(2);
        if n == 3 {
            // The older session was used last, so the other one ends.
            rotate(&*store, &rotation(&ada(), 1, at(2).plus(Duration::from_millis(1)))).await?;
        }
        created = store.create(login).await.map_err(said)?.ended;
    }
    expect("what the third login ended", created, vec![id(2)])?;
    expect("the sessions left", live(&*store, &ada(), 4).await?, vec![id(1), id(3)])
}

async fn limit_refuses(store: Arc<impl SessionStore>) -> Result<(), String> {
    let login = |n: u8, secs: u64| {
        let mut login = new(session(&ada(), n, at(secs)));
        login.limit = SessionLimit::Refuse(1);
        login
    };
    store.create(login(1, 0)).await.map_err(said)?;
    let refused = store.create(login(2, 1)).await.err();
    ensure(refused.is_some_and(|error| error.is_too_many_sessions()), "the second login was not refused")?;
    expect("the sessions left", live(&*store, &ada(), 1).await?, vec![id(1)])?;
    let mut elsewhere = login(2, 1);
    elsewhere.replaces = Some((ada(), id(9)));
    ensure(store.create(elsewhere).await.is_err(), "a login that replaces nothing was not refused")?;
    let mut again = login(3, 1);
    again.replaces = Some((ada(), id(1)));
    store.create(again).await.map_err(|error| format!("a login that replaces another is refused: {error:?}"))?;
    expect("the session that replaced it", live(&*store, &ada(), 1).await?, vec![id(3)])?;
    store
        .create(login(2, IDLE.as_secs() + 1))
        .await
        .map_err(|error| format!("an expired session counts for the limit: {error:?}"))?;
    Ok(())
}

async fn racing_logins<S: SessionStore>(store: Arc<S>) -> Result<(), String> {
    for limit in [SessionLimit::EndLeastRecentlyUsed(3), SessionLimit::Refuse(3)] {
        let user = UserId::from(format!("{limit:?}"));
        let mut tasks = JoinSet::new();
        for n in 1..=RACERS {
            let store = Arc::clone(&store);
            let mut login = new(session(&user, n, at(n.into())));
            login.limit = limit;
            tasks.spawn(async move { store.create(login).await });
        }
        while let Some(created) = tasks.join_next().await {
            if let Err(error) = created.map_err(said)? {
                ensure(error.is_too_many_sessions(), format!("a login failed: {error:?}"))?;
            }
        }
        expect(&format!("the sessions under {limit:?}"), live(&*store, &user, 30).await?.len(), 3)?;
    }
    Ok(())
}

async fn replaces(store: Arc<impl SessionStore>) -> Result<(), String> {
    let eve = UserId::from("eve");
    add(&*store, session(&ada(), 1, NOW)).await?;
    for (n, user, replaced) in [(2, ada(), 1), (3, eve.clone(), 2)] {
        let mut login = new(session(&user, n, at(1)));
        login.replaces = Some((ada(), id(replaced)));
        let created = store.create(login).await.map_err(said)?;
        expect("what the login ended", created.ended, vec![id(replaced)])?;
        let outcome = rotate(&*store, &rotation(&ada(), replaced, at(2))).await?;
        expect("the replaced session", outcome, RotateOutcome::Ended(EndReason::LoggedInAgain))?;
    }
    let mut login = new(session(&ada(), 4, at(2)));
    login.replaces = Some((ada(), id(3)));
    let created = store.create(login).await.map_err(said)?;
    expect("what a login with another user's session ended", created.ended, vec![])?;
    expect("that session", live(&*store, &eve, 3).await?, vec![id(3)])
}

async fn listed_since(store: Arc<impl SessionStore>) -> Result<(), String> {
    let eve = UserId::from("eve");
    for n in 1..=3 {
        add(&*store, session(&ada(), n, NOW)).await?;
    }
    store.end(&ada(), &id(1), ended(EndReason::Logout, at(1))).await.map_err(said)?;
    store.end(&ada(), &id(2), ended(EndReason::Logout, at(2))).await.map_err(said)?;
    // A raised version is listed for a user without sessions too, because a login at the same time
    // may have made one.
    store.end_all(&end_all(&eve, 7, at(3))).await.map_err(said)?;
    let listed = async |since, now| {
        let mut listed = store.ended_since(at(since), at(now)).await.map_err(said)?;
        listed.sort_by_key(|ending| format!("{ending:?}"));
        Ok::<_, String>(listed)
    };
    let one = |n, secs| Revocation::Session { id: id(n), keep_until: at(secs).plus(TOMBSTONE) };
    let raised = Revocation::User { id: eve.clone(), min_version: 7, keep_until: at(3).plus(TOMBSTONE) };
    expect("what is listed of all", listed(0, 3).await?, vec![one(1, 1), one(2, 2), raised.clone()])?;
    expect("what is listed since the second", listed(2, 3).await?, vec![one(2, 2), raised.clone()])?;
    expect("what is listed since the last", listed(3, 3).await?, vec![raised])?;
    expect("what is listed when it is no longer needed", listed(0, 3 + TOMBSTONE.as_secs()).await?, vec![])?;
    // A lower version that arrives late changes nothing.
    store.end_all(&end_all(&eve, 5, at(4))).await.map_err(said)?;
    let listed = listed(0, 5).await?;
    ensure(
        listed.iter().any(|ending| matches!(ending, Revocation::User { min_version: 7, .. })),
        format!("the version fell: {listed:?}"),
    )
}
