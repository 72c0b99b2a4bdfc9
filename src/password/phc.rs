//! Reads PHC strings as other systems write them.

use std::borrow::Cow;

/// Removes the base64 padding of the salt and of the output. The PHC string format leaves it out.
pub(super) fn without_padding(stored: &str) -> Cow<'_, str> {
    // A value follows the `=` of a parameter, so that only padding stands before `$` or at the end.
    if !(stored.contains("=$") || stored.ends_with('=')) {
        return Cow::Borrowed(stored);
    }
    Cow::Owned(stored.split('$').map(|part| part.trim_end_matches('=')).collect::<Vec<_>>().join("$"))
}
