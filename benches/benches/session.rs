//! Sessions: whether anything costs more where there are more of them.
//!
//! What varies is the number of users, each with one session. A store of a thousand sessions lies
//! in the processor's caches and one of a million does not, so a ratio above 1 is memory; more than
//! the promised ratio would be work that grows. The sweep of expired records is part of every
//! write: `rotate` runs long enough to meet its share of it.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::Criterion;
use portcullis::{
    Auth, User,
    auth::{Check, ClientInfo},
    clock::Timestamp,
    session::RotateOutcome,
    store::SessionStore,
};
use portcullis_benches::{
    cases::{Case, Run, chunked, compare, criterion, is_trial},
    rng::Dice,
    setup::{Full, Known, LoggedIn, add_session, at_once, auth, client, end_others, ended_for_good, now, start},
};

/// `MemorySessions::rotate` of any session, or of a few that are spread among all.
fn rotate(full: &Full, few: Option<usize>) -> impl Run {
    let Full { store, sessions, .. } = full;
    let mut dice = Dice::new(1);
    let now = now();
    let every = few.map_or(1, |few| (sessions.len() / few).max(1));
    let rotated = sessions.len() / every;
    chunked(
        256,
        move || sessions[dice.below(rotated) * every].rotation(now),
        |rotation| {
            let outcome = at_once(store.sessions().rotate(&rotation)).expect("the memory store is there");
            assert!(matches!(black_box(outcome), RotateOutcome::Rotated(_)));
        },
    )
}

/// `Auth::refresh` of users who have logged in.
fn refresh(full: &mut Full) -> impl Run {
    let Full { auth, logged_in, .. } = full;
    move |times| {
        let mut took = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            let chunk = logged_in.len().min(usize::try_from(left).unwrap_or(usize::MAX)).min(256);
            logged_in.rotate_left(chunk);
            let chunk = &mut logged_in[..chunk];
            let mut refreshed = Vec::with_capacity(chunk.len());
            let start = Instant::now();
            for LoggedIn { refresh_token, .. } in &*chunk {
                refreshed.push(
                    at_once(auth.refresh(refresh_token.expose(), &ClientInfo::unknown()))
                        .expect("the token is current"),
                );
            }
            took += start.elapsed();
            left -= chunk.len() as u64;
            for (one, refreshed) in chunk.iter_mut().zip(refreshed) {
                one.refresh_token = refreshed.tokens.refresh_token;
            }
        }
        took
    }
}

/// `Auth::start_session` for users who have logged in before. Ends the second session again.
fn start_session<'a>(name: &str, full: &'a Full) -> Case<'a> {
    let Full { store, auth, logged_in, size, .. } = full;
    let client = client();
    // In proportion, so that either store grows by the same part.
    let batch = (size / 20).min(logged_in.len()).max(1);
    let mut users = logged_in.iter().cycle();
    let run = move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let start = Instant::now();
            let started: Vec<_> = users
                .by_ref()
                .take(batch)
                .map(|one| (&one.user.id, at_once(auth.start_session(&one.user, &client)).expect("there is room")))
                .collect();
            took += start.elapsed();
            for (user, outcome) in started {
                let session_id = outcome.into_logged_in().expect("nothing is missing").tokens.session_id;
                at_once(store.sessions().end(user, &session_id, ended_for_good())).expect("the store is there");
            }
            store.sessions().sweep(now());
        }
        took
    };
    Case::new(name, run).of_many(batch as u64)
}

/// Which half of [`churn`] is measured.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    End,
    Create,
}

/// Ends some sessions, sweeps them out and creates them anew: `MemorySessions::end` or
/// `MemorySessions::create`.
fn churn<'a>(name: &str, full: &'a Full, half: Half) -> Case<'a> {
    let Full { store, sessions, size, .. } = full;
    let store = store.sessions();
    let batch = (size / 20).max(1);
    let order = Dice::new(2).permutation(sessions.len());
    let mut order = order.into_iter().cycle();
    let run = move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let chosen: Vec<&Known> = order.by_ref().take(batch).map(|one| &sessions[one]).collect();
            let names: Vec<_> = chosen.iter().map(|known| (known.user(), known.id())).collect();
            let ended = ended_for_good();
            let start = Instant::now();
            for (user, id) in &names {
                assert!(at_once(store.end(user, id, ended)).expect("the memory store is there"));
            }
            if half == Half::End {
                took += start.elapsed();
            }
            store.sweep(now());
            let new: Vec<_> = chosen.iter().map(|known| known.renewed()).collect();
            let start = Instant::now();
            for session in new {
                add_session(store, session);
            }
            if half == Half::Create {
                took += start.elapsed();
            }
        }
        took
    };
    Case::new(name, run).of_many(batch as u64)
}

/// `MemorySessions::list` of any user.
fn list(full: &Full) -> impl Run {
    let Full { store, sessions, .. } = full;
    let mut dice = Dice::new(3);
    let now = now();
    chunked(
        256,
        move || sessions.get(dice.below(sessions.len())).map(Known::user),
        move |user| {
            let user = user.expect("there is one");
            assert_eq!(black_box(at_once(store.sessions().list(&user, now)).expect("the store is there")).len(), 1);
        },
    )
}

