//! [`MemoryUsers`]: users in memory.

use std::{
    collections::{BTreeMap, HashMap},
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;

use super::shards::{DEFAULT_CAPACITY, SHARDS, full, shard_of};
use crate::{
    random,
    store::{PageLimit, StoreError, UniqueField, UserAdmin, UserPage, UserStore},
    user::{Login, NewUser, PasswordHash, Profile, User, UserId},
};

/// Stores users in memory. Clones share them. See [`MemoryStore`](super::MemoryStore) for the
/// limits.
///
/// # Examples
/// ```
/// use portcullis::store::memory::MemoryUsers;
///
/// let users = MemoryUsers::with_capacity(10_000);
/// assert!(users.is_empty());
/// ```
#[derive(Clone)]
pub struct MemoryUsers(Arc<Inner>);

struct Inner {
    users: Box<[RwLock<HashMap<UserId, User>>]>,
    /// The id of each login key. A registration reserves its keys here before it adds the user, so
    /// that only one of two racing registrations succeeds.
    logins: Box<[Mutex<Logins>]>,
    hasher: RandomState,
    len: AtomicUsize,
    capacity: usize,
}

type Logins = HashMap<Box<str>, UserId>;

impl MemoryUsers {
    /// Makes an empty store with room for this many users.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            users: (0..SHARDS).map(|_| RwLock::default()).collect(),
            logins: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            len: AtomicUsize::new(0),
            capacity,
        }))
    }

    /// Returns the number of users.
    pub fn len(&self) -> usize {
        self.0.len.load(Ordering::Acquire)
    }

    /// Returns whether there are no users.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns an id that no user has had, in this process or before. It has 63 random bits, which
    /// fit into a signed column.
    fn new_id(&self) -> Result<UserId, StoreError> {
        loop {
            let bits = u64::from_le_bytes(random::bytes().map_err(StoreError::internal)?) >> 1;
            let id = UserId::from(bits);
            if bits != 0 && self.read(&id).is_none_or(|shard| !shard.contains_key(&id)) {
                return Ok(id);
            }
        }
    }

    fn read(&self, id: &UserId) -> Option<RwLockReadGuard<'_, HashMap<UserId, User>>> {
        let shard = self.0.users.get(shard_of(&self.0.hasher, id.as_str()))?;
        Some(shard.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, id: &UserId) -> Option<RwLockWriteGuard<'_, HashMap<UserId, User>>> {
        let shard = self.0.users.get(shard_of(&self.0.hasher, id.as_str()))?;
        Some(shard.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn logins(&self, key: &str) -> Option<MutexGuard<'_, Logins>> {
        let shard = self.0.logins.get(shard_of(&self.0.hasher, key))?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn update<T>(&self, id: &UserId, change: impl FnOnce(&mut User) -> T) -> Option<T> {
        self.write(id)?.get_mut(id).map(change)
    }

    fn take(&self, key: &str, id: &UserId) -> bool {
        use std::collections::hash_map::Entry;
        match self.logins(key).as_mut().map(|logins| logins.entry(key.into())) {
            Some(Entry::Vacant(free)) => {
                free.insert(id.clone());
                true
            }
            Some(Entry::Occupied(_)) | None => false,
        }
    }

    fn release(&self, key: &str) {
        if let Some(mut logins) = self.logins(key) {
            logins.remove(key);
        }
    }
}

impl Default for MemoryUsers {
    fn default() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }
}

impl std::fmt::Debug for MemoryUsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryUsers").field("len", &self.len()).field("capacity", &self.0.capacity).finish()
    }
}

// An e-mail address has an `@` and a username has none. Users that an app adds itself may break
// this rule. The prefixes keep the two kinds of key apart in any case.
fn email_key(email: &str) -> String {
    format!("e:{}", Login::email(email).key())
}

fn username_key(username: &str) -> String {
    format!("u:{}", Login::username(username).key())
}

#[async_trait]
impl UserStore for MemoryUsers {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        Ok(self.read(id).and_then(|shard| shard.get(id).cloned()))
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        let key = match login {
            Login::Email(email) => email_key(email),
            Login::Username(username) => username_key(username),
        };
        let id = self.logins(&key).and_then(|logins| logins.get(key.as_str()).cloned());
        Ok(id.and_then(|id| self.read(&id).and_then(|shard| shard.get(&id).cloned())))
    }

    async fn create(&self, new: NewUser<Profile>) -> Result<User, StoreError> {
        let id = self.new_id()?;
        if self.0.len.fetch_add(1, Ordering::AcqRel) >= self.0.capacity {
            self.0.len.fetch_sub(1, Ordering::AcqRel);
            return Err(full());
        }
        let fail = |error| {
            self.0.len.fetch_sub(1, Ordering::AcqRel);
            Err(error)
        };
        let email = email_key(new.email.key());
        if !self.take(&email, &id) {
            return fail(StoreError::duplicate(UniqueField::Email));
        }
        if let Some(username) = &new.username
            && !self.take(&username_key(username.key()), &id)
        {
            self.release(&email);
            return fail(StoreError::duplicate(UniqueField::Username));
        }
        let user = User::from_new(id.clone(), new);
        if let Some(mut shard) = self.write(&id) {
            shard.insert(id, user.clone());
        }
        Ok(user)
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let replaced = self.update(id, |user| {
            let same = user.password_hash.as_deref() == Some(expected);
            if same {
                user.password_hash = Some(new.as_str().to_owned());
            }
            same
        });
        Ok(replaced.unwrap_or(false))
    }

    async fn set_password(
        &self,
        id: &UserId,
        expected: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        let version = self.update(id, |user| {
            (user.password_hash.as_deref() == expected).then(|| {
                user.password_hash = Some(new.as_str().to_owned());
                user.token_version = user.token_version.saturating_add(1);
                user.token_version
            })
        });
        Ok(version.flatten())
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        Ok(self.update(id, |user| {
            user.token_version = user.token_version.saturating_add(1);
            user.token_version
        }))
    }
}

#[async_trait]
impl UserAdmin for MemoryUsers {
    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError> {
        Ok(self.update(id, |user| user.roles = roles.to_vec()).is_some())
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        Ok(self.update(id, |user| user.disabled = disabled).is_some())
    }

    async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let removed = self.write(id).and_then(|mut shard| shard.remove(id));
        let Some(user) = removed else { return Ok(false) };
        self.0.len.fetch_sub(1, Ordering::AcqRel);
        self.release(&email_key(&user.email));
        if let Some(username) = &user.username {
            self.release(&username_key(username));
        }
        Ok(true)
    }

    /// Looks at every user for each page, one shard after another.
    async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<User>, StoreError> {
        if after.is_some_and(|after| after.to_key::<u64>().is_none()) {
            return Ok(UserPage::new(Vec::new(), limit));
        }
        // The first users of the shards so far, one more than the page has.
        let mut first: BTreeMap<UserId, User> = BTreeMap::new();
        for shard in &self.0.users {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for (id, user) in shard.iter().filter(|(id, _)| after.is_none_or(|after| *id > after)) {
                let has_room = first.len() <= limit.get();
                if has_room || first.last_key_value().is_some_and(|(last, _)| id < last) {
                    first.insert(id.clone(), user.clone());
                }
                if first.len() > limit.get() + 1 {
                    first.pop_last();
                }
            }
        }
        Ok(UserPage::new(first.into_values().collect(), limit))
    }
}
