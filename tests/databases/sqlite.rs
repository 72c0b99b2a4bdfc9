//! Tests the SQLite store.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use portcullis::{
    Profile, Registration,
    auth::{ClientInfo, Presented},
    store::{
        UserAdmin, UserStore, conformance,
        sql::{SqliteStore, fetch_rows},
    },
    user::Login,
};
use sqlx::{
    Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};

use crate::login::session_of;
use crate::{
    outages::{Behind, Fault, Outage, OutageTest},
    temp_dir::TempDir,
};

/// Roles that a store must keep as they are.
pub(crate) const ROLES: [&str; 4] = ["admin", "it's \"odd\"", "$where", "𝒜🦀\u{0}"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_every_promise() {
    let scratch = TempDir::new();
    let number = AtomicU32::new(0);
    let fresh = async || {
        let name = format!("{}.db", number.fetch_add(1, Ordering::Relaxed));
        SqliteStore::open(scratch.path().join(name)).await.unwrap()
    };
    conformance::sessions(&fresh).await.assert_kept();
    conformance::users(&fresh, Profile::default).await.assert_kept();
    conformance::user_admin(&fresh, Profile::default, &ROLES).await.assert_kept();
}

#[tokio::test]
async fn a_restart_of_the_process_loses_nothing() {
    let scratch = TempDir::new();
    let path = scratch.path().join("app.db");
    let start = async || {
        let store = SqliteStore::open(&path).await.unwrap();
        let auth = crate::auth::builder(store.clone(), store.clone()).build().unwrap();
        (store, auth)
    };
    let (store, auth) = start().await;
    let profile = Profile { name: Some("Ada 🦀".into()), avatar_url: Some("https://example.com/a.png".into()) };
    let ada = auth
        .register(Registration::new("Ada@example.com", "open sesame 42", profile), &ClientInfo::unknown())
        .await
        .unwrap();
    store.set_roles(&ada.id, &["admin".into(), "it's \"odd\"".into()]).await.unwrap();
    let tokens = session_of(&auth, &ada).await;
    let ended = session_of(&auth, &ada).await;
    auth.logout(&Presented::refresh(ended.refresh_token.expose()), &ClientInfo::unknown()).await.unwrap();
    drop((store, auth));

    let (store, auth) = start().await;
    let found = store.find_by_login(&Login::email("ada@example.com")).await.unwrap().unwrap();
    assert_eq!((found.name.as_deref(), found.roles.len()), (Some("Ada 🦀"), 2));
    let next = auth.refresh(tokens.refresh_token.expose(), &ClientInfo::unknown()).await.unwrap();
    assert!(next.user.roles.contains(&"admin".to_owned()));
    assert!(auth.authenticate(ended.access_token.expose(), portcullis::auth::Check::Stateless).await.is_err());
    assert!(store.set_disabled(&ada.id, true).await.unwrap());
    assert!(auth.refresh(next.tokens.refresh_token.expose(), &ClientInfo::unknown()).await.is_err());
    assert!(store.remove_user(&ada.id).await.unwrap());
    assert!(!store.remove_user(&ada.id).await.unwrap());
}

fn query_only(flag: &AtomicBool) -> &'static str {
    if flag.load(Ordering::SeqCst) { "PRAGMA query_only = ON" } else { "PRAGMA query_only = OFF" }
}

/// Makes a store with a short timeout, because the tests wait for it. Its connections can be made
/// read-only.
async fn impatient(path: &Path) -> (ReadOnly, SqliteStore) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_millis(300));
    let read_only = Arc::new(AtomicBool::new(false));
    let (flag, new) = (Arc::clone(&read_only), Arc::clone(&read_only));
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .before_acquire(move |connection, _| {
            let statement = query_only(&flag);
            Box::pin(async move { sqlx::query(statement).execute(connection).await.map(|_| true) })
        })
        .after_connect(move |connection, _| {
            let statement = query_only(&new);
            Box::pin(async move { sqlx::query(statement).execute(connection).await.map(drop) })
        })
        .connect_with(options)
        .await
        .unwrap();
    let store = SqliteStore::new(pool);
    store.migrate().await.unwrap();
    (ReadOnly(read_only), store)
}

/// Another process writes and does not commit.
struct Locked(SqliteConnection);

#[async_trait]
impl Fault for Locked {
    fn name(&self) -> String {
        "locked by another writer".to_owned()
    }

    fn outage(&self) -> Outage {
        Outage::Writes
    }

    async fn begin(&mut self) {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.0).await.unwrap();
    }

    async fn end(&mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}

