//! [`Material`]: what the readers of PEM and JWK return.

use jsonwebtoken::EncodingKey;

use super::public::PublicKey;
use crate::secret::Secret;

/// A key that was read and is not checked yet.
pub(super) enum Material {
    Secret(Secret<Vec<u8>>),
    Private { encoding: EncodingKey, public: PublicKey },
    Public(PublicKey),
}

/// Removes the byte order mark that editors on Windows write before a text in UTF-8.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
