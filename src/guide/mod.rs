//! Guides: how something is done from its beginning to its end, and why it is so.
//!
//! | guide | what is in it |
//! |---|---|
//! | [`quickstart`] | a service that people log in to, in ten minutes |
//! | [`own_users_table`] | a users table that is there already: two columns, six statements, one test |
//! | [`from_axum_login`] | an app on axum-login and tower-sessions moves: code side by side, what changes, the steps |
//! | [`from_express`] | an Express app with Mongoose moves: its users and its front end stay, and there is a way back |
//! | [`sessions`] | what a session is, how its tokens rotate, what two tabs and a thief see, how it ends |
//! | [`key_rotation`] | a runbook: how each secret is changed without any user noticing, and what to do after a leak |
//! | [`several_nodes`] | what nodes share, what each keeps for itself, how they hear of each other |
//! | [`behind_a_proxy`] | addresses, HTTPS, hosts, prefixes, sizes; nginx and Caddy |
//! | [`csrf_and_cors`] | what keeps other sites out, and how a page on another origin is let in |
//! | [`testing`] | tests of your app: users in a line, time that is moved by hand |
//! | [`threat_model`] | who attacks, what they hold, what stops them, and what they can still do |
//! | [`faq`] | why it is so: decisions of design, each with its reason |
//!
//! Their code is compiled, and where it can be it is run, with the tests of this crate.

// Links to the items of a feature are valid in the documentation of all features, which is the one
// that is published.
#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "client",
        feature = "conformance",
        feature = "mongodb_3",
        feature = "testing"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

#[doc = include_str!("quickstart.md")]
pub mod quickstart {}

#[doc = include_str!("own_users_table.md")]
pub mod own_users_table {}

#[doc = include_str!("sessions.md")]
#[doc = include_str!("rotation.svg")]
#[doc = ""]
#[doc = include_str!("sessions_rules.md")]
pub mod sessions {}

#[doc = include_str!("from_axum_login.md")]
pub mod from_axum_login {}

#[doc = include_str!("from_express.md")]
pub mod from_express {}

#[doc = include_str!("key_rotation.md")]
pub mod key_rotation {}

#[doc = include_str!("several_nodes.md")]
pub mod several_nodes {}

#[doc = include_str!("behind_a_proxy.md")]
pub mod behind_a_proxy {}

#[doc = include_str!("csrf_and_cors.md")]
pub mod csrf_and_cors {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("threat_model.md")]
pub mod threat_model {}

#[doc = include_str!("faq.md")]
pub mod faq {}
