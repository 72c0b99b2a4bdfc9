//! [`MongoUsers`]: users, in a collection of this crate or of an app.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Database,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::ReturnDocument,
};

use super::{
    connection::{Handle, Limit, Taken},
    documents::{count, date},
    fields::{Roles, Standing, UserFields},
    ids,
};
use crate::{
    clock::Timestamp,
    store::{PageLimit, StoreError, UniqueField, UserAdmin, UserPage, UserStore},
    user::{Login, NewUser, PasswordHash, Profile, User, UserId},
};

/// The name of the collection, unless the app has one.
const COLLECTION: &str = "portcullis_users";

/// Stores users in a MongoDB collection, together with any store of sessions. Clones share the
/// client.
///
/// # Examples
/// ```no_run
/// use portcullis::{
///     Auth, User,
///     store::{
///         memory::MemorySessions,
///         mongodb::{MongoUsers, UserFields},
///     },
/// };
///
/// # async fn start(database: mongodb::Database) -> Result<(), Box<dyn std::error::Error>> {
/// let users = MongoUsers::existing(&database, "users", UserFields::mongoose())?;
/// users.migrate().await?;
/// let auth: Auth<User> = Auth::from_env(users, MemorySessions::default())?;
/// # let _ = auth;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MongoUsers {
    pub(super) handle: Handle,
    pub(super) fields: Arc<UserFields>,
    pub(super) database: Database,
}

impl MongoUsers {
    /// Uses the collection `portcullis_users`. Call [`migrate`](Self::migrate) before use.
    pub fn new(database: &Database) -> Self {
        let handle = Handle::new(database, COLLECTION);
        Self { handle, fields: Arc::new(UserFields::own()), database: database.clone() }
    }

    /// Uses a collection that an app already has, such as the `users` of a Mongoose model. Call
    /// [`migrate`](Self::migrate) before use. The [module](super) says what it adds.
    ///
    /// # Errors
    /// [`StoreError::internal`] where the name of a field is empty or a path, or where two fields
    /// have one name.
    pub fn existing(database: &Database, collection: &str, fields: UserFields) -> Result<Self, StoreError> {
        fields.check()?;
        let handle = Handle::new(database, collection);
        Ok(Self { handle, fields: Arc::new(fields), database: database.clone() })
    }

