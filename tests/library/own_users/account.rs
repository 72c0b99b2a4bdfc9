//! An existing app: its user type, its registration fields and its table.

use std::sync::{Arc, Mutex, PoisonError};

use portcullis::{
    AuthUser,
    error::FieldError,
    store::{StoreError, UniqueField},
    user::UserId,
};
use serde::{Deserialize, Serialize};

#[derive(Clone)]
pub(crate) struct Account {
    id: i64,
    email: String,
    password: Option<String>,
    company: String,
    version: u64,
    banned: bool,
}

#[derive(Deserialize)]
pub(crate) struct SignUp {
    pub(crate) company: String,
}

#[derive(Serialize)]
pub(crate) struct Card {
    email: String,
    company: String,
}

impl AuthUser for Account {
    type Registration = SignUp;
    type Public = Card;

    fn id(&self) -> UserId {
        self.id.into()
    }

    fn password_hash(&self) -> Option<&str> {
        self.password.as_deref()
    }

    fn token_version(&self) -> u64 {
        self.version
    }

    fn is_disabled(&self) -> bool {
        self.banned
    }

    fn roles(&self) -> Vec<&str> {
        vec!["customer"]
    }

    fn public(&self) -> Card {
        Card { email: self.email.clone(), company: self.company.clone() }
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.email]
    }

    fn check_registration(sign_up: &SignUp) -> Vec<FieldError> {
        let blank = sign_up.company.trim().is_empty();
        blank.then(|| FieldError::new("company", "blank", "The company is blank.")).into_iter().collect()
    }
}

/// Stands for a database: a table, and the three statements that the store needs.
#[derive(Clone, Default)]
pub(crate) struct Accounts(Arc<Mutex<Vec<Account>>>);

#[expect(clippy::unused_async, reason = "a database would be awaited")]
impl Accounts {
    pub(crate) async fn select<const N: usize>(
        &self,
        condition: &str,
        args: [SqlValue; N],
    ) -> Result<Option<Account>, StoreError> {
        let wanted = args[0].0.as_deref().unwrap_or_default();
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let by_email = condition.contains("email");
        let hit =
            |row: &&Account| if by_email { row.email.to_lowercase() == wanted } else { row.id.to_string() == wanted };
        Ok(rows.iter().find(hit).cloned())
    }

    pub(crate) async fn insert(&self, [email, key, password, company]: [SqlValue; 4]) -> Result<Account, StoreError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.iter().any(|row| Some(row.email.to_lowercase()) == key.0) {
            return Err(StoreError::duplicate(UniqueField::Email));
        }
        let id = 1000 + i64::try_from(rows.len()).unwrap_or(0);
        let (email, company) = (email.0.unwrap_or_default(), company.0.unwrap_or_default());
        let row = Account { id, email, password: password.0, company, version: 0, banned: false };
        rows.push(row.clone());
        Ok(row)
    }

    /// Returns the version of the updated row.
    pub(crate) async fn update<const N: usize>(
        &self,
        statement: &str,
        args: [SqlValue; N],
    ) -> Result<Option<u64>, StoreError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compares =
            ["password = $2", "password IS NOT DISTINCT FROM $2"].iter().any(|part| statement.contains(part));
        let hit =
            |row: &&mut Account| Some(row.id.to_string()) == args[0].0 && (!compares || row.password == args[1].0);
        let Some(row) = rows.iter_mut().find(hit) else { return Ok(None) };
        if statement.contains("password = $3") {
            row.password.clone_from(&args[2].0);
        }
        if statement.contains("version + 1") {
            row.version += 1;
        }
        Ok(Some(row.version))
    }
}

pub(crate) struct SqlValue(Option<String>);

impl From<Option<&str>> for SqlValue {
    fn from(text: Option<&str>) -> Self {
        Self(text.map(str::to_owned))
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<&String> for SqlValue {
    fn from(text: &String) -> Self {
        Self(Some(text.clone()))
    }
}

impl From<String> for SqlValue {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<i64> for SqlValue {
    fn from(number: i64) -> Self {
        Self(Some(number.to_string()))
    }
}
