//! Tests through the public API, with a clock that is moved by hand.

mod own_users;