    /// Sets how long a call may take. Default: 3 s. Keep it below the refresh grace (default: 10
    /// s).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { handle: self.handle.with_timeout(&self.database, timeout), ..self }
    }

    async fn set(&self, id: &UserId, fields: Document) -> Result<bool, StoreError> {
        let Some(by_id) = ids::filter(id) else { return Ok(false) };
        let action = self.handle.collection().update_one(by_id, doc! { "$set": fields });
        Ok(self.handle.run(action).await?.matched_count > 0)
    }

    async fn find(&self, filter: Document) -> Result<Option<User>, StoreError> {
        let action = self.handle.collection().find_one(filter);
        let action = action.projection(self.projection()).max_time(self.handle.time_limit());
        let Some(document) = self.handle.run(action).await? else { return Ok(None) };
        self.read_known(&document)
    }

    /// Names the fields that a user is read from.
    fn projection(&self) -> Document {
        self.fields.all().into_iter().map(|field| (field.to_owned(), Bson::Int32(1))).collect()
    }

    /// Reads a user. Returns `None` for a document whose id is too long for a token, or of a type
    /// that no user id stands for: it belongs to no user, and no answer shows that there is a
    /// document.
    fn read_known(&self, document: &Document) -> Result<Option<User>, StoreError> {
        self.read(document).map(Some).or_else(|error| {
            if document.get("_id").and_then(ids::read).is_some() {
                return Err(error);
            }
            tracing::warn!(target: "portcullis", ?error, "a user cannot log in");
            Ok(None)
        })
    }

    /// Reads the documents after an `_id`, in the order in which the engine compares `_id`s of all
    /// types.
    async fn documents_after(&self, after: Option<&Bson>, limit: usize) -> Result<Vec<Document>, StoreError> {
        // Under `$expr`, because `$gt` alone finds only ids of the same type.
        let filter = after.map_or_else(Document::new, |after| {
            doc! { "$expr": { "$gt": ["$_id", { "$literal": after }] } }
        });
        let action = self
            .handle
            .collection()
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .projection(self.projection())
            .max_time(self.handle.time_limit());
        self.handle.run(async { action.await?.try_collect().await }).await
    }

    /// Raises the token version and sets these fields in one write. This is a pipeline, because the
    /// version may be missing or `null`.
    async fn raise(&self, filter: Document, mut fields: Document) -> Result<Option<u64>, StoreError> {
        let version = self.fields.token_version.as_str();
        let before = doc! { "$ifNull": [format!("${version}"), 0_i64] };
        fields.insert(version, doc! { "$add": [before, 1_i64] });
        let action = self
            .handle
            .collection()
            .find_one_and_update(filter, vec![doc! { "$set": fields }])
            .projection(doc! { version: 1 })
            .return_document(ReturnDocument::After)
            .max_time(self.handle.time_limit());
        self.handle.run(action).await?.map(|document| count(document.get(version))).transpose()
    }

    fn read(&self, document: &Document) -> Result<User, StoreError> {
        let fields = &self.fields;
        let id = document.get("_id");
        let user_id = id
            .and_then(ids::read)
            .ok_or_else(|| unreadable("_id", "too long for a token, or of a type without user ids"))?;
        let version = document.get(&fields.token_version).filter(|version| **version != Bson::Null);
        let created_at = match document.get(&fields.created_at) {
            Some(Bson::DateTime(moment)) => *moment,
            _ => id.and_then(Bson::as_object_id).map_or(DateTime::from_millis(0), |id| id.timestamp()),
        };
        Ok(User {
            id: user_id,
            email: text(document, &fields.email)?.unwrap_or_default(),
            username: text(document, &fields.username)?,
            name: text(document, &fields.name)?,
            avatar_url: text(document, &fields.avatar_url)?,
            roles: roles(document.get(fields.roles.field()))
                .ok_or_else(|| unreadable(fields.roles.field(), "neither text nor an array of texts"))?,
            password_hash: text(document, &fields.password_hash)?,
            token_version: version.map_or(Ok(0), |version| count(Some(version)))?,
            disabled: self.is_disabled(document)?,
            created_at: Timestamp::from_millis(created_at.timestamp_millis()),
        })
    }

    /// Reads whether the user is disabled. A field that is not a boolean is an error, so that a
    /// disabled user is never overlooked.
    fn is_disabled(&self, document: &Document) -> Result<bool, StoreError> {
        let standing = &self.fields.standing;
        match (standing, document.get(standing.field())) {
            (_, None | Some(Bson::Null)) => Ok(false),
            (Standing::Disabled(_), Some(Bson::Boolean(disabled))) => Ok(*disabled),
            (Standing::Enabled(_), Some(Bson::Boolean(enabled))) => Ok(!enabled),
            (standing, Some(_)) => Err(unreadable(standing.field(), "neither true nor false")),
        }
    }

    fn duplicate(&self, Taken { field }: &Taken) -> StoreError {
        if *field == self.fields.email_key || *field == self.fields.email {
            StoreError::duplicate(UniqueField::Email)
        } else if *field == self.fields.username_key || *field == self.fields.username {
            StoreError::duplicate(UniqueField::Username)
        } else {
            StoreError::internal(format!("a unique index over `{field}` refused a user"))
        }
    }
}

fn unreadable(field: &str, why: &str) -> StoreError {
    StoreError::internal(format!("the field `{field}` of a user is {why}"))
}

fn text(document: &Document, field: &str) -> Result<Option<String>, StoreError> {
    match document.get(field) {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(unreadable(field, "no text")),
    }
}

