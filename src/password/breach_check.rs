//! [`BreachCheck`], which an app implements to refuse passwords that are known from leaks.

use async_trait::async_trait;

use crate::{error::Error, secret::Secret};

/// Says whether a password is known from a leak.
///
/// It is asked at registrations and password changes, after the rules of the policy and before the
/// password is hashed.
///
/// This crate sends nothing over the network. Implement the check over a list of your own, or over
/// a service with k-anonymity such as Pwned Passwords. For such a service, send the first five
/// hexadecimal digits of the password's SHA-1, and look for the rest in the answer. The service
/// then learns neither the password nor its hash. Set a timeout for the request.
///
/// # Examples
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
    /// Returns `true` where the password is known. It is then refused as 400 `validation_failed`,
    /// and its field has the code `breached`.
    ///
    /// # Errors
    ///
    /// Return [`ErrorKind::StoreUnavailable`](crate::ErrorKind::StoreUnavailable) where the list or
    /// the service cannot be reached. The request is answered 503 and changes nothing. Return
    /// `Ok(false)` instead where such an outage must not stop registrations.
    async fn is_breached(&self, password: &Secret<String>) -> Result<bool, Error>;
}
