//! Reads the member `delivery` of a login or registration.

use super::exchange::Exchange;
use crate::{
    error::{Error, FieldError},
    http::{request::body::Fields, response::delivery::Places},
    user::AuthUser,
};

/// Removes the delivery that a login or registration asks for from its fields, and returns the
/// places of the tokens.
///
/// # Errors
/// - [`ErrorKind::ValidationFailed`](crate::ErrorKind::ValidationFailed) if the app does not allow
///   that delivery.
/// - [`ErrorKind::CrossSite`](crate::ErrorKind::CrossSite) if the delivery uses cookies and the
///   request may not set cookies.
pub(super) fn asked_places<U: AuthUser>(exchange: &Exchange<'_, U>, fields: &mut Fields) -> Result<Places, Error> {
    let asked = fields.take("delivery")?;
    let places = exchange.auth.0.http.deliveries.asked(asked.as_deref()).ok_or_else(|| {
        Error::validation(vec![FieldError::new("delivery", "not_allowed", "This way of delivery is not allowed here.")])
    })?;
    exchange.check_places(places)
}
