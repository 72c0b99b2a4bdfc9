//! Cuts the connection at each flight of an operation in turn, before the server has it and after
//! the server has answered.

use portcullis::{
    Error, ErrorKind,
    auth::{ClientInfo, Presented},
    user::{Login, PasswordHash},
};

use super::OutageTest;
use crate::proxy::{Mode, Proxy};

fn unavailable<T>(name: &str, answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::StoreUnavailable => None,
        Err(error) => panic!("{name}: {error:?}"),
    }
}

impl OutageTest {
    /// Runs each operation once for each of its flights, and cuts that flight. The operation either
    /// happened or did not. It says so, or it is unavailable. It can be repeated.
    pub(crate) async fn cut_at_every_flight(&self, proxy: &Proxy) {
        for operation in ["log in", "refresh", "log out", "log out everywhere", "register", "set password", "bump"] {
            let users_only = ["register", "set password", "bump"].contains(&operation);
            if users_only && !self.behind.users {
                continue;
            }
            for delivered in [false, true] {
                let mut flight = 0;
                while self.cut_at(proxy, operation, Mode::CutAt { flight, delivered }).await {
                    flight += 1;
                    assert!(flight < 60, "{operation} does not end");
                }
                assert!(flight > 0, "{operation} asked the server nothing");
            }
        }
    }

    /// Refreshes sessions while `event` happens to their connections. Each refresh succeeds or is
    /// unavailable, and each session stays alive.
    #[allow(dead_code, reason = "each engine has its own")]
    pub(crate) async fn goes_on_after(&self, what: &str, event: impl AsyncFn()) {
        let user = self.user().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (auth, mut held) = (self.auth.clone(), self.log_in(&user).await.refresh);
            let name = format!("{}, {what}", self.engine);
            tasks.spawn(async move {
                for _ in 0..20 {
                    if let Some(next) = unavailable(&name, auth.refresh(&held, &ClientInfo::unknown()).await) {
                        held.clone_from(next.tokens.refresh_token.expose());
                    }
                }
                held
            });
        }
        event().await;
        let held = tasks.join_all().await;
        self.wait_until_back(what).await;
        for held in held {
            let again = self.auth.refresh(&held, &ClientInfo::unknown()).await;
            assert!(again.is_ok(), "{}, {what}: a session was lost: {again:?}", self.engine);
        }
        assert_eq!(self.live(&user.id).await, 8, "{}, {what}", self.engine);
    }

    /// Returns whether the operation had such a flight.
    async fn cut_at(&self, proxy: &Proxy, operation: &str, mode: Mode) -> bool {
        let name = format!("{}, {operation}, {mode:?}", self.engine);
        let user = self.user().await;
        let pair = if operation == "log in" { None } else { Some(self.log_in(&user).await) };
        let refresh = pair.map(|pair| pair.refresh).unwrap_or_default();
        proxy.quiet().await;
        proxy.set(mode);
        let fired;
        match operation {
            "log in" => {
                let client = ClientInfo::unknown();
                let answered = unavailable(&name, self.auth.start_session(&user, &client).await).is_some();
                fired = self.over(proxy).await;
                let live = self.live(&user.id).await;
                assert!(live == 1 || (!answered && live == 0), "{name}: {live} sessions");
            }
            "refresh" => {
                let next = unavailable(&name, self.auth.refresh(&refresh, &ClientInfo::unknown()).await);
                fired = self.over(proxy).await;
                let held = next.map_or(refresh, |next| next.tokens.refresh_token.expose().clone());
                let again = self.auth.refresh(&held, &ClientInfo::unknown()).await;
                assert!(again.is_ok(), "{name}: the session is lost: {again:?}");
                assert_eq!(self.live(&user.id).await, 1, "{name}");
            }
            "log out" | "log out everywhere" => {
                let everywhere = operation == "log out everywhere";
                let end = async || {
                    if everywhere {
                        self.auth.end_sessions_of(&user.id, &ClientInfo::unknown()).await
                    } else {
                        self.auth.logout(&Presented::refresh(&refresh), &ClientInfo::unknown()).await
                    }
                };
                let answered = unavailable(&name, end().await);
                fired = self.over(proxy).await;
                if answered.is_none() {
                    end().await.unwrap();
                }
                let refused = self.auth.refresh(&refresh, &ClientInfo::unknown()).await.err().map(|error| error.kind());
                assert_eq!(refused, Some(ErrorKind::RefreshInvalid), "{name}");
                assert_eq!(self.live(&user.id).await, 0, "{name}");
            }
            "register" => {
                let new = format!("cut{}", self.next_number());
                let created = self.users.create(self.new_user(&new)).await;
                fired = self.over(proxy).await;
                if let Err(error) = created {
                    assert!(error.is_unavailable(), "{name}: {error:?}");
                    let again = self.users.create(self.new_user(&new)).await;
                    assert!(again.is_ok_and(|_| true) || self.known(&new).await, "{name}");
                }
                assert!(self.known(&new).await, "{name}");
            }
            operation => {
                let (old, new) = (self.hash.as_str(), PasswordHash::new("$argon2id$new"));
                let raised = match operation {
                    "bump" => self.users.bump_token_version(&user.id).await,
                    _ => self.users.set_password(&user.id, Some(old), &new).await,
                };
                fired = self.over(proxy).await;
                let found = self.users.find_by_id(&user.id).await.unwrap().unwrap();
                let version = found.token_version;
                match raised {
                    Ok(raised) => assert_eq!((raised, version), (Some(1), 1), "{name}"),
                    Err(error) => assert!(error.is_unavailable() && version <= 1, "{name}: {error:?}, {version}"),
                }
                let changed = found.password_hash.as_deref() == Some(new.as_str());
                assert_eq!(changed, operation != "bump" && version == 1, "{name}: half a password change");
            }
        }
        fired
    }

    /// Ends the fault before anything is checked. Returns whether the fault happened.
    async fn over(&self, proxy: &Proxy) -> bool {
        // A pool may send something after the operation. It still belongs to the operation.
        proxy.quiet().await;
        let fired = proxy.fired();
        proxy.set(Mode::Pass);
        self.wait_until_back("after a cut").await;
        fired
    }

    async fn known(&self, name: &str) -> bool {
        let login = Login::email(&format!("{name}@example.com"));
        self.users.find_by_login(&login).await.unwrap().is_some()
    }
}
