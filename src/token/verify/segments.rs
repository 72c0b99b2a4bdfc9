//! [`Segments`]: splits a token before any part of it is decoded.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The longest token that is read, in bytes. Servers accept as much in one header line.
pub(crate) const MAX_TOKEN_BYTES: usize = 8192;

/// The signature of an RSA key of 4,096 bits has 512 bytes. The decoder's estimate needs a few
/// more.
const MAX_SIGNATURE_BYTES: usize = 520;

/// The encoded segments of a token.
pub(crate) struct Segments<'a> {
    pub(crate) header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    message: &'a [u8],
}

impl<'a> Segments<'a> {
    /// Splits a token. Returns `None` if it is too long or has fewer than three segments.
    pub(crate) fn split(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let first = memchr::memchr(b'.', bytes)?;
        let last = memchr::memrchr(b'.', bytes).filter(|last| *last > first)?;
        Some(Self {
            header: bytes.get(..first)?,
            payload: bytes.get(first + 1..last)?,
            signature: bytes.get(last + 1..)?,
            message: bytes.get(..last)?,
        })
    }

    /// Returns the payload if `verify` accepts the message and its signature.
    pub(crate) fn payload(&self, verify: impl FnOnce(&[u8], &[u8]) -> bool) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        self.payload_into(&mut payload, verify).then_some(payload)
    }

    /// Writes the payload into an empty buffer if `verify` accepts the message and its signature.
    /// Returns whether it did.
    pub(crate) fn payload_into(&self, payload: &mut Vec<u8>, verify: impl FnOnce(&[u8], &[u8]) -> bool) -> bool {
        // The engine accepts only canonical base64url without padding. A dot inside the payload is
        // not in its alphabet.
        let mut buffer = [0; MAX_SIGNATURE_BYTES];
        let signature =
            URL_SAFE_NO_PAD.decode_slice(self.signature, &mut buffer).ok().and_then(|end| buffer.get(..end));
        signature.is_some_and(|signature| verify(self.message, signature))
            && URL_SAFE_NO_PAD.decode_vec(self.payload, payload).is_ok()
    }
}
