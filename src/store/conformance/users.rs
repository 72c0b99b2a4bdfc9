//! [`users`] and [`users_by_email`]: the promises of a [`UserStore`].

use std::{future::Future, sync::Arc};

use tokio::task::JoinSet;

use super::{
    report::{Report, ensure, expect, said},
    samples::{HOSTILE, NOW, RACERS},
};
use crate::{
    store::{StoreError, UniqueField, UserStore},
    user::{AuthUser, Email, Login, NewUser, PasswordHash, UserId, Username},
};

/// Checks every promise of a [`UserStore`]. The `factory` makes an empty store for each promise,
/// and `fields` makes the app's own registration fields. For a store without usernames there is
/// [`users_by_email`].
///
/// # Examples
/// ```
/// use portcullis::{
///     Profile,
///     store::{conformance, memory::MemoryUsers},
/// };
///
/// # async fn suite() {
/// let report = conformance::users(|| async { MemoryUsers::default() }, Profile::default).await;
/// assert!(report.broken().is_empty(), "{report}");
/// # }
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(suite());
/// ```
pub async fn users<S, F, M, R>(factory: F, fields: R) -> Report
where
    S: UserStore,
    F: Fn() -> M,
    M: Future<Output = S>,
    R: Fn() -> <S::User as AuthUser>::Registration,
{
    let mut report = users_by_email(&factory, &fields).await;
    let fresh = async || Fresh { store: Arc::new(factory().await), fields: &fields };
    report.check("a username names one user, in any case of letters", fresh().await.named()).await;
    report
        .check("one of many racing registrations of a username succeeds", fresh().await.racing(Field::Username))
        .await;
    report.check("a refused registration leaves nothing behind", fresh().await.leaves_nothing()).await;
    report
}

/// Checks the promises of a [`UserStore`] that has no usernames. The usernames of registrations are
/// ignored.
pub async fn users_by_email<S, F, M, R>(factory: F, fields: R) -> Report
where
    S: UserStore,
    F: Fn() -> M,
    M: Future<Output = S>,
    R: Fn() -> <S::User as AuthUser>::Registration,
{
    let mut report = Report::default();
    let fresh = async || Fresh { store: Arc::new(factory().await), fields: &fields };
    report.check("a user is found by id and e-mail address", fresh().await.found()).await;
    report.check("an e-mail address names one user, in any case of letters", fresh().await.addressed()).await;
    report.check("a text that names no user finds no user", fresh().await.unknown()).await;
    report.check("one of many racing registrations of an address succeeds", fresh().await.racing(Field::Email)).await;
    report.check("a hash is renewed only while it is the one that was read", fresh().await.renews()).await;
    report
        .check("a password is set over the expected hash, and raises the version", fresh().await.sets_password())
        .await;
    report.check("a first password is set only where there is none", fresh().await.sets_first_password()).await;
    report.check("one of many racing password changes succeeds", fresh().await.racing_passwords(Some("first"))).await;
    report.check("one of many racing first passwords is set", fresh().await.racing_passwords(None)).await;
    report.check("the token version rises by one for each call", fresh().await.bumps()).await;
    report
}

/// The field that racing registrations have in common.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Email,
    Username,
}

struct Fresh<'a, S, R> {
    store: Arc<S>,
    fields: &'a R,
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1${text}"))
}

