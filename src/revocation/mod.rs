//! What has ended and is remembered: sessions and token versions whose access tokens are revoked.

mod overflow;
mod set;
mod sharded_map;

pub use self::set::Revocation;
pub(crate) use self::set::{Revocations, Standing};
