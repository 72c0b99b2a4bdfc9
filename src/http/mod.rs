//! HTTP without a framework: what is read from a request and what is answered, independent of any flow.

pub(crate) mod body;
pub(crate) mod client_address;
mod cookie_variants;
pub(crate) mod cookies;
pub(crate) mod credentials;
pub(crate) mod cross_site;
pub(crate) mod delivery;
pub(crate) mod endpoint;
pub(crate) mod format;
pub(crate) mod origin;
pub(crate) mod respond;
mod response_body;

pub use self::{
    client_address::PeerAddr,
    cookies::SameSite,
    delivery::Delivery,
    endpoint::Endpoint,
    format::{Failure, ResponseFormat, Success},
    response_body::{Never, ResponseBody},
};

/// How the HTTP face is set up; checked as a whole by the builder.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    pub(crate) table: endpoint::Table,
    pub(crate) responder: format::Responder,
    pub(crate) cookies: cookies::Cookies,
    pub(crate) deliveries: delivery::Deliveries,
    pub(crate) cross_site: cross_site::CrossSite,
    pub(crate) trusted_proxy_hops: usize,
    pub(crate) login_on_register: bool,
}
