//! Revocations that a poll finds and cannot read.

/// Warns of revocations that were left out, such as those of a later release. One of them must not
/// hide all others from every node.
pub(crate) fn warn_of_unreadable(count: u32) {
    if count > 0 {
        tracing::warn!(
            target: "portcullis",
            count,
            "revocations in the store cannot be read and are left out: a later release, or another program, wrote them"
        );
    }
}
