//! A server of MongoDB's wire protocol on a port of its own, or the one of `MONGODB_URI`.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
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

use crate::{skipped_suites::can_run, temp_dir::Scratch};

/// Waits as long as a busy machine needs, and finds out soon that a server is back.
pub(crate) const PATIENT: &str = "serverSelectionTimeoutMS=60000&connectTimeoutMS=3000&heartbeatFrequencyMS=500";

/// The server, where it is ours: it ends with its value.
pub(crate) struct Server {
    uri: String,
    own: Option<Own>,
}

struct Own {
    child: Child,
    port: u16,
    scratch: Scratch,
}

/// What `pip install secantusdb` brings: there is no package of MongoDB itself.
fn daemon() -> Option<PathBuf> {
    let on_path =
        || env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("secantusd-py")).find(|it| it.is_file());
    env::var_os("SECANTUSD").map(PathBuf::from).or_else(on_path)
}

fn spawn(port: u16, scratch: &Scratch) -> Child {
    Command::new(daemon().unwrap())
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--enable-test-commands", "--log-level", "ERROR"])
        .arg("--storage-path")
        .arg(scratch.path().join("data"))
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Server {
    /// Whether there is one to test with, even one that may be killed.
    pub(crate) fn can_run() -> bool {
        can_run("MongoDB (or secantusd-py, which speaks its protocol)", daemon().is_some())
    }

    /// The server of `MONGODB_URI`, else one of our own.
    pub(crate) async fn start() -> Self {
        match env::var("MONGODB_URI") {
            Ok(uri) => Self { uri, own: None },
            Err(_) => Self::start_own().await,
        }
    }

    /// A server that the test may kill.
    pub(crate) async fn start_own() -> Self {
        let scratch = Scratch::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(port, &scratch);
        let uri = format!("mongodb://127.0.0.1:{port}/?{PATIENT}");
        let mut server = Self { uri, own: Some(Own { child, port, scratch }) };
        server.ready().await;
        server
    }

    async fn ready(&mut self) {
        let own = self.own.as_mut().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(("127.0.0.1", own.port)).await.is_err() {
            assert!(Instant::now() < deadline, "the MongoDB server does not start");
            assert!(own.child.try_wait().unwrap().is_none(), "the MongoDB server ended at once");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.own.as_ref().unwrap().port).into()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.own.as_ref().unwrap().child.id()
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.child.kill().unwrap();
        own.child.wait().unwrap();
    }

    /// On the same port, over the same data.
    pub(crate) async fn start_again(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.child = spawn(own.port, &own.scratch);
        self.ready().await;
    }

    /// An empty database.
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

/// Where it is reached at this address alone: a replica set names its members, which clients would go to.
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

/// An empty database whose client tells what it sends.
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            let _ = own.child.kill();
            let _ = own.child.wait();
        }
    }
}
