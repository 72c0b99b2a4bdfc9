//! The app as it was: its members and their table; and the two columns that it gets.

use std::{str::FromStr, time::Duration};

use portcullis::{
    AuthUser,
    store::{
        StoreError,
        sql::{fetch_rows, store_error},
    },
    user::{Login, UserId},
};
use serde::{Deserialize, Serialize};
use sqlx::{
    Row, Sqlite, SqlitePool,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow},
};

#[derive(Clone)]
pub(crate) struct Member {
    member_id: i64,
    mail: String,
    pw: Option<String>,
    full_name: String,
    is_staff: bool,
    banned: bool,
    token_version: u64,
}

/// Fields of a registration besides the address and the password.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Joining {
    pub(crate) full_name: String,
}

/// The public part of a member.
#[derive(Serialize)]
pub(crate) struct Card {
    member_id: i64,
    mail: String,
    full_name: String,
}

impl AuthUser for Member {
    type Registration = Joining;
    type Public = Card;

    fn id(&self) -> UserId {
        self.member_id.into()
    }

    fn password_hash(&self) -> Option<&str> {
        self.pw.as_deref()
    }

    fn token_version(&self) -> u64 {
        self.token_version
    }

    fn is_disabled(&self) -> bool {
        self.banned
    }

    fn roles(&self) -> Vec<&str> {
        if self.is_staff { vec!["admin"] } else { Vec::new() }
    }

    fn public(&self) -> Card {
        Card { member_id: self.member_id, mail: self.mail.clone(), full_name: self.full_name.clone() }
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.mail, &self.full_name]
    }
}

#[derive(Clone)]
pub(crate) struct Members(SqlitePool);

pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The columns of a member by name. `*` changes when a column is added while the app runs.
macro_rules! columns {
    () => {
        "member_id, mail, pw, full_name, is_staff, banned, token_version"
    };
}
pub(crate) use columns;

macro_rules! returning {
    () => {
        concat!("RETURNING ", $crate::members::columns!())
    };
}
pub(crate) use returning;

macro_rules! raise_version {
    () => {
        "UPDATE members SET token_version = token_version + 1"
    };
}
pub(crate) use raise_version;

impl Members {
    /// Opens the app's database, a path or a `sqlite:` URL, and adds what it needs.
    pub(crate) async fn open(url: &str) -> Result<Self, sqlx::Error> {
        let options = if url.starts_with("sqlite:") {
            // Creates a missing file, unless the URL says how to open it.
            let options = SqliteConnectOptions::from_str(url)?;
            if url.contains("mode=") { options } else { options.create_if_missing(true) }
        } else {
            SqliteConnectOptions::new().filename(url).create_if_missing(true)
        };
        let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(3));
        let pool = SqlitePool::connect_with(options).await?;
        // The table as the app had it before.
        let table = "CREATE TABLE IF NOT EXISTS members (member_id INTEGER PRIMARY KEY AUTOINCREMENT, \
                     mail TEXT NOT NULL, pw TEXT, full_name TEXT NOT NULL DEFAULT '', \
                     is_staff INTEGER NOT NULL DEFAULT 0, banned INTEGER NOT NULL DEFAULT 0)";
        sqlx::query(table).execute(&pool).await?;
        adopt(&pool).await?;
        Ok(Self(pool))
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.0
    }

    pub(crate) async fn one<'q>(
        &self,
        statement: impl Fn() -> Statement<'q> + Send,
    ) -> Result<Option<Member>, StoreError> {
        // Not `fetch_optional`, which has seen the row before SQLite has committed it.
        Ok(self.all(statement).await?.into_iter().next())
    }

    pub(crate) async fn all<'q>(
        &self,
        statement: impl Fn() -> Statement<'q> + Send,
    ) -> Result<Vec<Member>, StoreError> {
        let rows = fetch_rows(&self.0, statement).await?;
        rows.iter().map(member).collect::<Result<_, _>>().map_err(store_error)
    }
}

fn member(row: &SqliteRow) -> Result<Member, sqlx::Error> {
    Ok(Member {
        member_id: row.try_get("member_id")?,
        mail: row.try_get("mail")?,
        pw: row.try_get("pw")?,
        full_name: row.try_get("full_name")?,
        is_staff: row.try_get("is_staff")?,
        banned: row.try_get("banned")?,
        token_version: row.try_get::<i64, _>("token_version")?.unsigned_abs(),
    })
}

/// Adds the two columns that the table lacks: the token version, and the key of the address.
/// `lower()` of a database knows other letters than Rust does, so the keys are made here.
async fn adopt(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let columns = sqlx::query("SELECT name FROM pragma_table_info('members') WHERE name = 'mail_key'");
    if columns.fetch_optional(&mut *transaction).await?.is_some() {
        return Ok(());
    }
    for statement in [
        "ALTER TABLE members ADD COLUMN token_version INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE members ADD COLUMN mail_key TEXT",
    ] {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    for row in sqlx::query("SELECT member_id, mail FROM members").fetch_all(&mut *transaction).await? {
        let (id, mail): (i64, String) = (row.try_get("member_id")?, row.try_get("mail")?);
        // Not `Email`, so that a member whose address a registration refuses today still logs in.
        let key = Login::email(&mail);
        let update = sqlx::query("UPDATE members SET mail_key = $2 WHERE member_id = $1").bind(id).bind(key.key());
        update.execute(&mut *transaction).await?;
    }
    // Fails where two members have one address. Only the owner of the app can say whose it is.
    let index = "CREATE UNIQUE INDEX members_mail_key ON members (mail_key)";
    sqlx::query(index).execute(&mut *transaction).await?;
    transaction.commit().await
}
