//! Tests every property of the SQLite store.

use portcullis_properties::{properties, run::Run, sqlite::Sqlite};

#[test]
fn every_property_holds_for_sqlite() {
    if let Err(failure) = properties::suite(&Sqlite, Run::from_env().sparing(32)) {
        panic!("{failure}");
    }
}
