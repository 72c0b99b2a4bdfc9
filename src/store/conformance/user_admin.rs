//! What the administration of users rests on.

use std::{collections::BTreeSet, future::Future, sync::Arc};

use tokio::task::JoinSet;

use super::{
    report::{Report, ensure, expect, said},
    samples::{HOSTILE, NOW, RACERS},
};
use crate::{
    store::{PageLimit, UserAdmin},
    user::{AuthUser, Email, Login, NewUser, PasswordHash, UserId, Username},
};

/// Checks every promise of a [`UserAdmin`].
///
/// `factory` makes an empty store for each promise, and `fields` makes the app's own registration
/// fields. `roles` are roles that the store has room for, one at a time.
pub async fn user_admin<S, F, M, R>(factory: F, fields: R, roles: &[&str]) -> Report
where
    S: UserAdmin,
    F: Fn() -> M,
    M: Future<Output = S>,
    R: Fn() -> <S::User as AuthUser>::Registration,
{
    let mut report = Report::default();
    let fresh = async || Fresh { store: Arc::new(factory().await), fields: &fields };
    report.check("roles are replaced as a whole, and only they", fresh().await.replaces_roles(roles)).await;
    report.check("a user is disabled and enabled, and nothing else changes", fresh().await.disables()).await;
    report.check("a removed user is gone, and the address is free", fresh().await.removes()).await;
    report.check("an id of a removed user is given to no other", fresh().await.gives_no_id_twice()).await;
    report.check("one of many racing removals of a user succeeds", fresh().await.racing_removals()).await;
    report.check("an id that names no user changes nothing", fresh().await.unknown(roles)).await;
    report.check("pages list each user once, in one order", fresh().await.pages()).await;
    report.check("pages skip and repeat no user while others come and go", fresh().await.moving_pages()).await;
    report
}

/// How many users the pages are made of.
const USERS: usize = 11;

struct Fresh<'a, S, R> {
    store: Arc<S>,
    fields: &'a R,
}

/// What must be as it was.
#[derive(Debug, PartialEq)]
struct Rest {
    hash: Option<String>,
    version: u64,
    names: Vec<String>,
}

impl Rest {
    fn of(user: &impl AuthUser) -> Self {
        Self {
            hash: user.password_hash().map(str::to_owned),
            version: user.token_version(),
            names: user.names().into_iter().map(str::to_owned).collect(),
        }
    }
}

