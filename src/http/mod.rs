//! HTTP without a framework: what the ready endpoints and the guard read from requests and answer.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Endpoint`] | names a ready endpoint, to move it or to switch it off |
//! | [`Delivery`] | says how tokens reach a client: in cookies, in the body, or both |
//! | [`SameSite`] | says which cross-site requests carry the cookies |
//! | [`PeerAddr`] | carries the address of the connection into a request |
//! | [`ResponseFormat`] | chooses the shape of the answers |
//! | [`SuccessBody`], [`FailureBody`] | hand an answer to an app that writes bodies of its own |
//! | [`ResponseBody`] | is the body of every response of this crate's services |
//!
//! The flows themselves are methods of [`Auth`](crate::Auth) and do not depend on HTTP.

pub(crate) mod endpoint;
pub(crate) mod path_table;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod schema;
mod settings;

pub(crate) use self::settings::HttpSettings;
pub use self::{
    endpoint::Endpoint,
    request::client_address::PeerAddr,
    response::{
        body::ResponseBody, cookies::SameSite, delivery::Delivery, format::ResponseFormat, problem::FailureBody,
        success::SuccessBody,
    },
};
