//! Custom claims: checks their names and their size.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

/// The names of the claims that this crate writes or reads.
const RESERVED: [&str; 14] =
    ["iss", "sub", "aud", "client_id", "exp", "nbf", "iat", "jti", "auth_time", "sid", "ver", "roles", "gen", "cnf"];

/// Browsers keep 4,096 bytes of a cookie (RFC 6265bis §5.6). Our claims, base64 and a signature
/// need the rest.
const MAX_BYTES: usize = 1536;

/// Why a token cannot carry custom claims.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomProblem {
    #[error("the custom claims cannot be written as a JSON object: {0}")]
    NotAnObject(#[from] serde_json::Error),
    #[error("the custom claims use the reserved name `{0}`: use another name")]
    Reserved(String),
    #[error("the custom claims have {0} bytes, at most {MAX_BYTES} fit into a token: keep the rest with the user")]
    TooLong(usize),
}

/// Writes claims as the members of an object without its braces.
pub(crate) fn write(claims: &impl Serialize) -> Result<String, CustomProblem> {
    let json = serde_json::to_string(claims)?;
    let Names(names) = serde_json::from_str(&json)?;
    if let Some(taken) = names.iter().find(|name| RESERVED.contains(&name.as_ref())) {
        return Err(CustomProblem::Reserved(taken.to_string()));
    }
    if json.len() > MAX_BYTES {
        return Err(CustomProblem::TooLong(json.len()));
    }
    Ok(json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned())
}

/// Returns whether a payload is an object in which every name is unique. The parser checks only the
/// names that this crate reads. This checks those of custom claims as well.
pub(crate) fn names_are_unique(payload: &[u8]) -> bool {
    serde_json::from_slice::<Names<'_>>(payload).is_ok()
}

/// The names of an object. Reading them fails if one is there twice.
struct Names<'a>(HashSet<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Names<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = HashSet::new();
                while let Some(Name(name)) = map.next_key()? {
                    map.next_value::<IgnoredAny>()?;
                    if let Some(twice) = names.replace(name) {
                        return Err(de::Error::custom(format_args!("`{twice}` is there twice")));
                    }
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A name. It is borrowed unless it is escaped.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_become_members() {
        assert_eq!(write(&json!({ "tenant": "acme" })).unwrap(), r#""tenant":"acme""#);
        // The order depends on a feature of serde_json that any crate of an app may enable.
        let both = write(&json!({ "tenant": "acme", "plan": 2 })).unwrap();
        assert!([r#""plan":2,"tenant":"acme""#, r#""tenant":"acme","plan":2"#].contains(&both.as_str()), "{both}");
        assert_eq!(write(&json!({})).unwrap(), "");
    }

    #[test]
    fn reserved_names_and_other_types_than_objects_are_refused() {
        for name in RESERVED {
            assert!(write(&json!({ name: 1 })).unwrap_err().to_string().contains(name));
        }
        for claims in [json!(null), json!(1), json!([1]), json!("text")] {
            assert!(write(&claims).is_err(), "{claims}");
        }
        assert!(write(&json!({ "long": "x".repeat(MAX_BYTES) })).unwrap_err().to_string().contains("at most"));
    }

    #[test]
    fn a_name_that_is_there_twice_is_found_in_any_spelling() {
        #[derive(Serialize)]
        struct Twice {
            tenant: u8,
            #[serde(rename = "tenant")]
            again: u8,
        }
        assert!(write(&Twice { tenant: 1, again: 2 }).is_err());
        assert!(!names_are_unique(br#"{"tenant":1,"te\u006eant":2}"#));
        assert!(names_are_unique(br#"{"tenant":{"tenant":1},"Tenant":2}"#));
    }
}
