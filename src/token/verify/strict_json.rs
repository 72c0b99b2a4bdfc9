//! Reads the JSON in tokens strictly.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use super::fault::TokenFault;
use crate::clock::Timestamp;

/// The last second of the year 9999. A later one is no date.
pub(crate) const MAX_NUMERIC_DATE: u64 = 253_402_300_799;

/// Parses one JSON object. Serde alone would accept an array for a struct.
///
/// # Errors
/// [`TokenFault::Invalid`] for anything else, and where a member is missing, of another type or
/// there twice.
pub(crate) fn object<'de, T: Deserialize<'de>>(payload: &'de [u8]) -> Result<T, TokenFault> {
    let text = std::str::from_utf8(payload).map_err(|_| TokenFault::Invalid)?;
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(TokenFault::Invalid);
    }
    serde_json::from_str(text).map_err(|_| TokenFault::Invalid)
}

/// Reads a claim that may be absent, but not `null`.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Seconds since 1970: whole, not negative, before the year 10000.
///
/// RFC 7519 §2 allows fractions. Tokens of this service have none, so one with a fraction is not
/// its own.
#[derive(Clone, Copy)]
pub(super) struct NumericDate(i64);

impl NumericDate {
    pub(super) fn at(self) -> Timestamp {
        Timestamp::from_secs(self.0)
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secs = u64::deserialize(deserializer)?;
        match i64::try_from(secs) {
            Ok(date) if secs <= MAX_NUMERIC_DATE => Ok(Self(date)),
            _ => Err(de::Error::custom("not a date")),
        }
    }
}

/// One audience or several (RFC 7519 §4.1.3). Borrowed unless it is escaped.
pub(crate) enum Audience<'a> {
    One(Cow<'a, str>),
    Several(Vec<AudienceName<'a>>),
}

#[derive(Deserialize)]
pub(crate) struct AudienceName<'a>(#[serde(borrow)] Cow<'a, str>);

impl Audience<'_> {
    /// Returns whether `own` is among the audiences.
    pub(crate) fn contains(&self, own: &str) -> bool {
        match self {
            Self::One(audience) => audience == own,
            Self::Several(audiences) => audiences.iter().any(|audience| audience.0 == own),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Audience<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Audience<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E: de::Error>(self, audience: &'de str) -> Result<Audience<'de>, E> {
                Ok(Audience::One(Cow::Borrowed(audience)))
            }

            fn visit_str<E: de::Error>(self, audience: &str) -> Result<Audience<'de>, E> {
                Ok(Audience::One(Cow::Owned(audience.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience<'de>, A::Error> {
                let mut audiences = Vec::new();
                while let Some(audience) = seq.next_element()? {
                    audiences.push(audience);
                }
                Ok(Audience::Several(audiences))
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}
