//! An app's own look at passwords that are known from leaks.

use async_trait::async_trait;

use crate::{error::Error, secret::Secret};

/// Says whether a password is known from a leak: asked at registrations and password changes, after the rules of the
/// policy and before the hash.
///
/// This crate asks nobody over the network. Over a service with k-anonymity, such as Pwned Passwords, an implementation
/// sends the first five hexadecimal digits of the password's SHA-1 and looks for the rest among what comes back, so that
/// the service learns neither the password nor its hash; put a timeout on it. A list of your own works as well.
///
/// ```
/// use async_trait::async_trait;
/// use portcullis::{Error, Secret, password::BreachCheck};
///
/// struct Leaked(std::collections::HashSet<String>);
///
/// #[async_trait]
/// impl BreachCheck for Leaked {
///     async fn is_breached(&self, password: &Secret<String>) -> Result<bool, Error> {
///         Ok(self.0.contains(password.expose()))
///     }
/// }
/// ```
#[async_trait]
pub trait BreachCheck: Send + Sync + 'static {
    /// Whether the password is known; it is then refused as 400 `validation_failed` with the field's code `breached`.
    ///
    /// # Errors
    /// [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) where that cannot be found out: answered 503, and
    /// nothing is changed. Answer `false` instead where an outage of the list must stop no registration.
    async fn is_breached(&self, password: &Secret<String>) -> Result<bool, Error>;
}
