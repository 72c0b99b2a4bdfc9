//! Keys: what signs, what still verifies, and how one follows the other.
//!
//! A secret (`AuthBuilder::access_secret`) is enough where the service that issues access tokens is the only one to verify
//! them. With a [`KeyRing`] of an asymmetric key other services verify them too, with the public keys that
//! `GET /auth/.well-known/jwks.json` publishes, and cannot make any.
//!
//! # A key
//!
//! ```sh
//! openssl genpkey -algorithm ed25519 -out access.pem
//! ```
//!
//! makes a good one, `ACCESS_TOKEN_KEY_FILE=access.pem` or [`Key::from_file`] takes it. In code
//! [`Key::generate_ed25519`] makes one. Every node needs the same. Where verifiers know no Ed25519, the arguments are
//! `-algorithm EC -pkeyopt ec_paramgen_curve:P-256` or `-algorithm rsa -pkeyopt rsa_keygen_bits:3072`; a secret is drawn by
//! `openssl rand -base64 48`.
//!
//! # Rotation
//!
//! No token and no verifier is lost when each step waits for the one before it to have reached every node:
//!
//! 1. **Publish** the new key as [`next`](KeyRing::with_next) on every node. Nodes verify it already, and sign with the
//!    old one. Wait until every verifier has fetched the set anew: five minutes (its `max-age`), and longer for verifiers
//!    that keep it longer.
//! 2. **Sign** with it: it becomes the current key, and the old one is [retired](KeyRing::with_retired) at the moment when
//!    the last node has changed over. A node that still signs with the old key is understood by all, and the other way round.
//! 3. **Forget** the old key. A day after its retirement (the longest lifetime of its tokens) it verifies no more by
//!    itself; the next deployment takes it out.
//!
//! A key that has **leaked** is not retired but dropped at once, with everything that it signed; the new one becomes
//! current without having been published, and clients get new access tokens by their refresh tokens.
//!
//! ```
//! use std::time::Duration;
//! use portcullis::{
//!     Auth, Check, Client, ErrorKind, Registration, User,
//!     clock::{Clock, ManualClock, Timestamp},
//!     keys::{Key, KeyRing},
//!     store::memory::MemoryStore,
//!     user::Profile,
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
//! let ada = before.register(Registration::new("ada@example.com", "open sesame 42", Profile::default())).await?;
//! let logged_in = |auth: Auth<User>| {
//!     let ada = ada.clone();
//!     async move { auth.start_session(&ada, &ClientInfo::unknown()).await.map(|tokens| tokens.access_token) }
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
//! // 3. Forget: a day later the old key counts no more, and is published no more.
//! clock.advance(Duration::from_secs(24 * 60 * 60 + 60));
//! let leaked = logged_in(publishing).await?;
//! let refused = signing.authenticate(leaked.expose(), Check::Stateless).await;
//! assert_eq!(refused.unwrap_err().kind(), ErrorKind::TokenInvalid);
//! assert!(!signing.jwks().contains(old.kid()));
//! assert!(node(KeyRing::new(new)).is_ok());
//! # Ok(()) }
//! ```
//!
//! The environment has the same three places: `ACCESS_TOKEN_KEY_FILE`, `ACCESS_TOKEN_NEXT_KEY_FILE` and
//! `ACCESS_TOKEN_RETIRED_KEY_FILES`, whose keys verify until they are taken out. The way from a secret to a key is the same:
//! the key is first the next one beside `ACCESS_TOKEN_SECRET`, which then moves to `ACCESS_TOKEN_RETIRED_SECRETS`. There is a
//! [runbook](crate::guide::key_rotation) for all of them.

mod algorithm;
mod der;
mod error;
mod jwk;
mod key;
mod key_ring;
mod pem;
mod prepared_ring;
mod public;
mod secret_strength;

pub use self::{algorithm::Algorithm, error::KeyError, key::Key, key_ring::KeyRing};
pub(in crate::token) use self::{prepared_ring::counts, public::PublicKey};
pub(crate) use self::{
    prepared_ring::{KeyKind, Keys},
    secret_strength::{secret_problem, trimmed},
};

#[cfg(test)]
pub(in crate::token) mod tests;
