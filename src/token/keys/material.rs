//! What the readers of PEM and JWK hand to `Key`.

use jsonwebtoken::EncodingKey;

use super::public::PublicKey;
use crate::secret::Secret;

/// The content of a file or a document, before it is checked.
pub(super) enum Material {
    Secret(Secret<Vec<u8>>),
    Private { encoding: EncodingKey, public: PublicKey },
    Public(PublicKey),
}

/// Removes the byte order mark that editors on Windows write before a text in UTF-8.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
