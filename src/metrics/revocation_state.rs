//! [`RevocationState`]: numbers about the revocations of a node.

/// What a node holds of revocations, for gauges.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only a recorder reads them"))]
pub(crate) struct RevocationState {
    pub(crate) sessions: usize,
    pub(crate) users: usize,
    pub(crate) capacity: usize,
    pub(crate) is_full: bool,
    pub(crate) is_feed_up: bool,
    pub(crate) unwritten_revocations: usize,
}