/// `MemorySessions::ended_since`, as a node polls it.
fn ended_since(full: &Full, since: Timestamp, expected: usize) -> impl Run {
    let now = now();
    chunked(
        256,
        || (),
        move |()| {
            let endings = at_once(full.store.sessions().ended_since(since, now)).expect("the store is there");
            assert_eq!(black_box(endings).len(), expected);
        },
    )
}

/// The sweep of a whole store that has nothing to be swept.
fn sweep(full: &Full) -> impl Run {
    let now = now();
    chunked(1, || (), move |()| full.store.sessions().sweep(now))
}

/// The guard's check of an access token, with this many revocations.
fn guard<'a>(full: &'a Full, auth: &'a Auth<User>) -> impl Run {
    let mut tokens = full.logged_in.iter().take(1_000).cycle();
    chunked(
        256,
        move || tokens.next().expect("there is one").access_token.expose(),
        move |token| {
            black_box(at_once(auth.authenticate(token, Check::Stateless)).expect("it is a good token"));
        },
    )
}

fn main() {
    let mut criterion = criterion();
    let sizes = if is_trial() { [20, 40, 60, 80] } else { [1_000, 10_000, 100_000, 1_000_000] };
    let [mut small, medium, mut large, mut huge] = sizes.map(Full::new);
    let criterion = &mut criterion;

    let cases = vec![
        Case::new("1,000", rotate(&small, None)),
        Case::new("10,000", rotate(&medium, None)).against("1,000"),
        Case::new("100,000", rotate(&large, None)).against("1,000"),
        Case::new("1,000,000", rotate(&huge, None)).within(1.5, "1,000"),
        // The same amount of memory is in use: what is left is what the store does more.
        Case::new("1,000,000, of which 500 rotate", rotate(&huge, Some(500))).within(1.5, "1,000"),
    ];
    compare(criterion, "session/rotate", cases);
    let cases = vec![
        Case::new("1,000", refresh(&mut small)),
        Case::new("100,000", refresh(&mut large)).within(1.5, "1,000"),
        Case::new("1,000,000", refresh(&mut huge)).within(1.5, "1,000").within(1.2, "100,000"),
    ];
    compare(criterion, "session/Auth::refresh", cases);
    let cases = vec![start_session("100,000", &large), start_session("1,000,000", &huge).within(1.2, "100,000")];
    compare(criterion, "session/Auth::start_session", cases);
    let cases = vec![Case::new("1,000", list(&small)), Case::new("1,000,000", list(&huge)).against("1,000")];
    compare(criterion, "session/list", cases);
    for (table, half) in [("session/end", Half::End), ("session/create", Half::Create)] {
        let cases = vec![churn("1,000", &small, half), churn("1,000,000", &huge, half).against("1,000")];
        compare(criterion, table, cases);
    }
    let cases = vec![
        Case::new("1,000", sweep(&small)).of_many(small.size as u64),
        Case::new("1,000,000", sweep(&huge)).of_many(huge.size as u64).against("1,000"),
    ];
    compare(criterion, "session/sweep, for each record", cases);
    endings(criterion, &small, &large, &huge);
    criterion.final_summary();
}

/// The effect of the number of revocations, which the stores keep from here on.
fn endings(criterion: &mut Criterion, small: &Full, large: &Full, huge: &Full) {
    let [few, some, many] = if is_trial() { [1, 2, 3] } else { [50, 500, 50_000] };
    let follow = |full: &Full| {
        let auth = auth(&full.store);
        start(&auth, full.logged_in[0].access_token.expose());
        auth
    };
    let always = Timestamp::EPOCH;
    let (large_none, huge_none) = (follow(large), follow(huge));
    for full in [small, large, huge] {
        end_others(full.store.sessions(), 0..few);
    }
    let cases = vec![
        Case::new("1,000", ended_since(small, always, few * 2)),
        Case::new("1,000,000", ended_since(huge, always, few * 2)).against("1,000"),
    ];
    compare(criterion, "session/ended_since, 100 endings", cases);
    for full in [large, huge] {
        end_others(full.store.sessions(), few..some);
    }
    let (large_some, huge_some) = (follow(large), follow(huge));
    for full in [large, huge] {
        end_others(full.store.sessions(), some..many);
    }
    let (large_many, huge_many) = (follow(large), follow(huge));
    // Nothing ended in the last second, which a poll asks about: the rest has been seen and waits
    // for its sweep.
    std::thread::sleep(Duration::from_secs(1));
    let just_now = now();
    let cases = vec![
        Case::new("1,000,000, all asked for", ended_since(huge, always, many * 2)),
        Case::new("1,000,000, none asked for", ended_since(huge, just_now, 0)),
    ];
    compare(criterion, "session/ended_since, 100,000 endings", cases);
    let cases = vec![
        Case::new("100,000, none ended", guard(large, &large_none)),
        Case::new("1,000,000, none ended", guard(huge, &huge_none)).within(1.2, "100,000, none ended"),
        Case::new("100,000, 1,000 ended", guard(large, &large_some)).within(1.2, "100,000, none ended"),
        Case::new("1,000,000, 1,000 ended", guard(huge, &huge_some)).within(1.2, "100,000, 1,000 ended"),
        Case::new("100,000, 100,000 ended", guard(large, &large_many)).within(1.2, "100,000, none ended"),
        Case::new("1,000,000, 100,000 ended", guard(huge, &huge_many)).within(1.2, "100,000, 100,000 ended"),
    ];
    compare(criterion, "session/guard", cases);
}
