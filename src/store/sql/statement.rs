//! [`Statement`]: a statement with its values, for either engine.

use sqlx::{Database, Encode, Type, database::HasStatementCache, query::Query};

/// A statement and the values of its parameters.
pub(super) struct Statement<'a> {
    text: &'static str,
    values: Vec<Value<'a>>,
    is_kept: bool,
}

/// A value of a parameter. `None` is `NULL`.
pub(super) enum Value<'a> {
    Number(Option<i64>),
    Flag(bool),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

impl<'a> Statement<'a> {
    /// Makes a statement that the driver keeps prepared.
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, values: Vec::new(), is_kept: true }
    }

    /// Makes a statement that the driver prepares for this run alone.
    pub(super) fn once(text: &'static str) -> Self {
        Self { is_kept: false, ..Self::new(text) }
    }

    /// Gives the next parameter its value.
    pub(super) fn bind(mut self, value: impl Into<Value<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Returns the statement for a driver.
    pub(super) fn query<DB>(self) -> Query<'static, DB, DB::Arguments>
    where
        DB: Database + HasStatementCache,
        bool: Type<DB> + for<'q> Encode<'q, DB>,
        Option<i64>: Type<DB> + for<'q> Encode<'q, DB>,
        for<'q> Option<&'q str>: Type<DB> + Encode<'q, DB>,
        for<'q> Option<&'q [u8]>: Type<DB> + Encode<'q, DB>,
    {
        let query = sqlx::query(self.text).persistent(self.is_kept);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Number(number) => query.bind(number),
            Value::Flag(flag) => query.bind(flag),
            Value::Text(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl<'a> From<&'a [u8; 16]> for Value<'a> {
    fn from(id: &'a [u8; 16]) -> Self {
        Self::Bytes(Some(id))
    }
}

impl<'a> From<Option<&'a [u8; 16]>> for Value<'a> {
    fn from(id: Option<&'a [u8; 16]>) -> Self {
        Self::Bytes(id.map(<[u8; 16]>::as_slice))
    }
}
