//! Starts a server of MongoDB's wire protocol on its own port, or uses the one of `MONGODB_URI`.

use std::{
    env,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use portcullis::store::mongodb::MongoStore;

use crate::{
    mongodb_process::{stand_in, start_stand_in},
    required_servers::can_run,
    server_process::ServerProcess,
};

/// Waits as long as a busy machine needs, and notices soon that a server is up again.
pub(crate) const PATIENT: &str = "serverSelectionTimeoutMS=60000&connectTimeoutMS=3000&heartbeatFrequencyMS=500";

/// A server. One that the test has started stops when this value is dropped.
pub(crate) struct Server {
    uri: String,
    own: Option<ServerProcess>,
}

impl Server {
    /// Returns whether there is a server to test with, which the test may also kill.
    pub(crate) fn can_run() -> bool {
        can_run("MongoDB (or secantusd-py, which speaks its protocol)", stand_in().is_some())
    }

    /// Returns the server of `MONGODB_URI`, or starts one.
    pub(crate) async fn start() -> Self {
        match env::var("MONGODB_URI") {
            Ok(uri) => Self { uri, own: None },
            Err(_) => Self::start_own().await,
        }
    }

    /// Starts a server that the test may kill.
    pub(crate) async fn start_own() -> Self {
        let process = start_stand_in();
        let uri = format!("mongodb://{}/?{PATIENT}", process.addr());
        let mut server = Self { uri, own: Some(process) };
        server.ready().await;
        server
    }

    async fn ready(&mut self) {
        let own = self.own.as_mut().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !own.is_listening() {
            assert!(Instant::now() < deadline, "the MongoDB server does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.own.as_ref().unwrap().addr()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.own.as_ref().unwrap().id()
    }

    /// Kills the server, like a power failure.
    pub(crate) fn kill(&mut self) {
        self.own.as_mut().unwrap().kill();
    }

    /// Starts the server again, on the same port with the same data.
    pub(crate) async fn start_again(&mut self) {
        self.own.as_mut().unwrap().start_again();
        self.ready().await;
    }

    /// Returns an empty database.
    pub(crate) async fn database(&self) -> Database {
        database_at(&self.uri).await
    }

    pub(crate) async fn store(&self) -> MongoStore {
        migrated(&self.database().await).await
    }

    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }
}

/// Returns a URI for this address only. A replica set names its members, and clients would connect
/// to those.
pub(crate) fn uri_at(addr: SocketAddr) -> String {
    format!("mongodb://{addr}/?directConnection=true&{PATIENT}")
}

pub(crate) async fn database_at(uri: &str) -> Database {
    Client::with_uri_str(uri).await.unwrap().database(&name())
}

/// The commands that a client has sent.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<Vec<Document>>>);

impl Sent {
    pub(crate) fn take(&self) -> Vec<Document> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Returns an empty database whose client records what it sends.
pub(crate) async fn watched(uri: &str) -> (Database, Sent) {
    let sent = Sent::default();
    let mut options = ClientOptions::parse(uri).await.unwrap();
    let log = sent.clone();
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(event) = event {
            log.0.lock().unwrap().push(event.command);
        }
    }));
    (Client::with_options(options).unwrap().database(&name()), sent)
}

pub(crate) async fn migrated(database: &Database) -> MongoStore {
    let store = MongoStore::new(database).with_timeout(Duration::from_secs(30));
    store.migrate().await.unwrap();
    store
}

fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("portcullis_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Makes the next calls of these commands fail in the given way.
///
/// Repeats a command that fails: the failures of the calls before it may have emptied the pool of
/// connections, and the driver does not repeat `configureFailPoint` by itself.
pub(crate) async fn fail(database: &Database, mode: Bson, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = database.client().database("admin").run_command(command.clone()).await {
        assert!(Instant::now() < deadline, "the fail point cannot be set: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
