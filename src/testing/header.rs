//! Header values that carry tokens.

use http::HeaderValue;

use crate::error::Error;

/// Returns the value of an `Authorization` header.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    sensitive(&format!("Bearer {token}"))
}

/// Returns a header value that logs do not show.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
