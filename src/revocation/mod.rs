//! Ends sessions on this node and on the others, and knows which access tokens are revoked.
//!
//! [`Revocations`] owns the session store, the revocation feed, and the set of revocations that
//! this node remembers. A flow ends sessions with [`end`](Revocations::end) and
//! [`end_all`](Revocations::end_all). A guard asks for the [`standing`](Revocations::standing) of
//! an access token, which costs no I/O.
//!
//! ```text
//! a flow ends a session -> the set of this node (at once) -> the store -> the feed -> other nodes
//!                                                       \-> the outbox, while the store is out of reach
//! another node          -> the feed, or the next poll   -> the set of this node
//! ```

mod ask_store;
mod clock_offset;
mod end;
mod live_answers;
mod outbox;
mod overflow;
mod report;
mod revocations;
mod set;
mod sharded_map;
mod shutdown;
mod sync;

pub(crate) use self::{
    revocations::{RevocationSettings, Revocations},
    set::Standing,
};
