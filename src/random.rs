//! Random bytes of the operating system. No other file generates randomness.

use crate::error::Error;

/// Generates `N` bytes.
///
/// # Errors
/// Returns [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) where the operating system
/// has no randomness. No weaker generator is used instead.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_generated_values_differ() {
        assert_ne!(super::bytes::<16>().unwrap(), super::bytes::<16>().unwrap());
    }
}