fn roles(value: Option<&Bson>) -> Option<Vec<String>> {
    match value {
        None | Some(Bson::Null) => Some(Vec::new()),
        Some(Bson::String(role)) => Some(vec![role.clone()]),
        Some(Bson::Array(roles)) => roles.iter().map(|role| role.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    }
}

#[async_trait]
impl UserStore for MongoUsers {
    type User = User;

    async fn find_by_id(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let Some(by_id) = ids::filter(id) else { return Ok(None) };
        // The collation of a collection may find a text that is written in another way.
        Ok(self.find(by_id).await?.filter(|user| user.id == *id))
    }

    async fn find_by_login(&self, login: &Login) -> Result<Option<User>, StoreError> {
        let field = match login {
            Login::Email(_) => &self.fields.email_key,
            Login::Username(_) => &self.fields.username_key,
        };
        self.find(doc! { field: login.key() }).await
    }

    async fn create(&self, new: NewUser<Profile>) -> Result<User, StoreError> {
        let fields = &self.fields;
        let email_key = new.email.key().to_owned();
        let username_key = new.username.as_ref().map(|username| username.key().to_owned());
        let id = ObjectId::new();
        let user = User::from_new(UserId::from(id.to_hex()), new);
        let mut document = doc! { "_id": id, &fields.email: &user.email, &fields.email_key: email_key };
        let texts = [
            (&fields.username, &user.username),
            (&fields.username_key, &username_key),
            (&fields.name, &user.name),
            (&fields.avatar_url, &user.avatar_url),
            (&fields.password_hash, &user.password_hash),
        ];
        // A missing field is not in a sparse index, but `null` would be.
        document
            .extend(texts.into_iter().filter_map(|(field, text)| Some((field.clone(), Bson::from(text.as_deref()?)))));
        if let Roles::Many(field) = &fields.roles {
            document.insert(field, Bson::Array(Vec::new()));
        }
        document.insert(&fields.token_version, 0_i64);
        document.insert(fields.standing.field(), matches!(fields.standing, Standing::Enabled(_)));
        document.insert(&fields.created_at, date(user.created_at));
        let action = self.handle.collection().insert_one(document);
        match self.handle.run_unique(action, Limit::Call).await? {
            Ok(_) => Ok(user),
            Err(taken) => Err(self.duplicate(&taken)),
        }
    }

    async fn replace_password_hash(&self, id: &UserId, expected: &str, new: &PasswordHash) -> Result<bool, StoreError> {
        let Some(mut by_id) = ids::filter(id) else { return Ok(false) };
        let field = self.fields.password_hash.as_str();
        let update = doc! { "$set": { field: new.as_str() } };
        by_id.insert(field, expected);
        let action = self.handle.collection().update_one(by_id, update);
        Ok(self.handle.run(action).await?.matched_count > 0)
    }

    async fn set_password(
        &self,
        id: &UserId,
        expected: Option<&str>,
        new: &PasswordHash,
    ) -> Result<Option<u64>, StoreError> {
        let Some(mut by_id) = ids::filter(id) else { return Ok(None) };
        let field = self.fields.password_hash.as_str();
        // `null` also matches a missing field. The hash is under `$literal`, because it begins with
        // a dollar, which would begin a path in a pipeline.
        by_id.insert(field, expected);
        self.raise(by_id, doc! { field: { "$literal": new.as_str() } }).await
    }

    async fn bump_token_version(&self, id: &UserId) -> Result<Option<u64>, StoreError> {
        let Some(by_id) = ids::filter(id) else { return Ok(None) };
        self.raise(by_id, Document::new()).await
    }
}

#[async_trait]
impl UserAdmin for MongoUsers {
    async fn set_roles(&self, id: &UserId, roles: &[String]) -> Result<bool, StoreError> {
        let value = match (&self.fields.roles, roles) {
            (Roles::Many(_), roles) => Bson::from(roles.to_vec()),
            (Roles::One(_), []) => Bson::Null,
            (Roles::One(_), [role]) => Bson::from(role.as_str()),
            (Roles::One(field), _) => {
                return Err(StoreError::internal(format!("the field `{field}` has room for one role")));
            }
        };
        self.set(id, doc! { self.fields.roles.field(): value }).await
    }

    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError> {
        let value = match &self.fields.standing {
            Standing::Disabled(_) => disabled,
            Standing::Enabled(_) => !disabled,
        };
        self.set(id, doc! { self.fields.standing.field(): value }).await
    }

    async fn remove_user(&self, id: &UserId) -> Result<bool, StoreError> {
        let Some(by_id) = ids::filter(id) else { return Ok(false) };
        let done = self.handle.run(self.handle.collection().delete_one(by_id)).await?;
        Ok(done.deleted_count > 0)
    }

    /// Reads once more where documents were left out because no user id stands for their ids.
    async fn list_users(&self, after: Option<&UserId>, limit: PageLimit) -> Result<UserPage<User>, StoreError> {
        let mut users = Vec::new();
        let mut after = match after {
            None => None,
            Some(after) => match ids::find(after) {
                Some(after) => Some(after),
                None => return Ok(UserPage::new(users, limit)),
            },
        };
        while users.len() <= limit.get() {
            let wanted = limit.get() + 1 - users.len();
            let documents = self.documents_after(after.as_ref(), wanted).await?;
            for document in &documents {
                users.extend(self.read_known(document)?);
            }
            if documents.len() < wanted {
                break;
            }
            after = documents.last().and_then(|document| document.get("_id").cloned());
        }
        Ok(UserPage::new(users, limit))
    }
}
