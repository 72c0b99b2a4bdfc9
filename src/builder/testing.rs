//! What tests set: a clock that they move, generated secrets, hashes that cost nothing.

use super::AuthBuilder;
use crate::{clock::ManualClock, error::Error, user::AuthUser};

impl<U: AuthUser> AuthBuilder<U> {
    /// Fills in what is missing and takes out what tests would wait for; see
    /// [`TestAuth::of`](crate::testing::TestAuth::of).
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) where the operating system has no
    /// randomness.
    pub(crate) fn for_tests(mut self, clock: ManualClock) -> Result<Self, Error> {
        self.tokens.default_issuer("https://test.example");
        self.keys.generate_missing()?;
        self.passwords.for_tests();
        self.throttle.for_tests();
        Ok(self.clock(clock))
    }
}
