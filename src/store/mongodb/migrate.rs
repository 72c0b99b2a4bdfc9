//! Lookup keys for users who were there before, and the unique indexes over them.

use futures_util::TryStreamExt;
use mongodb::{
    IndexModel,
    bson::{Bson, Document, doc, oid::ObjectId},
    options::IndexOptions,
};

use super::{handle::Limit, users::MongoUsers};
use crate::{store::StoreError, user::Login};

/// How many documents are given their keys in one command.
const BATCH: usize = 1000;

/// How many values that several users have are named.
const NAMED: i64 = 5;

impl MongoUsers {
    /// Gives every user without lookup keys theirs, and makes the unique indexes over these; every node may do it at every
    /// start.
    ///
    /// # Errors
    /// [`StoreError::internal`] where several users have one e-mail address or username but for the case of its letters: its
    /// source says which users. Else as of [`UserStore`](crate::store::UserStore).
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let fields = &self.fields;
        self.add_keys(&fields.email, &fields.email_key, Login::email).await?;
        self.add_keys(&fields.username, &fields.username_key, Login::username).await?;
        self.make_unique(&fields.email_key, "e-mail address").await?;
        self.make_unique(&fields.username_key, "username").await
    }

    async fn add_keys(&self, field: &str, key: &str, fold: fn(&str) -> Login) -> Result<(), StoreError> {
        let handle = &self.handle;
        let without = doc! { key: { "$exists": false }, field: { "$type": "string", "$ne": "" } };
        let find = handle.collection().find(without).projection(doc! { field: 1 });
        let mut found = handle.migrate(find).await?;
        let mut updates = Vec::new();
        loop {
            let next = handle.migrate(found.try_next()).await?;
            let is_last = next.is_none();
            if let Some((document, text)) = next.as_ref().and_then(|next| Some((next, next.get_str(field).ok()?))) {
                // The address as it was read: one that has changed since is found again at the next start.
                let unchanged = doc! { "_id": document.get("_id"), field: text, key: { "$exists": false } };
                updates.push(Bson::from(doc! { "q": unchanged, "u": { "$set": { key: fold(text).key() } } }));
            }
            if updates.len() >= BATCH || (is_last && !updates.is_empty()) {
                self.update(std::mem::take(&mut updates)).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn update(&self, updates: Vec<Bson>) -> Result<(), StoreError> {
        let command = doc! {
            "update": self.handle.collection().name(),
            "updates": updates,
            "ordered": false,
            "writeConcern": { "w": "majority" },
        };
        let answer: Document = self.handle.migrate(self.database.run_command(command)).await?;
        match answer.get_array("writeErrors").ok().and_then(|errors| errors.first()).and_then(Bson::as_document) {
            None => Ok(()),
            // An index from an earlier start is in force.
            Some(error) if error.get_i32("code") == Ok(11_000) => {
                Err(StoreError::internal("a user without a lookup key has the e-mail address or username of another"))
            }
            Some(_) => Err(StoreError::internal("MongoDB did not take the lookup keys")),
        }
    }

    async fn make_unique(&self, key: &str, what: &str) -> Result<(), StoreError> {
        let options = IndexOptions::builder().name(format!("portcullis_{key}")).unique(true).sparse(true).build();
        let index = IndexModel::builder().keys(doc! { key: 1 }).options(options).build();
        let made = self.handle.run_unique(self.handle.collection().create_index(index), Limit::Migration).await?;
        match made {
            Ok(_) => Ok(()),
            Err(_) => Err(self.say_duplicates(key, what).await?),
        }
    }

    /// Names the users by their ids: addresses have no place in a log.
    async fn say_duplicates(&self, key: &str, what: &str) -> Result<StoreError, StoreError> {
        let pipeline = [
            doc! { "$match": { key: { "$exists": true } } },
            doc! { "$group": { "_id": format!("${key}"), "ids": { "$push": "$_id" }, "users": { "$sum": 1 } } },
            doc! { "$match": { "users": { "$gt": 1 } } },
            doc! { "$limit": NAMED },
        ];
        let handle = &self.handle;
        let action = handle.collection().aggregate(pipeline).allow_disk_use(true);
        let found: Vec<Document> = handle.migrate(async { action.await?.try_collect().await }).await?;
        let named = |group: &Document| {
            let ids = group.get_array("ids").ok()?;
            let ids: Vec<_> = ids.iter().filter_map(Bson::as_object_id).map(ObjectId::to_hex).collect();
            Some(ids.join(" and "))
        };
        let users: Vec<_> = found.iter().filter_map(named).collect();
        let mend = "change or remove all but one, and start again";
        Ok(StoreError::internal(format!(
            "users of one {what} but for the case of its letters: {}; {mend}",
            users.join(", ")
        )))
    }
}
