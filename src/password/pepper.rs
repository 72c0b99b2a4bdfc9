//! Peppers: secrets that go into each hash and are not in the store.
//!
//! An attacker who steals the users table, but not the pepper, cannot guess passwords offline, not
//! even `password1`.
//!
//! A hash names its pepper in the parameter `keyid` of the PHC string. A pepper can therefore be
//! introduced, rotated and removed. A hash with another pepper than the current one is replaced at
//! the next successful login of its user.

use std::fmt;

use argon2::{Algorithm, Argon2, KeyId, Params, Version};

use crate::{error::Error, secret::Secret};

/// Bytes of an id. They distinguish a handful of peppers and take 8 characters in each hash.
const ID_BYTES: usize = 6;

/// The pepper of new hashes, and the retired peppers that stored hashes still need.
#[derive(Clone, Default)]
pub(crate) struct Peppers {
    current: Option<Pepper>,
    retired: Vec<Pepper>,
}

#[derive(Clone)]
pub(super) struct Pepper {
    id: KeyId,
    secret: Secret<Vec<u8>>,
}

impl Peppers {
    /// Returns these peppers with their ids.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a secret is longer than
    /// 4 GiB.
    pub(crate) fn new(current: Option<&Secret<Vec<u8>>>, retired: &[Secret<Vec<u8>>]) -> Result<Self, Error> {
        Ok(Self {
            current: current.map(Pepper::new).transpose()?,
            retired: retired.iter().map(Pepper::new).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn current(&self) -> Option<&Pepper> {
        self.current.as_ref()
    }

    /// Returns the pepper that a hash names, or `None` where it names none.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the hash names a pepper
    /// that is not configured.
    pub(super) fn find(&self, id: &[u8]) -> Result<Option<&Pepper>, Error> {
        if id.is_empty() {
            return Ok(None);
        }
        let found = self.current.iter().chain(&self.retired).find(|pepper| pepper.id.as_bytes() == id);
        found.map(Some).ok_or_else(|| {
            Error::internal(
                "the hash was made with a pepper that is not configured: set it with pepper or retired_pepper",
            )
        })
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peppers")
            .field("current", &self.current.is_some())
            .field("retired", &self.retired.len())
            .finish()
    }
}

impl Pepper {
    /// Returns the pepper of a secret. Its id is derived from the secret, so that it needs no
    /// setting and is the same on all nodes.
    fn new(secret: &Secret<Vec<u8>>) -> Result<Self, Error> {
        let params = Params::new(Params::MIN_M_COST, 1, 1, Some(ID_BYTES)).map_err(Error::internal)?;
        let mut id = [0; ID_BYTES];
        Argon2::new_with_secret(secret.expose(), Algorithm::Argon2id, Version::V0x13, params)
            .and_then(|argon2| argon2.hash_password_into(b"pepper", b"portcullis id", &mut id))
            .map_err(Error::internal)?;
        Ok(Self { id: KeyId::new(&id).map_err(Error::internal)?, secret: secret.clone() })
    }

    pub(super) fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.secret.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<Vec<u8>> {
        text.into()
    }

    #[test]
    fn a_pepper_has_one_id_for_ever() {
        let peppers = Peppers::new(Some(&secret("one")), &[secret("two")]).unwrap();
        let id = |pepper: &Pepper| pepper.id().as_bytes().to_vec();
        let (one, two) = (id(peppers.current().unwrap()), id(&peppers.retired[0]));
        assert_ne!(one, two);
        // Each stored hash contains the id. A change of its derivation would lock all users out.
        assert_eq!(one, [185, 160, 249, 134, 53, 52]);
        assert_eq!(peppers.find(&two).unwrap().unwrap().secret(), b"two");
    }

    #[test]
    fn a_hash_may_name_no_pepper_but_never_an_unknown_one() {
        let peppers = Peppers::new(Some(&secret("one")), &[]).unwrap();
        assert!(peppers.find(b"").unwrap().is_none());
        assert!(peppers.find(b"other!").is_err());
        assert!(Peppers::default().find(b"other!").is_err());
    }
}
