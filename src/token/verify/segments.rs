//! A token taken apart, before anything in it is decoded.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The longest token that is looked at, in bytes: what servers accept as one header line.
pub(crate) const MAX_TOKEN_BYTES: usize = 8192;

/// That of an RSA key of 4096 bits is 512 bytes; a little more, because the decoder wants room for its estimate.
const MAX_SIGNATURE_BYTES: usize = 520;

/// The segments of a token that is not too long, still encoded.
pub(crate) struct Segments<'a> {
    pub(crate) header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    message: &'a [u8],
}

impl<'a> Segments<'a> {
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

    /// The payload, once `verify` has found the signature good over the message.
    pub(crate) fn payload(&self, verify: impl FnOnce(&[u8], &[u8]) -> bool) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        self.payload_into(&mut payload, verify).then_some(payload)
    }

    /// Writes the payload into an empty buffer, once `verify` has found the signature good over the message.
    pub(crate) fn payload_into(&self, payload: &mut Vec<u8>, verify: impl FnOnce(&[u8], &[u8]) -> bool) -> bool {
        // The engine takes canonical base64url without padding only; a dot inside the payload is not of its alphabet.
        let mut buffer = [0; MAX_SIGNATURE_BYTES];
        let signature =
            URL_SAFE_NO_PAD.decode_slice(self.signature, &mut buffer).ok().and_then(|end| buffer.get(..end));
        signature.is_some_and(|signature| verify(self.message, signature))
            && URL_SAFE_NO_PAD.decode_vec(self.payload, payload).is_ok()
    }
}
