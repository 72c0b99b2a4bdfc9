//! Keys that sign tokens, keys that verify them, and how keys are rotated.
//!
//! A secret ([`AuthBuilder::access_secret`](crate::AuthBuilder::access_secret)) is enough if only
//! the service that issues access tokens verifies them. With a [`KeyRing`] of an asymmetric key,
//! other services can verify them as well, and cannot issue any. They use the public keys that `GET
//! /auth/.well-known/jwks.json` publishes.
//!
//! # Make a key
//!
//! ```sh
//! openssl genpkey -algorithm ed25519 -out access.pem
//! ```
//!
//! makes an Ed25519 key. Set `ACCESS_TOKEN_KEY_FILE=access.pem`, or read the file with
//! [`Key::from_file`]. In code, [`Key::generate_ed25519`] makes one. Every node needs the same key.
//!
//! If some verifiers do not support Ed25519, use the arguments
//! `-algorithm EC -pkeyopt ec_paramgen_curve:P-256` or
//! `-algorithm rsa -pkeyopt rsa_keygen_bits:3072`. `openssl rand -base64 48` makes a secret.
//!
//! # Rotation
//!
//! Every token stays valid if each step has reached every node before the next step begins:
//!
//! 1. **Publish** the new key as [`next`](KeyRing::with_next) on every node. The nodes accept
//!    tokens of the new key and sign with the old one. Wait until every verifier has fetched the
//!    key set again. That takes 5 min (its `max-age`), or longer if a verifier keeps it longer.
//! 2. **Sign** with the new key: make it the current key on every node, and make the old key
//!    [retired](KeyRing::with_retired) at the time when the last node changes. During the
//!    deployment each node accepts the tokens of the other key.
//! 3. **Remove** the old key. It stops verifying one day after its retirement (the longest lifetime
//!    of its tokens). The next deployment can leave it out.
//!
//! Remove a key that has **leaked** at once, and do not retire it. All its tokens become invalid.
//! Make a new key current without publishing it first. Clients get new access tokens with their
//! refresh tokens.
//!
//! ```
//! use std::time::Duration;
//! use portcullis::{
//!     Auth, ErrorKind, Profile, Registration, User,
//!     auth::{Check, ClientInfo},
//!     clock::{Clock, ManualClock, Timestamp},
//!     keys::{Key, KeyRing},
//!     store::memory::MemoryStore,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
//! let store = MemoryStore::new();
//! // One node of the service; each deployment gives it another ring.
//! let node = |ring: KeyRing| -> Result<Auth<User>, portcullis::BuildError> {
//!     Auth::builder(store.clone(), store.clone())
//!         .issuer("https://example.com")
//!         .access_keys(ring)
//!         .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
//!         .clock(clock.clone())
//!         .build()
//! };
//! let (old, new) = (Key::generate_ed25519()?, Key::generate_ed25519()?);
//! let before = node(KeyRing::new(old.clone()))?;
//! let ada = before.register(Registration::new("ada@example.com", "open sesame 42", Profile::default()), &ClientInfo::unknown()).await?;
//! let logged_in = |auth: Auth<User>| {
//!     let ada = ada.clone();
//!     async move {
//!         let outcome = auth.start_session(&ada, &ClientInfo::unknown()).await?;
//!         Ok::<_, portcullis::Error>(outcome.into_logged_in().unwrap().tokens.access_token)
//!     }
//! };
//!
//! // 1. Publish: the set has both, tokens are signed with the old key.
//! let publishing = node(KeyRing::new(old.clone()).with_next(new.clone()))?;
//! assert!(publishing.jwks().contains(old.kid()) && publishing.jwks().contains(new.kid()));
//! let by_old = logged_in(publishing.clone()).await?;
//! assert!(before.authenticate(by_old.expose(), Check::Stateless).await.is_ok());
//! clock.advance(Duration::from_secs(300));
//!
//! // 2. Sign: nodes of either deployment accept the tokens of the other.
//! let retired_at = clock.now();
//! let signing = node(KeyRing::new(new.clone()).with_retired(old.clone(), retired_at))?;
//! let by_new = logged_in(signing.clone()).await?;
//! let by_old = logged_in(publishing.clone()).await?;
//! for auth in [&publishing, &signing] {
//!     assert!(auth.authenticate(by_old.expose(), Check::Stateless).await.is_ok());
//!     assert!(auth.authenticate(by_new.expose(), Check::Stateless).await.is_ok());
//! }
//!
//! // 3. Remove: a day later the old key verifies no token, and is not published.
//! clock.advance(Duration::from_secs(24 * 60 * 60 + 60));
//! let leaked = logged_in(publishing).await?;
//! let refused = signing.authenticate(leaked.expose(), Check::Stateless).await;
//! assert_eq!(refused.unwrap_err().kind(), ErrorKind::TokenInvalid);
//! assert!(!signing.jwks().contains(old.kid()));
//! assert!(node(KeyRing::new(new)).is_ok());
//! # Ok(()) }
//! ```
//!
//! The same settings are in the environment: `ACCESS_TOKEN_KEY_FILE`, `ACCESS_TOKEN_NEXT_KEY_FILE`
//! and `ACCESS_TOKEN_RETIRED_KEY_FILES`. Keys in the last one verify until they are removed from
//! it. A change from a secret to a key has the same steps. The key is first the next one beside
//! `ACCESS_TOKEN_SECRET`, and the secret then moves to `ACCESS_TOKEN_RETIRED_SECRETS`. The
//! [runbook](crate::guide::key_rotation) has the commands for all of them.

mod algorithm;
mod der;
mod error;
mod jwk;
mod key;
mod key_ring;
mod material;
mod pem;
mod prepared_ring;
mod public;
mod secret_strength;

pub use self::{algorithm::Algorithm, error::KeyError, key::Key, key_ring::KeyRing};
pub(in crate::token) use self::{prepared_ring::verifies_at, public::PublicKey};
pub(crate) use self::{
    prepared_ring::{KeyKind, Keys},
    secret_strength::{secret_problem, trimmed},
};

#[cfg(test)]
pub(in crate::token) mod tests;
