//! The operations as clients perform them, and what the clients know afterwards.

use std::future::Future;

use portcullis::{
    Auth, Claims, Error, ErrorKind, Secret, User,
    auth::{Check, ClientInfo, LoggedIn, LoginOutcome, Presented},
    user::{AuthUser, Login},
};

use super::Player;
use crate::{
    faulty::{Interrupt, Plan},
    model::{Op, Seen},
    schedule::Pick,
    token::{AccessToken, Forgery, Pair, RefreshToken},
    world::password,
};

impl Player {
    pub(super) async fn login(
        &mut self,
        node: usize,
        user: usize,
        read: User,
        replaces: Option<RefreshToken>,
    ) -> Result<(), String> {
        let (version, disabled) = (read.token_version(), read.is_disabled());
        let mut client = ClientInfo::unknown();
        client.refresh_token = replaces.as_ref().map(|token| Secret::new(token.text.clone()));
        let auth = self.auth(node);
        let seen = self.run(async move { login(auth.start_session(&read, &client).await) }).await;
        self.receive(user, &seen);
        self.note(&Op::Login { user, version, disabled, replaces: replaces.as_ref() }, node, &seen).await
    }

    pub(super) async fn refresh(&mut self, node: usize, pick: Pick, forgery: Option<Forgery>) -> Result<(), String> {
        let Some(token) = self.held.refresh(pick).map(|token| forged(token, forgery)) else { return Ok(()) };
        let (auth, text) = (self.auth(node), token.text.clone());
        let seen = self.run(async move { logged_in(auth.refresh(&text, &ClientInfo::unknown()).await) }).await;
        self.receive(self.held.owner(&token.sid), &seen);
        self.note(&Op::Refresh { token: &token, forgery }, node, &seen).await
    }

    /// Returns the claims, where the token is accepted.
    pub(super) async fn use_access(
        &mut self,
        node: usize,
        pick: Pick,
    ) -> Result<Option<(AccessToken, Claims)>, String> {
        let Some(token) = self.held.access(pick) else { return Ok(None) };
        let (auth, text) = (self.auth(node), token.text.clone());
        let mut claims = None;
        let check = async {
            let passed = auth.authenticate(&text, Check::Stateless).await;
            done(passed.map(|passed| claims = Some(passed.claims)))
        };
        let seen = self.world.control.run(check).await.unwrap_or_else(Seen::Nothing);
        if self.profile.wild_clock && matches!(seen, Seen::Done | Seen::Refused(ErrorKind::TokenRevoked)) {
            // After the clock was set back by hours, tombstones may have been deleted whose tokens
            // are valid again. The model promises nothing in this case.
            return Ok(None);
        }
        self.note(&Op::Use { token: &token }, node, &seen).await?;
        match &claims {
            Some(claims) => self.waits.passed(node, &token.text, &self.auth(node), claims)?,
            None if matches!(seen, Seen::Refused(ErrorKind::TokenRevoked)) => self.waits.refused(node, &token.text)?,
            None => {}
        }
        Ok(claims.map(|claims| (token, claims)))
    }

    pub(super) async fn logout(
        &mut self,
        node: usize,
        refresh: Option<RefreshToken>,
        forgery: Option<Forgery>,
        access: Option<AccessToken>,
    ) -> Result<(), String> {
        let refresh = refresh.map(|token| forged(token, forgery));
        let by_refresh = refresh.as_ref().map(|token| token.text.clone());
        let by_access = access.as_ref().map(|token| token.text.clone());
        let auth = self.auth(node);
        let seen = self
            .run(async move {
                let presented = by_refresh.as_deref().map_or_else(Presented::default, Presented::refresh);
                let presented = by_access.as_deref().into_iter().fold(presented, Presented::with_access);
                done(auth.logout(&presented, &ClientInfo::unknown()).await)
            })
            .await;
        let refresh = refresh.as_ref().map(|token| (token, forgery));
        self.note(&Op::Logout { refresh, access: access.as_ref() }, node, &seen).await
    }

    pub(super) async fn logout_all(&mut self, node: usize, user: usize) -> Result<(), String> {
        let (auth, id) = (self.auth(node), self.world.people[user].id.clone());
        let seen = self.run(async move { done(auth.end_sessions_of(&id, &ClientInfo::unknown()).await) }).await;
        self.note(&Op::LogoutAll { user }, node, &seen).await
    }

    pub(super) async fn end_session(&mut self, node: usize, session: usize) -> Result<(), String> {
        let Some(held) = self.held.session(session) else { return Ok(()) };
        let sid = held.sid.clone();
        let (auth, user) = (self.auth(node), self.world.people[held.user].id.clone());
        let id = sid.parse().expect("an id of ours");
        let seen = self.run(async move { done(auth.end_session(&user, id, &ClientInfo::unknown()).await) }).await;
        self.note(&Op::EndSession { sid: &sid }, node, &seen).await
    }

