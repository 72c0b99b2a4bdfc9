//! Runs work to its end, even if its caller stops waiting.

use std::future::Future;

use tokio::runtime::Handle;
use tower::BoxError;

use super::{ClientError, ClientErrorKind};

/// Runs work in a task of its own, because it must not stop half-way.
///
/// # Errors
/// The errors of the work, and [`ClientErrorKind::Interrupted`].
pub(super) async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
) -> Result<T, ClientError> {
    let interrupted = |error: BoxError| ClientError::with_source(ClientErrorKind::Interrupted, error);
    let runtime = Handle::try_current().map_err(|error| interrupted(error.into()))?;
    runtime.spawn(work).await.unwrap_or_else(|error| Err(interrupted(error.into())))
}
