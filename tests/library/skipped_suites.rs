//! Suites whose feature is not enabled. They are listed as ignored, with the feature to enable.

#[cfg(not(feature = "sqlx_0_9_sqlite"))]
#[test]
#[ignore = "LEFT OUT: the suites of SQLite need the feature `sqlx_0_9_sqlite`; tests/run has it"]
fn sqlite() {
    panic!("enable the feature `sqlx_0_9_sqlite`");
}

#[cfg(not(feature = "sqlx_0_9_postgres"))]
#[test]
#[ignore = "LEFT OUT: the suites of PostgreSQL need the feature `sqlx_0_9_postgres` and a server; tests/run has both"]
fn postgres() {
    panic!("enable the feature `sqlx_0_9_postgres`");
}
