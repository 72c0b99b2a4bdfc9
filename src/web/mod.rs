//! HTTP without a framework: what is read from a request and what is answered, independent of any flow.

pub(crate) mod address;
pub(crate) mod body;
mod cookie_variants;
pub(crate) mod cookies;
pub(crate) mod credentials;
pub(crate) mod csrf;
pub(crate) mod delivery;
pub(crate) mod format;
pub(crate) mod origin;
pub(crate) mod respond;
mod response_body;
pub(crate) mod table;

pub use self::{
    address::PeerAddr,
    cookies::SameSite,
    delivery::Delivery,
    format::{Failure, ResponseFormat, Success},
    response_body::{Never, ResponseBody},
    table::Endpoint,
};

/// How the HTTP face is set up; checked as a whole by the builder.
#[derive(Debug)]
pub(crate) struct WebSettings {
    pub(crate) table: table::Table,
    pub(crate) responder: format::Responder,
    pub(crate) cookies: cookies::Cookies,
    pub(crate) deliveries: delivery::Deliveries,
    pub(crate) cross_site: csrf::CrossSite,
    pub(crate) trusted_proxy_hops: usize,
    pub(crate) login_on_register: bool,
}
