//! The settings of HTTP after the builder has checked them.

use super::{
    path_table::PathTable,
    request::cross_site::CrossSite,
    response::{cookies::Cookies, delivery::Deliveries, responder::Responder},
};

/// Everything about HTTP that an [`Auth`](crate::Auth) was built with. The builder has checked it as a whole.
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
