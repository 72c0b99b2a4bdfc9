//! The process-wide provider of `jsonwebtoken`, which another crate may have set, is not used.

use jsonwebtoken::crypto::{CryptoProvider, KeyUtils};
use portcullis::{
    Auth,
    auth::{Check, ClientInfo},
    keys::{Key, KeyRing},
    store::memory::MemoryStore,
};

use crate::fixture::{register, start_session};

/// A provider that panics when it is used.
static POISON: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| panic!("the process-wide provider was asked to sign"),
    verifier_factory: |_, _| panic!("the process-wide provider was asked to verify"),
    key_utils: KeyUtils::new_unimplemented(),
};

#[tokio::test]
async fn the_process_wide_provider_is_never_used() {
    // It is set for all tests of this binary. None of them may need the default provider.
    POISON.install_default().unwrap();
    for pem in
        [include_str!("../keys/ed25519.pem"), include_str!("../keys/p256.pem"), include_str!("../keys/rsa2048.pem")]
    {
        let store = MemoryStore::new();
        let key = Key::from_pem(pem).unwrap();
        assert!(Key::from_jwk(&key.public_jwk().unwrap()).is_ok());
        let auth = Auth::builder(store.clone(), store)
            .issuer("https://example.com")
            .access_keys(KeyRing::new(key).with_next(Key::generate_ed25519().unwrap()))
            .refresh_secret("Qe7uAa4VxZi1Rk9pMw3Cn6Bf0Hy8JdTs")
            .hash_threads(1)
            .build()
            .unwrap();
        let ada = register(&auth, "ada").await;
        let pair = start_session(&auth, &ada).await;
        assert!(auth.authenticate(&pair.access, Check::User).await.is_ok());
        assert!(auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.is_ok());
    }
}
