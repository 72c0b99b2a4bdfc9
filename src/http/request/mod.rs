//! What is read from a request: credentials, body, the client's address, and where the request comes from.

pub(crate) mod body;
pub(crate) mod client_address;
pub(crate) mod credentials;
pub(crate) mod cross_site;
pub(crate) mod origin;
