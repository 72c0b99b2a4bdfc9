//! Adds lookup keys to the users of a collection, and unique indexes over them.

use futures_util::TryStreamExt;
use mongodb::{
    IndexModel,
    bson::{Bson, Document, doc},
    options::IndexOptions,
};

use super::{
    connection::{DUPLICATE_KEY, Limit},
    ids,
    users::MongoUsers,
};
use crate::{store::StoreError, user::Login};

/// How many documents get their keys in one command.
const BATCH: usize = 1000;

/// How many duplicate values an error names.
const NAMED: u8 = 5;

impl MongoUsers {
    /// Adds the lookup keys of the e-mail address and username to every user, and creates the
    /// unique indexes over these keys. Every node may call this at every start.
    ///
    /// Keys of a release that did not know normal forms are replaced. Two users may have one
    /// address or username only by today's rule, such as `max@bücher.example` and
    /// `max@xn--bcher-kva.example`. One of them then gets the key. The other one gets the earlier
    /// key, and logs in with their own spelling. A warning in the log names both by their ids.
    ///
    /// # Errors
    /// - [`StoreError::internal`] where several users have one e-mail address or username that
    ///   differs only in the case of letters. Its source names the users.
    /// - [`StoreError::internal`] for what does not pass by itself, such as a missing permission.
    /// - [`StoreError::unavailable`] where the server cannot be reached, or did not answer in time.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let fields = &self.fields;
        let email = Keyed { field: &fields.email, key: &fields.email_key, what: "e-mail address", fold: Login::email };
        let username =
            Keyed { field: &fields.username, key: &fields.username_key, what: "username", fold: Login::username };
        for keyed in [email, username] {
            // All old keys are removed first, because one user may now have the address that
            // another one had before.
            self.drop_stale(&keyed).await?;
            self.add_missing(&keyed).await?;
            self.make_unique(&keyed).await?;
            self.add_of_two_forms(&keyed).await?;
        }
        Ok(())
    }

    /// Removes the keys of addresses and usernames that another app has changed or removed since.
    async fn drop_stale(&self, keyed: &Keyed<'_>) -> Result<(), StoreError> {
        let Keyed { field, key, .. } = *keyed;
        // The server folds only ASCII. What it finds is folded again here.
        let (field, its_key) = (format!("${field}"), format!("${key}"));
        let is_text = doc! { "$eq": [{ "$type": &field }, "string"] };
        let folded = doc! { "$toLower": { "$trim": { "input": field } } };
        let differs = doc! { "$ne": [{ "$cond": [is_text, folded, Bson::Null] }, its_key] };
        let filter = doc! { key: { "$exists": true }, "$expr": differs };
        self.for_each(keyed, filter, |found| {
            let (text, old) = (keyed.text(found), found.get(key)?);
            let is_of = |login: &Login| {
                old.as_str().is_some_and(|old| [Some(login.key()), earlier_key(login)].contains(&Some(old)))
            };
            if text.is_some_and(|text| is_of(&(keyed.fold)(text))) {
                return None;
            }
            // Both fields must be as they were read. If the text was set back in the meantime, its
            // key is right.
            let mut unchanged = doc! { "_id": { "$eq": found.get("_id") }, key: old };
            let as_read = found.get(keyed.field).map_or_else(|| doc! { "$exists": false }, |text| doc! { "$eq": text });
            unchanged.insert(keyed.field, as_read);
            Some(doc! { "q": unchanged, "u": { "$unset": { key: "" } } })
        })
        .await
    }

    /// Adds a key to users without one. Texts with two forms of key are left to
    /// [`add_of_two_forms`](Self::add_of_two_forms).
    async fn add_missing(&self, keyed: &Keyed<'_>) -> Result<(), StoreError> {
        let Keyed { field, key, fold, .. } = *keyed;
        let filter = doc! { key: { "$exists": false }, field: { "$type": "string", "$ne": "" } };
        self.for_each(keyed, filter, |found| {
            let text = keyed.text(found)?;
            if fold(text).earlier().is_some() {
                return None;
            }
            // The address must be as it was read. One that has changed since is found at the next
            // start.
            let unchanged = doc! { "_id": { "$eq": found.get("_id") }, field: text, key: { "$exists": false } };
            Some(doc! { "q": unchanged, "u": { "$set": { key: fold(text).key() } } })
        })
        .await
    }

    /// Sets today's key for texts that have another key by the earlier rule. They may have the
    /// earlier key or none. This runs one by one under the unique index, because another user may
    /// already have the key. In this case the user keeps or gets the earlier key.
    async fn add_of_two_forms(&self, keyed: &Keyed<'_>) -> Result<(), StoreError> {
        let Keyed { field, key, fold, .. } = *keyed;
        let handle = &self.handle;
        let filter = doc! { field: { "$type": "string", "$regex": "[^\\x01-\\x7F]" } };
        let projection = doc! { field: 1, key: 1 };
        let mut found = handle.migrate(handle.collection().find(filter).projection(projection.clone())).await?;
        let mut refused = Vec::new();
        while let Some(user) = handle.migrate(found.try_next()).await? {
            let Some((text, login)) = keyed.text(&user).map(|text| (text, fold(text))) else { continue };
            let (Some(earlier), old) = (earlier_key(&login), user.get_str(key).ok()) else { continue };
            if old.is_some_and(|old| old != earlier) {
                continue;
            }
            // The text must be as it was read. One that has changed since is found at the next
            // start.
            let unchanged = doc! { "_id": { "$eq": user.get("_id") }, field: text, key: old.map_or(doc! { "$exists": false }, |old| doc! { "$eq": old }) };
            let give = |new: &str| {
                let update = handle.collection().update_one(unchanged.clone(), doc! { "$set": { key: new } });
                handle.run_unique(update, Limit::Migration)
            };
            if give(login.key()).await?.is_ok() {
                continue;
            }
            let holder = handle.collection().find_one(doc! { key: login.key() }).projection(projection.clone());
            let Some(holder) = handle.migrate(holder).await? else { continue };
            let is_one_by_both = keyed.text(&holder).is_some_and(|text| earlier_key(&fold(text)) == Some(earlier));
            if is_one_by_both || (old.is_none() && give(earlier).await?.is_err()) {
                refused.push(doc! { "q": unchanged, "u": { "$set": { key: login.key() } } });
                continue;
            }
            let ids = named([&user, &holder].into_iter().filter_map(|user| user.get("_id")));
            tracing::warn!(
                target: "portcullis",
                users = ids,
                "two users have one {} in different spellings: each still logs in with their own spelling; change or \
                 remove one of them",
                keyed.what
            );
        }
        if refused.is_empty() { Ok(()) } else { Err(self.say_taken(keyed, refused.iter()).await?) }
    }

    /// Updates what the filter finds, in batches.
    async fn for_each(
        &self,
        keyed: &Keyed<'_>,
        filter: Document,
        update: impl Fn(&Document) -> Option<Document>,
    ) -> Result<(), StoreError> {
        let handle = &self.handle;
        let find = handle.collection().find(filter).projection(doc! { keyed.field: 1, keyed.key: 1 });
        let mut found = handle.migrate(find).await?;
        let (mut updates, mut refused) = (Vec::new(), Vec::new());
        loop {
            let next = handle.migrate(found.try_next()).await?;
            let is_last = next.is_none();
            updates.extend(next.as_ref().and_then(&update));
            if updates.len() >= BATCH || (is_last && !updates.is_empty()) {
                refused.extend(self.update(std::mem::take(&mut updates)).await?);
            }
            if is_last {
                // The error is returned at the end, so that one refused key does not stop the
                // others.
                return if refused.is_empty() { Ok(()) } else { Err(self.say_taken(keyed, refused.iter()).await?) };
            }
        }
    }

    /// Runs the updates. Returns those that the index of an earlier start refused.
    async fn update(&self, updates: Vec<Document>) -> Result<Vec<Document>, StoreError> {
        let command = doc! {
            "update": self.handle.collection().name(),
            "updates": &updates,
            "ordered": false,
            "writeConcern": { "w": "majority" },
        };
        let answer: Document = self.handle.migrate(self.database.run_command(command)).await?;
        let Ok(errors) = answer.get_array("writeErrors") else { return Ok(Vec::new()) };
        let errors: Vec<_> = errors.iter().filter_map(Bson::as_document).collect();
        if errors.iter().all(|error| error.get_i32("code").ok() == Some(DUPLICATE_KEY)) {
            let refused = errors.iter().filter_map(|error| {
                let index = usize::try_from(error.get_i32("index").ok()?).ok()?;
                updates.get(index).cloned()
            });
            return Ok(refused.collect());
        }
        Err(StoreError::internal("MongoDB refused the lookup keys"))
    }

    async fn make_unique(&self, keyed: &Keyed<'_>) -> Result<(), StoreError> {
        let key = keyed.key;
        let options = IndexOptions::builder().name(format!("portcullis_{key}")).unique(true).sparse(true).build();
        let index = IndexModel::builder().keys(doc! { key: 1 }).options(options).build();
        let made = self.handle.run_unique(self.handle.collection().create_index(index), Limit::Migration).await?;
        match made {
            Ok(_) => Ok(()),
            Err(_) => Err(self.say_duplicates(keyed).await?),
        }
    }

    /// Makes the error for refused keys. It names the users who have them.
    async fn say_taken(
        &self,
        keyed: &Keyed<'_>,
        refused: impl Iterator<Item = &Document>,
    ) -> Result<StoreError, StoreError> {
        let mut groups = Vec::new();
        for update in refused.take(NAMED.into()) {
            let part = |part: &str| update.get_document(part).ok();
            let id = part("q").and_then(|query| query.get_document("_id").ok()?.get("$eq"));
            let key = part("u").and_then(|set| set.get_document("$set").ok()?.get(keyed.key));
            let find = self.handle.collection().find_one(doc! { keyed.key: key }).projection(doc! { "_id": 1 });
            let holder = self.handle.migrate(find).await?;
            groups.push(named([id, holder.as_ref().and_then(|holder| holder.get("_id"))].into_iter().flatten()));
        }
        Ok(duplicates(keyed.what, &groups))
    }

    async fn say_duplicates(&self, keyed: &Keyed<'_>) -> Result<StoreError, StoreError> {
        let key = keyed.key;
        let pipeline = [
            doc! { "$match": { key: { "$exists": true } } },
            doc! { "$group": { "_id": format!("${key}"), "ids": { "$push": "$_id" }, "users": { "$sum": 1 } } },
            doc! { "$match": { "users": { "$gt": 1 } } },
            doc! { "$limit": i64::from(NAMED) },
        ];
        let handle = &self.handle;
        let action = handle.collection().aggregate(pipeline).allow_disk_use(true);
        let found: Vec<Document> = handle.migrate(async { action.await?.try_collect().await }).await?;
        let groups: Vec<_> = found.iter().filter_map(|group| Some(named(group.get_array("ids").ok()?))).collect();
        Ok(duplicates(keyed.what, &groups))
    }
}

/// A field whose texts are looked up by keys.
#[derive(Clone, Copy)]
struct Keyed<'a> {
    field: &'a str,
    key: &'a str,
    what: &'static str,
    fold: fn(&str) -> Login,
}

impl Keyed<'_> {
    /// Returns the text by which the document is looked up.
    fn text<'a>(&self, document: &'a Document) -> Option<&'a str> {
        document.get_str(self.field).ok().filter(|text| !text.is_empty())
    }
}

fn earlier_key(login: &Login) -> Option<&str> {
    login.login_key().earlier()
}

fn named<'a>(found: impl IntoIterator<Item = &'a Bson>) -> String {
    let ids: Vec<_> = found.into_iter().filter_map(ids::read).map(|id| id.to_string()).collect();
    ids.join(" and ")
}

/// Makes the error for duplicates. It names the users by their ids, because addresses must not be
/// in a log.
fn duplicates(what: &str, groups: &[String]) -> StoreError {
    let advice = "change or remove all but one, and start again";
    StoreError::internal(format!(
        "users with one {what} that differs only in the case of letters: {}; {advice}",
        groups.join(", ")
    ))
}