/// Makes every write fail, as after the system has mounted the disk read-only because of an error.
struct ReadOnly(Arc<AtomicBool>);

#[async_trait]
impl Fault for ReadOnly {
    fn name(&self) -> String {
        "read-only".to_owned()
    }

    fn outage(&self) -> Outage {
        Outage::Writes
    }

    async fn begin(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }

    async fn end(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_sqlite_is_a_503_and_leaves_nothing_half_done() {
    let scratch = TempDir::new();
    let path = scratch.path().join("app.db");
    let (read_only, store) = impatient(&path).await;
    let test = OutageTest::new("SQLite", Arc::new(store.clone()), Arc::new(store), Behind::BOTH).await;
    let other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    test.run(Locked(other)).await;
    test.run(read_only).await;
    test.report();
}

#[tokio::test]
async fn a_full_disk_is_an_outage_and_loses_nothing() {
    let scratch = TempDir::new();
    let options = SqliteConnectOptions::new().filename(scratch.path().join("app.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteStore::new(pool.clone());
    store.migrate().await.unwrap();
    let auth = crate::auth::builder(store.clone(), store.clone())
        .session_limit(portcullis::store::SessionLimit::EndLeastRecentlyUsed(100_000))
        .build()
        .unwrap();
    let ada = auth
        .register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown())
        .await
        .unwrap();
    let first = session_of(&auth, &ada).await;
    // The database may not have more pages than it has now.
    sqlx::query("PRAGMA max_page_count = 1").execute(&pool).await.unwrap();
    let mut sessions = 1;
    let full = loop {
        match auth.start_session(&ada, &ClientInfo::unknown()).await {
            Ok(_) => sessions += 1,
            Err(error) => break error,
        }
        assert!(sessions < 10_000, "it never gets full");
    };
    assert_eq!(full.kind(), portcullis::ErrorKind::StoreUnavailable);
    assert_eq!(auth.sessions(&ada.id).await.unwrap().len(), sessions);
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&pool).await.unwrap();
    assert!(auth.refresh(first.refresh_token.expose(), &ClientInfo::unknown()).await.is_ok());
    session_of(&auth, &ada).await;
}

#[tokio::test]
async fn a_url_opens_the_file_that_the_driver_would_open() {
    let scratch = TempDir::new();
    let file = |name: &str| scratch.path().join(name);
    let of = |name: &str, parameters: &str| format!("sqlite://{}{parameters}", file(name).display());
    for (name, url) in [
        ("a.db", of("a.db", "")),
        ("b.db", of("b.db", "?mode=rwc")),
        ("c d.db", of("c%20d.db", "?mode=rwc&cache=private")),
        ("e.db", format!("sqlite:{}", file("e.db").display())),
        ("f.db", file("f.db").display().to_string()),
    ] {
        SqliteStore::connect(&url).await.unwrap();
        assert!(file(name).exists(), "{url}");
    }
    assert_eq!(
        std::fs::read_dir(scratch.path())
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().contains('?')
            })
            .count(),
        0
    );
    // These are a file that must exist, a file that is only read, and a scheme that no driver
    // knows.
    assert!(SqliteStore::connect(&of("g.db", "?mode=rw")).await.unwrap_err().is_unavailable());
    let read_only = SqliteStore::connect(&of("a.db", "?mode=ro")).await.unwrap();
    assert!(read_only.bump_token_version(&"1".into()).await.unwrap_err().is_unavailable());
    for unknown in ["?mode=often", "?sync=off"] {
        assert!(!SqliteStore::connect(&of("a.db", unknown)).await.unwrap_err().is_unavailable(), "{unknown}");
    }
    for url in ["sqlite::memory:", "sqlite://shared?mode=memory"] {
        let store = SqliteStore::connect(url).await.unwrap();
        assert!(store.bump_token_version(&"1".into()).await.unwrap().is_none());
    }
}

/// The driver panics on a prepared `SELECT *` whose table has got a column.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_the_apps_own_may_change_while_it_runs() {
    let scratch = TempDir::new();
    let options = SqliteConnectOptions::new().filename(scratch.path().join("app.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE members (id INTEGER, email TEXT)").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO members VALUES (1, 'ada@example.com')").execute(&pool).await.unwrap();
    let read = || sqlx::query("SELECT * FROM members");
    assert_eq!(fetch_rows(&pool, read).await.unwrap().len(), 1);
    sqlx::query("ALTER TABLE members ADD COLUMN phone TEXT").execute(&pool).await.unwrap();
    let rows = fetch_rows(&pool, read).await.unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, 3), "a row is never read as absent");
}
