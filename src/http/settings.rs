//! The HTTP settings of a built [`Auth`](crate::Auth).

use super::{
    path_table::PathTable,
    request::cross_site::CrossSite,
    response::{cookies::Cookies, delivery::Deliveries, responder::Responder},
};

/// The HTTP settings of an [`Auth`](crate::Auth), after the builder has checked them together.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    pub(crate) table: PathTable,
    pub(crate) responder: Responder,
    pub(crate) cookies: Cookies,
    pub(crate) deliveries: Deliveries,
    pub(crate) cross_site: CrossSite,
    pub(crate) trusted_proxy_hops: usize,
    pub(crate) login_on_register: bool,
}
