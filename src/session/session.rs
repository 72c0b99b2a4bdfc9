//! [`Session`]: the record of a session, its ids, and why it ended.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::methods::{AuthLevel, AuthMethods};
use crate::{
    clock::Timestamp,
    error::{Error, UnknownName},
    random,
    user::UserId,
};

/// Identifies a session, in tokens (`sid`) and in the list of a user's devices. It has 128 random
/// bits, written as 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

/// Identifies one refresh token of a session (`jti`). It has 128 random bits that only the token
/// and the record contain.
///
/// `Debug` prints `[redacted]`, because an attacker with this id and a leaked signing key could
/// make a refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 16]);

macro_rules! random_id {
    ($name:ident) => {
        impl $name {
            pub(crate) fn random() -> Result<Self, Error> {
                random::bytes().map(Self)
            }

            /// Makes an id of its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the 16 bytes, to store.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Returns the 22 characters of unpadded base64url, as tokens carry them.
            pub fn encode(&self) -> String {
                URL_SAFE_NO_PAD.encode(self.0)
            }
        }

        /// Reads 22 characters of canonical base64url. Every other text is an error.
        impl FromStr for $name {
            type Err = UnknownId;

            fn from_str(text: &str) -> Result<Self, UnknownId> {
                // The decoder needs room for 18 bytes to decode 22 characters. A longer text does
                // not fit.
                let mut buffer = [0; 18];
                match URL_SAFE_NO_PAD.decode_slice(text, &mut buffer) {
                    Ok(16) => buffer.first_chunk().copied().map(Self).ok_or(UnknownId),
                    _ => Err(UnknownId),
                }
            }
        }
    };
}

random_id!(SessionId);
random_id!(TokenId);

/// The error for a text that is no [`SessionId`] or [`TokenId`]. Nothing with that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
#[non_exhaustive]
pub struct UnknownId;

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads the 22 characters that `Serialize` writes.
impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenId([redacted])")
    }
}

/// One login on one device, as a store keeps it.
///
/// All fields are public, because every store writes and reads all of them. Only
/// [`decide`](super::decide) and [`Keep::restamp`](crate::store::Keep::restamp) change the fields
/// of a live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Id of the session. Users see it in their list of devices.
    pub id: SessionId,
    /// Owner of the session.
    pub user_id: UserId,
    /// The user's token version at login. The session ends when the user's version is raised above
    /// it.
    pub token_version: u64,
    /// How often the refresh token was rotated.
    pub generation: u64,
    /// The `jti` of the current refresh token.
    pub token_id: TokenId,
    /// The `jti` of the refresh token before, which the grace accepts.
    pub previous_token_id: Option<TokenId>,
    /// When the user last entered a password (`auth_time`, OpenID Connect Core §2). Tokens carry it
    /// in whole seconds.
    pub auth_time: Timestamp,
    /// Ways in which the user has proved who they are, for the claim `amr`. A refresh never adds
    /// one. Sessions that were stored before this field existed have [`AuthMethods::PASSWORD`].
    pub amr: AuthMethods,
    /// How well the user has proved who they are, for the claim `acr`. A refresh never raises it.
    /// Sessions that were stored before this field existed have [`AuthLevel::Aal1`].
    pub acr: AuthLevel,
    /// Generation to which the last password change moved the session. While it is the current
    /// generation, the grace does not accept the token before it. `None` where no password change
    /// has kept this session.
    pub restamped_generation: Option<u64>,
    /// When the session began. A store keeps every time in milliseconds.
    pub created_at: Timestamp,
    /// When the session last rotated, which is when it was last used. The grace starts here.
    pub rotated_at: Timestamp,
    /// Idle expiry. Every rotation extends it.
    pub expires_at: Timestamp,
    /// Absolute expiry. A rotation never extends it.
    pub absolute_expires_at: Timestamp,
    /// How the session ended. It is set once and never cleared.
    pub ended: Option<Ended>,
    /// The first [`MAX_USER_AGENT`](Self::MAX_USER_AGENT) bytes of the client's `User-Agent`.
    pub user_agent: Option<Box<str>>,
    /// The client's address at login, where the server knows it.
    pub ip: Option<IpAddr>,
}

