//! [`MongoFeed`]: a revocation feed by a change stream.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Database, IndexModel,
    bson::{Document, doc},
    change_stream::{ChangeStream, event::ChangeStreamEvent},
    options::IndexOptions,
};

use super::{
    connection::{Handle, failed},
    documents::{binary, count, date, read_id, signed},
};
use crate::{
    clock::Timestamp,
    session::Revocation,
    store::{RevocationFeed, StoreError, Subscription},
    user::UserId,
};

/// The collection of the revocations.
const COLLECTION: &str = "portcullis_endings";

/// Reports revocations to all nodes at once, by a change stream. It works with any session store.
/// Clones share the client.
///
/// Change streams need a replica set. Each node uses one connection of the pool for the feed. The
/// collection `portcullis_endings` contains the revocations until no access token needs them. After
/// an outage the driver continues where it was, and reports what was missed.
///
/// # Examples
/// ```no_run
/// use portcullis::store::mongodb::MongoStore;
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MongoStore::connect("mongodb://127.0.0.1:27017/app").await?;
/// let feed = store.feed();
/// feed.migrate().await?;
/// let auth = portcullis::AuthBuilder::from_env(store.clone(), store).revocation_feed(feed).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MongoFeed {
    handle: Handle,
}

impl MongoFeed {
    /// Makes a feed in the collection `portcullis_endings`. Call [`migrate`](Self::migrate) before
    /// use.
    pub fn new(database: &Database) -> Self {
        Self { handle: Handle::new(database, COLLECTION) }
    }

    /// Creates the index by which the engine deletes old revocations. Every node may call this at
    /// every start.
    ///
    /// # Errors
    /// - [`StoreError::unavailable`] where the server cannot be reached, or did not answer in time.
    /// - [`StoreError::internal`] for what does not pass by itself.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let options = IndexOptions::builder().name("portcullis_keep_until".to_owned());
        let options = options.expire_after(std::time::Duration::ZERO).build();
        let index = IndexModel::builder().keys(doc! { "keep_until": 1 }).options(options).build();
        self.handle.migrate(self.handle.collection().create_index(index)).await.map(drop)
    }
}

#[async_trait]
impl RevocationFeed for MongoFeed {
    async fn publish(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let document = match revocation {
            Revocation::Session { id, keep_until } => {
                doc! { "id": binary(id.as_bytes()), "keep_until": date(*keep_until) }
            }
            Revocation::User { id, min_version, keep_until } => {
                doc! { "user": id.as_str(), "min_version": signed(*min_version)?, "keep_until": date(*keep_until) }
            }
        };
        self.handle.run(self.handle.collection().insert_one(document)).await.map(drop)
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let added = [doc! { "$match": { "operationType": "insert" } }];
        let stream = self.handle.run(self.handle.collection().watch().pipeline(added)).await?;
        Ok(Box::new(Revocations(stream)))
    }
}

struct Revocations(ChangeStream<ChangeStreamEvent<Document>>);

#[async_trait]
impl Subscription for Revocations {
    async fn next(&mut self) -> Result<Revocation, StoreError> {
        let event = self.0.try_next().await.map_err(|error| failed(&error))?;
        let document = event.and_then(|event| event.full_document);
        read(&document.ok_or_else(|| StoreError::unavailable("the change stream ended"))?)
    }
}

fn read(document: &Document) -> Result<Revocation, StoreError> {
    let keep_until = document.get_datetime("keep_until").map_err(StoreError::internal)?;
    let keep_until = Timestamp::from_millis(keep_until.timestamp_millis());
    match document.get_str("user") {
        Ok(user) => Ok(Revocation::User {
            id: UserId::from(user),
            min_version: count(document.get("min_version"))?,
            keep_until,
        }),
        Err(_) => Ok(Revocation::Session { id: read_id(document)?, keep_until }),
    }
}