impl<S, R> Fresh<'_, S, R>
where
    S: UserStore,
    R: Fn() -> <S::User as AuthUser>::Registration,
{
    fn registration(
        &self,
        email: &str,
        username: &str,
        password_hash: PasswordHash,
    ) -> Result<NewUser<<S::User as AuthUser>::Registration>, String> {
        let email = email.parse::<Email>().map_err(said)?;
        let username = username.parse::<Username>().map_err(said)?;
        Ok(NewUser::new(email, Some(username), password_hash, (self.fields)(), NOW))
    }

    async fn create(&self, email: &str, username: &str) -> Result<Result<S::User, StoreError>, String> {
        Ok(self.store.create(self.registration(email, username, hash("first"))?).await)
    }

    async fn ada(&self) -> Result<S::User, String> {
        self.create("Ada@Example.com", "Ada").await?.map_err(said)
    }

    async fn by_login(&self, login: &Login) -> Result<Option<UserId>, String> {
        let found = self.store.find_by_login(login).await.map_err(said)?;
        Ok(found.map(|user| user.id()))
    }

    async fn again(&self, id: &UserId) -> Result<S::User, String> {
        self.store.find_by_id(id).await.map_err(said)?.ok_or_else(|| "the user is absent".to_owned())
    }

    async fn found(self) -> Result<(), String> {
        let ada = self.ada().await?;
        let eve = self.create("eve@example.com", "eve").await?.map_err(said)?;
        ensure(ada.id() != eve.id(), "two users have one id")?;
        ensure((1..=UserId::MAX_BYTES).contains(&ada.id().as_str().len()), "the id has no or more than 256 bytes")?;
        expect("the stored hash", self.again(&ada.id()).await?.password_hash(), Some(hash("first").as_str()))?;
        ensure(!self.again(&ada.id()).await?.is_disabled(), "a new user is disabled")?;
        expect("the user of the address", self.by_login(&Login::email("ada@example.com")).await?, Some(ada.id()))?;
        expect("the other user", self.by_login(&Login::email("eve@example.com")).await?, Some(eve.id()))
    }

    async fn addressed(self) -> Result<(), String> {
        let ada = self.ada().await?;
        expect("by address", self.by_login(&Login::email(" ADA@EXAMPLE.COM ")).await?, Some(ada.id()))?;
        expect("the address as a name", self.by_login(&Login::Username("ada@example.com".into())).await?, None)?;
        let refused = self.create("ADA@example.COM", "other").await?.err().and_then(|error| error.duplicate_field());
        expect("the refusal of the address", refused, Some(UniqueField::Email))
    }

    async fn named(self) -> Result<(), String> {
        let ada = self.ada().await?;
        expect("by name", self.by_login(&Login::username("aDA")).await?, Some(ada.id()))?;
        expect("the name as an address", self.by_login(&Login::Email("ada".into())).await?, None)?;
        let refused = self.create("other@example.com", "ADA").await?.err().and_then(|error| error.duplicate_field());
        expect("the refusal of the name", refused, Some(UniqueField::Username))?;
        // Any number of users may be without a username.
        for email in ["one@example.com", "two@example.com"] {
            let new = NewUser::new(email.parse::<Email>().map_err(said)?, None, hash("first"), (self.fields)(), NOW);
            self.store.create(new).await.map_err(|error| format!("{email} without a username: {error:?}"))?;
        }
        Ok(())
    }

    async fn unknown(self) -> Result<(), String> {
        let ada = self.ada().await?;
        let long = "x".repeat(UserId::MAX_BYTES);
        // These include numbers that no row can have.
        let numbers = ["", "-1", "0", "1e3", "0x1", "9223372036854775808", "99999999999999999999999999999999999999"];
        for text in HOSTILE.iter().copied().chain(numbers).chain([long.as_str()]) {
            let found = self.store.find_by_id(&UserId::from(text)).await;
            let found = found.map_err(|error| format!("the id {text:?} is an error: {error:?}"))?;
            ensure(found.is_none(), format!("the id {text:?} finds a user"))?;
            for login in [Login::Email(text.into()), Login::Username(text.into())] {
                expect(&format!("{login:?}"), self.by_login(&login).await?, None)?;
            }
            let id = UserId::from(text);
            expect("a raised version", self.store.bump_token_version(&id).await.map_err(said)?, None)?;
            let (first, second) = (hash("first"), hash("second"));
            let renewed = self.store.replace_password_hash(&id, first.as_str(), &second).await.map_err(said)?;
            expect(&format!("a hash renewed for {text:?}"), renewed, false)?;
            let set = self.store.set_password(&id, Some(first.as_str()), &second).await.map_err(said)?;
            expect(&format!("a password set for {text:?}"), set, None)?;
            // A text that is not the stored hash is compared. It is never run as an operator.
            let renewed = self.store.replace_password_hash(&ada.id(), text, &second).await.map_err(said)?;
            expect(&format!("a hash renewed in the place of {text:?}"), renewed, false)?;
            let set = self.store.set_password(&ada.id(), Some(text), &second).await.map_err(said)?;
            expect(&format!("a password set in the place of {text:?}"), set, None)?;
        }
        expect("the user's hash", self.again(&ada.id()).await?.password_hash(), Some(hash("first").as_str()))
    }

    async fn leaves_nothing(self) -> Result<(), String> {
        self.ada().await?;
        let refused = self.create("new@example.com", "ada").await?;
        ensure(refused.is_err(), "the username was given twice")?;
        expect("the refused address", self.by_login(&Login::email("new@example.com")).await?, None)?;
        let later = self.create("new@example.com", "new").await?;
        ensure(later.is_ok(), "the address of a refused registration is taken")
    }

    async fn racing(self, field: Field) -> Result<(), String> {
        let mut tasks = JoinSet::new();
        for n in 0..RACERS {
            // The field of the race has the same value in two spellings. The other field differs
            // for each.
            let (email, username) = match field {
                Field::Email if n % 2 == 0 => ("Race@example.com".to_owned(), format!("racer{n}")),
                Field::Email => ("race@Example.com".to_owned(), format!("racer{n}")),
                Field::Username if n % 2 == 0 => (format!("race{n}@example.com"), "Racer".to_owned()),
                Field::Username => (format!("race{n}@example.com"), "raceR".to_owned()),
            };
            let new = self.registration(&email, &username, hash(&n.to_string()))?;
            let store = Arc::clone(&self.store);
            tasks.spawn(async move { store.create(new).await.map(|user| user.id()) });
        }
        let of = if field == Field::Email { UniqueField::Email } else { UniqueField::Username };
        let mut winners = Vec::new();
        while let Some(created) = tasks.join_next().await {
            match created.map_err(said)? {
                Ok(id) => winners.push(id),
                Err(error) => expect("the error of a losing registration", error.duplicate_field(), Some(of))?,
            }
        }
        expect("the number of winners", winners.len(), 1)?;
        let login = match field {
            Field::Email => Login::email("race@example.com"),
            Field::Username => Login::username("racer"),
        };
        expect("the user that it names", self.by_login(&login).await?, winners.pop())
    }

    async fn renews(self) -> Result<(), String> {
        let ada = self.ada().await?;
        let renew = async |old: &str, new: &str| {
            let (old, new) = (hash(old), hash(new));
            self.store.replace_password_hash(&ada.id(), old.as_str(), &new).await.map_err(said)
        };
        expect("a renewal of another hash", renew("other", "second").await?, false)?;
        expect("a renewal of the stored hash", renew("first", "second").await?, true)?;
        expect("a second one of the same", renew("first", "third").await?, false)?;
        let now = self.again(&ada.id()).await?;
        expect("the stored hash", now.password_hash(), Some(hash("second").as_str()))?;
        expect("the version after a renewal", now.token_version(), ada.token_version())
    }

    async fn sets_password(self) -> Result<(), String> {
        let ada = self.ada().await?;
        let set = async |old: &str, new: &str| {
            let (old, new) = (hash(old), hash(new));
            self.store.set_password(&ada.id(), Some(old.as_str()), &new).await.map_err(said)
        };
        expect("a change against another hash", set("other", "second").await?, None)?;
        let raised = ada.token_version() + 1;
        expect("a change against the stored hash", set("first", "second").await?, Some(raised))?;
        expect("a second one of the same", set("first", "third").await?, None)?;
        let now = self.again(&ada.id()).await?;
        expect("the stored hash", now.password_hash(), Some(hash("second").as_str()))?;
        expect("the stored version", now.token_version(), raised)
    }

    async fn without_password(&self) -> Result<S::User, String> {
        let email = "Ada@Example.com".parse::<Email>().map_err(said)?;
        let new = NewUser::new(email, None, None, (self.fields)(), NOW);
        self.store.create(new).await.map_err(said)
    }

    async fn sets_first_password(self) -> Result<(), String> {
        let ada = self.without_password().await?;
        expect("the hash of a user without a password", self.again(&ada.id()).await?.password_hash(), None)?;
        let set = async |old: Option<&str>, new: &str| {
            self.store.set_password(&ada.id(), old, &hash(new)).await.map_err(said)
        };
        for old in ["", "NULL", hash("first").as_str()] {
            expect(&format!("a change against {old:?}"), set(Some(old), "first").await?, None)?;
        }
        let renewed = self.store.replace_password_hash(&ada.id(), "", &hash("first")).await.map_err(said)?;
        expect("a renewal of no hash", renewed, false)?;
        let raised = ada.token_version() + 1;
        expect("the first password", set(None, "first").await?, Some(raised))?;
        expect("another first password", set(None, "second").await?, None)?;
        let now = self.again(&ada.id()).await?;
        expect("the stored hash", now.password_hash(), Some(hash("first").as_str()))?;
        expect("the stored version", now.token_version(), raised)?;
        expect("a later password", set(Some(hash("first").as_str()), "second").await?, Some(raised + 1))?;
        let unknown = self.store.set_password(&UserId::from("unknown"), None, &hash("first")).await.map_err(said)?;
        expect("a first password of no user", unknown, None)
    }

    /// Races changes from the hash of `old`. `None` races the first passwords of a user who has
    /// none.
    async fn racing_passwords(self, old: Option<&'static str>) -> Result<(), String> {
        let ada = if old.is_some() { self.ada().await? } else { self.without_password().await? };
        let mut tasks = JoinSet::new();
        for n in 0..RACERS {
            let (store, id) = (Arc::clone(&self.store), ada.id());
            tasks.spawn(async move {
                let old = old.map(hash);
                store.set_password(&id, old.as_ref().map(PasswordHash::as_str), &hash(&n.to_string())).await
            });
        }
        let mut versions = Vec::new();
        while let Some(changed) = tasks.join_next().await {
            versions.extend(changed.map_err(said)?.map_err(said)?);
        }
        expect("the versions of the winners", versions, vec![ada.token_version() + 1])
    }

    async fn bumps(self) -> Result<(), String> {
        let ada = self.ada().await?;
        let mut tasks = JoinSet::new();
        for _ in 0..RACERS {
            let (store, id) = (Arc::clone(&self.store), ada.id());
            tasks.spawn(async move { store.bump_token_version(&id).await });
        }
        let mut versions = Vec::new();
        while let Some(bumped) = tasks.join_next().await {
            versions.extend(bumped.map_err(said)?.map_err(said)?);
        }
        versions.sort_unstable();
        let first = ada.token_version() + 1;
        expect("the versions", versions, (first..first + u64::from(RACERS)).collect())
    }
}
