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

use crate::scratch::Scratch;

/// Waits as long as a busy machine needs, and finds out soon that a server is back.
pub(super) const PATIENT: &str = "serverSelectionTimeoutMS=60000&connectTimeoutMS=3000&heartbeatFrequencyMS=500";

/// The server, where it is ours: it ends with its value.
pub(super) struct Server {
    uri: String,
    own: Option<Own>,
}

struct Own {
    child: Child,
    port: u16,
    scratch: Scratch,
}

fn daemon() -> PathBuf {
    let on_path =
        || env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("secantusd-py")).find(|it| it.is_file());
    env::var_os("SECANTUSD").map(PathBuf::from).or_else(on_path).unwrap_or_else(|| {
        panic!(
            "no MongoDB to test with: run tests/run, which brings one, or set MONGODB_URI to a server, or SECANTUSD to \
             the secantusd-py of `pip install secantusdb`"
        )
    })
}

fn spawn(port: u16, scratch: &Scratch) -> Child {
    Command::new(daemon())
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
    /// The server of `MONGODB_URI`, else one of our own.
    pub(super) async fn start() -> Self {
        match env::var("MONGODB_URI") {
            Ok(uri) => Self { uri, own: None },
            Err(_) => Self::start_own().await,
        }
    }

    /// A server that the test may kill.
    pub(super) async fn start_own() -> Self {
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

    pub(super) fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.own.as_ref().unwrap().port).into()
    }

    pub(super) fn pid(&self) -> u32 {
        self.own.as_ref().unwrap().child.id()
    }

    /// As a power cut would.
    pub(super) fn kill(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.child.kill().unwrap();
        own.child.wait().unwrap();
    }

    /// On the same port, over the same data.
    pub(super) async fn start_again(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.child = spawn(own.port, &own.scratch);
        self.ready().await;
    }

    /// An empty database.
    pub(super) async fn database(&self) -> Database {
        database_at(&self.uri).await
    }

    pub(super) async fn store(&self) -> MongoStore {
        migrated(&self.database().await).await
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

pub(super) async fn database_at(uri: &str) -> Database {
    Client::with_uri_str(uri).await.unwrap().database(&name())
}

/// The commands that a client has sent.
#[derive(Clone, Default)]
pub(super) struct Sent(Arc<Mutex<Vec<Document>>>);

impl Sent {
    pub(super) fn take(&self) -> Vec<Document> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// An empty database whose client tells what it sends.
pub(super) async fn watched(uri: &str) -> (Database, Sent) {
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

pub(super) async fn migrated(database: &Database) -> MongoStore {
    let store = MongoStore::new(database).with_timeout(Duration::from_secs(30));
    store.migrate().await.unwrap();
    store
}

fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("portcullis_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Has the next calls of these commands fail as told; answers whether the server can.
pub(super) async fn fail(database: &Database, mode: Bson, data: Document) -> bool {
    let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    database.client().database("admin").run_command(command).await.is_ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            let _ = own.child.kill();
            let _ = own.child.wait();
        }
    }
}
