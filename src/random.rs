//! The only place that draws randomness: the operating system's generator.

use crate::error::Error;

/// Draws `N` bytes.
///
/// # Errors
/// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the operating system has no randomness to give; nothing is made from weaker bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        assert_ne!(super::bytes::<16>().unwrap(), super::bytes::<16>().unwrap());
    }
}
