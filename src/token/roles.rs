//! [`Roles`]: the roles in a token, packed so that those of most users need no allocation.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

/// The roles of a user. Each is stored behind its length in two bytes, which suffices because a
/// token has at most 8 KiB.
#[derive(Clone, Default)]
pub(crate) struct Roles {
    count: usize,
    packed: Packed,
}

/// The bytes that need no allocation: four roles of a dozen letters.
const IN_PLACE: usize = 56;

#[derive(Clone)]
enum Packed {
    InPlace { bytes: [u8; IN_PLACE], used: usize },
    Apart(Vec<u8>),
}

impl Default for Packed {
    fn default() -> Self {
        Self::InPlace { bytes: [0; IN_PLACE], used: 0 }
    }
}

impl Packed {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::InPlace { bytes, used } => bytes.get(..*used).unwrap_or_default(),
            Self::Apart(bytes) => bytes,
        }
    }

    fn extend(&mut self, more: &[u8]) {
        if let Self::InPlace { bytes, used } = self {
            let end = *used + more.len();
            if let Some(free) = bytes.get_mut(*used..end) {
                free.copy_from_slice(more);
                *used = end;
                return;
            }
            *self = Self::Apart(self.bytes().to_vec());
        }
        if let Self::Apart(bytes) = self {
            bytes.extend_from_slice(more);
        }
    }
}

impl Roles {
    pub(crate) fn iter(&self) -> Iter<'_> {
        Iter { left: self.count, rest: self.packed.bytes() }
    }

    /// Returns the bytes of their allocation.
    pub(super) fn memory(&self) -> usize {
        match &self.packed {
            Packed::InPlace { .. } => 0,
            Packed::Apart(bytes) => bytes.capacity(),
        }
    }

    /// Adds a role. Returns false if the role is too long.
    fn push(&mut self, role: &str) -> bool {
        let Ok(length) = u16::try_from(role.len()) else { return false };
        self.packed.extend(&length.to_be_bytes());
        self.packed.extend(role.as_bytes());
        self.count += 1;
        true
    }
}

/// Iterates over [`Roles`].
pub(crate) struct Iter<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (role, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.left = self.left.saturating_sub(1);
        self.rest = rest;
        // Only text is stored, so the default is never used.
        Some(std::str::from_utf8(role).unwrap_or_default())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Role<'a>(#[serde(borrow)] Cow<'a, str>);
        struct Several;
        impl<'de> Visitor<'de> for Several {
            type Value = Roles;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Roles, A::Error> {
                let mut roles = Roles::default();
                while let Some(Role(role)) = seq.next_element()? {
                    if !roles.push(&role) {
                        return Err(de::Error::custom("a role is too long"));
                    }
                }
                Ok(roles)
            }
        }
        deserializer.deserialize_seq(Several)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Roles {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn roles_are_read_as_they_were_written() {
        let long = "r".repeat(IN_PLACE);
        let many: Vec<String> = (0..300).map(|n| format!("role {n}")).collect();
        let cases = [
            vec![],
            vec![String::new()],
            vec!["admin".to_owned(), "nul \0 in it".to_owned(), "é\"\\".to_owned(), String::new()],
            vec!["admin".to_owned(), long.clone(), "staff".to_owned()],
            vec!["r".repeat(IN_PLACE - 2)],
            vec!["r".repeat(IN_PLACE - 1)],
            vec![long],
            many,
        ];
        for case in cases {
            let roles = parse(&serde_json::to_string(&case).unwrap());
            assert_eq!(roles.iter().collect::<Vec<_>>(), case);
            assert_eq!(roles.iter().len(), case.len());
            assert_eq!(format!("{roles:?}"), format!("{case:?}"));
        }
    }

    #[test]
    fn a_few_short_roles_need_no_allocation() {
        assert_eq!(parse(r#"["admin","editor","accounting"]"#).memory(), 0);
        assert!(parse(&format!("[\"{}\"]", "r".repeat(IN_PLACE))).memory() > 0);
    }

    #[test]
    fn other_types_than_an_array_of_strings_are_refused() {
        let huge = format!("[\"{}\"]", "r".repeat(1 << 16));
        for json in ["null", "\"admin\"", "{}", "[1]", "[null]", "[[\"admin\"]]", &huge] {
            assert!(serde_json::from_str::<Roles>(json).is_err(), "{}", json.get(..20).unwrap_or(json));
        }
    }
}
