//! Which failures an endpoint answers with, by status.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::{
    error::ErrorKind,
    http::{Endpoint, respond},
};

use ErrorKind as Kind;

/// The codes of each status that the endpoint fails with.
pub(super) fn of(endpoint: Endpoint) -> BTreeMap<StatusCode, Vec<&'static str>> {
    let mut codes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for kind in kinds(endpoint).iter().flat_map(|group| group.iter()) {
        codes.entry(respond::status(*kind)).or_default().push(kind.code());
    }
    codes
}

const ALWAYS: &[Kind] = &[Kind::InvalidRequest, Kind::Internal, Kind::StoreUnavailable];
const UNSAFE: &[Kind] = &[Kind::CrossSite];
const BODY: &[Kind] = &[Kind::InvalidBody, Kind::BodyTooLarge, Kind::UnsupportedMediaType];
const TOKEN: &[Kind] = &[Kind::TokenMissing, Kind::TokenExpired, Kind::TokenInvalid, Kind::TokenRevoked];
const PASSWORD: &[Kind] = &[Kind::ValidationFailed, Kind::TooManyAttempts, Kind::Overloaded];
const TAKEN: &[Kind] = &[Kind::EmailTaken, Kind::UsernameTaken];
const REFRESH: &[Kind] = &[Kind::RefreshMissing, Kind::RefreshInvalid, Kind::RefreshExpired, Kind::RefreshReused];

const fn kinds(endpoint: Endpoint) -> &'static [&'static [Kind]] {
    match endpoint {
        Endpoint::Register => &[ALWAYS, UNSAFE, BODY, PASSWORD, TAKEN],
        Endpoint::Login => &[ALWAYS, UNSAFE, BODY, PASSWORD, &[Kind::InvalidCredentials, Kind::TooManySessions]],
        Endpoint::Refresh => &[ALWAYS, UNSAFE, BODY, REFRESH],
        Endpoint::Logout => &[ALWAYS, UNSAFE, BODY],
        Endpoint::LogoutAll => &[ALWAYS, UNSAFE, TOKEN],
        Endpoint::Me | Endpoint::Sessions => &[ALWAYS, TOKEN],
        Endpoint::EndSession => &[ALWAYS, UNSAFE, TOKEN, &[Kind::SessionNotFound]],
        Endpoint::ChangePassword => {
            &[ALWAYS, UNSAFE, BODY, PASSWORD, TOKEN, &[Kind::WrongPassword, Kind::TooManySessions]]
        }
        Endpoint::Jwks | Endpoint::OpenApi => &[],
    }
}