impl<S, R> Fresh<'_, S, R>
where
    S: UserAdmin,
    R: Fn() -> <S::User as AuthUser>::Registration,
{
    fn registration(&self, name: &str) -> Result<NewUser<<S::User as AuthUser>::Registration>, String> {
        let email = format!("{name}@example.com").parse::<Email>().map_err(said)?;
        let username = name.parse::<Username>().map_err(said)?;
        let hash = hash("first");
        Ok(NewUser::new(email, Some(username), hash, (self.fields)(), NOW))
    }

    async fn create(&self, name: &str) -> Result<S::User, String> {
        self.store.create(self.registration(name)?).await.map_err(said)
    }

    /// Adds users, and returns their ids.
    async fn create_many(&self, names: &str, count: usize) -> Result<Vec<UserId>, String> {
        let mut ids = Vec::new();
        for n in 0..count {
            ids.push(self.create(&format!("{names}{n}")).await?.id());
        }
        Ok(ids)
    }

    async fn again(&self, id: &UserId) -> Result<S::User, String> {
        self.store.find_by_id(id).await.map_err(said)?.ok_or_else(|| "the user is gone".to_owned())
    }

    async fn remove(&self, id: &UserId) -> Result<bool, String> {
        self.store.remove_user(id).await.map_err(said)
    }

    async fn set_roles(&self, id: &UserId, roles: &[&str]) -> Result<bool, String> {
        let roles: Vec<String> = roles.iter().map(|&role| role.to_owned()).collect();
        self.store.set_roles(id, &roles).await.map_err(said)
    }

    /// Reads a page: the ids in it, and the next `after`.
    async fn page(&self, after: Option<&UserId>, limit: usize) -> Result<(Vec<UserId>, Option<UserId>), String> {
        let page = self.store.list_users(after, PageLimit::new(limit)).await.map_err(said)?;
        let ids: Vec<UserId> = page.users.iter().map(AuthUser::id).collect();
        ensure(ids.len() <= PageLimit::new(limit).get(), format!("a page of {limit} has {} users", ids.len()))?;
        if let Some(next) = &page.next {
            expect("the next page's start", Some(next), ids.last())?;
        }
        Ok((ids, page.next))
    }

    /// Reads page after page.
    async fn walk(&self, limit: usize) -> Result<Vec<UserId>, String> {
        let (mut ids, mut after) = (Vec::new(), None);
        for _ in 0..=USERS {
            let (page, next) = self.page(after.as_ref(), limit).await?;
            ids.extend(page);
            after = next;
            if after.is_none() {
                return Ok(ids);
            }
        }
        Err(format!("there are more than {} pages of {limit}", USERS + 1))
    }

    async fn replaces_roles(self, roles: &[&str]) -> Result<(), String> {
        let (ada, eve) = (self.create("ada").await?, self.create("eve").await?);
        for role in roles {
            expect(&format!("the role {role:?} of a user"), self.set_roles(&ada.id(), &[*role]).await?, true)?;
            let now = self.again(&ada.id()).await?;
            expect("the roles", now.roles(), vec![*role])?;
            expect("the rest of the user", Rest::of(&now), Rest::of(&ada))?;
            ensure(!now.is_disabled(), "a change of roles has disabled the user")?;
        }
        let before: Vec<String> = self.again(&ada.id()).await?.roles().into_iter().map(str::to_owned).collect();
        let many: Vec<String> = ["first", "second"].map(str::to_owned).to_vec();
        let taken = self.store.set_roles(&ada.id(), &many).await;
        // A store may have no room for two roles, or none for these. It then says so.
        let expected = if taken.is_ok() { many } else { before };
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expect("the roles after two were set", self.again(&ada.id()).await?.roles(), expected)?;
        expect("no roles", self.set_roles(&ada.id(), &[]).await?, true)?;
        expect("the roles after none were set", self.again(&ada.id()).await?.roles(), vec![])?;
        let other = self.again(&eve.id()).await?;
        expect("the roles of another user", other.roles(), vec![])
    }

    async fn disables(self) -> Result<(), String> {
        let (ada, eve) = (self.create("ada").await?, self.create("eve").await?);
        for disabled in [true, true, false, false] {
            let found = self.store.set_disabled(&ada.id(), disabled).await.map_err(said)?;
            expect("whether there is such a user", found, true)?;
            let now = self.again(&ada.id()).await?;
            expect("whether the user is disabled", now.is_disabled(), disabled)?;
            expect("the rest of the user", Rest::of(&now), Rest::of(&ada))?;
            expect("whether another user is disabled", self.again(&eve.id()).await?.is_disabled(), false)?;
        }
        Ok(())
    }

    async fn removes(self) -> Result<(), String> {
        let (ada, eve) = (self.create("ada").await?, self.create("eve").await?);
        expect("the removal", self.remove(&ada.id()).await?, true)?;
        expect("a second removal", self.remove(&ada.id()).await?, false)?;
        let found = self.store.find_by_id(&ada.id()).await.map_err(said)?;
        ensure(found.is_none(), "a removed user is found by id")?;
        for login in [Login::email("ada@example.com"), Login::username("ada")] {
            let found = self.store.find_by_login(&login).await.map_err(said)?;
            ensure(found.is_none(), format!("a removed user is found by {login:?}"))?;
        }
        let (first, second) = (hash("first"), hash("second"));
        let renewed = self.store.replace_password_hash(&ada.id(), first.as_str(), &second).await.map_err(said)?;
        expect("a hash of a removed user renewed", renewed, false)?;
        let raised = self.store.bump_token_version(&ada.id()).await.map_err(said)?;
        expect("the raised version of a removed user", raised, None)?;
        expect("the roles of a removed user", self.set_roles(&ada.id(), &[]).await?, false)?;
        let found = self.store.set_disabled(&ada.id(), true).await.map_err(said)?;
        expect("a removed user disabled", found, false)?;
        expect("the other user", Rest::of(&self.again(&eve.id()).await?), Rest::of(&eve))?;
        let later = self.create("ada").await;
        ensure(later.is_ok(), format!("the address of a removed user is taken: {:?}", later.err()))
    }

    async fn gives_no_id_twice(self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        // The newest user, whose id is the largest in a table that counts.
        for _ in 0..3 {
            let id = self.create("ada").await?.id();
            ensure(ids.insert(id.clone()), format!("{id} was the id of a removed user"))?;
            expect("the removal", self.remove(&id).await?, true)?;
        }
        Ok(())
    }

    async fn racing_removals(self) -> Result<(), String> {
        let ada = self.create("ada").await?;
        let mut tasks = JoinSet::new();
        for _ in 0..RACERS {
            let (store, id) = (Arc::clone(&self.store), ada.id());
            tasks.spawn(async move { store.remove_user(&id).await });
        }
        let mut removals = 0;
        while let Some(removed) = tasks.join_next().await {
            removals += usize::from(removed.map_err(said)?.map_err(said)?);
        }
        expect("the number of removals", removals, 1)
    }

    async fn unknown(self, roles: &[&str]) -> Result<(), String> {
        let ada = self.create("ada").await?;
        let numbers = ["", "-1", "0", "1e3", "0x1", "9223372036854775808", "-9223372036854775808"];
        for text in HOSTILE.iter().copied().chain(numbers) {
            let id = UserId::from(text);
            expect(
                &format!("the roles of {text:?}"),
                self.set_roles(&id, roles.get(..1).unwrap_or_default()).await?,
                false,
            )?;
            let found = self.store.set_disabled(&id, true).await.map_err(said)?;
            expect(&format!("{text:?} disabled"), found, false)?;
            expect(&format!("{text:?} removed"), self.remove(&id).await?, false)?;
            let (ids, next) = self.page(Some(&id), PageLimit::MAX).await?;
            let known = ids.is_empty() || ids == [ada.id()];
            ensure(known && next.is_none(), format!("after {text:?} come {ids:?}, and then {next:?}"))?;
        }
        let now = self.again(&ada.id()).await?;
        expect("the user", Rest::of(&now), Rest::of(&ada))?;
        ensure(now.roles().is_empty() && !now.is_disabled(), "another user's roles or standing changed")
    }

    async fn pages(self) -> Result<(), String> {
        expect("the pages of an empty store", self.walk(5).await?, vec![])?;
        let mut created = self.create_many("user", USERS).await?;
        let order = self.walk(PageLimit::MAX).await?;
        let mut sorted = order.clone();
        sorted.sort();
        created.sort();
        expect("the users of all pages", sorted, created)?;
        // 0 is a page of one user, and `usize::MAX` the largest page.
        for limit in [0, 1, 2, 3, USERS - 1, USERS, USERS + 1, usize::MAX] {
            expect(&format!("the order in pages of {limit}"), self.walk(limit).await?, order.clone())?;
        }
        let (all, next) = self.page(None, USERS).await?;
        expect("the users of one full page", all, order.clone())?;
        expect("what follows the last full page", next, None)?;
        expect("what follows the last user", self.page(order.last(), 5).await?, (vec![], None))
    }

    async fn moving_pages(self) -> Result<(), String> {
        self.create_many("user", USERS).await?;
        let order = self.walk(PageLimit::MAX).await?;
        let (mut seen, next) = self.page(None, 3).await?;
        let after = next.ok_or("the first of several pages is the last")?;
        // The user whose id the next page begins after, one who was listed, and one who was not.
        let [first, _, third, _, fifth, rest @ ..] = order.as_slice() else {
            return Err(format!("{USERS} users are {order:?}"));
        };
        expect("the cursor", &after, third)?;
        for removed in [first, third, fifth] {
            expect("the removal", self.remove(removed).await?, true)?;
        }
        let added = self.create_many("later", 3).await?;
        let mut after = Some(after);
        for _ in 0..USERS {
            let Some(cursor) = &after else { break };
            let (page, next) = self.page(Some(cursor), 2).await?;
            seen.extend(page);
            after = next;
        }
        expect("the end of the pages", after, None)?;
        ensure(!seen.contains(fifth), "a user who was removed before is listed")?;
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        expect("the number of users who are listed once", once.len(), seen.len())?;
        for id in rest.iter().chain(order.get(..4).unwrap_or_default()) {
            ensure(seen.contains(id), format!("{id} was there all the time and is not listed"))?;
        }
        let foreign = seen.iter().find(|id| !order.contains(id) && !added.contains(id));
        expect("a user of no registration", foreign, None)?;
        self.racing_pages().await
    }

    /// Reads pages while tasks add users and remove them.
    async fn racing_pages(&self) -> Result<(), String> {
        let staying = self.walk(PageLimit::MAX).await?;
        let mut tasks = JoinSet::new();
        for n in 0..RACERS {
            let (store, new) = (Arc::clone(&self.store), self.registration(&format!("guest{n}"))?);
            tasks.spawn(async move {
                let guest = store.create(new).await?.id();
                store.remove_user(&guest).await
            });
        }
        let mut listed = Vec::new();
        let mut after = None;
        for _ in 0..=usize::from(RACERS) + staying.len() {
            let (page, next) = self.page(after.as_ref(), 2).await?;
            listed.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
        while let Some(removed) = tasks.join_next().await {
            expect("the removal of a guest", removed.map_err(said)?.map_err(said)?, true)?;
        }
        listed.retain(|id| staying.contains(id));
        expect("the users who stayed", listed, staying)
    }
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1${text}"))
}
