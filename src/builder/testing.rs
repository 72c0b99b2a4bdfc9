//! What tests set: time that is moved by hand, secrets that are drawn, hashes that cost nothing.

use super::AuthBuilder;
use crate::{clock::ManualClock, error::Error, password::HashCost, random, secret::Secret, user::AuthUser};

impl<U: AuthUser> AuthBuilder<U> {
    /// Fills in what is missing and takes out what tests would wait for; see [`TestAuth::of`](crate::testing::TestAuth::of).
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the operating system has no randomness.
    pub(crate) fn for_tests(mut self, clock: ManualClock) -> Result<Self, Error> {
        let settings = &mut self.settings;
        settings.issuer.get_or_insert_with(|| "https://test.example".to_owned());
        for (secret, has_keys) in [
            (&mut settings.access_secret, settings.access_keys.is_some()),
            (&mut settings.refresh_secret, settings.refresh_keys.is_some()),
        ] {
            if secret.is_none() && !has_keys {
                *secret = Some(Secret::from(random::bytes::<32>()?));
            }
        }
        settings.test_hash_cost = Some(HashCost { memory_kib: 8, iterations: 1, parallelism: 1 });
        settings.hash_threads.get_or_insert(1);
        // One that the app sets is one that it wants to test.
        settings.throttle = self.throttle.is_some();
        Ok(self.clock(clock))
    }
}