impl Session {
    /// How many bytes of a `User-Agent` are kept. This is enough for a user to recognize a device.
    /// Clients cannot fill the store with long texts.
    pub const MAX_USER_AGENT: usize = 256;

    /// Returns whether the session can still be refreshed: it has not ended, and neither expiry has
    /// come.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && !self.is_expired(now)
    }

    /// Returns whether one of the two expiries has come. The moment of the expiry counts as
    /// expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at || now >= self.absolute_expires_at
    }

    /// Ends the session, unless it has ended already.
    pub fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
    }

    /// Returns when a store may delete the record. A live session may be deleted when it expires.
    /// An ended session may be deleted when its tombstone is no longer needed.
    ///
    /// A session that was ended for reuse is kept until it would have expired. Every later refresh
    /// is therefore answered with `refresh_reused`.
    pub fn delete_at(&self) -> Timestamp {
        let expires = self.expires_at.min(self.absolute_expires_at);
        match self.ended {
            None => expires,
            Some(Ended { reason: EndReason::Reuse, keep_until, .. }) => keep_until.max(expires),
            Some(Ended { keep_until, .. }) => keep_until,
        }
    }
}

/// How and when a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When the session ended.
    pub at: Timestamp,
    /// Why the session ended.
    pub reason: EndReason,
    /// Until when a store must keep the record. Every access token of the session has expired by
    /// then.
    pub keep_until: Timestamp,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The user logged out.
    Logout,
    /// The user logged out everywhere, or an app ended all sessions of the user.
    LogoutAll,
    /// The user ended it from another device.
    EndedByUser,
    /// The user's password was changed.
    PasswordChanged,
    /// The same browser logged in again. The stable name is `signed_in_again`, as stores already
    /// have it.
    LoggedInAgain,
    /// The user had more sessions than the limit allows, and this one was used longest ago.
    Limit,
    /// A refresh token was used a second time.
    Reuse,
    /// The user's token version was raised.
    TokenVersion,
    /// The user was removed or disabled.
    UserGone,
}

impl EndReason {
    const ALL: [Self; 9] = [
        Self::Logout,
        Self::LogoutAll,
        Self::EndedByUser,
        Self::PasswordChanged,
        Self::LoggedInAgain,
        Self::Limit,
        Self::Reuse,
        Self::TokenVersion,
        Self::UserGone,
    ];

    /// Returns the stable name, for stores and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::EndedByUser => "ended_by_user",
            Self::PasswordChanged => "password_changed",
            Self::LoggedInAgain => "signed_in_again",
            Self::Limit => "limit",
            Self::Reuse => "reuse",
            Self::TokenVersion => "token_version",
            Self::UserGone => "user_gone",
        }
    }
}

/// Reads what [`as_str`](EndReason::as_str) returns.
impl FromStr for EndReason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownName)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EndReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EndReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = SessionId::random().unwrap();
        let text = id.encode();
        assert_eq!(text.len(), 22);
        assert_eq!(text.parse::<SessionId>(), Ok(id));
        for other in [String::new(), format!("{text}="), format!("{text}AAAA"), text[..21].to_owned(), "é".repeat(11)]
        {
            assert!(other.parse::<SessionId>().is_err(), "{other:?}");
        }
        // 22 characters have 132 bits. The last four bits must be zero.
        assert!("AAAAAAAAAAAAAAAAAAAAAB".parse::<SessionId>().is_err());
    }

    #[test]
    fn ids_and_reasons_are_read_as_written() {
        let id = SessionId::random().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<SessionId>("\"not an id\"").is_err());
        for reason in EndReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(serde_json::from_str::<EndReason>(&json).unwrap(), reason);
        }
        assert_eq!("Logout".parse::<EndReason>(), Err(UnknownName));
    }

    #[test]
    fn a_token_id_is_not_printed() {
        let id = TokenId::random().unwrap();
        assert!(!format!("{id:?}").contains(&id.encode()));
    }
}
