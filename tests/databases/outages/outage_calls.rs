//! Makes every call of both traits and of every endpoint at the same time, while an outage lasts.

use std::{future::Future, pin::Pin};

use http::StatusCode;
use portcullis::{
    ErrorKind,
    auth::Check,
    clock::{Clock, SystemClock},
    session::{EndReason, RotateOutcome},
    store::{EndAll, StoreError},
    user::{Login, PasswordHash},
};
use tokio::task::JoinSet;

use super::{
    NEW_PASSWORD, Outage, OutageTest, PASSWORD,
    fixture::{Prepared, ask, ended, new_session, registration_form, rotation, session},
};

/// What an endpoint or call needs of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    Read,
    Write,
}
use Need::{Nothing, Read, Write};

impl Outage {
    fn stops(self, need: Need) -> bool {
        need == Write || (need == Read && self == Self::Everything)
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

fn call<'a, T>(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Call<'a> {
    Box::pin(async move { future.await.map(drop) })
}

/// Runs all calls at the same time, so that the test waits for one timeout only.
async fn all_at_once(calls: Vec<Call<'_>>) -> Vec<Result<(), StoreError>> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Some(call), None)).collect();
    std::future::poll_fn(|context| {
        for (call, answer) in &mut calls {
            if let Some(running) = call
                && let std::task::Poll::Ready(ready) = running.as_mut().poll(context)
            {
                (*call, *answer) = (None, Some(ready));
            }
        }
        if calls.iter().all(|(_, answer)| answer.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

impl OutageTest {
    /// Returns how many calls were unavailable, and how many endpoints answered so.
    pub(super) async fn ask_everything(&self, name: &str, prepared: &Prepared, outage: Outage) -> (usize, usize) {
        let (calls, endpoints) =
            tokio::join!(self.ask_stores(name, prepared, outage), self.ask_endpoints(name, prepared, outage));
        self.ask_guards(name, prepared, outage).await;
        (calls, endpoints)
    }

    async fn ask_stores(&self, name: &str, prepared: &Prepared, outage: Outage) -> usize {
        let (users, sessions, user) = (&*self.users, &*self.sessions, &prepared.user);
        let login = Login::email(&user.email);
        let hashes = [PasswordHash::new("$argon2id$renewed"), PasswordHash::new("$argon2id$set")];
        let (rotation, now) = (rotation(&prepared.session), SystemClock.now());
        let all = EndAll::new(user.id.clone(), 0, ended(EndReason::LogoutAll));
        let hash = self.hash.as_str();
        let mut calls: Vec<(&str, bool, Need, Call<'_>)> = Vec::new();
        let behind = self.behind;
        let mut users_call = |what, need, future| calls.push((what, behind.users, need, future));
        users_call("find_by_id", Read, call(users.find_by_id(&user.id)));
        users_call("find_by_login", Read, call(users.find_by_login(&login)));
        users_call("create a user", Write, call(users.create(self.new_user(&format!("direct{}", prepared.number)))));
        users_call("replace_password_hash", Write, call(users.replace_password_hash(&user.id, hash, &hashes[0])));
        users_call("set_password", Write, call(users.set_password(&user.id, Some(hash), &hashes[1])));
        users_call("bump_token_version", Write, call(users.bump_token_version(&user.id)));
        let mut sessions_call = |what, need, future| calls.push((what, behind.sessions, need, future));
        sessions_call("create a session", Write, call(sessions.create(new_session(session(&user.id)))));
        sessions_call("find", Read, call(sessions.find(&user.id, &prepared.session.id, now)));
        sessions_call("rotate", Write, call(sessions.rotate(&rotation)));
        sessions_call("end", Write, call(sessions.end(&user.id, &prepared.other.id, ended(EndReason::Logout))));
        sessions_call("end_all", Write, call(sessions.end_all(&all)));
        sessions_call("list", Read, call(sessions.list(&user.id, now)));
        sessions_call("ended_since", Read, call(sessions.ended_since(now, now)));
        let (about, calls): (Vec<_>, Vec<_>) =
            calls.into_iter().map(|(what, behind, need, call)| ((what, behind && outage.stops(need)), call)).unzip();
        let answers = all_at_once(calls).await;
        for ((what, stopped), answer) in about.iter().zip(&answers) {
            match answer {
                Ok(()) => assert!(!stopped, "{name}: {what} was answered"),
                Err(error) => assert!(*stopped && error.is_unavailable(), "{name}: {what} said {error:?}"),
            }
        }
        answers.iter().filter(|answer| answer.is_err()).count()
    }

    async fn ask_endpoints(&self, name: &str, prepared: &Prepared, outage: Outage) -> usize {
        let login = format!("email={}&password={}", prepared.reader.email, PASSWORD.replace(' ', "+"));
        let change = format!("current_password={PASSWORD}&new_password={NEW_PASSWORD}").replace(' ', "+");
        let delete = format!("/auth/sessions/{}", prepared.ended.session);
        let pair = |pair: &super::fixture::Pair| Some(pair.clone());
        let endpoints = [
            ("POST", "/auth/register", registration_form(prepared), None, Write, Nothing),
            ("POST", "/auth/login", login, None, Read, Write),
            ("POST", "/auth/refresh", String::new(), pair(&prepared.kept), Read, Write),
            ("POST", "/auth/logout", String::new(), pair(&prepared.leaving), Nothing, Write),
            ("POST", "/auth/logout-all", String::new(), pair(&prepared.everywhere[0]), Write, Write),
            ("GET", "/auth/me", String::new(), pair(&prepared.kept), Read, Nothing),
            ("GET", "/auth/sessions", String::new(), pair(&prepared.kept), Nothing, Read),
            ("DELETE", delete.as_str(), String::new(), pair(&prepared.kept), Nothing, Write),
            ("PUT", "/auth/password", change, pair(&prepared.changer), Write, Write),
        ];
        let mut answers = JoinSet::new();
        for (method, path, body, pair, users, sessions) in endpoints {
            let down = (self.behind.users && outage.stops(users)) || (self.behind.sessions && outage.stops(sessions));
            let (auth, path) = (self.auth.clone(), path.to_owned());
            answers.spawn(async move {
                let seen = ask(&auth, method, &path, &body, pair.as_ref()).await;
                (format!("{method} {path}"), down, seen)
            });
        }
        let mut answered = 0;
        while let Some(answer) = answers.join_next().await {
            let (what, down, seen) = answer.unwrap();
            if down {
                assert_eq!(seen.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {what}: {seen:?}");
                assert!(seen.retry_after && seen.body.contains("store_unavailable"), "{name}: {what}: {seen:?}");
                assert!(!seen.sets_cookie, "{name}: {what} touched a cookie: {seen:?}");
                answered += 1;
            } else {
                assert!(seen.status.is_success(), "{name}: {what}: {seen:?}");
            }
        }
        answered
    }

    /// Checks that a guard without the store works, and that a guard with the store answers 503.
    async fn ask_guards(&self, name: &str, prepared: &Prepared, outage: Outage) {
        let down = outage.stops(Read);
        for (check, needs) in
            [(Check::Stateless, false), (Check::Session, self.behind.sessions), (Check::User, self.behind.users)]
        {
            let seen = self.auth.authenticate(&prepared.kept.access, check).await.err().map(|error| error.kind());
            let expected = (needs && down).then_some(ErrorKind::StoreUnavailable);
            assert_eq!(seen, expected, "{name}: the guard with {check:?}");
        }
    }

    /// Checks that each direct call wrote everything or nothing.
    pub(super) async fn calls_left_nothing_half_done(&self, name: &str, prepared: &Prepared) {
        let user = self.users.find_by_id(&prepared.user.id).await.unwrap().unwrap();
        let hash = user.password_hash.unwrap();
        let versions = match hash.as_str() {
            "$argon2id$set" => 1..=2,
            _ => 0..=1,
        };
        assert!(versions.contains(&user.token_version), "{name}: {hash} has version {}", user.token_version);
        let rotated = self.sessions.rotate(&rotation(&prepared.session)).await.unwrap();
        let RotateOutcome::Rotated(rotated) = rotated else {
            panic!("{name}: the rotation asked again is {rotated:?}")
        };
        assert_eq!(rotated.generation, 1, "{name}");
        let stamp = ended(EndReason::Logout);
        self.sessions.end(&prepared.user.id, &prepared.other.id, stamp).await.unwrap();
        let found = self.sessions.find(&prepared.user.id, &prepared.other.id, stamp.at).await.unwrap();
        assert_eq!(
            found.and_then(|session| session.ended).map(|ended| ended.reason),
            Some(EndReason::Logout),
            "{name}"
        );
    }
}
