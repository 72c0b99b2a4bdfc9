//! The conformance suite, run against the memory store and against stores that break its promises.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use portcullis::{
    Profile, User,
    clock::Timestamp,
    session::{Ended, Revocation, RotateOutcome, Rotation, Session, SessionId, decide},
    store::{
        Created, EndAll, NewSession, PageLimit, SessionStore, SplitStore, StoreError, UserAdmin, UserPage, UserStore,
        conformance,
        memory::{MemorySessions, MemoryStore, MemoryUsers},
    },
    user::{Login, NewUser, PasswordHash, UserId},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_store_keeps_every_promise() {
    conformance::sessions(|| async { MemorySessions::default() }).await.assert_kept();
    conformance::users(|| async { MemoryUsers::default() }, Profile::default).await.assert_kept();
    conformance::sessions(|| async { MemoryStore::new() }).await.assert_kept();
    conformance::users(|| async { MemoryStore::new() }, Profile::default).await.assert_kept();
    let roles = ["admin", "it's \"odd\"", "$where", "𝒜🦀\u{0}"];
    conformance::user_admin(|| async { MemoryUsers::default() }, Profile::default, &roles).await.assert_kept();
    let split = || async { SplitStore::new(Arc::new(MemoryStore::new()), MemorySessions::default()) };
    conformance::user_admin(split, Profile::default, &roles).await.assert_kept();
}

/// A fault of a session store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    ReadsThenWrites,
    ForgetsReuse,
    IgnoresUsers,
    LosesMilliseconds,
    KeepsExpired,
    EndsAgain,
    ForgetsItsEndings,
    TellsSixteen,
    IgnoresTheLimit,
    ReplacesNothing,
    TellsNothing,
    ForgetsFloors,
    EndsEveryVersion,
    KeepsNothing,
    DropsTheAddress,
    CountsInDoubles,
    ListsAHundred,
    RefusesOddDevices,
    FoldsUsers,
    SaysNothingOfVersions,
}

/// Numbers are read as a script without integers does.
fn in_doubles(number: u64) -> u64 {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the fault"
    )]
    let rounded = number as f64 as u64;
    rounded
}

struct Wrong {
    memory: MemorySessions,
    fault: Fault,
    // For the store that reads and writes in two steps.
    aside: Mutex<Vec<Session>>,
}

