//! An app's own claims: what they may be called, and that each is there once.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

/// The names of what we write or read ourselves.
const RESERVED: [&str; 14] =
    ["iss", "sub", "aud", "client_id", "exp", "nbf", "iat", "jti", "auth_time", "sid", "ver", "roles", "gen", "cnf"];

/// Browsers keep 4,096 bytes of a cookie (RFC 6265bis §5.6); this leaves room for our claims, base64 and a signature.
const MAX_BYTES: usize = 1536;

/// Why claims cannot go into a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CustomProblem {
    #[error("the app's own claims cannot be written: {0}")]
    NotAnObject(#[from] serde_json::Error),
    #[error("the app's own claims use the name `{0}`, which is taken: call it something else")]
    Reserved(String),
    #[error("the app's own claims are {0} bytes, and {MAX_BYTES} at most go into a token: keep the rest with the user")]
    TooLong(usize),
}

/// Writes claims as the members of an object, without its braces.
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

/// Whether a payload is an object in which no name is twice. Names of ours are checked by their parse; these are the app's.
pub(crate) fn names_are_unique(payload: &[u8]) -> bool {
    serde_json::from_slice::<Names<'_>>(payload).is_ok()
}

/// The names of an object, each once.
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

/// A name, borrowed unless it is escaped.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_become_members() {
        assert_eq!(write(&json!({ "tenant": "acme" })).unwrap(), r#""tenant":"acme""#);
        // In which order depends on a feature of serde_json that any crate of an app may enable.
        let both = write(&json!({ "tenant": "acme", "plan": 2 })).unwrap();
        assert!([r#""plan":2,"tenant":"acme""#, r#""tenant":"acme","plan":2"#].contains(&both.as_str()), "{both}");
        assert_eq!(write(&json!({})).unwrap(), "");
    }

    #[test]
    fn names_of_ours_are_refused_and_so_is_what_is_no_object() {
        for name in RESERVED {
            assert!(write(&json!({ name: 1 })).unwrap_err().to_string().contains(name));
        }
        for claims in [json!(null), json!(1), json!([1]), json!("text")] {
            assert!(write(&claims).is_err(), "{claims}");
        }
        assert!(write(&json!({ "long": "x".repeat(MAX_BYTES) })).unwrap_err().to_string().contains("at most"));
    }

    #[test]
    fn a_name_that_is_there_twice_is_found_however_it_is_written() {
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
