//! Columns to what they mean, and back.

use crate::{
    session::{EndReason, SessionId, TokenId},
    store::StoreError,
    user::UserId,
};

/// How often an engine's number is a count of ours: negative ones were written by somebody else.
pub(super) fn count(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(StoreError::internal)
}

/// A number as the engines keep it.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(StoreError::internal)
}

pub(super) fn session_id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    bytes.try_into().map(SessionId::from_bytes).map_err(StoreError::internal)
}

pub(super) fn token_id(bytes: &[u8]) -> Result<TokenId, StoreError> {
    bytes.try_into().map(TokenId::from_bytes).map_err(StoreError::internal)
}

pub(super) fn user_id(bytes: Vec<u8>) -> Result<UserId, StoreError> {
    String::from_utf8(bytes).map(UserId::from).map_err(StoreError::internal)
}

pub(super) fn reason(text: &str) -> Result<EndReason, StoreError> {
    text.parse().map_err(|_| StoreError::internal("a session ended for a reason that is not known"))
}

/// A text as both engines take it: PostgreSQL has no NUL in texts. The endpoints refuse one before it comes here.
pub(super) fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}