impl Wrong {
    fn new(fault: Fault) -> Self {
        Self { memory: MemorySessions::default(), fault, aside: Mutex::default() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

#[async_trait]
impl SessionStore for Wrong {
    async fn create(&self, mut new: NewSession) -> Result<Created, StoreError> {
        if self.is(Fault::LosesMilliseconds) {
            new.session.created_at = Timestamp::from_secs(new.session.created_at.as_secs());
        }
        if self.is(Fault::DropsTheAddress) {
            new.session.ip = None;
        }
        if self.is(Fault::CountsInDoubles) {
            new.session.generation = in_doubles(new.session.generation);
        }
        if self.is(Fault::RefusesOddDevices) && new.session.user_agent.as_deref().is_some_and(|it| it.contains('\0')) {
            return Err(StoreError::internal("invalid byte sequence"));
        }
        if self.is(Fault::FoldsUsers) {
            new.session.user_id = new.session.user_id.as_str().to_lowercase().trim_matches('*').into();
        }
        if self.is(Fault::IgnoresTheLimit) {
            new.limit = portcullis::store::SessionLimit::EndLeastRecentlyUsed(usize::MAX);
        }
        if self.is(Fault::ReplacesNothing) {
            new.replaces = None;
        }
        self.aside.lock().unwrap().push(new.session.clone());
        let created = self.memory.create(new).await?;
        Ok(if self.is(Fault::SaysNothingOfVersions) { Created::new(created.ended) } else { created })
    }

    async fn find(&self, user: &UserId, id: &SessionId, now: Timestamp) -> Result<Option<Session>, StoreError> {
        if self.is(Fault::KeepsExpired) {
            return Ok(self.aside.lock().unwrap().iter().find(|session| session.id == *id).cloned());
        }
        if self.is(Fault::IgnoresUsers) {
            let owner = self.aside.lock().unwrap().iter().find(|session| session.id == *id).cloned();
            return Ok(owner);
        }
        self.memory.find(user, id, now).await
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<RotateOutcome, StoreError> {
        if self.is(Fault::ReadsThenWrites) {
            let mut read = self.aside.lock().unwrap().iter().find(|s| s.id == rotation.session_id).cloned();
            // It waits as long as a database takes, so that all callers have read before one
            // writes.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            let decision = decide(read.as_ref(), rotation);
            if let (Some(read), Some(new)) = (&mut read, decision.write) {
                *read = new;
                let mut aside = self.aside.lock().unwrap();
                if let Some(record) = aside.iter_mut().find(|s| s.id == rotation.session_id) {
                    record.clone_from(read);
                }
            }
            return Ok(decision.outcome);
        }
        if self.is(Fault::ForgetsReuse)
            && let Some(record) = self.memory.find(&rotation.user_id, &rotation.session_id, rotation.now).await?
            && decide(Some(&record), rotation).outcome == RotateOutcome::Reused
        {
            return Ok(RotateOutcome::Reused);
        }
        self.memory.rotate(rotation).await
    }

    async fn end(&self, user: &UserId, id: &SessionId, ended: Ended) -> Result<bool, StoreError> {
        if self.is(Fault::ForgetsItsEndings)
            && self.memory.find(user, id, ended.at).await?.is_none_or(|session| session.ended.is_some())
        {
            return Ok(false);
        }
        let live = self.memory.end(user, id, ended).await?;
        Ok(live || self.is(Fault::EndsAgain))
    }

    async fn end_all(&self, all: &EndAll) -> Result<Option<Session>, StoreError> {
        let mut all = all.clone();
        if self.is(Fault::EndsEveryVersion) {
            all.min_version = u64::MAX;
        }
        if self.is(Fault::KeepsNothing) {
            all.keep = None;
        }
        self.memory.end_all(&all).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let mut listed = self.memory.list(user, now).await?;
        if self.is(Fault::ListsAHundred) {
            listed.truncate(100);
        }
        Ok(listed)
    }

    async fn ended_since(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        let mut endings = self.memory.ended_since(since, now).await?;
        if self.is(Fault::TellsNothing) {
            endings.clear();
        }
        if self.is(Fault::TellsSixteen) {
            endings.truncate(16);
        }
        if self.is(Fault::ForgetsFloors) {
            endings.retain(|ending| matches!(ending, Revocation::Session { .. }));
        }
        Ok(endings)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_names_the_promise_that_a_session_store_breaks() {
    for (fault, promise) in [
        (Fault::ReadsThenWrites, "one of many racing rotations succeeds, the others replay it"),
        (Fault::ForgetsReuse, "a session ended for reuse reports it until its expiry"),
        (Fault::IgnoresUsers, "a session is found by its own user only"),
        (Fault::LosesMilliseconds, "a session is found as it was written"),
        (Fault::DropsTheAddress, "a session is found as it was written"),
        (Fault::KeepsExpired, "an expired session counts as absent"),
        (Fault::EndsAgain, "a session ends once and stays ended"),
        (Fault::ForgetsItsEndings, "a repeated ending gets the same answer"),
        (Fault::TellsSixteen, "each of many ended sessions of a user is listed"),
        (Fault::IgnoresTheLimit, "racing logins stay within the limit"),
        (Fault::ReplacesNothing, "a login ends the session that it replaces"),
        (Fault::TellsNothing, "ended sessions are listed since a moment, while needed"),
        (Fault::ForgetsFloors, "ended sessions are listed since a moment, while needed"),
        (Fault::EndsEveryVersion, "ending all ends the user's lower versions and no other session"),
        (Fault::KeepsNothing, "ending all keeps one session and moves it to the new version"),
        (Fault::CountsInDoubles, "numbers are kept to the last digit"),
        (Fault::ListsAHundred, "a list is complete, however long"),
        (Fault::RefusesOddDevices, "a User-Agent of any text is accepted"),
        (Fault::FoldsUsers, "user ids of any text name one user each"),
        (Fault::SaysNothingOfVersions, "a login reports what it ended, and whether it is ended itself"),
    ] {
        let report = conformance::sessions(|| async { Wrong::new(fault) }).await;
        let broken: Vec<_> = report.broken().iter().map(|broken| broken.promise).collect();
        assert!(broken.contains(&promise), "{fault:?} broke only {broken:?}");
    }
}

/// A users table with one fault.
struct WrongUsers {
    memory: MemoryUsers,
    fault: UserFault,
    created: Arc<Mutex<Vec<User>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UserFault {
    ComparesCase,
    RenewsBlindly,
    SetsBlindly,
    SetsFirstPasswordBlindly,
    ForgetsToBump,
    FailsOnOddIds,
    SaysInternal,
    SharesNames,
    ObeysOperators,
}

#[async_trait]
impl UserStore for WrongUsers {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        if self.fault == UserFault::FailsOnOddIds && id.to_key::<u64>().is_none() {
            return Err(StoreError::internal("not a number"));
        }
        self.memory.find_by_id(id).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        if self.fault == UserFault::ComparesCase {
            let created = self.created.lock().unwrap();
            return Ok(created.iter().find(|user| user.email == login.key()).cloned());
        }
        self.memory.find_by_login(login).await
    }

    async fn create(&self, mut user: NewUser<Profile>) -> Result<User, StoreError> {
        if self.fault == UserFault::SharesNames {
            user.username = None;
        }
        let created = self.memory.create(user).await;
        if let Ok(user) = &created {
            self.created.lock().unwrap().push(user.clone());
        }
        match created {
            Err(_) if self.fault == UserFault::SaysInternal => Err(StoreError::internal("unique violation")),
            created => created,
        }
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        if self.fault == UserFault::RenewsBlindly {
            return Ok(true);
        }
        if self.fault == UserFault::ObeysOperators && old.contains("$ne") {
            return Ok(true);
        }
        self.memory.replace_password_hash(id, old, new).await
    }

    async fn set_password(
        &self,
        id: &UserId,
        old: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        if self.fault == UserFault::SetsBlindly {
            return self.memory.bump_token_version(id).await;
        }
        if self.fault == UserFault::SetsFirstPasswordBlindly && old.is_none() {
            return self.memory.bump_token_version(id).await;
        }
        self.memory.set_password(id, old, new).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        if self.fault == UserFault::ForgetsToBump {
            return Ok(self.memory.find_by_id(id).await?.map(|user| user.token_version + 1));
        }
        self.memory.bump_token_version(id).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_names_the_promise_that_a_user_store_breaks() {
    for (fault, promise) in [
        (UserFault::ComparesCase, "an e-mail address names one user, in any case of letters"),
        (UserFault::RenewsBlindly, "a hash is renewed only while it is the one that was read"),
        (UserFault::SetsBlindly, "one of many racing password changes succeeds"),
        (UserFault::SetsFirstPasswordBlindly, "a first password is set only where there is none"),
        (UserFault::SetsFirstPasswordBlindly, "one of many racing first passwords is set"),
        (UserFault::ForgetsToBump, "the token version rises by one for each call"),
        (UserFault::FailsOnOddIds, "a text that names no user finds no user"),
        (UserFault::SaysInternal, "one of many racing registrations of an address succeeds"),
        (UserFault::SharesNames, "one of many racing registrations of a username succeeds"),
        (UserFault::ObeysOperators, "a text that names no user finds no user"),
    ] {
        let wrong = || async move { WrongUsers { memory: MemoryUsers::default(), fault, created: Arc::default() } };
        let report = conformance::users(wrong, Profile::default).await;
        let broken: Vec<_> = report.broken().iter().map(|broken| broken.promise).collect();
        assert!(broken.contains(&promise), "{fault:?} broke only {broken:?}");
    }
}

/// A way in which an administration of users is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AdminFault {
    AddsRoles,
    RaisesVersions,
    OnlyDisables,
    RemovesNothing,
    SaysRemoved,
    FailsOnOddIds,
    ForgetsTheLast,
    RepeatsTheCursor,
    CountsRows,
    HasAlwaysANextPage,
}

struct WrongAdmin {
    memory: MemoryUsers,
    fault: AdminFault,
}

#[async_trait]
impl UserStore for WrongAdmin {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.memory.find_by_id(id).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        self.memory.find_by_login(login).await
    }

    async fn create(&self, user: NewUser<Profile>) -> Result<User, StoreError> {
        self.memory.create(user).await
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        self.memory.replace_password_hash(id, old, new).await
    }

    async fn set_password(
        &self,
        id: &UserId,
        old: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        self.memory.set_password(id, old, new).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        self.memory.bump_token_version(id).await
    }
}

#[async_trait]
impl UserAdmin for WrongAdmin {
    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError> {
        let mut roles = roles.to_vec();
        if self.fault == AdminFault::AddsRoles {
            roles.extend(self.memory.find_by_id(id).await?.map(|user| user.roles).unwrap_or_default());
        }
        if self.fault == AdminFault::RaisesVersions {
            self.memory.bump_token_version(id).await?;
        }
        self.memory.set_roles(id, &roles).await
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        self.memory.set_disabled(id, disabled || self.fault == AdminFault::OnlyDisables).await
    }

    async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError> {
        match self.fault {
            AdminFault::RemovesNothing => Ok(self.memory.find_by_id(id).await?.is_some()),
            AdminFault::SaysRemoved => self.memory.remove_user(id).await.map(|_| true),
            AdminFault::FailsOnOddIds if id.to_key::<u64>().is_none() => Err(StoreError::internal("not a number")),
            _ => self.memory.remove_user(id).await,
        }
    }

    async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<User>, StoreError> {
        let all = self.memory.list_users(None, PageLimit::new(PageLimit::MAX)).await?.users;
        // Looks for the cursor as a row, which is wrong once the row is removed.
        let place = after.map_or(0, |after| all.iter().position(|user| user.id == *after).map_or(0, |n| n + 1));
        let mut page = match self.fault {
            AdminFault::CountsRows => UserPage::new(all.get(place..).unwrap_or_default().to_vec(), limit),
            _ => self.memory.list_users(after, limit).await?,
        };
        match self.fault {
            AdminFault::ForgetsTheLast if page.next.is_none() => drop(page.users.pop()),
            AdminFault::RepeatsTheCursor if place > 0 => page.users.insert(0, all[place - 1].clone()),
            AdminFault::HasAlwaysANextPage => page.next = page.users.last().map(|user| user.id.clone()),
            _ => {}
        }
        Ok(page)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_names_the_promise_of_a_user_admin_that_is_broken() {
    let pages = "pages list each user once, in one order";
    for (fault, promise) in [
        (AdminFault::AddsRoles, "roles are replaced as a whole, and only they"),
        (AdminFault::RaisesVersions, "roles are replaced as a whole, and only they"),
        (AdminFault::OnlyDisables, "a user is disabled and enabled, and nothing else changes"),
        (AdminFault::RemovesNothing, "a removed user is gone, and the address is free"),
        (AdminFault::SaysRemoved, "one of many racing removals of a user succeeds"),
        (AdminFault::FailsOnOddIds, "an id that names no user changes nothing"),
        (AdminFault::ForgetsTheLast, pages),
        (AdminFault::RepeatsTheCursor, pages),
        (AdminFault::HasAlwaysANextPage, pages),
        (AdminFault::CountsRows, "pages skip and repeat no user while others come and go"),
    ] {
        let wrong = || async move { WrongAdmin { memory: MemoryUsers::default(), fault } };
        let report = conformance::user_admin(wrong, Profile::default, &["admin", "editor"]).await;
        let broken: Vec<_> = report.broken().iter().map(|broken| broken.promise).collect();
        assert!(broken.contains(&promise), "{fault:?} broke only {broken:?}");
    }
}

/// A table whose users have no usernames.
struct Nameless(WrongUsers);

#[async_trait]
impl UserStore for Nameless {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.0.find_by_id(id).await
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        match login {
            Login::Email(_) => self.0.find_by_login(login).await,
            Login::Username(_) => Ok(None),
        }
    }

    async fn create(&self, user: NewUser<Profile>) -> Result<User, StoreError> {
        self.0.create(user).await
    }

    async fn replace_password_hash(&self, id: &UserId, old: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        self.0.replace_password_hash(id, old, new).await
    }

    async fn set_password(
        &self,
        id: &UserId,
        old: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        self.0.set_password(id, old, new).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        self.0.bump_token_version(id).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_usernames_has_a_suite_of_its_own() {
    let fault = UserFault::SharesNames;
    let nameless = || async { Nameless(WrongUsers { memory: MemoryUsers::default(), fault, created: Arc::default() }) };
    conformance::users_by_email(nameless, Profile::default).await.assert_kept();
    assert!(!conformance::users(nameless, Profile::default).await.broken().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_promises_lists_the_whole_suite() {
    let sessions = conformance::sessions(|| async { MemorySessions::default() }).await;
    let users = conformance::users(|| async { MemoryUsers::default() }, Profile::default).await;
    let admin = conformance::user_admin(|| async { MemoryUsers::default() }, Profile::default, &["admin"]).await;
    let page = include_str!("../../src/store/conformance/mod.rs");
    let table: Vec<&str> = page.lines().filter(|line| line.starts_with("//! | ") && line.contains(" kept ")).collect();
    let promises: Vec<&str> = sessions.kept().iter().chain(users.kept()).chain(admin.kept()).copied().collect();
    assert_eq!(table.len(), promises.len(), "{table:#?}\n{promises:#?}");
    for (line, promise) in table.iter().zip(promises) {
        assert!(line.replace('`', "").starts_with(&format!("//! | {promise} |")), "{line}\n{promise}");
    }
}