    pub(super) async fn change_password(&mut self, node: usize, pick: Pick, right: bool) -> Result<(), String> {
        // The faults are for the calls after the guard.
        self.world.control.begin(Plan::new());
        let Some((token, claims)) = self.use_access(node, pick).await? else { return Ok(()) };
        self.world.control.begin(self.plan.clone());
        let user = self.held.owner(&token.sid);
        let (newest, stored) = (self.passwords[user], self.stored_hash(user).await);
        let current = if right { newest } else { newest + 1000 };
        let new = newest + 1;
        let auth = self.auth(node);
        let seen = self
            .run(async move {
                let (current, new) = (password(current).into(), password(new).into());
                logged_in(auth.change_password(&claims, current, new, &ClientInfo::unknown()).await)
            })
            .await;
        self.receive(user, &seen);
        self.note(&Op::ChangePassword { token: &token, current, new }, node, &seen).await?;
        // A client without an answer would try both passwords. Reading the store saves two hashes.
        self.world.control.deliver_late().await;
        if self.stored_hash(user).await != stored {
            self.passwords[user] = new;
        }
        Ok(())
    }

    async fn stored_hash(&self, user: usize) -> Option<String> {
        self.world.user(user).await?.password_hash().map(str::to_owned)
    }

    pub(super) async fn log_in(&mut self, node: usize, user: usize) -> Result<(), String> {
        let current = self.passwords[user];
        let (auth, by) = (self.auth(node), Login::email(&self.world.people[user].email));
        let seen = self
            .run(async move { login(auth.login(&by, password(current).into(), &ClientInfo::unknown()).await) })
            .await;
        self.receive(user, &seen);
        self.note(&Op::LogIn { user, password: current }, node, &seen).await
    }

    pub(super) async fn poll(&mut self, node: usize) -> Result<(), String> {
        let auth = self.auth(node);
        let seen = self.run(async move { done(auth.poll_revocations().await) }).await;
        self.note(&Op::Poll, node, &seen).await
    }

    pub(super) async fn list(&mut self, node: usize, user: usize) -> Result<(), String> {
        let (auth, id) = (self.auth(node), self.world.people[user].id.clone());
        let seen = self
            .run(async move { auth.sessions(&id).await.map_or_else(|error| Seen::Refused(error.kind()), Seen::Listed) })
            .await;
        self.note(&Op::List { user }, node, &seen).await?;
        self.world.control.begin(Plan::new());
        let sids: Vec<_> =
            self.held.all().iter().filter(|held| held.user == user).map(|held| held.sid.clone()).collect();
        for sid in sids {
            self.find(user, &sid).await?;
        }
        Ok(())
    }

    async fn find(&mut self, user: usize, sid: &str) -> Result<(), String> {
        let id = sid.parse().expect("an id of ours");
        let found = self.world.stores.sessions.find(&self.world.people[user].id, &id, self.world.now()).await;
        let found = found.map_err(|error| format!("the store beneath fails: {error:?}"))?;
        let seen = if found.is_some() { Seen::Done } else { Seen::Refused(ErrorKind::SessionNotFound) };
        self.note(&Op::Find { sid }, 0, &seen).await
    }

    /// Changes a user as an app changes its own table. `None` deletes the user.
    pub(super) async fn admin(&mut self, op: &Op<'_>, user: usize, disabled: Option<bool>) -> Result<(), String> {
        let (admin, id) = (&self.world.stores.admin, &self.world.people[user].id);
        match disabled {
            // A deleted user stays deleted.
            Some(_) if self.model.is_deleted(user) => return Ok(()),
            Some(disabled) => admin.set_disabled(id, disabled).await,
            None => admin.delete(id).await,
        }
        self.note(op, 0, &Seen::Done).await
    }

    pub(super) async fn restart(&mut self, node: usize) -> Result<(), String> {
        // A node that starts reads the revocations. The plan is not for these calls.
        self.world.control.begin(Plan::new());
        self.world.control.deliver_late().await;
        self.world.restart(node).await;
        self.waits.forget(node);
        self.model.step(&Op::Restart, node, self.world.now(), &Seen::Done, false)
    }

    fn auth(&self, node: usize) -> Auth<User> {
        self.world.nodes[node].clone()
    }

    async fn run(&self, operation: impl Future<Output = Seen>) -> Seen {
        self.world.control.run(operation).await.unwrap_or_else(Seen::Nothing)
    }

    fn receive(&mut self, user: usize, seen: &Seen) {
        self.held.receive(user, seen, self.world.now());
    }

    /// Compares the answer with the model. Starts a node that died again.
    async fn note(&mut self, op: &Op<'_>, node: usize, seen: &Seen) -> Result<(), String> {
        let failed = self.world.control.hits() > 0;
        *self.answers.entry((op.name(), seen.name())).or_default() += 1;
        self.model.step(op, node, self.world.now(), seen, failed)?;
        if matches!(seen, Seen::Nothing(Interrupt::Killed)) { self.restart(node).await } else { Ok(()) }
    }
}

fn forged(token: RefreshToken, forgery: Option<Forgery>) -> RefreshToken {
    match forgery {
        Some(forgery) => forgery.of(&token),
        None => token,
    }
}

pub(crate) fn login(answer: Result<LoginOutcome<User>, Error>) -> Seen {
    logged_in(answer.map(|outcome| outcome.into_logged_in().unwrap()))
}

pub(crate) fn logged_in(answer: Result<LoggedIn<User>, Error>) -> Seen {
    answer.map_or_else(|error| Seen::Refused(error.kind()), |logged_in| Seen::Pair(Pair::of(&logged_in.tokens)))
}

pub(crate) fn done(answer: Result<(), Error>) -> Seen {
    answer.map_or_else(|error| Seen::Refused(error.kind()), |()| Seen::Done)
}
