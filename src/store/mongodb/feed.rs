//! Endings by a change stream.

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

/// The collection in which nodes tell each other.
const COLLECTION: &str = "portcullis_endings";

/// Tells every node at once what one of them has ended, whatever keeps the sessions; clones share the client.
///
/// Needs a replica set, as change streams do; each node holds one connection of the pool. What is told stands in the
/// collection `portcullis_endings` until nobody needs it. After an outage the driver resumes where it was, and tells what was
/// missed.
///
/// ```no_run
/// use portcullis::store::mongodb::{MongoFeed, MongoStore};
/// # async fn start(database: mongodb::Database) -> Result<(), Box<dyn std::error::Error>> {
/// let (store, feed) = (MongoStore::new(&database), MongoFeed::new(&database));
/// feed.migrate().await?;
/// let auth = portcullis::AuthBuilder::from_env(store.clone(), store).revocation_feed(feed).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MongoFeed {
    handle: Handle,
}

impl MongoFeed {
    /// A feed in the collection `portcullis_endings`. Call [`migrate`](Self::migrate).
    pub fn new(database: &Database) -> Self {
        Self { handle: Handle::new(database, COLLECTION) }
    }

    /// Makes the index by which the engine deletes what nobody needs any more; every node may do it at every start.
    ///
    /// # Errors
    /// [`StoreError::unavailable`] where the server cannot be reached, else [`StoreError::internal`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let options = IndexOptions::builder().name("portcullis_keep_until".to_owned());
        let options = options.expire_after(std::time::Duration::ZERO).build();
        let index = IndexModel::builder().keys(doc! { "keep_until": 1 }).options(options).build();
        self.handle.migrate(self.handle.collection().create_index(index)).await.map(drop)
    }
}

#[async_trait]
impl RevocationFeed for MongoFeed {
    async fn publish(&self, ending: &Revocation) -> Result<(), StoreError> {
        let told = match ending {
            Revocation::Session { id, keep_until } => {
                doc! { "id": binary(id.as_bytes()), "keep_until": date(*keep_until) }
            }
            Revocation::User { id, min_version, keep_until } => {
                doc! { "user": id.as_str(), "min_version": signed(*min_version)?, "keep_until": date(*keep_until) }
            }
        };
        self.handle.run(self.handle.collection().insert_one(told)).await.map(drop)
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let added = [doc! { "$match": { "operationType": "insert" } }];
        let stream = self.handle.run(self.handle.collection().watch().pipeline(added)).await?;
        Ok(Box::new(Told(stream)))
    }
}

struct Told(ChangeStream<ChangeStreamEvent<Document>>);

#[async_trait]
impl Subscription for Told {
    async fn next(&mut self) -> Result<Revocation, StoreError> {
        let event = self.0.try_next().await.map_err(|error| failed(&error))?;
        let told = event.and_then(|event| event.full_document);
        read(&told.ok_or_else(|| StoreError::unavailable("the change stream ended"))?)
    }
}

fn read(told: &Document) -> Result<Revocation, StoreError> {
    let keep_until = told.get_datetime("keep_until").map_err(StoreError::internal)?;
    let keep_until = Timestamp::from_millis(keep_until.timestamp_millis());
    match told.get_str("user") {
        Ok(user) => {
            Ok(Revocation::User { id: UserId::from(user), min_version: count(told.get("min_version"))?, keep_until })
        }
        Err(_) => Ok(Revocation::Session { id: read_id(told)?, keep_until }),
    }
}
