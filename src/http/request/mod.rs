//! Reads from a request its credentials, its body, the client's address, and the origin that it
//! comes from.

pub(crate) mod body;
pub(crate) mod client_address;
pub(crate) mod credentials;
pub(crate) mod cross_site;
pub(crate) mod origin;
