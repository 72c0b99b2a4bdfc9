//! Peppers: secrets that go into every hash and are not in the store.
//!
//! With a pepper a stolen users table cannot be guessed at, not even the password `password1`, as long as the pepper was
//! not stolen too. A hash names its pepper (`keyid` of the PHC string), so that one can be introduced, rotated and taken
//! out again: hashes under another than the current one are renewed at their user's next good login.

use std::fmt;

use argon2::{Algorithm, Argon2, KeyId, Params, Version};

use crate::{error::Error, secret::Secret};

/// Enough to tell a handful of peppers apart: 8 characters in each hash.
const ID_BYTES: usize = 6;

/// The pepper of new hashes, and those that old ones still need.
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
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where a secret is longer than 4 GiB.
    pub(crate) fn new(current: Option<&Secret<Vec<u8>>>, retired: &[Secret<Vec<u8>>]) -> Result<Self, Error> {
        Ok(Self {
            current: current.map(Pepper::new).transpose()?,
            retired: retired.iter().map(Pepper::new).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn current(&self) -> Option<&Pepper> {
        self.current.as_ref()
    }

    /// The pepper that a hash names; none where it names none.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where it names one that is not configured.
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
    /// The id is derived from the secret, so that nobody has to think of one and every node has the same.
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
        // Stored in every hash: whoever changes the derivation locks everybody out.
        assert_eq!(one, [185, 160, 249, 134, 53, 52]);
        assert_eq!(peppers.find(&two).unwrap().unwrap().secret(), b"two");
    }

    #[test]
    fn a_hash_without_a_name_has_no_pepper_and_an_unknown_name_is_a_fault() {
        let peppers = Peppers::new(Some(&secret("one")), &[]).unwrap();
        assert!(peppers.find(b"").unwrap().is_none());
        assert!(peppers.find(b"other!").is_err());
        assert!(Peppers::default().find(b"other!").is_err());
    }
}
